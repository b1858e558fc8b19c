"""What a page says of a network of a reader's own, beside the family that it is compared with."""

from __future__ import annotations

import pandas as pd

from ...core.families import FAMILIES
from ...core.family import Family
from ..kit.sentences import Verdict, paragraph
from ..kit.words import NAMES, listed
from . import verdicts


def effects(runs: pd.DataFrame) -> Verdict:
    """What depth does to each own network, and how far it is from its twin; nothing without one."""
    present = set(runs["family"])
    own = [family for name, family in FAMILIES.items() if family.own and name in present]
    return paragraph(*(_effect(runs, each, present) for each in own), between="\n\n")


def _effect(runs: pd.DataFrame, own: Family, present: set[str]) -> Verdict:
    depth = verdicts.depth_effect(runs, own.name)
    if own.twin is None:
        return depth
    if own.twin not in present:
        beside = Verdict(
            f"The {NAMES[own.twin]}, from which the {own.title} differs in "
            f"{listed(own.differs_in)}, is not among the runs of this page."
        )
        return paragraph(depth, beside, between="\n\n")
    cause = own.differs_in[0] if len(own.differs_in) == 1 else ""
    against = verdicts.by_depth(
        runs,
        (own.twin, own.name),
        above=f"with {cause} it is **better**" if cause else "it is **ahead**",
        below=f"with {cause} it is **worse**" if cause else "it is **behind**",
    )
    several = (
        f"The two differ in {listed(own.differs_in)}, so no one of these is shown to be a cause."
    )
    return paragraph(depth, against, Verdict("" if cause else several), between="\n\n")
