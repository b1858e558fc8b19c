"""What a network can do without each of its blocks."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from ...core.spec import RunSpec
from ...errors import ParameterError
from ..data.images import LoadedData
from ..models.cnn import PlainNet, ResidualCNN, padded_shortcut
from .scoring import BATCH, device_of, laid_out


@torch.no_grad()
def lesion(model: nn.Module, spec: RunSpec, loaded: LoadedData) -> dict[str, Any]:
    """Accuracy and loss on the test set without each block in turn, and no training after it (Veit
    et al. 2016, section 4.1).

    `whole` are the scores of the network as it is.  Of each of `blocks`, in their order, stand the
    `name` in the network, the scores without it, and what was `kept` in its place, followed by
    ReLU.  Of a residual block that is its skip connection: `identity`, or where the block changes
    the size of the feature maps the trained `projection` (`ResidualCNN`) or the `padded` input
    (`ResNet`).  A plain block has none; its input goes on as it is, or where the size changes
    `padded` as in a `ResNet`, which needs no weights: a plain network then lacks there what a
    `ResNet` lacks.  Raises `ParameterError` for a network that is not made of blocks.
    """
    if not isinstance(model, (ResidualCNN, PlainNet)):
        raise ParameterError(
            f"probe 'lesion' is not allowed for {spec.title}; allowed: for a ResidualCNN, "
            "PlainCNN, ResNet or PlainNet"
        )
    place = "stages" if isinstance(model, ResidualCNN) else "blocks"
    blocks = model.get_submodule(place)
    assert isinstance(blocks, nn.Sequential)
    kept, rests = zip(*map(_rest, blocks), strict=True)
    normalize = laid_out(model, loaded.declared, "float32")
    whole: list[Tensor] = []
    without: list[list[Tensor]] = [[] for _ in blocks]
    for part in loaded.test.images.split(BATCH):
        hidden = model.stem(normalize(part.to(device_of(model))))
        for index, (block, rest) in enumerate(zip(blocks, rests, strict=True)):
            behind = blocks[index + 1 :](rest(hidden).relu())
            without[index].append(model.output(behind.mean((2, 3))))
            hidden = block(hidden)
        whole.append(model.output(hidden.mean((2, 3))))

    def scores(parts: list[Tensor]) -> dict[str, float]:
        logits, labels = torch.cat(parts).cpu(), loaded.test.labels
        return {
            "accuracy": float((logits.argmax(1) == labels).double().mean()),
            "loss": float(nn.functional.cross_entropy(logits, labels)),
        }

    return {
        "whole": scores(whole),
        "blocks": [
            {"name": f"{place}.{index}", "kept": kept[index], **scores(parts)}
            for index, parts in enumerate(without)
        ],
    }


def _rest(block: nn.Module) -> tuple[str, Callable[[Tensor], Tensor]]:
    """What is left of a block without its two convolutions: its kind, and what it computes."""
    first = block.get_submodule("conv1")
    assert isinstance(first, nn.Conv2d)
    projection = getattr(block, "downsample", None)  # of torchvision's `BasicBlock`
    if isinstance(projection, nn.Module):
        return "projection", projection
    if first.in_channels == first.out_channels:
        return "identity", nn.Identity()
    return "padded", partial(padded_shortcut, maps=first.out_channels)
