"""Distilled runs beside their twins, which differ from them in the loss alone.

Each function takes the frame of `runs`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from .frames import Measured

#: Twins are compared only where these are the same.
_SHARED = ["device", "versions"]


@dataclass(frozen=True)
class Setting:
    """The student and the distillation that a chapter is about."""

    channels: int
    temperature: float
    alpha: float
    teacher_seed: int = 0

    @classmethod
    def of(cls, parameters: Mapping[str, Any]) -> Setting:
        """The settings of a chapter's parameters."""
        names = ("student_channels", "temperature", "alpha", "teacher_seed")
        return cls(*(parameters[name] for name in names))


def pairs(runs: pd.DataFrame) -> pd.DataFrame:
    """One row per distilled run whose twin is there: its columns, and what it gained.

    `gain` is its test accuracy minus the twin's, `validation_gain` the same on the validation
    split, `loss_gain` the same of the test loss, and `fewer_errors` the twin's test errors minus
    its own; `alone` is the twin's test accuracy.  Pairs of different devices or versions are left
    out.
    """
    measured = ["test_accuracy", "validation_accuracy", "errors", "test_loss"]
    alone = runs[["key", *_SHARED, *measured]].rename(columns={"key": "twin"})
    taught = runs.dropna(subset=["twin"])
    joined = taught.merge(alone, on=["twin", *_SHARED], suffixes=("", "_alone"))
    return joined.assign(
        alone=joined["test_accuracy_alone"],
        gain=joined["test_accuracy"] - joined["test_accuracy_alone"],
        validation_gain=joined["validation_accuracy"] - joined["validation_accuracy_alone"],
        fewer_errors=joined["errors_alone"] - joined["errors"],
        loss_gain=joined["test_loss"] - joined["test_loss_alone"],
    ).drop(columns=[f"{name}_alone" for name in measured])


def main(runs: pd.DataFrame) -> pd.DataFrame:
    """The students of the first setting with their teacher, and alone, and that teacher."""
    same = ["teacher", "temperature", "alpha", "channels", "wrong_classes"]
    first = runs[runs["teacher"].notna()].iloc[0]
    taught = runs[(runs[same] == first[same]).all(axis=1)]
    keys = {*taught["key"], *taught["twin"], first["teacher"]}
    return runs.loc[runs["key"].isin(keys)]


def teachers(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs that teach, and those that differ from one that does in the seed alone."""
    groups = runs[runs["key"].isin(runs["teacher"].dropna())]["group"]
    return runs.loc[runs["group"].isin(groups)]


def of_setting(runs: pd.DataFrame, setting: Setting, free: str = "") -> pd.DataFrame:
    """The pairs of its student, temperature and alpha, with its teacher, whose answers are kept.

    They may differ in the one of these that is `free`.
    """
    selected = pairs(runs.dropna(subset=["channels"]))  # of convolutional networks alone
    selected = selected[selected["teacher_seed"] == setting.teacher_seed]
    selected = selected[selected["wrong_classes"] == "kept"]
    for name in {"channels", "temperature", "alpha"} - {free}:
        selected = selected[selected[name] == getattr(setting, name)]
    return selected


def longer(runs: pd.DataFrame, setting: Setting) -> pd.DataFrame:
    """The runs of the student without a teacher that were trained longer than any with one."""
    of_size = runs["channels"] == setting.channels
    alike = runs.loc[of_size & ~runs["key"].isin(teachers(runs)["key"])]
    distilled = alike["teacher"].notna()
    longest = alike[distilled]["epochs"].max()
    return alike.loc[~distilled & alike["epochs"].gt(longest)]


def sweep(runs: pd.DataFrame, setting: Setting, by: str) -> pd.DataFrame:
    """The pairs that differ from `setting` in `by` alone, of the seeds that have all."""
    swept = of_setting(runs, setting, free=by)
    per_seed = swept.groupby("seed")[by].nunique()
    common = per_seed[per_seed == swept[by].nunique()].index
    return swept.loc[swept["seed"].isin(common)]


def unseen(measured: Measured) -> pd.DataFrame:
    """One row per run and its probe `bias-correction`.

    `taught` tells whether it was distilled; `unseen_accuracy` is the share of the test images of
    the omitted `class` that it recognises, `errors` are its errors on all test images, and
    `class_errors` those on the class, each also `corrected_`.
    """
    rows = [
        [
            *(record.key, record.spec.seed, record.spec.distillation is not None),
            *(probe["omitted_class"], probe["count_of_class"]),
            *(probe[of][when] for when in ("before", "after") for of in _ERRORS),
        ]
        for record, probe in measured
    ]
    table = pd.DataFrame(rows, columns=_UNSEEN)
    return table.assign(
        unseen_accuracy=1 - table["class_errors"] / table["images"],
        corrected_accuracy=1 - table["corrected_class_errors"] / table["images"],
    )


_ERRORS = ("errors", "errors_of_class")
_UNSEEN = [
    "key", "seed", "taught", "class", "images", "errors", "class_errors", "corrected_errors",
    "corrected_class_errors",
]  # fmt: skip
