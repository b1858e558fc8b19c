"""Several runs at a time, each in a process of its own: the same numbers, and nothing lost."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lab1.core.spec import ModelSpec, RunSpec
from lab1.core.store import Store
from lab1.core.training_config import DistillationConfig, RuntimeOptions, TrainingConfig
from lab1.errors import MissingRunsError, ParameterError
from lab1.training import engines
from lab1.training.engines import local, workers

ROOT = Path(__file__).resolve().parents[2]
TWO = RuntimeOptions(device="cpu", progress=False, workers=2)

pytestmark = pytest.mark.slow


def spec(seed=0, epochs=2, family="MLP", distillation=None, **training):
    return RunSpec(
        ModelSpec(family, 2, width=16),
        "smoke-grey",
        TrainingConfig(epochs=epochs, batch_size=64, validation_size=3700, **training),
        seed,
        distillation,
    )


def outcome(record):
    """What does not depend on how fast the machine was."""
    machine = ("seconds", "peak_memory_bytes")
    history = {name: series for name, series in record.history.items() if name not in machine}
    return history, record.test, record.weights_sha256, record.origin["device"]


def test_two_workers_give_the_numbers_of_one(tmp_path):
    """Teachers before their students, and each record announced once, here."""
    teacher = spec(family="ResidualMLP")
    student = spec(distillation=DistillationConfig(teacher, 4.0, 0.9))
    specs = [teacher, student, *(spec(seed) for seed in (1, 2, 3))]
    stores = [Store(tmp_path / name / "results", tmp_path / name / "runs") for name in "ab"]
    announced = []
    workers.train_all(specs, TWO, stores[0], lambda record: announced.append(record.spec))
    options = RuntimeOptions(device="cpu", progress=False, threads=1)
    local.train_all(specs, options, stores[1])
    assert sorted(each.key for each in announced) == sorted(each.key for each in specs)
    assert announced.index(teacher) < announced.index(student)
    for each in specs:
        first, second = (store.find(each) for store in stores)
        assert outcome(first) == outcome(second)
        assert not (stores[0].run_dir(each) / "checkpoint.pt").exists()


def note_where(record):
    """Measures, as a probe, the process in which it is asked to."""
    store = Store(*map(Path, os.environ["LAB1_TEST_STORE"].split(os.pathsep)))
    store.write_probe(record.spec, "where", {"process": os.getpid()})


def test_probes_are_measured_where_the_run_was_trained(store, monkeypatch):
    """And so beside the next training, and not one after the other in the first process."""
    monkeypatch.setenv("LAB1_TEST_STORE", os.pathsep.join([str(store.results), str(store.runs)]))
    specs = [spec(seed) for seed in range(3)]
    announced = []

    def announce(record):
        announced.append(store.find_probe(record.spec, "where")["process"])

    workers.train_all(specs, TWO, store, announce, note_where)
    assert len(announced) == 3 and os.getpid() not in announced


def test_a_run_that_fails_does_not_keep_the_others(store, capfd):
    """It is tried once, told at once, and its student cannot learn."""
    broken = spec(family="ResidualMLP", learning_rate=1e-3)
    (store.run_dir(broken)).mkdir(parents=True)
    (store.run_dir(broken) / "checkpoint.pt").write_bytes(b"no checkpoint")
    student = spec(distillation=DistillationConfig(broken, 4.0, 0.9))
    good = [spec(seed) for seed in (1, 2)]
    with pytest.raises(MissingRunsError, match="2 of 4 runs failed") as caught:
        workers.train_all([broken, student, *good], TWO, store)
    assert "it is not a checkpoint of this version" in str(caught.value)
    assert capfd.readouterr().err.count("not a checkpoint of this version") == 1
    assert all(store.find(each) for each in good)


@pytest.fixture
def train(tmp_path):
    """Starts a process that trains a list of runs with two workers."""
    code = (
        "import sys; sys.path[:0] = sys.argv[1:2]; import test_workers as t\n"
        "from lab1.cli import main; from lab1.core.store import Store\n"
        "specs = [t.spec(seed, epochs=int(sys.argv[2])) for seed in range(2)]\n"
        "try: t.workers.train_all(specs, t.TWO, Store())\n"
        "except KeyboardInterrupt as stop: print(stop); sys.exit(stop.exit_status)\n"
    )
    environment = {
        **os.environ,
        "LAB1_RUNS": str(tmp_path / "runs"),
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")]),
    }
    started = []

    def start(epochs):
        command = [sys.executable, "-c", code, str(Path(__file__).parent), str(epochs)]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def workers_of(pid):
    """The processes that it has started and that train."""
    listed = subprocess.run(
        ["ps", "-ww", "-o", "pid=,args=", "--ppid", str(pid)], capture_output=True, text=True
    ).stdout
    return [int(line.split()[0]) for line in listed.splitlines() if "spawn_main" in line]


def wait_until(condition, seconds=60):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it took too long"
        time.sleep(0.05)


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "Z" not in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[:1]


LONG = 4000
posix = pytest.mark.skipif(sys.platform != "linux", reason="asks Linux for the processes")


def began(tmp_path):
    """Whether both runs are being trained: each keeps its best weights after the first epoch."""
    return len(list((tmp_path / "runs").glob("*/weights.safetensors"))) == 2


@posix
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_reaches_every_training_which_saves_its_state(train, tmp_path, number, status):
    process = train(LONG)
    wait_until(lambda: began(tmp_path))
    pids = workers_of(process.pid)
    assert len(pids) == 2
    process.send_signal(number)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == status
    assert "interrupted in 2 runs; the same command continues" in said
    assert len(list((tmp_path / "runs").glob("*/checkpoint.pt"))) == 2
    assert not any(map(is_alive, pids))


@posix
def test_the_workers_of_a_killed_process_save_and_end(train, tmp_path):
    process = train(LONG)
    wait_until(lambda: began(tmp_path))
    pids = workers_of(process.pid)
    process.kill()
    wait_until(lambda: not any(map(is_alive, pids)))
    assert len(list((tmp_path / "runs").glob("*/checkpoint.pt"))) == 2


@posix
def test_a_worker_that_is_killed_costs_its_run_and_no_other(store):
    # The second is long enough to be trained yet when the first one ends.
    specs = [spec(seed, epochs=epochs) for seed, epochs in enumerate((40, 4000, 40))]
    victims = []

    def kill_the_first(record):
        if not victims:
            victims.extend(workers_of(os.getpid()))
            for pid in victims:
                os.kill(pid, signal.SIGKILL)

    with pytest.raises(MissingRunsError, match=r"1 of 3 runs failed(?s:.*)exit code -9.*--workers"):
        workers.train_all(specs, TWO, store, kill_the_first)
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


@pytest.mark.parametrize("value", [0, -1, 1.5, "many", "2", None])
def test_other_numbers_of_workers_are_refused(value):
    with pytest.raises(ParameterError, match=r"workers = .* is not allowed; allowed: auto, or 1"):
        RuntimeOptions(workers=value)


def test_a_cluster_decides_for_itself():
    with pytest.raises(ParameterError, match="not allowed with engine = 'ray'"):
        RuntimeOptions(workers=2, engine="ray")
