"""Chooses the runs that a chart is about from the frame of `runs`."""

from __future__ import annotations

import pandas as pd


def base_rate(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs at the learning rate that all depths share, the sweep left out.

    It is the rate used at the most depths; among equals the first, since a plan begins with it.
    """
    if runs.empty:
        return runs
    rate = runs.groupby("learning_rate", sort=False)["depth"].nunique().idxmax()
    selected: pd.DataFrame = runs[runs["learning_rate"] == rate]
    return selected


def swept_depths(runs: pd.DataFrame) -> list[int]:
    """The depths that were trained with more than one learning rate."""
    rates = runs.groupby("depth")["learning_rate"].nunique()
    return [int(depth) for depth in rates[rates > 1].index]
