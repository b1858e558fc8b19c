"""The runs of the chapter on distillation; those of the others are in test_experiments.py."""

from dataclasses import replace

import pytest

from lab1.core.errors import ParameterError
from lab1.planning.chapters import plan

STUDY = {
    "dataset": "smoke-colour",
    "seeds": [0, 1],
    "student_channels": 8,
    "student_depth": 2,
    "teacher_channels": 16,
    "teacher_depth": 3,
    "teacher_epochs": 5,
    "teacher_seed": 7,
    "temperature": 4,
    "alpha": 0.9,
    "epochs": 2,
    "learning_rate": 0.1,
    "validation_size": 500,
}
DIGITS = {
    "digits_dataset": "smoke-grey",
    "digits_seeds": [0, 1],
    "digits_student_width": 32,
    "digits_teacher_width": 64,
    "digits_epochs": 3,
    "digits_teacher_epochs": 4,
    "digits_temperature": 20,
    "digits_alpha": 0.8,
    "digits_omitted_class": 3,
}


def test_the_teacher_comes_first_and_students_come_in_twins():
    teacher, *students = plan("2_2", **STUDY)
    assert (teacher.model.family, teacher.model.depth, teacher.model.channels) == (
        "ResidualCNN", 3, 16,
    )  # fmt: skip
    assert (teacher.seed, teacher.training.epochs, teacher.training.learning_rate) == (7, 5, 0.1)
    assert [(s.seed, s.distillation is not None) for s in students] == [
        (0, False), (0, True), (1, False), (1, True),
    ]  # fmt: skip
    for alone, taught in zip(students[::2], students[1::2], strict=True):
        assert replace(taught, distillation=None) == alone
        assert taught.teacher == teacher
        assert (taught.distillation.temperature, taught.distillation.alpha) == (4, 0.9)


def test_the_teacher_is_the_run_of_exercise_1_3():
    """In the published report, so that its record and weights serve both."""
    from lab1.planning import profiles

    (exercise,) = (page for page in profiles.pages("report") if page.name == "1_3-crops")
    (distilled,) = (page for page in profiles.pages("report") if page.name == "2_2")
    assert distilled.plan()[0] in exercise.plan()


def test_a_sweep_varies_one_thing_and_repeats_no_run():
    specs = plan(
        "2_2",
        **STUDY,
        sweep_seeds=[0],
        sweep_temperatures=[1, 4],
        sweep_alphas=[0.5, 0.9],
        sweep_channels=[8, 16],
        longer_epochs=9,
    )
    assert len(specs) == len(set(specs)) == 5 + 1 + 1 + 2 + 1
    further = specs[5:]
    settings = [
        (s.model.channels, s.distillation and (s.distillation.temperature, s.distillation.alpha))
        for s in further
    ]
    assert settings == [(8, (1, 0.9)), (8, (4, 0.5)), (16, None), (16, (4, 0.9)), (8, None)]
    assert [s.training.epochs for s in further] == [2, 2, 2, 2, 9]
    assert {s.seed for s in further} == {0}


def test_the_digits():
    planned = plan("2_2", **STUDY, **DIGITS, precision="bf16")
    specs = [spec for spec in planned if spec.dataset == "smoke-grey"]
    # What digits and photographs share.
    assert {(s.training.precision, s.training.validation_size) for s in specs} == {("bf16", 500)}
    teachers, students = specs[:2], specs[2:]
    assert [s.seed for s in teachers] == [0, 1]
    for each in teachers:
        assert (each.model.width, each.model.dropout_rate) == (64, 0.5)
        assert (each.training.augmentation, each.training.epochs) == ("shift", 4)
    assert [
        (s.seed, s.training.omitted_class, s.distillation is not None) for s in students
    ] == [
        (seed, omitted, taught)
        for seed in (0, 1)
        for omitted in (None, 3)
        for taught in (False, True)
    ]  # fmt: skip
    for each in students:
        assert (each.model.width, each.model.dropout_rate) == (32, 0)
        assert (each.training.augmentation, each.training.epochs) == ("none", 3)
        # One teacher for all: its own other seeds are there for the interval of its errors.
        assert each.teacher in (None, teachers[0])
    assert {(s.distillation.temperature, s.distillation.alpha)
            for s in students if s.distillation} == {(20, 0.8)}  # fmt: skip


def test_digits_without_a_class_left_out():
    specs = plan("2_2", **STUDY, **{**DIGITS, "digits_omitted_class": None})
    assert sum(s.dataset == "smoke-grey" for s in specs) == 2 + 4


