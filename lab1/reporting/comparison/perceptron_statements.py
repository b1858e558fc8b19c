"""What the pages on perceptrons say: 1.1 on depth, 1.2 on skip connections.

Each page's function takes the frame of `runs`, changed networks included, and gives its verdicts by
name, corrected over all that the page judges; `answer` opens the page.
"""

from __future__ import annotations

import math

import pandas as pd

from ...core.escape import for_markdown
from ..kit import words
from ..kit.frames import as_designed, on_one_device
from ..kit.sentences import Verdict, corrected, paragraph
from ..kit.statistics import estimate
from . import changes, own_families
from .selection import base_rate, of_family
from .verdicts import (
    at_deepest,
    depth_effect,
    design_effect,
    fit_at_deepest,
    fit_effect,
    rescue,
)


def skip_connections(runs: pd.DataFrame) -> dict[str, Verdict]:
    """The verdicts of 1.2.

    `answer`, `conditions`, `design`, `plain_depth`, `residual_depth`, `residual_fit`, `fit`,
    `rate`, `own`, `start`, `normalisation`, `factor`, `cost`, `discussion`, `comparisons`.
    """
    designed = as_designed(runs)
    judged = {
        "own": own_families.effects(designed),
        "deepest": at_deepest(designed, "MLP"),
        "design": design_effect(designed, "MLP"),
        "plain_depth": depth_effect(designed, "MLP"),
        "residual_depth": depth_effect(designed, "ResidualMLP"),
        "residual_fit": fit_effect(designed, "ResidualMLP"),
        "fit": fit_at_deepest(designed, "MLP"),
        "rate": rescue(designed),
        "start": changes.start(runs),
        "normalisation": changes.normalisation(runs),
        "factor": changes.factor(runs),
    }
    says = corrected(judged)
    deepest = says.pop("deepest")
    return {
        **says,
        "answer": paragraph(_what(designed, "Perceptrons"), deepest, says["start"]),
        "conditions": conditions(designed),
        "cost": cost_of_skips(designed),
        "discussion": why_the_design_is_ahead(says["fit"], says["rate"], says["start"]),
    }


def conditions(runs: pd.DataFrame) -> Verdict:
    """The numbers of the training, for a section on the method."""
    if runs.empty:
        return Verdict()
    first = base_rate(runs).iloc[0]
    held_out = int(first["validation_size"])
    patience = first["patience"]
    return Verdict(
        f"Here each hidden layer has $w = {first['width']}$ units. "
        + (
            f"For validation {held_out:,} images are held out. "
            if held_out
            else "No image is held out for validation, so the last epoch's weights are scored. "
        )
        + f"A training has at most {first['epochs_allowed']} epochs, with {first['batch_size']} "
        f"images in a batch and a highest learning rate of {first['learning_rate']:g}, in "
        f"{first['precision']}. "
        + (
            "None ends early."
            if math.isnan(patience)
            else f"It ends early after {patience:.0f} epochs without improvement on validation."
        )
    )


def cost_of_skips(runs: pd.DataFrame) -> Verdict:
    """What skip connections cost in time, at the greatest common depth."""
    base = on_one_device(base_rate(runs))
    plain, residual = (of_family(base, family) for family in ("MLP", "ResidualMLP"))
    common = set(plain["depth"]) & set(residual["depth"])
    if not common:
        return Verdict()
    depth = int(max(common))
    plain, residual = (own[own["depth"] == depth] for own in (plain, residual))
    return Verdict(
        f"With {words.depth(depth, 'MLP')}, an epoch of the residual MLP took "
        f"{_times(residual, plain, 'epoch_seconds')} times as long as one of the plain MLP, on "
        f"{for_markdown(base['hardware'].iloc[0])}."
    )


def why_the_design_is_ahead(fit: Verdict, rate: Verdict, start: Verdict) -> Verdict:
    """The discussion of 1.2, question by question and outcome by outcome."""
    capacity = {
        1: "The residual network fits its training images worse than the plain one, with as many "
        "parameters. What it gains or loses on test images is not a matter of how well it fits.",
        0: "Both have as many parameters, and these runs do not tell their training losses apart.",
        -1: "No. Both have as many parameters, and the plain network fits its own training images "
        "worse. A network with too many parameters would fit them better.",
    }
    tuning = {
        1: "No. At each family's best learning rate the residual network is still ahead.",
        0: "Perhaps. With each family at its best learning rate, these runs do not show which one "
        "is ahead.",
        -1: "Yes. With each family at its best learning rate, the plain network is ahead.",
    }
    answers = {
        "Is it capacity?": capacity[fit.finding] if fit.judgements else "",
        "Is it tuning?": tuning[rate.finding] if rate.judgements else rate.text,
        "Is it the start?": changes.SAME_NETWORK if start.text else changes.NOT_CHANGED.text,
    }
    return paragraph(
        *(Verdict(f"*{question}* {answer}") for question, answer in answers.items() if answer),
        between="\n\n",
    )


def _what(runs: pd.DataFrame, networks: str) -> Verdict:
    """What was trained, in a sentence that can stand alone."""
    if runs.empty:
        return Verdict()
    depths = sorted(int(depth) for depth in runs["depth"].unique())
    layers = words.depth(depths[-1], "MLP")
    dataset = runs["dataset_title"].iloc[0]
    return Verdict(
        f"{networks} of {f'{depths[0]} to ' if len(depths) > 1 else ''}{layers} were trained on "
        f"{dataset} for at most {runs['epochs_allowed'].max()} epochs."
    )


def _times(first: pd.DataFrame, second: pd.DataFrame, column: str) -> str:
    return f"{estimate(first[column]).mean / estimate(second[column]).mean:.1f}"
