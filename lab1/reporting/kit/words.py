"""How prose, axes and headings name a family and what its depth counts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ...core.families import FAMILIES

#: How prose names a family.
NAMES = {name: family.title for name, family in FAMILIES.items()}


def unit(family: str) -> str:
    """`layers` or `stages`."""
    return f"{FAMILIES[family].unit}s"


def depth(count: int, family: str) -> str:
    """`1 layer`, `32 layers`, `4 stages`."""
    return f"{count} {FAMILIES[family].unit}" if count == 1 else f"{count} {unit(family)}"


def depths(counts: Iterable[int], family: str) -> str:
    """`2, 4 and 8 layers`."""
    return f"{listed([str(count) for count in counts])} {unit(family)}"


def listed(parts: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join([", ".join(parts[:-1])] * (len(parts) > 1) + [*parts[-1:]])


def depth_axis(families: Sequence[str]) -> str:
    """What depth is called where all of `families` are shown: `hidden layers`, say."""
    found = {FAMILIES[family].axis for family in families}
    return found.pop() if len(found) == 1 else "depth"
