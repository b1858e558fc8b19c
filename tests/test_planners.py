"""The runs of the chapter on distillation; those of the others are in test_experiments.py."""

from dataclasses import replace

import pytest

from lab1.core.spec import ModelSpec
from lab1.errors import ParameterError
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

    (exercise,) = (page for page in profiles.pages("report") if page.name == "1_3")
    (distilled,) = (page for page in profiles.pages("report") if page.name == "2_2")
    assert distilled.plan()[0] in exercise.plan()


def test_teacher_and_student_may_be_of_any_family():
    """As on digits, where a large perceptron with dropout and shifted images teaches a small."""
    digits = {
        "dataset": "smoke-grey",
        "student_family": "MLP",
        "student_width": 32,
        "student_channels": None,
        "teacher_family": "ResidualMLP",
        "teacher_width": 64,
        "teacher_channels": None,
        "teacher_dropout_rate": 0.5,
        "teacher_augmentation": "shift",
    }
    teacher, alone, taught, *_ = plan("2_2", **STUDY | digits)
    assert teacher.model == ModelSpec("ResidualMLP", 3, 64, dropout_rate=0.5)
    assert alone.model == taught.model == ModelSpec("MLP", 2, 32)
    assert (teacher.training.augmentation, alone.training.augmentation) == ("shift", "none")


@pytest.mark.parametrize(
    ("students", "expected"),
    [("alone", [(0, False), (1, False)]), ("taught", [(7, False), (0, True), (1, True)]),
     ("none", [(7, False)])],
)  # fmt: skip
def test_students_are_trained_alone_or_taught(students, expected):
    """Without a taught one there is no teacher, unless it is all that is asked for."""
    specs = plan("2_2", **STUDY, students=students)
    assert [(spec.seed, spec.distillation is not None) for spec in specs] == expected


def test_the_teacher_sees_all_images():
    teacher, alone, taught, *_ = plan("2_2", **STUDY, omitted_class=3, train_size=350)
    assert (teacher.training.omitted_class, teacher.training.train_size) == (None, None)
    for student in (alone, taught):
        assert (student.training.omitted_class, student.training.train_size) == (3, 350)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"temperature": 0}, ("temperature = 0", "a number above 0")),
        ({"temperature": -1}, ("temperature = -1", "a number above 0")),
        ({"temperature": "nan"}, ("temperature = 'nan'", "a number above 0")),
        ({"alpha": 1.5}, ("alpha = 1.5", "a number from 0 to 1")),
        ({"alpha": -0.1}, ("alpha = -0.1", "a number from 0 to 1")),
        ({"temperature": [1, 0]}, ("temperature = 0", "a number above 0")),
        ({"students": "both"}, ("students = 'both'", "alone, taught")),
        ({"student_channels": 0}, ("student_channels = 0", "an integer from 1")),
        ({"teacher_depth": 6}, ("depth = 6", "from 1 to 5 stages")),
        ({"omitted_class": 10}, ("omitted_class = 10", "from 0 to 9")),
        ({"wrong_classes": "other"}, ("wrong_classes = 'other'", "kept, permuted")),
    ],
)
def test_what_the_chapter_on_distillation_refuses(change, words):
    with pytest.raises(ParameterError) as caught:
        plan("2_2", **STUDY | change)
    for each in ("chapter 2_2", *words):
        assert each in str(caught.value)


def test_a_student_can_be_asked_for_at_several_temperatures():
    """Whose teacher, and whose twin without one, are trained once."""
    teacher, alone, *taught = plan("2_2", **STUDY | {"seeds": 0, "temperature": (2, 4)})
    assert [spec.distillation.temperature for spec in taught] == [2, 4]
    assert {spec.teacher for spec in taught} == {teacher}
    assert {replace(spec, distillation=None) for spec in taught} == {alone}
    twice = plan("2_2", **STUDY | {"seeds": 0, "optimizer": "adam,sgd"})
    assert [spec.training.optimizer for spec in twice] == ["adam"] * 3 + ["sgd"] * 3
