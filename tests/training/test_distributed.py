"""Two processes train one run together and end where one process does."""

import contextlib
import os
import socket
import sys

import pytest
import torch
import torch.distributed as dist
from repeats import FORK

from lab1.cli.main import main
from lab1.core.store import Store
from lab1.core.training_config import RuntimeOptions
from lab1.planning import profiles
from lab1.planning.ensure import ensure
from lab1.training import distributed
from lab1.training.checkpoint import load_weights
from lab1.training.distributed import Group
from lab1.training.engines import local as engine

OPTIONS = RuntimeOptions(device="cpu", progress=False)

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


def train(rank, port, specs, store, said):
    """What one of two processes does, as torchrun starts them: students, and the command line."""
    launched = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "TORCHELASTIC_RUN_ID": "none"}
    launched |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "LAB1_RUNS": store.runs}
    os.environ.update({name: str(value) for name, value in launched.items()})
    ensure(specs, OPTIONS, store)
    command = ["run", "1_1", "--profile", "smoke", "--device", "cpu"]
    for name, value in SETTINGS.items():
        command += ["-p", f"{name}={value}"]
    with (
        (said / f"{rank}.out").open("w") as out,
        (said / f"{rank}.err").open("w") as err,
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        sys.exit(main(command))


@pytest.fixture(scope="module")
def together(tmp_path_factory, students):
    """Two processes on this machine: the folder of what they said, and their store."""
    folder = tmp_path_factory.mktemp("together")
    store = Store(folder / "results", folder / "runs")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    both = [
        FORK.Process(target=train, args=(rank, port, students[1:], store, folder))
        for rank in range(2)
    ]
    for process in both:
        process.start()
    for process in both:
        process.join(240)
        process.kill()  # where it hangs
        assert process.exitcode == 0
    return folder, store


def trained_alone(specs, folder):
    alone = Store(folder / "results", folder / "alone")
    engine.train_all(engine.Grid(specs), OPTIONS, alone)
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
    said, store = together
    (spec,) = profiles.page("1_1", "smoke", SETTINGS).plan()
    assert_alike(spec, trained_alone([spec], tmp_path), store)
    # One process speaks and writes.
    (line,) = (said / "0.out").read_text().splitlines()
    assert line.startswith("1 run planned, 1 missing")
    told = (said / "0.err").read_text()
    assert told.count("training 1 missing run") == told.count("[1/1]") == 1
    assert (said / "1.out").read_text() == (said / "1.err").read_text() == ""
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
