"""Estimates how long a grid takes, and prints a line for each run that finished."""

import math
import os
import sys
import time
from collections.abc import Iterator, Sequence
from functools import cache
from statistics import median

from ..core import layouts
from ..core.families import FAMILIES
from ..core.record import Record
from ..core.spec import RunSpec


def estimate(
    specs: Sequence[RunSpec], records: Sequence[Record], device: str = "cpu"
) -> list[float | None]:
    """About how many seconds each run takes on one core, judged from the records of its like.

    Its like are runs of the same family, data set and precision, with a teacher where it has one;
    where there are none, of the same family; where there are none of these, of any family of its
    kind. Of them those count whose networks are nearest in cost, which is products of weights and
    numbers, and a part for each layer. `None` where there is no record to judge from.  With the
    `device` `cuda` it is the time on a GPU, of which other families tell nothing.
    """
    measured = on_device(records, device)
    if device == "cpu":
        measured = measured or list(records)
    # By kind and cost first: a large grid would otherwise go through all records for every run.
    paces: dict[_Kind, dict[float, list[float]]] = {}
    for record in measured:
        cost = _cost(record.spec)
        took = record.seconds / record.epochs / record.spec.training_images / cost
        for kind in _kinds(record.spec):
            paces.setdefault(kind, {}).setdefault(cost, []).append(took)

    @cache
    def pace_of(kind: _Kind, cost: float) -> float | None:
        alike = paces.get(kind, {})
        if not alike:
            return None
        nearest = min(alike, key=lambda known: abs(math.log(known / cost)))
        return median(alike[nearest])

    estimates: list[float | None] = []
    for spec in specs:
        cost = _cost(spec)
        kinds = [kind for kind in _kinds(spec) if device == "cpu" or spec.model.family in kind]
        candidates = (pace_of(kind, cost) for kind in kinds)
        pace = next((known for known in candidates if known is not None), None)
        work = cost * spec.training_images * spec.training.epochs
        estimates.append(None if pace is None else pace * work)
    return estimates


def on_device(records: Sequence[Record], kind: str) -> list[Record]:
    """The records that were trained on a kind of device, `cpu` or `cuda`."""
    return [r for r in records if r.origin.get("device", {}).get("kind") == kind]


def costs(
    specs: Sequence[RunSpec],
    seconds: Sequence[float | None],
    workers: int,
    records: Sequence[Record],
) -> str:
    """What some runs cost, in words: on one core, so many at a time, and on a GPU where known.

    `seconds` are those of `estimate`.  Empty where nothing is known.
    """
    known = {spec: took for spec, took in zip(specs, seconds, strict=True) if took is not None}
    if not known:
        return ""
    total = sum(known.values())
    words = f"about {duration(total)} on one core"
    # No run is shared among workers, and a student waits for its teacher.
    longest = max(
        took + sum(known.get(teacher, 0.0) for teacher in spec.teachers)
        for spec, took in known.items()
    )
    if workers > 1 and len(specs) > 1:
        words += f", {duration(max(longest, total / workers))} with {workers} runs at a time"
    on_gpu = [took for took in estimate(specs, records, "cuda") if took is not None]
    if len(on_gpu) == len(specs):
        names = {r.origin["device"]["name"] for r in on_device(records, "cuda")}
        words += f", {duration(sum(on_gpu))} on a GPU ({' or '.join(sorted(names))})"
    return words


#: A family or a kind of families, and what else two runs have in common.
_Kind = tuple[object, ...]


def _kinds(spec: RunSpec) -> Iterator[_Kind]:
    """The kinds that a run shares with others, the closest first."""
    family, taught = spec.model.family, spec.distillation is not None
    yield family, taught, spec.dataset, spec.training.precision
    yield family, taught
    yield (family,)
    yield ("convolutional" if FAMILIES[family].axis != FAMILIES["MLP"].axis else "perceptron",)


#: What a layer costs at each step, whatever its size, in products of a weight and a number. With it
#: the published runs on CPUs are estimated best from networks of other sizes.
_STEP = 10_000_000


def _cost(spec: RunSpec) -> float:
    """The seconds that one image costs."""
    products, layers = layouts.cost(spec.model, spec.dataset)
    return products + layers * _STEP / spec.training.batch_size


class GridProgress:
    """One line per finished run on standard error, with the time left."""

    def __init__(self, specs: Sequence[RunSpec], estimates: Sequence[float | None]) -> None:
        self._total = len(specs)
        self._done = 0
        self._started = time.monotonic()
        known = [seconds for seconds in estimates if seconds is not None]
        # Runs of unknown length are taken to be like the known ones.
        mean = sum(known) / len(known) if known else 1.0
        self._weights = {
            spec.key: mean if seconds is None else seconds
            for spec, seconds in zip(specs, estimates, strict=True)
        }
        self._whole = self._left = sum(self._weights.values())
        about = f", about {duration(self._left)} on one core" if known else ""
        self._say(f"training {counted(self._total, 'missing run')}{about}")

    def finished(self, record: Record) -> None:
        """Says what finished and how long the rest will take at the pace so far."""
        self._done += 1
        weight = self._weights[record.key]
        self._left -= weight
        rest = ""
        if self._done < self._total:
            pace = (time.monotonic() - self._started) / (self._whole - self._left)
            rest = f"; {duration(pace * self._left)} left"
        score = f"test accuracy {record.test['accuracy']:.2%}" if record.test else "no test score"
        self._say(
            f"[{self._done}/{self._total}] {record.spec.title}: {score}, {record.stopped} after "
            f"{record.epochs} epochs, {duration(record.seconds)}{rest}"
        )

    @staticmethod
    def _say(text: str) -> None:
        if is_first_process():
            print(text, file=sys.stderr, flush=True)


def is_first_process() -> bool:
    """True in the one process that reports, where torchrun started several."""
    return os.environ.get("RANK", "0") == "0"


def counted(number: int, noun: str) -> str:
    """A number of things in words: `1 run`, `2 runs`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def duration(seconds: float) -> str:
    """Seconds in words: `43 s`, `12 min`, `3.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
