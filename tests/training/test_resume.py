"""A killed training continues from its checkpoint and ends as if it had never stopped."""

import os
import random
import shutil
import signal
import time
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import torch
from repeats import FORK, outcome, train_until_checkpoint, wait_until

from lab1.core import files, weights_file
from lab1.core.record import DISTILLATION_FIELDS
from lab1.core.spec import ModelSpec, RunSpec
from lab1.core.store import Store
from lab1.core.training_config import DistillationConfig, RuntimeOptions, TrainingConfig
from lab1.errors import CheckpointError, StorageError
from lab1.training import checkpoint, interruption, origin
from lab1.training import run as running
from lab1.training.checkpoint import Checkpointer, digest, load_weights
from lab1.training.data.images import ImageSet
from lab1.training.distillation import DistillationTrainer
from lab1.training.engines import local as engine
from lab1.training.trainer import StreamlinedTrainer

#: A checkpoint after every step, so that a kill hits the writing of one as often as not.
OPTIONS = RuntimeOptions(progress=False, checkpoint_seconds=0)

#: Everything that has a state of its own: momentum, schedules, dropout, augmentation, patience.
_COMMON = {"batch_size": 32, "validation_size": 100, "train_size": 200}
CONFIGS = {
    "adam": TrainingConfig(epochs=3, schedule="cosine", augmentation="crop", **_COMMON),
    "sgd": TrainingConfig(
        epochs=3,
        learning_rate=0.05,
        optimizer="sgd",
        schedule="step",
        augmentation="crop-flip",
        **_COMMON,
    ),
    "patience": TrainingConfig(  # which ends in the third epoch
        epochs=6, schedule="one-cycle", patience=2, minimum_improvement=0.9, **_COMMON
    ),
}


def spec(config, family="MLP"):
    return RunSpec(ModelSpec(family, 2, 8, dropout_rate=0.2), "smoke-grey", config, seed=3)


TEACHER = spec(replace(CONFIGS["adam"], epochs=1), "ResidualMLP")


@pytest.fixture
def stores(tmp_path):
    """Makes a store of that name with the trained teacher of the students."""
    first = Store(tmp_path / "results", tmp_path / "teacher")
    engine.train_all(engine.Grid([TEACHER]), OPTIONS, first)

    def store(name):
        shutil.copytree(first.runs, tmp_path / name)
        return Store(first.results, tmp_path / name)

    return store


def student(config):
    return replace(spec(config), distillation=DistillationConfig(TEACHER, 3.0, 0.5))


def assert_same(record, store, expected):
    """A record, and the weights on disk, are those of a training that was never stopped."""
    assert outcome(record) == outcome(expected)
    weights = load_weights(weights_file.in_runs(record.spec, store))
    assert digest(weights) == expected.weights_sha256


@pytest.mark.slow
@pytest.mark.parametrize("name", CONFIGS)
def test_a_run_that_stopped_anywhere_ends_the_same(name, tmp_path, monkeypatch, capsys):
    """Seven steps an epoch: it stops within one, after its last step, at its end, and later."""
    run, steps, loss = spec(CONFIGS[name]), [], StreamlinedTrainer.compute_loss
    expected = running.train_run(run, OPTIONS)

    def counted(self, *arguments):
        steps.append(1)
        return loss(self, *arguments)

    monkeypatch.setattr(StreamlinedTrainer, "compute_loss", counted)
    for stop in (3, 7, 8, 17):
        store = Store(tmp_path / "results", tmp_path / f"stopped-{stop}")
        train_until_checkpoint(stop, run, OPTIONS, store)
        assert "continues" not in capsys.readouterr().err
        # Seven steps and the epoch's end, each with a checkpoint.
        done, within = divmod(stop, 8)
        assert len(steps) == stop - done
        again = running.train_run(run, OPTIONS, store)
        assert_same(again, store, expected)
        assert len(steps) == 7 * again.epochs  # no step was computed twice
        steps.clear()
        first, second = again.origin["segments"]
        assert first["epochs"] == [1, done + (within > 0)]
        assert second["epochs"] == ([done + 1, again.epochs] if done < again.epochs else None)
        said = f"continues in epoch {done + 1}\n" in capsys.readouterr().err
        assert said == (done < again.epochs)


