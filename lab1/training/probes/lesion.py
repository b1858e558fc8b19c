"""What a network can do without each of its blocks."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from ...core.errors import ParameterError
from ...core.spec import RunSpec
from ..data.images import LoadedData
from ..models.cnn import PlainNet, ResidualCNN, padded_shortcut
from .scoring import logits_of


def lesion(model: nn.Module, spec: RunSpec, loaded: LoadedData) -> dict[str, Any]:
    """Accuracy and loss on the test set without each block in turn, and no training after it (Veit
    et al. 2016, section 4.1).

    `whole` are the scores of the network as it is.  Of each of `blocks`, in their order, stand the
    `name` in the network, the scores without it, and what was `kept` in its place, followed by
    ReLU.  Of a residual block that is its skip connection: `identity`, or where the block changes
    the size of the feature maps the trained `projection` (`ResidualCNN`) or the `padded` input
    (`ResNet`).  A plain block has none; its input goes on as it is, or where the size changes
    `padded` as in a `ResNet`, which needs no weights: what a plain network lacks there is then
    what a `ResNet` lacks.  In the run's precision.  Raises `ParameterError` for a network that is
    not made of blocks.
    """
    if not isinstance(model, (ResidualCNN, PlainNet)):
        raise ParameterError(
            f"probe 'lesion' is not allowed for {spec.title}; allowed: for a ResidualCNN, "
            "PlainCNN, ResNet or PlainNet"
        )

    def scores() -> dict[str, float]:
        labels, precision = loaded.test.labels, spec.training.precision
        logits = logits_of(model, loaded.declared, loaded.test.images, precision)
        return {
            "accuracy": float((logits.argmax(1) == labels).double().mean()),
            "loss": float(nn.functional.cross_entropy(logits, labels)),
        }

    place = "stages" if isinstance(model, ResidualCNN) else "blocks"
    blocks = model.get_submodule(place)
    assert isinstance(blocks, nn.Sequential)
    whole, found = scores(), []
    for index, block in enumerate(blocks):
        kept, rest = _rest(block)
        blocks[index] = nn.Sequential(rest, nn.ReLU())
        found.append({"name": f"{place}.{index}", "kept": kept, **scores()})
        blocks[index] = block
    return {"whole": whole, "blocks": found}


def _rest(block: nn.Module) -> tuple[str, nn.Module]:
    """What is left of a block without its two convolutions: its kind, and the module."""
    first = block.get_submodule("conv1")
    assert isinstance(first, nn.Conv2d)
    projection = getattr(block, "downsample", None)  # of torchvision's `BasicBlock`
    if isinstance(projection, nn.Module):
        return "projection", projection
    if first.in_channels == first.out_channels:
        return "identity", nn.Identity()
    return "padded", _Padded(first.out_channels)


class _Padded(nn.Module):
    """The parameter-free shortcut of `PaddedBlock` where it changes the size."""

    def __init__(self, maps: int) -> None:
        super().__init__()
        self.maps = maps

    def forward(self, inputs: Tensor) -> Tensor:
        return padded_shortcut(inputs, self.maps)
