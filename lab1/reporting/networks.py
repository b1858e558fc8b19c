"""The networks of a chapter as drawings, made from the specs of its records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from ..core.datasets import DATASETS
from ..core.escape import for_html
from ..core.families import FAMILIES
from ..core.layouts import Block, Stage
from ..core.record import Record
from ..core.spec import ModelSpec
from . import figure
from .claims import Prose
from .frames import changes_of
from .theme import COLOURS

#: In place of a drawing.
NOT_DRAWN = Prose("These networks have no layout, so they are not drawn.")


def one_block(records: Sequence[Record], depth: int) -> Drawing | Prose:
    """A block of each family's network of that depth, one above the other."""
    models = _one_per_family(records, depth)
    return blocks(models, records[0].spec.dataset) if models else NOT_DRAWN


def whole(records: Sequence[Record], depth: int) -> Drawing | Prose:
    """Each family's network of that depth, beside each other."""
    models = _one_per_family(records, depth)
    return columns(models, records[0].spec.dataset) if models else NOT_DRAWN


def teacher_and_student(records: Sequence[Record], depth: int, channels: int) -> Drawing:
    """The student of that size and its teacher, on one scale."""
    pairs = Counter(
        (record.spec.teacher.model, record.spec.model, record.spec.dataset)
        for record in records
        if record.spec.teacher is not None
        and (record.spec.model.depth, record.spec.model.channels) == (depth, channels)
    )
    (teacher, student, dataset), _ = pairs.most_common(1)[0]
    return columns((teacher, student), dataset)


def _one_per_family(records: Sequence[Record], depth: int) -> list[ModelSpec]:
    """The design that most runs of that depth have, without a change to it."""
    changed = changes_of(records)
    same = [record for record in records if record.spec.model.depth == depth]
    usual = Counter(record.spec.model for record in same if not changed[record.key])
    models = {model.family: model for model, _ in reversed(usual.most_common())}
    return [models[name] for name in FAMILIES if name in models and FAMILIES[name].layout]


_HEIGHT, _GAP, _ROW, _MIDDLE = 30, 26, 112, 72
_ACTIVATIONS = {"relu": "ReLU", "gelu": "GELU", "tanh": "tanh", "leaky_relu": "leaky ReLU"}


def blocks(models: Sequence[ModelSpec], dataset: str) -> Drawing:
    """A block of each model, one above the other.

    Taken is the last of the stage that has most, and so one that changes no size; a network of one
    hidden layer has no block but that layer.
    """
    rows = [(model, _typical(model, dataset)) for model in models]
    svgs = [_row(model, block) for model, block in rows]
    return Drawing(svgs, " ".join(_describe_block(model, block) for model, block in rows))


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
    parts = [text(0, 16, model.family, "start", bold=True)]
    x, fork = 34.0, 52.0
    parts += [text(12, _MIDDLE + 5, "x"), line([(22, _MIDDLE), (x + 40, _MIDDLE)])]
    x += 40
    for step in before:
        x = _step(parts, x, step, colour)
    if block.skip is not None:
        parts.append(addition(x + 8, _MIDDLE, colour))
        above = _MIDDLE - 38
        path = [(fork, _MIDDLE), (fork, above), (x + 8, above), (x + 8, _MIDDLE - 8)]
        words = block.skip.adds + (", by a gate" if block.skip.gate else "")
        parts += [line(path, colour), text((fork + x + 8) / 2, above - 5, words)]
        parts.append(line([(x + 16, _MIDDLE), (x + 16 + _GAP, _MIDDLE)]))
        x += 16 + _GAP
    for step in after:
        x = _step(parts, x, step, colour)
    parts.append(text(x + 8, _MIDDLE + 5, "y"))
    return svg(x + 20, _ROW - 12, _describe_block(model, block), parts)


def _step(parts: list[str], x: float, words: str, colour: str) -> float:
    """Adds a step and the arrow behind it; returns where the arrow ends."""
    width = 8 * len(words) + 14
    is_layer = "," in words
    kind = "layer" if is_layer else "step"
    stroke = colour if is_layer else "currentColor"
    parts += [
        box(x, _MIDDLE - _HEIGHT / 2, width, _HEIGHT, kind, stroke),
        text(x + width / 2, _MIDDLE + 5, words),
        line([(x + width, _MIDDLE), (x + width + _GAP, _MIDDLE)]),
    ]
    return x + width + _GAP


def _describe_block(model: ModelSpec, block: Block) -> str:
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
    said = " ".join(_describe_network(model, stages) for model, stages in laid.items())
    return Drawing(svgs, said)


def _layers(stage: Stage) -> int:
    return sum(len(block.layers) for block in stage.blocks)