@pytest.mark.slow
@pytest.mark.parametrize("augmentation", ["none", "shift"])
def test_a_distilled_run_that_stopped_anywhere_ends_the_same(stores, augmentation, monkeypatch):
    """The sums of its two losses included, whether or not its teacher's answers were kept."""
    run = student(replace(CONFIGS["sgd"], augmentation=augmentation))
    monkeypatch.setenv("LAB1_RUNS", str(stores("whole").runs))
    expected = running.train_run(run, OPTIONS)  # keeps no answer
    assert set(expected.history) >= set(DISTILLATION_FIELDS)
    for stop in (3, 8, 17):
        store = stores(f"stopped-{stop}")

        def kept(store=store):
            return {path.name for path in store.run_dir(TEACHER).glob("outputs-*/*.pt")}

        train_until_checkpoint(stop, run, OPTIONS, store)
        assert len(kept()) == (stop // 8 if augmentation == "shift" else 1)
        assert_same(running.train_run(run, OPTIONS, store), store, expected)
        # The epoch in which it stopped was never computed in one sitting.
        missing = {f"epoch-000{stop // 8 + 1}.pt"} if stop % 8 else set()
        if augmentation == "shift":
            assert kept() == {f"epoch-000{epoch}.pt" for epoch in (1, 2, 3)} - missing


def test_a_run_starts_with_its_first_process(store, monkeypatch):
    run, days = spec(CONFIGS["adam"]), iter(range(1, 29))
    monkeypatch.setattr(origin, "now", lambda: datetime(2026, 1, next(days), tzinfo=UTC))
    train_until_checkpoint(2, run, OPTIONS, store)
    record = running.train_run(run, replace(OPTIONS, checkpoint_seconds=60), store)
    times = [segment[end][8:10] for segment in record.origin["segments"] for end in ("from", "to")]
    # The first ended with its second checkpoint: what came later was lost.
    assert times == ["01", "03", "04", "05"]
    assert record.started == record.origin["started"] == "2026-01-01T00:00:00+00:00"
    assert record.origin["ended"] == "2026-01-05T00:00:00+00:00"


def _train(runs, run):
    torch.set_num_threads(1)
    engine.train_all(engine.Grid([run]), OPTIONS, Store(runs.parent / "results", runs))


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


@pytest.mark.slow
@pytest.mark.long
@needs_fork
@pytest.mark.parametrize(
    ("make", "config", "more"),
    [
        (spec, "adam", {}),
        (spec, "patience", {}),
        (student, "adam", {"augmentation": "none"}),
        (student, "adam", {"augmentation": "shift"}),
    ],
)
def test_killed_at_random_moments_it_ends_with_the_same_record(
    make, config, more, stores, monkeypatch, long
):
    planned = 20 if long else 3
    config = replace(CONFIGS[config], epochs=2 * planned, **more)
    run = make(replace(config, patience=config.patience and config.epochs))
    expected, store = running.train_run(run, OPTIONS, stores("whole")), stores("killed")
    kind = StreamlinedTrainer if make is spec else DistillationTrainer
    loss = kind.compute_loss

    def slow_loss(self, *arguments):
        time.sleep(0.02)  # 14 steps of it outlast a kill, on however fast a machine
        return loss(self, *arguments)

    monkeypatch.setattr(kind, "compute_loss", slow_loss)
    moments = random.Random(20)
    kills = 0
    deadline = time.monotonic() + 300  # a training that never advances is a failure, not a hang
    while store.find(run) is None and time.monotonic() < deadline:
        child = FORK.Process(target=_train, args=(store.runs, run))
        child.start()
        child.join(moments.uniform(0.02, 0.25) if kills < planned else None)
        if child.is_alive():
            os.kill(child.pid, signal.SIGKILL)
            child.join()
            kills += 1
    record = store.find(run)
    assert record is not None
    assert kills == planned
    assert_same(record, store, expected)
    assert not (store.run_dir(run) / "checkpoint.pt").exists()


@pytest.mark.slow
@needs_fork
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_step_saves_and_says_how_to_continue(number, status, store):
    """The command line's way: exit status, words, and a checkpoint to continue from."""
    run = spec(replace(CONFIGS["adam"], epochs=2000))
    told = FORK.Queue()

    def train():
        try:
            _train(store.runs, run)
        except interruption.TrainingInterrupted as interrupt:
            told.put((interrupt.exit_status, str(interrupt)))

    child = FORK.Process(target=train)
    child.start()
    path = store.run_dir(run) / "checkpoint.pt"
    wait_until(path.exists)
    os.kill(child.pid, number)
    exit_status, words = told.get(timeout=60)
    child.join()
    assert exit_status == status
    assert "continues" in words
    assert Checkpointer(path, run.key).load()["progress"]["epoch"] >= 1


def test_outside_a_training_signals_act_as_ever():
    before = signal.getsignal(signal.SIGTERM)
    with interruption.deferred():
        assert signal.getsignal(signal.SIGTERM) != before
        assert interruption.pending() is None
        os.kill(os.getpid(), signal.SIGTERM)
        assert interruption.pending() == signal.SIGTERM
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) == before
    assert interruption.pending() is None


