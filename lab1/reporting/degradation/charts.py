"""The degradation problem in charts: error by epoch and depth, signals by layer, cost of depth.

A network degrades where more layers make it worse on its own training images, scored in evaluation
mode (He et al. 2016, section 1).  Errors are in percent.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pandas as pd

from ..curves import by_epoch
from ..kit import literature, words
from ..kit.axes import Axis, Panels, depths
from ..kit.charts import lines, linked
from ..kit.figure import Figure
from ..kit.statistics import Estimate, in_percent, mean_of, summarize, summarize_each
from ..kit.tables import DEPTH, MODEL, Column, Table, column_n, count_of_runs, table_of, words_for
from ..kit.words import dataset_titles

_OURS, _PAPERS = "this laboratory", "He et al. (2016)"
#: The paper's figures are for CIFAR-10; beside other data they would mislead.
_COMPARABLE = ("cifar10", "cifar10-jpeg")


def error_curves(history: pd.DataFrame) -> Figure:
    """Training error in evaluation mode, and validation error, against epochs."""
    errors = history.assign(
        training=1 - history["train_evaluation_accuracy"],
        validation=1 - history["validation_accuracy"],
    )
    layers = ", ".join(str(depth) for depth in sorted(history["depth"].unique()))
    return by_epoch(
        errors,
        ["training", "validation"],
        Axis("mean", "error (%)", log=True),
        panels=Panels("split", f"from thin to thick: {layers} layers", columns=2),
        percent=True,
        thickness="depth",
        text="Training and validation error on {data} by epoch, a panel each; the thicker a line, "
        "the deeper the network. At the end: {ends}.",
        ending="{family} {depth}, {split}: {mean:.2f} %",
    )


def error_by_depth(runs: pd.DataFrame) -> Figure:
    """Error at the end against depth, on training and on test images, with the paper's beside it.

    The training error is that of the last epoch, in evaluation mode; the test error that of the
    weights of the best epoch.
    """
    errors = runs.assign(
        training=1 - runs["train_evaluation_accuracy"], test=1 - runs["test_accuracy"]
    )
    table = summarize_each(errors, ["family", "depth"], ["training", "test"], "split")
    table = in_percent(table).assign(source=_OURS)
    if runs["dataset"].isin(_COMPARABLE).all():
        papers = literature.resnet_errors().rename(columns={"error": "mean"})
        table = pd.concat([table, papers.assign(split="test", source=_PAPERS)], ignore_index=True)
    rows = linked(table, runs, ["family", "depth"])
    rows.loc[rows["source"] == _PAPERS, "runs"] = ""
    ends = words.rows(table[table["source"] == _OURS], "{family} {depth}, {split}: {mean:.2f} %")
    return lines(
        rows,
        depths(table),
        Axis("mean", "error (%)", zero=True),
        panels=Panels("split", columns=2),
        dash="source",
        shape="source",
        title=dataset_titles(runs),
        text=f"Error on {dataset_titles(runs)} by depth, training and test: {ends}. "
        "The paper's errors stand beside it where they can be compared.",
    )


def errors(runs: pd.DataFrame) -> Table:
    """Every network's errors, with the paper's test error where it gives one for such a network."""
    comparable = runs["dataset"].isin(_COMPARABLE).all()

    def error_of(accuracy: str) -> Callable[[pd.DataFrame], Estimate]:
        return lambda part: mean_of(part.assign(error=100 * (1 - part[accuracy])), "error")

    def papers(part: pd.DataFrame) -> float | None:
        is_resnet = part["family"].iloc[0] == "ResNet"
        depth = int(part["depth"].iloc[0])
        return literature.RESNET_ERROR.get(depth) if is_resnet and comparable else None

    shown = words_for(empty="unknown")
    columns = [
        MODEL,
        replace(DEPTH, heading="Layers"),
        Column("", dataset_titles, name="Dataset"),
        Column("", lambda part: part["epochs"].max(), name="Epochs"),
        Column(
            "Training error (%)",
            error_of("train_evaluation_accuracy"),
            shown,
            "Training error",
            "Training half-width",
            digits=3,
        ),
        Column(
            "Test error (%)",
            error_of("test_accuracy"),
            shown,
            "Test error",
            "Test half-width",
            digits=3,
        ),
        column_n(),
        count_of_runs(),
        Column(
            "He et al.: test (%)",
            papers,
            lambda value: "" if value is None else f"{value:.2f}",
            "Paper's test error",
        ),
    ]
    return table_of(runs, ["family", "depth"], columns)


def gradient_norms(layers: pd.DataFrame) -> Figure:
    """The gradient's norm at each layer, at the start and after training, a panel per depth."""
    return _by_layer(layers, "gradient_norm", "gradient norm", "x")


def responses(layers: pd.DataFrame) -> Figure:
    """The standard deviation of each convolution's output, at the start and after training.

    The linear layer on top has no batch normalisation; its logits are on a scale of their own.
    """
    convolutions = layers[layers["module"] != "output"]
    return _by_layer(convolutions, "response", "standard deviation", "xy")


def _by_layer(layers: pd.DataFrame, value: str, title: str, apart: str) -> Figure:
    table = summarize(layers, ["family", "depth", "state", "layer"], value)
    ends = [
        f"{family} {depth} {state}: {rows['mean'].iloc[0]:.2g} to {rows['mean'].iloc[-1]:.2g}"
        for (family, depth, state), rows in table.groupby(["family", "depth", "state"])
    ]
    return lines(
        table,
        Axis("layer", "layer"),
        Axis("mean", title, log=True, digits=".3g"),
        panels=Panels("depth", columns=2, apart=apart),
        dash=("state", ["after training", "at the start"]),
        dense=True,
        title=dataset_titles(layers),
        text=f"{title.capitalize()} on {dataset_titles(layers)} by layer, a panel per depth, from "
        f"the first layer to the last: {'; '.join(ends)}.",
    )


#: What a network costs: the column, what a panel calls it, and its unit in that column's units.
_COSTS = {
    "epoch_seconds": ("seconds per epoch", 1.0),
    "flops": ("million FLOPs per image", 1e6),
    "peak_memory_bytes": ("peak memory (MiB)", 2.0**20),
}


def cost_by_depth(runs: pd.DataFrame, times: pd.DataFrame | None = None) -> Figure:
    """What depth costs: seconds per epoch, FLOPs of a forward pass, peak memory; a panel each.

    Runs of different days, beside other work or not, do not compare in seconds.  With `times`,
    see `times`, a panel per benchmark has the milliseconds of a training image instead.
    """
    costs = {title: runs[column] / unit for column, (title, unit) in _COSTS.items()}
    parts = []
    if times is not None and not times.empty:
        costs.pop(_COSTS["epoch_seconds"][0])
        several = times["processor"].nunique() > 1
        for name, rows in times.groupby("processor", sort=False):
            title = "ms per training image" + (f", {name}" if several else "")
            timed = rows.assign(**{title: rows["milliseconds"]})
            parts.append(summarize_each(timed, ["family", "depth"], [title], "cost"))
    parts.append(summarize_each(runs.assign(**costs), ["family", "depth"], [*costs], "cost"))
    table = pd.concat(parts, ignore_index=True)
    return lines(
        table,
        Axis("depth", words.depth_axis(table["family"]), zero=True),
        Axis("mean", "", zero=True, digits=".4~g"),
        panels=Panels("cost", columns=2, apart="y"),
        title=dataset_titles(runs),
        text=f"Cost on {dataset_titles(runs)} by depth: "
        f"{words.rows(table, '{family} {depth}: {mean:.4g} {cost}')}.",
    )
