"""How fast a training converges: validation accuracy by epoch, and what it takes to reach a level.

Each function takes the frame of `history`.
"""

from __future__ import annotations

import altair as alt
import pandas as pd

from ..kit import words
from ..kit.drawing import at_the_end, dataset_titles, in_percent, said, ticks
from ..kit.figure import Figure
from ..kit.panels import Axis, complete, panels
from ..kit.sentences import Verdict
from ..kit.statistics import summarize

#: The accuracies, in percent, whose reaching is timed; those that no run reached are left out.
LEVELS = (30, 40, 50, 60, 70, 75, 80, 85, 90, 95, 98)


def validation_curves(history: pd.DataFrame) -> Figure:
    """Validation accuracy against epochs, one panel per depth."""
    table = in_percent(
        summarize(
            history.dropna(subset=["validation_accuracy"]),
            ["family", "depth", "epoch"],
            "validation_accuracy",
        )
    )
    table = complete(table, ["family", "depth"])
    last = at_the_end(table, ["family", "depth"])
    ends = said(last, "{family} {depth}: {mean:.2f} %")
    x = Axis("epoch", "epoch", values=ticks(table["epoch"].max()))
    return Figure(
        _by_depth(table, x, "validation accuracy (%)", dataset_titles(history)),
        table,
        f"Validation accuracy on {dataset_titles(history)} by epoch, a panel per depth. At the "
        "end: " + ends + ".",
    )


def epochs_to_accuracy(history: pd.DataFrame) -> Figure | Verdict:
    """How many epochs it takes until the validation accuracy first reaches each level."""
    reached = first_reached(history)
    if reached.empty:
        return Verdict(f"No run reached a validation accuracy of {LEVELS[0]} %.")
    table = summarize(reached, ["family", "depth", "level"], "epoch")
    # Where only some seeds reached a level, their mean would favour the lucky ones.
    runs = history.groupby(["family", "depth"])["key"].nunique().rename("runs").reset_index()
    table = table.merge(runs)
    table = table[table["n"] == table["runs"]].drop(columns="runs")
    if table.empty:
        return Verdict(f"No level was reached by all seeds of a network ({LEVELS[0]} % or more).")
    top = at_the_end(table, ["family", "depth"], "level")
    ends = said(top, "{family} {depth}: {mean:.3g} to {level} %")
    x = Axis("level", "validation accuracy (%)", padding=8)
    return Figure(
        _by_depth(table, x, "epochs", dataset_titles(history)),
        table,
        f"Epochs until the validation accuracy on {dataset_titles(history)} first reaches a level, "
        "a panel per depth. For the highest level: " + ends + ".",
    )


def first_reached(history: pd.DataFrame) -> pd.DataFrame:
    """One row per run and level that it reached: `level` in percent, `epoch`."""
    ordered = history.sort_values(["key", "epoch"])
    parts = []
    for level in LEVELS:
        reached = ordered[ordered["validation_accuracy"] >= level / 100]
        parts.append(reached.drop_duplicates("key", keep="first").assign(level=level))
    return pd.concat(parts)


def _by_depth(table: pd.DataFrame, x: Axis, y_title: str, title: str) -> alt.FacetChart:
    """A panel per depth."""
    depth = words.depth_axis(list(table["family"].unique()))
    return panels(
        table,
        x=x,
        y=Axis("mean", y_title),
        facet=alt.Facet("depth:O", title=depth),
        title=title,
    )
