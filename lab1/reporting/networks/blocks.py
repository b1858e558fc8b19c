"""One block of a network: what becomes of its input, with and without a skip connection."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from ...core.families import FAMILIES
from ...core.layouts import Block
from ...core.spec import ModelSpec
from ..kit.figure import COLOURS
from . import drawing
from .drawing import Drawing

_HEIGHT, _GAP, _ROW, _MIDDLE = 30, 26, 112, 72

_ACTIVATIONS = {"relu": "ReLU", "gelu": "GELU", "tanh": "tanh", "leaky_relu": "leaky ReLU"}


def blocks(models: Sequence[ModelSpec], dataset: str) -> Drawing:
    """A block of each model, one above the other.

    Taken is the last of the stage that has most, and so one that changes no size; a network of one
    hidden layer has no block but that layer.
    """
    rows = [(model, _typical(model, dataset)) for model in models]
    svgs = [_row(model, block) for model, block in rows]
    return Drawing(svgs, " ".join(_sentence(model, block) for model, block in rows))


def _typical(model: ModelSpec, dataset: str) -> Block:
    stages = model.stages(dataset)[:-1]
    with_blocks = [stage for stage in stages if not stage.stem] or stages
    return max(with_blocks, key=lambda stage: len(stage.blocks)).blocks[-1]


def _steps(model: ModelSpec, block: Block) -> tuple[list[str], list[str]]:
    """The steps in front of the sum, and those after it."""
    if block.layers[0].kind == "linear":
        activation = _ACTIVATIONS[model.activation]
        norm = ["norm"] if model.normalization == "layer" else []
        steps = [[*norm, activation, f"linear, {layer.outputs}"] for layer in block.layers]
        return [*chain.from_iterable(steps)], []
    before: list[str] = []
    for layer in block.layers:
        before += [f"{layer.kind}, {layer.outputs}", "norm", "ReLU"]
    if model.family == "SimpleCNN":
        return [*before, "max pool"], []
    return before[:-1], before[-1:]


def _row(model: ModelSpec, block: Block) -> str:
    colour = COLOURS[model.family]
    before, after = _steps(model, block)
    parts = [drawing.text(0, 16, model.family, "start", bold=True)]
    x, fork = 34.0, 52.0
    parts += [drawing.text(12, _MIDDLE + 5, "x"), drawing.line([(22, _MIDDLE), (x + 40, _MIDDLE)])]
    x += 40
    for step in before:
        x = _step(parts, x, step, colour)
    if block.skip is not None:
        parts.append(drawing.addition(x + 8, _MIDDLE, colour))
        above = _MIDDLE - 38
        path = [(fork, _MIDDLE), (fork, above), (x + 8, above), (x + 8, _MIDDLE - 8)]
        words = block.skip.adds + (", by a gate" if block.skip.gate else "")
        parts += [
            drawing.line(path, colour),
            drawing.text((fork + x + 8) / 2, above - 5, words),
        ]
        parts.append(drawing.line([(x + 16, _MIDDLE), (x + 16 + _GAP, _MIDDLE)]))
        x += 16 + _GAP
    for step in after:
        x = _step(parts, x, step, colour)
    parts.append(drawing.text(x + 8, _MIDDLE + 5, "y"))
    return drawing.svg(x + 20, _ROW - 12, _sentence(model, block), parts)


def _step(parts: list[str], x: float, words: str, colour: str) -> float:
    """Adds a step and the arrow behind it; returns where the arrow ends."""
    width = 8 * len(words) + 14
    is_layer = "," in words
    kind = "layer" if is_layer else "step"
    stroke = colour if is_layer else "currentColor"
    parts += [
        drawing.box(x, _MIDDLE - _HEIGHT / 2, width, _HEIGHT, kind, stroke),
        drawing.text(x + width / 2, _MIDDLE + 5, words),
        drawing.line([(x + width, _MIDDLE), (x + width + _GAP, _MIDDLE)]),
    ]
    return x + width + _GAP


def _sentence(model: ModelSpec, block: Block) -> str:
    before, after = _steps(model, block)
    title = FAMILIES[model.family].title
    said = f"In a block of the {title} the input goes through {', '.join(before)}"
    if block.skip is not None:
        said += f"; then {block.skip.adds} is added"
        if block.skip.gate is not None:
            said += ", weighed by a gate"
    elif not after:
        said += ", and that is its output"
    return said + (f"; then {', '.join(after)}." if after else ".")