@pytest.fixture
def saved(tmp_path):
    made = Checkpointer(tmp_path / "checkpoint.pt", "0123456789abcdef")
    made.save({"step": 1, "weights": torch.arange(3)})
    return made


def test_a_checkpoint_comes_back(saved, tmp_path):
    state = saved.load()
    assert state["step"] == 1
    assert torch.equal(state["weights"], torch.arange(3))
    assert Checkpointer(tmp_path / "none.pt", "0" * 16).load() is None


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        *((lambda whole, s=share: whole[: int(s * len(whole))], "") for share in (0, 0.02, 0.5)),
        (lambda whole: whole[:-1], "checksum"),
        (lambda whole: whole[:-20] + bytes([whole[-20] ^ 1]) + whole[-19:], "checksum"),
        (lambda whole: whole.replace(b"0123456789abcdef", b"f" * 16), "belongs to run 'ffff"),
        (lambda whole: b"\xff\xfe\nrest", "not a checkpoint of this version"),
        (lambda whole: b"lab1-checkpoint-1 \xff\xff \xff\nrest", "belongs to run "),
        *((lambda whole, h=header: h + b"\nrest", "not a ch") for header in (b"a b c", b"", b"  ")),
    ],
)
def test_a_damaged_checkpoint_is_told_and_left_alone(saved, damage, why):
    """It must not pass for no checkpoint: that would start the run from zero, unasked."""
    damaged = damage(saved.path.read_bytes())
    saved.path.write_bytes(damaged)
    told = f"^{saved.path}: .*{why}.*Delete it to train the run again"
    with pytest.raises(CheckpointError, match=told):
        saved.load()
    assert saved.path.read_bytes() == damaged


def test_a_full_disk_is_told_and_keeps_the_last_checkpoint(saved, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(StorageError, match=r"checkpoint.pt.*No space left.*intact"):
        saved.save({"step": 2})
    assert saved.load()["step"] == 1


@pytest.mark.parametrize(
    ("state", "why"),
    [
        *((state, "it holds no state, but ") for state in (None, [], "state", torch.zeros(2), 5)),
        ({"step": ModelSpec}, "not readable"),  # only tensors and plain values are read
    ],
)
def test_what_is_no_state_is_told_and_not_taken_for_none(saved, state, why):
    saved.save(state)
    with pytest.raises(CheckpointError, match=why):
        saved.load()


def test_a_state_of_another_form_is_told_by_the_trainer(saved):
    """Signed as the run's, and yet without a part, or with one of another kind."""
    whole = make_trainer(saved)._state()
    for name in whole:
        without = {other: part for other, part in whole.items() if other != name}
        strange = [] if name in ("stop_reason", "cuda") else [None, 7, [], {}]
        for state in (without, *({**whole, name: part} for part in strange)):
            saved.save(state)
            with pytest.raises(CheckpointError, match=f"^{saved.path}: its state does not fit"):
                make_trainer(saved)._restore()
    saved.save(whole)
    make_trainer(saved)._restore()


def make_trainer(checkpointer):
    images = ImageSet(torch.zeros(8, 1, 4, 4, dtype=torch.uint8), torch.arange(8) % 2)
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 2))
    config = TrainingConfig(epochs=2, batch_size=4, learning_rate=0.1, validation_size=0)
    return StreamlinedTrainer(model, config, images, seed=0, checkpointer=checkpointer)


def test_checkpoints_are_as_far_apart_as_asked(tmp_path, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(checkpoint.time, "monotonic", lambda: now[0])
    made = Checkpointer(tmp_path / "checkpoint.pt", "0" * 16, every_seconds=60)
    assert not made.is_due()
    now[0] += 60
    assert made.is_due()
    made.save({})
    assert not made.is_due()
