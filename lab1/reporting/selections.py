"""Runs of a page that serve as an arm of a comparison, selected and named by their values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd

from ..core.errors import ClaimError
from ..core.values import unknown
from .comparison import selection
from .differences import Arm
from .kit import words
from .kit.metrics import METRICS
from .kit.statistics import estimate

#: What a value is called beside others, by its column; elsewhere by the column's name.
_FORMS = {
    "change": "{}",
    "width": "width {}",
    "channels": "{:g} feature maps",
    "learning_rate": "rate {:g}",
    "temperature": "T = {:g}",
    "alpha": "α = {:g}",
    "label_smoothing": "labels smoothed by {:g}",
    "epochs_allowed": "{} epochs",
    "teacher_seed": "teacher of seed {:g}",
    "wrong_classes": "wrong classes {}",
    "omitted_class": "without class {:g}",
    "precision": "{}",
    "optimizer": "{}",
    "augmentation": "augmentation {}",
}

#: What the absence of a value is called.
_WITHOUT = {"teacher_seed": "without a teacher", "omitted_class": "with all classes"}

#: What the choice of a value by validation is called, and a mean over all values.
_BEST = {"learning_rate": "best rate", "temperature": "best T", "alpha": "best α"}
_MEANS = {"teacher_seed": "mean over {} teachers"}


@dataclass(frozen=True, eq=False)
class Selection(Arm):
    """Some rows of the frame of `runs`, and the words of the values that select them.

    `missing` says why there are none, where another reason than "none was trained" is known.
    """

    runs: pd.DataFrame
    named: Mapping[str, str] = field(default_factory=dict)
    missing: str = ""

    # Selecting

    def at(self, **values: Any) -> Selection:
        """Those with these values: `at(depth=32, teacher_seed=None, seed=(5, 6))`.

        A tuple or list stands for any of its values, `None` for the absence of one.  Raises
        `ParameterError` for a name that is no column of the frame.
        """
        runs, named = self.runs, {**self.named}
        for column, value in values.items():
            if column not in runs and not runs.empty:
                raise unknown(column, [*runs.columns], "a selection of runs")
            named[column] = self._words(column, value)
            if not runs.empty:
                runs = runs[_equal(runs[column], value)]
        return replace(self, runs=runs, named=named)

    def at_base_rate(self) -> Selection:
        """Those at the learning rate that most depths share; the first rate where several do."""
        if self.runs.empty:
            return self
        return self.at(learning_rate=selection.base_rate(self.runs)["learning_rate"].iloc[0])

    @property
    def shallowest(self) -> Selection:
        """Those of the least depth."""
        return self.at(depth=self.depths[0]) if self.depths else self

    @property
    def deepest(self) -> Selection:
        """Those of the greatest depth."""
        return self.at(depth=self.depths[-1]) if self.depths else self

    @property
    def shallower(self) -> Selection:
        """All but those of the greatest depth."""
        if not self.depths:
            return self
        runs = self.runs[self.runs["depth"].isin(self.depths[:-1])]
        return replace(self, runs=runs, missing="one depth was trained" if runs.empty else "")

    @property
    def depths(self) -> list[int]:
        """The depths there are."""
        return [] if self.runs.empty else sorted(int(depth) for depth in set(self.runs["depth"]))

    def best(self, setting: str) -> Selection:
        """Of each seed the run whose `setting` has the best validation accuracy on other seeds.

        So no run is judged by a choice in which it had a part; a single seed chooses for itself.
        The seeds are those that have every value, and a run that diverged recognises nothing.
        """
        if self.runs.empty:
            return self
        tried = sorted(self.runs[setting].unique())
        per_seed = self.runs.groupby("seed")[setting].transform("nunique")
        complete = self.runs[per_seed == len(tried)]
        accuracy = complete["validation_accuracy"].where(complete["stopped"] != "diverged", 0.0)
        kept = [complete.iloc[:0]]
        for seed, of_seed in complete.groupby("seed"):
            others = complete["seed"] != seed
            means = accuracy[others if others.any() else ~others].groupby(complete[setting]).mean()
            # Without a validation split there is nothing to choose by, and the first value stays.
            value = tried[0] if means.isna().all() else means.idxmax()
            kept.append(of_seed[of_seed[setting] == value])
        called = self._words(setting, tried)
        if len(tried) > 1:
            called = _BEST.get(setting, f"best of {called}")
        missing = "no seed was trained with every value" if complete.empty else ""
        return Selection(pd.concat(kept), {**self.named, setting: called}, missing)

    def tuned(self) -> Selection:
        """Of each seed the run at the learning rate that `best` gives; none where one was tried."""
        if not self.runs.empty and self.runs["learning_rate"].nunique() < 2:
            called = {**self.named, "learning_rate": _BEST["learning_rate"]}
            return Selection(self.runs.iloc[:0], called, "one learning rate was tried")
        return self.best("learning_rate")

    def averaged_over(self, setting: str) -> Selection:
        """One row per seed: its measured columns averaged over the values of `setting`.

        So runs that share the seed of the trained network count once, as when it had several
        teachers.  The seeds are those that have every value; where one of a seed's runs diverged,
        so did its mean.
        """
        if self.runs.empty:
            return self
        count = self.runs[setting].nunique()
        rows = []
        for _, part in self.runs.groupby("seed"):
            if part[setting].nunique() < count:
                continue
            same = {n: part[n].iloc[0] for n in map(str, part.columns) if part[n].nunique() == 1}
            measured = {name: part[name].mean(skipna=False) for name in METRICS if name in part}
            stopped = "diverged" if (part["stopped"] == "diverged").any() else "averaged"
            rows.append({**same, **measured, "key": "+".join(part["key"]), "stopped": stopped})
        called = _MEANS.get(setting, "mean over {} values of " + _title(setting)).format(count)
        runs = pd.DataFrame(rows, columns=self.runs.columns)
        return Selection(runs, {**self.named, setting: called}, "no seed has every value")

    def at_size_of(self, other: Selection) -> Selection:
        """One row per seed: what these networks would measure with as many parameters as `other`.

        It is read off, seed by seed, along a straight line on the logarithm of the parameters
        between the two nearest sizes, and never beyond the sizes that were measured.
        """
        named = {name: text for name, text in self.named.items() if name != "depth"}
        named["parameters"] = "at equal size"
        if self.runs.empty or other.runs.empty:
            return replace(self, runs=self.runs.iloc[:0], named=named)
        sizes = set(other.runs["parameters"])
        if len(sizes) > 1:
            raise ClaimError(f"at_size_of({other.label({})}): it has {len(sizes)} sizes, needs one")
        (size,) = sizes
        measured = [name for name in METRICS if name in self.runs and name != "parameters"]
        rows = []
        for _, part in self.runs.groupby(["seed", "device", "versions"]):
            ordered = part.sort_values("parameters")
            below = ordered[ordered["parameters"] <= size]
            above = ordered[ordered["parameters"] >= size]
            if below.empty or above.empty:
                continue
            low, high = below.iloc[-1], above.iloc[0]
            share = 0.0
            if low["parameters"] < high["parameters"]:
                share = math.log(size / low["parameters"])
                share /= math.log(high["parameters"] / low["parameters"])
            lost = "diverged" in (low["stopped"], high["stopped"])
            row = {str(name): value for name, value in low.items()}
            row |= {name: (1 - share) * low[name] + share * high[name] for name in measured}
            row |= {"key": "+".join(dict.fromkeys((low["key"], high["key"]))), "parameters": size}
            rows.append(row | {"stopped": "diverged" if lost else "interpolated"})
        least, most = (int(of(self.runs["parameters"])) for of in (min, max))
        beyond = f"{size:,} parameters are outside {least:,} to {most:,}, the sizes here"
        return Selection(pd.DataFrame(rows, columns=self.runs.columns), named, beyond)

    # As an arm

    @property
    def selections(self) -> tuple[Selection, ...]:
        return (self,)

    @property
    def identity(self) -> Any:
        return frozenset(self.runs["key"]) if not self.runs.empty else frozenset()

    def label(self, known: Mapping[str, str]) -> str:
        return ", ".join(self.unknown(known)) or self.named.get("family", "all runs")

    def values(self, metric: str) -> pd.Series[float]:
        shared = ["seed", "device", "versions", *["hardware"] * METRICS[metric].of_machine]
        runs = self.runs.set_index([name for name in shared if name in self.runs])
        measured: pd.Series[float] = runs[metric].astype(float)
        return measured.where(runs["stopped"] != "diverged") if "stopped" in runs else measured

    # In a sentence

    def __getattr__(self, name: str) -> str:
        """A mean in words, `{deep.test_accuracy}`, or the values of a column, `{deep.depth}`."""
        runs: pd.DataFrame = self.__dict__.get("runs", pd.DataFrame())
        if name in METRICS and name in runs:
            return METRICS[name].level(estimate(self.values(name)))
        if name.startswith("__") or name not in runs:
            raise AttributeError(f"{name!r} is no column of the runs")
        if name in ("depth", "family"):
            return self._words(name, sorted(set(runs[name])))
        return words.listed([_plain(value) for value in sorted(set(runs[name].dropna()))])

    def __str__(self) -> str:
        return self.label({})

    def _words(self, setting: str, value: Any) -> str:
        """What a selection by this value is called."""
        if isinstance(value, (list, tuple)):
            if setting == "depth" and not self.runs.empty:
                return words.depths(value, self.runs["family"].iloc[0])
            return words.listed([self._words(setting, one) for one in value])
        if value is None:
            return _WITHOUT.get(setting, f"no {_title(setting)}")
        if setting == "family":
            return words.NAMES[value]
        if setting == "depth" and not self.runs.empty:
            return words.depth(int(value), self.runs["family"].iloc[0])
        return _FORMS.get(setting, f"{_title(setting)} {{}}").format(value)


def _equal(column: pd.Series[Any], value: Any) -> pd.Series[bool]:
    if value is None:
        return column.isna()
    return column.isin(value) if isinstance(value, (list, tuple)) else column == value


def _title(setting: str) -> str:
    return setting.replace("_", " ")


def _plain(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
