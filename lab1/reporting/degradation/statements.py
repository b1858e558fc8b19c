"""What the chapter on degradation says, sentence by sentence, from its records."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from ...core.datasets import DATASETS
from ..comparison import training_time
from ..comparison import verdicts as comparison
from ..comparison.selection import of_family
from ..kit import literature, words
from ..kit.sentences import Judgement, Verdict, corrected, paragraph, points, signed
from ..kit.statistics import Estimate, estimate, paired_difference
from ..kit.words import NAMES
from . import gradients, parts, responses, verdicts
from .gradients import Measured


def degradation(
    runs: pd.DataFrame,
    layers: pd.DataFrame,
    measured: Callable[[str], Measured],
    times: pd.DataFrame,
) -> dict[str, Verdict]:
    """The verdicts of the page by name, corrected over all that it judges; `answer` opens it.

    `runs`, `layers` and `times` are the frames of these names, of all the page's runs; `measured`
    gives the runs with a probe, by its name.
    """
    main = parts.main(runs)
    exact = gradients.agreements(measured("gradient-agreement"))
    plain, residual = (verdicts.degradation(main, each) for each in ("PlainNet", "ResNet"))
    skip = verdicts.skip_effect_on_degradation(main)
    says = corrected(
        {
            "schedule": verdicts.schedule(main),
            "plain": plain,
            "residual": residual,
            "skip": skip,
            "untrained": verdicts.untrained(main),
            "statistics": statistics_effect(main, measured("recomputed-statistics")),
            "test": comparison.skip_effect(main, "PlainNet"),
            "gentler": gentler(runs),
            "deepest": deepest(runs),
            "growth": gradients.growth_effect(parts.among(layers, main)),
            "responses": responses.described(parts.among(layers, main)),
            "exactness": gradients.exactness(runs, exact),
            "precision": precision_effect(runs),
            "times": training_time.cost_of_depth(times, main, "PlainNet"),
            "answer": paragraph(skip, conditions(main, gradients.inexact(main, exact))),
        }
    )
    # What is concluded rests on what is left after the correction.
    concluded = discussion(
        main,
        gradients.inexact(main, exact),
        says["plain"].finding,
        says["residual"].finding,
        _first_finding(says["growth"]),
    )
    return {
        **says,
        "precision": paragraph(says["precision"], on_rounding(says["plain"], says["precision"])),
        "discussion": concluded,
    }


def _first_finding(verdict: Verdict) -> int:
    return verdict.judgements[0].finding if verdict.judgements else 0


def conditions(main: pd.DataFrame, inexact: pd.DataFrame) -> Verdict:
    """Under which conditions the page's runs were trained, and what that leaves open."""
    titles = " and ".join(sorted(main["dataset_title"].unique()))
    epochs = int(main["epochs_allowed"].iloc[0])
    precision = main["precision"].iloc[0]
    text = (
        f"All this is for {epochs} epochs on {titles} in {precision}, at one learning rate, which "
        "is far less training than in the paper."
    )
    if precision == "bf16" and not inexact.empty:
        text += (
            " In bf16 the first gradient of some of these networks is mostly rounding, so the "
            "precision may be a cause too."
        )
    return Verdict(text)


def discussion(
    main: pd.DataFrame, inexact: pd.DataFrame, plain: int, residual: int, growth: int
) -> Verdict:
    """What the two families' changes of training error, and the gradients, say together.

    `plain` and `residual` are 1 where more layers raise that error, -1 where they lower it, 0 where
    neither is a finding; `growth` says the same of the gradient on its way back through the fresh
    plain network.
    """
    if main["precision"].iloc[0] == "bf16" and not inexact.empty:
        return Verdict(
            "In bf16 the gradients of one of the two families are mostly rounding at the start. So "
            "these runs cannot tell the skip connections from the precision as a cause."
        )
    if plain > 0 and residual <= 0:
        return Verdict(
            "More layers raise the *training* error of the plain network. Overfitting would lower "
            "it, so it is not overfitting. The twin with skip connections has the same layers, "
            "parameters and initial weights, and its training error "
            + ("falls" if residual < 0 else "does not rise measurably")
            + ". So the deep plain network could fit these images at least as well as the shallow "
            "one, and training did not find how: that is degradation, and skip connections remove "
            f"it here.{_healthy(growth)}"
        )
    if plain > 0:
        return Verdict(
            "More layers raise the *training* error of both families. Overfitting would lower it. "
            "Both degrade, and skip connections do not remove it here."
        )
    if plain < 0:
        return Verdict(
            "More layers lower the training error of the plain network: at these depths and with "
            "this training it does not degrade, so there is nothing for skip connections to remove."
        )
    return Verdict(
        "Whether more layers raise the training error of the plain network cannot be said from "
        "these runs, so neither can be said what skip connections do about it."
    )


def _healthy(growth: int) -> str:
    """What the growth of the gradients says of the paper's word on them."""
    if growth > 0:
        return (
            " Vanishing gradients are not why, as the paper says too. But its plain networks, it "
            "says, have *healthy* gradients, and that is not what is found here: on their way back "
            "they grow from layer to layer."
        )
    return ""


def _change(main: pd.DataFrame, family: str) -> Estimate:
    """What depth adds to a family's training error."""
    own = of_family(main.assign(error=1 - main["train_evaluation_accuracy"]), family)
    depths = sorted(own.dropna(subset=["error"])["depth"].unique())
    if len(depths) < 2:
        return estimate([])
    first, last = (own[own["depth"] == depth] for depth in (depths[0], depths[-1]))
    return paired_difference(first, last, "error")


