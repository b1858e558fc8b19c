"""Networks by the layouts of their families: stages, parameters and arithmetic."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache

from .datasets import DATASETS
from .families import FAMILIES
from .layouts import Stage
from .spec import ModelSpec, RunSpec


def stages(model: ModelSpec, dataset: str) -> tuple[Stage, ...]:
    """The network from the image to the logits; empty where its family has no layout."""
    layout = FAMILIES[model.family].layout
    return () if layout is None else layout(model, DATASETS[dataset])


def parameters(model: ModelSpec, dataset: str) -> int:
    """The number of parameters of the network, by its layout."""
    return sum(stage.parameters for stage in stages(model, dataset))


@cache  # a command asks it of every record
def cost(model: ModelSpec, dataset: str) -> tuple[int, int]:
    """The products of a weight and a number that one image costs, and the layers it goes through.

    A network without a layout counts as the one that it is compared with does, and without that as
    its layers alone.
    """
    family = FAMILIES[model.family]
    if family.layout is None and family.compared_with:
        model = replace(model, family=next(iter(family.compared_with)))
    products = [
        layer.weights * (stage.side or 1) ** 2
        for stage in stages(model, dataset)
        for block in stage.blocks
        for layer in block.all_layers
    ]
    return sum(products), len(products) or model.depth + 1


#: The parts of `memory`.
MEMORY = ("parameters", "gradients", "optimiser state", "activations")


def memory(spec: RunSpec) -> dict[str, int]:
    """The bytes that a training step keeps, by `MEMORY`; empty for a network without a layout.

    Weights, gradients and optimiser state are float32, and bf16 has a copy of the weights besides.
    The activations are what the backward pass of a batch needs: the images, what each layer gives,
    that once more after a normalisation, and of a pooling what it gives and from where, as indices
    of 8 bytes.  So it is with ReLU and without dropout.
    """
    network, training = stages(spec.model, spec.dataset), spec.training
    if not network:
        return {}
    size = 2 if training.precision == "bf16" else 4
    kept = math.prod(spec.images.image_shape) * size
    for stage in network:
        pixels = (stage.side or 1) ** 2
        for block in stage.blocks:
            numbers = sum(layer.outputs * (1 + layer.normalised) for layer in block.layers)
            if block.skip and block.skip.layer:  # a sum keeps nothing of what it adds
                numbers += block.skip.layer.outputs * block.skip.layer.normalised
            kept += numbers * pixels * size
            if stage.pooled:
                kept += block.layers[-1].outputs * pixels // 4 * (size + 8)
    count = sum(stage.parameters for stage in network)
    states = 2 if training.optimizer != "sgd" else int(training.momentum > 0)
    weights = count * (6 if training.precision == "bf16" else 4)
    sizes = (weights, 4 * count, 4 * count * states, kept * training.batch_size)
    return dict(zip(MEMORY, sizes, strict=True))
