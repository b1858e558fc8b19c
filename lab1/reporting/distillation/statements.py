"""What the chapter on distillation says, sentence by sentence, from its records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from ..kit.sentences import Judgement, Verdict, corrected, paragraph, points, signed
from ..kit.statistics import FEWEST, Estimate, estimate, paired_difference
from . import pairs as twins
from . import verdicts
from .pairs import Setting
from .verdicts import Measured


def distillation(
    runs: pd.DataFrame, measured: Measured, parameters: Mapping[str, Any]
) -> dict[str, Verdict]:
    """The verdicts of the page by name, corrected over all that it judges; `answer` opens it.

    `runs` is the frame of `runs`, `measured` are runs with their probe `bias-correction`, and
    `parameters` those of the page.
    """
    setting, fresh = Setting.of(parameters), Setting.fresh(parameters)
    gain = verdicts.improvement(runs, setting)
    loss = verdicts.likelihood(runs, setting)
    unseen = verdicts.unseen(measured)
    worth = verdicts.worth(runs, setting)
    chosen = fresh_effect(runs, fresh)
    headline = paragraph(chosen, verdicts.likelihood(runs, fresh)) if fresh else gain
    return corrected(
        {
            "improvement": gain,
            "likelihood": loss,
            "temperature": verdicts.chosen_setting(runs, setting, "temperature"),
            "alpha": verdicts.chosen_setting(runs, setting, "alpha"),
            "fresh": chosen,
            "fresh_likelihood": verdicts.likelihood(runs, fresh) if fresh else Verdict(),
            "calibration": verdicts.calibration(runs, fresh or setting),
            "controls": controls(runs, setting),
            "teachers": teachers(runs, setting),
            "capacity": verdicts.capacity(runs, setting),
            "worth": worth,
            "digits": verdicts.digits(runs),
            "small": verdicts.small_student(runs),
            "unseen": unseen,
            "discussion": discussion(runs, fresh or setting, setting),
            "answer": paragraph(
                headline if fresh else paragraph(gain, loss), worth_in_short(runs, setting),
                unseen_in_short(measured),
                conditions(runs, setting),
            ),
        }
    )  # fmt: skip


def fresh_effect(runs: pd.DataFrame, fresh: Setting | None) -> Verdict:
    """What the teacher adds at the chosen temperature and weight, on seeds that did not choose."""
    if fresh is None:
        return Verdict(
            "What the chosen values gain on seeds that had no part in the choice was not measured."
        )
    return paragraph(
        Verdict("On seeds that had no part in any choice, at the values that validation chose:"),
        verdicts.improvement(runs, fresh),
    )


#: What a control stands for, in a sentence.
_MEANS = {
    "labels smoothed": "a student alone with smoothed labels",
    "wrong classes permuted": "a student whose teacher names the wrong classes at random",
}


def controls(runs: pd.DataFrame, setting: Setting) -> Verdict:
    """Whether anything simpler than the teacher brings as much as it does."""
    table = twins.controls(runs, setting)
    names = [name for name in table["control"].unique() if name not in ("alone", "with teacher")]
    taught = table[table["control"] == "with teacher"]
    if not names or taught.empty:
        return Verdict("No control of these students is here, so the gain has no known cause.")
    parts: list[str | Judgement] = [
        "The student with the teacher minus what else might help, paired by seed:\n"
    ]
    differences = {}
    for name in names:
        other = table[table["control"] == name]
        differences[name] = paired_difference(other, taught, "test_accuracy")
        means = _MEANS.get(name, f"a student alone at a {name}")
        parts += [
            f"\n- **{means}:** {signed(differences[name])}: ",
            Judgement(
                differences[name],
                above="the teacher brings **more**",
                below="the teacher brings **less**",
                neither="the teacher brings **no measurable difference**",
            ),
        ]
    return Verdict(*parts, f"\n\n{_conclusion(differences)}")


def _conclusion(differences: Mapping[str, Estimate]) -> str:
    if any(each.n < FEWEST for each in differences.values()):
        return "Some of these have too few seeds, so nothing is concluded."
    if all(each.sign > 0 for each in differences.values()):
        return (
            "So neither smoothed labels nor another learning rate explains the gain, and a teacher "
            "that only makes the labels softer does not bring it: what it says about the wrong "
            "classes does."
        )
    if all(each.sign == 0 for each in differences.values()):
        return "So none of these explanations of the gain is ruled out."
    equal = [_MEANS.get(name, name) for name, each in differences.items() if each.sign <= 0]
    return f"So as an explanation of the gain this is not ruled out: {'; '.join(equal)}."


def teachers(runs: pd.DataFrame, setting: Setting) -> Verdict:
    """Whether another teacher teaches as well."""
    own = twins.by_teacher(runs, setting)
    count = own["teacher_seed"].nunique()
    if count < 2:
        return Verdict(
            "There is one teacher. The intervals are over the seeds of the students, so what "
            "another teacher would bring is not known."
        )
    listed = ", ".join(
        f"{points(estimate(part['gain']), signed=True)} (n = {len(part)})"
        for _, part in own.groupby("teacher_seed")
    )
    return Verdict(
        f"With {count} teachers, which differ in their seed, the same students gain {listed}."
    )


def worth_in_short(runs: pd.DataFrame, setting: Setting) -> Verdict:
    """Whether the same arithmetic is better spent on more epochs, in a sentence."""
    longer = twins.longer(runs, setting)
    own = twins.of_setting(twins.pairs(twins.photographs(runs)), setting)
    if longer.empty or own.empty:
        return Verdict()
    difference = paired_difference(longer, own, "test_accuracy")
    return Verdict(
        f"For the same arithmetic a student can train alone for {longer['epochs'].max()} epochs. "
        f"With the teacher it reaches {signed(difference)} compared with that: ",
        Judgement(
            difference,
            above="the teacher **is worth its cost**",
            below="the arithmetic is **better spent** on more epochs",
            neither="between the two uses there is **no measurable difference**",
        ),
    )


def unseen_in_short(measured: Measured) -> Verdict:
    """What a student knows of a digit that it never saw, in a sentence."""
    table = twins.unseen(measured)
    taught = table[table["taught"].astype(bool)]
    if taught.empty:
        return Verdict()
    return Verdict(
        f"A student that never saw the digit {taught['class'].iloc[0]} recognises "
        f"{points(estimate(taught['right']))} of its test images after it was taught about the "
        f"other digits alone (n = {len(taught)})."
    )


def conditions(runs: pd.DataFrame, setting: Setting) -> Verdict:
    """On what the page's results on photographs rest."""
    own = twins.of_setting(twins.pairs(twins.photographs(runs)), setting)
    if own.empty:
        return Verdict()
    titles = " and ".join(sorted(own["dataset_title"].unique()))
    precisions = " and ".join(sorted(own["precision"].unique()))
    return Verdict(
        f"The photographs are those of {titles}; students train for "
        f"{int(own['epochs_allowed'].iloc[0])} epochs in {precisions}."
    )