def test_no_digits_where_they_are_left_out():
    specs = plan("2_2", **STUDY, **{**DIGITS, "digits_dataset": "none"})
    assert {s.dataset for s in specs} == {"smoke-colour"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"temperature": 0}, ("temperature = 0", "a number above 0")),
        ({"temperature": -1}, ("temperature = -1", "a number above 0")),
        ({"temperature": "nan"}, ("temperature = 'nan'", "a number above 0")),
        ({"alpha": 1.5}, ("alpha = 1.5", "a number from 0 to 1")),
        ({"alpha": -0.1}, ("alpha = -0.1", "a number from 0 to 1")),
        ({"sweep_temperatures": [1, 0]}, ("sweep_temperatures = 0", "a number above 0")),
        ({"sweep_alphas": [2]}, ("sweep_alphas = 2", "a number from 0 to 1")),
        ({"student_channels": 0}, ("student_channels = 0", "an integer from 1")),
        ({"teacher_depth": 6}, ("teacher_depth = 6", "an integer from 1 to 5")),
        ({"digits_omitted_class": 10}, ("digits_omitted_class = 10", "an integer from 0 to 9")),
        ({"digits_dataset": "cifar10"}, ("digits_dataset = 'cifar10'", "mnist, smoke-grey")),
        ({"omitted_class": 3}, ("unknown parameter 'omitted_class'",)),
    ],
)
def test_what_the_chapter_on_distillation_refuses(change, words):
    with pytest.raises(ParameterError) as caught:
        plan("2_2", **{**STUDY, **DIGITS, **change})
    for each in ("chapter 2_2", *words):
        assert each in str(caught.value)


def test_digits_need_all_their_settings():
    given = {name: value for name, value in DIGITS.items() if name != "digits_epochs"}
    with pytest.raises(ParameterError, match="chapter 2_2: digits_dataset needs a value for "
                       "digits_epochs"):  # fmt: skip
        plan("2_2", **STUDY, **given)


# Controls


CONTROLS = {
    "control_seeds": [0, 1],
    "control_label_smoothing": 0.1,
    "control_learning_rates": [0.05, 0.2],
    "control_wrong_classes": "permuted",
    "fresh_seeds": [5],
    "fresh_temperature": 2,
    "fresh_alpha": 0.5,
    "further_teacher_seeds": [8, 9],
}


def added(*names, study=STUDY):
    """What those controls add to the runs of the study."""
    asked = {name: CONTROLS[name] for name in names}
    before = plan("2_2", **study)
    after = plan("2_2", **study, **asked)
    assert [spec for spec in after if spec in before] == before
    return [spec for spec in after if spec not in before]


def test_controls_differ_from_the_student_alone_in_one_thing():
    teacher, alone, taught, *_ = plan("2_2", **STUDY)
    smoothed, once_more = added("control_seeds", "control_label_smoothing")
    assert smoothed == replace(alone, training=replace(alone.training, label_smoothing=0.1))
    assert (smoothed.seed, once_more.seed) == (0, 1)
    slow, fast, *_ = added("control_seeds", "control_learning_rates")
    for run, rate in ((slow, 0.05), (fast, 0.2)):
        assert run == replace(alone, training=replace(alone.training, learning_rate=rate))
    permuted, _ = added("control_seeds", "control_wrong_classes")
    assert permuted == replace(
        taught, distillation=replace(taught.distillation, wrong_classes="permuted")
    )
    assert permuted.teacher == teacher
    assert added("control_learning_rates") == []  # without seeds there is none


def test_fresh_seeds_have_twins_at_the_chosen_setting():
    alone, taught = added("fresh_seeds", "fresh_temperature", "fresh_alpha")
    assert alone.seed == 5 and replace(taught, distillation=None) == alone
    assert (taught.distillation.temperature, taught.distillation.alpha) == (2, 0.5)
    with pytest.raises(ParameterError, match="fresh_seeds needs a value for fresh_temperature"):
        plan("2_2", **STUDY, fresh_seeds=[5], fresh_alpha=0.5)


def test_further_teachers_teach_the_seeds_of_the_controls():
    teacher, _, taught, *_ = plan("2_2", **STUDY)
    runs = added("control_seeds", "further_teacher_seeds")
    teachers = [spec for spec in runs if spec.distillation is None]
    assert teachers == [replace(teacher, seed=seed) for seed in (8, 9)]
    students = [spec for spec in runs if spec.distillation is not None]
    assert [(s.seed, s.teacher.seed) for s in students] == [(0, 8), (0, 9), (1, 8), (1, 9)]
    for student in students:
        settings = replace(student.distillation, teacher=teacher)
        assert replace(student, seed=0, distillation=settings) == taught


def test_a_student_can_be_asked_for_at_several_temperatures():
    """Whose teacher, and whose twin without one, are trained once."""
    teacher, alone, *taught = plan("2_2", **STUDY | {"seeds": 0, "temperature": (2, 4)})
    assert [spec.distillation.temperature for spec in taught] == [2, 4]
    assert {spec.teacher for spec in taught} == {teacher}
    assert {replace(spec, distillation=None) for spec in taught} == {alone}
    twice = plan("2_2", **STUDY | {"seeds": 0, "optimizer": "adam,sgd"})
    assert [spec.training.optimizer for spec in twice] == ["adam"] * 3 + ["sgd"] * 3


def test_a_far_smaller_student_learns_at_each_temperature():
    study = {**STUDY, **DIGITS}
    before = plan("2_2", **study)
    after = plan("2_2", **study, digits_small_width=4, digits_small_temperatures=[1, 20])
    added = [spec for spec in after if spec not in before]
    assert {spec.model.width for spec in added} == {4}
    temperatures = [s.distillation and s.distillation.temperature for s in added]
    assert temperatures == [None, 1, 20, None, 1, 20]
    assert len({spec.teacher for spec in added if spec.distillation}) == 1
