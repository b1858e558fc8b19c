"""Models from a seed, whether two trainings were the same, processes, and a wait for one."""

import multiprocessing
import os
import time

import pytest
import torch

from lab1.training import run as running
from lab1.training.checkpoint import Checkpointer

#: Processes that need not import torch anew, where the system can fork.
FORK = multiprocessing.get_context("fork" if hasattr(os, "fork") else None)

#: Series that say how long and how much it took; all others repeat.
MEASURED = {"seconds", "peak_memory_bytes"}


def made(kind, *arguments, seed=0, **keywords):
    """A model, its weights drawn with a seed of its own."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return kind(*arguments, **keywords)


def inputs(*shape, seed=0, dtype=torch.float32):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def weights_of(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same_weights(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def repeating(history):
    """The series of a history that do not depend on the machine's speed."""
    return {name: series for name, series in history.items() if name not in MEASURED}


def outcome(record):
    """What does not depend on how fast the machine was."""
    ending = (record.test, record.best_epoch, record.stopped, record.weights_sha256)
    return record.key, repeating(record.history), *ending


def train_until_checkpoint(number, spec, options, store):
    """Trains a run and interrupts it right after its checkpoint of that number."""
    save, saved = Checkpointer.save, []

    def counted(self, state):
        save(self, state)
        if self.path.name == "checkpoint.pt":  # not what a teacher said
            saved.append(self.path)
        if len(saved) == number:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Checkpointer, "save", counted)
        running.train_run(spec, options, store)


def wait_until(condition, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.02)
