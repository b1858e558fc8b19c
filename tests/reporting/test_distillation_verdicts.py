"""What is said of distillation must follow from the records, and turn round with them."""

import pytest
from claimed import claims
from distilled import SETTING, bias_probe, digits, measured, several, study

from lab1.reporting.distillation import verdicts as verdicts
from lab1.reporting.kit import frames

#: Accuracies of the student alone: the seeds differ by far more than any gain below.
ALONE = [0.70, 0.73, 0.76]
JITTER = [0.001, 0.0, -0.001]
NOISE = [0.03, -0.02, -0.01]


def pairs(gain, jitter=JITTER):
    return [(own, own + gain + each) for own, each in zip(ALONE, jitter, strict=True)]


def swapped(given):
    """The student with the teacher gets the accuracy of the one without, and vice versa."""
    return [(taught, alone) for alone, taught in given]


@pytest.fixture
def runs(make_record):
    def make(*arguments, **keywords):
        return frames.runs(study(make_record, *arguments, **keywords))

    return make


def test_a_gain_and_its_swap(runs):
    verdict = verdicts.improvement(runs(pairs(0.02)), SETTING)
    assert claims(verdict) == ["helps"]
    assert "+2.00 ± 0.25 points (n = 3)" in verdict.text
    assert "(T = 4, α = 0.9)" in verdict.text
    assert claims(verdicts.improvement(runs(swapped(pairs(0.02))), SETTING)) == ["hurts"]


def test_a_gain_of_chance_is_none(runs):
    verdict = verdicts.improvement(runs(pairs(0.0, NOISE)), SETTING)
    assert claims(verdict) == ["no measurable difference"]
    assert "the interval contains zero" in verdict.text


def test_two_pairs_carry_no_claim(runs):
    verdict = verdicts.improvement(runs(pairs(0.02)[:2]), SETTING)
    assert "fewer than 3 common seeds" in verdict.text and "**" not in verdict.text


def test_without_a_pair_nothing_is_said(make_record):
    frame = frames.runs(study(make_record, [(0.7, 0.8)])[:2])
    assert "no distilled run" in verdicts.improvement(frame, SETTING).text


def test_the_temperature_is_chosen_on_validation(make_record):
    """T = 8 has the better test accuracy and T = 4 the better validation accuracy."""
    records = several(make_record, [(pairs(0.02), {}), (pairs(0.04), {"temperature": 8.0})])
    frame = frames.runs(records)
    frame.loc[frame["temperature"] == 8, "validation_accuracy"] = 0.1
    verdict = verdicts.chosen_setting(frame, SETTING, "temperature")
    assert verdict.text == (
        "Of the values 4, 8, validation accuracy chooses T = 4, with 3 seeds each."
    )


def test_the_choice_turns_round_with_the_records(make_record):
    for better, chosen in ((0.5, "α = 0.5"), (0.9, "α = 0.9")):
        worse = {0.5: 0.9, 0.9: 0.5}[better]
        frame = frames.runs(
            several(
                make_record, [(pairs(0.03), {"alpha": better}), (pairs(-0.03), {"alpha": worse})]
            )
        )
        verdict = verdicts.chosen_setting(frame, SETTING, "alpha")
        assert f"chooses {chosen}," in verdict.text


def test_what_was_not_varied_is_not_chosen(runs):
    frame = runs(pairs(0.02))
    assert "was not varied" in verdicts.chosen_setting(frame, SETTING, "temperature").text
    assert "was not varied" in verdicts.capacity(frame, SETTING).text


def test_the_cost_is_counted_in_forward_passes(runs):
    """A student of 4 MFLOPs and a teacher of 89: 12 against 101 for a training image."""
    verdict = verdicts.worth(runs(pairs(0.02), longer=ALONE), SETTING)
    assert "three forward passes of the student, 4.0 million FLOPs each" in verdict.text
    assert "89.0 million" in verdict.text
    assert f"3 epochs with the teacher buys {3 * 101 / 12:.0f} without" in verdict.text
    assert "trains alone for 30 epochs" in verdict.text


