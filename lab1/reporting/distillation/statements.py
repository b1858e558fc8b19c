"""What the chapter on distillation says, sentence by sentence, from its records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from ..kit.sentences import Judgement, Verdict, corrected, paragraph, points, signed
from ..kit.statistics import FEWEST, estimate, paired_difference
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
    setting, fresh = Setting.of(parameters), Setting.fresh(parameters, runs)
    gain = verdicts.improvement(runs, setting)
    loss = verdicts.likelihood(runs, setting)
    unseen = verdicts.unseen(measured)
    worth = verdicts.worth(runs, setting)
    chosen = fresh_effect(runs, fresh)
    effects = control_effects(runs, setting)
    headline = paragraph(chosen, verdicts.likelihood(runs, fresh)) if fresh else gain
    says = corrected(
        {
            "improvement": gain,
            "likelihood": loss,
            "temperature": verdicts.chosen_setting(runs, setting, "temperature"),
            "alpha": verdicts.chosen_setting(runs, setting, "alpha"),
            "fresh": chosen,
            "fresh_likelihood": verdicts.likelihood(runs, fresh) if fresh else Verdict(),
            "calibration": verdicts.calibration(runs, fresh or setting),
            **{f"control {name}": effect for name, effect in effects.items()},
            "teachers": teachers(runs, setting),
            "capacity": verdicts.capacity(runs, setting),
            "worth": worth,
            "digits": verdicts.digits(runs),
            "small": verdicts.small_student(runs),
            "unseen": unseen,
            "answer": paragraph(
                Verdict(
                    "A small network, the student, was trained with the answers of a larger one, "
                    "its teacher, and without them."
                ),
                headline if fresh else paragraph(gain, loss), worth_in_short(runs, setting),
                unseen_in_short(measured),
                conditions(runs, setting),
            ),
        }
    )  # fmt: skip
    # What is concluded rests on what is left after the correction.
    told = ("fresh", "fresh_likelihood") if fresh else ("improvement", "likelihood")
    says["controls"] = controls({name: says.pop(f"control {name}") for name in effects})
    says["discussion"] = discussion(*(says[name] for name in (*told, "worth", "unseen")))
    return says


def fresh_effect(runs: pd.DataFrame, fresh: Setting | None) -> Verdict:
    """What the teacher adds at the chosen temperature and weight, on seeds that did not choose."""
    if fresh is None:
        return Verdict(
            "What the chosen values gain on seeds that had no part in the choice was not measured."
        )
    return paragraph(
        Verdict(
            "This is measured on seeds that had no part in any choice, at the values that "
            "validation chose."
        ),
        verdicts.improvement(runs, fresh),
    )


def _described(control: str) -> tuple[str, str]:
    """A student with a control, and what the control would explain the gain by."""
    if control.startswith("wrong classes"):
        return (
            "a student whose teacher names the wrong classes at random",
            "answers that only say how sure the teacher is",
        )
    return f"a student alone with {control}", control


def control_effects(runs: pd.DataFrame, setting: Setting) -> dict[str, Verdict]:
    """By how much the teacher brings more than what else might help, control by control."""
    table = twins.controls(runs, setting)
    names = [name for name in table["control"].unique() if name not in ("alone", "with teacher")]
    taught = table[table["control"] == "with teacher"]
    effects = {}
    for name in names if len(taught) else []:
        difference = paired_difference(table[table["control"] == name], taught, "test_accuracy")
        effects[name] = Verdict(
            f"**{_described(name)[0]}:** {signed(difference)}: ",
            Judgement(
                difference,
                above="the teacher brings **more**",
                below="the teacher brings **less**",
                neither="the teacher brings no measurable difference",
            ),
        )
    return effects


def controls(effects: Mapping[str, Verdict]) -> Verdict:
    """Whether anything simpler than the teacher brings as much as it does, and what that rules out.

    `effects` are the corrected verdicts of `control_effects`.
    """
    if not effects:
        return Verdict("No control of these students is here, so the gain has no known cause.")
    return paragraph(
        Verdict("The student with the teacher minus what else might help, paired by seed:\n"),
        *(paragraph(Verdict("-"), effect) for effect in effects.values()),
        Verdict(f"\n{_conclusion(effects)}"),
        between="\n",
    )


def _conclusion(effects: Mapping[str, Verdict]) -> str:
    if any(each.judgements[0].value.n < FEWEST for each in effects.values()):
        return "Some of these have too few seeds, so nothing is concluded."
    ruled_out = [_described(name)[1] for name, each in effects.items() if each.finding > 0]
    left = [_described(name)[1] for name, each in effects.items() if each.finding <= 0]
    said = [f"So the gain is not explained by {' or '.join(ruled_out)}."] if ruled_out else []
    if effects.get("wrong classes permuted", Verdict()).finding > 0:
        said.append("What the teacher says about the wrong classes is part of what helps.")
    if left:
        said.append(f"Not ruled out as its explanation: {'; '.join(left)}.")
    return " ".join(said)


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
    alone = runs[runs["key"].isin(own["twin"])]
    mean = paired_difference(alone, own, "test_accuracy", over_teachers=True)
    return Verdict(
        f"With {count} teachers, which differ in their seed, the same students gain {listed}; "
        f"averaged over the teachers, student by student, {signed(mean)}."
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
            neither="between the two uses there is no measurable difference",
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


def discussion(gain: Verdict, loss: Verdict, worth: Verdict, unseen: Verdict) -> Verdict:
    """What the gain, the test loss, the cost and the digit unseen say together.

    All four are corrected: what is a hint there is none here.
    """
    sentences = []
    if not gain.judgements or gain.judgements[-1].value.n < FEWEST:
        return Verdict("Too few twins are here for a conclusion about the teacher.")
    if gain.finding > 0 and loss.finding > 0:
        sentences.append(
            "With the teacher the student is right more often, and yet its probabilities are "
            "worse: whoever needs the answer gains, whoever needs the confidence loses."
        )
    elif gain.finding:
        often = "more" if gain.finding > 0 else "less"
        sentences.append(f"With the teacher the student is right {often} often.")
    elif gain.judgements[-1].value.sign:
        often = "more" if gain.judgements[-1].value.sign > 0 else "less"
        sentences.append(
            f"That the student is right {often} often with the teacher is a hint, which these "
            "twins are too few to confirm."
        )
    else:
        sentences.append("These twins cannot tell the teacher's effect on accuracy from chance.")
    if worth.finding < 0:
        sentences.append(
            "The teacher costs more at every step than the student itself, and the same "
            "arithmetic spent on more epochs brings more. A teacher is worth having where it is "
            "there already, where its answers can be kept, or where something else limits the "
            "epochs."
        )
    if unseen.judgements and unseen.judgements[0].finding > 0:
        sentences.append(
            "The digit that was never seen is another matter. There the teacher is not a slightly "
            "better source of labels: it is the only source there is."
        )
    return Verdict(" ".join(sentences))
