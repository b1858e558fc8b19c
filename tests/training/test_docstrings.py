"""The examples in the docstrings of the reference run as they stand."""

import re
import textwrap

import pytest
import torch

import lab1
from lab1 import MLP, StreamlinedTrainer, TrainingConfig
from lab1.training import data
from lab1.training.callbacks import Callback
from lab1.training.data.images import ImageSet


@pytest.fixture
def names():
    """What the examples take as given: a model, a short training, and built-in images."""
    torch.manual_seed(0)
    loaded = data.load("smoke-grey")
    train, validation = data.split(loaded.train, validation_size=500, seed=0)
    return {
        **vars(lab1),
        **{name: getattr(lab1, name) for name in lab1.__all__},
        "torch": torch,
        "Callback": Callback,
        "ImageSet": ImageSet,
        "model": MLP(input_size=784, hidden_sizes=[16], num_classes=10),
        "config": TrainingConfig(epochs=3, validation_size=500),
        "train": train,
        "validation": validation,
        "test": loaded.test,
    }


def run_examples(thing, names):
    """Runs each block that follows a `::`, and returns how many there are."""
    text = textwrap.dedent("    " + thing.__doc__)
    blocks = re.findall(r"::\n\n((?:(?: {4}.*)?\n)+)", text + "\n")
    for block in blocks:
        exec(textwrap.dedent(block), names)
    return len(blocks)


def test_the_trainers_examples(names):
    assert run_examples(StreamlinedTrainer, names) == 2
    names["trainer"].train()
    errors = names["trainer"].history["error_at_5"]
    assert len(errors) == 3 and all(0 <= each <= 1 for each in errors)


def test_the_callbacks_example_stops_the_training(names):
    assert run_examples(Callback, names) == 1
    assert names["trainer"].train().stopped == "good enough"


def test_the_images_example(names):
    assert run_examples(ImageSet, names) == 1
    assert len(names["train"]) == 100
