"""The degradation problem: error by epoch and depth, signals by layer, precision, cost of depth.

A network degrades where more layers make it worse on its own training images, scored in evaluation
mode (He et al. 2016, section 1).  Errors are in percent.
"""

import math
from dataclasses import replace
from typing import Any

import pandas as pd

from . import predictions, tables, words
from .axes import Axis, Panels, depths
from .charts import draw_chart, linked
from .claims import Prose
from .figure import Figure
from .frames import Measured
from .selections import Selection
from .statistics import MINUS, at_the_end, in_percent, mean_of, summarize, summarize_each
from .tables import Column, Table
from .words import dataset_titles

#: Error in percent on the test images of CIFAR-10 of the residual nets by their layers.
#: He et al. (2016), Table 6; of 110 layers the best of five runs, whose mean is 6.61.
RESNET_ERROR = {20: 8.75, 32: 7.51, 44: 7.17, 56: 6.97, 110: 6.43}

#: The same of the plain nets, after 300 epochs with weight decay 0.0005: Li et al. (2018).
PLAIN_ERROR = {20: 8.18, 56: 13.31, 110: 16.44}


def errors_of_papers() -> pd.DataFrame:
    """Both as a frame: `family`, `depth`, `error` in percent, and the paper as `source`."""
    papers = {"ResNet": (RESNET_ERROR, "He et al. (2016)"),
              "PlainNet": (PLAIN_ERROR, "Li et al. (2018)")}  # fmt: skip
    rows = [
        {"family": family, "depth": depth, "error": error, "source": source}
        for family, (reported, source) in papers.items()
        for depth, error in reported.items()
    ]
    return pd.DataFrame(rows)


_OURS = "this laboratory"

#: The papers' figures are for CIFAR-10; beside other data they would mislead.
_COMPARABLE = ("cifar10", "cifar10-jpeg")

NOT_MEASURED = Prose("The training error of these runs was not measured.")


# Arms of comparisons


def at_epoch(runs: Selection, history: pd.DataFrame, called: str) -> Selection:
    """Runs with the training error of their `last epoch`, or `two epochs earlier`."""
    back = {"last epoch": 0, "two epochs earlier": 2}[called]
    last = history.groupby("key")["epoch"].transform("max")
    then = history[history["epoch"] == last - back].set_index("key")
    error = 1 - then["train_evaluation_accuracy"]
    return runs.with_measured(called, error.to_frame("train_error"))


def with_statistics(runs: Selection, measured: Measured, called: str) -> Selection:
    """Runs with the training error of their saved weights, by `recomputed-statistics`.

    With the `running statistics` of batch normalisation, or with `fresh statistics`, which ten
    training batches gave anew.
    """
    entry = {"running statistics": "error", "fresh statistics": "recomputed_error"}[called]
    errors = {record.key: probe[entry] for record, probe in measured}
    return runs.with_measured(called, pd.Series(errors, dtype=float).to_frame("train_error"))


def at_layers(runs: Selection, layers: pd.DataFrame, place: str) -> Selection:
    """Runs with the means over some of their layers, see `signals`."""
    of_place = signals(layers)
    return runs.with_measured(place, of_place[of_place["place"] == place].set_index("key"))


def signals(layers: pd.DataFrame) -> pd.DataFrame:
    """Rows of `key`, `place` and what was measured there, of the convolutions of each run.

    At the start, at the `first layer` and the `last convolution`: `gradient_norm`, and its
    logarithm `log_gradient_norm` to the base of ten; in the `first stage` and the `last stage`:
    `gradient_growth`, by which factor the norm grows from a layer to the one before it (geometric
    mean).  `after training`: `response`, the mean over the layers.
    """
    rows: list[dict[str, Any]] = []
    convolutions = layers[layers["module"] != "output"].sort_values("layer", kind="stable")
    for (key, state), part in convolutions.groupby(["key", "state"], sort=False):
        if state == "after training":
            rows.append({"key": key, "place": state, "response": part["response"].mean()})
            continue
        norms = [float(norm) or math.nan for norm in part["gradient_norm"]]
        for place, norm in (("first layer", norms[0]), ("last convolution", norms[-1])):
            known = {"gradient_norm": norm, "log_gradient_norm": math.log10(norm)}
            rows.append({"key": key, "place": place, **known})
        size = len(norms) // 3  # the first convolution belongs to no stage
        for place, stage in (("first stage", norms[1 : size + 1]), ("last stage", norms[-size:])):
            growth = (stage[0] / stage[-1]) ** (1 / (len(stage) - 1))
            rows.append({"key": key, "place": place, "gradient_growth": growth})
    return pd.DataFrame(rows)


# Charts and tables


