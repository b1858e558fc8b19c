"""The speed of convergence: validation accuracy by epoch, and the epochs to reach a level.

Each function takes the frame of `history`.
"""

from __future__ import annotations

import pandas as pd

from ..claims import Prose
from ..curves import by_epoch
from ..kit import words
from ..kit.axes import Axis, Panels
from ..kit.charts import lines
from ..kit.figure import Figure
from ..kit.statistics import at_the_end, summarize
from ..kit.words import dataset_titles

#: The accuracies, in percent, whose reaching is timed; those that no run reached are left out.
LEVELS = (30, 40, 50, 60, 70, 75, 80, 85, 90, 95, 98)


def validation_curves(history: pd.DataFrame) -> Figure:
    """Validation accuracy against epochs, one panel per depth."""
    return by_epoch(
        history,
        ["validation_accuracy"],
        Axis("mean", "validation accuracy (%)"),
        panels=Panels("depth"),
        percent=True,
        text="Validation accuracy on {data} by epoch, a panel per depth. At the end: {ends}.",
        ending="{family} {depth}: {mean:.2f} %",
    )


def epochs_to_accuracy(history: pd.DataFrame) -> Figure | Prose:
    """The epochs until the validation accuracy first reaches each level."""
    reached = first_reached(history)
    if reached.empty:
        return Prose(f"*No run reached a validation accuracy of {LEVELS[0]} %.*")
    table = summarize(reached, ["family", "depth", "level"], "epoch")
    # Where only some seeds reached a level, their mean would favour the lucky ones.
    runs = history.groupby(["family", "depth"])["key"].nunique().rename("runs").reset_index()
    table = table.merge(runs)
    table = table[table["n"] == table["runs"]].drop(columns="runs")
    if table.empty:
        return Prose(f"*No level was reached by all seeds of a network ({LEVELS[0]} % or more).*")
    top = at_the_end(table, ["family", "depth"], "level")
    return lines(
        table,
        Axis("level", "validation accuracy (%)"),
        Axis("mean", "epochs"),
        panels=Panels("depth"),
        dense=True,
        title=dataset_titles(history),
        text=f"Epochs until the validation accuracy on {dataset_titles(history)} first reaches a "
        "level, a panel per depth. For the highest level: "
        f"{words.rows(top, '{family} {depth}: {mean:.3g} to {level} %')}.",
    )


def first_reached(history: pd.DataFrame) -> pd.DataFrame:
    """One row per run and level that it reached: `level` in percent, `epoch`."""
    ordered = history.sort_values(["key", "epoch"])
    parts = []
    for level in LEVELS:
        reached = ordered[ordered["validation_accuracy"] >= level / 100]
        parts.append(reached.drop_duplicates("key", keep="first").assign(level=level))
    return pd.concat(parts)
