"""Distilled runs beside their twins, which differ from them in the loss alone.

Each function takes the frame of `runs`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from ...core.differences import changes
from ...core.record import Record
from ...core.spec import RunSpec

#: Twins are compared only where these are the same.
_SHARED = ["device", "versions"]


@dataclass(frozen=True)
class Setting:
    """The student and the distillation that a chapter is about."""

    channels: int
    temperature: float
    alpha: float
    #: The seed of the teacher, and the seeds of the students, `None` for all.
    teacher_seed: int = 0
    seeds: tuple[int, ...] | None = None

    @classmethod
    def of(cls, parameters: Mapping[str, Any]) -> Setting:
        """That of a chapter's parameters."""
        return cls(
            parameters["student_channels"],
            parameters["temperature"],
            parameters["alpha"],
            parameters["teacher_seed"],
        )

    @classmethod
    def fresh(cls, parameters: Mapping[str, Any], runs: pd.DataFrame) -> Setting | None:
        """The one that validation chose, on seeds that had no part in the choice, or `None`."""
        fresh = [spec for spec in runs["spec"] if spec.distillation and spec.role == "fresh"]
        if not fresh:
            return None
        return replace(
            cls.of(parameters),
            temperature=fresh[0].distillation.temperature,
            alpha=fresh[0].distillation.alpha,
            seeds=tuple(sorted({spec.seed for spec in fresh})),
        )


def pairs(runs: pd.DataFrame) -> pd.DataFrame:
    """One row per distilled run whose twin is there: its columns, and what it gained.

    `gain` is its test accuracy minus the twin's, `validation_gain` the same on the validation
    split, `loss_gain` the same of the test loss, `calibration_gain` of the calibration error, and
    `fewer_errors` the twin's test errors minus its own; `alone` is the twin's test accuracy,
    `loss_alone` its test loss.  Pairs of different devices or versions are left out.
    """
    measured = [
        "test_accuracy", "validation_accuracy", "errors", "test_loss", "calibration_error",
    ]  # fmt: skip
    alone = runs[["key", *_SHARED, *measured]].rename(
        columns={"key": "twin"} | {name: f"{name}_alone" for name in measured}
    )
    joined = runs.dropna(subset=["twin"]).merge(alone, on=["twin", *_SHARED])
    return joined.assign(
        alone=joined["test_accuracy_alone"],
        gain=joined["test_accuracy"] - joined["test_accuracy_alone"],
        validation_gain=joined["validation_accuracy"] - joined["validation_accuracy_alone"],
        fewer_errors=joined["errors_alone"] - joined["errors"],
        loss_alone=joined["test_loss_alone"],
        loss_gain=joined["test_loss"] - joined["test_loss_alone"],
        calibration_gain=joined["calibration_error"] - joined["calibration_error_alone"],
    ).drop(columns=[f"{name}_alone" for name in measured])


def main(runs: pd.DataFrame) -> pd.DataFrame:
    """The students of the first setting with their teacher, and alone, and that teacher."""
    same = ["teacher", "temperature", "alpha", "channels", "wrong_classes"]
    first = runs[runs["teacher"].notna()].iloc[0]
    taught = runs[(runs[same] == first[same]).all(axis=1)]
    keys = {*taught["key"], *taught["twin"], first["teacher"]}
    chosen: pd.DataFrame = runs[runs["key"].isin(keys)]
    return chosen


def photographs(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs of convolutional networks."""
    chosen: pd.DataFrame = runs[runs["channels"].notna()]
    return chosen


def digits(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs of perceptrons, without the far smaller students."""
    own = runs[runs["channels"].isna()]
    chosen: pd.DataFrame = own[~own["key"].isin(small_digits(runs)["key"])]
    return chosen


def small_digits(runs: pd.DataFrame) -> pd.DataFrame:
    """The perceptrons that are far smaller than the other students of the digits, if there are."""
    own = runs[runs["channels"].isna()]
    widths = sorted(own[own["teacher"].notna()]["width"].unique())
    chosen: pd.DataFrame = own[own["width"] == (widths[0] if len(widths) > 1 else -1)]
    return chosen


def teachers(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs that teach, and those that differ from one that does in the seed alone."""
    groups = runs[runs["key"].isin(runs["teacher"].dropna())]["group"]
    chosen: pd.DataFrame = runs[runs["group"].isin(groups)]
    return chosen


def of_setting(pairs: pd.DataFrame, setting: Setting) -> pd.DataFrame:
    """The pairs of one student at one temperature and one alpha, with the setting's teacher."""
    chosen = _usual(pairs, setting)
    chosen = chosen[
        (chosen["channels"] == setting.channels)
        & (chosen["temperature"] == setting.temperature)
        & (chosen["alpha"] == setting.alpha)
    ]
    return chosen if setting.seeds is None else chosen[chosen["seed"].isin(setting.seeds)]


def _usual(pairs: pd.DataFrame, setting: Setting) -> pd.DataFrame:
    """The pairs with the setting's teacher, whose answers are as it gave them."""
    chosen: pd.DataFrame = pairs[
        (pairs["teacher_seed"] == setting.teacher_seed) & (pairs["wrong_classes"] == "kept")
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
    found = _usual(pairs(photographs(runs)), setting)
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


#: In one of these a control differs from the student alone or from the one with the teacher.
_CONTROLLED = {"label_smoothing", "learning_rate", "wrong_classes"}


def controls(runs: pd.DataFrame, setting: Setting) -> pd.DataFrame:
    """The student's runs that tell what the teacher brings from what else may: one row per run.

    `control` names each: `alone`, `with teacher`, or what alone differs from one of these, such as
    `learning rate 0.2`.  Only seeds that have a control take part.
    """
    taught = of_setting(pairs(photographs(runs)), setting)
    if taught.empty:
        return runs.iloc[:0].assign(control="")
    usual = taught["spec"].iloc[0]
    alone = replace(usual, distillation=None)

    def control(spec: RunSpec) -> str:
        reference, words = (usual, "with teacher") if spec.distillation else (alone, "alone")
        changed = {name: w for name, w in changes(spec, reference).items() if name != "seed"}
        return ", ".join(changed.values()) or words if changed.keys() <= _CONTROLLED else ""

    named = runs.assign(control=[control(spec) for spec in runs["spec"]])
    named = named[named["control"] != ""]
    a_control = ~named["control"].isin(["alone", "with teacher"])
    twins = named["key"].isin({*taught["key"], *taught["twin"]})
    of_seeds = named["seed"].isin(named[a_control]["seed"])
    chosen: pd.DataFrame = named[(a_control | twins) & of_seeds]
    return chosen


def by_teacher(runs: pd.DataFrame, setting: Setting) -> pd.DataFrame:
    """The pairs of the setting with each teacher, for the seeds that all teachers have."""
    found = pairs(photographs(runs))
    own = pd.concat(
        [
            of_setting(found, replace(setting, teacher_seed=int(seed)))
            for seed in sorted(found["teacher_seed"].unique())
        ]
        or [found]
    )
    per_seed = own.groupby("seed")["teacher_seed"].nunique()
    common = per_seed[per_seed == own["teacher_seed"].nunique()].index
    chosen: pd.DataFrame = own[own["seed"].isin(common)]
    return chosen
