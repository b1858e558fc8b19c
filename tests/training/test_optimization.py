from math import cos, pi

import pytest
from declared_fields import PARAMETERS
from torch import nn

from lab1.core.training_config import TrainingConfig
from lab1.training.optimization import build_optimizer, build_scheduler

STEPS = 200
BETAS = (0.9, 0.999)


def course(schedule, steps=STEPS, **keywords):
    """The learning rate of each step; nothing else is scheduled.

    A configuration names a momentum; a schedule that set another would make it a lie.
    """
    config = TrainingConfig(schedule=schedule, learning_rate=0.4, momentum=0.5, **keywords)
    optimizer = build_optimizer(nn.Linear(1, 1), config)
    scheduler = build_scheduler(optimizer, config, steps)
    (group,) = optimizer.param_groups
    rates = []
    for _ in range(steps):
        rates.append(group["lr"])
        assert group.get("momentum", 0.5) == 0.5 and group.get("betas", BETAS) == BETAS
        optimizer.step()
        scheduler.step()
    return rates


def half_cosine(start, end, share):
    return end + (start - end) * (1 + cos(pi * share)) / 2


PEAK = 0.3 * STEPS - 1
EXPECTED = {
    "constant": [0.4] * STEPS,
    "cosine": [half_cosine(0.4, 0, step / STEPS) for step in range(STEPS)],
    # A tenth after one half of the steps, a hundredth after three quarters.
    "step": [0.4] * 100 + [0.04] * 50 + [0.004] * 50,
    # From 1/25 of the highest rate up to it in 30 % of the steps, then down to nearly zero, both
    # ways along half a cosine (Smith & Topin 2018, in torch's version).
    "one-cycle": [
        half_cosine(0.016, 0.4, step / PEAK)
        if step <= PEAK
        else half_cosine(0.4, 0.016 / 1e4, (step - PEAK) / (STEPS - 1 - PEAK))
        for step in range(STEPS)
    ],
}


@pytest.mark.parametrize("optimizer", PARAMETERS["optimizer"].choices)
@pytest.mark.parametrize("schedule", PARAMETERS["schedule"].choices)
def test_the_course_of_the_learning_rate_is_the_formula(schedule, optimizer):
    assert course(schedule, optimizer=optimizer) == pytest.approx(EXPECTED[schedule], rel=1e-9)


@pytest.mark.parametrize("schedule", PARAMETERS["schedule"].choices)
@pytest.mark.parametrize("steps", [1, 2, 3, 4])
def test_every_schedule_spans_the_shortest_training(schedule, steps):
    """Below the highest rate at all times, and without complaint up to the last step."""
    rates = course(schedule, steps)
    assert len(rates) == steps
    assert all(0 < rate <= 0.4 for rate in rates)


def stepped(config, slope, steps):
    """A weight of 2 whose gradient is always the same, after some steps."""
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, 2.0)
    optimizer = build_optimizer(model, config)
    for _ in range(steps):
        optimizer.zero_grad()
        (slope * model.weight).sum().backward()
        optimizer.step()
    return model.weight.item()


@pytest.mark.parametrize(
    ("settings", "slope", "steps", "expected"),
    [
        ({"optimizer": "sgd", "momentum": 0.0}, 3, 1, 2 - 0.1 * 3),
        ({"optimizer": "sgd", "momentum": 0.5}, 3, 2, 2 - 0.1 * 3 - 0.1 * (0.5 * 3 + 3)),
        # Weight decay is added to the gradient.
        ({"optimizer": "sgd", "momentum": 0.0, "weight_decay": 0.5}, 3, 1, 2 - 0.1 * (3 + 0.5 * 2)),
        # The first step of Adam has the length of the learning rate.
        ({"optimizer": "adam"}, 3, 1, 2 - 0.1),
        # It too adds the decay to the gradient: one that cancels it leaves nothing to do.
        ({"optimizer": "adam", "weight_decay": 3.0}, -6, 1, 2),
        # AdamW shrinks the weight by the rate times the decay, also without a gradient.
        ({"optimizer": "adamw", "weight_decay": 0.5}, 0, 1, 2 * (1 - 0.1 * 0.5)),
    ],
)
def test_a_step_is_the_formula(settings, slope, steps, expected):
    config = TrainingConfig(learning_rate=0.1, **settings)
    assert stepped(config, slope, steps) == pytest.approx(expected)


def test_all_parameters_are_trained_by_the_optimiser_that_is_named():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    for optimizer in PARAMETERS["optimizer"].choices:
        built = build_optimizer(model, TrainingConfig(optimizer=optimizer))
        assert type(built).__name__.lower() == optimizer
        (group,) = built.param_groups
        assert len(group["params"]) == 4
    # AdamW is spelled out: torch's own default shrinks the weights by a hundredth of the rate.
    (group,) = build_optimizer(model, TrainingConfig(optimizer="adamw")).param_groups
    assert (group["weight_decay"], group["betas"], group["eps"]) == (0, BETAS, 1e-8)
