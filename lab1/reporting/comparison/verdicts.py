"""Sentences that state a result, computed from the records so that they cannot outlive it.

Each function takes the frame of `runs` and gives a `Verdict`,
which a notebook shows as Markdown.  Swap the families' records, and the verdict turns round.
"""

from __future__ import annotations

import pandas as pd

from ...core.families import residual_of
from ..kit import words
from ..kit.sentences import Verdict, judge, points, signed
from ..kit.statistics import FEWEST, Estimate, estimate, paired_difference
from ..kit.words import NAMES

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
    shallower = _finished(own[own["depth"] < deepest]).groupby("depth")["validation_accuracy"]
    means = shallower.mean().dropna()
    best = int(str(means.idxmax())) if len(means) else int(depths[0])
    against_best = compare(own, best, deepest)
    text = (
        f"The {NAMES[family]} with {words.depth(deepest, family)} reaches "
        f"{_accuracy(own, deepest)}, against {_accuracy(own, best)} for the shallower one that "
        f"does best on validation, of {words.depth(best, family)}. The difference, paired by seed, "
        f"is {signed(against_best)}: "
        + judge(
            against_best,
            above=f"more {words.unit(family)} **help**",
            below=f"more {words.unit(family)} **hurt**",
            neither=f"between {words.depths((best, deepest), family)} depth makes **no "
            "measurable difference**",
        )
    )
    if best != depths[0]:
        against_first = compare(own, int(depths[0]), deepest)
        text += (
            f" Against the shallowest network, of {words.depth(int(depths[0]), family)}, the "
            f"difference is {signed(against_first)}."
        )
    return Verdict(text)


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
        f"In the last epoch the mean training loss is {losses[1].mean:.3g} with "
        f"{words.depth(last, family)} and {losses[0].mean:.3g} with {words.depth(first, family)}: "
        + judge(
            difference,
            above="the deep network fits its own training images **worse**, so a loss of test "
            "accuracy is not overfitting; it is *degradation*",
            below="the deep network fits its own training images **better**, so a loss of test "
            "accuracy would be overfitting",
            neither="the two fit their training images alike",
        )
    )


def skip_effect(runs: pd.DataFrame, plain: str = "MLP") -> Verdict:
    """What skip connections change, depth by depth: the residual family against its plain twin."""
    residual = residual_of(plain)
    base = base_rate(runs)
    sentences = []
    signs: dict[int, int] = {}
    seeds = 0
    for depth in sorted(base["depth"].unique()):
        here = base[base["depth"] == depth]
        first, second = (here[here["family"] == family] for family in (plain, residual))
        if first.empty or second.empty:
            continue
        difference = paired_difference(first, second, "test_accuracy")
        signs[int(depth)] = difference.sign
        seeds = max(seeds, difference.n)
        judged = judge(
            difference,
            above="the skip connections help",
            below="the skip connections hurt",
            neither="no measurable difference",
        )
        sentences.append(f"- **{words.depth(depth, plain)}:** {signed(difference)}: {judged}")
    if not sentences:
        return Verdict(
            f"The runs at hand are not of both families, {NAMES[plain]} and {NAMES[residual]}, so "
            "they cannot be compared."
        )
    opening = (
        f"The test accuracy of the {NAMES[residual]} minus that of the {NAMES[plain]}, paired by "
        "seed:\n\n"
    )
    return Verdict(opening + "\n".join(sentences) + "\n\n" + _summary_of(signs, seeds, plain))


def skip_effect_at_deepest(runs: pd.DataFrame, plain: str = "MLP") -> Verdict:
    """What skip connections change at the greatest depth that both families have."""
    residual = residual_of(plain)
    base = base_rate(runs)
    by_family = [base[base["family"] == family] for family in (plain, residual)]
    common = set(by_family[0]["depth"]) & set(by_family[1]["depth"])
    if not common:
        return Verdict("")
    depth = int(max(common))
    first, second = (own[own["depth"] == depth] for own in by_family)
    difference = paired_difference(first, second, "test_accuracy")
    return Verdict(
        f"With {words.depth(depth, plain)}, the {NAMES[residual]} differs from its plain twin by "
        f"{signed(difference)}: "
        + judge(
            difference,
            above="the skip connections **help**",
            below="the skip connections **hurt**",
            neither="the skip connections make **no measurable difference**",
        )
    )


