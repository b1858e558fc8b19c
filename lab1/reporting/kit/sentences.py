"""What sentences about results share: the paragraph, its numbers, and what may be claimed."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .statistics import FEWEST, Estimate

#: What stands before a negative number; after a hyphen a line may end.
MINUS = "\u2212"


@dataclass(frozen=True)
class Verdict:
    """A paragraph in Markdown."""

    text: str

    def _repr_markdown_(self) -> str:
        return self.text

    def __str__(self) -> str:
        return self.text


def points(value: Estimate, signed: bool = False) -> str:
    """An accuracy, or with `signed` a difference, in percent: `98.21 ± 0.08 %`."""
    number = f"{100 * value.mean:{'+' if signed else ''}.2f}"
    number = number.replace("-", MINUS)
    unit = "points" if signed else "%"
    if math.isnan(value.half_width):
        return f"{number} {unit}"
    return f"{number} ± {100 * value.half_width:.2f} {unit}"


def signed(value: Estimate) -> str:
    """A paired difference of accuracies with its n: `+0.42 ± 0.10 points (n = 5)`."""
    if value.n == 0:
        return "unknown, since of no pair both runs finished"
    return f"{points(value, signed=True)} (n = {value.n})"


def judge(value: Estimate, *, above: str, below: str, neither: str) -> str:
    """The claim that the interval of `value` allows, as the end of a sentence.

    `above` is the claim for a difference above zero, `below` for one below.
    """
    if value.n < FEWEST:
        return f"with fewer than {FEWEST} common seeds this carries no claim."
    claim = {1: above, -1: below, 0: neither}[value.sign]
    relation = "contains" if value.sign == 0 else "excludes"
    return f"{claim} (the interval {relation} zero)."
