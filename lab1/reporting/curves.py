"""The curves of one's own trainings, as the chapters draw them: `lab1.plot`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import pandas as pd

from ..core.errors import ParameterError
from ..core.values import shown
from .kit.drawing import at_the_end, picked, rounded, said
from .kit.figure import Figure

#: By panel, its series in a history and what each is called; a panel of none is left out.
PANELS = {
    "loss": {"train_loss": "training", "validation_loss": "validation"},
    "accuracy (%)": {"train_accuracy": "training", "validation_accuracy": "validation"},
}

#: One colour per training, as many as can be told apart.
COLOURS = ("#d55e00", "#3d8fd1", "#009e73", "#cc79a7", "#b58900", "#7a68c4")


def plot(*results: Any, names: Sequence[str] | None = None) -> Figure:
    """The loss and the accuracy of trainings by epoch, in one figure that a notebook shows.

    A result is what `StreamlinedTrainer.train` or `load_run` gives, a record, or a history.
    `names` tells them apart in the legend; by default they are the runs' titles, or numbers.  Its
    `data` has a row for each value.  Raises `ParameterError` for something without a history, for
    more than six, and for names that are not one for each.
    """
    if not 1 <= len(results) <= len(COLOURS):
        raise ParameterError(f"plot: {len(results)} results; allowed: 1 to {len(COLOURS)}")
    found = [*names] if names is not None else [_name(each, i) for i, each in enumerate(results, 1)]
    if len(found) != len(results) or len(set(found)) != len(found):
        raise ParameterError(
            f"plot: names = {shown(found)} is not allowed; allowed: {len(results)} different ones"
        )
    rows = [
        {"training": name, "panel": panel, "split": split, "epoch": epoch, "value": value}
        for name, result in zip(found, results, strict=True)
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
    words = said(ends, "{training}, {split} {panel}: {value:.3g}")
    return Figure(chart(rounded(table), found), table, f"Curves by epoch. At the end: {words}.")


def chart(
    table: pd.DataFrame, names: Sequence[str], panels: Sequence[str] = (*PANELS,), line: str = ""
) -> alt.FacetChart:
    """Curves by epoch in `panels`, a colour for each of `names`, training solid, validation dashed.

    The rows of `table` have the columns of `plot`'s data.  `line` names a further one that parts
    the curves of one colour; each then ends with its name, which should be short.
    """
    selection, opacity = picked("training")
    colours = alt.Scale(domain=[*names], range=[*COLOURS[: len(names)]])
    dashes = alt.Scale(domain=["training", "validation"], range=[[1, 0], [5, 4]])
    curve = (
        alt.Chart()
        .mark_line(clip=True)
        .encode(
            x=alt.X("epoch:Q", axis=alt.Axis(tickMinStep=1, format="d")),
            y=alt.Y("value:Q", title=None, scale=alt.Scale(zero=False)),
            color=alt.Color("training:N", scale=colours),
            strokeDash=alt.StrokeDash("split:N", scale=dashes),
            opacity=opacity,
            **({"detail": f"{line}:N"} if line else {}),
        )
        .add_params(selection)
    )
    points = (
        alt.Chart()
        .mark_circle(size=16, clip=True)
        .encode(
            x="epoch:Q",
            y=alt.Y("value:Q", title=None),
            color=alt.Color("training:N", scale=colours),
            opacity=opacity,
            tooltip=[
                *(f"{name}:N" for name in ("training", line, "split") if name),
                "epoch:Q",
                alt.Tooltip("value:Q", format=".4g"),
            ],
        )
    )
    layers = [curve, points]
    if line:
        layers.append(
            alt.Chart()
            .transform_joinaggregate(last="max(epoch)", groupby=[line, "panel"])
            .transform_filter("datum.epoch == datum.last")
            .mark_text(align="left", dx=5)
            .encode(x="epoch:Q", y="value:Q", text="training:N", opacity=opacity)
        )
    drawn: alt.FacetChart = (
        alt.layer(*layers, data=table)
        .properties(width=320, height=200)
        .facet(facet=alt.Facet("panel:N", title=None, sort=[*panels]), columns=2)
        .resolve_scale(y="independent")
    )
    return drawn


def _history(result: Any) -> Mapping[str, Sequence[float | None]]:
    """The history of a result: one value per epoch, by the name of its series."""
    record = getattr(result, "record", result)
    history = getattr(record, "history", record)
    if not isinstance(history, Mapping) or "train_loss" not in history:
        raise ParameterError(
            f"plot: {shown(result)} is not allowed; allowed: what a trainer's train() or "
            "load_run() gives, a record, or a history"
        )
    found: Mapping[str, Sequence[float | None]] = history
    return found


def _name(result: Any, number: int) -> str:
    spec = getattr(getattr(result, "record", result), "spec", None)
    return f"training {number}" if spec is None else str(spec.title)
