"""The metrics of a run, by their columns in the frame of `runs`: their names, units and digits."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from .statistics import MINUS, Estimate, in_words

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
