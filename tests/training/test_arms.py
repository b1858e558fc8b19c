"""Two arms of a comparison are two networks: their starts are mapped onto each other, and ten steps
of training in float64 must part.  One pair is declared to be one network written in two ways."""

from functools import cache
from itertools import combinations

import pytest
import torch
from torch import nn

from lab1.core.datasets import DATASETS
from lab1.core.spec import ModelSpec
from lab1.core.training_config import TrainingConfig
from lab1.training import models
from lab1.training.optimization import build_optimizer

DEPTH, WIDTH = 6, 16
ARMS = {
    "plain": {"family": "MLP"},
    "identity start": {"family": "MLP", "initialisation": "identity"},
    "orthogonal start": {"family": "MLP", "initialisation": "orthogonal"},
    "looks-linear start": {"family": "MLP", "initialisation": "looks-linear"},
    "layer normalisation": {"family": "MLP", "normalization": "layer"},
    "residual": {"family": "ResidualMLP"},
    "residual, factor 1": {"family": "ResidualMLP", "residual_factor": "one"},
    "residual, both terms scaled": {"family": "ResidualMLP", "residual_factor": "sqrt-half"},
    "residual, two layers inside": {"family": "ResidualMLP", "layers_per_skip": 2},
    "skip of the activated input": {"family": "ResidualMLP", "skip_carries": "activated"},
}
SAME = ("identity start", "skip of the activated input")


def built(arm):
    spec = ModelSpec(depth=DEPTH, width=WIDTH, **ARMS[arm])
    return models.build(spec, DATASETS["smoke-grey"], seed=3).double()


def losses(model, **training):
    """The losses of ten steps on one batch, in float64."""
    optimizer = build_optimizer(model, TrainingConfig(learning_rate=0.01, **training))
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(32, 784, generator=generator, dtype=torch.float64)
    labels = torch.arange(32) % 10
    taken = []
    for _ in range(10):
        loss = nn.functional.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        taken.append(float(loss.detach()))
    return torch.tensor(taken, dtype=torch.float64)


def apart(one, other, **training):
    return float((losses(one, **training) - losses(other, **training)).abs().max())


@cache
def losses_of_arm(arm):
    return losses(built(arm))


def identity_start_and_skip():
    """The two with one start: I + V to the last bit, which float32 had rounded."""
    start, skip = map(built, SAME)
    mapped = start.state_dict()
    for name in mapped:
        if name.startswith("hidden.") and name.endswith("weight") and name != "hidden.0.weight":
            mapped[name] = mapped[name] - torch.eye(WIDTH, dtype=torch.float64)
    assert not torch.equal(mapped["hidden.1.weight"], skip.hidden[1].weight)  # by a rounding
    torch.testing.assert_close(mapped["hidden.1.weight"], skip.hidden[1].weight, atol=1e-6, rtol=0)
    skip.load_state_dict(mapped)
    return start, skip


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "adamw"])
def test_an_identity_start_is_a_skip_of_the_activated_input(optimizer):
    """W = I + V has the gradient of V, so training either computes the same network."""
    assert apart(*identity_start_and_skip(), optimizer=optimizer) < 1e-10


@pytest.mark.parametrize("optimizer", ["adamw", "adam"])
def test_weight_decay_tells_the_identity_start_from_the_skip(optimizer):
    """It draws I + V to zero, and V to zero: one loses its skip, the other its branch."""
    assert apart(*identity_start_and_skip(), optimizer=optimizer, weight_decay=0.1) > 1e-4


@pytest.mark.parametrize("pair", [pair for pair in combinations(ARMS, 2) if pair != SAME], ids=str)
def test_every_other_pair_of_arms_parts(pair):
    one, other = map(losses_of_arm, pair)
    assert float((one - other).abs().max()) > 1e-4
