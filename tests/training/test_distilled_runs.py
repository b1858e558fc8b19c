"""Distilled runs in the engine: what becomes a record, and what a teacher has to have."""

import re
import sys
from dataclasses import replace
from types import SimpleNamespace

import fabricated_runs
import pytest
import torch

from lab1.core.record import DISTILLATION_FIELDS, HISTORY_FIELDS
from lab1.core.training_config import RuntimeOptions
from lab1.errors import MissingRunsError
from lab1.planning import ensure as ensuring
from lab1.training import data, engines, models
from lab1.training import run as running
from lab1.training.checkpoint import digest, load_weights, save_weights
from lab1.training.distillation import DistillationTrainer
from lab1.training.engines import local as engine
from lab1.training.engines import ray as ray_engine

OPTIONS = RuntimeOptions(device="cpu", progress=False)

SMALL = {"epochs": 2, "batch_size": 64, "validation_size": 3700, "width": 8}


@pytest.fixture
def pair(make_spec, make_student):
    """The specs of a teacher and its student; fields of the student may be given."""

    def make(**overrides):
        teacher = make_spec("ResidualMLP", **SMALL | {"width": 32})
        return teacher, make_student(teacher, 3.0, 0.5, **SMALL | overrides)

    return make


@pytest.fixture
def watched(monkeypatch):
    """What every distillation trainer was made of."""
    made = []
    init = DistillationTrainer.__init__

    def watching(self, *arguments, **keywords):
        made.append((arguments, keywords))
        init(self, *arguments, **keywords)

    monkeypatch.setattr(DistillationTrainer, "__init__", watching)
    return made


def test_a_distilled_run_becomes_a_record(pair, store, watched, smoke_grey):
    teacher, student = pair()
    records = ensuring.ensure([student, teacher], OPTIONS, store)
    assert [record.spec for record in records] == [student, teacher]
    record = records[0]
    assert set(record.history) == {*HISTORY_FIELDS, *DISTILLATION_FIELDS}
    assert {len(series) for series in record.history.values()} == {2}
    path = store.run_dir(teacher) / "weights.safetensors"
    weights = load_weights(path)
    assert record.origin["teacher_sha256"] == digest(weights)
    assert "teacher_sha256" not in records[1].origin
    ((arguments, keywords),) = watched
    assert (keywords["temperature"], keywords["alpha"]) == (3.0, 0.5)
    found = keywords["teacher"].state_dict()
    assert all(torch.equal(found[name], weights[name]) for name in weights)
    expected = models.build(student.model, smoke_grey.declared, seed=0)
    assert type(arguments[0]) is type(expected)
    # Written by this test's run alone, with the key of what decides it.
    (folder,) = store.run_dir(teacher).glob("outputs-*")
    assert [each.name for each in folder.iterdir()] == ["images.pt"]
    assert store.all() == ([*sorted(records, key=lambda r: r.name)], [])


def test_what_decides_the_answers_has_a_folder_of_its_own(pair, make_student, store):
    teacher, student = pair(augmentation="shift")
    engine.train_all(engine.Grid([teacher]), OPTIONS, store)

    def folders(*specs):
        for spec in specs:
            running.train_run(spec, OPTIONS, store)
        return len(list(store.run_dir(teacher).glob("outputs-*")))

    def with_training(**changes):
        return replace(student, training=replace(student.training, **changes))

    cooler = replace(student, distillation=replace(student.distillation, temperature=1.0))
    assert folders(student, cooler, with_training(learning_rate=0.01, epochs=1)) == 1
    changes = ({"augmentation": "crop"}, {"batch_size": 32}, {"omitted_class": 3})
    assert folders(*(with_training(**each, epochs=1) for each in changes)) == 4
    assert folders(with_training(validation_size=3600, epochs=1)) == 5
    assert folders(replace(student, seed=5)) == 6
    assert folders(with_training(precision="bf16", epochs=1)) == 7
    # Another teacher's weights under the same name, as after it was trained again elsewhere.
    weights = load_weights(store.run_dir(teacher) / "weights.safetensors")
    weights["output.bias"] += 1
    save_weights(store.run_dir(teacher) / "weights.safetensors", weights)
    store.write(replace(store.find(teacher), weights_sha256=digest(weights)))
    assert folders(with_training(epochs=1)) == 8


