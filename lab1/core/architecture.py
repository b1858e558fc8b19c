"""Networks by the layouts of their families: stages, parameters and arithmetic."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from .datasets import DATASETS
from .families import FAMILIES
from .layouts import Stage
from .spec import ModelSpec


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
