"""Models: built from their specification, and counted."""

from importlib import import_module
from math import prod

import torch
from torch import nn

from ...core.datasets import Dataset
from ...core.families import FAMILIES, Family
from ...core.spec import ModelSpec
from .. import seeds
from . import user_models


def class_of(family: Family) -> type[nn.Module]:
    """The class of a family: it has the family's name, in the module that the family names."""
    module = import_module(f".{family.module}", __package__)
    found: type[nn.Module] = getattr(module, family.name)
    return found


def build(spec: ModelSpec, dataset: Dataset, seed: int) -> nn.Module:
    """The model that `spec` describes for the images of `dataset`, initialised by `seed`."""
    family = FAMILIES[spec.family]
    with seeds.global_stream(seed, "initialisation"):
        if family.user_defined:
            return user_models.build(spec, dataset)
        model = class_of(family)
        if spec.layer_sizes:
            further = set(family.fields) - {"depth", "width", "hidden_sizes", "activation"}
            return model(
                input_size=prod(dataset.image_shape),
                hidden_sizes=spec.layer_sizes,
                num_classes=dataset.num_classes,
                activation_fn=spec.activation,
                **{name: getattr(spec, name) for name in further},
            )
        return model(
            num_classes=dataset.num_classes,
            in_channels=dataset.image_shape[0],
            **{name: getattr(spec, name) for name in family.fields},
        )


def count_parameters(model: nn.Module) -> int:
    """The number of trainable parameters."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def count_flops(model: nn.Module, image_shape: tuple[int, int, int]) -> int:
    """Floating-point operations of one forward pass of one image, as torch counts them.

    A multiplication and the addition that follows count as two.
    """
    from torch.utils.flop_counter import FlopCounterMode

    was_training = model.training
    model.eval()
    device = next(model.parameters()).device
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(torch.zeros(1, *image_shape, device=device))
    model.train(was_training)
    return int(counter.get_total_flops())
