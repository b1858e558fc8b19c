"""The charts: each function takes a frame and gives a `Figure`.

Means are over seeds and carry their 95 % interval where there are three or more.
"""

from __future__ import annotations

from typing import Any

import altair as alt
import pandas as pd

from ..kit import theme, words
from ..kit.drawing import (
    at_the_end,
    dataset_titles,
    in_percent,
    interval_rule,
    interval_tooltip,
    leading,
    picked,
    rounded,
    said,
    ticks,
)
from ..kit.figure import Figure
from ..kit.panels import Axis, complete, panels
from ..kit.sentences import Verdict
from ..kit.statistics import summarize
from . import selection, verdicts

#: In pixels: the height of a single chart, and that of a name in it.
_HEIGHT, _LINE_OF_TEXT = 300, 17


def loss_curves(history: pd.DataFrame) -> Figure:
    """Training and validation loss against epochs, one panel per depth."""
    long = (
        selection.base_rate(history)
        .melt(
            id_vars=["family", "depth", "learning_rate", "seed", "epoch"],
            value_vars=["train_loss", "validation_loss"],
            var_name="split",
            value_name="loss",
        )
        .dropna(subset=["loss"])
    )
    long["split"] = long["split"].map({"train_loss": "training", "validation_loss": "validation"})
    table = summarize(long, ["family", "depth", "split", "epoch"], "loss")
    table = complete(table, ["family", "depth", "split"])
    depth = words.depth_axis(list(table["family"].unique()))
    chart = panels(
        table,
        x=Axis("epoch", "epoch", values=ticks(table["epoch"].max())),
        y=Axis("mean", "cross-entropy", log=True, format=".4f"),
        facet=alt.Facet("depth:O", title=depth),
        title=dataset_titles(history),
        dash=("split", ["training", "validation"]),
        pick="split",
        height=150,
    )
    last = at_the_end(table[table["split"] == "training"], ["family", "depth"])
    ends = said(last, "{family} {depth}: {mean:.3g}")
    return Figure(
        chart,
        table,
        f"Training and validation loss on {dataset_titles(history)} by epoch, a panel per depth. "
        "Training loss at the end: " + ends + ".",
    )


def accuracy_by_depth(runs: pd.DataFrame, runs_page: str = "") -> Figure:
    """Test accuracy against depth, with intervals.

    Points lead to their runs, on the same page or on the `runs_page`.
    """
    base, by = selection.base_rate(runs), ["family", "depth"]
    table = in_percent(summarize(base, by, "test_accuracy"))
    depth = words.depth_axis(list(table["family"].unique()))
    chart = _with_intervals(
        leading(table, base, by, runs_page),
        title=dataset_titles(runs),
        x=_log_x("depth", depth, table, format="d", values=True),
        y_title="test accuracy (%)",
        extra=[alt.Tooltip("depth:Q", title="depth")],
        along="depth",
    )
    return Figure(chart, table, _alt(f"Test accuracy{_on(runs)} by {depth}", table, "depth", " %"))


def outcomes_by_depth(runs: pd.DataFrame) -> Figure:
    """Test accuracy and training loss against depth, side by side, with intervals."""
    base, by = selection.base_rate(runs), ["family", "depth"]
    accuracy, loss = "test accuracy (%)", "training loss, last epoch"
    numbers = ["mean", "half_width", "low", "high"]
    both = [
        in_percent(summarize(base, by, "test_accuracy")).assign(panel=accuracy),
        summarize(base, by, "train_loss").astype(dict.fromkeys(numbers, float)).assign(panel=loss),
    ]
    table = pd.concat(both, ignore_index=True)[[*by, "panel", *numbers, "n"]]
    depth = words.depth_axis(list(table["family"].unique()))
    pick, shown = picked("family")
    families = list(table["family"].unique())
    # One family needs no legend: the page's title names it.
    legend = {} if len(families) > 1 else {"legend": None}
    base_chart = alt.Chart().encode(
        x=_log_x("depth", depth, table, format="d", values=True),
        color=theme.family_colour(families, **legend),
        opacity=shown,
    )
    y = alt.Y("mean:Q", title=None, scale=alt.Scale(zero=False, padding=8))
    tooltip = [alt.Tooltip("family:N", title="model"), alt.Tooltip("depth:Q", title="depth")]
    points = base_chart.mark_point(opacity=1, cursor="pointer").encode(
        y=y,
        shape=theme.family_shape(families, **legend),
        tooltip=[*tooltip, *interval_tooltip("mean", ".4g")],
        href="runs:N",
    )
    chart = (
        alt.layer(
            base_chart.mark_line().encode(y=y),
            interval_rule(base_chart, ""),
            points,
            data=rounded(leading(table, base, by)),
        )
        .properties(width=300, height=200)
        .facet(facet=alt.Facet("panel:N", title=None, sort=[accuracy, loss]), columns=2)
        .resolve_scale(y="independent")
        .properties(title=dataset_titles(runs))
        .add_params(pick)
    )
    texts = [
        _alt(str(title), part, "depth", unit, form)
        for (title, part), (unit, form) in zip(
            table.groupby("panel", sort=False), ((" %", ".2f"), ("", ".2g")), strict=True
        )
    ]
    return Figure(chart, table, f"By {depth}. {' '.join(texts)}")


