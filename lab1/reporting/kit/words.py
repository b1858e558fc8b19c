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
    listed = [str(count) for count in counts]
    if len(listed) == 1:
        return f"{listed[0]} {unit(family)}"
    return f"{', '.join(listed[:-1])} and {listed[-1]} {unit(family)}"


def depth_axis(families: Sequence[str]) -> str:
    """What depth is called where all of `families` are shown: `hidden layers`, say."""
    found = {FAMILIES[family].axis for family in families}
    return found.pop() if len(found) == 1 else "depth"
