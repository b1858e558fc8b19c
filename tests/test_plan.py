"""From a chapter's parameters to its runs; further runs are in test_further_runs.py."""

from dataclasses import replace

import pytest
from small_profiles import GRID

from lab1.core.spec import ModelSpec, RunSpec
from lab1.core.training_config import TrainingConfig
from lab1.errors import ParameterError
from lab1.planning import chapters, profiles
from lab1.planning.chapters import CHAPTERS, plan

STUDY = {
    "dataset": "smoke-colour", "seeds": [0, 1], "student_channels": 8, "student_depth": 2,
    "teacher_channels": 16, "teacher_depth": 3, "teacher_epochs": 5, "teacher_seed": 7,
    "temperature": 4, "alpha": 0.9, "epochs": 2, "learning_rate": 0.1, "validation_size": 500,
}  # fmt: skip
#: Parameters of each chapter.
VALUES = {
    "1_1": GRID,
    "1_2": GRID,
    "1_3": {"dataset": "smoke-colour", "depth": [2, 3], "seeds": [0, 1], "channels": 8,
            "validation_size": 500},
    "depth": {"dataset": "smoke-colour", "depth": [8, 14], "seeds": [0, 1],
              "train_evaluation_size": 100, "validation_size": 500},
    "2_2": STUDY,
}  # fmt: skip


@pytest.mark.parametrize(
    ("chapter", "families"),
    [
        ("1_1", ["MLP"]),
        ("1_2", ["MLP", "ResidualMLP"]),
        ("1_3", ["SimpleCNN", "ResidualCNN"]),
        ("depth", ["PlainNet", "ResNet"]),
    ],
)
def test_the_plan_goes_seed_by_seed(chapter, families):
    """So an interrupted plan has whole comparisons: everything under the seeds that it reached."""
    values = VALUES[chapter]
    specs = plan(chapter, **values)
    assert [(spec.seed, spec.model.depth, spec.model.family) for spec in specs] == [
        (seed, depth, family)
        for seed in values["seeds"]
        for depth in values["depth"]
        for family in families
    ]
    for spec in specs:
        assert spec.dataset == values["dataset"]
        assert spec.training.train_evaluation_size == values.get("train_evaluation_size", 0)
        for size in ("width", "channels"):
            assert getattr(spec.model, size) == values.get(size)


def test_a_plan_passes_every_parameter_on():
    training = {
        "epochs": 7, "batch_size": 32, "learning_rate": 0.1, "optimizer": "sgd", "momentum": 0.8,
        "weight_decay": 0.0001, "schedule": "one-cycle", "precision": "bf16",
        "augmentation": "crop", "validation_size": 400, "monitor": "validation_loss",
        "patience": 3, "minimum_improvement": 0.001,
    }  # fmt: skip
    network = {"depth": 3, "width": 12, "activation": "gelu", "dropout_rate": 0.1}
    (spec,) = plan("1_1", dataset="smoke-grey", seeds=5, **network, **training)
    assert spec == RunSpec(
        ModelSpec("MLP", 3, 12, "gelu", 0.1), "smoke-grey", TrainingConfig(**training), 5
    )


def test_several_values_make_a_plan_each_the_first_first():
    values = GRID | {"seeds": 0, "depth": 2, "width": 16, "patience": None}
    several = {"width": "16,32", "patience": "[none, 3]"}
    assert plan("1_2", **values | several) == [
        spec
        for width in (16, 32)
        for patience in (None, 3)
        for spec in plan("1_2", **values | {"width": width, "patience": patience})
    ]
    # A list of one is that one; what does not differ is planned once.
    assert plan("1_2", **values | {"width": "[16]"}) == plan("1_2", **values)
    residual = {"families": "MLP", "residual_factor": ["one", "sqrt-half"]}
    assert plan("1_2", **values | residual) == plan("1_2", **values | {"families": "MLP"})


