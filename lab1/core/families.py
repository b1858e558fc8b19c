"""The model families, each declared once (standard library only).

Adding one is a row here, a class of the same name in the training half, and its golden values in
`tests/training/test_golden.py`.  A reader's own families come last (`own_families`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from . import layouts, own_families
from .family import DepthRule, Family

ANY_DEPTH = DepthRule("from 1 on", lambda depth: depth >= 1)
STAGES = DepthRule(
    "from 1 to 5 stages, each of which halves the image", lambda depth: 1 <= depth <= 5
)
SIX_N_PLUS_TWO = DepthRule(
    "6n + 2 from 8 on, such as 20, 32, 44, 56, 110", lambda depth: depth >= 8 and depth % 6 == 2
)

_PERCEPTRON = ("depth", "width", "hidden_sizes", "activation", "dropout_rate", "normalization")
_STAGED = ("depth", "channels", "blocks_per_stage")
_MLPS = "MLP_vs_ResidualMLP_Comparison"
_CNNS = "CNN_Comparison_CIFAR10"


def _by_name(families: Iterable[Family]) -> Mapping[str, Family]:
    return {family.name: family for family in families}


_OURS: Mapping[str, Family] = _by_name(
    (
        Family(
            name="MLP",
            recipe=1,
            title="plain MLP",
            unit="layer",
            axis="hidden layers",
            fields=(*_PERCEPTRON, "initialisation"),
            depths=ANY_DEPTH,
            module="mlp",
            project=_MLPS,
            layout=layouts.plain_perceptron,
            style="plain",
            residual="ResidualMLP",
            differs_in=("the skip connections", "the size of what a layer adds at the start"),
            single_threaded=True,
        ),
        Family(
            name="ResidualMLP",
            recipe=1,
            title="residual MLP",
            unit="layer",
            axis="hidden layers",
            fields=(*_PERCEPTRON, "residual_factor", "skip_carries", "layers_per_skip"),
            depths=ANY_DEPTH,
            module="mlp",
            project=_MLPS,
            layout=layouts.residual_perceptron,
            style="residual",
            single_threaded=True,
        ),
        Family(
            name="SimpleCNN",
            recipe=2,
            title="plain CNN",
            unit="stage",
            axis="stages",
            fields=("depth", "channels"),
            depths=STAGES,
            module="cnn",
            project=_CNNS,
            layout=layouts.simple_cnn,
            style="plain",
            residual="ResidualCNN",
            differs_in=("the skip connections", "the number of layers", "the number of parameters"),
        ),
        Family(
            name="ResidualCNN",
            recipe=2,
            title="residual CNN",
            unit="stage",
            axis="stages",
            fields=_STAGED,
            depths=STAGES,
            module="cnn",
            project=_CNNS,
            layout=layouts.residual_cnn,
            style="residual",
        ),
        Family(
            name="PlainCNN",
            recipe=1,
            title="residual CNN without its skip connections",
            unit="stage",
            axis="stages",
            fields=_STAGED,
            depths=STAGES,
            module="cnn",
            project=_CNNS,
            layout=layouts.plain_cnn,
            style="control",
            residual="ResidualCNN",
            differs_in=("the skip connections",),
        ),
        Family(
            name="PlainNet",
            recipe=2,
            title="plain network",
            unit="layer",
            axis="layers",
            fields=("depth",),
            depths=SIX_N_PLUS_TWO,
            module="cnn",
            project=_CNNS,
            layout=layouts.plain_net,
            style="plain",
            residual="ResNet",
            differs_in=("the skip connections",),
        ),
        Family(
            name="ResNet",
            recipe=2,
            title="ResNet",
            unit="layer",
            axis="layers",
            fields=("depth",),
            depths=SIX_N_PLUS_TWO,
            module="cnn",
            project=_CNNS,
            layout=layouts.resnet,
            style="residual",
        ),
    )
)


#: Ours, and those of the files that `LAB1_FAMILIES` names.
FAMILIES: Mapping[str, Family] = {**_OURS, **own_families.declared(_OURS)}


def residual_of(plain: str) -> str:
    """The residual family that a plain one is compared with; `KeyError` for any other."""
    residual = FAMILIES[plain].residual
    if residual is None:
        raise KeyError(plain)
    return residual


def sole_difference(plain: str) -> str | None:
    """What alone tells a plain family from its residual one; `None` where that is several things.

    `KeyError` for a family that is compared with none.
    """
    residual_of(plain)
    differences = FAMILIES[plain].differs_in
    return differences[0] if len(differences) == 1 else None