def rescue(runs: pd.DataFrame, plain: str = "MLP") -> Verdict:
    """Whether a better learning rate rescues the deepest plain network that was swept.

    Each family's learning rate is chosen on validation accuracy.
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
    parts = []
    for family, best in chosen.items():
        rates = runs[(runs["family"] == family) & (runs["depth"] == depth)]["learning_rate"]
        parts.append(
            f"Of {rates.nunique()} learning rates, validation accuracy chooses "
            f"{best['learning_rate'].iloc[0]:g} for the {NAMES[family]} with "
            f"{words.depth(depth, plain)}, which then reaches {_points_of(best)} on the test set."
        )
    if len(families) == 2:
        difference = paired_difference(chosen[plain], chosen[residual], "test_accuracy")
        parts.append(
            "Each at its best rate, the residual network differs from the plain one by "
            f"{signed(difference)}: "
            + judge(
                difference,
                above="tuning the rate **does not close the gap**",
                below="tuned, the plain network is **the better one**",
                neither="tuned, the two show **no measurable difference**",
            )
        )
    elif plain in families:
        own = of_family(base_rate(runs), plain)
        shallowest = int(own["depth"].min())
        if shallowest == depth:
            return Verdict(" ".join(parts))
        reference = own[own["depth"] == shallowest]
        difference = paired_difference(reference, chosen[plain], "test_accuracy")
        parts.append(
            f"Against the network of {words.depth(shallowest, plain)} that is "
            f"{signed(difference)}: "
            + judge(
                difference,
                above="at this rate depth **helps**",
                below="even at its best rate depth **hurts**",
                neither="at this rate depth makes **no measurable difference**",
            )
        )
    return Verdict(" ".join(parts))


def base_rate(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs at the learning rate that all depths share, the sweep left out.

    It is the rate used at the most depths; among equals the first, since a plan begins with it.
    """
    if runs.empty:
        return runs
    rate = runs.groupby("learning_rate", sort=False)["depth"].nunique().idxmax()
    chosen: pd.DataFrame = runs[runs["learning_rate"] == rate]
    return chosen


def swept_depths(runs: pd.DataFrame) -> list[int]:
    """The depths that were trained with more than one learning rate."""
    rates = runs.groupby("depth")["learning_rate"].nunique()
    return [int(depth) for depth in rates[rates > 1].index]


def at_best_rate(runs: pd.DataFrame, family: str, depth: int) -> pd.DataFrame:
    """A family's runs of one depth at the learning rate with the best mean validation accuracy."""
    own = _finished(runs[(runs["family"] == family) & (runs["depth"] == depth)])
    if own.empty:
        return own
    means = own.groupby("learning_rate")["validation_accuracy"].mean()
    chosen: pd.DataFrame = own[own["learning_rate"] == means.idxmax()]
    return chosen


def _finished(runs: pd.DataFrame) -> pd.DataFrame:
    """Without the runs that diverged, whose last epochs before that prove nothing."""
    finished: pd.DataFrame = runs[runs["stopped"] != "diverged"]
    return finished


def of_family(runs: pd.DataFrame, family: str) -> pd.DataFrame:
    """The runs of one family."""
    own: pd.DataFrame = runs[runs["family"] == family]
    return own


def compare(own: pd.DataFrame, first: int, second: int, value: str = "test_accuracy") -> Estimate:
    """What `value` gains from the `first` depth to the `second`, paired by seed."""
    return paired_difference(own[own["depth"] == first], own[own["depth"] == second], value)


def _summary_of(signs: dict[int, int], seeds: int, plain: str) -> str:
    """The pattern over the depths, in a sentence; nothing where no depth had seeds enough."""
    if seeds < FEWEST:
        return ""
    better = [depth for depth, sign in signs.items() if sign > 0]
    worse = [depth for depth, sign in signs.items() if sign < 0]
    helped = f"help at {words.depths(better, plain)}" if better else ""
    hurt = f"hurt at {words.depths(worse, plain)}" if worse else ""
    if better and not worse:
        return f"So the skip connections {helped}, and nowhere do they hurt."
    if worse and not better:
        return f"So the skip connections {hurt}, and nowhere do they help."
    if better and worse:
        return f"So they {helped} and {hurt}."
    return "So at none of these depths do the runs show a difference."


def _all_diverged(family: str, depth: int) -> Verdict:
    return Verdict(f"Every run of the {NAMES[family]} with {words.depth(depth, family)} diverged.")


def _accuracy(own: pd.DataFrame, depth: int) -> str:
    return _points_of(own[own["depth"] == depth])


def _points_of(part: pd.DataFrame) -> str:
    value = estimate(part["test_accuracy"])
    return f"{points(value)} (n = {value.n})" if value.n else "no test score, since all diverged"