def error_curves(history: pd.DataFrame) -> Figure | Prose:
    """Training error in evaluation mode against epochs, a line for each run."""
    known = history.dropna(subset=["train_evaluation_accuracy"])
    if known.empty:
        return NOT_MEASURED
    table = known[["family", "depth", "seed", "epoch"]].assign(
        error=100 * (1 - known["train_evaluation_accuracy"]),
        network=known["family"] + " " + known["depth"].astype(str),
        layers=known["depth"].map(lambda depth: f"{depth} layers"),
    )
    deepest_first = table.sort_values("depth", ascending=False)["layers"].unique()
    networks = ["family", "depth", "network", "epoch"]
    ends = at_the_end(table.groupby(networks)["error"].mean().reset_index(), ["network"])
    last = int(table["epoch"].max())
    step = max(1, round(last / 5))
    drawn = draw_chart(
        table,
        Axis("epoch", "epoch", ticks=range(step, last + 1, step), format="d"),
        Axis("error", "training error (%)", zero=True),
        dash=("layers", [*deepest_first]),
        detail="seed",
        label="network",
        marks="curves",
        title=dataset_titles(history),
        text=f"Training error on {dataset_titles(history)} by epoch, a line for each seed. At the "
        f"end, mean over the seeds: {words.rows(ends, '{network}: {error:.2f} %')}.",
        data=table.drop(columns=["network", "layers"]),
    )
    rows = table[table["epoch"] == last].sort_values("depth")
    axis = words.depth_axis(table["family"])
    return replace(drawn, predicted=predictions.of(rows, "depth", "error", axis))


def error_by_depth(runs: pd.DataFrame) -> Figure:
    """Test error of the weights of the best epoch against depth, with the papers' beside it."""
    by = ["family", "depth"]
    known = runs.dropna(subset=["test_error"])
    table = in_percent(summarize(known, by, "test_error")).assign(source=_OURS)
    if runs["dataset"].isin(_COMPARABLE).all():
        papers = errors_of_papers().rename(columns={"error": "mean"})
        table = pd.concat([table, papers], ignore_index=True)
    rows = linked(table, runs, by)
    rows.loc[rows["source"] != _OURS, "runs"] = ""
    ends = words.rows(table[table["source"] == _OURS], "{family} {depth}: {mean:.2f} %")
    return draw_chart(
        rows,
        depths(table),
        Axis("mean", "test error (%)", zero=True),
        dash="source",
        shape="source",
        title=dataset_titles(runs),
        text=f"Test error on {dataset_titles(runs)} by depth: {ends}. Values of papers stand "
        "beside it where they can be compared.",
    )


def errors(runs: pd.DataFrame) -> Table:
    """Every network's errors, with the test error that He et al. (2016) report for such a one."""
    comparable = runs["dataset"].isin(_COMPARABLE).all()

    def papers(part: pd.DataFrame) -> float | None:
        is_resnet = part["family"].iloc[0] == "ResNet"
        depth = int(part["depth"].iloc[0])
        return RESNET_ERROR.get(depth) if is_resnet and comparable else None

    columns = [
        tables.MODEL,
        replace(tables.DEPTH, heading="Layers"),
        Column("", dataset_titles, name="Dataset"),
        Column("", lambda part: part["epochs"].max(), name="Epochs"),
        _error("Training", "train_error"),
        _error("Test", "test_error"),
        Column("Test loss", lambda part: mean_of(part, "test_loss"), tables.words_for("#.3g"),
               spread="Loss half-width", digits=5),
        tables.column_n(),
        tables.count_of_runs(),
        Column(
            "He et al.: test (%)",
            papers,
            lambda value: "" if value is None else f"{value:.2f}",
            "Paper's test error",
        ),
    ]  # fmt: skip
    return tables.table_of(runs, ["family", "depth"], columns)


def _error(of: str, column: str) -> Column:
    return Column(
        f"{of} error (%)",
        lambda part: mean_of(part.assign(**{column: 100 * part[column]}), column),
        tables.words_for(empty="unknown"),
        f"{of} error",
        f"{of} half-width",
        digits=3,
    )


def precisions(runs: pd.DataFrame, agreement: Measured) -> Table:
    """Every network's training error in each precision, and how exact its first gradient is."""
    probes = {record.key: probe for record, probe in agreement}

    def cosine(heading: str, name: str) -> Column:
        def least(part: pd.DataFrame) -> float:
            return min(
                (probes[key][name] for key in part["key"] if key in probes), default=math.nan
            )

        def show(number: float) -> str:
            return "" if math.isnan(number) else f"{number:.2f}".replace("-", MINUS)

        return Column(heading, least, show, digits=3)

    columns = [
        tables.MODEL,
        replace(tables.DEPTH, heading="Layers"),
        tables.PRECISION,
        cosine("Cosine in bf16", "bf16"),
        cosine("Cosine with jitter", "jittered"),
        replace(_error("Training", "train_error"), spread="95% half-width"),
        tables.column_n(),
        tables.count_of_runs(),
        tables.DEVICE,
    ]
    return tables.table_of(runs, ["family", "depth", "precision"], columns)


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
    return draw_chart(
        table,
        Axis("layer", "layer"),
        Axis("mean", title, log=True, digits=".3g"),
        panels=Panels("depth", columns=2, apart=apart),
        dash=("state", ["after training", "at the start"]),
        marks="curves",
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
    """The cost of depth: seconds per epoch, FLOPs of a forward pass, peak memory; a panel each.

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
    return draw_chart(
        table,
        Axis("depth", words.depth_axis(table["family"]), zero=True),
        Axis("mean", "", zero=True, digits=".4~g"),
        panels=Panels("cost", columns=2, apart="y"),
        title=dataset_titles(runs),
        text=f"Cost on {dataset_titles(runs)} by depth: "
        f"{words.rows(table, '{family} {depth}: {mean:.4g} {cost}')}.",
    )
