"""How large the gradients were, epoch by epoch."""

from __future__ import annotations

import pandas as pd

from ..comparison.selection import base_rate
from ..curves import by_epoch
from ..kit.axes import Axis, Panels
from ..kit.figure import Figure
from ..kit.sentences import Verdict
from ..pages.summary import NO_RUNS


def gradient_norms(history: pd.DataFrame) -> Figure | Verdict:
    """The mean norm of an epoch's gradients, a panel per depth; without runs, a sentence."""
    if history.empty:
        return NO_RUNS
    return by_epoch(
        base_rate(history),
        ["gradient_norm"],
        Axis("mean", "gradient norm", log=True, digits=".3g"),
        panels=Panels("depth"),
        text="Mean norm of the gradients of an epoch on {data}, a panel per depth. In the last "
        "epoch: {ends}.",
        ending="{family} {depth}: {mean:.3g}",
    )
