"""What each single change does on the way from a plain perceptron to a residual one.

Each function that takes a frame takes that of `runs`, with the changed networks in it.  What is
compared stands at the greatest depth at which a change was trained, at the shared learning rate.
"""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from ..kit.frames import as_designed
from ..kit.sentences import Judgement, Verdict, signed
from ..kit.statistics import NO_ESTIMATE, Estimate, mean_of, paired_difference
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
            "Training loss", lambda part: mean_of(part, "train_loss"), words_for(".2g"), digits=5,
            spread="95% half-width of the loss",
        ),
        column_n(with_a_score),
        count_of_runs(of=with_a_score),
    ]  # fmt: skip
    return table_of(compared, ["step"], columns)


#: What the start near the identity is, written differently.
SAME_NETWORK = (
    "Without weight decay a start near the identity and a skip connection that carries the "
    "activated input are the same network written differently, so this does not tell the two apart."
)


def start(runs: pd.DataFrame) -> Verdict:
    """What a start near the identity does, and how the residual design differs from it."""
    compared = _compared(runs)
    plain, identity, residual = (_of(compared, step) for step in (PLAIN, IDENTITY, RESIDUAL))
    if identity.empty:
        return Verdict()
    alone = paired_difference(plain, identity, "test_accuracy")
    first = (
        f"An MLP that starts near the identity differs from the plain MLP by {signed(alone)}: ",
        Judgement(
            alone,
            above="that start **helps**",
            below="that start **hurts**",
            neither="no measurable difference",
        ),
    )
    if residual.empty:
        return Verdict(*first, f" {SAME_NETWORK}")
    rest = paired_difference(identity, residual, "test_accuracy")
    return Verdict(
        *first,
        f" The residual MLP differs from it by {signed(rest)}: ",
        Judgement(
            rest,
            above="it is **ahead**",
            below="it is **behind**",
            neither="no measurable difference",
        ),
        f" {SAME_NETWORK}",
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
            neither="no measurable difference",
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
            neither="no measurable difference",
        ),
    )


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
