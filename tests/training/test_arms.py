"""Two arms of a comparison are declared to be one network written in two ways: their starts are
mapped onto each other, and ten steps of training in float64 must not part, but for weight decay.
That all other arms part, the values of `test_golden.py` show."""

import pytest
import torch
from torch import nn

from lab1.core.datasets import DATASETS
from lab1.core.spec import ModelSpec
from lab1.core.training_config import TrainingConfig
from lab1.training import models
from lab1.training.optimization import build_optimizer

WIDTH = 16


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


def identity_start_and_skip():
    """The two with one start: I + V to the last bit, which float32 had rounded."""
    specs = (
        ModelSpec("MLP", 6, WIDTH, initialisation="identity"),
        ModelSpec("ResidualMLP", 6, WIDTH, skip_carries="activated"),
    )
    start, skip = (models.build(spec, DATASETS["smoke-grey"], seed=3).double() for spec in specs)
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