def test_the_teacher_is_worth_its_cost_or_not(runs):
    better, worse = ([own + each for own in ALONE] for each in (-0.01, 0.05))
    assert claims(verdicts.worth(runs(pairs(0.02), longer=better), SETTING)) == [
        "is worth its cost"
    ]
    assert claims(verdicts.worth(runs(pairs(0.02), longer=worse), SETTING)) == ["better spent"]
    chance = [own + 0.02 + each for own, each in zip(ALONE, NOISE, strict=True)]
    assert claims(verdicts.worth(runs(pairs(0.02), longer=chance), SETTING)) == [
        "no measurable difference"
    ]
    assert "cannot be judged" in verdicts.worth(runs(pairs(0.02)), SETTING).text


@pytest.mark.parametrize(
    ("small", "large", "claim"), [(0.03, 0.01, "more"), (0.01, 0.03, "more"), (0.02, 0.02, None)]
)
def test_who_gains_the_most(make_record, small, large, claim):
    jitter = NOISE if claim is None else [0.0, 0.001, -0.001]
    frame = frames.runs(
        several(
            make_record, [(pairs(small), {"channels": 8}), (pairs(large, jitter), {"channels": 16})]
        )
    )
    verdict = verdicts.capacity(frame, SETTING)
    assert claims(verdict) == [claim or "no measurable difference"]
    if claim:
        who = "smaller" if small > large else "larger"
        assert f"the {who} student gains **more**" in verdict.text
    assert "25,600 parameters gains" in verdict.text and "102,400" in verdict.text


def test_errors_on_digits_and_their_swap(make_record):
    given = [(70, 150, 80), (72, 152, 83), (68, 148, 77)]
    verdict = verdicts.digits(frames.runs(digits(make_record, given)))
    assert claims(verdict) == ["helps"]
    assert "The large network makes 70.0 ± 5.0 errors" in verdict.text
    assert "spares it 70.0 ± 2.5 errors (n = 3)" in verdict.text
    back = [(teacher, taught, alone) for teacher, alone, taught in given]
    assert claims(verdicts.digits(frames.runs(digits(make_record, back)))) == ["hurts"]


def test_without_digits_nothing_is_said(runs):
    assert "no pair" in verdicts.digits(runs(pairs(0.02))).text


def unseen(make_record, alone, taught):
    counts = [(1, 1)] * len(taught)
    records = digits(make_record, [(70, 150, 80)] * len(taught), counts)
    return verdicts.unseen(measured(records, alone, taught))


def test_a_class_that_was_never_seen(make_record):
    alone = [bias_probe(1000, 1200, 990, 1190)] * 3
    taught = [bias_probe(150 + each, 230, 20, 110 + each) for each in (-5, 0, 5)]
    verdict = unseen(make_record, alone, taught)
    assert claims(verdict) == ["teach the student this one", "only underestimated it"]
    assert "Of the 1,000 test images of class 3" in verdict.text
    assert "without a teacher recognises 0.00 ± 0.00 %" in verdict.text
    assert "the one with it 85.00 ± 1.24 %" in verdict.text
    assert "raised by 2.5" in verdict.text
    assert claims(unseen(make_record, taught, alone))[0] == "less"


def test_a_correction_that_harms_is_said_to(make_record):
    alone = [bias_probe(1000, 1200, 990, 1190)] * 3
    taught = [bias_probe(150, 230, 20, 400 + each) for each in (-5, 0, 5)]
    assert claims(unseen(make_record, alone, taught))[1] == "more harm than good"


def test_without_such_students_nothing_is_said():
    assert "No student" in verdicts.unseen([]).text


def test_one_seed_of_digits_carries_no_claim(make_record):
    frame = frames.runs(digits(make_record, [(70, 150, 80)]))
    assert "**" not in verdicts.digits(frame).text and "±" not in verdicts.digits(frame).text
    probes = ([bias_probe(1000, 1200, 990, 1190)], [bias_probe(150, 230, 20, 110)])
    assert "**" not in unseen(make_record, *probes).text
