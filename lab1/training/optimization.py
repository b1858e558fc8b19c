"""The optimisers and the courses of the learning rate that a configuration can name."""

from typing import Any

from torch import nn, optim
from torch.optim import lr_scheduler

from ..core.training_config import TrainingConfig


def build_optimizer(model: nn.Module, config: TrainingConfig) -> optim.Optimizer:
    """Adam (Kingma & Ba 2015), AdamW (Loshchilov & Hutter 2019) or SGD with momentum, in torch's
    fused implementation."""
    settings: dict[str, Any] = {
        "lr": config.learning_rate,
        "weight_decay": config.weight_decay,  # always given: torch's own for AdamW is not zero
        "fused": True,
    }
    if config.optimizer == "sgd":
        return optim.SGD(model.parameters(), momentum=config.momentum, **settings)
    kind = optim.AdamW if config.optimizer == "adamw" else optim.Adam
    return kind(model.parameters(), **settings)


def build_scheduler(
    optimizer: optim.Optimizer, config: TrainingConfig, total_steps: int
) -> lr_scheduler.LRScheduler:
    """The schedule, to be stepped after every batch; it spans `total_steps`."""
    if config.schedule == "cosine":
        return lr_scheduler.CosineAnnealingLR(optimizer, T_max=total_steps)
    if config.schedule == "one-cycle":
        # The momentum stays what the configuration says it is.
        return lr_scheduler.OneCycleLR(
            optimizer, config.learning_rate, total_steps, cycle_momentum=False
        )
    if config.schedule == "step":
        milestones = [total_steps // 2, total_steps * 3 // 4]
        return lr_scheduler.MultiStepLR(optimizer, milestones=milestones, gamma=0.1)
    return lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)
