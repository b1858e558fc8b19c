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
            compared_with={
                "MLP": ("the skip connections", "the size of what a layer adds at the start")
            },
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
            compared_with={
                "SimpleCNN": (
                    "the skip connections",
                    "the number of layers",
                    "the number of parameters",
                ),
                "PlainCNN": ("the skip connections",),
            },
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
            compared_with={"PlainNet": ("the skip connections",)},
        ),
    )
)


#: Ours, and those of the files that `LAB1_FAMILIES` names.
FAMILIES: Mapping[str, Family] = {**_OURS, **own_families.declared(_OURS)}


def residual_of(plain: str) -> str:
    """The residual family that is compared with a plain one; `KeyError` for any other."""
    for name, family in FAMILIES.items():
        if plain in family.compared_with and family.style == "residual":
            return name
    raise KeyError(plain)


def differences_from(plain: str) -> tuple[str, ...]:
    """All that tells a plain family from its residual one; `KeyError` where that has none."""
    return FAMILIES[residual_of(plain)].compared_with[plain]


def sole_difference(plain: str) -> str | None:
    """What alone tells a plain family from its residual one; `None` where that is several things.

    `KeyError` for a family that is compared with none.
    """
    differences = differences_from(plain)
    return differences[0] if len(differences) == 1 else None
