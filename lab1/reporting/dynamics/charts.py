"""How large the gradients were, epoch by epoch."""

from __future__ import annotations

import altair as alt
import pandas as pd

from ..comparison.selection import base_rate
from ..kit import words
from ..kit.drawing import at_the_end, dataset_titles, said, ticks
from ..kit.figure import Figure
from ..kit.panels import Axis, complete, panels
from ..kit.sentences import Verdict
from ..kit.statistics import summarize
from ..pages.summary import NO_RUNS


def gradient_norms(history: pd.DataFrame) -> Figure | Verdict:
    """The mean norm of an epoch's gradients, a panel per depth; without runs, a sentence."""
    if history.empty:
        return NO_RUNS
    known = base_rate(history).dropna(subset=["gradient_norm"])
    table = summarize(known, ["family", "depth", "epoch"], "gradient_norm")
    table = complete(table, ["family", "depth"])
    last = at_the_end(table, ["family", "depth"])
    ends = said(last, "{family} {depth}: {mean:.3g}")
    chart = panels(
        table,
        x=Axis("epoch", "epoch", values=ticks(table["epoch"].max())),
        y=Axis("mean", "gradient norm", log=True, format=".3g"),
        facet=alt.Facet("depth:O", title=words.depth_axis(list(table["family"].unique()))),
        title=dataset_titles(history),
    )
    return Figure(
        chart,
        table,
        f"Mean norm of the gradients of an epoch on {dataset_titles(history)}, a panel per depth. "
        "In the last epoch: " + ends + ".",
    )
