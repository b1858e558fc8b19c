"""How long a grid takes: an estimate before it, and a line for each run that finished."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from functools import cache
from itertools import chain
from statistics import median

from ..core.record import Record
from ..core.spec import RunSpec


def estimate(specs: Sequence[RunSpec], records: Sequence[Record]) -> list[float | None]:
    """About how many seconds each run takes, judged from the records of its like.

    A run's like has the same family, data set and width, and a teacher where it has one; where none
    has its depth, seconds grow in proportion to the layers.  `None` where there is no record to
    judge from.
    """
    # By kind and depth first: a large grid would otherwise go through all records for every run.
    paces: dict[_Kind, dict[int, list[float]]] = {}
    for record in records:
        depth = record.spec.model.depth
        seconds = record.seconds / record.epochs / (depth + 1)
        paces.setdefault(_kind(record.spec), {}).setdefault(depth, []).append(seconds)

    @cache
    def per_layer_epoch(kind: _Kind, depth: int) -> float | None:
        alike = paces.get(kind, {})
        distance = min((abs(each - depth) for each in alike), default=0)
        nearest = [alike[each] for each in alike if abs(each - depth) == distance]
        return median(chain.from_iterable(nearest)) if nearest else None

    estimates = []
    for spec in specs:
        pace = per_layer_epoch(_kind(spec), spec.model.depth)
        layers = spec.model.depth + 1
        estimates.append(None if pace is None else pace * layers * spec.training.epochs)
    return estimates


_Kind = tuple[str, str, int | None, bool]


def _kind(spec: RunSpec) -> _Kind:
    model = spec.model
    return model.family, spec.dataset, model.width, spec.distillation is not None


class GridProgress:
    """One line per finished run on standard error, with the time left."""

    def __init__(self, specs: Sequence[RunSpec], estimates: Sequence[float | None]) -> None:
        self._total = len(specs)
        self._done = 0
        self._started = time.monotonic()
        known = [each for each in estimates if each is not None]
        # Runs of unknown length are taken to be like the known ones.
        mean = sum(known) / len(known) if known else 1.0
        self._weights = {
            spec.key: mean if each is None else each
            for spec, each in zip(specs, estimates, strict=True)
        }
        self._whole = self._left = sum(self._weights.values())
        about = f", about {duration(self._left)} on one core" if known else ""
        self._say(f"training {self._total} missing {'run' if self._total == 1 else 'runs'}{about}")

    def finished(self, record: Record) -> None:
        """Says what finished and how long the rest will take at the pace so far."""
        self._done += 1
        weight = self._weights[record.key]
        self._left -= weight
        done = self._whole - self._left
        left = (time.monotonic() - self._started) * self._left / done
        score = f"test accuracy {record.test['accuracy']:.2%}" if record.test else "no test score"
        self._say(
            f"[{self._done}/{self._total}] {record.spec.title}: {score}, {record.stopped} after "
            f"{record.epochs} epochs, {duration(record.seconds)}; {duration(left)} left"
        )

    @staticmethod
    def _say(text: str) -> None:
        if is_first_process():
            print(text, file=sys.stderr, flush=True)


def is_first_process() -> bool:
    """Whether this is the one that speaks, where torchrun started several."""
    return os.environ.get("RANK", "0") == "0"


def duration(seconds: float) -> str:
    """Seconds in words: `43 s`, `12 min`, `3.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
