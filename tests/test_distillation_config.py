"""A run with a teacher: its key, its way into a record and back, and what is refused."""

import json
from dataclasses import replace

import pytest

from lab1.core import spec as config
from lab1.core.datasets import DATASETS
from lab1.core.record import Record
from lab1.core.record_rules import seal
from lab1.core.spec import RECIPE, RunSpec
from lab1.core.store import _is_record_name
from lab1.errors import ParameterError, RecordError


def through_json(value):
    return json.loads(json.dumps(value, allow_nan=False))


@pytest.fixture
def chain(make_spec, make_student):
    """A teacher, its student, and the student's student, of three families' recipes."""
    teacher = make_spec("ResidualMLP", seed=1)
    student = make_student(teacher, 2.5, 0.5)
    return teacher, student, make_student(student, family="PlainNet", depth=8)


def test_the_canonical_form_spells_both_numbers(make_spec, make_student):
    """A run without a teacher has the key that it ever had; another teacher is another key."""
    teacher = make_spec()
    assert (teacher.teacher, teacher.teachers) == (None, ())
    assert "distillation" not in teacher.canonical()
    assert make_student(teacher, seed=1).canonical() == {
        **make_spec(seed=1).canonical(),
        "distillation": {"teacher": teacher.key, "temperature": 4.0, "alpha": 0.9},
    }
    assert make_student(make_spec(seed=9), seed=1).key != make_student(teacher, seed=1).key


def test_the_recipe_of_the_teacher_is_part_of_the_key(chain, monkeypatch):
    before = {spec.key for spec in chain}
    monkeypatch.setattr(config, "RECIPE", {**RECIPE, "ResidualMLP": RECIPE["ResidualMLP"] + 1})
    # Keys are cached, so equal specs are made anew.
    again = [RunSpec.from_dict(spec.to_dict()) for spec in chain]
    assert again == [*chain] and not {spec.key for spec in again} & before
    assert again[1].recipe == RECIPE["MLP"]


def test_name_and_title_tell_a_distilled_run(make_spec, make_student, make_record):
    spec = make_student(make_spec(), 2.5, 1)
    assert spec.name == f"MLP-d2-smoke-grey-s0-distilled.{spec.key}"
    assert spec.title == make_spec().title.replace(
        ", seed 0", ", teacher of seed 0, T = 2.5, alpha = 1, seed 0"
    )
    record = make_record(distillation=spec.distillation)
    assert record.name == spec.name
    assert _is_record_name(record.name)
    assert not _is_record_name(f"{record.name}.softened")


def test_a_distilled_spec_survives_being_written_out(chain):
    teacher, student, grandchild = chain
    assert grandchild.teachers == (student, teacher)
    for spec in chain:
        written = through_json(spec.to_dict())
        again = RunSpec.from_dict(written)
        assert again == spec
        assert again.key == spec.key
        assert hash(again) == hash(spec)
    assert written["distillation"]["teacher_key"] == chain[1].key
    assert written["distillation"]["teacher"] == through_json(chain[1].to_dict())


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (lambda d: d.update(teacher_key="0" * 16), "its teacher's key 0000000000000000 is not"),
        (lambda d: d["teacher"].update(seed=5), "its teacher's key .* is not the key"),
        (lambda d: d["teacher"].update(recipe=99), "its teacher's key .* is not the key"),
        (lambda d: d.pop("teacher_key"), "not a run specification.*teacher_key"),
        (lambda d: d.pop("teacher"), "not a run specification.*teacher"),
        (lambda d: d.update(teacher=3), "not a run specification"),
        (lambda d: d.update(invented=1), "not a run specification.*invented"),
        (lambda d: d.update(alpha=2), "alpha = 2 is not allowed"),
    ],
)
def test_a_damaged_teacher_is_refused(make_spec, make_student, damage, complaint):
    written = through_json(make_student(make_spec()).to_dict())
    damage(written["distillation"])
    with pytest.raises(ParameterError, match=complaint):
        RunSpec.from_dict(written)


def test_a_record_survives_a_teacher_whose_recipe_was_raised(chain, make_record, monkeypatch):
    """It is read and written with the recipes under which it was made, and answers no new run."""
    *_, spec = chain
    record = replace(make_record("PlainNet", 8), spec=spec, key="", teacher_recipes=())
    distilled = {"hard_loss": [1.0] * 3, "soft_loss": [1.0] * 3}
    record = replace(record, history={**record.history, **distilled})
    text = json.dumps(record.to_dict())
    monkeypatch.setattr(config, "RECIPE", {**RECIPE, "ResidualMLP": RECIPE["ResidualMLP"] + 1})
    old = Record.from_dict(json.loads(text))
    assert (old.key, old.name) == (record.key, record.name)
    assert old.recipes == (2, 1, 1)
    assert old.spec.recipes == (2, 1, 2)
    assert old.spec.key != old.key
    assert old.recipe_change == "recipe 2 (teacher 1, 1), now 2 (teacher 1, 2)"
    assert json.dumps(old.to_dict()) == text


@pytest.mark.parametrize("part", ["recipe", "teacher_key", "seed"])
def test_a_record_whose_teacher_was_changed_is_told(make_spec, make_student, make_record, part):
    record = make_record(distillation=make_student(make_spec()).distillation)
    body = record.to_dict()
    del body["checksum"]
    distillation = body["spec"]["distillation"]
    if part == "teacher_key":
        distillation["teacher_key"] = "0" * 16
    else:
        # As a forger would, who makes the inner key fit.
        distillation["teacher"][part] += 1
        teacher = RunSpec.from_dict(distillation["teacher"])
        recipes = [distillation["teacher"]["recipe"]]
        distillation["teacher_key"] = config.hash_key(teacher.canonical(recipes))
    with pytest.raises(RecordError, match=r"teacher's key|is not the key of its spec"):
        Record.from_dict(seal(body))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"num_classes": 7}, "a teacher of 7 classes .*trained on odd.*allowed: 10"),
        ({"image_shape": (1, 20, 20)}, r"of images of shape \(1, 20, 20\).*\(1, 28, 28\)"),
    ],
)
def test_a_teacher_that_answers_another_question_is_refused(
    make_spec, make_student, monkeypatch, change, complaint
):
    odd = replace(DATASETS["smoke-grey"], name="odd", **change)
    with monkeypatch.context() as patch:
        patch.setattr("lab1.core.spec.DATASETS", {**DATASETS, "mnist": odd})
        teacher = make_spec(dataset="mnist")
        with pytest.raises(ParameterError, match=complaint):
            make_student(teacher)
    make_student(teacher)  # of another data set, but of as many classes
