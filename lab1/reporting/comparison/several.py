"""A question with several widths, feature maps or optimisers: each a line beside the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pandas as pd

from ..kit import frames, words
from ..kit.axes import Axis, Panels, depths
from ..kit.charts import lines
from ..kit.figure import Figure, in_notebook
from ..kit.sentences import Verdict, signed
from ..kit.statistics import at_the_end, in_percent, paired_difference, summarize
from ..kit.tables import (
    DEPTH,
    MODEL,
    PARAMETERS,
    TEST_ACCURACY,
    Column,
    Table,
    count_of_runs,
    table_of,
)
from ..kit.words import dataset_titles
from .selection import base_rate

#: What each is called in a table, a legend and a sentence.
_NAMES = {"width": "width", "channels": "feature maps", "optimizer": "optimiser"}


def beside(runs: pd.DataFrame, several: Mapping[str, Sequence[Any]]) -> Table | Verdict:
    """A chart and a table of test accuracies, where a page was asked for `several` values.

    `runs` are of all values.  `several` has those of each parameter of which there are more than
    one, as a page's `several` says; without one, or without runs, nothing is shown.  The table has
    the difference from the first values too, in points and paired by seed.
    """
    if not several or runs.empty:
        return Verdict("")
    runs = base_rate(frames.as_designed(runs))
    names = list(several)
    asked = runs[names].isin({name: list(values) for name, values in several.items()})
    runs = runs[asked.all(axis="columns")]
    first = {name: values[0] for name, values in several.items()}

    def gained(part: pd.DataFrame) -> str:
        same = runs[(runs[["family", "depth"]] == part[["family", "depth"]].iloc[0]).all(axis=1)]
        reference = same[(same[names] == pd.Series(first)).all(axis=1)]
        if set(reference["key"]) == set(part["key"]):
            return ""
        return signed(paired_difference(reference, part, "test_accuracy"))

    depth = words.depth_axis(runs["family"])
    columns = [
        MODEL,
        replace(DEPTH, heading=depth.capitalize(), name="Depth"),
        *(
            Column(_NAMES[name].capitalize(), partial(_shown, name=name), tells=(name,))
            for name in names
        ),
        TEST_ACCURACY,
        Column("Gain on the first", gained, is_text=True),
        PARAMETERS,
        count_of_runs(),
    ]
    table = table_of(runs, ["family", "depth", *names], columns)
    chosen = ", ".join(f"{_NAMES[name]} {value}" for name, value in first.items())
    differing = " and ".join(_NAMES[name] for name in names)
    sentence = (
        f"<p>The page's other charts, tables and sentences are about {chosen}, the first that was "
        f"asked for. Here stand all of them; they differ in {differing} and in what follows from "
        "that, as the number of parameters does. The gain on the first is in points, paired by "
        "seed, its interval not corrected for the number of rows.</p>\n"
    )
    chart = in_notebook(_chart(runs, names).parts())
    return Table(table.frame, f"{sentence}{chart}{table.markup}")


def _shown(part: pd.DataFrame, name: str) -> Any:
    value = part[name].iloc[0]
    return int(value) if isinstance(value, float) else value


def _chart(runs: pd.DataFrame, names: Sequence[str]) -> Figure:
    """Test accuracy against depth, a line for each value and a panel for each family."""
    called = [
        ", ".join(f"{_NAMES[name]} {_shown(runs.loc[[index]], name)}" for name in names)
        for index in runs.index
    ]
    by = ["family", "line", "depth"]
    table = in_percent(summarize(runs.assign(line=called), by, "test_accuracy"))
    x, last = depths(table), at_the_end(table, by[:2], "depth")
    return lines(
        table,
        x,
        Axis("mean", "test accuracy (%)"),
        panels=Panels("family", columns=2),
        dash="line",
        title=dataset_titles(runs),
        text=f"Test accuracy by {x.title}. At the most: "
        f"{words.rows(last, '{family}, {line}: {mean:.2f} %')}.",
    )
