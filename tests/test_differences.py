"""Runs that differ in any field are told apart in words."""

import copy
from dataclasses import replace

import pytest
from declared_fields import FIELDS, changed

from lab1.core import differences
from lab1.core.spec import ModelSpec, RunSpec
from lab1.core.training_config import DistillationConfig, TrainingConfig

PLAIN = RunSpec(ModelSpec("MLP", 4, 16), "smoke-grey", TrainingConfig(validation_size=500), 0)
TAUGHT = replace(PLAIN, distillation=DistillationConfig(PLAIN))


def test_each_field_that_changes_alone_is_said_in_words_of_its_own():
    said = {}
    told = [(part, name) for part, name in FIELDS if name != "seed"]
    for part, name in told:
        other = changed(TAUGHT, part, name)
        (words,) = differences.changes(other, TAUGHT).values()
        before, after = differences.labels([TAUGHT, other])
        assert before != after, name
        assert words and words in after, name
        said[words] = name
    assert len(said) == len(told)


def test_each_field_of_a_teacher_is_said_as_the_teachers():
    teachers = [changed(PLAIN, part, name) for part, name in FIELDS if part != "distillation"]
    teachers.append(TAUGHT)
    for teacher in teachers:
        spec = copy.copy(TAUGHT)
        object.__setattr__(spec, "distillation", replace(TAUGHT.distillation, teacher=teacher))
        before, after = differences.labels([TAUGHT, spec])
        assert before != after and "teacher " in f"{before} {after}"


@pytest.mark.parametrize(
    ("change", "reference", "words"),
    [
        ({"activation": "tanh"}, {}, "activation tanh"),
        ({"label_smoothing": 0.1}, {}, "label smoothing 0.1"),
        ({"epochs": 15}, {}, "15 epochs"),
        ({"normalization": "layer"}, {}, "layer normalisation"),
        ({"omitted_class": 0}, {}, "without class 0"),
        ({"validation_size": 0}, {}, "0 validation images"),
        ({"depth": 1}, {}, "1 layer"),
        # What is off is said where the reference has it.
        ({}, {"patience": 3}, "no patience"),
        ({}, {"dropout_rate": 0.5}, "no dropout"),
        ({}, {"augmentation": "crop"}, "no augmentation"),
        ({}, {"max_gradient_norm": 1}, "gradients of any norm"),
    ],
)
def test_a_change_is_said_as_one_would_say_it(make_spec, change, reference, words):
    changes = differences.changes(make_spec(**change), make_spec(**reference))
    assert [*changes.values()] == [words]


def test_a_teacher_its_settings_and_who_chose_them_are_said():
    further = replace(TAUGHT.distillation, teacher=replace(PLAIN, seed=1), wrong_classes="permuted")
    specs = [PLAIN, TAUGHT, replace(PLAIN, distillation=further), replace(PLAIN, seed=5)]
    assert differences.labels(specs) == [
        "", "teacher of seed 0", "teacher of seed 1, wrong classes permuted", "",
    ]  # fmt: skip
    specs = [replace(TAUGHT, role=role) for role in ("chose", "fresh")]
    assert differences.labels(specs) == ["seeds that chose this setting", "fresh seeds"]
    assert "fresh" not in specs[1].title


def test_a_label_says_what_the_columns_beside_it_do_not():
    """Of those alike in the columns alone, and nothing that they share with these."""
    deep = replace(PLAIN, model=replace(PLAIN.model, depth=8))
    longer = replace(deep, training=replace(deep.training, epochs=40))
    assert differences.labels([PLAIN, deep, longer], ("depth",), ("depth",)) == [
        "", "20 epochs", "40 epochs",
    ]  # fmt: skip
    assert differences.labels([PLAIN, deep, longer], ("depth",)) == [
        "4 layers", "8 layers, 20 epochs", "8 layers, 40 epochs",
    ]  # fmt: skip
