"""Sentences about how the trainings went: gradients at the end, and what early stopping saved."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from ...core.families import residual_of
from ...core.record import Record
from ..comparison.selection import base_rate, of_family
from ..kit import frames, words
from ..kit.sentences import Judgement, Verdict, corrected, paragraph
from ..kit.statistics import MINUS, Estimate, estimate, in_words, paired_difference
from ..kit.words import NAMES

NO_PATIENCE = Verdict("No run here had a patience: each was trained for all of its epochs.")


def trainings(
    perceptrons: Sequence[Record], deep: Sequence[Record], runs: pd.DataFrame
) -> dict[str, Verdict]:
    """What the page says, corrected over all that it judges; `answer` opens it.

    `perceptrons` and `deep` are records of exercise 1.2 and of the chapter on degradation; `runs`
    is the frame of all pages' runs.
    """
    said = {
        "perceptrons": last_gradients(frames.history(perceptrons), frames.runs(perceptrons), "MLP"),
        "deep": last_gradients(frames.history(deep), frames.runs(deep), "PlainNet"),
        "stopping": stopping(runs),
    }
    return corrected({**said, "answer": paragraph(*said.values())})


def last_gradients(history: pd.DataFrame, runs: pd.DataFrame, plain: str) -> Verdict:
    """Whether the twins' gradients differ in size at the end, at their deepest common depth.

    Takes the frames of `history` and `.frames.runs`; what is
    compared is the mean norm of the last epoch that a run was trained for.
    """
    residual = residual_of(plain)
    names = f"{NAMES[plain]} and the {NAMES[residual]}"
    if runs.empty:
        return Verdict(f"Of the {names} no run has a record yet.")
    last = history.sort_values("epoch", kind="stable").drop_duplicates("key", keep="last")
    ends = base_rate(runs).merge(last[["key", "gradient_norm"]], on="key")
    first, second = (of_family(ends, family) for family in (plain, residual))
    common = set(first["depth"]) & set(second["depth"])
    if not common:
        return Verdict(f"The {names} have no depth in common here.")
    depth = int(max(common))
    first, second = (own[own["depth"] == depth] for own in (first, second))
    difference = paired_difference(first, second, "gradient_norm")
    sizes = [_size(estimate(own["gradient_norm"])) for own in (first, second)]
    return Verdict(
        f"With {words.depth(depth, plain)}, the gradient of the {NAMES[plain]} has a norm of "
        f"{sizes[0]} in the last epoch, that of the {NAMES[residual]} {sizes[1]}. The second minus "
        f"the first, paired by seed, is {_size(difference)} (n = {difference.n}): ",
        Judgement(
            difference,
            above="the gradients of the residual network end **larger**",
            below="the gradients of the residual network end **smaller**",
            neither="between the two there is no measurable difference",
            size="{:.2g}".format,
        ),
    )


def _size(value: Estimate) -> str:
    # After a hyphen a line may end.
    return in_words(value, ".3g").replace("-", MINUS) if value.n else "an unknown size"


def stopping(runs: pd.DataFrame) -> Verdict:
    """How many runs early stopping ended, and how many epochs that saved."""
    own = runs[runs["patience"].notna()] if len(runs) else runs
    if own.empty:
        return NO_PATIENCE
    early = own[own["stopped"] == "early stopping"]
    allowed = int(own["epochs_allowed"].sum())
    saved = int((early["epochs_allowed"] - early["epochs"]).sum())
    if early.empty:
        return Verdict(
            f"Of {len(own)} runs with a patience, early stopping ended none: each improved on "
            "validation often enough to be trained to its end."
        )
    return Verdict(
        f"Of {len(own)} runs with a patience, early stopping ended {len(early)}, and saved "
        f"{saved:,} of {allowed:,} epochs, {100 * saved / allowed:.1f} %."
    )
