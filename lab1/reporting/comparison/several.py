"""Several values in one question: the answer to each is a line of a chart and rows of a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import pandas as pd

from ...core.escape import for_html
from ...core.record import Record
from ..claims import Prose
from ..kit import frames, words
from ..kit.axes import Axis, Panels, depths
from ..kit.charts import lines
from ..kit.figure import Figure, in_notebook
from ..kit.metrics import METRICS
from ..kit.statistics import at_the_end, in_percent, paired_difference, summarize
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
from ..kit.words import dataset_titles
from .selection import base_rate


def at_base_rate(runs: pd.DataFrame) -> pd.DataFrame:
    """The networks as they are designed, at the learning rate that all depths share."""
    return base_rate(frames.as_designed(runs))


def beside(
    answers: Mapping[str, Sequence[Record]],
    main: Callable[[pd.DataFrame], pd.DataFrame] = at_base_rate,
) -> Table | Prose:
    """A chart and a table of test accuracies, where a page was asked for several values.

    `answers` are the records of each value, under its name; the page is about the first.  `main`
    chooses what is compared from the frame of `runs` of an answer.  With a single answer, or
    without runs, nothing is shown.  The table has the difference from the first value too, in
    points and paired by seed.
    """
    if len(answers) < 2 or not all(answers.values()):
        return Prose("")
    parts = [main(frames.runs(records)) for records in answers.values()]
    if len({frozenset(part["key"]) for part in parts}) == 1:
        return Prose(f"The runs of {words.listed([*answers])} are the same.")
    runs = pd.concat(
        part.assign(
            answer=answer,
            place=place,
            network=part["group"].map(labels(part, within=["family"], told=["depth"])),
        )
        for place, (answer, part) in enumerate(zip(answers, parts, strict=True))
    ).reset_index(drop=True)

    def gained(part: pd.DataFrame) -> str:
        network, depth = part[["network", "depth"]].iloc[0]
        first = runs[(runs["place"] == 0) & (runs["network"] == network)]
        first = first[first["depth"] == depth]
        if first.empty or {*first["key"]} == {*part["key"]}:
            return ""
        gain = paired_difference(first, part, "test_accuracy")
        return f"{METRICS['test_accuracy'].difference(gain)} (n = {gain.n})"

    depth = words.depth_axis(runs["family"])
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
    chart = in_notebook(_chart(runs, list(answers)).parts())
    return Table(table.frame, f"{sentence}{chart}{table.markup}")


def _chart(runs: pd.DataFrame, answers: Sequence[str]) -> Figure:
    """Test accuracy against depth, a line for each answer and a panel for each network."""
    by = ["network", "answer", "depth"]
    table = in_percent(summarize(runs, [*by, "family"], "test_accuracy"))
    x, last = depths(table), at_the_end(table, by[:2], "depth")
    return lines(
        table,
        x,
        Axis("mean", "test accuracy (%)"),
        panels=Panels("network", columns=2),
        colour=("answer", answers),
        title=dataset_titles(runs),
        text=f"Test accuracy by {x.title}. At the most: "
        f"{words.rows(last, '{network}, {answer}: {mean:.2f} %')}.",
    )
