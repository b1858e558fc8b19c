"""How prose, axes and headings name a family and what its depth counts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

#: How prose names a family.
NAMES = {
    "MLP": "plain MLP",
    "ResidualMLP": "residual MLP",
    "SimpleCNN": "plain CNN",
    "ResidualCNN": "residual CNN",
    "PlainCNN": "residual CNN without its skip connections",
    "PlainNet": "plain net",
    "ResNet": "ResNet",
}

#: What one unit of a family's depth is, and what an axis or a heading calls the depth.
_UNITS = {
    "MLP": ("layer", "hidden layers"),
    "ResidualMLP": ("layer", "hidden layers"),
    "SimpleCNN": ("stage", "stages"),
    "ResidualCNN": ("stage", "stages"),
    "PlainCNN": ("stage", "stages"),
    "PlainNet": ("layer", "layers"),
    "ResNet": ("layer", "layers"),
}


def unit(family: str) -> str:
    """``layers`` or ``stages``."""
    return f"{_UNITS[family][0]}s"


def depth(count: int, family: str) -> str:
    """``1 layer``, ``32 layers``, ``4 stages``."""
    return f"{count} {_UNITS[family][0]}" if count == 1 else f"{count} {unit(family)}"


def depths(counts: Iterable[int], family: str) -> str:
    """``2, 4 and 8 layers``."""
    listed = [str(count) for count in counts]
    if len(listed) == 1:
        return f"{listed[0]} {unit(family)}"
    return f"{', '.join(listed[:-1])} and {listed[-1]} {unit(family)}"


def depth_axis(families: Sequence[str]) -> str:
    """What depth is called where all of ``families`` are shown: ``hidden layers``, say."""
    found = {_UNITS[family][1] for family in families}
    return found.pop() if len(found) == 1 else "depth"