def discussion(runs: pd.DataFrame, headline: Setting, setting: Setting) -> Verdict:
    """What the gain, the test loss, the controls and the cost say together."""
    own = twins.of_setting(twins.pairs(twins.photographs(runs)), headline)
    gain, loss = estimate(own["gain"]), estimate(own["loss_gain"])
    sentences = []
    if gain.n < FEWEST:
        return Verdict("Too few twins are here for a conclusion about the teacher.")
    if gain.sign > 0 and loss.sign > 0:
        sentences.append(
            "With the teacher the student is right more often, and yet its probabilities are "
            "worse: whoever needs the answer gains, whoever needs the confidence loses."
        )
    elif gain.sign > 0:
        sentences.append("With the teacher the student is right more often.")
    elif gain.sign < 0:
        sentences.append("With the teacher the student is right less often.")
    else:
        sentences.append("These twins cannot tell the teacher's effect on accuracy from chance.")
    longer = twins.longer(runs, setting)
    paired = twins.of_setting(twins.pairs(twins.photographs(runs)), setting)
    if not longer.empty and paired_difference(longer, paired, "test_accuracy").sign < 0:
        sentences.append(
            "The teacher costs more at every step than the student itself, and the same "
            "arithmetic spent on more epochs brings more. A teacher is worth having where it is "
            "there already, where its answers can be kept, or where something else limits the "
            "epochs."
        )
    sentences.append(
        "The digit that was never seen is another matter. There the teacher is not a slightly "
        "better source of labels: it is the only source there is."
    )
    return Verdict(" ".join(sentences))