def _column(
    model: ModelSpec, stages: Sequence[Stage], dataset: str, layer_height: float, widest: int
) -> str:
    colour = COLOURS[model.family]
    channels, side, _ = DATASETS[dataset].image_shape
    parts = [
        text(0, 16, model.family, "start", bold=True),
        text(0, 34, _size(model, stages), "start"),
        text(_CENTRE, 58, f"image, {side} × {side} × {channels}"),
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
                    box(_CENTRE - width / 2, y, width, layer_height * 0.8, "layer", colour)
                )
                y += layer_height
            if block.skip is not None:
                start, end = begin + 0.1 * layer_height, y - 0.3 * layer_height
                parts.append(
                    f'<path class="lab1-addition" fill="none" stroke="{colour}" stroke-width="1.3" '
                    f'd="M{_CENTRE + width / 2:g},{start:g}'
                    f'c12,0 12,{end - start:g} 0,{end - start:g}"/>'
                )
        middle = max(top + 10, (top + y) / 2 + 4)
        parts.append(text(_CENTRE + _WIDEST / 2 + 16, middle, _label(stage), "start"))
        y = max(y, top + 18) + 6
    parts.append(text(_CENTRE, y + 10, f"{DATASETS[dataset].num_classes} logits"))
    return svg(_WIDTH, y + 20, _describe_network(model, stages), parts)


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


def _describe_network(model: ModelSpec, stages: Sequence[Stage]) -> str:
    skips = sum(block.skip is not None for stage in stages for block in stage.blocks)
    with_skips = f"{skips} skip connections" if skips else "no skip connection"
    inner = "; ".join(_label(stage) for stage in stages[:-1])
    return (
        f"The {FAMILIES[model.family].title} has {_size(model, stages)} and {with_skips}: {inner}."
    )


#: The notebook output that holds what a page shows in the place of a notebook's pictures.
MIME = "application/vnd.lab1.drawing+html"


@dataclass(frozen=True)
class Drawing:
    """Drawings beside each other, and a text alternative that says what they show."""

    svgs: Sequence[str]
    alt: str

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        # Pictures that their addresses hold, which even an untrusted notebook shows.
        pictures = "\n".join(
            f'<img src="{figure.as_address(drawing)}" alt="{for_html(self.alt if not i else "")}">'
            for i, drawing in enumerate(self.svgs)
        )
        return {"text/html": pictures, MIME: self.markup, "text/plain": self.alt}

    @property
    def markup(self) -> str:
        """The HTML on a page: one picture to a screen reader, however many stand in it."""
        inner = "\n".join(self.svgs)
        return (
            f'<div class="lab1-drawing" role="img" aria-label="{for_html(self.alt)}">\n{inner}\n'
            "</div>"
        )


def svg(width: float, height: float, title: str, parts: Sequence[str]) -> str:
    """An SVG of that size; lines and text take the colour of the page's text."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" '
        f'width="{width:g}" height="{height:g}" aria-hidden="true" font-size="13" '
        f'fill="currentColor"><title>{for_html(title)}</title>{"".join(parts)}</svg>'
    )


def text(x: float, y: float, words: str, anchor: str = "middle", *, bold: bool = False) -> str:
    """A line of text whose baseline is at `y`."""
    weight = ' font-weight="600"' if bold else ""
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}"{weight}>{for_html(words)}</text>'


def box(
    x: float, y: float, width: float, height: float, kind: str, colour: str = "currentColor"
) -> str:
    """An outlined rectangle with a class of its kind, by which it is counted."""
    return (
        f'<rect class="lab1-{kind}" x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" '
        f'rx="3" fill="{colour}" fill-opacity="0.12" stroke="{colour}"/>'
    )


def line(points: Sequence[tuple[float, float]], colour: str = "currentColor") -> str:
    """An open line through some points, with an arrow head at its end."""
    path = " ".join(f"{x:g},{y:g}" for x, y in points)
    (x, y), (from_x, from_y) = points[-1], points[-2]
    # The head lies along the last part, which is horizontal or vertical.
    along = (x > from_x) - (x < from_x), (y > from_y) - (y < from_y)
    back = x - 6 * along[0], y - 6 * along[1]
    side = 3.5 * along[1], 3.5 * along[0]
    head = " ".join(
        f"{a:g},{b:g}"
        for a, b in ((x, y), (back[0] + side[0], back[1] + side[1]),
                     (back[0] - side[0], back[1] - side[1]))
    )  # fmt: skip
    return (
        f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.3"/>'
        f'<polygon points="{head}" fill="{colour}"/>'
    )


def addition(x: float, y: float, colour: str) -> str:
    """A sum: a plus in a circle."""
    return (
        f'<g class="lab1-addition" stroke="{colour}" fill="none" stroke-width="1.5">'
        f'<circle cx="{x:g}" cy="{y:g}" r="8"/>'
        f'<path d="M{x - 4:g},{y:g}h8M{x:g},{y - 4:g}v8"/></g>'
    )
