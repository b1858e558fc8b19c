"""Sentences about knowledge distillation: what a teacher is worth, at which setting, at what cost.

Each function takes the frame of `runs`; a `.twins.Setting`
names the student and the distillation that is judged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from ...core.record import Record
from ..kit import literature, words
from ..kit.sentences import Judgement, Verdict, points, signed
from ..kit.statistics import MINUS, Estimate, estimate, in_words, paired_difference
from . import pairs as twins
from .pairs import Setting

#: Runs, each with what a probe found on it.
Measured = Sequence[tuple[Record, Mapping[str, Any]]]


def improvement(runs: pd.DataFrame, setting: Setting) -> Verdict:
    """What the teacher adds to the student, twin by twin."""
    own = twins.of_setting(twins.pairs(twins.photographs(runs)), setting)
    if own.empty:
        return Verdict("There is no distilled run here whose twin is there too.")
    gain = estimate(own["gain"])
    return Verdict(
        f"Alone the student recognises {points(estimate(own['alone']))} of the test images. With "
        f"the teacher (T = {setting.temperature:g}, α = {setting.alpha:g}) it recognises "
        f"{points(estimate(own['test_accuracy']))}. The difference, twin by twin, is "
        f"{signed(gain)}: ",
        Judgement(
            gain,
            above="distillation **helps**",
            below="distillation **hurts**",
            neither="distillation makes no measurable difference",
        ),
    )


def chosen_setting(runs: pd.DataFrame, setting: Setting, by: str) -> Verdict:
    """Which temperature or which alpha (`by`) is chosen on validation.

    What the choice gains on test images is not said here: that of the runs that chose is too good.
    """
    swept = twins.sweep(runs, setting, by)
    if swept[by].nunique() < 2:
        return Verdict(f"The {_NAMES[by]} was not varied here.")
    means = swept.groupby(by)["validation_gain"].mean()
    listed = ", ".join(f"{value:g}" for value in means.index)
    return Verdict(
        f"Of the values {listed}, validation accuracy chooses {_SYMBOLS[by]} = {means.idxmax():g}, "
        f"with {swept['seed'].nunique()} seeds each."
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
        f"Training on one image costs three forward passes of the student, {student / 1e6:.1f} "
        f"million FLOPs each, and with a teacher one forward pass of the teacher, "
        f"{teacher / 1e6:.1f} million, besides. The arithmetic of {epochs} epochs with the teacher "
        f"buys {affordable:.0f} without. A student that trains alone for "
        f"{longer['epochs'].max()} epochs reaches {points(estimate(longer['test_accuracy']))}. The "
        f"accuracy with the teacher minus that, paired by seed, is {signed(difference)}: ",
        Judgement(
            difference,
            above="the teacher **is worth its cost**",
            below="the same arithmetic is **better spent** on more epochs",
            neither="between the two uses there is no measurable difference",
        ),
    )


def likelihood(runs: pd.DataFrame, setting: Setting) -> Verdict:
    """What the teacher does to the student's test loss, which an accuracy does not show."""
    own = twins.of_setting(twins.pairs(twins.photographs(runs)), setting)
    if own.empty:
        return Verdict()
    change = estimate(own["loss_gain"])
    return Verdict(
        f"The test loss is {in_words(estimate(own['loss_alone']), '.3f')} alone and "
        f"{in_words(estimate(own['test_loss']), '.3f')} with the teacher. The difference is "
        f"{_loss(change)}: ",
        Judgement(
            change,
            above="by its test loss the taught student is **worse**",
            below="by its test loss, too, the taught student is **better**",
            neither="the test loss shows no measurable difference",
            size="{:.3f}".format,
        ),
    )


def _loss(value: Estimate) -> str:
    return f"{in_words(value, '+.3f', '.3f')} (n = {value.n})".replace("-", MINUS)


def calibration(runs: pd.DataFrame, setting: Setting) -> Verdict:
    """What the teacher does to the student's calibration, and how often the two agree."""
    own = twins.of_setting(twins.pairs(twins.photographs(runs)), setting)
    own = own.dropna(subset=["calibration_gain", "teacher_agreement"])
    if own.empty:
        return Verdict("How well these students are calibrated was not measured.")
    change = estimate(own["calibration_gain"])
    return Verdict(
        "With the teacher the expected calibration error, the mean distance of confidence and "
        f"accuracy, is {points(estimate(own['calibration_error']))}. Compared with the student "
        f"alone that is a change of {signed(change)}: ",
        Judgement(
            change,
            above="its confidence is **further** from its accuracy",
            below="its confidence is **closer** to its accuracy",
            neither="its calibration shows no measurable difference",
        ),
        f" The taught student gives the teacher's answer to "
        f"{points(estimate(own['teacher_agreement']))} of the test images.",
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
            neither="distillation makes no measurable difference",
        ),
    )


def unseen(measured: Measured) -> Verdict:
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
            neither="what the teacher adds is not measurable",
        ),
        f" With the logit of that class raised by {estimate(taught['offset']).mean:z.1f}, a number "
        f"chosen on validation images, it recognises {points(estimate(taught['corrected_right']))} "
        f"of them. Over all classes the correction is worth {signed(corrected)}: ",
        Judgement(
            corrected,
            above="the student knew the class and **only underestimated it**",
            below="the correction does **more harm than good**",
            neither="over all classes it makes no measurable difference",
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
            neither="between the sizes there is no measurable difference in what they gain",
        ),
    )


def small_student(runs: pd.DataFrame) -> Verdict:
    """At which temperature a far smaller student of the digits learns best."""
    own = twins.pairs(twins.small_digits(runs))
    own = own[own["seed"].isin(_complete(own))]
    if own["temperature"].nunique() < 2:
        return Verdict("No far smaller student of the digits was taught at several temperatures.")
    best = float(str(own.groupby("temperature")["validation_accuracy"].mean().idxmax()))
    last = float(own["temperature"].max())
    listed = ", ".join(
        f"{count(estimate(part['errors']))} at T = {temperature:g}"
        for temperature, part in own.groupby("temperature")
    )
    first = own[own["temperature"] == best]
    alone = estimate(first["errors"] + first["fewer_errors"])
    text = (
        f"A student of {int(own['width'].iloc[0])} units in each layer makes {count(alone)} errors "
        f"alone, and with the teacher {listed} (n = {len(first)}). Validation accuracy chooses T = "
        f"{best:g}."
    )
    if best == last:
        return Verdict(text)
    difference = paired_difference(first, own[own["temperature"] == last], "errors")
    return Verdict(
        f"{text} At T = {last:g} it makes {in_words(difference, '+.0f', '.0f')} errors more than "
        f"at T = {best:g}: ".replace("-", MINUS),
        Judgement(
            difference,
            above="a small student learns better at a **low** temperature",
            below="a small student learns better at a **high** temperature",
            neither="between the two there is no measurable difference",
            size="{:.0f} errors".format,
        ),
        " The paper found temperatures of "
        f"{' to '.join(f'{each:g}' for each in literature.SMALL_TEMPERATURES)} best for a student "
        f"of {literature.SMALL_UNITS} units.",
    )


def _complete(own: pd.DataFrame) -> pd.Index:
    """The seeds that have all temperatures."""
    per_seed = own.groupby("seed")["temperature"].nunique()
    return per_seed[per_seed == own["temperature"].nunique()].index
