"""One selection of runs minus another, paired by seed: what it is, and what it shows."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from functools import cached_property, reduce
from typing import Any

import pandas as pd

from ..core.escape import for_markdown
from ..core.families import FAMILIES
from ..errors import ClaimError, did_you_mean
from .statistics import FEWEST, LEVEL, METRICS, MINUS, NO_ESTIMATE, Estimate, Metric, estimate

#: The settings that a label says first.
_FIRST = ("family", "change", "depth")


class Arm(ABC):
    """A side of a comparison: a selection of runs, or itself a difference of two.

    `named` are the words of the values that select it, by setting.
    """

    named: Mapping[str, str]

    @property
    @abstractmethod
    def selections(self) -> tuple[Any, ...]:
        """The selections of runs that it is made of."""

    @property
    @abstractmethod
    def identity(self) -> Any:
        """Equal for arms of the same runs, whatever they are called."""

    @abstractmethod
    def label(self, known: Mapping[str, str]) -> str:
        """The name of the arm where the settings in `known` go without saying."""

    def unknown(self, known: Mapping[str, str]) -> list[str]:
        """The words of its settings that are not `known`, family and depth first."""
        order = sorted(self.named, key=lambda name: (name not in _FIRST, name != "family"))
        return [words for n in order if (words := self.named[n]) and known.get(n) != words]

    @abstractmethod
    def values(self, metric: str) -> pd.Series[float]:
        """A metric by seed, device and versions; NaN where a run diverged."""

    def __sub__(self, other: Arm) -> Difference:
        return Difference(self, other)


@dataclass(frozen=True, eq=False)
class Difference(Arm):
    """One arm minus another, before it is said in what."""

    one: Arm
    other: Arm

    def in_(self, metric: str) -> Comparison:
        """The comparison of both arms in one of `METRICS`, which the page judges."""
        return Comparison(self, _known(metric))

    def beside(self, *metrics: str) -> Comparison:
        """The comparison of both arms in some of `METRICS`, none of which is judged."""
        return Comparison(self, None, tuple(map(_known, metrics)))

    @property
    def named(self) -> Mapping[str, str]:  # type: ignore[override]
        """The settings that both arms have in common."""
        other = self.other.named
        return {name: words for name, words in self.one.named.items() if other.get(name) == words}

    @property
    def selections(self) -> tuple[Any, ...]:
        return (*self.one.selections, *self.other.selections)

    @property
    def identity(self) -> Any:
        return frozenset((self.one.identity, self.other.identity))

    @property
    def is_of_the_same_runs(self) -> bool:
        """True if both sides, of it or of a difference that it is made of, are the same runs."""
        arms = (self.one, self.other)
        within = any(isinstance(arm, Difference) and arm.is_of_the_same_runs for arm in arms)
        return within or self.one.identity == self.other.identity

    def label(self, known: Mapping[str, str]) -> str:
        within = {**known, **self.named}
        sides = f"{self.one.label(within)} {MINUS} {self.other.label(within)}"
        return f"({', '.join([sides, *self.unknown(known)])})"

    def values(self, metric: str) -> pd.Series[float]:
        return self.one.values(metric) - self.other.values(metric)


class Finding(Enum):
    """The outcome of a comparison; its value is its mark, and the words for it."""

    ABOVE = ("✓", "higher")
    BELOW = ("✓", "lower")
    OPEN = ("~", "open: not after correction")
    NOT_SHOWN = ("0", "no difference shown")
    UNJUDGED = ("–", "not judged")
    BESIDE = ("", "")

    @property
    def mark(self) -> str:
        """A sign for it, as HTML: `✓` found, `~` open, `0` not shown."""
        sign, words = self.value
        kind = self.name.lower().replace("_", "-")
        return f'<span class="lab1-mark lab1-{kind}" role="img" aria-label="{words}">{sign}</span>'


@dataclass(frozen=True)
class Side:
    """An arm as a sentence names it: `{depth.one}`, and `{depth.one.test_accuracy}`, its mean."""

    arm: Arm
    label: str

    def __getattr__(self, name: str) -> str:
        return str(getattr(self.arm, name))

    def __str__(self) -> str:
        return for_markdown(self.label)


@dataclass(frozen=True, eq=False)
class Comparison:
    """A difference in a metric, paired by seed, with its *companions*: metrics beside it.

    A companion is shown with its interval, and neither judged nor corrected; `metric` is `None`
    where there are companions alone.  `adjusted` is the p-value, corrected over the page.
    `further` ones are not the chapter's: a page adds them for what its reader asked for.

    In a claim, `{name}` is the difference with its interval, `{name.size}` it without sign and
    interval, `{name.far}` the largest difference that is not excluded, `{name.ratio}` how many
    times the one is the other, `{name.n}` the seeds, `{name.mark}` its mark, `{name.reason}` why
    it is not judged; `{name.one}` and `{name.other}` are the arms (`Side`), and
    `{name.test_loss}` is a companion, which has all of these too.
    """

    difference: Difference
    metric: str | None
    companions: tuple[str, ...] = ()
    judged: bool = True
    further: bool = False
    name: str = ""
    adjusted: float = math.nan

    def beside(self, *metrics: str) -> Comparison:
        """A copy with these companions."""
        return replace(self, companions=(*self.companions, *map(_known, metrics)))

    def companion(self, metric: str) -> Comparison:
        """The difference of these arms in another metric, which is not judged."""
        return replace(self, metric=metric, companions=(), judged=False, adjusted=math.nan)

    def __getattr__(self, name: str) -> Comparison:
        if name in self.__dict__.get("companions", ()):
            return self.companion(name)
        raise AttributeError(f"{name!r} is nothing of a comparison, and no companion of this one")

    @property
    def parts(self) -> list[Comparison]:
        """The comparisons that have a value: it or, where only its companions have one, these."""
        return [self] if self.metric else [self.companion(name) for name in self.companions]

    @property
    def runs(self) -> Any:
        """The runs of each arm, and the metric, whatever they are called."""
        return self.difference.identity, self.metric

    @cached_property
    def _pairs(self) -> pd.Series[float]:
        """The differences of its pairs, NaN where a run of a pair diverged."""
        assert self.metric is not None
        indices = [part.values(self.metric).index for part in self.difference.selections]
        values = self.difference.values(self.metric)
        return values.reindex(reduce(pd.Index.intersection, indices)).astype(float)

    @cached_property
    def _no_pair(self) -> str:
        """The reason why there is nothing to compare; empty where there is."""
        for part in self.difference.selections:
            if part.runs.empty:
                return str(part.missing or f"no run of {part.label({})}")
            if part.runs["seed"].duplicated().any():
                return f"{part.label({})} has several runs of one seed"
        if self.difference.is_of_the_same_runs:
            return "both are the same runs"
        return "" if len(self._pairs) else "no two runs share seed, device and versions"

    @property
    def is_pair(self) -> bool:
        """True if there is something to compare."""
        return self.metric is not None and not self._no_pair

    @cached_property
    def _apart(self) -> str:
        """The reason why a mean over these pairs says little: some diverged, or ended at chance."""
        if lost := int(self._pairs.isna().sum()):
            return f"in {lost} of {len(self._pairs)} pairs a run diverged"
        for part in self.difference.selections:
            if "at_chance" in part.runs and part.runs["at_chance"].nunique() > 1:
                count, label = part.runs["at_chance"].sum(), part.label(self.difference.named)
                return f"{count} of {len(part.runs)} runs of {label} ended at chance"
        return ""

    @property
    def reason(self) -> str:
        """The reason why it is not judged, in a clause; empty where it is."""
        if self.metric is None:
            return self.companion(self.companions[0]).reason or "shown beside"
        few = f"fewer than {FEWEST} seeds"
        return self._no_pair or self._apart or (few if self.value.n < FEWEST else "")

    @property
    def value(self) -> Estimate:
        """The mean difference, with an interval where its pairs have one."""
        if not self.is_pair:
            return NO_ESTIMATE
        value = estimate(self._pairs)
        unknown = self._apart or self._metric.by_round
        return replace(value, half_width=math.nan) if unknown else value

    @property
    def finding(self) -> Finding:
        """The outcome, after correction."""
        if not self.judged or self.metric is None:
            return Finding.BESIDE
        if self.reason:
            return Finding.UNJUDGED
        if self.value.sign == 0:
            return Finding.NOT_SHOWN
        if not self.adjusted < LEVEL:
            return Finding.OPEN
        return Finding.ABOVE if self.value.sign > 0 else Finding.BELOW

    # What a claim may need of it

    def above(self) -> Condition:
        """The one is above the other, after correction."""
        return Condition(self, "above", self.finding is Finding.ABOVE)

    def below(self) -> Condition:
        """The one is below the other, after correction."""
        return Condition(self, "below", self.finding is Finding.BELOW)

    def open_above(self) -> Condition:
        """The one is above the other, but not after correction: it may be higher."""
        return Condition(self, "open, above", self._is_open(1))

    def open_below(self) -> Condition:
        """The one is below the other, but not after correction: it may be lower."""
        return Condition(self, "open, below", self._is_open(-1))

    def not_shown(self, within: float = math.inf) -> Condition:
        """No difference is shown, and none beyond `within`, in the unit shown, is left possible."""
        held = self.finding in (Finding.NOT_SHOWN, Finding.OPEN)
        held = held and self._metric.scale * self.value.farthest <= within
        return Condition(self, "not shown", held, within)

    def unjudged(self) -> Condition:
        """There are pairs, and yet it cannot be judged, for a `reason`."""
        held = self.is_pair and self.finding is Finding.UNJUDGED
        return Condition(self, "not judged", held)

    def stated(self) -> Condition:
        """The companions have a value, from which nothing is drawn; where nothing is judged."""
        held = self.metric is None and all(companion.value.n for companion in self.parts)
        return Condition(self, "stated beside", held)

    def _is_open(self, sign: int) -> bool:
        return self.finding is Finding.OPEN and self.value.sign == sign

    # How it is said

    @property
    def size(self) -> str:
        return self._metric.size(self.value.mean)

    @property
    def far(self) -> str:
        return self._metric.size(self.value.farthest)

    @property
    def ratio(self) -> str:
        seeds = self._pairs.dropna().index
        sides = (self.difference.one, self.difference.other)
        one, other = (side.values(str(self.metric)).reindex(seeds).mean() for side in sides)
        times = one / other
        digits = 3 if 0.5 < times < 2 else 2  # else what is rounded off may exceed what is told
        return f"{float(f'{times:.{digits}g}'):,.4g}"

    @property
    def strip(self) -> dict[str, Any]:
        """The numbers of its picture, in its unit: every pair, the mean and half its interval."""
        value, scale = self.value, self._metric.scale
        return {
            "number": str(self).partition("\u00a0")[0],
            "unit": self._metric.unit,
            "style": FAMILIES[self.difference.selections[0].runs["family"].iloc[0]].style,
            "mark": self.mark,
            "pairs": [scale * pair for pair in self._pairs.dropna()],
            "mean": scale * value.mean,
            "half_width": None if math.isnan(value.half_width) else scale * value.half_width,
        }

    @property
    def n(self) -> int:
        return self.value.n

    @property
    def mark(self) -> str:
        return self.finding.mark

    @property
    def one(self) -> Side:
        return Side(self.difference.one, self.difference.one.label(self.difference.named))

    @property
    def other(self) -> Side:
        return Side(self.difference.other, self.difference.other.label(self.difference.named))

    def arms(self, known: Mapping[str, str]) -> str:
        """Both arms where the settings in `known` go without saying: `32 layers − 2 layers`."""
        return self.difference.label(known)[1:-1]

    @property
    def clause(self) -> str:
        """The comparison in a generic clause, for where no sentence fits; else what there is."""
        if self.metric is None:
            return "; ".join(companion.clause for companion in self.parts)
        title = self._metric.title
        if self.is_pair:
            outcome = (
                f", {for_markdown(self.reason) or self.finding.value[1]}" if self.judged else ""
            )
            n = "" if self._metric.by_round else f" (n\u00a0=\u00a0{self.n})"
            return f"{for_markdown(self.arms({}))}, {title}: {self}{n}{outcome}"
        return "; ".join([*self.levels, for_markdown(self._no_pair)])

    @property
    def levels(self) -> list[str]:
        """The measurements of its arms, each in a clause."""
        there = [part for part in self.difference.selections if not part.runs.empty]
        return [
            f"{for_markdown(part.label({}))}: {self._metric.title} "
            f"{getattr(part, str(self.metric))} (n\u00a0=\u00a0{len(part.runs)})"
            for part in dict.fromkeys(there)
        ]

    @property
    def _metric(self) -> Metric:
        if self.metric is None:
            raise ClaimError(f"{self.name}: only its companions have a value, {self.companions}")
        return METRICS[self.metric]

    def __str__(self) -> str:
        return self._metric.difference(self.value)

    def __format__(self, form: str) -> str:
        return str(self)


@dataclass(frozen=True)
class Condition:
    """A condition of a claim: what it needs of a comparison, and whether that holds."""

    comparison: Comparison
    kind: str
    holds: bool
    within: float = math.inf

    @property
    def needs(self) -> str:
        """The condition in words."""
        return self.kind if math.isinf(self.within) else f"{self.kind} within {self.within:g}"


def _known(metric: str) -> str:
    if metric not in METRICS:
        raise ClaimError(
            f"no metric {metric!r}; there are {', '.join(METRICS)}{did_you_mean(metric, METRICS)}"
        )
    return metric
