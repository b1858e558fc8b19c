"""Several values in one question: the answer to each is a line of a chart and rows of a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import altair as alt
import pandas as pd

from ...core.escape import for_html
from ...core.record import Record
from ..kit import frames, words
from ..kit.drawing import (
    at_the_end,
    dataset_titles,
    in_percent,
    interval_rule,
    interval_tooltip,
    rounded,
    said,
)
from ..kit.figure import Figure, in_notebook
from ..kit.sentences import Verdict, signed
from ..kit.statistics import paired_difference, summarize
from ..kit.tables import (
    DEPTH,
    PARAMETERS,
    TEST_ACCURACY,
    Column,
    Table,
    count_of_runs,
    labels,
    table_of,
)
from .selection import base_rate


def at_base_rate(runs: pd.DataFrame) -> pd.DataFrame:
    """The networks as they are designed, at the learning rate that all depths share."""
    return base_rate(frames.as_designed(runs))


def beside(
    answers: Mapping[str, Sequence[Record]],
    main: Callable[[pd.DataFrame], pd.DataFrame] = at_base_rate,
) -> Table | Verdict:
    """A chart and a table of test accuracies, where a page was asked for several values.

    `answers` are the records of each value, under its name; the page is about the first.  `main`
    chooses what is compared from the frame of `runs` of an answer; where it is the same in all of
    them, what differs is compared.  With a single answer, or without runs, nothing is shown.  The
    table has the difference from the first value too, in points and paired by seed.
    """
    if len(answers) < 2 or not all(answers.values()):
        return Verdict("")
    runs = _compared({name: frames.runs(records) for name, records in answers.items()}, main)
    if runs.empty:
        return Verdict(f"The runs of {words.listed([*answers])} are the same.")

    def gained(part: pd.DataFrame) -> str:
        network, depth = part[["network", "depth"]].iloc[0]
        first = runs[(runs["place"] == 0) & (runs["network"] == network)]
        first = first[first["depth"] == depth]
        if first.empty or {*first["key"]} == {*part["key"]}:
            return ""
        return signed(paired_difference(first, part, "test_accuracy"))

    depth = words.depth_axis(list(runs["family"].unique()))
    columns = [
        Column("Model", "network", is_text=True),
        replace(DEPTH, heading=depth.capitalize(), name="Depth"),
        Column("Asked for", "answer", is_text=True, tells=None),
        TEST_ACCURACY,
        Column("Gain on the first", gained, is_text=True),
        PARAMETERS,
        count_of_runs(),
    ]
    table = table_of(runs, ["network", "depth", "place"], columns)
    first = for_html(next(iter(answers)))
    sentence = (
        f"<p>The page's other charts, tables and sentences are about {first}, the first that was "
        "asked for. Here stand all, with what follows from each, as the number of parameters may. "
        "The gain on the first is in points, paired by seed, its interval not corrected for the "
        "number of rows.</p>\n"
    )
    chart = in_notebook(_chart(runs, list(answers), depth).parts())
    return Table(table.frame, f"{sentence}{chart}{table.markup}")


def _compared(
    answers: Mapping[str, pd.DataFrame], main: Callable[[pd.DataFrame], pd.DataFrame]
) -> pd.DataFrame:
    """The runs that are compared: `answer` names theirs, `place` counts it, `network` is theirs."""
    parts = [main(runs) for runs in answers.values()]
    if len({frozenset(part["key"]) for part in parts}) == 1:
        shared = set.intersection(*({*runs["key"]} for runs in answers.values()))
        parts = [runs[~runs["key"].isin(shared)] for runs in answers.values()]
    return pd.concat(
        part.assign(
            answer=answer,
            place=place,
            network=part["group"].map(labels(part, within=["family"], told=["depth"])),
        )
        for place, (answer, part) in enumerate(zip(answers, parts, strict=True))
    ).reset_index(drop=True)


def _chart(runs: pd.DataFrame, answers: Sequence[str], depth: str) -> Figure:
    """Test accuracy against depth, a line for each answer and a panel for each network."""
    table = in_percent(summarize(runs, ["network", "answer", "depth"], "test_accuracy"))
    values = sorted(int(value) for value in table["depth"].unique())
    base = alt.Chart().encode(
        x=alt.X("depth:Q", title=depth, scale=alt.Scale(type="log", nice=False, padding=12),
                axis=alt.Axis(values=values, format="d")),
        color=alt.Color("answer:N", title=None, sort=answers),
    )  # fmt: skip
    y = alt.Y("mean:Q", title="test accuracy (%)", scale=alt.Scale(zero=False, padding=8))
    tooltip = [alt.Tooltip("answer:N", title=" "), alt.Tooltip("depth:Q", title=depth)]
    tooltip += interval_tooltip("test accuracy (%)")
    chart = (
        alt.layer(
            base.mark_line().encode(y=y),
            interval_rule(base, "test accuracy (%)"),
            base.mark_point(opacity=1).encode(
                y=y, tooltip=tooltip, shape=alt.Shape("answer:N", title=None, sort=answers)
            ),
            data=rounded(table),
        )
        .properties(width=320, height=230)
        .facet(facet=alt.Facet("network:N", title=None), columns=2)
        .properties(title=dataset_titles(runs))
    )
    accuracies = said(
        at_the_end(table, ["network", "answer"], "depth"), "{network}, {answer}: {mean:.2f} %"
    )
    return Figure(chart, table, f"Test accuracy by {depth}. At the most: {accuracies}.")
