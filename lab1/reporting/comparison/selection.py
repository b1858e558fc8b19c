"""Which runs a sentence or a chart is about, chosen from the frame of `runs`."""

from __future__ import annotations

import pandas as pd

from ..kit.statistics import Estimate, paired_difference


def base_rate(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs at the learning rate that all depths share, the sweep left out.

    It is the rate used at the most depths; among equals the first, since a plan begins with it.
    """
    if runs.empty:
        return runs
    rate = runs.groupby("learning_rate", sort=False)["depth"].nunique().idxmax()
    chosen: pd.DataFrame = runs[runs["learning_rate"] == rate]
    return chosen


def swept_depths(runs: pd.DataFrame) -> list[int]:
    """The depths that were trained with more than one learning rate."""
    rates = runs.groupby("depth")["learning_rate"].nunique()
    return [int(depth) for depth in rates[rates > 1].index]


def finished(runs: pd.DataFrame) -> pd.DataFrame:
    """Without the runs that diverged, whose last epochs before that prove nothing."""
    finished: pd.DataFrame = runs[runs["stopped"] != "diverged"]
    return finished


def of_family(runs: pd.DataFrame, family: str) -> pd.DataFrame:
    """The runs of one family."""
    own: pd.DataFrame = runs[runs["family"] == family]
    return own


def compare(own: pd.DataFrame, first: int, second: int, value: str = "test_accuracy") -> Estimate:
    """What `value` gains from the `first` depth to the `second`, paired by seed."""
    return paired_difference(own[own["depth"] == first], own[own["depth"] == second], value)


def of_network(runs: pd.DataFrame, family: str, depth: int) -> pd.DataFrame:
    """The runs of one family with one depth."""
    own: pd.DataFrame = runs[(runs["family"] == family) & (runs["depth"] == depth)]
    return own
