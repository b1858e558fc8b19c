"""The chapter on distillation: what is compared with what, and what its sentences make of it."""

import math
from dataclasses import replace

import pytest
from distilled import SETTING, bias_probe, digits, measured, study

from lab1.core.distillation import DistillationConfig
from lab1.reporting.distillation import pairs as twins
from lab1.reporting.distillation import statements, tables, verdicts
from lab1.reporting.kit import frames
from lab1.reporting.kit.sentences import Judgement, Verdict
from lab1.reporting.kit.statistics import estimate

ALONE = [0.70, 0.73, 0.76]
JITTER = [0.001, 0.0, -0.001]
PARAMETERS = {"student_channels": 11, "temperature": 4.0, "alpha": 0.9, "teacher_seed": 0}


def shifted(gain):
    return [own + gain + each for own, each in zip(ALONE, JITTER, strict=True)]


@pytest.fixture
def records(make_record):
    """Twins with this gain; with controls, by name, that gain this much themselves."""

    def make(gain=0.02, controls=None, loss=0.0, longer=()):
        made = study(make_record, list(zip(ALONE, shifted(gain), strict=True)), longer=longer)
        teacher = made[0].spec
        common = {"dataset": "cifar10-jpeg", "channels": 11, "parameters": 48_400}
        changes = {
            "smoothed": {"label_smoothing": 0.1},
            "rate": {"learning_rate": 0.2},
            "permuted": {"distillation": DistillationConfig(teacher, 4.0, 0.9, "permuted")},
        }
        for name, own in (controls or {}).items():
            made += [
                make_record("SimpleCNN", 4, seed, accuracy, **common, **changes[name])
                for seed, accuracy in enumerate(shifted(own))
            ]
        return [
            replace(each, test={**each.test, "loss": 0.7 + (each.spec.distillation is not None) * (
                loss + each.spec.seed / 1000)})
            for each in made
        ]  # fmt: skip

    return make


def says_of(records, parameters=PARAMETERS, measured=()):
    return statements.distillation(frames.runs(records), measured, parameters)


def test_a_gain_with_a_worse_loss_is_told_with_both(records):
    says = says_of(records(loss=0.03))
    assert "distillation **helps**" in says["answer"].text
    assert "the taught student is **worse**" in says["answer"].text
    assert "+0.031 ± 0.002 (n = 3)" in says["likelihood"].text
    assert "whoever needs the answer gains" in says["discussion"].text
    better = says_of(records(loss=-0.03))
    assert "by its test loss, too, the taught student is **better**" in better["answer"].text
    assert "whoever needs" not in better["discussion"].text


def test_the_discussion_follows_the_gain(records):
    assert "right less often" in says_of(records(-0.02))["discussion"].text
    chance = records(0.0)
    assert "cannot tell" in says_of(chance)["discussion"].text
    few = [each for each in records() if each.spec.seed < 2]
    assert "Too few twins" in says_of(few)["discussion"].text


def test_a_hint_carries_no_conclusion(records):
    """What the correction leaves no finding is not concluded from either."""
    says = says_of(records(0.003))
    assert "but not after correction: a hint, no finding" in says["improvement"].text
    assert "right more often with the teacher is a hint" in says["discussion"].text
    value = estimate([0.01, 0.011, 0.012])
    effects = {"label smoothing 0.1": Verdict(Judgement(value, "", "", "", adjusted=0.2))}
    assert (
        "Not ruled out as its explanation: label smoothing 0.1."
        in statements.controls(effects).text
    )


def on_fresh_seeds(records, *seeds):
    """The same, these seeds having had no part in a choice."""
    return [
        replace(record, spec=replace(record.spec, role="fresh"))
        if record.spec.distillation and record.spec.seed in seeds
        else record
        for record in records
    ]


def test_the_chosen_values_are_told_on_fresh_seeds(records):
    says = says_of(on_fresh_seeds(records(), 0, 1, 2))
    assert says["answer"].text.startswith("A small network, the student, was trained")
    assert "was not measured" in says_of(records())["fresh"].text
    assert "(n = 2)" in says_of(on_fresh_seeds(records(), 1, 2))["fresh"].text


def test_controls_that_gain_nothing_leave_the_teacher(records):
    controls = {"smoothed": 0.0, "rate": 0.001, "permuted": 0.0}
    says = says_of(records(0.02, controls))
    assert says["controls"].text.count("the teacher brings **more**") == 3
    assert "What the teacher says about the wrong classes is part of what" in says["controls"].text


def test_a_control_that_gains_as_much_is_not_ruled_out(records):
    says = says_of(records(0.02, {"smoothed": 0.02, "permuted": 0.0}))
    assert "Not ruled out as its explanation: label smoothing 0.1." in says["controls"].text
    every = says_of(records(0.02, {"smoothed": 0.02, "permuted": 0.05}))
    assert "the teacher brings **less**" in every["controls"].text
    none = says_of(records(0.0, {"smoothed": 0.0}))
    assert "is not explained" not in none["controls"].text
    assert "Not ruled out as its explanation: label smoothing 0.1." in none["controls"].text
    assert "no known cause" in says_of(records())["controls"].text