def test_an_omitted_class_is_neither_trained_on_nor_selected_by(pair, store, watched, smoke_grey):
    teacher, student = pair(omitted_class=3, seed=2, epochs=1)
    engine.train_all(engine.Grid([teacher, student]), OPTIONS, store)
    ((arguments, _),) = watched
    whole = data.split(smoke_grey.train, 3700, 2)
    for part, expected in zip(arguments[2:4], whole, strict=True):
        kept = expected.labels != 3
        assert 0 < int(kept.sum()) < len(kept)
        assert torch.equal(part.labels, expected.labels[kept])
        assert torch.equal(part.images, expected.images[kept])
    assert store.find(student).test["count"] == 1000


def test_without_its_teachers_weights_nothing_is_trained(pair, store):
    teacher, student = pair()
    engine.train_all(engine.Grid([teacher]), replace(OPTIONS, save_weights=False), store)
    words = re.escape(f"{student.title} learns from them")
    with pytest.raises(MissingRunsError, match=words):
        ensuring.ensure([student], OPTIONS, store)
    with pytest.raises(MissingRunsError, match="its students learn from them"):
        running.train_run(student, OPTIONS, store)
    assert store.find(student) is None


def test_the_students_of_a_teacher_that_failed_fail_too(pair, store, monkeypatch):
    teacher, student = pair()
    train = running.train_run

    def failing(spec, options, store=None):
        if spec == teacher:
            raise ZeroDivisionError("unlucky")
        return train(spec, options, store)

    monkeypatch.setattr(running, "train_run", failing)
    with pytest.raises(MissingRunsError, match=r"(?s)2 of 2 runs failed.*unlucky.*are not here"):
        engine.train_all(engine.Grid([teacher, student]), OPTIONS, store)


def test_what_another_process_trains_is_waited_for_and_its_students_are_trained_then(
    pair, store, monkeypatch
):
    teacher, student = pair()
    other, last = (replace(teacher, seed=seed) for seed in (7, 8))
    trained, naps, finished = [], [], []
    elsewhere = {spec: store.claim(spec) for spec in (teacher, last)}
    assert all(claim.__enter__() for claim in elsewhere.values())

    def sleep(seconds):
        naps.append([*trained])
        finishing = last if student in trained else teacher
        if len(naps) >= 2 and (claim := elsewhere.pop(finishing, None)):
            store.write(fabricated_runs.record(finishing))
            claim.__exit__(None, None, None)

    def train(spec, options, store=None):
        trained.append(spec)
        return fabricated_runs.record(spec)

    monkeypatch.setattr(engine.time, "sleep", sleep)
    monkeypatch.setattr(engines, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(running, "train_run", train)
    engine.train_all(engine.Grid([teacher, student, other, last], finished.append), OPTIONS, store)
    assert trained == [record.spec for record in finished] == [other, student]
    assert naps[:2] == [[other]] * 2 and naps[-1] == trained


def test_on_ray_a_student_is_submitted_once_its_teacher_has_finished(
    pair, make_spec, make_record, store, monkeypatch
):
    """With a cluster that finishes the runs in the order in which it got them, one at a time."""
    teacher, student = pair()
    grandchild = replace(student, distillation=replace(student.distillation, teacher=student))
    other = make_spec(seed=7)
    submitted, at_once = [], []

    def submit(spec, *_):
        submitted.append(spec)
        return spec

    task = SimpleNamespace(options=lambda **_: task, remote=submit)
    answers = {teacher: [None, "record"], student: ["ZeroDivisionError: unlucky"]}

    def result(spec):
        answer = answers.get(spec, ["record"]).pop(0)
        return replace(make_record(), spec=spec, key="") if answer == "record" else answer

    def wait(refs, number, seconds):
        at_once.append(list(refs))
        return refs[:1]

    monkeypatch.setattr(engines, "POLL_SECONDS", 0.0)
    monkeypatch.setattr(ray_engine, "wait", wait)
    monkeypatch.setattr(ray_engine, "result", result)
    ray = SimpleNamespace(remote=lambda **_: lambda function: task)
    monkeypatch.setitem(sys.modules, "ray", ray)
    specs = [grandchild, student, teacher, other]
    wanted = {spec: ray_engine.Needs(1) for spec in specs}
    finished = []
    with pytest.raises(MissingRunsError, match="1 of 4 runs failed"):
        ray_engine._train(engines.Grid(specs, finished.append), wanted, OPTIONS, store)
    assert at_once[0] == [teacher, other]
    assert submitted[-2:] == [student, grandchild]
    assert submitted.count(teacher) == 2  # claimed elsewhere the first time
    assert [record.spec for record in finished] == [other, teacher, grandchild]
