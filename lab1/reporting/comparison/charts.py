"""The charts of accuracy and loss: each function takes a frame and gives a `Figure`.

Means are over seeds and carry their 95 % interval where there are three or more.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pandas as pd

from ...core.datasets import DATASETS
from ..claims import Prose
from ..curves import by_epoch
from ..kit import words
from ..kit.axes import Axis, Panels, depths
from ..kit.charts import lines, linked, points
from ..kit.figure import Figure
from ..kit.statistics import in_percent, summarize
from ..kit.tables import labels
from ..kit.words import dataset_titles
from . import selection

_PARAMETERS = Axis("parameters", "parameters", log=True, format="~s", digits=",")


def loss_curves(history: pd.DataFrame) -> Figure:
    """Training and validation loss against epochs, one panel per depth."""
    named = history.rename(columns={"train_loss": "training", "validation_loss": "validation"})
    return by_epoch(
        selection.base_rate(named),
        ["training", "validation"],
        Axis("mean", "cross-entropy", log=True, digits=".4f"),
        panels=Panels("depth"),
        dash="split",
        text="Training and validation loss on {data} by epoch, a panel per depth. At the end: "
        "{ends}.",
        ending="{family} {depth}, {split}: {mean:.3g}",
    )


def accuracy_by_depth(runs: pd.DataFrame, runs_page: str = "") -> Figure | Prose:
    """Test accuracy against depth, with intervals.

    Points lead to their runs, on the same page or on the `runs_page`.  Without runs, a clause.
    """
    if runs.empty:
        return Prose("*No such run is here.*")
    base, by = selection.base_rate(runs), ["family", "depth"]
    table = in_percent(summarize(base, by, "test_accuracy"))
    x = depths(table)
    return lines(
        linked(table, base, by, runs_page),
        x,
        Axis("mean", "test accuracy (%)"),
        title=dataset_titles(runs),
        text=_text(f"Test accuracy on {dataset_titles(runs)}", table, x),
    )


def outcomes_by_depth(runs: pd.DataFrame) -> Figure:
    """Test accuracy and training loss against depth, side by side, with intervals."""
    base, by = selection.base_rate(runs), ["family", "depth"]
    accuracy = in_percent(summarize(base, by, "test_accuracy"))
    loss = summarize(base, by, "train_loss")
    panels = {"test accuracy (%)": accuracy, "training loss, last epoch": loss}
    numbers = ["mean", "half_width", "low", "high"]
    both = pd.concat([part.assign(outcome=name) for name, part in panels.items()])
    table = both[[*by, "outcome", *numbers, "n"]].reset_index(drop=True)
    table[numbers] = table[numbers].astype(float)
    x = depths(table)
    titles = dataset_titles(runs)
    return lines(
        linked(table, base, by),
        x,
        Axis("mean", "", digits=".3~g"),
        panels=Panels("outcome", title="", columns=2, apart="y", order=[*panels]),
        title=titles,
        text=f"{_text(f'Test accuracy on {titles}', accuracy, x)} "
        f"{_text('Training loss', loss, x, '{mean:.2g}')}",
    )


def fit_by_network(runs: pd.DataFrame) -> Figure:
    """Training loss of the deepest networks, changed ones too, in the order of that loss.

    They are those that are trained as all depths are, without those of which some runs ended at
    chance and others did not: a mean over both says nothing.
    """
    base = selection.base_rate(runs)
    deep = base[base["depth"] == base["depth"].max()]
    deep = deep[deep["optimizer"] == deep["optimizer"].iloc[0]]
    deep = deep[deep.groupby("group")["at_chance"].transform("nunique") == 1]
    named = deep["group"].map(labels(deep, ["family"], ["family", "depth"]))
    deep = deep.assign(network=named.where(named != "", deep["family"]))
    by = ["family", "depth", "network"]
    table = summarize(deep, by, "train_loss").dropna(subset=["mean"]).sort_values("mean")
    return points(
        linked(table, deep, by),
        Axis("mean", "training loss, last epoch", log=True, digits=".2g"),
        Axis("network", "", order=[*table["network"]]),
        title=dataset_titles(runs),
        text=f"Training loss in the last epoch on {dataset_titles(runs)} by network: "
        f"{words.rows(table, '{network} {mean:.2g}')}; {_seeds(table)}.",
    )


def accuracy_by_parameters(runs: pd.DataFrame, runs_page: str = "") -> Figure:
    """Test accuracy against the number of parameters, with intervals; points lead to their runs."""
    base, by = selection.base_rate(runs), ["family", "depth", "parameters"]
    table = in_percent(summarize(base, by, "test_accuracy"))
    return lines(
        linked(table, base, by, runs_page),
        replace(_PARAMETERS, ticks=_round_numbers(table["parameters"])),
        Axis("mean", "test accuracy (%)"),
        also={"depth": ""},
        title=dataset_titles(runs),
        text=_text(f"Test accuracy on {dataset_titles(runs)}", table, _PARAMETERS),
    )


def _round_numbers(values: pd.Series[Any]) -> list[int]:
    """1, 2 and 5 times the powers of ten in the range of the values, for a logarithmic axis."""
    steps = [digit * 10**power for power in range(12) for digit in (1, 2, 5)]
    return [step for step in steps if values.min() <= step <= values.max()]


def accuracy_without_blocks(lesions: pd.DataFrame) -> Figure | Prose:
    """Test accuracy without each block in turn, a panel for each kind of network.

    Takes the frame of `lesions`; where it is empty, a clause that says so.
    """
    if lesions.empty:
        return Prose("*No weights of these networks are at hand.*")
    whole = lesions[lesions["block"] == 1].assign(block="none", kind="whole network")
    whole["test_accuracy"] = whole["whole"]
    without = lesions.assign(block=lesions["block"].map(str), kind="image " + lesions["image"])
    both = pd.concat([whole, without])
    settings = zip(both["depth"], both["family"], both["further"], strict=True)
    both["network"] = [
        ", ".join(filter(None, [words.depth(depth, family), further]))
        for depth, family, further in settings
    ]
    by = ["network", "family", "block", "kind"]
    table = in_percent(summarize(both, by, "test_accuracy"))
    titles, chance = dataset_titles(lesions), DATASETS[lesions["dataset"].iloc[0]].num_classes
    listed = words.rows(table, "{family}, {network}, without {block}: {mean:.1f} %")
    return points(
        table,
        Axis("block", "block left out", order=[*dict.fromkeys(both["block"])]),
        Axis("mean", "test accuracy (%)", zero=True),
        panels=Panels("network", title="", columns=2, apart="x"),
        shape="kind",
        level=100 / chance,
        title=titles,
        text=f"Test accuracy on {titles} without each block in turn: {listed}.",
    )


def learning_rate_sweep(runs: pd.DataFrame) -> Figure | Prose:
    """Validation accuracy, on which a rate is chosen, against the rate, a panel per swept depth.

    Where no depth was swept, a sentence that says so.
    """
    if not selection.swept_depths(runs):
        return Prose("*No depth was trained with several learning rates.*")
    swept = runs[runs["depth"].isin(selection.swept_depths(runs))]
    by = ["family", "depth", "learning_rate"]
    table = in_percent(summarize(swept, by, "validation_accuracy"))
    rates = sorted(table["learning_rate"].unique().tolist())
    x = Axis("learning_rate", "learning rate", log=True, ticks=rates)
    return lines(
        linked(table, swept, by),
        x,
        Axis("mean", "validation accuracy (%)"),
        panels=Panels("depth", columns=2),
        title=dataset_titles(runs),
        text=_text(
            f"Validation accuracy on {dataset_titles(runs)}",
            table.assign(family=table["family"] + " " + table["depth"].astype(str)),
            x,
        ),
    )


def _text(what: str, table: pd.DataFrame, x: Axis, form: str = "{mean:.2f} %") -> str:
    """A text alternative that gives each family's first and last mean along `x`."""
    parts = []
    for family, rows in table.groupby("family", sort=False):
        ordered = rows.dropna(subset=["mean"]).sort_values(x.column, kind="stable")
        if ordered.empty:
            parts.append(f"{family} diverged")
            continue
        ends = words.rows(ordered.iloc[[0, -1]], f"{form} at {{{x.column}:g}}", " to ")
        parts.append(f"{family} from {ends}")
    return f"{what} by {x.title}: {'; '.join(parts)}; {_seeds(table)}."


def _seeds(table: pd.DataFrame) -> str:
    """Over how many seeds the means of a table are."""
    seeds = table[table["n"] > 0]["n"]
    counts = f"{seeds.min()} to {seeds.max()}" if seeds.nunique() > 1 else f"{seeds.max()}"
    return f"mean over {counts} seeds"
