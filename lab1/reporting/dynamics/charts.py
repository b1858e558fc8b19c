"""How large the gradients were, epoch by epoch."""

from __future__ import annotations

import pandas as pd

from ..comparison.selection import base_rate
from ..kit import words
from ..kit.axes import Axis, Panels, epochs
from ..kit.charts import lines
from ..kit.figure import Figure
from ..kit.sentences import Verdict
from ..kit.statistics import at_the_end, complete, summarize
from ..kit.words import dataset_titles
from ..pages.summary import NO_RUNS


def gradient_norms(history: pd.DataFrame) -> Figure | Verdict:
    """The mean norm of an epoch's gradients, a panel per depth; without runs, a sentence."""
    if history.empty:
        return NO_RUNS
    known, by = base_rate(history).dropna(subset=["gradient_norm"]), ["family", "depth"]
    table = complete(summarize(known, [*by, "epoch"], "gradient_norm"), by)
    ends = words.rows(at_the_end(table, by), "{family} {depth}: {mean:.3g}")
    return lines(
        table,
        epochs(table),
        Axis("mean", "gradient norm", log=True, digits=".3g"),
        panels=Panels("depth"),
        dense=True,
        title=dataset_titles(history),
        text=f"Mean norm of the gradients of an epoch on {dataset_titles(history)}, a panel per "
        f"depth. In the last epoch: {ends}.",
    )
