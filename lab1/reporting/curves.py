"""Curves by epoch: means over the seeds of a page's runs, and single trainings (`lab1.plot`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from ..errors import ParameterError, short_repr
from . import words
from .axes import Axis, Panels
from .charts import lines
from .figure import PALETTE, Figure
from .statistics import at_the_end, in_percent, summarize

#: By panel, its series in a history and what each is called; a panel of none is left out.
PANELS = {
    "loss": {"train_loss": "training", "validation_loss": "validation"},
    "accuracy (%)": {"train_accuracy": "training", "validation_accuracy": "validation"},
}


def by_epoch(
    history: pd.DataFrame,
    series: Sequence[str],
    y: Axis,
    *,
    panels: Panels,
    text: str,
    ending: str,
    name: str = "split",
    percent: bool = False,
    dash: str = "",
    thickness: str = "",
) -> Figure:
    """Means over seeds of `series` of a history, by epoch, for each family and depth.

    A curve goes as far as all its seeds went: further on a mean would be over other runs.  Several
    series are told apart in a column `name`; with `percent` fractions become percentages.  `text`
    has the fields `data`, for the data sets, and `ends`, for the last point of each curve in the
    form of `ending`.  `y`, `panels`, `dash` and `thickness` are those of `charts.lines`.
    """
    by = ["family", "depth", *([name] if len(series) > 1 else [])]
    long = history.melt(["family", "depth", "epoch"], series, name, "value")
    table = summarize(long.dropna(subset=["value"]), [*by, "epoch"], "value")
    table = table[table["n"] == table.groupby(by)["n"].transform("max")]
    table = in_percent(table) if percent else table
    last = int(table["epoch"].max())
    step = max(1, round(last / 4))
    data, ends = words.dataset_titles(history), words.rows(at_the_end(table, by), ending)
    return lines(
        table,
        Axis("epoch", "epoch", ticks=range(step, last + 1, step), format="d"),
        y,
        panels=panels,
        dash=dash,
        thickness=thickness,
        dense=True,
        title=data,
        text=text.format(data=data, ends=ends),
    )


def plot(*results: Any, names: Sequence[str] | None = None) -> Figure:
    """The loss and the accuracy of trainings by epoch, in one figure that a notebook shows.

    A result is what `StreamlinedTrainer.train` or `load_run` gives, a record, or a history.
    `names` tells them apart in the legend; by default they are the runs' titles, or numbers.  Its
    `data` has a row for each value.  Raises `ParameterError` for something without a history, for
    more than six, and for names that are not one for each.
    """
    if not 1 <= len(results) <= len(PALETTE):
        raise ParameterError(f"plot: {len(results)} results; allowed: 1 to {len(PALETTE)}")
    if names is None:
        names = [_name(result, number) for number, result in enumerate(results, 1)]
    if len(names) != len(results) or len(set(names)) != len(names):
        raise ParameterError(
            f"plot: names = {short_repr(names)} is not allowed; allowed: {len(results)} different "
            "ones"
        )
    rows = [
        {"training": name, "panel": panel, "split": split, "epoch": epoch, "value": value}
        for name, result in zip(names, results, strict=True)
        for panel, series in PANELS.items()
        for field, split in series.items()
        for epoch, value in enumerate(_history(result).get(field, ()), 1)
        if value is not None
    ]
    table = pd.DataFrame(rows, columns=["training", "panel", "split", "epoch", "value"])
    if table.empty:
        raise ParameterError("plot: no epoch of these trainings has a finite loss")
    table["value"] = table["value"].astype(float)
    table.loc[table["panel"] == "accuracy (%)", "value"] *= 100
    ends = at_the_end(table, ["training", "panel", "split"])
    listed = words.rows(ends, "{training}, {split} {panel}: {value:.3g}")
    return lines(
        table,
        Axis("epoch", "epoch", format="d"),
        Axis("value", digits=".4g"),
        panels=Panels("panel", columns=2, apart="y", order=[*PANELS]),
        colour=("training", names),
        dash=("split", ["training", "validation"]),
        dense=True,
        text=f"Curves by epoch. At the end: {listed}.",
    )


def _history(result: Any) -> Mapping[str, Sequence[float | None]]:
    """The history of a result: one value per epoch, by the name of its series."""
    record = getattr(result, "record", result)
    history = getattr(record, "history", record)
    if not isinstance(history, Mapping) or "train_loss" not in history:
        raise ParameterError(
            f"plot: {short_repr(result)} is not allowed; allowed: what a trainer's train() or "
            "load_run() gives, a record, or a history"
        )
    series: Mapping[str, Sequence[float | None]] = history
    return series


def _name(result: Any, number: int) -> str:
    spec = getattr(getattr(result, "record", result), "spec", None)
    return f"training {number}" if spec is None else str(spec.title)
