"""Means over seeds with their 95 % intervals (Student's t), and corrections for several tests.

The rules of evidence: an interval needs at least `FEWEST` seeds; a comparison is paired by
seed; a claim is made only where the interval of the difference excludes zero.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd
from scipy import special

from ..core import differences

#: With fewer seeds no interval is shown and no claim is made.
FEWEST = 3

#: How often a difference that is not there may be taken for one.
LEVEL = 0.05

#: What stands before a negative number; after a hyphen a line may end.
MINUS = "\u2212"


@dataclass(frozen=True)
class Estimate:
    """A mean over `n` seeds; `half_width` of its 95 % interval is NaN where there is none.

    That is below `FEWEST` seeds, and where the runs fall in two heaps: `at_chance` of the seeds
    then have a run that ended no better than a guess, as the others have not.
    """

    mean: float
    half_width: float
    n: int
    at_chance: int = 0

    @property
    def judged(self) -> bool:
        """True if it has an interval, and so can be judged."""
        return not math.isnan(self.half_width)

    @property
    def low(self) -> float:
        """The lower end of the interval."""
        return self.mean - self.half_width

    @property
    def high(self) -> float:
        """The upper end of the interval."""
        return self.mean + self.half_width

    @property
    def farthest(self) -> float:
        """The distance from zero that the interval reaches: larger differences are excluded."""
        return max(abs(self.low), abs(self.high))

    @property
    def sign(self) -> int:
        """1 or -1 where the interval excludes zero, else 0; also 0 where there is no interval."""
        if not self.judged:
            return 0
        return 1 if self.low > 0 else -1 if self.high < 0 else 0

    @property
    def p_value(self) -> float:
        """The two-sided p-value against zero (Student's t); NaN where there is no interval."""
        if not self.judged:
            return math.nan
        if self.half_width == 0:
            return 1.0 if self.mean == 0 else 0.0
        error = self.half_width / quantile(self.n)
        return float(2 * special.stdtr(self.n - 1, -abs(self.mean) / error))


#: What stands where there is nothing to compare, such as a network with itself.
NO_ESTIMATE = Estimate(math.nan, math.nan, 0)


def quantile(n: int) -> float:
    """The standard errors in half of the 95 % interval of `n` values (Student's t)."""
    return float(special.stdtrit(n - 1, 1 - LEVEL / 2))


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values corrected for their number: below a level where the finding survives.

    Holm (1979), "A simple sequentially rejective multiple test procedure": the chance that at least
    one of all differences that are not there is taken for one stays below that level.
    """
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def in_words(value: Estimate, form: str = ".2f", spread: str = "") -> str:
    """The mean with the half-width of its interval, where there is one: `74.30 ± 5.10`.

    `form` formats the mean and `spread` the half-width, by default alike.  Where `form` counts
    significant digits, the half-width has as many decimals as the mean, and a small mean as many as
    the larger of the two needs.
    """
    mean = f"{value.mean:{form}}"
    if "e-" in mean:
        largest = max(abs(value.mean), value.half_width if value.judged else 0)
        decimals = 1 - math.floor(math.log10(largest))
        mean = f"{value.mean:{form[: form.startswith('+')]}.{decimals}f}"
    if value.at_chance:
        return f"{mean} ({value.at_chance} of {value.n} at chance)"
    if not value.judged:
        return mean
    if form.endswith("g") and not spread and "e" not in mean:
        spread = f".{len(mean.partition('.')[2])}f"
    return f"{mean} ± {value.half_width:{spread or form}}"


def estimate(values: Sequence[float] | pd.Series[float]) -> Estimate:
    """The mean of `values` (missing ones left out) with its 95 % interval."""
    kept = pd.Series(values, dtype=float).dropna()
    n = len(kept)
    half_width = math.nan
    if n >= FEWEST:
        half_width = float(quantile(n) * kept.std(ddof=1) / math.sqrt(n))
    return Estimate(float(kept.mean()) if n else math.nan, half_width, n)


def mean_of(runs: pd.DataFrame, value: str) -> Estimate:
    """The mean of a column over runs that differ in their seed alone, with its 95 % interval.

    Raises `ValueError` where they differ in more, or a seed stands more than once: n would not be
    the number of independent seeds.
    """
    several = "group" in runs and runs["group"].nunique() > 1
    if several or ("seed" in runs and runs["seed"].duplicated().any()):
        labels = [*runs["group"].unique()] if several else []
        if several and "spec" in runs:
            labels = differences.labels([*runs.drop_duplicates("group")["spec"]])
        among = f": {'; '.join(map(str, labels))}" if labels else ", or a seed stands twice"
        raise ValueError(f"the mean of {value}: these runs differ in more than their seed{among}")
    known = runs.dropna(subset=[value])
    return without_heaps(estimate(known[value]), known)


def without_heaps(result: Estimate, runs: pd.DataFrame) -> Estimate:
    """The estimate, without its interval where the runs of an arm fall in two heaps."""
    if "at_chance" not in runs or runs["at_chance"].nunique() < 2:
        return result
    seeds = runs[runs["at_chance"]]["seed"].nunique()
    return replace(result, half_width=math.nan, at_chance=seeds)


#: What is measured on a run; anything else is set, and a mean of it says nothing.
MEASURED = (
    "train_loss", "train_error", "gradient_norm", "validation_accuracy", "train_accuracy",
    "test_accuracy", "test_error", "test_loss", "errors", "calibration_error", "teacher_agreement",
)  # fmt: skip


def summarize(frame: pd.DataFrame, by: Sequence[str], value: str) -> pd.DataFrame:
    """`mean`, `half_width`, `low`, `high` and `n` of `value` per group of `by`, see `mean_of`."""
    rows = []
    for labels, part in frame.groupby(list(by), sort=True, dropna=False):
        result = mean_of(part, value)
        interval = (result.half_width, result.low, result.high) if result.judged else (None,) * 3
        rows.append((*labels, result.mean, *interval, result.n))
    return pd.DataFrame(rows, columns=[*by, "mean", "half_width", "low", "high", "n"])


def in_percent(table: pd.DataFrame) -> pd.DataFrame:
    """A summary of fractions as one of percentages."""
    columns = ["mean", "half_width", "low", "high"]
    return table.assign(**{name: 100 * table[name].astype(float) for name in columns})


def summarize_each(
    frame: pd.DataFrame, by: Sequence[str], values: Sequence[str], name: str
) -> pd.DataFrame:
    """The `summarize` of several columns, told apart in a column `name` behind those of `by`."""
    parts = []
    for value in values:
        parts.append(summarize(frame.dropna(subset=[value]), by, value))
        parts[-1].insert(len(by), name, value)
    return pd.concat(parts, ignore_index=True)


def at_the_end(table: pd.DataFrame, by: Sequence[str], along: str = "epoch") -> pd.DataFrame:
    """The last row along a column of each curve, the curves in the order of the table."""
    return table.loc[table.groupby([*by], sort=False)[along].idxmax()]


#: Where a line must not end: around ±, and before a unit.
_SPACE = "\u00a0"


@dataclass(frozen=True)
class Metric:
    """A measured column: its name, its unit, and the digits of its numbers.

    `scale` leads from the column to the unit shown, which is `unit` for a difference and
    `level_unit` for a mean.  `of_machine` says that it depends on the machine: pairs then share
    that, too.  What is measured `by_round`, by a benchmark, is of no seed and has no interval.
    """

    title: str
    unit: str = ""
    level_unit: str = ""
    scale: float = 1
    form: str = "#.2g"
    of_machine: bool = False
    by_round: bool = False

    def level(self, value: Estimate) -> str:
        """A mean of it: `97.03 ± 0.42 %`."""
        return self._written(value, self.form, self.level_unit)

    def difference(self, value: Estimate) -> str:
        """A difference, with its sign: `−1.12 ± 0.44 points`."""
        return self._written(value, f"+{self.form}", self.unit)

    def size(self, value: float) -> str:
        """A difference without sign or interval: `1.12 points`."""
        return f"{self.scale * abs(value):{self.form}}{_SPACE}{self.unit}".rstrip()

    def _written(self, value: Estimate, form: str, unit: str) -> str:
        if not value.n:
            return "unknown"
        # What is the same for every seed, such as a number of parameters, has no interval.
        half_width = self.scale * value.half_width or math.nan
        scaled = Estimate(self.scale * value.mean, half_width, value.n)
        spread = self.form if self.form.endswith("f") else ""
        text = in_words(scaled, form, spread).replace(" ", _SPACE).replace("-", MINUS)
        text = f"{text}{_SPACE}{unit}".rstrip()
        return f"{text} ({value.at_chance} of {value.n} at chance)" if value.at_chance else text


def _accuracy(title: str) -> Metric:
    return Metric(title, "points", "%", 100, ".2f")


METRICS: Mapping[str, Metric] = {
    "test_accuracy": _accuracy("test accuracy"),
    "test_loss": Metric("test loss"),
    "train_loss": Metric("training loss"),
    "gradient_norm": Metric("gradient norm", form="#.3g"),
    "train_accuracy": _accuracy("training accuracy"),
    "train_error": _accuracy("training error"),
    "test_error": _accuracy("test error"),
    "validation_accuracy": _accuracy("validation accuracy"),
    "errors": Metric("test errors", form=".1f"),
    "calibration_error": _accuracy("calibration error"),
    "teacher_agreement": _accuracy("agreement with the teacher"),
    "log_gradient_norm": Metric("logarithm of the gradient norm", "powers of ten", form=".2f"),
    "gradient_growth": Metric("growth of the gradient norm by layer", form=".2f"),
    "response": Metric("response of a layer", form=".3f"),
    "unseen_accuracy": _accuracy("accuracy on the class never seen"),
    "corrected_accuracy": _accuracy("accuracy on it with its logit raised"),
    "parameters": Metric("parameters", form=",.0f"),
    "flops": Metric("FLOPs of a forward pass", form=",.0f"),
    "relative_time": Metric("time, lab1 in float32 being 1", form=".2f", of_machine=True),
    "milliseconds": Metric("time of a training image", "ms", "ms", form="#.3g", by_round=True),
    "epoch_seconds": Metric("time of an epoch", "s", "s", form=".2g", of_machine=True),
    "train_seconds": Metric("time of a training", "s", "s", form=".3g", of_machine=True),
    "peak_memory_bytes": Metric("memory", "MB", "MB", 1e-6, ",.0f", of_machine=True),
}
