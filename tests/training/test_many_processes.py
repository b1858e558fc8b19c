"""Several processes at once, and disks that fail: nothing twice, nothing lost."""

import re
import resource
import signal

import pytest
from repeats import FORK, wait_until

from lab1.core.files import write_bytes
from lab1.core.store import Store
from lab1.core.training_config import RuntimeOptions
from lab1.errors import StorageError
from lab1.training import engines
from lab1.training.engines import local as engine

OPTIONS = RuntimeOptions(device="cpu", progress=False, threads=1, checkpoint_seconds=0.1)


def train(specs, store, trained, largest_file):
    """Trains, and sends the key of each run that is trained here, and at last what went wrong."""
    if largest_file:
        # A write beyond it fails in the middle, as on a full disk.
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))
    engines.POLL_SECONDS = 0.02
    try:
        engine.train_all(
            engine.Grid(specs, lambda record: trained.send(record.key)), OPTIONS, store
        )
        trained.send(None)
    except StorageError as error:
        trained.send(error)


@pytest.fixture
def start(store):
    """Starts a process that trains the specs: it, and where it tells what became of them."""
    processes = []

    def begin(specs, largest_file=0):
        here, there = FORK.Pipe(duplex=False)
        process = FORK.Process(target=train, args=(specs, store, there, largest_file))
        process.start()
        processes.append(process)
        return process, here

    yield begin
    for process in processes:
        process.kill()
        process.join()


def told(pipe):
    """The keys of the runs that a process trained, and what went wrong."""
    keys = []
    while isinstance(key := pipe.recv(), str):
        keys.append(key)
    return keys, key


@pytest.mark.slow
@pytest.mark.long
def test_processes_share_a_grid_and_a_dead_owner_is_replaced(
    start, store, make_spec, make_student, long
):
    """Two processes beside the owner of a teacher, which dies; or, with ``--long``, eight.

    They train other runs meanwhile, and none of the students before one of them has trained it.
    """
    # Many times as long as one of the others, so that these find its owner at work.
    teacher = make_spec("ResidualMLP", seed=99, epochs=60 if long else 30, width=64)
    students = [make_student(teacher, seed=seed, epochs=1) for seed in range(3)]
    specs = [teacher, *students]
    specs += [make_spec(seed=seed, epochs=1) for seed in range(16 if long else 4)]
    owner, _ = start([teacher])
    # Its owner is in the midst of it.
    wait_until(lambda: (store.run_dir(teacher) / "checkpoint.pt").exists())
    others = [start(specs) for _ in range(8 if long else 2)]
    wait_until(lambda: any(store.find(spec) for spec in specs))
    assert store.find(teacher) is None
    owner.kill()
    trained, errors = zip(*[told(pipe) for _, pipe in others], strict=True)
    assert not any(errors)
    assert sorted(key for keys in trained for key in keys) == sorted(spec.key for spec in specs)
    assert sum(bool(keys) for keys in trained) > 1
    ended = store.find(teacher).origin["ended"]
    for student in students:
        assert store.find(student).origin["started"] >= ended
        assert store.find(student).origin["teacher_sha256"]


@pytest.mark.slow
def test_a_full_disk_is_told_and_the_run_goes_on_when_there_is_room(start, store, make_spec):
    spec = make_spec(epochs=2)
    _, pipe = start([spec], largest_file=20_000)
    trained, error = told(pipe)
    assert re.fullmatch(
        r".*(weights\.safetensors|checkpoint\.pt): cannot be written: File too large\. .*",
        str(error),
    )
    assert not trained
    assert store.find(spec) is None
    assert not list(store.runs.rglob("*.part"))
    engine.train_all(engine.Grid([spec]), OPTIONS, store)
    assert store.find(spec).epochs == 2


def test_a_folder_that_cannot_be_made_is_told(tmp_path, make_spec):
    (tmp_path / "runs").write_text("a file where the folder should be")
    store = Store(tmp_path / "results", tmp_path / "runs")
    with pytest.raises(StorageError, match=r"claim: cannot be written: "), store.claim(make_spec()):
        pass
    with pytest.raises(StorageError, match=r"other: cannot be written: "):
        write_bytes(tmp_path / "runs" / "other", b"")
