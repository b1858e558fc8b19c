"""Whether two trainings were the same: their weights, and the series of their histories."""

import torch

#: Series that say how long and how much it took; all others repeat.
MEASURED = {"seconds", "peak_memory_bytes"}


def weights_of(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same_weights(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def repeating(history):
    return {name: series for name, series in history.items() if name not in MEASURED}
