"""A killed training continues from its checkpoint and ends as if it had never stopped."""

import multiprocessing
import os
import random
import shutil
import signal
import time
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import torch
from repeats import same_weights

from lab1.core import files
from lab1.core.record import DISTILLATION_FIELDS
from lab1.core.spec import ModelSpec, RunSpec
from lab1.core.store import Store
from lab1.core.training_config import DistillationConfig, RuntimeOptions, TrainingConfig
from lab1.errors import CheckpointError, StorageError
from lab1.training import checkpoint, interruption, origin
from lab1.training import run as running
from lab1.training.checkpoint import Checkpointer, load_weights
from lab1.training.data.images import ImageSet
from lab1.training.distillation import DistillationTrainer
from lab1.training.engines import local as engine
from lab1.training.trainer import StreamlinedTrainer

#: A checkpoint after every step, so that a kill hits the writing of one as often as not.
OPTIONS = RuntimeOptions(progress=False, checkpoint_seconds=0)

#: Everything that has a state of its own: momentum, schedules, dropout, augmentation, patience.
CONFIGS = {
    "adam": TrainingConfig(
        epochs=3, batch_size=32, schedule="cosine", augmentation="crop", validation_size=3800
    ),
    "sgd": TrainingConfig(
        epochs=3,
        batch_size=32,
        learning_rate=0.05,
        optimizer="sgd",
        schedule="step",
        augmentation="crop-flip",
        validation_size=3800,
    ),
    "patience": TrainingConfig(
        epochs=6,
        batch_size=32,
        learning_rate=0.02,
        schedule="one-cycle",
        validation_size=3800,
        patience=1,
    ),
}


def spec(config, family="MLP"):
    return RunSpec(ModelSpec(family, 2, 8, dropout_rate=0.2), "smoke-grey", config, seed=3)


@pytest.fixture
def taught(tmp_path):
    """Makes a store, ``taught(name)``, that has a trained teacher, and the spec of a student."""
    teacher = spec(replace(CONFIGS["adam"], epochs=1), "ResidualMLP")
    first = Store(tmp_path / "results", tmp_path / "teacher")
    engine.train_all([teacher], OPTIONS, first)

    def student(config):
        return replace(spec(config), distillation=DistillationConfig(teacher, 3.0, 0.5))

    def store(name):
        shutil.copytree(first.runs, tmp_path / name)
        return Store(first.results, tmp_path / name)

    return store, student


def outcome(record):
    """What does not depend on the machine's speed."""
    history = {k: v for k, v in record.history.items() if k not in ("seconds", "peak_memory_bytes")}
    return history, record.test, record.best_epoch, record.stopped


class StopHereError(Exception):
    """Stands for a kill, within the process."""


@pytest.fixture
def stop_after(monkeypatch):
    """Lets a training end, without another word, right after its nth checkpoint."""

    def arm(n):
        count = 0
        save = Checkpointer.save

        def counted(self, state):
            nonlocal count
            save(self, state)
            count += self.path.name == "checkpoint.pt"  # not what a teacher said
            if count == n:
                raise StopHereError

        monkeypatch.setattr(Checkpointer, "save", counted)
        return lambda: monkeypatch.setattr(Checkpointer, "save", save)

    return arm


@pytest.mark.slow
@pytest.mark.parametrize("name", CONFIGS)
def test_a_run_that_stopped_anywhere_ends_the_same(name, tmp_path, stop_after, capsys):
    """Seven steps an epoch: it stops within one, after its last step, at its end, and later."""
    run = spec(CONFIGS[name])
    whole = Store(tmp_path / "results", tmp_path / "whole")
    expected = running.train_run(run, OPTIONS, whole)
    for stop in (3, 7, 8, 17):
        store = Store(tmp_path / "results", tmp_path / f"stopped-{stop}")
        disarm = stop_after(stop)
        with pytest.raises(StopHereError):
            running.train_run(run, OPTIONS, store)
        disarm()
        assert "continues" not in capsys.readouterr().err
        again = running.train_run(run, OPTIONS, store)
        assert outcome(again) == outcome(expected), stop
        first, second = again.origin["segments"]
        # Seven steps and the epoch's end, each with a checkpoint.
        done, steps = divmod(stop, 8)
        assert first["epochs"] == [1, done + (steps > 0)]
        assert second["epochs"] == ([done + 1, again.epochs] if done < again.epochs else None)
        said = f"continues in epoch {done + 1}\n" in capsys.readouterr().err
        assert said == (done < again.epochs)
        assert same_weights(
            load_weights(store.run_dir(run) / "weights.safetensors"),
            load_weights(whole.run_dir(run) / "weights.safetensors"),
        )