def accuracy_by_parameters(runs: pd.DataFrame) -> Figure:
    """Test accuracy against the number of parameters, with intervals."""
    base, by = selection.base_rate(runs), ["family", "depth", "parameters"]
    table = in_percent(summarize(base, by, "test_accuracy"))
    chart = _with_intervals(
        leading(table, base, by),
        title=dataset_titles(runs),
        x=_log_x("parameters", "parameters", table, format="~s"),
        y_title="test accuracy (%)",
        extra=[
            alt.Tooltip("depth:Q", title="depth"),
            alt.Tooltip("parameters:Q", title="parameters", format=","),
        ],
    )
    return Figure(
        chart, table, _alt(f"Test accuracy{_on(runs)} by parameters", table, "parameters", " %")
    )


def learning_rate_sweep(runs: pd.DataFrame) -> Figure | Verdict:
    """Validation accuracy, on which a rate is chosen, against the rate, a panel per swept depth.

    Where no depth was swept, a sentence that says so.
    """
    if not selection.swept_depths(runs):
        return verdicts.NOT_SWEPT
    swept = runs[runs["depth"].isin(selection.swept_depths(runs))]
    by = ["family", "depth", "learning_rate"]
    table = in_percent(summarize(swept, by, "validation_accuracy"))
    chart = _with_intervals(
        leading(table, swept, by),
        title=dataset_titles(runs),
        x=_log_x("learning_rate", "learning rate", table, format="~g", values=True),
        y_title="validation accuracy (%)",
        extra=[
            alt.Tooltip("depth:O", title="depth"),
            alt.Tooltip("learning_rate:Q", title="learning rate", format="~g"),
        ],
        along="learning_rate",
        facet=alt.Facet("depth:O", title=words.depth_axis(list(swept["family"].unique()))),
    )
    return Figure(
        chart,
        table,
        _alt(f"Validation accuracy{_on(runs)} by learning rate", table, "learning_rate", " %"),
    )


def _with_intervals(
    table: pd.DataFrame,
    *,
    title: str,
    x: alt.X,
    y_title: str,
    extra: list[alt.Tooltip],
    along: str = "",
    facet: alt.Facet | None = None,
) -> Any:
    """Means as points with a rule for the interval; a family is picked out in the legend.

    A point leads to the address in the column `runs`.  With `along`, a column, lines run along it;
    in a single chart each has its family's name at its end.
    """
    families = list(table["family"].unique())
    pick, shown = picked("family")
    y = alt.Y(
        "mean:Q",
        title=y_title,
        scale=alt.Scale(zero=False, padding=8),
    )
    tooltip = [
        alt.Tooltip("family:N", title="model"),
        *extra,
        *interval_tooltip(y_title),
    ]
    base = alt.Chart().encode(x=x, color=theme.family_colour(families), opacity=shown)
    interval = interval_rule(base, y_title)
    points = base.mark_point(opacity=1, cursor="pointer").encode(
        y=y, shape=theme.family_shape(families), tooltip=tooltip, href="runs:N"
    )
    layers = [interval, points]
    if along:
        layers.insert(0, base.mark_line().encode(y=y))
    if along and facet is None and len(families) > 1:
        table = table.assign(position=_at_the_ends(table, along))
        named = alt.Chart().transform_filter("isValid(datum.position)")
        layers.append(
            named.mark_text(align="left", dx=10).encode(
                x=x, y=alt.Y("position:Q", title=y_title), text="family:N", opacity=shown
            )
        )
    chart = alt.layer(*layers, data=rounded(table))
    if facet is None:
        return chart.properties(width=560, height=_HEIGHT, title=title).add_params(pick)
    facets = chart.properties(width=320, height=230).facet(facet=facet, columns=2)
    return facets.properties(title=title).add_params(pick)


def _at_the_ends(table: pd.DataFrame, along: str) -> pd.Series[float]:
    """Where the name of each family stands, in the row of its last point: clear of the others."""
    ends = at_the_end(table, ["family"], along).sort_values("mean", kind="stable")["mean"]
    reached = pd.concat([table["mean"], table["low"], table["high"]]).astype(float)
    apart = _LINE_OF_TEXT * float(reached.max() - reached.min()) / _HEIGHT
    positions: list[float] = []
    for mean in ends:
        positions.append(max(mean, positions[-1] + apart) if positions else mean)
    # Pushed up only, all of them would stand too high.
    shift = sum(positions) / len(positions) - ends.mean()
    return pd.Series([each - shift for each in positions], ends.index).reindex(table.index)


def _log_x(
    field: str, title: str, table: pd.DataFrame, *, format: str, values: bool = False
) -> alt.X:
    """A logarithmic axis; with `values` the ticks stand where the data are."""
    axis = alt.Axis(format=format)
    if values:
        axis["values"] = sorted(table[field].unique().tolist())
    scale = alt.Scale(type="log", nice=False, padding=20)
    return alt.X(f"{field}:Q", title=title, scale=scale, axis=axis)


def _on(runs: pd.DataFrame) -> str:
    return f" on {dataset_titles(runs)}"


def _alt(title: str, table: pd.DataFrame, by: str, unit: str, form: str = ".2f") -> str:
    """A text alternative that gives each family's first and last mean along `by`."""
    parts = []
    for family, own in table.groupby("family", sort=False):
        ordered = own.dropna(subset=["mean"]).sort_values(by, kind="stable")
        if ordered.empty:
            parts.append(f"{family} diverged")
            continue
        first, last = ordered.iloc[0], ordered.iloc[-1]
        parts.append(
            f"{family} from {first['mean']:{form}}{unit} at {first[by]:g} to "
            f"{last['mean']:{form}}{unit} at {last[by]:g}"
        )
    seeds = table[table["n"] > 0]["n"]
    counts = f"{seeds.min()} to {seeds.max()}" if seeds.nunique() > 1 else f"{seeds.max()}"
    return f"{title}: {'; '.join(parts)}; mean over {counts} seeds."
