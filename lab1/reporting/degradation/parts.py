"""The runs of the chapter on degradation, by what they are for.

Each function takes the frame of `runs`, whose first row is of the main comparison.
"""

from __future__ import annotations

import pandas as pd

_MAIN = ["precision", "epochs_allowed", "learning_rate"]


def main(runs: pd.DataFrame) -> pd.DataFrame:
    """The twins at every depth: one precision, one number of epochs, one learning rate."""
    return _like_the_first(runs, _MAIN)


def compared(runs: pd.DataFrame) -> pd.DataFrame:
    """The same in the other precision."""
    same = in_both_precisions(runs)
    chosen: pd.DataFrame = same[same["precision"] != runs["precision"].iloc[0]]
    return chosen


def in_both_precisions(runs: pd.DataFrame) -> pd.DataFrame:
    """The main comparison and the same in the other precision."""
    return _like_the_first(runs, ["epochs_allowed", "learning_rate"])


def gentler(runs: pd.DataFrame) -> pd.DataFrame:
    """The same at another learning rate."""
    same = _like_the_first(runs, ["precision", "epochs_allowed"])
    chosen: pd.DataFrame = same[same["learning_rate"] != runs["learning_rate"].iloc[0]]
    return chosen


def shorter(runs: pd.DataFrame) -> pd.DataFrame:
    """Networks that were trained for another number of epochs."""
    chosen: pd.DataFrame = runs[runs["epochs_allowed"] != runs["epochs_allowed"].iloc[0]]
    return chosen


def among(rows: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """The rows, of a history or of layers, that belong to these runs."""
    chosen: pd.DataFrame = rows[rows["key"].isin(runs["key"])]
    return chosen


def _like_the_first(runs: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    first = runs.iloc[0]
    chosen: pd.DataFrame = runs[(runs[columns] == first[columns]).all(axis=1)]
    return chosen
