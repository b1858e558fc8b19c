"""What the pages on perceptrons say: 1.1 on depth, 1.2 on skip connections.

Each page's function takes the frame of `runs`, changed networks included, and gives its verdicts by
name, corrected over all that the page judges; `answer` opens the page.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import pandas as pd

from ...core.datasets import DATASETS
from ...core.escape import for_markdown
from ..kit import words
from ..kit.frames import as_designed, on_one_device
from ..kit.sentences import MINUS, Verdict, corrected, paragraph, signed
from ..kit.statistics import Estimate, estimate, in_words
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

#: 95 of 100 samples of test images lie within so many standard errors of the truth.
_NORMAL = 1.96


def depth_in_a_plain_network(runs: pd.DataFrame) -> dict[str, Verdict]:
    """The verdicts of 1.1.

    `answer`, `conditions`, `depth`, `fit`, `noise`, `rate`, `own`, `cost`, `discussion`,
    `comparisons`.
    """
    plain = of_family(as_designed(runs), "MLP")
    judged = {
        "own": own_families.effects(as_designed(runs)),
        "depth": depth_effect(plain, "MLP"),
        "fit": fit_effect(plain, "MLP"),
        "rate": rescue(plain),
    }
    answer = paragraph(
        _what(plain, "Plain perceptrons"),
        _short(
            "The test accuracy of the deepest, minus that of the best shallower one, is",
            judged["depth"],
        ),
        _short(
            "The training loss of the deepest, minus that of the shallowest one, is",
            judged["fit"],
            _loss,
        ),
        _short(
            "At a learning rate of its own, chosen on validation, the deepest differs from the "
            "shallowest one in test accuracy by",
            judged["rate"],
        ),
    )
    says = corrected({"answer": answer, **judged})
    outcomes = [says[name].finding for name in ("depth", "fit", "rate")]
    return {
        **says,
        "conditions": conditions(plain),
        "noise": noise(plain),
        "cost": cost_of_depth(plain),
        "discussion": why_depth_hurts(*outcomes),
    }


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


def noise(runs: pd.DataFrame) -> Verdict:
    """How far an accuracy may lie from the truth, since the test images are a sample as well."""
    known = base_rate(runs).dropna(subset=["test_accuracy"])
    if known.empty:
        return Verdict()
    accuracy = known[known["depth"] == known["depth"].min()]["test_accuracy"].mean()
    count = DATASETS[known["dataset"].iloc[0]].test_size
    margin = _NORMAL * math.sqrt(accuracy * (1 - accuracy) / count)
    return Verdict(
        f"The {count:,} test images are a sample as well. On another {count:,} images, an accuracy "
        f"of {100 * accuracy:.2f} % would come out up to {100 * margin:.2f} points higher or lower "
        "in 95 of 100 cases. The intervals here are over seeds and leave this out, since all runs "
        "are scored on the same images. For the same reason much of it cancels in a difference "
        "between two networks."
    )


def cost_of_depth(runs: pd.DataFrame) -> Verdict:
    """What the deepest network costs, as multiples of the shallowest one."""
    base = on_one_device(base_rate(runs))
    depths = sorted(int(depth) for depth in base["depth"].unique())
    if len(depths) < 2:
        return Verdict()
    first, last = (base[base["depth"] == depth] for depth in (depths[0], depths[-1]))
    return Verdict(
        f"With {words.depth(depths[-1], 'MLP')} a network has "
        f"{_times(last, first, 'parameters')} times the parameters of one with "
        f"{words.depth(depths[0], 'MLP')}. An epoch took {_times(last, first, 'epoch_seconds')} "
        f"times as long, on {for_markdown(base['hardware'].iloc[0])}."
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


def why_depth_hurts(accuracy: int, loss: int, at_best_rate: int) -> Verdict:
    """The discussion of 1.1, outcome by outcome.

    Each is 1 or -1 where the deepest network's test accuracy, its training loss and, at its best
    learning rate, again its accuracy are above or below those it is compared with; else 0.
    """
    found = {
        (-1, 1): "So the argument of the first section fails in practice. The copy of the shallow "
        "network is among the functions that the deep one can compute, and the optimiser did not "
        "find it. Nothing is missing from the *model*. But to copy what comes in, a layer has to "
        "learn $W_l = I$ from random weights, and all layers have to learn it at once.",
        (-1, -1): "So the deep network fits its training images better and the test images worse. "
        "That is overfitting and not degradation.",
        (-1, 0): "So the deep network is the less accurate one. Whether it fits its training "
        "images worse, as in degradation, these runs do not show.",
        (
            0,
            1,
        ): "So the deep network fits its training images worse, which is degradation, although "
        "these runs show no loss of test accuracy.",
        (0, -1): "So these runs show no degradation: the deep network fits its training images "
        "better, and they show no loss of test accuracy.",
        (0, 0): "So these runs show neither degradation nor overfitting. They do not exclude one "
        "that is too small for them.",
    }
    rate = {
        -1: " The learning rate alone is not the reason: at its best rate, too, the deepest "
        "network is behind the shallowest.",
        0: " Whether another learning rate would mend it, these runs do not show.",
        1: " At a learning rate of its own, the deepest network is ahead of the shallowest.",
    }
    if accuracy > 0:
        return Verdict(
            "So the argument of the first section holds in practice here: the deeper network is "
            "the more accurate one."
        )
    return Verdict(found[accuracy, loss], rate[at_best_rate] if accuracy < 0 else "")


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


def _short(lead: str, verdict: Verdict, show: Callable[[Estimate], str] = signed) -> Verdict:
    """The last judgement of a verdict after a few words; the verdict itself where it has none."""
    if not verdict.judgements:
        return verdict
    judgement = verdict.judgements[-1]
    return Verdict(f"{lead} {show(judgement.value)}: ", judgement)


def _loss(value: Estimate) -> str:
    return f"{in_words(value, '+.2g')} (n = {value.n})".replace("-", MINUS)


def _times(first: pd.DataFrame, second: pd.DataFrame, column: str) -> str:
    return f"{estimate(first[column]).mean / estimate(second[column]).mean:.1f}"
