"""A record as Weights & Biases sees it, and back; without the client."""

import json
import math
from dataclasses import replace
from types import SimpleNamespace

import pytest

from lab1.core.record import Record
from lab1.core.spec import RECIPE
from lab1.core.training_config import RuntimeOptions
from lab1.errors import RecordError, TrackingError
from lab1.training import run as running
from lab1.training.engines import local as engine
from lab1.training.wandb import client as wandb_client
from lab1.training.wandb.mapping import config_of, labels, project_of, record_of, rows, summary


def there(record):
    """What W&B gives back: JSON, in which 1.0 may be written as 1."""

    def whole(value):
        if isinstance(value, dict):
            return {name: whole(each) for name, each in value.items()}
        if isinstance(value, list):
            return [whole(each) for each in value]
        return int(value) if isinstance(value, float) and value.is_integer() else value

    sent = (
        {**config_of(record.spec, record.recipes), "origin": dict(record.origin)},
        {**summary(record), "_runtime": 3, "epoch": record.epochs},
        [{**row, "_step": row["epoch"]} for row in rows(record.history)],
    )
    return [whole(json.loads(json.dumps(each))) for each in sent]


@pytest.mark.parametrize(
    ("project", "families"),
    [
        ("MLP_vs_ResidualMLP_Comparison", {"MLP": 2, "ResidualMLP": 2}),
        (
            "CNN_Comparison_CIFAR10",
            {"SimpleCNN": 2, "ResidualCNN": 2, "PlainCNN": 2, "PlainNet": 8, "ResNet": 8},
        ),
    ],
)
def test_each_family_has_its_project(make_spec, project, families):
    assert {project_of(make_spec(*model)) for model in families.items()} == {project}


def test_runs_are_grouped_by_model_and_depth_and_named_by_what_differs(make_spec):
    spec = make_spec("ResidualMLP", 8, seed=3, dataset="mnist", learning_rate=0.003)
    assert labels(spec) == {
        "name": "seed 3, MNIST, learning rate 0.003",
        "group": "ResidualMLP depth 8",
        "tags": ["MNIST", "ResidualMLP"],
    }


def test_the_copy_of_cifar10_is_labelled_as_such(make_spec):
    told = labels(make_spec("ResNet", 8, dataset="cifar10-jpeg"))
    assert "CIFAR-10 (JPEG copy)" in told["tags"] and "CIFAR-10 (JPEG copy)" in told["name"]


@pytest.mark.parametrize(
    "overrides",
    [
        {},
        {"stopped": "diverged"},
        {"validation_size": 0},
        {"best_epoch": None, "stopped": "diverged"},
        {"learning_rate": 1.0},
        {"train_evaluation_size": 100},
    ],
)
def test_a_record_comes_back_as_it_was(make_record, overrides):
    record = make_record(**overrides)
    back = record_of(*there(record), "wandb: E/P/x")
    assert back.origin["pulled_from"] == "wandb: E/P/x"
    origin = {name: value for name, value in back.origin.items() if name != "pulled_from"}
    expected = Record.from_dict(record.to_dict()).to_dict()
    assert replace(back, origin=origin).to_dict() == expected


def test_a_distilled_run_has_a_project_of_its_own_and_comes_back(
    make_spec, make_student, make_record
):
    spec = make_student(make_spec("ResidualMLP"), 2.5, 0.5)
    record = make_record(distillation=spec.distillation)
    assert project_of(spec) == "dl-lab1-knowledge-distillation"
    assert labels(spec)["group"] == "MLP depth 2, T 2.5, alpha 0.5"
    assert labels(spec)["tags"][-1] == "distilled"
    config, outcome, history = there(record)
    assert (config["temperature"], config["alpha"]) == (2.5, 0.5)
    assert config["spec"]["distillation"]["teacher_key"] == spec.teacher.key
    back = record_of(config, outcome, history, "x")
    assert (back.spec, back.key, back.history) == (spec, record.key, record.history)


def test_a_distilled_run_of_older_recipes_comes_back_under_them(
    make_spec, make_student, make_record, monkeypatch
):
    record = make_record(distillation=make_student(make_spec("ResidualMLP")).distillation)
    then = there(record)
    monkeypatch.setattr("lab1.core.spec.RECIPE", {**RECIPE, "ResidualMLP": 99})
    back = record_of(*then, "x")
    assert (back.key, back.recipes) == (record.key, record.recipes)
    assert back.spec.recipes != record.recipes


