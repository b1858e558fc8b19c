"""Two processes train one run together and end where one process does."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.distributed as dist

from lab1.core.store import Store
from lab1.core.training_config import RuntimeOptions
from lab1.planning import profiles
from lab1.training import distributed
from lab1.training.checkpoint import load_weights
from lab1.training.distributed import Group
from lab1.training.engines import local as engine

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(not dist.is_available(), reason="torch without torch.distributed")

#: 131 images in batches of 64: the last holds three, which two processes cannot share evenly.  SGD,
#: since Adam would hide gradients that are added up instead of averaged.
SETTINGS = {
    "depth": "2",
    "seeds": "0",
    "epochs": "6",
    "batch_size": "64",
    "validation_size": "3869",
    "optimizer": "sgd",
    "learning_rate": "0.05",
    "augmentation": "crop",
    "patience": "2",
}


def torchrun(runs, *program):
    """A program in two processes on this machine."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", "2", *map(str, program)]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": str(ROOT), "LAB1_RUNS": str(runs)},
    )


def assert_alike(spec, alone, together):
    """One process and two of them ended with the same run, but for rounding."""
    one, two = alone.find(spec), together.find(spec)
    assert (two.epochs, two.stopped, two.best_epoch) == (one.epochs, one.stopped, one.best_epoch)
    assert set(two.history) == set(one.series)
    for name in set(one.history) - {"seconds", "peak_memory_bytes"}:
        assert two.history[name] == pytest.approx(one.history[name], rel=1e-4), name
    assert two.test == pytest.approx(one.test, rel=1e-4)
    weights = [
        load_weights(store.run_dir(spec) / "weights.safetensors") for store in (alone, together)
    ]
    for name, expected in weights[0].items():
        torch.testing.assert_close(weights[1][name], expected, rtol=1e-4, atol=1e-6)
    assert two.origin["processes"] == 2
    assert "processes" not in one.origin


DISTIL = """
import json, sys
from pathlib import Path
from lab1.core.training_config import RuntimeOptions
from lab1.core.spec import RunSpec
from lab1.planning import ensure as ensuring
from lab1.core.store import Store
options = RuntimeOptions(device="cpu", progress=False)
specs = [RunSpec.from_dict(each) for each in json.loads(sys.argv[3])]
ensuring.ensure(specs, options, Store(Path(sys.argv[1]), Path(sys.argv[2])))
"""


@pytest.mark.slow
def test_two_processes_distil_as_one_does(tmp_path, make_spec, make_student):
    """Each asks the teacher about its part of a batch; the losses are those of the whole.

    Where images are augmented its answers are not kept.
    """
    settings = {"batch_size": 64, "validation_size": 3869, "optimizer": "sgd"}
    teacher = make_spec("ResidualMLP", **settings)
    students = [
        make_student(teacher, 3.0, 0.5, **settings, augmentation=augmentation, learning_rate=0.05)
        for augmentation in ("none", "crop")
    ]
    alone, together = (Store(tmp_path / "results", tmp_path / name) for name in ("one", "two"))
    options = RuntimeOptions(device="cpu", progress=False)
    engine.train_all([teacher, *students], options, alone)
    program = tmp_path / "distil.py"
    program.write_text(DISTIL)
    text = json.dumps([spec.to_dict() for spec in students])
    done = torchrun(together.runs, program, together.results, together.runs, text)
    assert done.returncode == 0, done.stderr
    for spec in (teacher, *students):
        assert_alike(spec, alone, together)
    assert not list(together.runs.glob("*/outputs-*"))


@pytest.mark.slow
def test_two_processes_end_where_one_does(tmp_path):
    (spec,) = profiles.page("1_1", "smoke", SETTINGS).plan()
    alone, together = (Store(tmp_path / "results", tmp_path / name) for name in ("one", "two"))
    engine.train_all([spec], RuntimeOptions(device="cpu", progress=False), alone)
    command = ["-m", "lab1", "run", "1_1", "--profile", "smoke", "--device", "cpu"]
    for name, value in SETTINGS.items():
        command += ["-p", f"{name}={value}"]
    done = torchrun(together.runs, *command)
    assert done.returncode == 0, done.stderr
    assert_alike(spec, alone, together)
    # One process speaks and writes.
    (line,) = done.stdout.splitlines()
    assert line.startswith("1 runs planned, 1 missing")
    assert done.stderr.count("training 1 missing run") == done.stderr.count("[1/1]") == 1
    assert {path.name for path in together.run_dir(spec).iterdir()} == {
        "claim", "gradient-agreement.json", "record.json", "weights.safetensors",
    }  # fmt: skip


def test_a_process_by_itself_is_no_group(monkeypatch):
    """Also where a cluster's scheduler has set variables that torchrun sets too."""
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    assert distributed.current().size == 1


@pytest.mark.parametrize("count", [1, 2, 3, 7, 8])
def test_weighed_parts_average_to_the_batch(count):
    images, labels = torch.arange(count) + 1.0, torch.arange(count)
    losses, seen = [], 0
    for rank in range(3):
        each = Group(rank, 3)
        part, part_labels = each.part(images, labels)
        assert len(part) == len(part_labels) >= 1
        seen += each._count
        losses.append(each.weigh(part.mean()))
    assert seen == count
    assert torch.stack(losses).mean() == pytest.approx(float(images.mean()))
