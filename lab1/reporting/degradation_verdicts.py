"""Sentences about the degradation problem: does depth harm the fit, and does the shortcut help?

Each function takes the frame of :func:`lab1.reporting.frames.runs`.  The training error is scored
in evaluation mode after the last epoch.
"""

from __future__ import annotations

import pandas as pd

from ..config import TWINS
from . import words
from .sentences import Verdict, judge, points, signed
from .statistics import FEWEST, estimate, paired_difference
from .verdicts import base_rate, compare, of_family
from .words import NAMES

_FIT = "train_evaluation_error"


def degradation(runs: pd.DataFrame, family: str) -> Verdict:
    """Whether a family's deepest network fits its training images worse than its shallowest."""
    own = of_family(_with_error(runs), family)
    depths = _evidenced(own)
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
        f"difference, paired by seed, is {signed(value)}: "
        + judge(
            value,
            above="more layers fit the training images **worse**, which is degradation",
            below="more layers fit the training images **better**, so this family does not degrade",
            neither="the two show **no measurable difference**",
        )
    )


def shortcut_effect(runs: pd.DataFrame, plain: str = "PlainNet") -> Verdict:
    """What the shortcut does to degradation: how far depth moves the twins' training errors apart.

    Per seed, the change of the residual family's training error from the shallowest common depth to
    the deepest, minus that of its plain twin.
    """
    residual = TWINS[plain]
    base = _with_error(runs)
    by_family = [set(_evidenced(of_family(base, each))) for each in (plain, residual)]
    common = set.intersection(*by_family)
    if len(common) < 2:
        return Verdict(
            f"The {NAMES[plain]} and the {NAMES[residual]} do not have two depths in common here, "
            "so the shortcut cannot be judged."
        )
    first, last = min(common), max(common)
    changes = {each: _change(of_family(base, each), first, last) for each in (plain, residual)}
    value = paired_difference(changes[plain], changes[residual], _FIT)
    moved = {family: points(estimate(own[_FIT]), signed=True) for family, own in changes.items()}
    return Verdict(
        f"From {first} to {words.depth(last, plain)} the training error of the {NAMES[plain]} "
        f"moves by {moved[plain]}, that of the {NAMES[residual]} by {moved[residual]}. The second "
        f"minus the first is {signed(value)}: "
        + judge(
            value,
            above="the shortcut makes degradation **worse**",
            below="the shortcut **counteracts** degradation",
            neither="the shortcut makes **no measurable difference** to degradation",
        )
    )


def schedule(runs: pd.DataFrame) -> Verdict:
    """How many runs of how many epochs these are, and how far each family's grid has got."""
    parts = []
    for family, own in runs.groupby("family", sort=False):
        seeds = own.groupby("depth")["seed"].nunique()
        listed = ", ".join(f"{depth} layers (n = {n})" for depth, n in seeds.items())
        parts.append(f"the {NAMES[str(family)]} with {listed}")
    epochs = sorted(runs["epochs"].unique().tolist())
    length = f"{epochs[0]}" if len(epochs) == 1 else f"{epochs[0]} to {epochs[-1]}"
    return Verdict(f"These are runs of {length} epochs: " + "; ".join(parts) + ".")


def _with_error(runs: pd.DataFrame) -> pd.DataFrame:
    return base_rate(runs).assign(**{_FIT: 1 - runs["train_evaluation_accuracy"]})


def _evidenced(own: pd.DataFrame) -> list[int]:
    """The depths that can be judged: those with enough seeds or, where none has, with the most."""
    counts = own.dropna(subset=[_FIT]).groupby("depth")["seed"].nunique()
    if counts.empty:
        return []
    return [int(str(depth)) for depth in counts[counts >= min(FEWEST, counts.max())].index]


def _change(own: pd.DataFrame, first: int, last: int) -> pd.DataFrame:
    """The error of the ``last`` depth minus that of the ``first``, by seed."""
    shared = ["seed", "device", "versions"]
    columns = [own[own["depth"] == depth].set_index(shared)[_FIT] for depth in (first, last)]
    return (columns[1] - columns[0]).dropna().reset_index()
