"""What the chapter on convolutional networks says, sentence by sentence, from its records."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from ...core.record import Record
from ..kit import words
from ..kit.sentences import Verdict, corrected, paragraph, points
from ..kit.statistics import FEWEST, Estimate, paired_difference
from ..kit.words import NAMES
from . import own_families, verdicts
from .equal_parameters import at_size, equal_size_effect, judged
from .selection import of_family

PLAIN, TWIN, RESIDUAL = "SimpleCNN", "PlainCNN", "ResidualCNN"


def convolutional_networks(runs: pd.DataFrame) -> dict[str, Verdict]:
    """The verdicts of the page by name, corrected over all that it judges; `answer` opens it.

    `runs` is the frame of `runs` of all the page's runs, the further sizes of SimpleCNN among them.
    """
    main = of_main_size(runs)
    families = set(main["family"])
    twins = Verdict(
        f"The {NAMES[TWIN]}, a twin that differs in the skip connections alone, is not among the "
        "runs of this page, so it names no cause."
    )
    if {TWIN, RESIDUAL} <= families:
        twins = verdicts.skip_effect(main, TWIN)
    design = verdicts.design_effect(main, PLAIN)
    said = {
        "plain": verdicts.depth_effect(main, PLAIN),
        "residual": verdicts.depth_effect(main, RESIDUAL),
        "design": design,
        "equal": equal_size_effect(runs, PLAIN),
        "twins": twins,
        "own": own_families.effects(main),
        "training": training(main),
    }
    opening = verdicts.at_deepest(main, TWIN) if {TWIN, RESIDUAL} <= families else Verdict()
    answer = paragraph(verdicts.at_deepest(main, PLAIN), at_equal_size(runs), opening)
    says = corrected({**said, "answer": paragraph(answer, conditions(main))})
    # What is concluded rests on what is left after the correction.
    return {**says, "discussion": discussion(runs, says)}


def of_main_size(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs of the comparison by depth: those with as many channels as the first."""
    chosen: pd.DataFrame = runs[runs["channels"] == runs["channels"].iloc[0]] if len(runs) else runs
    return chosen


def training(main: pd.DataFrame) -> Verdict:
    """How the networks of the page were trained, from their specifications."""
    if main.empty:
        return Verdict("There is no run here.")
    first = main.iloc[0]
    seeds = main.groupby(["family", "depth"])["seed"].nunique()
    counts = sorted({int(seeds.min()), int(seeds.max())})
    listed = f"{' to '.join(map(str, counts))} seed{'' if counts == [1] else 's'} each"
    return Verdict(
        f"These are runs of {int(first['epochs_allowed'])} epochs with "
        f"{_OPTIMIZERS[first['optimizer']]}, a learning rate of {first['learning_rate']:g} and the "
        f"schedule `{first['schedule']}`, with {_AUGMENTATIONS[first['augmentation']]}, in "
        f"{first['precision']}, {listed}.{_devices(main)}"
    )


def _devices(main: pd.DataFrame) -> str:
    """On which kind of device each seed was trained, where there are several kinds."""
    kinds = [str(kind) for kind in main.sort_values("seed", kind="stable")["device"].unique()]
    if len(kinds) < 2:
        return ""
    parts = [
        f"on a {_DEVICES.get(kind, kind)}: {_trained(main[main['device'] == kind], main)}"
        for kind in kinds
    ]
    return f" Trained {'; '.join(parts)}. Every comparison is between runs of one kind of device."


def _trained(part: pd.DataFrame, main: pd.DataFrame) -> str:
    """The seeds of a part of the runs, those of some depths alone with these."""
    depths = {str(seed): sorted(own["depth"].unique()) for seed, own in part.groupby("seed")}
    whole = [seed for seed, own in depths.items() if own == sorted(main["depth"].unique())]
    noun = "seeds" if len(whole) > 1 else "seed"
    said = [f"{noun} {words.listed(whole)}"] if whole else []
    family = str(part["family"].iloc[0])
    said += [
        f"seed {seed} with {words.depths(own, family)}"
        for seed, own in depths.items()
        if seed not in whole
    ]
    return words.listed(said)


_DEVICES = {"cuda": "GPU", "cpu": "CPU", "mps": "GPU of Apple"}
_OPTIMIZERS = {"adam": "Adam", "adamw": "AdamW", "sgd": "stochastic gradient descent"}
_AUGMENTATIONS = {
    "none": "images as they are",
    "crop": "random crops",
    "crop-flip": "random crops and mirror images",
    "rotate-affine": "random rotations, shears and scalings",
    "shift": "random shifts",
}


