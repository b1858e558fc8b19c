"""Sentences that state a result, computed from the records so that they cannot outlive it.

Each function takes the frame of `runs` and gives a `Verdict`,
which a notebook shows as Markdown.  Swap the families' records, and the verdict turns round.
"""

from __future__ import annotations

import math

import pandas as pd

from ...core.families import differences_from, residual_of, sole_difference
from ..kit import words
from ..kit.sentences import Judgement, Verdict, points, signed
from ..kit.statistics import FEWEST, estimate, in_words, paired_difference
from ..kit.words import NAMES
from .selection import (
    at_best_rate,
    base_rate,
    compare,
    finished,
    of_family,
    of_network,
    swept_depths,
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


def fit_effect(runs: pd.DataFrame, family: str) -> Verdict:
    """Whether the deepest network fits its own training images better or worse than a shallow one.

    This tells overfitting from degradation: an overfitted network has the lower training loss.
    """
    own = of_family(base_rate(runs), family)
    depths = sorted(own["depth"].unique())
    if len(depths) < 2:
        return Verdict("")
    first, last = int(depths[0]), int(depths[-1])
    for depth in (first, last):
        if own[own["depth"] == depth]["train_loss"].isna().all():
            return Verdict(
                f"With {words.depth(depth, family)} no training loss was finite in the last epoch."
            )
    losses = [estimate(own[own["depth"] == depth]["train_loss"]) for depth in (first, last)]
    difference = compare(own, first, last, "train_loss")
    return Verdict(
        "The training loss of the last epoch, averaged over its batches as they are trained on, "
        f"is {in_words(losses[1], '.2g')} with {words.depth(last, family)} and "
        f"{in_words(losses[0], '.2g')} with {words.depth(first, family)}: ",
        Judgement(
            difference,
            above="the deep network fits its own training images **worse**, which overfitting "
            "would not do; this is *degradation*",
            below="the deep network fits its own training images **better**",
            neither="how well the two fit their training images shows no measurable difference",
            size="{:.3f}".format,
        ),
    )


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


def fit_at_deepest(runs: pd.DataFrame, plain: str) -> Verdict:
    """Which of the two families fits its training images better, at that depth."""
    pair = pair_at_deepest(runs, plain)
    if pair is None:
        return Verdict()
    depth, first, second = pair
    losses = [estimate(part["train_loss"]) for part in (first, second)]
    if not all(math.isfinite(loss.mean) for loss in losses):
        return Verdict(
            f"With {words.depth(depth, plain)} not every training loss was finite in the last "
            "epoch."
        )
    return Verdict(
        f"With {words.depth(depth, plain)} the training loss of the last epoch is "
        f"{in_words(losses[1], '.2g')} for the {NAMES[residual_of(plain)]} and "
        f"{in_words(losses[0], '.2g')} for the {NAMES[plain]}: ",
        Judgement(
            paired_difference(first, second, "train_loss"),
            above="the residual network fits its training images **worse**",
            below="the residual network fits its training images **better**",
            neither="how well the two fit their training images shows no measurable difference",
            size="{:.2g}".format,
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


def rescue(runs: pd.DataFrame, plain: str = "MLP") -> Verdict:
    """Whether a better learning rate rescues the deepest plain network that was swept.

    Each family's learning rate is chosen on validation accuracy, see `at_best_rate`.
    """
    residual = residual_of(plain)
    swept = swept_depths(runs)
    families = [family for family in (plain, residual) if (runs["family"] == family).any()]
    if not swept:
        return NOT_SWEPT
    depth = swept[-1]
    if runs["validation_accuracy"].isna().all():
        return Verdict(
            "These runs had no validation split, so there is nothing to choose a learning rate on."
        )
    chosen = {family: at_best_rate(runs, family, depth) for family in families}
    for family, best in chosen.items():
        if best.empty:
            return _all_diverged(family, depth)
    parts: list[str | Judgement] = []
    for family, best in chosen.items():
        rates = of_network(runs, family, depth)["learning_rate"]
        by_seed = " or ".join(f"{rate:g}" for rate in sorted(best["learning_rate"].unique()))
        parts.append(
            f"{' ' if parts else ''}Of {rates.nunique()} learning rates, the validation accuracy "
            f"of the other seeds chooses {by_seed} for the {NAMES[family]} with "
            f"{words.depth(depth, plain)}, which then reaches {_points_of(best)} on the test set."
        )
    if len(families) == 2:
        difference = paired_difference(chosen[plain], chosen[residual], "test_accuracy")
        parts += [
            " Each at its best rate, the residual network differs from the plain one by "
            f"{signed(difference)}: ",
            Judgement(
                difference,
                above="tuning the rate **does not close the gap**",
                below="tuned, the plain network is **the better one**",
                neither="tuned, the two show no measurable difference",
            ),
        ]
    elif plain in families:
        own = of_family(base_rate(runs), plain)
        shallowest = int(own["depth"].min())
        if shallowest == depth:
            return Verdict(*parts)
        reference = own[own["depth"] == shallowest]
        difference = paired_difference(reference, chosen[plain], "test_accuracy")
        parts += [
            f" Against the network of {words.depth(shallowest, plain)} that is "
            f"{signed(difference)}: ",
            Judgement(
                difference,
                above="at this rate depth **helps**",
                below="even at its best rate depth **hurts**",
                neither="at this rate depth makes no measurable difference",
            ),
        ]
    return Verdict(*parts)


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
