"""What a page says of a further network, beside the family that it is compared with."""

from __future__ import annotations

import pandas as pd

from ...core.families import FAMILIES
from ..kit.sentences import Verdict, paragraph
from ..kit.words import NAMES, listed
from . import verdicts


def effects(runs: pd.DataFrame) -> Verdict:
    """What depth does to each further network, and how far it is from its twin."""
    present = set(runs["family"])
    further = [n for n, family in FAMILIES.items() if family.style == "further" and n in present]
    return paragraph(*(_effect(runs, name, present) for name in further), between="\n\n")


def _effect(runs: pd.DataFrame, name: str, present: set[str]) -> Verdict:
    parts = [verdicts.depth_effect(runs, name)]
    for twin, differences in FAMILIES[name].compared_with.items():
        if twin not in present:
            parts.append(
                Verdict(
                    f"The {NAMES[twin]}, from which the {NAMES[name]} differs in "
                    f"{listed(differences)}, is not among the runs of this page."
                )
            )
            continue
        cause = differences[0] if len(differences) == 1 else ""
        parts.append(
            verdicts.by_depth(
                runs,
                (twin, name),
                above=f"with {cause} it is **better**" if cause else "it is **ahead**",
                below=f"with {cause} it is **worse**" if cause else "it is **behind**",
            )
        )
        if not cause:
            parts.append(
                Verdict(
                    f"The two differ in {listed(differences)}, so no one of these is shown to be "
                    "a cause."
                )
            )
    return paragraph(*parts, between="\n\n")