def at_equal_size(runs: pd.DataFrame) -> Verdict:
    """The largest residual network that can be compared at equal size, in one sentence."""
    found = _at_equal_size(runs)
    if found is None:
        return Verdict("At equal numbers of parameters the two designs cannot be compared here.")
    depth, difference = found
    return Verdict(
        f"At equal numbers of parameters the difference is {points(difference, signed=True)} with "
        f"{words.depth(depth, RESIDUAL)} (n = {difference.n}): ",
        judged(difference),
    )


def _at_equal_size(runs: pd.DataFrame) -> tuple[int, Estimate] | None:
    reference, others = of_family(runs, PLAIN), of_family(runs, RESIDUAL)
    for depth in sorted(others["depth"].unique(), reverse=True):
        own = others[others["depth"] == depth]
        interpolated = at_size(reference, int(own["parameters"].iloc[0]))
        difference = paired_difference(interpolated, own, "test_accuracy")
        if difference.n:
            return int(depth), difference
    return None


def best_run(record: Record) -> Verdict:
    """Which run is looked at more closely."""
    model = record.spec.model
    return Verdict(
        f"The run with the best validation accuracy of all, of the {NAMES[model.family]} with "
        f"{words.depth(model.depth, model.family)}, {model.channels} feature maps in the first, "
        f"and seed {record.spec.seed}, is looked at more closely."
    )


def conditions(main: pd.DataFrame) -> Verdict:
    """On what the page's results rest, and what that leaves open."""
    if main.empty:
        return Verdict()
    titles = " and ".join(sorted(main["dataset_title"].unique()))
    return Verdict(
        f"All this is for {int(main['epochs_allowed'].iloc[0])} epochs on {titles}, with one "
        "learning rate for all networks."
    )


def discussion(runs: pd.DataFrame, says: Mapping[str, Verdict]) -> Verdict:
    """What the comparisons at equal depth, at equal size and between twins say together.

    `says` are the corrected verdicts on them, `design`, `equal` and `twins`: what is a hint there
    is none here.
    """
    main = of_main_size(runs)
    differences, depths = {}, {}
    for plain, name in ((PLAIN, "design"), (TWIN, "twins")):
        pair = verdicts.pair_at_deepest(main, plain)
        if pair is not None:
            depths[name], first, second = pair
            differences[name] = paired_difference(first, second, "test_accuracy")
    sentences = []
    design, twin = differences.get("design"), differences.get("twins")
    equal = _at_equal_size(runs)
    if design is None or design.n < FEWEST:
        sentences.append(
            "Too few runs compare the two designs here, so nothing is concluded about them."
        )
    elif _finding(says["design"], design) <= 0:
        sentences.append("At equal depth the residual design is not shown to be ahead.")
    elif equal is None or equal[1].n < FEWEST:
        sentences.append(
            "At equal depth the residual design is ahead, and it is larger. Too few runs compare "
            "the designs at equal size, so how much of the lead is size is not known here."
        )
    elif _finding(says["equal"], equal[1]) > 0:
        sentences.append(
            "The residual design is ahead at equal depth, and in part at equal size too: it makes "
            f"better use of its parameters with {words.depth(equal[0], RESIDUAL)}."
        )
    elif equal[0] != depths["design"]:
        sentences.append(
            "The residual design is ahead at equal depth, where it has several times the "
            "parameters. At equal size it is not shown to be, but that was compared with "
            f"{words.depth(equal[0], RESIDUAL)} at the most. How much of the lead with "
            f"{words.depth(depths['design'], RESIDUAL)} is size is not known here."
        )
    else:
        sentences.append(
            "The residual design is ahead at equal depth, where it has several times the "
            f"parameters. At equal size, with {words.depth(equal[0], RESIDUAL)}, it is not shown "
            "to be. So size alone may account for the lead: the skip connections are not shown to "
            "make better use of the parameters than fewer and wider layers do."
        )
    if twin is None:
        sentences.append("Whether skip connections are a cause needs a twin, which is not here.")
    elif twin.n < FEWEST:
        sentences.append(
            "The twin without skip connections was trained with too few seeds for a conclusion."
        )
    else:
        unit = words.depth(depths["twins"], RESIDUAL)
        sentences.append(
            {
                1: f"Against their twin with {unit}, which has the same layers, the skip "
                "connections help: in a network of so many layers they are a cause.",
                0: f"Against their twin with {unit} they are not shown to make a difference.",
                -1: f"Against their twin with {unit} the skip connections hurt.",
            }[_finding(says["twins"], twin)]
        )
    return Verdict(" ".join(sentences))


def _finding(verdict: Verdict, value: Estimate) -> int:
    """What a verdict found of one of the differences that it judges."""
    return next(each.finding for each in verdict.judgements if each.value == value)
