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


PROGRAM = """
import json, os, sys
from pathlib import Path
from lab1.cli.main import main
from lab1.core.spec import RunSpec
from lab1.core.store import Store
from lab1.core.training_config import RuntimeOptions
from lab1.planning.ensure import ensure
specs = [RunSpec.from_dict(each) for each in json.loads(sys.argv[1])]
results, runs = map(Path, sys.argv[2:4])
ensure(specs, RuntimeOptions(device="cpu", progress=False), Store(results, runs))
if os.environ["RANK"] == "0":  # which alone speaks
    print("And by the command line", flush=True)
    print("And by the command line", file=sys.stderr, flush=True)
sys.exit(main(sys.argv[4:]))
"""


@pytest.fixture(scope="module")
def students(make_spec, make_student):
    """A teacher and its students; where images are augmented its answers are not kept."""
    settings = {"batch_size": 64, "validation_size": 3869, "optimizer": "sgd"}
    teacher = make_spec("ResidualMLP", **settings)
    settings |= {"learning_rate": 0.05}
    augmentations = ("none", "crop")
    return [
        teacher,
        *(make_student(teacher, 3.0, 0.5, **settings, augmentation=name) for name in augmentations),
    ]


@pytest.fixture(scope="module")
def together(tmp_path_factory, students):
    """Two processes on this machine: how they ended, and their store."""
    folder = tmp_path_factory.mktemp("together")
    store = Store(folder / "results", folder / "runs")
    (folder / "program.py").write_text(PROGRAM)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", "2", str(folder / "program.py")]
    command += [json.dumps([spec.to_dict() for spec in students[1:]]), store.results, store.runs]
    command += ["run", "1_1", "--profile", "smoke", "--device", "cpu"]
    for name, value in SETTINGS.items():
        command += ["-p", f"{name}={value}"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "LAB1_RUNS": str(store.runs)}
    done = subprocess.run(
        [*map(str, command)], capture_output=True, text=True, timeout=240, env=environment
    )
    assert done.returncode == 0, done.stderr
    return done, store


def trained_alone(specs, folder):
    alone = Store(folder / "results", folder / "alone")
    engine.train_all(specs, RuntimeOptions(device="cpu", progress=False), alone)
    return alone


@pytest.mark.slow
def test_two_processes_distil_as_one_does(together, students, tmp_path):
    """Each asks the teacher about its part of a batch; the losses are those of the whole."""
    _, store = together
    alone = trained_alone(students, tmp_path)
    for spec in students:
        assert_alike(spec, alone, store)
    assert not list(store.runs.glob("*/outputs-*"))


@pytest.mark.slow
def test_two_processes_end_where_one_does(together, tmp_path):
    done, store = together
    (spec,) = profiles.page("1_1", "smoke", SETTINGS).plan()
    assert_alike(spec, trained_alone([spec], tmp_path), store)
    # One process speaks and writes.
    (line,) = done.stdout.rpartition("And by the command line\n")[2].splitlines()
    assert line.startswith("1 run planned, 1 missing")
    said = done.stderr.rpartition("And by the command line\n")[2]
    assert said.count("training 1 missing run") == said.count("[1/1]") == 1
    assert {path.name for path in store.run_dir(spec).iterdir()} == {
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
