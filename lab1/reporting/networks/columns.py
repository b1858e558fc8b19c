"""Whole networks beside each other, from the image down to the logits."""

from __future__ import annotations

from collections.abc import Sequence

from ...core.datasets import DATASETS
from ...core.families import FAMILIES
from ...core.layouts import Stage
from ...core.spec import ModelSpec
from ..kit.figure import COLOURS
from . import drawing
from .drawing import Drawing

_WIDTH, _CENTRE, _WIDEST = 308, 66, 118

#: How high all layers of the deepest network may be together, and one at most.
_TALLEST, _HIGHEST = 330.0, 15.0


def columns(models: Sequence[ModelSpec], dataset: str) -> Drawing:
    """Each network as a column of its layers.

    A layer is as wide as the square root of its units or feature maps says, on one scale for all;
    an arc beside two layers is a skip connection.
    """
    laid = {model: model.stages(dataset) for model in models}
    deepest = max(sum(map(_layers, stages)) for stages in laid.values())
    widest = max(
        layer.outputs
        for stages in laid.values()
        for stage in stages[:-1]
        for block in stage.blocks
        for layer in block.layers
    )
    height = min(_HIGHEST, _TALLEST / deepest)
    svgs = [_column(model, stages, dataset, height, widest) for model, stages in laid.items()]
    said = " ".join(_sentence(model, stages) for model, stages in laid.items())
    return Drawing(svgs, said)


def _layers(stage: Stage) -> int:
    return sum(len(block.layers) for block in stage.blocks)


def _column(
    model: ModelSpec, stages: Sequence[Stage], dataset: str, layer_height: float, widest: int
) -> str:
    colour = COLOURS[model.family]
    channels, side, _ = DATASETS[dataset].image_shape
    parts = [
        drawing.text(0, 16, model.family, "start", bold=True),
        drawing.text(0, 34, _size(model, stages), "start"),
        drawing.text(_CENTRE, 58, f"image, {side} × {side} × {channels}"),
    ]
    y = 66.0
    for stage in stages:
        top = y
        for block in stage.blocks:
            begin = y
            for layer in block.layers:
                share = min(1.0, (layer.outputs / widest) ** 0.5)
                width = max(14.0, _WIDEST * share)
                parts.append(
                    drawing.box(_CENTRE - width / 2, y, width, layer_height * 0.8, "layer", colour)
                )
                y += layer_height
            if block.skip is not None:
                parts.append(_arc(begin, y, width, colour, layer_height))
        middle = max(top + 10, (top + y) / 2 + 4)
        parts.append(drawing.text(_CENTRE + _WIDEST / 2 + 16, middle, _label(stage), "start"))
        y = max(y, top + 18) + 6
    parts.append(drawing.text(_CENTRE, y + 10, f"{DATASETS[dataset].num_classes} logits"))
    return drawing.svg(_WIDTH, y + 20, _sentence(model, stages), parts)


def _arc(begin: float, end: float, width: float, colour: str, layer_height: float) -> str:
    """A skip connection, from before the first layer of a block to behind its last."""
    x = _CENTRE + width / 2
    top, bottom = begin + 0.1 * layer_height, end - 0.3 * layer_height
    return (
        f'<path class="lab1-addition" fill="none" stroke="{colour}" stroke-width="1.3" '
        f'd="M{x:g},{top:g}c12,0 12,{bottom - top:g} 0,{bottom - top:g}"/>'
    )


def _label(stage: Stage) -> str:
    layer = stage.blocks[-1].layers[-1]
    count = _layers(stage)
    many = f"{count} × " if count > 1 else ""
    if stage.side is None:
        return f"{many}{layer.outputs} units"
    return f"{many}{layer.outputs} maps, {stage.side} × {stage.side}"


def _size(model: ModelSpec, stages: Sequence[Stage]) -> str:
    count = sum(stage.parameters for stage in stages)
    layers = sum(map(_layers, stages))
    return f"{layers} layers, {count:,} parameters"


def _sentence(model: ModelSpec, stages: Sequence[Stage]) -> str:
    skips = sum(block.skip is not None for stage in stages for block in stage.blocks)
    with_skips = f"{skips} skip connections" if skips else "no skip connection"
    inner = "; ".join(_label(stage) for stage in stages[:-1])
    return (
        f"The {FAMILIES[model.family].title} has {_size(model, stages)} and {with_skips}: {inner}."
    )
