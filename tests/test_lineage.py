"""Teachers come before their students."""

import importlib.util

import pytest

from lab1.core.training_config import RuntimeOptions
from lab1.errors import MissingRunsError
from lab1.planning import chapters
from lab1.planning.chapters import Chapter, plan, teachers_first
from lab1.planning.ensure import ensure, with_teachers
from lab1.planning.progress import estimate


@pytest.fixture
def family(make_spec, make_student):
    """Teacher, student, and the student's student."""
    teacher = make_spec(seed=1)
    student = make_student(teacher)
    return teacher, student, make_student(student, family="ResidualMLP")


def weights_for(store, spec):
    path = store.run_dir(spec) / "weights.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"weights")


def test_teachers_come_first_and_nothing_else_moves(family, make_spec):
    teacher, student, grandchild = family
    one, other = make_spec(seed=8), make_spec(seed=9)
    assert teachers_first([one, grandchild, other, student, teacher]) == [
        one, teacher, student, grandchild, other,
    ]  # fmt: skip
    assert teachers_first([other, one]) == [other, one]
    # Who is not listed is not added.
    assert teachers_first([grandchild, teacher, one]) == [teacher, grandchild, one]
    assert teachers_first([]) == []


def test_a_teacher_that_was_never_trained_is_added(family, store, make_spec):
    teacher, student, grandchild = family
    one = make_spec(seed=8)
    assert with_teachers([one, grandchild], store) == [one, teacher, student, grandchild]
    assert with_teachers([grandchild, teacher], store) == [teacher, student, grandchild]


def test_a_trained_teacher_is_not_added(family, store, make_record):
    teacher, student, _ = family
    store.write(make_record(seed=1))
    weights_for(store, teacher)
    assert with_teachers([student], store) == [student]
    # Nor is its own teacher asked for.
    taught = make_record(distillation=student.distillation)
    store.write(taught)
    weights_for(store, taught.spec)
    assert with_teachers([family[2]], store) == [family[2]]


def test_a_teacher_in_the_midst_of_its_training_is_waited_for(family, store):
    teacher, student, _ = family
    weights_for(store, teacher)  # of its best epoch so far
    assert with_teachers([student], store) == [teacher, student]


def test_a_trained_teacher_without_weights_is_told(family, store, make_record):
    _, student, grandchild = family
    store.write(make_record(seed=1))
    for wanted in (student, grandchild):
        with pytest.raises(MissingRunsError) as caught:
            with_teachers([wanted], store)
        assert "weights.safetensors: the weights of MLP, 2 layers" in str(caught.value)
        assert f"{student.title} learns from them; copy them" in str(caught.value)
        assert f"python -m lab1 run --again {student.teacher.key}" in str(caught.value)


def test_a_plan_has_teachers_first(family, monkeypatch):
    chapter = Chapter(lambda: [*reversed(family)])
    monkeypatch.setattr(chapters, "CHAPTERS", {"made-up": chapter})
    assert plan("made-up") == [*family]


def test_ensure_trains_teachers_and_returns_what_was_asked_for(family, trained, store, capsys):
    (record,) = ensure([family[2]], store=store)
    assert record.spec == family[2]
    assert "training 3 missing runs" in capsys.readouterr().err
    records = ensure([*reversed(family)], store=store)
    assert [record.spec for record in records] == [*reversed(family)] and records[0] == record
    assert [specs for specs, _ in trained] == [[*family]]


def test_the_weights_of_a_teacher_are_kept_whatever_the_options_say(
    family, trained, store, make_spec
):
    options = RuntimeOptions(save_weights=False)
    ensure([make_spec(seed=7)], options, store)
    ensure([family[1]], options, store)
    assert [asked.save_weights for _, asked in trained] == [False, True]


def test_without_torch_the_teacher_counts_as_missing_too(family, store, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingRunsError, match=r"2 of 2 runs have no record.*seed 1\)"):
        ensure([family[1]], store=store)


def test_distilled_runs_are_estimated_by_their_like(family, make_record):
    _, student, _ = family
    usual = make_record(seconds=3.0)
    taught = make_record(distillation=student.distillation, seconds=9.0)
    assert estimate([usual.spec, student], [usual, taught]) == [
        pytest.approx(3.0), pytest.approx(9.0),
    ]  # fmt: skip
    # Without one, a run of the same network that had no teacher is the nearest.
    assert estimate([student], [usual]) == [pytest.approx(3.0)]
