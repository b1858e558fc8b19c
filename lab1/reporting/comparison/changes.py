"""What each single change does on the way from a plain perceptron to a residual one.

Each function that takes a frame takes that of `runs`, with the changed networks in it.  What is
compared stands at the greatest depth at which a change was trained, at the shared learning rate.
"""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from ..kit.frames import as_designed
from ..kit.sentences import Judgement, Verdict, signed
from ..kit.statistics import NO_ESTIMATE, Estimate, estimate, paired_difference
from ..kit.tables import (
    DEPTH,
    MODEL,
    TEST_ACCURACY,
    Column,
    Table,
    column_n,
    count_of_runs,
    table_of,
    with_a_score,
    words_for,
)
from .selection import base_rate

PLAIN, RESIDUAL = ("MLP", ""), ("ResidualMLP", "")
NORMALISED, IDENTITY = ("MLP", "layer normalisation"), ("MLP", "identity start")
WITHOUT_FACTOR = ("ResidualMLP", "residual factor 1")

#: The networks by family and change, the rows of the table.
STEPS = (PLAIN, NORMALISED, IDENTITY, WITHOUT_FACTOR, RESIDUAL)

NOT_CHANGED = Verdict("No network was changed in one thing here, so the question stays open.")


def table(runs: pd.DataFrame) -> Table | Verdict:
    """The networks in a row each, with their paired differences from both ends, in points.

    Where no change was trained, a sentence that says so.
    """
    compared = _compared(runs)
    if compared.empty:
        return NOT_CHANGED
    steps = pd.Series({step: row for row, step in enumerate(STEPS)})
    labels = pd.MultiIndex.from_frame(compared[["family", "change"]])
    compared = compared.assign(step=steps.reindex(labels).to_numpy())

    def minus_plain(part: pd.DataFrame) -> Estimate:
        return _from(_of(compared, PLAIN), part)

    def residual_minus(part: pd.DataFrame) -> Estimate:
        return _from(part, _of(compared, RESIDUAL))

    columns = [
        MODEL,
        replace(DEPTH, heading="Hidden layers", name="Depth"),
        TEST_ACCURACY,
        Column("Minus plain", minus_plain, _difference, spread="95% half-width of that"),
        Column("Residual minus it", residual_minus, _difference, spread="95% half-width of this"),
        Column(
            "Training loss", lambda part: estimate(part["train_loss"]), words_for(".2g"), digits=5,
            spread="95% half-width of the loss",
        ),
        column_n(with_a_score),
        count_of_runs(of=with_a_score),
    ]  # fmt: skip
    return table_of(compared, ["step", "group"], columns)


def start(runs: pd.DataFrame) -> Verdict:
    """What a start near the identity does alone, and what the residual design has beyond it."""
    compared = _compared(runs)
    plain, identity, residual = (_of(compared, step) for step in (PLAIN, IDENTITY, RESIDUAL))
    if identity.empty:
        return Verdict()
    alone = paired_difference(plain, identity, "test_accuracy")
    first = (
        "A plain MLP that starts near the identity, and has no skip connection, differs from the "
        f"plain MLP by {signed(alone)}: ",
        Judgement(
            alone,
            above="that start **helps**",
            below="that start **hurts**",
            neither="**no measurable difference**",
        ),
    )
    if residual.empty:
        return Verdict(*first)
    rest = paired_difference(identity, residual, "test_accuracy")
    return Verdict(
        *first,
        f" The residual MLP differs from it by {signed(rest)}: ",
        Judgement(
            rest,
            above="the residual design has **more to give** than its start",
            below="the residual design is **behind** its start alone",
            neither="**no measurable difference**",
        ),
    )


def normalisation(runs: pd.DataFrame) -> Verdict:
    """What layer normalisation does to the plain perceptron."""
    compared = _compared(runs)
    plain, changed = (_of(compared, step) for step in (PLAIN, NORMALISED))
    accuracies = changed["test_accuracy"].dropna()
    if accuracies.empty:
        return Verdict()
    difference = paired_difference(plain, changed, "test_accuracy")
    return Verdict(
        f"With layer normalisation, the plain MLP differs by {signed(difference)} from the one "
        "without: ",
        Judgement(
            difference,
            above="normalising **helps**",
            below="normalising **hurts**",
            neither="**no measurable difference**",
        ),
        f" Of its {len(accuracies)} runs the least accurate reaches {100 * accuracies.min():.2f} % "
        f"and the most accurate {100 * accuracies.max():.2f} %.",
    )


def factor(runs: pd.DataFrame) -> Verdict:
    """What the factor on its initial weights does for the residual perceptron."""
    compared = _compared(runs)
    without, residual = (_of(compared, step) for step in (WITHOUT_FACTOR, RESIDUAL))
    if without.empty:
        return Verdict()
    difference = paired_difference(without, residual, "test_accuracy")
    return Verdict(
        "With the factor, the residual MLP differs from the one without it by "
        f"{signed(difference)}: ",
        Judgement(
            difference,
            above="the factor **helps**",
            below="the factor **hurts**",
            neither="**no measurable difference**",
        ),
    )


def conclusion(gain: Judgement, alone: Judgement, rest: Judgement) -> Verdict:
    """What of the residual design's gain comes with its start, outcome by outcome.

    `gain` is the judgement of the residual design against the plain one, `alone` and `rest` are the
    two of `start`, all of them corrected.
    """
    if alone.finding < 0:
        return Verdict(
            "A start near the identity does harm without skip connections, so it is not what the "
            "residual design gains by."
        )
    if rest.finding < 0:
        return Verdict("The start alone does more than the whole residual design.")
    if alone.survives and rest.survives:
        return Verdict(
            "A part of what the residual design gains comes with the start near the identity, and "
            "a part does not."
        )
    if alone.survives and gain.finding > 0:
        return Verdict(
            f"Of the {100 * gain.value.mean:.2f} points that the residual design gains, "
            f"{100 * alone.value.mean:.2f} come with the start near the identity. What the skip "
            "connections bring beyond it is too small for these runs to show."
        )
    if alone.survives:
        return Verdict(
            "The start near the identity is worth something, and these runs do not show that "
            "the skip connections are worth more."
        )
    if rest.survives:
        return Verdict(
            "These runs do not show that the start alone is worth anything, and the residual "
            "design is ahead of it."
        )
    return Verdict("These runs do not tell what the start brings and what the skip connections do.")


def _compared(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs of `STEPS` at the greatest depth with a change, at the rate that depths share."""
    changed = runs[runs["change"] != ""]
    if changed.empty:
        return changed
    rate = base_rate(as_designed(runs))["learning_rate"].iloc[0]
    chosen: pd.DataFrame = runs[
        (runs["depth"] == changed["depth"].max()) & (runs["learning_rate"] == rate)
    ]
    return chosen


def _of(runs: pd.DataFrame, step: tuple[str, str]) -> pd.DataFrame:
    family, change = step
    own: pd.DataFrame = runs[(runs["family"] == family) & (runs["change"] == change)]
    return own


def _from(first: pd.DataFrame, second: pd.DataFrame) -> Estimate:
    """The second minus the first, in points; nothing for a network and itself."""
    if set(first["group"]) == set(second["group"]):
        return NO_ESTIMATE
    in_percent = (part.assign(percent=100 * part["test_accuracy"]) for part in (first, second))
    return paired_difference(next(in_percent), next(in_percent), "percent")


def _difference(value: Estimate) -> str:
    return words_for("+.2f", ".2f")(value)
