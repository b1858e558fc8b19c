"""Runs of a page that serve as an arm of a comparison, selected and named by their values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cache
from typing import Any

import pandas as pd

from ..core import differences
from ..core.escape import for_markdown
from ..core.families import FAMILIES
from ..core.spec import ModelSpec, RunSpec
from ..errors import ClaimError, ParameterError, unknown
from . import frames, words
from .paired import Arm
from .statistics import MEASURED, METRICS, estimate, without_heaps

#: What the choice of a value by validation is called, and a mean over all values.
_BEST = {"learning_rate": "best learning rate", "temperature": "best T", "alpha": "best alpha"}

_MEANS = {"teacher_seed": "mean over {} teachers", "block": "without one of {} blocks"}

#: Fields of which one value has several numbers.
_SIZES = ("hidden_sizes", "blocks_per_stage")

#: Columns whose values need no name beside them.
_SAID_ALONE = ("change", "further", "case", "contender")  # the latter two of benchmarks


@cache
def _cached(spec: RunSpec, role: str | None) -> dict[str, differences.Setting]:
    return differences.settings(spec)


def _settings(spec: RunSpec) -> dict[str, differences.Setting]:
    return _cached(spec, spec.role)  # specs that differ in their role alone are equal


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
        """The runs with these values: `at(depth=32, epochs=15, teacher_seed=None, seed=(5, 6))`.

        A name is a field of a run (`lab1.core.differences.settings`; `teacher_depth` is one of its
        teacher) or a column of the frame.  A tuple or list stands for any of its values, `None` for
        the absence of one.  Raises `ParameterError` for another name.
        """
        narrowed = self
        for name, value in values.items():
            column = narrowed.column(name)
            kept = narrowed.runs if column is None else narrowed.runs[_equal(column, name, value)]
            # Those that are left know the words; without any, all others do.
            called = replace(narrowed, runs=kept if len(kept) else narrowed.runs)
            named = {**narrowed.named, name: called.words_of(name, value)}
            narrowed = replace(narrowed, runs=kept, named=named)
        return narrowed

    def of_family(self, family: str, **values: Any) -> Selection:
        """The runs of a family with these values, and the rest of the family's usual design."""
        if designed := values.keys() & frames.DESIGN:
            usual = {part.name: part.default for part in fields(ModelSpec)}
            # Layers of several sizes are asked of a whole page, too, which may change them.
            pinned = sorted(frames.DESIGN - designed - {"hidden_sizes"})
            rest = {name: usual[name] for name in pinned}
        else:
            rest = {"change": ""}
        return self.at(family=family, **rest, **values)

    def column(self, name: str) -> pd.Series[Any] | None:
        """The values of a field or a column, see `at`; `None` where there is no run."""
        if self.runs.empty:
            return None
        key = _field(name)
        known = [_settings(spec) for spec in self.runs.get("spec", ())]
        names = {field for settings in known for field in settings}
        # Without a teacher a run has none of its fields.
        if key in names or (name != key and key.removeprefix("teacher ") in names):
            values = [settings[key].value if key in settings else None for settings in known]
            return pd.Series(values, self.runs.index, dtype=object)
        if name not in self.runs:
            raise unknown(name, names | {*self.runs.columns}, "a selection of runs")
        return self.runs[name]

    def at_base_rate(self) -> Selection:
        """The runs at the learning rate that most depths share; the first rate where several do."""
        if self.runs.empty:
            return self
        return self.at(learning_rate=frames.base_rate(self.runs)["learning_rate"].iloc[0])

    @property
    def shallowest(self) -> Selection:
        """The runs of the least depth."""
        return self.at(depth=self.depths[0]) if self.depths else self

    @property
    def deepest(self) -> Selection:
        """The runs of the greatest depth."""
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
        """The run of each seed whose `setting` has the best validation accuracy on other seeds.

        So no run is judged by a choice in which it had a part; a single seed chooses for itself.
        The seeds are those that have every value, and a run that diverged recognises nothing.
        """
        if self.runs.empty:
            return self
        values = self._present(setting)
        tried = sorted(values.unique())
        per_seed = values.groupby(self.runs["seed"]).transform("nunique")
        complete = self.runs[per_seed == len(tried)]
        accuracy = complete["validation_accuracy"].where(complete["stopped"] != "diverged", 0.0)
        kept = [complete.iloc[:0]]
        for seed, of_seed in complete.groupby("seed"):
            others = complete["seed"] != seed
            means = accuracy[others if others.any() else ~others].groupby(values).mean()
            # Without a validation split there is nothing to choose by, and the first value stays.
            value = tried[0] if means.isna().all() else means.idxmax()
            kept.append(of_seed[values[of_seed.index] == value])
        called = self.words_of(setting, tried)
        if len(tried) > 1:
            called = _BEST.get(setting, f"best of {called}")
        missing = "no seed was trained with every value" if complete.empty else ""
        return Selection(pd.concat(kept), {**self.named, setting: called}, missing)

    def tuned(self, setting: str = "learning_rate") -> Selection:
        """The run of each seed at the value that `best` gives; none where one value was tried."""
        if not self.runs.empty and self._present(setting).nunique() < 2:
            called = {**self.named, setting: _BEST.get(setting, f"best {setting}")}
            tried = f"one {setting.replace('_', ' ')} was tried"
            return Selection(self.runs.iloc[:0], called, tried)
        return self.best(setting)

    def averaged_over(self, setting: str) -> Selection:
        """One row per seed: what was measured, averaged over the values of a setting.

        So runs that share the seed of the trained network count once, as when it had several
        teachers.  The seeds are those that have every value; where one of a seed's runs diverged,
        so did its mean.
        """
        values = self._present(setting)
        if values.nunique() < 2:
            return self
        rows = []
        for _, part in self.runs.groupby("seed"):
            if values[part.index].nunique() < values.nunique():
                continue
            measured = {name: part[name].mean(skipna=False) for name in MEASURED}
            rows.append(_joined(part, measured, "averaged"))
        form = _MEANS.get(setting, "mean over {} values of " + setting.replace("_", " "))
        named = {**self.named, setting: form.format(values.nunique())}
        return Selection(self._of(rows), named, "no seed has every value")

    def with_measured(self, called: str, measured: pd.DataFrame) -> Selection:
        """These runs with other measurements in the place of theirs: earlier, or by a probe.

        `measured` has a row for each run by its key, and a column for each metric; a run without a
        row is left out.  `called` names the measurements in labels, and in the keys of the rows.
        """
        runs = self.runs[self.runs["key"].isin(measured.index)] if len(self.runs) else self.runs
        keys = runs.get("key", pd.Series(dtype=object))
        changed = {str(name): keys.map(measured[name]) for name in measured}
        runs = runs.assign(**changed, key=keys + f".{called}")
        missing = self.missing or f"no run has {called}"
        return Selection(runs, {**self.named, "measured": called}, missing)

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
            names = (*MEASURED, "flops")
            measured = {name: (1 - share) * low[name] + share * high[name] for name in names}
            both = part.loc[list({low.name: 0, high.name: 0})]
            rows.append(_joined(both, {**measured, "parameters": size}, "interpolated"))
        least, most = (int(of(self.runs["parameters"])) for of in (min, max))
        beyond = f"{size:,} parameters are outside {least:,} to {most:,}, the sizes here"
        return Selection(self._of(rows), named, beyond)

    def _of(self, rows: list[dict[str, Any]]) -> pd.DataFrame:
        """Rows that are no run's, in the columns of the runs."""
        return pd.DataFrame(rows, columns=[name for name in self.runs if name != "spec"])

    # As an arm

    @property
    def selections(self) -> tuple[Selection, ...]:
        return (self,)

    @property
    def identity(self) -> Any:
        return frozenset(self.runs["key"]) if not self.runs.empty else frozenset()

    def label(self, known: Mapping[str, str]) -> str:
        return ", ".join(self.unknown(known)) or ("usual design" if self.named else "all runs")

    def values(self, metric: str) -> pd.Series[float]:
        shared = ["seed", "device", "versions", *["hardware"] * METRICS[metric].of_machine]
        shared = [name for name in shared if name in self.runs]
        measured: pd.Series[float] = self.runs[[*shared, metric]].set_index(shared)[metric]
        measured = measured.astype(float)
        if "stopped" in self.runs:
            return measured.where(self.runs["stopped"].to_numpy() != "diverged")
        return measured

    # In a sentence

    def __getattr__(self, name: str) -> str:
        """A mean in words, `{deep.test_accuracy}`, or the values of a setting, `{deep.depth}`."""
        runs: pd.DataFrame = self.__dict__.get("runs", pd.DataFrame())
        if name.startswith("_"):
            raise AttributeError(name)
        if name in METRICS and name in runs:
            return METRICS[name].level(without_heaps(estimate(self.values(name)), runs))
        try:
            values = sorted(self._present(name).unique())
        except ParameterError as error:
            raise AttributeError(str(error)) from error
        if name in ("depth", "family"):
            return self.words_of(name, values)
        return words.listed(
            [f"{value:g}" if isinstance(value, float) else for_markdown(value) for value in values]
        )

    def __str__(self) -> str:
        return self.label({})

    def _present(self, name: str) -> pd.Series[Any]:
        """The values of a field or a column of the runs that have one."""
        column = self.column(name)
        return pd.Series(dtype=object) if column is None else column.dropna().infer_objects()

    def words_of(self, name: str, value: Any) -> str:
        """The words for a selection by this value; empty where it goes without saying."""
        column, key = self.column(name), _field(name)
        if _is_several(name, value):
            if name == "further" and "" in value:  # the page's own runs among them
                return ""
            family = self.runs["family"].iloc[0] if name == "depth" and len(self.runs) else ""
            if family and len(value) > 1:
                return words.depths(value, family)
            return words.listed([self.words_of(name, one) for one in value])
        if name == "family":
            return FAMILIES[value].title
        if name == "depth" and len(self.runs):
            return words.depth(value, self.runs["family"].iloc[0])
        if value is None and key.startswith("teacher "):
            return "no teacher"
        if column is not None and "spec" in self.runs:
            for spec in self.runs["spec"][_equal(column, name, value)]:
                if key in (settings := _settings(spec)):
                    return "" if settings[key].silent else settings[key].words
        return str(value) if name in _SAID_ALONE else differences.describe(key, value)


def _joined(part: pd.DataFrame, measured: Mapping[str, Any], stopped: str) -> dict[str, Any]:
    """Several runs of a seed as one row: what they share, and what is measured of all of them."""
    names = map(str, part.columns)
    return {
        **{name: part[name].iloc[0] for name in names if part[name].nunique() == 1},
        **measured,
        "key": "+".join(part["key"]),
        "stopped": "diverged" if (part["stopped"] == "diverged").any() else stopped,
        "at_chance": part["at_chance"].any(),
    }


def _field(name: str) -> str:
    """The name of a field among the settings of a run, where those of its teacher are too."""
    return name.replace("teacher_", "teacher ", 1)


def _equal(column: pd.Series[Any], name: str, value: Any) -> pd.Series[bool]:
    if value is None:
        return column.isna()
    if _is_several(name, value):
        return column.isin([*value])
    return column.map(lambda present: present == value)


def _is_several(name: str, value: Any) -> bool:
    """True if a value stands for any of those in it; the sizes of one network do not."""
    if not isinstance(value, (list, tuple)):
        return False
    return name not in _SIZES or any(isinstance(sizes, (list, tuple)) for sizes in value)
