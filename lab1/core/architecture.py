"""The layers of a network as its spec has them, to be drawn and counted (standard library only).

A drawing that was made of anything else could disagree with the network that was trained; a test
counts the layers, additions and parameters of the real one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise

from .dataset import Dataset
from .datasets import DATASETS
from .families import FAMILIES
from .spec import ModelSpec


@dataclass(frozen=True)
class Layer:
    """A layer with weights: `kind` is `linear`, `3 × 3` or `1 × 1`.

    `outputs` are its units or feature maps; `parameters` include those of its normalisation.
    """

    kind: str
    inputs: int
    outputs: int
    parameters: int
    stride: int = 1

    @property
    def weights(self) -> int:
        """Those that multiply something, without biases and normalisation."""
        size = 1 if self.kind == "linear" else int(self.kind[0])
        return size**2 * self.inputs * self.outputs


@dataclass(frozen=True)
class Block:
    """Layers one after the other, and what is added to what they give.

    `skip` is `None` where nothing is, `identity` for the block's input, `activated` for that input
    after its activation, `padded` for the input with every second pixel and new feature maps of
    zeros, `projection` for a layer of its own (`projection`).
    """

    layers: tuple[Layer, ...]
    skip: str | None = None
    projection: Layer | None = None

    @property
    def parameters(self) -> int:
        """Those of its layers and of its projection."""
        own = sum(layer.parameters for layer in self.layers)
        return own + (self.projection.parameters if self.projection else 0)


@dataclass(frozen=True)
class Stage:
    """Blocks on equally large images: `side` pixels each way, or `None` for units in a row.

    A `stem` is the single layer that reads the image, before the blocks begin.
    """

    title: str
    side: int | None
    blocks: tuple[Block, ...]
    stem: bool = False

    @property
    def parameters(self) -> int:
        """Those of all its blocks."""
        return sum(block.parameters for block in self.blocks)


def stages(model: ModelSpec, dataset: str) -> tuple[Stage, ...]:
    """The network from the image to the logits."""
    return _LAYOUTS[model.family](model, DATASETS[dataset])


def parameters(model: ModelSpec, dataset: str) -> int:
    """The number of parameters of the network."""
    return sum(stage.parameters for stage in stages(model, dataset))


@cache  # a command asks it of every record
def cost(model: ModelSpec, dataset: str) -> tuple[int, int]:
    """The products of a weight and a number that one image costs, and the layers it goes through.

    A reader's own network counts as its twin does, and without one as its layers alone.
    """
    family = FAMILIES[model.family]
    if family.own:
        if family.twin is None or family.twin not in _LAYOUTS:
            return 0, model.depth + 1
        model = replace(model, family=family.twin)
    found = [
        layer.weights * (stage.side or 1) ** 2
        for stage in stages(model, dataset)
        for block in stage.blocks
        for layer in (*block.layers, *filter(None, [block.projection]))
    ]
    return sum(found), len(found)


def default_blocks(depth: int) -> tuple[int, ...]:
    """Three blocks in every stage but the last, which has one: there the blocks are the largest."""
    return (3,) * (depth - 1) + (1,)


def _linear(inputs: int, outputs: int, *, normalised: bool = False) -> Layer:
    """With a bias, and where it is normalised a scale and a shift per unit."""
    return Layer("linear", inputs, outputs, (inputs + 1 + 2 * normalised) * outputs)


def _convolution(inputs: int, outputs: int, size: int = 3, stride: int = 1) -> Layer:
    """Without bias, and followed by batch normalisation with a scale and a shift per map."""
    count = size * size * inputs * outputs + 2 * outputs
    return Layer(f"{size} × {size}", inputs, outputs, count, stride)


def _perceptron(model: ModelSpec, data: Dataset) -> tuple[Stage, ...]:
    channels, height, width = data.image_shape
    sizes = [channels * height * width, *model.layer_sizes]
    normalised = model.normalization == "layer"
    layers = [_linear(*ends, normalised=normalised) for ends in pairwise(sizes)]
    found = [Stage("first hidden layer", None, (Block((layers[0],)),), stem=True)]
    further = []
    step = model.layers_per_skip
    for first in range(1, len(layers), step):
        inside = tuple(layers[first : first + step])
        ends = inside[0].inputs, inside[-1].outputs
        skip = projection = None
        if model.family == "ResidualMLP":
            skip = "identity" if model.skip_carries == "input" else "activated"
            if ends[0] != ends[1]:
                skip, projection = "projection", Layer("linear", *ends, ends[0] * ends[1])
        further.append(Block(inside, skip, projection))
    if further:
        found.append(Stage("further hidden layers", None, tuple(further)))
    return (*found, _output(sizes[-1], data))


def _output(inputs: int, data: Dataset) -> Stage:
    return Stage("output", None, (Block((_linear(inputs, data.num_classes),)),))


def _simple_cnn(model: ModelSpec, data: Dataset) -> tuple[Stage, ...]:
    inputs, side, _ = data.image_shape
    found = []
    for index in range(model.depth):
        outputs = (model.channels or 0) * 2**index
        block = Block((_convolution(inputs, outputs),))
        found.append(Stage(f"stage {index + 1}", side >> index, (block,)))
        inputs = outputs
    return (*found, _output(inputs, data))


def _residual_cnn(model: ModelSpec, data: Dataset) -> tuple[Stage, ...]:
    widths = [(model.channels or 0) * 2**index for index in range(model.depth)]
    counts = model.blocks_per_stage or default_blocks(model.depth)
    return _of_blocks(data, widths, counts, "projection" if model.family == "ResidualCNN" else None)


def _by_depth(model: ModelSpec, data: Dataset) -> tuple[Stage, ...]:
    counts = ((model.depth - 2) // 6,) * 3
    return _of_blocks(data, (16, 32, 64), counts, "padded" if model.family == "ResNet" else None)


def _of_blocks(
    data: Dataset, widths: Sequence[int], counts: Sequence[int], skip: str | None
) -> tuple[Stage, ...]:
    """A convolution, then stages of `counts` blocks of two, each stage but the first of half size.

    `skip` is that of a block which changes the size; in others the input itself is added.
    """
    inputs, side, _ = data.image_shape
    first = Block((_convolution(inputs, widths[0]),))
    found = [Stage("first convolution", side, (first,), stem=True)]
    inputs = widths[0]
    for index, (outputs, count) in enumerate(zip(widths, counts, strict=True)):
        blocks = []
        for _ in range(count):
            stride = 1 if inputs == outputs else 2
            layers = (_convolution(inputs, outputs, 3, stride), _convolution(outputs, outputs))
            own = skip if stride == 2 else skip and "identity"
            projects = own == "projection"
            projection = _convolution(inputs, outputs, 1, stride) if projects else None
            blocks.append(Block(layers, own, projection))
            inputs = outputs
        found.append(Stage(f"stage {index + 1}", side >> index, tuple(blocks)))
    return (*found, _output(inputs, data))


_LAYOUTS: Mapping[str, Callable[[ModelSpec, Dataset], tuple[Stage, ...]]] = {
    "MLP": _perceptron,
    "ResidualMLP": _perceptron,
    "SimpleCNN": _simple_cnn,
    "ResidualCNN": _residual_cnn,
    "PlainCNN": _residual_cnn,
    "PlainNet": _by_depth,
    "ResNet": _by_depth,
}
