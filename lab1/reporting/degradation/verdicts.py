"""Sentences about the degradation problem: does depth harm the fit, and do skip connections help?

Each function takes the frame of `runs`.  The training error is scored in evaluation mode after the
last epoch.
"""

from __future__ import annotations

import pandas as pd

from ...core.datasets import DATASETS
from ...core.families import residual_of
from ..comparison.selection import base_rate, compare, of_family
from ..kit import words
from ..kit.sentences import Judgement, Verdict, points, signed
from ..kit.statistics import FEWEST, estimate, paired_difference
from ..kit.words import NAMES

_FIT = "train_evaluation_error"


def degradation(runs: pd.DataFrame, family: str) -> Verdict:
    """Whether a family's deepest network fits its training images worse than its shallowest."""
    own = of_family(_with_error(runs), family)
    depths = _evidenced(own, _FIT)
    if len(depths) < 2:
        return Verdict(
            f"Of the {NAMES[family]} there are not two depths here whose training error is known, "
            "so nothing can be said about its degradation."
        )
    first, last = depths[0], depths[-1]
    value = compare(own, first, last, _FIT)
    errors = [points(estimate(own[own["depth"] == depth][_FIT])) for depth in (first, last)]
    return Verdict(
        f"The {NAMES[family]} with {words.depth(last, family)} ends with {errors[1]} of its "
        f"training images wrong, that with {words.depth(first, family)} with {errors[0]}. The "
        f"difference, paired by seed, is {signed(value)}: ",
        Judgement(
            value,
            above="more layers fit the training images **worse**, which is degradation",
            below="more layers fit the training images **better**, so this family does not degrade",
            neither="the two show no measurable difference",
        ),
    )


def skip_effect_on_degradation(runs: pd.DataFrame, plain: str = "PlainNet") -> Verdict:
    """What skip connections do to degradation: how far depth moves the training errors apart.

    Per seed, the change of the residual family's training error from the shallowest common depth to
    the deepest, minus that of its plain twin.
    """
    residual = residual_of(plain)
    base = _with_error(runs)
    common = _common_depths(base, plain, _FIT)
    if len(common) < 2:
        return Verdict(
            f"The {NAMES[plain]} and the {NAMES[residual]} do not have two depths in common here, "
            "so the skip connections cannot be judged."
        )
    first, last = min(common), max(common)
    changes = {
        each: _change(of_family(base, each), first, last, _FIT) for each in (plain, residual)
    }
    value = paired_difference(changes[plain], changes[residual], _FIT)
    moved = {family: points(estimate(own[_FIT]), signed=True) for family, own in changes.items()}
    return Verdict(
        f"From {first} to {words.depth(last, plain)} the training error of the {NAMES[plain]} "
        f"changes by {moved[plain]}, that of the {NAMES[residual]} by {moved[residual]}. The "
        f"second change minus the first is {signed(value)}: ",
        Judgement(
            value,
            above="the skip connections make degradation **worse**",
            below="the skip connections **counteract** degradation",
            neither="the skip connections make no measurable difference to degradation",
        ),
    )


def untrained(runs: pd.DataFrame) -> Verdict:
    """Which networks did not come to learn: those with less than twice as much right as a guess.

    Their error says nothing about how well a network of that depth can fit.
    """
    known = _with_error(runs).dropna(subset=[_FIT])
    if known.empty:
        return Verdict("Of no network here the training error is known.")
    known = known.assign(guess=[1 - 1 / DATASETS[name].num_classes for name in known["dataset"]])
    stuck = known[1 - known[_FIT] < 2 * (1 - known["guess"])]
    if stuck.empty:
        return Verdict(
            "Every network here has learned: it has more than twice as many of its training images "
            "right as a guess would."
        )
    counts = known.groupby(["family", "depth"]).size()
    parts = []
    for cell, own in stuck.groupby(["family", "depth"], sort=False):
        family, depth = str(cell[0]), int(str(cell[1]))
        parts.append(
            f"the {NAMES[family]} with {words.depth(depth, family)} ends with "
            f"{points(estimate(own[_FIT]))} of its training images wrong ({len(own)} of "
            f"n = {counts[family, depth]})"
        )
    return Verdict(
        f"Not every network has learned. Where a guess has {100 * stuck['guess'].iloc[0]:.0f} % "
        f"wrong, {'; '.join(parts)}."
    )


def schedule(runs: pd.DataFrame) -> Verdict:
    """How many runs of how many epochs these are, in which precision, family by family."""
    parts = []
    for family, own in runs.groupby("family", sort=False):
        seeds = own.groupby("depth")["seed"].nunique()
        listed = ", ".join(f"{depth} layers (n = {n})" for depth, n in seeds.items())
        parts.append(f"the {NAMES[str(family)]} with {listed}")
    epochs = sorted(runs["epochs"].unique().tolist())
    length = f"{epochs[0]}" if len(epochs) == 1 else f"{epochs[0]} to {epochs[-1]}"
    precisions = " and ".join(sorted(runs["precision"].unique()))
    return Verdict(f"These are runs of {length} epochs in {precisions}: " + "; ".join(parts) + ".")


def _with_error(runs: pd.DataFrame) -> pd.DataFrame:
    return base_rate(runs).assign(**{_FIT: 1 - runs["train_evaluation_accuracy"]})


def _common_depths(rows: pd.DataFrame, plain: str, value: str) -> set[int]:
    """The depths at which both twins can be judged."""
    plains, residuals = (
        set(_evidenced(of_family(rows, each), value)) for each in (plain, residual_of(plain))
    )
    return plains & residuals


def _evidenced(own: pd.DataFrame, value: str) -> list[int]:
    """The depths that can be judged: those with enough seeds or, where none has, with the most."""
    counts = own.dropna(subset=[value]).groupby("depth")["seed"].nunique()
    if counts.empty:
        return []
    return [int(str(depth)) for depth in counts[counts >= min(FEWEST, counts.max())].index]


def _change(own: pd.DataFrame, first: int, last: int, value: str) -> pd.DataFrame:
    """The `value` of the `last` depth minus that of the `first`, by seed."""
    shared = [name for name in ("seed", "device", "versions") if name in own]
    columns = [own[own["depth"] == depth].set_index(shared)[value] for depth in (first, last)]
    return (columns[1] - columns[0]).dropna().reset_index()
