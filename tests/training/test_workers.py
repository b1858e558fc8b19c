"""Several runs at a time, each in a process of its own: the same numbers, and nothing lost."""

import contextlib
import io
import multiprocessing
import os
import signal
import sys
from functools import partial
from pathlib import Path

import pytest
from repeats import FORK, outcome, wait_until

from lab1.core.spec import ModelSpec, RunSpec
from lab1.core.store import Store
from lab1.core.training_config import DistillationConfig, RuntimeOptions, TrainingConfig
from lab1.errors import MissingRunsError
from lab1.training import engines
from lab1.training.engines import local, workers
from lab1.training.interruption import TrainingInterrupted

TWO = RuntimeOptions(device="cpu", progress=False, workers=2)

slow = pytest.mark.slow
linux = pytest.mark.skipif(sys.platform != "linux", reason="asks Linux for the processes")


def spec(seed=0, epochs=2, family="MLP", teacher=None):
    return RunSpec(
        ModelSpec(family, 2, width=16),
        "smoke-grey",
        TrainingConfig(epochs=epochs, batch_size=64, validation_size=3700),
        seed,
        teacher and DistillationConfig(teacher, 4.0, 0.9),
    )


TEACHER, BROKEN = spec(family="ResidualMLP"), spec(7, family="ResidualMLP")
STUDENT, PLAIN = spec(teacher=TEACHER), [spec(seed) for seed in (1, 2, 3)]


def note_process(store, record):
    """Measures, as a probe, the process in which it is asked to."""
    store.write_probe(record.spec, "where", {"process": os.getpid()})


@pytest.fixture(scope="module")
def grid(tmp_path_factory):
    """Two workers' store, records as announced, complaints and error; two of seven runs fail."""
    folder = tmp_path_factory.mktemp("workers")
    store, announced = Store(folder / "results", folder / "runs"), []
    store.run_dir(BROKEN).mkdir(parents=True)
    (store.run_dir(BROKEN) / "checkpoint.pt").write_bytes(b"no checkpoint")
    specs = [BROKEN, spec(teacher=BROKEN), TEACHER, STUDENT, *PLAIN]
    with (
        contextlib.redirect_stderr(io.StringIO()) as complaints,
        pytest.raises(MissingRunsError) as caught,
    ):
        workers.train_all(
            workers.Grid(specs, announced.append, partial(note_process, store)), TWO, store
        )
    return store, announced, complaints.getvalue(), str(caught.value)


@slow
def test_two_workers_give_the_numbers_of_one(grid, tmp_path):
    """Teachers before their students, and each record announced once, here."""
    store, announced, *_ = grid
    alone = Store(tmp_path / "results", tmp_path / "runs")
    specs = [TEACHER, STUDENT, *PLAIN]
    local.train_all(
        local.Grid(specs), RuntimeOptions(device="cpu", progress=False, threads=1), alone
    )
    order = [record.spec for record in announced]
    assert len(order) == len(specs) and set(order) == set(specs)
    assert order.index(TEACHER) < order.index(STUDENT)
    for each in specs:
        first, second = store.find(each), alone.find(each)
        assert outcome(first) == outcome(second)
        assert first.origin["device"] == second.origin["device"]
        assert not (store.run_dir(each) / "checkpoint.pt").exists()


@slow
def test_probes_are_measured_where_the_run_was_trained(grid):
    """And so beside the next training, and not one after the other in the first process."""
    store, announced, *_ = grid
    processes = {store.find_probe(each.spec, "where")["process"] for each in announced}
    assert processes and os.getpid() not in processes


@slow
def test_a_run_that_fails_does_not_keep_the_others(grid):
    """It is tried once, told at once, and its student cannot learn."""
    _, announced, complaints, error = grid
    assert error.startswith("2 of 7 runs failed") and len(announced) == 5
    assert "it is not a checkpoint of this version" in error
    assert complaints.count("not a checkpoint of this version") == 1


LONG = 4000


def train(store):
    """Trains two long runs with two workers; ends as the command line does after a signal."""
    workers.multiprocessing.get_context = lambda _: FORK
    try:
        workers.train_all(workers.Grid([spec(seed, epochs=LONG) for seed in range(2)]), TWO, store)
    except TrainingInterrupted as interrupt:
        assert "interrupted in 2 runs; the same command continues" in str(interrupt)
        sys.exit(interrupt.exit_status)


@pytest.fixture
def driver(store):
    """A process that trains, and its two workers, once both have finished an epoch."""
    process = FORK.Process(target=train, args=(store,))
    process.start()
    # Each keeps its best weights after its first epoch.
    wait_until(lambda: len(list(store.runs.glob("*/weights.safetensors"))) == 2)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    pids = [*map(int, children)]
    assert len(pids) == 2
    yield process, pids
    process.kill()
    process.join()


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@linux
@slow
def test_a_signal_reaches_every_training_which_saves_its_state(driver, store):
    process, pids = driver
    os.kill(process.pid, signal.SIGINT)
    process.join(60)
    assert process.exitcode == 130
    assert len(list(store.runs.glob("*/checkpoint.pt"))) == 2
    assert not any(map(is_alive, pids))


@linux
@slow
def test_the_workers_of_a_killed_process_save_and_end(driver, store):
    process, pids = driver
    process.kill()
    wait_until(lambda: not any(map(is_alive, pids)))
    assert len(list(store.runs.glob("*/checkpoint.pt"))) == 2


@linux
@slow
def test_a_worker_that_is_killed_costs_its_run_and_no_other(store, monkeypatch):
    monkeypatch.setattr(workers.multiprocessing, "get_context", lambda _: FORK)
    # The second is long enough to be trained yet when the first one ends.
    specs = [spec(seed, epochs=epochs) for seed, epochs in enumerate((5, LONG, 5))]
    victims = []

    def kill_the_first(record):
        if not victims:
            victims.extend(multiprocessing.active_children())
            for process in victims:
                process.kill()

    with pytest.raises(MissingRunsError, match=r"1 of 3 runs failed(?s:.*)exit code -9.*--workers"):
        workers.train_all(workers.Grid(specs, kill_the_first), TWO, store)
    assert len(victims) == 2  # one of them idle, in whose place another comes
    assert sum(store.find(each) is not None for each in specs) == 2


def test_who_asks_for_several_gets_them(monkeypatch):
    assert engines.choose(TWO) is workers
    assert engines.choose(RuntimeOptions(workers="auto")) is workers
    assert engines.choose(RuntimeOptions()) is local
    assert workers.number(TWO) == 2
    assert workers.number(RuntimeOptions(workers="auto", device="cpu")) >= 1
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(64), raising=False)
    monkeypatch.setattr(os, "sysconf", lambda name: {"SC_PAGE_SIZE": 4096}.get(name, 2**21))
    assert workers.number(RuntimeOptions(workers="auto", device="cpu")) == 4  # 8 GB
    monkeypatch.setattr(workers.devices, "resolve", lambda _: type("device", (), {"type": "cuda"}))
    assert workers.number(RuntimeOptions(workers="auto")) == 1