def test_what_is_not_finite_is_left_out_of_a_row(make_record):
    last = rows(make_record(stopped="diverged").history)[-1]
    assert last["epoch"] == 3 and "train_loss" not in last and last["seconds"] == 1.0


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (lambda c, s, h: c.update(key="0" * 16), "is not the key of its spec"),
        (lambda c, s, h: c["spec"].update(seed=99), "is not the key of its spec"),
        (lambda c, s, h: c["spec"]["model"].update(depth="deep"), "not a run record"),
        (lambda c, s, h: c.update(origin="home"), "not a run record"),
        (lambda c, s, h: h.pop(1), "its history has 2 of 3 epochs"),
        (lambda c, s, h: h.append({**h[0], "train_loss": 9.0}), "two rows of epoch 1 that differ"),
        (lambda c, s, h: s.update(epochs=2), "its history has 3 of 2 epochs"),
        (lambda c, s, h: s.update(epochs=4), "epochs = 4 is not allowed; allowed: from 1 to 3"),
        (lambda c, s, h: s.update(epochs=0) or h.clear(), "epochs = 0 is not allowed"),
        (lambda c, s, h: s.update(epochs=1e12), "epochs = 1000000000000 is not allowed"),
        (lambda c, s, h: s.update(epochs=math.inf), "not a run record.*inf"),
        (lambda c, s, h: s.update(best_epoch=99), "best_epoch = 99 is not allowed"),
        (lambda c, s, h: s.update(total_seconds=math.nan), "seconds = None is not allowed"),
        (lambda c, s, h: s.update(total_seconds="1"), "seconds = '1' is not allowed"),
        (lambda c, s, h: h[0].pop("seconds"), r"history.seconds\[0\] = None is not allowed"),
        (lambda c, s, h: h[0].update(train_accuracy=5), r"train_accuracy\[0\] = 5.0 is not"),
        (lambda c, s, h: s.update({"test/count": 0}), "test.count = 0 is not allowed"),
        (lambda c, s, h: s.update({"test/loss": 10**400}), "too large to convert to float"),
        (lambda c, s, h: s.pop("test/count"), "test lacks count"),
        (lambda c, s, h: s.update({"test/accuracy": math.inf}), "test.accuracy = None is not"),
        (lambda c, s, h: s.update(stopped=["all epochs"]), "stopped = .'all epochs'. is not"),
        (lambda c, s, h: s.pop("total_seconds"), "not a run record"),
        (lambda c, s, h: s.update(flops="many"), "not a run record"),
    ],
)
def test_a_damaged_run_is_refused(make_record, damage, complaint):
    config, outcome, history = there(make_record())
    damage(config, outcome, history)
    with pytest.raises(RecordError, match=complaint):
        record_of(config, outcome, history, "x")


# What asks for it, and what is refused before anything is trained


@pytest.mark.parametrize(
    "found",
    [
        None,
        SimpleNamespace(origin=None),  # what a folder wandb/ in the working directory is to Python
    ],
)
def test_without_the_package_nothing_is_trained(monkeypatch, make_spec, store, found):
    monkeypatch.setattr(wandb_client.importlib.util, "find_spec", lambda name: found)
    options = RuntimeOptions(device="cpu", progress=False, report_to="wandb")
    for ask in (
        lambda: engine.check([make_spec()], options),
        lambda: running.train_run(make_spec(), options, store),
    ):
        with pytest.raises(TrackingError, match=r"pip install -e '\.\[wandb\]'"):
            ask()
    assert not store.runs.exists()
    engine.check([make_spec()], RuntimeOptions(device="cpu"))


# Keys


@pytest.mark.parametrize(
    ("key", "error", "told"),
    [
        ("", RuntimeError(f"bad key {'5ec2e7' * 6}abcd!\nmore about it"), "bad key ***!"),
        ("", RuntimeError(f"bad key wandb_v1_{'aB3_' * 20}!\nmore about it"), "bad key ***!"),
        # The one in use, whatever it looks like.
        ("not-a-key", ValueError("API key not-a-key is too short"), "API key *** is too short"),
        ("", TimeoutError(), "TimeoutError"),
    ],
)
def test_a_key_in_an_error_is_not_repeated(monkeypatch, key, error, told):
    monkeypatch.setenv("WANDB_API_KEY", key)
    assert wandb_client.redacted(error) == told
