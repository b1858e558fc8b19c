"""The layers of a network as its spec has them, to be drawn and counted, and what they cost.

A drawing that was made of anything else could disagree with the network that was trained.  A test
holds each layout equal to the class: layers, sizes, additions and parameters.  A family's row in
`families` names its layout; this module knows no family.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .datasets import Dataset
    from .spec import ModelSpec, RunSpec


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
        """The number of weights that multiply something, without biases and normalisation."""
        size = 1 if self.kind == "linear" else int(self.kind[0])
        return size**2 * self.inputs * self.outputs

    @property
    def normalised(self) -> bool:
        """Whether a normalisation follows, which has a scale and a shift for each output."""
        return self.parameters > self.weights + self.outputs


@dataclass(frozen=True)
class Skip:
    """A skip connection: `adds` says in words what it adds to what the layers of its block give.

    `layer` is one that this passes through, if any.  `gate` is a layer whose outputs, between 0 and
    1, weigh the block's layers against the skip, as in a highway network.
    """

    adds: str = "the input"
    layer: Layer | None = None
    gate: Layer | None = None


@dataclass(frozen=True)
class Block:
    """Layers one after the other, and the skip connection around them, if any."""

    layers: tuple[Layer, ...]
    skip: Skip | None = None

    @property
    def all_layers(self) -> tuple[Layer, ...]:
        """Its layers and those of its skip connection."""
        skip = (self.skip.layer, self.skip.gate) if self.skip else ()
        return (*self.layers, *(layer for layer in skip if layer is not None))

    @property
    def parameters(self) -> int:
        """The number of parameters of all its layers."""
        return sum(layer.parameters for layer in self.all_layers)


@dataclass(frozen=True)
class Stage:
    """Blocks on equally large images: `side` pixels each way, or `None` for units in a row.

    A `stem` is the single layer that reads the image, before the blocks begin.  After a `pooled`
    stage a 2 × 2 max pooling halves the side.
    """

    title: str
    side: int | None
    blocks: tuple[Block, ...]
    stem: bool = False
    pooled: bool = False

    @property
    def parameters(self) -> int:
        """The number of parameters of all its blocks."""
        return sum(block.parameters for block in self.blocks)


def default_blocks(depth: int) -> tuple[int, ...]:
    """Three blocks in every stage but the last, which has one: there the blocks are the largest."""
    return (3,) * (depth - 1) + (1,)


def linear(inputs: int, outputs: int, *, normalised: bool = False) -> Layer:
    """A linear layer with a bias, and where it is normalised a scale and a shift per unit."""
    return Layer("linear", inputs, outputs, (inputs + 1 + 2 * normalised) * outputs)


def convolution(inputs: int, outputs: int, size: int = 3, stride: int = 1) -> Layer:
    """A convolution without bias, and batch normalisation with a scale and a shift per map."""
    count = size * size * inputs * outputs + 2 * outputs
    return Layer(f"{size} × {size}", inputs, outputs, count, stride)


def perceptron(model: ModelSpec, data: Dataset, *, residual: bool = False) -> tuple[Stage, ...]:
    """Linear layers; with skip connections around each, or around each two, but the first."""
    ends = pairwise([math.prod(data.image_shape), *model.layer_sizes])
    normalised = model.normalization == "layer"
    first, *further = (linear(*sizes, normalised=normalised) for sizes in ends)
    stages = [Stage("first hidden layer", None, (Block((first,)),), stem=True)]
    blocks = []
    for index in range(0, len(further), model.layers_per_skip):
        inside = tuple(further[index : index + model.layers_per_skip])
        inputs, outputs = inside[0].inputs, inside[-1].outputs
        carried = "the activated input" if model.skip_carries == "activated" else "the input"
        skip = Skip(carried)
        if inputs != outputs:
            projection = Layer("linear", inputs, outputs, inputs * outputs)
            skip = Skip(f"a projection of {carried}", projection)
        blocks.append(Block(inside, skip if residual else None))
    if blocks:
        stages.append(Stage("further hidden layers", None, tuple(blocks)))
    return (*stages, output(model.layer_sizes[-1], data))


def output(inputs: int, data: Dataset) -> Stage:
    """The layer that gives the logits."""
    return Stage("output", None, (Block((linear(inputs, data.num_classes),)),))


def simple_cnn(model: ModelSpec, data: Dataset) -> tuple[Stage, ...]:
    """One convolution a stage, each twice as wide as the one before, on half the side."""
    inputs, side, _ = data.image_shape
    stages = []
    for index in range(model.depth):
        outputs = (model.channels or 0) * 2**index
        block = Block((convolution(inputs, outputs),))
        stages.append(Stage(f"stage {index + 1}", side >> index, (block,), pooled=True))
        inputs = outputs
    return (*stages, output(inputs, data))


def staged_cnn(
    model: ModelSpec, data: Dataset, adds: str = "", *, projected: bool = False
) -> tuple[Stage, ...]:
    """A convolution, then stages of blocks of two, each stage but the first of half the side.

    With `channels` each stage is twice as wide as the one before, else there are three stages by
    depth alone (He et al. 2016, section 4.2).  `adds` is what the skip of a block that changes the
    size adds, empty where no block has a skip; in other blocks the input itself is added.
    """
    widths: Sequence[int] = (16, 32, 64)
    counts: Sequence[int] = ((model.depth - 2) // 6,) * 3
    if model.channels:
        widths = [model.channels * 2**index for index in range(model.depth)]
        counts = model.blocks_per_stage or default_blocks(model.depth)
    inputs, side, _ = data.image_shape
    first = Block((convolution(inputs, widths[0]),))
    stages = [Stage("first convolution", side, (first,), stem=True)]
    inputs = widths[0]
    for index, (outputs, count) in enumerate(zip(widths, counts, strict=True)):
        blocks = []
        for _ in range(count):
            stride = 1 if inputs == outputs else 2
            layers = (convolution(inputs, outputs, 3, stride), convolution(outputs, outputs))
            skip = Skip() if adds else None
            if adds and stride == 2:
                skip = Skip(adds, convolution(inputs, outputs, 1, stride) if projected else None)
            blocks.append(Block(layers, skip))
            inputs = outputs
        stages.append(Stage(f"stage {index + 1}", side >> index, tuple(blocks)))
    return (*stages, output(inputs, data))


# Costs


@cache  # a command asks it of every record
def cost(model: ModelSpec, dataset: str) -> tuple[int, int]:
    """The products of a weight and a number that one image costs, and the layers it goes through.

    A network without a layout counts as the one that it is compared with does, and without that as
    its layers alone.
    """
    products = [
        layer.weights * (stage.side or 1) ** 2
        for stage in model.stages(dataset, assumed=True)
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
    network, training = spec.model.stages(spec.dataset), spec.training
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
