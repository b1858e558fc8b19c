"""What sentences about results share: the paragraph, its numbers, and what may be claimed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from .statistics import FEWEST, LEVEL, MINUS, Estimate, holm


def _in_points(difference: float) -> str:
    return f"{100 * difference:.2f} points"


@dataclass(frozen=True)
class Judgement:
    """The claim that the interval of `value` allows, as the end of a sentence.

    `above` is the claim for a difference above zero, `below` for one below, `neither` where the
    interval contains zero; its far end, which `size` puts in words, then says which differences are
    not excluded.  `adjusted` is the p-value corrected over a page (`corrected`), `None` where a
    difference is judged alone.  Only of what survives a claim keeps its bold type.
    """

    value: Estimate
    above: str
    below: str
    neither: str
    size: Callable[[float], str] = _in_points
    adjusted: float | None = None

    @property
    def survives(self) -> bool:
        """Whether the difference is a finding, after correction where there was one."""
        return self.value.sign != 0 and (self.adjusted is None or self.adjusted < LEVEL)

    @property
    def claim(self) -> str:
        """What the interval allows, its effect in bold."""
        return (self.neither, self.above, self.below)[self.value.sign]

    @property
    def finding(self) -> int:
        """1 or -1 for a finding above or below zero, else 0; a hint is no finding."""
        return self.value.sign if self.survives else 0

    def __str__(self) -> str:
        if self.value.at_chance:
            return (
                f"with {self.value.at_chance} of the {self.value.n} seeds a run ended no better "
                "than a guess, with the others none did, so this has no interval and carries no "
                "claim."
            )
        if self.value.n < FEWEST:
            return f"with fewer than {FEWEST} common seeds this carries no claim."
        if self.value.sign == 0:
            return (
                f"{self.claim} (the interval contains zero; differences of up to "
                f"{self.size(self.value.farthest)} are not excluded)."
            )
        if self.adjusted is None:
            return f"{self.claim} (the interval excludes zero)."
        if self.survives:
            return f"{self.claim} (the interval excludes zero, also after correction)."
        plain = self.claim.replace("**", "")
        return (
            f"{plain} (the interval excludes zero, but not after correction: a hint, no finding)."
        )


class Verdict:
    """A paragraph in Markdown, of strings and judgements one after the other."""

    def __init__(self, *parts: str | Judgement) -> None:
        self.parts = parts

    @property
    def text(self) -> str:
        """The paragraph."""
        return "".join(map(str, self.parts))

    @property
    def judgements(self) -> list[Judgement]:
        """Those among its parts."""
        return [part for part in self.parts if isinstance(part, Judgement)]

    @property
    def finding(self) -> int:
        """That of its last judgement, on which a conclusion may rest; 0 where it has none."""
        judged = self.judgements
        return judged[-1].finding if judged else 0

    def _repr_markdown_(self) -> str:
        return self.text

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"Verdict({self.text!r})"  # and no address, which would differ at each execution

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Verdict) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)


def paragraph(*verdicts: Verdict, between: str = " ") -> Verdict:
    """Several verdicts as one, the empty ones left out."""
    parts: list[str | Judgement] = []
    for verdict in verdicts:
        if verdict.text:
            parts += [between, *verdict.parts] if parts else verdict.parts
    return Verdict(*parts)


def in_short(*verdicts: Verdict) -> Verdict:
    """The box that opens a page: what was found, with its catch."""
    return Verdict("> **In short.** ", *paragraph(*verdicts).parts)


def corrected(verdicts: Mapping[str, Verdict]) -> dict[str, Verdict]:
    """The verdicts of a page, their p-values corrected over all that it judges (Holm).

    A comparison that stands in several of them counts once.  The result has one verdict more,
    `comparisons`: how many the page judges, and how many remain.
    """
    judged = [each for verdict in verdicts.values() for each in verdict.judgements]
    values = list(dict.fromkeys(each.value for each in judged if each.value.judged))
    adjusted = dict(zip(values, holm([value.p_value for value in values]), strict=True))

    def correct(part: str | Judgement) -> str | Judgement:
        if isinstance(part, Judgement) and part.value in adjusted:
            return replace(part, adjusted=adjusted[part.value])
        return part

    result = {
        name: Verdict(*(correct(part) for part in verdict.parts))
        for name, verdict in verdicts.items()
    }
    before = sum(value.sign != 0 for value in values)
    after = sum(
        value.sign != 0 and adjusted_value < LEVEL for value, adjusted_value in adjusted.items()
    )
    result["comparisons"] = Verdict(_comparisons(len(values), before, after))
    return result


def _comparisons(judged: int, before: int, after: int) -> str:
    """How many comparisons a page judges, exclude zero before correction, and remain after it."""
    correction = "[correction](1_1.ipynb#many-comparisons) for the number of comparisons"
    if judged == 0:
        return "This page judges no comparison."
    if judged == 1:  # there is nothing to correct for
        excludes = "excludes" if before else "contains"
        return f"This page judges one comparison, whose interval {excludes} zero."
    if before == 0:
        return f"This page judges {judged} comparisons. The intervals of all contain zero."
    some = "all" if before == judged else before
    if after == before:
        left = "it remains" if after == 1 else "all remain"
    else:
        left = f"{after or 'none'} remain{'s' * (after < 2)}"
    return (
        f"This page judges {judged} comparisons. In {some} of them the interval excludes zero; "
        f"after {correction}, {left}."
    )


def points(value: Estimate, signed: bool = False) -> str:
    """An accuracy, or with `signed` a difference, in percent: `98.21 ± 0.08 %`."""
    number = f"{100 * value.mean:{'+' if signed else ''}.2f}"
    number = number.replace("-", MINUS)
    unit = "points" if signed else "%"
    if not value.judged:
        return f"{number} {unit}"
    return f"{number} ± {100 * value.half_width:.2f} {unit}"


def signed(value: Estimate) -> str:
    """A paired difference of accuracies with its n: `+0.42 ± 0.10 points (n = 5)`."""
    if value.n == 0:
        return "unknown, since of no pair both runs finished"
    return f"{points(value, signed=True)} (n = {value.n})"
