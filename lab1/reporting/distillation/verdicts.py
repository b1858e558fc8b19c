"""Sentences about knowledge distillation: what a teacher is worth, at which setting, at what cost.

Each function takes the frame of `runs`; a `.twins.Setting`
names the student and the distillation that is judged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from ...core.record import Record
from ..kit import words
from ..kit.sentences import Judgement, Verdict, points, signed
from ..kit.statistics import Estimate, estimate, in_words, paired_difference
from . import pairs as twins
from .pairs import Setting


def improvement(runs: pd.DataFrame, setting: Setting) -> Verdict:
    """What the teacher adds to the student, twin by twin."""
    own = twins.of_setting(twins.pairs(twins.photographs(runs)), setting)
    if own.empty:
        return Verdict("There is no distilled run here whose twin is there too.")
    gain = estimate(own["gain"])
    return Verdict(
        f"Alone the student reaches {points(estimate(own['alone']))} of the test images, with the "
        f"teacher at T = {setting.temperature:g} and α = {setting.alpha:g} "
        f"{points(estimate(own['test_accuracy']))}. The difference, twin by twin, is "
        f"{signed(gain)}: ",
        Judgement(
            gain,
            above="distillation **helps**",
            below="distillation **hurts**",
            neither="distillation makes **no measurable difference**",
        ),
    )


def chosen_setting(runs: pd.DataFrame, setting: Setting, by: str) -> Verdict:
    """Which temperature or which alpha (`by`) is chosen on validation, and what it is worth."""
    swept = twins.sweep(runs, setting, by)
    if swept[by].nunique() < 2:
        return Verdict(f"The {_NAMES[by]} was not varied here.")
    means = swept.groupby(by)["validation_gain"].mean()
    best = means.idxmax()
    listed = ", ".join(f"{value:g}" for value in means.index)
    gain = estimate(swept[swept[by] == best]["gain"])
    return Verdict(
        f"Of the values {listed}, validation accuracy chooses {_SYMBOLS[by]} = {best:g}. On the "
        f"test images its gain is {signed(gain)}: ",
        Judgement(
            gain,
            above="so chosen, distillation **helps**",
            below="so chosen, distillation **hurts**",
            neither="so chosen, distillation makes **no measurable difference**",
        ),
    )


_NAMES = {"temperature": "temperature", "alpha": "weight of the soft loss"}
_SYMBOLS = {"temperature": "T", "alpha": "α"}


def worth(runs: pd.DataFrame, setting: Setting) -> Verdict:
    """Whether the teacher is worth its cost: against a student that trains alone for as much."""
    longer = twins.longer(runs, setting)
    own = twins.of_setting(twins.pairs(twins.photographs(runs)), setting)
    if longer.empty or own.empty:
        return Verdict("No student was trained alone for longer, so the cost cannot be judged.")
    teacher = twins.teachers(twins.photographs(runs))["flops"].iloc[0]
    student, epochs = own["flops"].iloc[0], own["epochs"].iloc[0]
    # A step of training costs three forward passes: one forward, and twice as much backward.
    affordable = epochs * (1 + teacher / (3 * student))
    difference = paired_difference(longer, own, "test_accuracy")
    return Verdict(
        f"A training image costs the student three forward passes of {student / 1e6:.1f} million "
        f"FLOPs, and with a teacher one more of {teacher / 1e6:.1f} million. The price of "
        f"{epochs} epochs with the teacher thus buys {affordable:.0f} without. Trained alone for "
        f"{longer['epochs'].max()} epochs, the student reaches "
        f"{points(estimate(longer['test_accuracy']))}. With the teacher it is, paired by seed, "
        f"{signed(difference)} from there: ",
        Judgement(
            difference,
            above="the teacher **is worth its cost**",
            below="more epochs are the **better use** of it",
            neither="between the two uses there is **no measurable difference**",
        ),
    )


def digits(runs: pd.DataFrame) -> Verdict:
    """What the large perceptron's answers spare the small one, in errors on the test images."""
    own = twins.digits(runs)
    pairs = twins.pairs(own[own["omitted_class"].isna()])
    if pairs.empty:
        return Verdict("The experiment on digits has no pair of runs here.")
    teachers = estimate(twins.teachers(own)["errors"])
    spared = estimate(pairs["fewer_errors"])
    alone = estimate(pairs["errors"] + pairs["fewer_errors"])
    return Verdict(
        f"The large network makes {count(teachers)} errors, the small one alone {count(alone)}, "
        f"and taught by the large one {count(estimate(pairs['errors']))}. Twin by twin the teacher "
        f"spares it {count(spared)} errors (n = {spared.n}): ",
        Judgement(
            spared,
            above="distillation **helps**",
            below="distillation **hurts**",
            neither="distillation makes **no measurable difference**",
        ),
    )


def unseen(measured: Sequence[tuple[Record, Mapping[str, Any]]]) -> Verdict:
    """What students know of a class that they never saw; from the probe `bias-correction`."""
    table = twins.unseen(measured)
    alone, taught = table[~table["taught"]], table[table["taught"]]
    if alone.empty or taught.empty:
        return Verdict("No student was trained without one class, with a teacher and without.")
    learned = paired_difference(alone, taught, "right")
    corrected = estimate(taught["corrected_gain"])
    return Verdict(
        f"Of the {taught['images'].iloc[0]:,} test images of class {taught['class'].iloc[0]}, "
        f"which no student ever saw, the one without a teacher recognises "
        f"{points(estimate(alone['right']))}, the one with it {points(estimate(taught['right']))}. "
        f"The difference, twin by twin, is {signed(learned)}: ",
        Judgement(
            learned,
            above="the teacher's answers about *other* classes **teach the student this one**",
            below="with the teacher it knows **less** of the class",
            neither="what the teacher adds is **not measurable**",
        ),
        f" With the class's logit raised by {estimate(taught['offset']).mean:z.1f}, a number "
        f"chosen on validation images, it recognises {points(estimate(taught['corrected_right']))} "
        f"of them. Over all classes the correction is worth {signed(corrected)}: ",
        Judgement(
            corrected,
            above="the student knew the class and **only rated it too rare**",
            below="the correction does **more harm than good**",
            neither="over all classes it makes **no measurable difference**",
        ),
    )


def count(value: Estimate) -> str:
    """A number of errors: `74.0 ± 5.1`, or of a single run `74`."""
    if value.n == 0:
        return "unknown"
    return in_words(value, ".0f" if value.n == 1 else ".1f")


def capacity(runs: pd.DataFrame, setting: Setting) -> Verdict:
    """Who gains the most from the teacher, by size: the smallest student against the largest."""
    swept = twins.sweep(runs, setting, "channels")
    sizes = sorted(swept["channels"].unique())
    if len(sizes) < 2:
        return Verdict("The size of the student was not varied here.")
    first, last = (swept[swept["channels"] == size] for size in (sizes[0], sizes[-1]))
    difference = paired_difference(first, last, "gain")
    listed = words.depths([int(each) for each in first["depth"].unique()], "SimpleCNN")
    return Verdict(
        f"With {listed}, the student of {first['parameters'].iloc[0]:,} parameters gains "
        f"{signed(estimate(first['gain']))}, that of {last['parameters'].iloc[0]:,} "
        f"{signed(estimate(last['gain']))}. The second minus the first is {signed(difference)}: ",
        Judgement(
            difference,
            above="the larger student gains **more**",
            below="the smaller student gains **more**",
            neither="between the sizes there is **no measurable difference** in what they gain",
        ),
    )