@pytest.mark.slow
@pytest.mark.parametrize("augmentation", ["none", "shift"])
def test_a_distilled_run_that_stopped_anywhere_ends_the_same(taught, stop_after, augmentation):
    """The sums of its two losses included, whether or not its teacher's answers were kept."""
    stores, student = taught
    run = student(replace(CONFIGS["sgd"], augmentation=augmentation))
    whole = stores("whole")
    expected = running.train_run(run, OPTIONS, whole)
    assert set(expected.history) >= set(DISTILLATION_FIELDS)
    for stop in (3, 8, 17):
        store = stores(f"stopped-{stop}")
        disarm = stop_after(stop)
        with pytest.raises(StopHereError):
            running.train_run(run, OPTIONS, store)
        disarm()
        kept = list(store.run_dir(run.teacher).glob("outputs-*/*.pt"))
        assert len(kept) == (stop // 8 if augmentation == "shift" else 1)
        again = running.train_run(run, OPTIONS, store)
        assert outcome(again) == outcome(expected), stop
        assert same_weights(
            load_weights(store.run_dir(run) / "weights.safetensors"),
            load_weights(whole.run_dir(run) / "weights.safetensors"),
        )
        # The epoch in which it stopped was never computed in one sitting.
        names = {path.name for path in store.run_dir(run.teacher).glob("outputs-*/*.pt")}
        missing = {f"epoch-000{stop // 8 + 1}.pt"} if stop % 8 else set()
        if augmentation == "shift":
            assert names == {f"epoch-000{epoch}.pt" for epoch in (1, 2, 3)} - missing


def test_what_an_older_checkpoint_did_not_tell_is_an_unknown_process(
    tmp_path, stop_after, monkeypatch
):
    run, store = spec(CONFIGS["adam"]), Store(tmp_path / "results", tmp_path / "runs")
    whole = StreamlinedTrainer._state
    monkeypatch.setattr(
        StreamlinedTrainer,
        "_state",
        lambda self: {name: part for name, part in whole(self).items() if name != "segments"},
    )
    disarm = stop_after(9)
    with pytest.raises(StopHereError):
        running.train_run(run, OPTIONS, store)
    disarm()
    monkeypatch.undo()
    record = running.train_run(run, OPTIONS, store)
    first, second = record.origin["segments"]
    unknown = dict.fromkeys(("sources", "versions", "device", "from", "to"))
    assert first == {"commit": "unknown", **unknown, "epochs": [1, 2]}
    assert second["epochs"] == [2, 3]
    assert record.origin["started"] == second["from"]
    assert record.started is None


def test_a_run_starts_with_its_first_process(tmp_path, stop_after, monkeypatch):
    run, store = spec(CONFIGS["adam"]), Store(tmp_path / "results", tmp_path / "runs")
    days = iter(range(1, 29))
    monkeypatch.setattr(origin, "now", lambda: datetime(2026, 1, next(days), tzinfo=UTC))
    disarm = stop_after(2)
    with pytest.raises(StopHereError):
        running.train_run(run, OPTIONS, store)
    disarm()
    record = running.train_run(run, replace(OPTIONS, checkpoint_seconds=60), store)
    times = [segment[end][8:10] for segment in record.origin["segments"] for end in ("from", "to")]
    # The first ended with its second checkpoint: what came later was lost.
    assert times == ["01", "03", "04", "05"]
    assert record.started == record.origin["started"] == "2026-01-01T00:00:00+00:00"
    assert record.origin["ended"] == "2026-01-05T00:00:00+00:00"


def test_what_was_trained_is_not_trained_again(tmp_path, stop_after, monkeypatch):
    run, store = spec(CONFIGS["adam"]), Store(tmp_path / "results", tmp_path / "runs")
    disarm = stop_after(9)
    with pytest.raises(StopHereError):
        running.train_run(run, OPTIONS, store)
    disarm()
    steps = []
    loss = StreamlinedTrainer.compute_loss

    def counted(self, *arguments):
        steps.append(1)
        return loss(self, *arguments)

    monkeypatch.setattr(StreamlinedTrainer, "compute_loss", counted)
    running.train_run(run, OPTIONS, store)
    # The ninth checkpoint is the one after the eighth step: the eighth was that of the epoch.
    assert len(steps) == 3 * 7 - 8


def _train(runs, run):
    torch.set_num_threads(1)
    engine.train_all([run], OPTIONS, Store(runs.parent / "results", runs))


needs_fork = pytest.mark.skipif(
    not hasattr(os, "fork"), reason="needs fork, to start children in no time"
)


@pytest.fixture
def kills(long):
    """How many times a training is killed."""
    return 20 if long else 6


@pytest.mark.slow
@pytest.mark.long
@needs_fork
@pytest.mark.parametrize("name", ["adam", "patience"])
def test_killed_at_random_moments_it_ends_with_the_same_record(name, tmp_path, monkeypatch, kills):
    epochs = 2 * kills
    run = spec(replace(CONFIGS[name], epochs=epochs, patience=CONFIGS[name].patience and epochs))
    whole, store = (Store(tmp_path / "results", tmp_path / name) for name in ("whole", "killed"))
    kill_until_trained(run, whole, store, StreamlinedTrainer, monkeypatch, kills)


@pytest.mark.slow
@pytest.mark.long
@needs_fork
@pytest.mark.parametrize("augmentation", ["none", "shift"])
def test_a_distilled_run_that_is_killed_ends_with_the_same_record(
    taught, augmentation, monkeypatch, kills
):
    stores, student = taught
    run = student(replace(CONFIGS["adam"], epochs=2 * kills, augmentation=augmentation))
    whole, store = stores("whole"), stores("killed")
    kill_until_trained(run, whole, store, DistillationTrainer, monkeypatch, kills)


def kill_until_trained(run, whole, store, kind, monkeypatch, planned):
    """Trains a run in ``whole`` undisturbed and in ``store`` through kills, and compares."""
    expected = running.train_run(run, OPTIONS, whole)
    loss = kind.compute_loss

    def slow_loss(self, *arguments):
        time.sleep(0.02)  # 14 steps of it outlast a kill, on however fast a machine
        return loss(self, *arguments)

    monkeypatch.setattr(kind, "compute_loss", slow_loss)
    context = multiprocessing.get_context("fork")
    moments = random.Random(20)
    kills = 0
    deadline = time.monotonic() + 300  # a training that never advances is a failure, not a hang
    while store.find(run) is None and time.monotonic() < deadline:
        child = context.Process(target=_train, args=(store.runs, run))
        child.start()
        child.join(moments.uniform(0.02, 0.25) if kills < planned else None)
        if child.is_alive():
            os.kill(child.pid, signal.SIGKILL)
            child.join()
            kills += 1
    record = store.find(run)
    assert record is not None
    assert kills == planned
    assert outcome(record) == outcome(expected)
    assert same_weights(
        load_weights(store.run_dir(run) / "weights.safetensors"),
        load_weights(whole.run_dir(run) / "weights.safetensors"),
    )
    assert not (store.run_dir(run) / "checkpoint.pt").exists()


@pytest.mark.slow
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_step_saves_and_says_how_to_continue(number, status, tmp_path):
    """The command line's way: exit status, words, and a checkpoint to continue from."""
    run = spec(replace(CONFIGS["adam"], epochs=2000))
    runs = tmp_path / "runs"
    context = multiprocessing.get_context("fork")
    told = context.Queue()

    def train():
        try:
            _train(runs, run)
        except interruption.TrainingInterrupted as interrupt:
            told.put((interrupt.exit_status, str(interrupt)))

    child = context.Process(target=train)
    child.start()
    path = Store(tmp_path / "results", runs).run_dir(run) / "checkpoint.pt"
    deadline = time.monotonic() + 60
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
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


def test_a_checkpoint_comes_back(saved):
    state = saved.load()
    assert state["step"] == 1
    assert torch.equal(state["weights"], torch.arange(3))


def test_no_checkpoint_is_none(tmp_path):
    assert Checkpointer(tmp_path / "checkpoint.pt", "0" * 16).load() is None


@pytest.mark.parametrize("share", [0, 0.02, 0.5, 0.99])
def test_a_truncated_checkpoint_is_told_and_left_alone(saved, share):
    """It must not pass for no checkpoint: that would start the run from zero, unasked."""
    content = saved.path.read_bytes()
    saved.path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(CheckpointError, match=str(saved.path)):
        saved.load()
    assert saved.path.exists()


def test_a_flipped_bit_is_told(saved):
    content = bytearray(saved.path.read_bytes())
    content[-20] ^= 1
    saved.path.write_bytes(content)
    with pytest.raises(CheckpointError, match="checksum"):
        saved.load()


def test_another_runs_checkpoint_is_told(saved):
    with pytest.raises(CheckpointError, match="belongs to run '0123456789abcdef'"):
        Checkpointer(saved.path, "f" * 16).load()


def test_a_full_disk_is_told_and_keeps_the_last_checkpoint(saved, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(StorageError, match=r"checkpoint.pt.*No space left.*intact"):
        saved.save({"step": 2})
    assert saved.load()["step"] == 1


def test_a_checkpoint_holds_no_code(saved):
    """Whatever is not a tensor or a plain value is refused when it is read."""
    saved.save({"step": StopHereError})
    with pytest.raises(CheckpointError, match="not readable"):
        saved.load()


@pytest.mark.parametrize(
    "header", [b"\xff\xfe\n", b"lab1-checkpoint-1 \xff\xff \xff\n", b"a b c\n", b"\n", b"  \n"]
)
def test_a_header_that_is_no_text_is_told(saved, header):
    saved.path.write_bytes(header + b"rest")
    with pytest.raises(CheckpointError, match=f"^{saved.path}: .*Delete it to train the run again"):
        saved.load()


@pytest.mark.parametrize("state", [None, [], "state", torch.zeros(2), 5])
def test_what_is_no_state_is_told_and_not_taken_for_none(saved, state):
    saved.save(state)
    with pytest.raises(CheckpointError, match="it holds no state, but "):
        saved.load()


def test_a_state_of_another_form_is_told_by_the_trainer(saved):
    """Signed as the run's, and yet without a part, or with one of another kind."""
    whole = make_trainer(saved)._state()
    for name in whole:
        without = {other: part for other, part in whole.items() if other != name}
        strange = [] if name in ("stop_reason", "cuda") else [None, 7, [], {}]
        parted = [without] if name != "segments" else []  # which an older checkpoint lacks
        for state in (*parted, *({**whole, name: part} for part in strange)):
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