def test_controls_do_not_mix_with_the_twins(records):
    plain, controlled = records(0.02), records(0.02, {"smoothed": 0.1, "rate": 0.1, "permuted": 0})
    for name in ("improvement", "likelihood"):
        assert says_of(plain)[name] == says_of(controlled)[name]
    table = tables.controls(frames.runs(controlled), SETTING).frame
    changes = table.set_index("Student")["Minus alone"].to_dict()
    assert math.isnan(changes.pop("alone"))  # with itself it is not compared
    assert changes == {
        "label smoothing 0.1": pytest.approx(10.0),
        "learning rate 0.2": pytest.approx(10.0),
        "with teacher": pytest.approx(2.0),
        "wrong classes permuted": pytest.approx(0.0),
    }
    assert set(table["n"]) == {3}
    roles = tables.summary(frames.runs(controlled)).frame["Role"].tolist()
    assert "student alone, learning rate 0.001, label smoothing 0.1" in roles
    assert "student with teacher, wrong classes permuted" in roles


def test_several_teachers_are_compared_and_one_is_said_to_be_one(records, make_record):
    made = records()
    assert "There is one teacher." in says_of(made)["teachers"].text
    teacher = replace(made[0].spec, seed=1)
    more = [
        make_record(
            "SimpleCNN", 4, seed, accuracy, dataset="cifar10-jpeg", channels=11,
            distillation=DistillationConfig(teacher, 4.0, 0.9),
        )
        for seed, accuracy in enumerate(shifted(0.05))
    ]  # fmt: skip
    says = says_of([*made, *more])
    assert "With 2 teachers" in says["teachers"].text
    assert "+2.00 ± 0.25 points (n = 3), +5.00 ± 0.25 points (n = 3)" in says["teachers"].text
    assert says["improvement"] == says_of(made)["improvement"]


def test_calibration_and_agreement_are_told_where_they_were_measured(records):
    known = [
        replace(
            each,
            test={**each.test, "teacher_agreement": 0.8, "calibration_error":
                  0.05 - 0.02 * (each.spec.distillation is not None) + each.spec.seed / 1000},
        )
        for each in records()
    ]  # fmt: skip
    text = says_of(known)["calibration"].text
    assert "−2.00 ± 0.00 points (n = 3): its confidence is **closer** to its accuracy" in text
    assert "to 80.00 ± 0.00 % of the test images" in text
    without = [
        replace(each, test={k: v for k, v in each.test.items() if k != "calibration_error"})
        for each in records()
    ]
    assert "was not measured" in says_of(without)["calibration"].text


def test_the_unseen_digit_stands_in_the_answer(make_record, records):
    own = digits(make_record, [(70, 150, 80)] * 3, [(1, 1)] * 3)
    alone = [bias_probe(1000, 1200, 990, 1190)] * 3
    taught = [bias_probe(150 + each, 230, 20, 110 + each) for each in (-5, 0, 5)]
    says = says_of([*records(), *own], measured=measured(own, alone, taught))
    assert "never saw the digit 3 recognises 85.00 ± 1.24 %" in says["answer"].text


@pytest.fixture
def small(make_record):
    """The digits with students of 30 units beside those of 800, by temperature their errors."""

    def make(errors):
        made = digits(make_record, [(70, 150, 80)] * 3)
        teacher = made[0].spec
        for seed in range(3):
            made.append(make_record("MLP", 2, seed, 0.968 - seed / 1000, "mnist", width=30))
            made += [
                make_record(
                    "MLP", 2, seed, 1 - (own + 10 * seed) / 10_000, "mnist", width=30,
                    distillation=DistillationConfig(teacher, temperature, 0.9),
                )
                for temperature, own in errors.items()
            ]  # fmt: skip
        return frames.runs(made)

    return make


def test_a_small_student_learns_best_at_a_low_temperature_or_a_high_one(small):
    low = verdicts.small_student(small({1.0: 290, 2.0: 280, 20.0: 420}))
    assert "280.0" not in low.text and "Validation accuracy chooses T = 2" in low.text
    assert "better at a **low** temperature" in low.text
    high = verdicts.small_student(small({1.0: 290, 2.0: 280, 20.0: 270}))
    assert "Validation accuracy chooses T = 20." in high.text and high.judgements == []
    assert "No far smaller student" in verdicts.small_student(small({1.0: 290})).text


def test_small_students_do_not_mix_with_the_others(small, make_record):
    frame = small({1.0: 290, 2.0: 280})
    assert set(twins.digits(frame)["width"]) == {800, 1200}
    plain = frames.runs(digits(make_record, [(70, 150, 80)] * 3))
    assert verdicts.digits(frame) == verdicts.digits(plain)