@pytest.mark.parametrize("name", [name for name, each in CHAPTERS.items() if each.parameters])
def test_every_parameter_of_one_value_takes_several(name):
    for field in CHAPTERS[name].parameters.values():
        numbers = [field.ge, field.ge + 1] if field.kind is int else [0.5, 0.25]
        texts = [*field.choices, None][:2] if field.choices else ["a" * 16, None]
        values = texts if field.kind is str else numbers
        assert field.many or field.check(values) == tuple(values), field.name


#: What each chapter refuses: a change of its values, and the words of the refusal.
REFUSED = [
    ("1_2", {"depth": [2, "four"]}, ("depth = 'four'", "an integer")),
    ("1_2", {"epoch": 3}, ("unknown parameter 'epoch'", "epochs")),
    # Each is in range by itself; together they are not.
    ("1_2", {"patience": 3, "validation_size": 0}, ("patience = 3", "validation_size")),
    ("1_1", {n: [*range(1, 400)] for n in ("width", "epochs")}, ("of width, epochs make 159201",)),
    ("1_2", {"families": "SimpleCNN"}, ("SimpleCNN takes no width",)),
    ("1_3", {"width": 16}, ("unknown parameter 'width'", "channels")),
    ("2_2", {"temperature": [1, 0]}, ("temperature = 0", "a number above 0")),
    ("2_2", {"alpha": 1.5}, ("alpha = 1.5", "a number from 0 to 1")),
    ("2_2", {"students": "both"}, ("students = 'both'", "alone, taught")),
    ("2_2", {"teacher_depth": 6}, ("depth = 6", "from 1 to 5 stages")),
    ("2_2", {"omitted_class": 10}, ("omitted_class = 10", "from 0 to 9")),
]


@pytest.mark.parametrize(("chapter", "change", "words"), REFUSED)
def test_what_is_not_allowed_is_refused_by_chapter(chapter, change, words):
    with pytest.raises(ParameterError) as caught:
        plan(chapter, **VALUES[chapter] | change)
    for word in (f"chapter {chapter}", *words):
        assert word in str(caught.value)


@pytest.mark.parametrize("left_out", ["dataset", "depth, seeds", "width"])
def test_required_parameters_are_asked_for(left_out):
    values = {name: value for name, value in GRID.items() if name not in left_out}
    with pytest.raises(ParameterError, match=f"chapter 1_1: needs a value for {left_out}$"):
        plan("1_1", **values)


def test_an_unknown_chapter_is_told_the_known_ones():
    for ask in (plan, lambda name: chapters.check_parameters(name, {}), chapters.chapter):
        with pytest.raises(ParameterError, match=r"chapter '9_9' is not allowed; .*1_1, 1_2"):
            ask("9_9")


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
    (exercise,) = (page for page in profiles.pages("report") if page.name == "1_3")
    (distilled,) = (page for page in profiles.pages("report") if page.name == "2_2")
    assert distilled.plan()[0] in exercise.plan()


def test_teacher_and_student_may_be_of_any_family():
    """As on digits, where a large perceptron with dropout and shifted images teaches a small."""
    digits = {
        "dataset": "smoke-grey", "student_family": "MLP", "student_width": 32,
        "student_channels": None, "teacher_family": "ResidualMLP", "teacher_width": 64,
        "teacher_channels": None, "teacher_dropout_rate": 0.5, "teacher_augmentation": "shift",
    }  # fmt: skip
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


def test_a_student_can_be_asked_for_at_several_temperatures():
    """Whose teacher, and whose twin without one, are trained once."""
    teacher, alone, *taught = plan("2_2", **STUDY | {"seeds": 0, "temperature": (2, 4)})
    assert [spec.distillation.temperature for spec in taught] == [2, 4]
    assert {spec.teacher for spec in taught} == {teacher}
    assert {replace(spec, distillation=None) for spec in taught} == {alone}
    twice = plan("2_2", **STUDY | {"seeds": 0, "optimizer": "adam,sgd"})
    assert [spec.training.optimizer for spec in twice] == ["adam"] * 3 + ["sgd"] * 3
