"""Whether two trainings were the same, by weights, history and outcome; and a wait for one."""

import time

import torch

#: Series that say how long and how much it took; all others repeat.
MEASURED = {"seconds", "peak_memory_bytes"}


def weights_of(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same_weights(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def repeating(history):
    return {name: series for name, series in history.items() if name not in MEASURED}


def outcome(record):
    """What does not depend on how fast the machine was."""
    ending = (record.test, record.best_epoch, record.stopped, record.weights_sha256)
    return record.key, repeating(record.history), *ending


def wait_until(condition, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.02)