def gentler(runs: pd.DataFrame) -> Verdict:
    """Whether the deepest plain network also fits badly at a smaller peak of the learning rate."""
    other = parts.gentler(runs)
    if other.empty:
        return Verdict("No run here was trained at another learning rate.")
    main = parts.main(runs)
    sentences = []
    for row in other.to_dict("records"):
        same = main[
            (main["family"] == row["family"])
            & (main["depth"] == row["depth"])
            & (main["seed"] == row["seed"])
        ]
        if same.empty:
            continue
        errors = [
            1 - same["train_evaluation_accuracy"].iloc[0],
            1 - row["train_evaluation_accuracy"],
        ]
        sentences.append(
            f"At a peak of {row['learning_rate']:g} in place of {same['learning_rate'].iloc[0]:g}, "
            f"the {NAMES[row['family']]} with {words.depth(int(row['depth']), row['family'])} ends "
            f"with {100 * errors[1]:.2f} % of its training images wrong, in place of "
            f"{100 * errors[0]:.2f} % (one run each, with the same seed)."
        )
    return Verdict(" ".join(sentences))


def deepest(runs: pd.DataFrame) -> Verdict:
    """Whether networks that are deeper still learn at all in a few epochs."""
    own = parts.shorter(runs)
    if own.empty:
        return Verdict("No deeper network was tried for a few epochs.")
    guess = 100 * (1 - 1 / DATASETS[own["dataset"].iloc[0]].num_classes)
    sentences = []
    cells = own.groupby(["family", "depth", "epochs_allowed"], sort=False)
    for (family, depth, epochs), cell in cells:
        listed = " and ".join(
            f"{100 * (1 - row['train_evaluation_accuracy']):.1f} % at a peak of "
            f"{row['learning_rate']:g}"
            for row in cell.to_dict("records")
        )
        sentences.append(
            f"After {epochs} epochs the {NAMES[str(family)]} with "
            f"{words.depth(int(str(depth)), str(family))} has "
            f"{listed} of its training images wrong."
        )
    stuck = own[own["train_evaluation_accuracy"] < 2 * (1 - guess / 100)]["family"].unique()
    names = " and the ".join(NAMES[each] for each in stuck)
    ending = (
        f"A guess has {guess:.0f} % wrong, so the {names} did not come to learn."
        if len(stuck)
        else f"A guess has {guess:.0f} % wrong, so all of them learn."
    )
    if depth == literature.DEEPEST_PLAIN and "PlainNet" in stuck:
        ending += (
            f" The paper says of its own plain network of {literature.DEEPEST_PLAIN} layers that "
            f"its error stays above {literature.DEEPEST_PLAIN_ERROR} %, and leaves it out of its "
            "figure 6, which agrees with that."
        )
    return Verdict(" ".join([*sentences, ending, "(One run each, which carries no claim.)"]))


def precision_effect(runs: pd.DataFrame) -> Verdict:
    """Whether the plain network degrades in the other precision too, and how far."""
    main, other = parts.main(runs), parts.compared(runs)
    if other.empty:
        return Verdict("These networks were trained in one precision alone.")
    depths = set(main["depth"])
    other = other[other["depth"].isin(depths)]
    own, change = (_change(each, "PlainNet") for each in (main, other))
    return Verdict(
        f"From {min(depths)} to {words.depth(max(depths), 'PlainNet')} the training error of the "
        f"{NAMES['PlainNet']} changes by {signed(own)} in {main['precision'].iloc[0]}, and in "
        f"{other['precision'].iloc[0]} by {signed(change)}{_unpaired(main, other)}: ",
        Judgement(
            change,
            above="there it **degrades**",
            below="there it **does not degrade**",
            neither="there it shows no measurable difference",
        ),
    )


def on_rounding(main: Verdict, other: Verdict) -> Verdict:
    """Whether degradation rests on rounding, from the verdicts on it in the two precisions."""
    if not other.judgements:
        return Verdict()
    same = {main.finding, other.finding}
    return Verdict(
        "It degrades in both, so its degradation does not rest on rounding."
        if same == {1}
        else "The two precisions do not agree about that."
        if len(same) > 1
        else "In neither is it shown to degrade."
    )


def _unpaired(main: pd.DataFrame, other: pd.DataFrame) -> str:
    devices = [" and ".join(sorted(own["device"].unique())) for own in (main, other)]
    if devices[0] == devices[1]:
        return ""
    return (
        f" (the two were trained on different devices, {devices[0]} and {devices[1]}, so their "
        "runs are not compared one by one)"
    )


def statistics_effect(main: pd.DataFrame, measured: Measured) -> Verdict:
    """Whether the running statistics of batch normalisation are to blame for the training error."""
    rows = pd.DataFrame(
        [
            {
                "key": record.key,
                "family": record.spec.model.family,
                "depth": record.spec.model.depth,
                "seed": record.spec.seed,
                "error": probe["error"],
                "change": probe["recomputed_error"] - probe["error"],
            }
            for record, probe in measured
        ],
        columns=["key", "family", "depth", "seed", "error", "change"],
    )
    rows = parts.among(rows, main)
    own = of_family(rows, "PlainNet")
    if own.empty:
        return Verdict("Fresh statistics of batch normalisation were not computed here.")
    depth = int(own["depth"].max())
    own = own[own["depth"] == depth]
    change = estimate(own["change"])
    return Verdict(
        f"With fresh statistics of batch normalisation, computed on ten training batches, the "
        f"training error of the {NAMES['PlainNet']} with {words.depth(depth, 'PlainNet')} is "
        f"{points(estimate(own['error'] + own['change']))} in place of "
        f"{points(estimate(own['error']))}, a change of {signed(change)}: ",
        Judgement(
            change,
            above="the running statistics are **not** what makes the error high",
            below="part of the error comes from the running statistics",
            neither="the running statistics explain no measurable part of it",
        ),
    )
