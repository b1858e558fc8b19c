"""A residual network beside a plain one of the same size, whose accuracy is read off its own curve.

Two designs that differ in their size are compared at equal numbers of parameters: the plain
family's accuracy is interpolated per seed, along a straight line on the logarithm of the parameters
between its two nearest sizes, and never beyond the sizes that were measured.
"""

from __future__ import annotations

import math

import pandas as pd

from ...core.families import residual_of
from ..kit import words
from ..kit.sentences import Judgement, Verdict, signed
from ..kit.statistics import Estimate, paired_difference
from ..kit.words import NAMES
from .selection import of_family

_SHARED = ["seed", "device", "versions"]


def at_size(runs: pd.DataFrame, parameters: int) -> pd.DataFrame:
    """One row per seed of a family's `runs`: the `test_accuracy` that it would have at this size.

    A seed has a row where sizes on both sides of it, or this very one, were trained.
    """
    rows = []
    for cell, own in runs.dropna(subset=["test_accuracy"]).groupby(_SHARED, sort=True):
        accuracies = own.groupby("parameters")["test_accuracy"].mean()
        below = accuracies[accuracies.index <= parameters]
        above = accuracies[accuracies.index >= parameters]
        if below.empty or above.empty:
            continue
        low, high = float(below.index[-1]), float(above.index[0])
        share = 0.0 if low == high else math.log(parameters / low) / math.log(high / low)
        value = (1 - share) * below.iloc[-1] + share * above.iloc[0]
        rows.append({**dict(zip(_SHARED, cell, strict=True)), "test_accuracy": value})
    return pd.DataFrame(rows, columns=[*_SHARED, "test_accuracy"])


def equal_size_effect(runs: pd.DataFrame, plain: str) -> Verdict:
    """How far the residual design is ahead of the plain one at equal numbers of parameters."""
    residual = residual_of(plain)
    reference, others = of_family(runs, plain), of_family(runs, residual)
    if reference.empty or others.empty:
        return Verdict(
            f"The {NAMES[plain]} and the {NAMES[residual]} are not both here, so they cannot be "
            "compared at equal size."
        )
    parts: list[str | Judgement] = [
        f"At equal numbers of parameters, the test accuracy of the {NAMES[residual]} minus that of "
        f"the {NAMES[plain]}, whose accuracy is interpolated between its own sizes, seed by seed:\n"
    ]
    for depth, own in others.groupby("depth", sort=True):
        size = int(own["parameters"].iloc[0])
        name = f"\n- **{words.depth(int(str(depth)), residual)}, {size:,} parameters:** "
        interpolated = at_size(reference, size)
        if interpolated.empty:
            low, high = reference["parameters"].min(), reference["parameters"].max()
            parts.append(
                f"{name}outside the sizes of the {NAMES[plain]} here, {low:,} to {high:,}, so "
                "there is nothing to compare with."
            )
            continue
        difference = paired_difference(interpolated, own, "test_accuracy")
        parts += [
            f"{name}{signed(difference)}: ",
            judged(difference),
        ]
    return Verdict(*parts)


def judged(difference: Estimate) -> Judgement:
    """What a paired difference of test accuracies at equal size says of the residual design."""
    return Judgement(
        difference,
        above="the residual design is **ahead** at equal size",
        below="the residual design is **behind** at equal size",
        neither="no measurable difference at equal size",
    )
