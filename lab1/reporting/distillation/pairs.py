"""Distilled runs beside their twins, which differ from them in the loss alone.

Each function takes the frame of `runs`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from ...core.record import Record

#: Twins are compared only where these are the same.
_SHARED = ["device", "versions"]


@dataclass(frozen=True)
class Setting:
    """The student and the distillation that a chapter is about."""

    channels: int
    temperature: float
    alpha: float

    @classmethod
    def of(cls, parameters: Mapping[str, Any]) -> Setting:
        """That of a chapter's parameters."""
        return cls(parameters["student_channels"], parameters["temperature"], parameters["alpha"])


def pairs(runs: pd.DataFrame) -> pd.DataFrame:
    """One row per distilled run whose twin is there: its columns, and what it gained.

    `gain` is its test accuracy minus the twin's, `validation_gain` the same on the validation
    split, `fewer_errors` the twin's test errors minus its own; `alone` is the twin's test
    accuracy.  Pairs of different devices or versions are left out.
    """
    measured = ["test_accuracy", "validation_accuracy", "errors"]
    alone = runs[["key", *_SHARED, *measured]].rename(
        columns={"key": "twin"} | {name: f"{name}_alone" for name in measured}
    )
    joined = runs.dropna(subset=["twin"]).merge(alone, on=["twin", *_SHARED])
    return joined.assign(
        alone=joined["test_accuracy_alone"],
        gain=joined["test_accuracy"] - joined["test_accuracy_alone"],
        validation_gain=joined["validation_accuracy"] - joined["validation_accuracy_alone"],
        fewer_errors=joined["errors_alone"] - joined["errors"],
    ).drop(columns=[f"{name}_alone" for name in measured])


def photographs(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs of convolutional networks."""
    chosen: pd.DataFrame = runs[runs["channels"].notna()]
    return chosen


def digits(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs of perceptrons."""
    chosen: pd.DataFrame = runs[runs["channels"].isna()]
    return chosen


def teachers(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs that teach, and those that differ from one that does in the seed alone."""
    groups = runs[runs["key"].isin(runs["teacher"].dropna())]["group"]
    chosen: pd.DataFrame = runs[runs["group"].isin(groups)]
    return chosen


def of_setting(pairs: pd.DataFrame, setting: Setting) -> pd.DataFrame:
    """The pairs of one student at one temperature and one alpha."""
    chosen: pd.DataFrame = pairs[
        (pairs["channels"] == setting.channels)
        & (pairs["temperature"] == setting.temperature)
        & (pairs["alpha"] == setting.alpha)
    ]
    return chosen


def longer(runs: pd.DataFrame, setting: Setting) -> pd.DataFrame:
    """The runs of the student without a teacher that were trained longer than any with one."""
    students = photographs(runs)
    own = students[
        (students["channels"] == setting.channels) & ~students["key"].isin(teachers(runs)["key"])
    ]
    distilled = own["teacher"].notna()
    longest = own[distilled]["epochs"].max()
    chosen: pd.DataFrame = own[~distilled & (own["epochs"] > longest)]
    return chosen


def sweep(runs: pd.DataFrame, setting: Setting, by: str) -> pd.DataFrame:
    """The pairs that differ from `setting` in `by` alone, of the seeds that have all."""
    found = pairs(photographs(runs))
    for name in ("channels", "temperature", "alpha"):
        if name != by:
            found = found[found[name] == getattr(setting, name)]
    per_seed = found.groupby("seed")[by].nunique()
    common = per_seed[per_seed == found[by].nunique()].index
    chosen: pd.DataFrame = found[found["seed"].isin(common)]
    return chosen


def unseen(measured: Sequence[tuple[Record, Mapping[str, Any]]]) -> pd.DataFrame:
    """One row per run and its probe `bias-correction`.

    `taught` tells whether it was distilled; `right` is the share of the test images of the
    omitted `class` that it recognises, `errors` are its errors on all test images, and
    `class_errors` those on the class, each also `corrected_`; `corrected_gain` is what the
    correction adds to the accuracy over all classes.
    """
    rows = []
    for record, probe in measured:
        images = probe["count_of_class"]
        of_class, errors = probe["errors_of_class"], probe["errors"]
        rows.append(
            {
                "seed": record.spec.seed,
                "taught": record.spec.distillation is not None,
                "class": probe["omitted_class"],
                "images": images,
                "offset": probe["offset"],
                "errors": errors["before"],
                "class_errors": of_class["before"],
                "right": 1 - of_class["before"] / images,
                "corrected_errors": errors["after"],
                "corrected_class_errors": of_class["after"],
                "corrected_right": 1 - of_class["after"] / images,
                "corrected_gain": (errors["before"] - errors["after"]) / record.test["count"],
            }
        )
    return pd.DataFrame(rows, columns=_UNSEEN)


_UNSEEN = [
    "seed", "taught", "class", "images", "offset", "errors", "class_errors", "right",
    "corrected_errors", "corrected_class_errors", "corrected_right", "corrected_gain",
]  # fmt: skip
