"""Sentences that state a result, computed from the records so that they cannot outlive it.

Each function takes the frame of `runs` and gives a `Verdict`,
which a notebook shows as Markdown.  Swap the families' records, and the verdict turns round.
"""

from __future__ import annotations

import pandas as pd

from ...core.families import differences_from, residual_of, sole_difference
from ..kit import words
from ..kit.sentences import Judgement, Verdict, points, signed
from ..kit.statistics import FEWEST, estimate, paired_difference
from ..kit.words import NAMES
from .selection import (
    base_rate,
    compare,
    finished,
    of_family,
    of_network,
)

NOT_SWEPT = Verdict(
    "None of the depths here was trained with several learning rates, so the question stays open."
)


def depth_effect(runs: pd.DataFrame, family: str) -> Verdict:
    """What depth does to a family: its deepest network against its best shallower one."""
    own = of_family(base_rate(runs), family)
    depths = sorted(own["depth"].unique())
    if not depths:
        return Verdict(f"There is no run of the {NAMES[family]} here.")
    if len(depths) < 2:
        return Verdict(
            f"There is one depth of the {NAMES[family]} here ({words.depths(depths, family)}), so "
            "nothing can be said about what depth does."
        )
    deepest = int(depths[-1])
    if own[own["depth"] == deepest]["test_accuracy"].isna().all():
        return _all_diverged(family, deepest)
    # Which shallower network is the best is read off the validation split: to choose it by test
    # accuracy would favour finding a harm.
    shallower = finished(own[own["depth"] < deepest]).groupby("depth")["validation_accuracy"]
    means = shallower.mean().dropna()
    best = int(str(means.idxmax())) if len(means) else int(depths[0])
    against_best = compare(own, best, deepest)
    parts: list[str | Judgement] = [
        f"The {NAMES[family]} with {words.depth(deepest, family)} reaches "
        f"{_accuracy(own, deepest)}. The best shallower network by validation accuracy, of "
        f"{words.depth(best, family)}, reaches {_accuracy(own, best)}. The difference, paired by "
        f"seed, is {signed(against_best)}: ",
        Judgement(
            against_best,
            above=f"more {words.unit(family)} **help**",
            below=f"more {words.unit(family)} **hurt**",
            neither=f"between {words.depths((best, deepest), family)} depth makes no "
            "measurable difference",
        ),
    ]
    if best != depths[0]:
        against_first = compare(own, int(depths[0]), deepest)
        parts.append(
            f" Against the shallowest network, of {words.depth(int(depths[0]), family)}, the "
            f"difference is {signed(against_first)}."
        )
    return Verdict(*parts)


def skip_effect(runs: pd.DataFrame, plain: str) -> Verdict:
    """What skip connections change, depth by depth: the residual family against its plain twin.

    Raises `ValueError` where the two families differ in more than that (`design_effect`).
    """
    if sole_difference(plain) is None:
        raise ValueError(
            f"{plain} and {residual_of(plain)} differ in {_listed(plain)}: no one thing is a cause"
        )
    return by_depth(
        runs,
        (plain, residual_of(plain)),
        above="the skip connections **help**",
        below="the skip connections **hurt**",
    )


def design_effect(runs: pd.DataFrame, plain: str) -> Verdict:
    """How far the residual design is ahead of a plain one, depth by depth, and at which size.

    For families that differ in more than one thing, none of which is named as the cause.
    """
    return by_depth(
        runs,
        (plain, residual_of(plain)),
        above="the residual design is **ahead**",
        below="the residual design is **behind**",
    )


def by_depth(runs: pd.DataFrame, pair: tuple[str, str], *, above: str, below: str) -> Verdict:
    """The second family of a pair minus the first, depth by depth, and what that means."""
    base = base_rate(runs)
    plain, residual = pair
    parts: list[str | Judgement] = []
    for depth in sorted(base["depth"].unique()):
        first, second = (of_network(base, family, int(depth)) for family in pair)
        if first.empty or second.empty:
            continue
        difference = paired_difference(first, second, "test_accuracy")
        parts += [
            f"{chr(10) if parts else ''}- **{words.depth(int(depth), plain)}**"
            f"{_size_of(first, second)}: {signed(difference)}: ",
            Judgement(difference, above, below, "no measurable difference"),
        ]
    if not parts:
        return Verdict(
            f"The runs at hand are not of both families, {NAMES[plain]} and {NAMES[residual]}, so "
            "they cannot be compared."
        )
    return Verdict(
        f"The test accuracy of the {NAMES[residual]} minus that of the {NAMES[plain]}, paired by "
        "seed:\n\n",
        *parts,
    )


def _size_of(plain: pd.DataFrame, residual: pd.DataFrame) -> str:
    """How many times the parameters the residual network has; nothing where it has as many."""
    ratio = residual["parameters"].iloc[0] / plain["parameters"].iloc[0]
    return "" if abs(ratio - 1) < 0.05 else f" ({ratio:.1f} times the parameters)"


def at_deepest(runs: pd.DataFrame, plain: str) -> Verdict:
    """The residual family against the plain one, at their greatest depth that can be judged."""
    pair = pair_at_deepest(runs, plain)
    if pair is None:
        return Verdict()
    depth, first, second = pair
    difference = paired_difference(first, second, "test_accuracy")
    cause = sole_difference(plain)
    return Verdict(
        f"With {words.depth(depth, plain)}, the {NAMES[residual_of(plain)]}"
        f"{_size_of(first, second)} differs from the {NAMES[plain]} by {signed(difference)}: ",
        Judgement(
            difference,
            f"{cause} **help**" if cause else "the residual design is **ahead**",
            f"{cause} **hurt**" if cause else "the residual design is **behind**",
            "no measurable difference",
        ),
    )


def pair_at_deepest(
    runs: pd.DataFrame, plain: str
) -> tuple[int, pd.DataFrame, pd.DataFrame] | None:
    """The greatest depth that both families have, and the runs of each; `None` without any.

    It is the greatest of those with enough seeds, where there are any: few may have been trained
    for the deepest networks, and carry no claim.
    """
    base = base_rate(runs)
    families = (plain, residual_of(plain))
    common = set.intersection(*(set(of_family(base, family)["depth"]) for family in families))
    pairs = {
        int(depth): (
            of_network(base, families[0], int(depth)),
            of_network(base, families[1], int(depth)),
        )
        for depth in common
    }
    judged = [
        depth
        for depth, (first, second) in pairs.items()
        if paired_difference(first, second, "test_accuracy").n >= FEWEST
    ]
    if not pairs:
        return None
    depth = max(judged or pairs)
    first, second = pairs[depth]
    return depth, first, second


def _listed(plain: str) -> str:
    """What tells a plain family from its residual one, as a list in a sentence."""
    *most, last = differences_from(plain)
    return f"{', '.join(most)} and {last}" if most else last


def _all_diverged(family: str, depth: int) -> Verdict:
    return Verdict(f"Every run of the {NAMES[family]} with {words.depth(depth, family)} diverged.")


def _accuracy(own: pd.DataFrame, depth: int) -> str:
    return _points_of(own[own["depth"] == depth])


def _points_of(part: pd.DataFrame) -> str:
    value = estimate(part["test_accuracy"])
    return f"{points(value)} (n = {value.n})" if value.n else "no test score, since all diverged"
