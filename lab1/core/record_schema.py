"""Checks what a run record holds, beyond its checksum and key (standard library only)."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ..errors import RecordError
from .datasets import DATASETS
from .schema import (
    SHA256,
    Rule,
    anything,
    exactly,
    listing,
    mapping,
    nothing,
    number,
    optional,
    refuse,
    text,
    whole,
)

if TYPE_CHECKING:
    from .record import Record

#: How a training can end.
ALL_EPOCHS, EARLY, DIVERGED = "all epochs", "early stopping", "diverged"

_FRACTION = number(0, 1)
_NOT_NEGATIVE = number(0)
#: A divergence is zero at its least, and rounding may make it less.
_LOSS = number(-1e-3)

_SERIES: Mapping[str, Rule] = {
    "train_loss": _LOSS,
    "validation_loss": _LOSS,
    "train_evaluation_loss": _LOSS,
    "hard_loss": _LOSS,
    "soft_loss": _LOSS,
    "train_accuracy": _FRACTION,
    "validation_accuracy": _FRACTION,
    "train_evaluation_accuracy": _FRACTION,
    "learning_rate": _NOT_NEGATIVE,
    "gradient_norm": optional(_NOT_NEGATIVE),  # beyond float32 while every loss is finite
    "seconds": _NOT_NEGATIVE,
    "peak_memory_bytes": optional(whole()),  # what not every system tells
}


_TEXT = text()


def _moment(place: str, value: Any) -> None:
    try:
        zone = datetime.fromisoformat(value).tzinfo
    except (TypeError, ValueError):
        zone = None
    if zone is None:
        refuse(place, value, "a time such as 2026-01-31T12:00:00+00:00")


def _plain(place: str, value: Any) -> None:
    """An entry that a later version may add to the origin: one value, or values by name."""
    if isinstance(value, Mapping):
        mapping({}, others=_plain)(place, value)
    elif isinstance(value, str):
        _TEXT(place, value)
    elif value is not None and not isinstance(value, bool):
        number()(place, value)


_VERSIONS = mapping({}, others=_TEXT)
_DEVICE = mapping({"kind": _TEXT, "name": _TEXT}, {"threads": optional(whole(1))}, others=_plain)
_SEGMENT = mapping(
    {
        "commit": _TEXT,
        "sources": optional(SHA256),
        "versions": optional(_VERSIONS),
        "device": optional(_DEVICE),
        "from": optional(_moment),
        "to": optional(_moment),
        "epochs": optional(exactly(2, whole(1))),
    }
)


def _segment(place: str, value: Any) -> None:
    _SEGMENT(place, value)
    if value["from"] and value["to"]:
        _in_order(f"{place}.to", value["from"], value["to"])
    if value["epochs"] and value["epochs"][0] > value["epochs"][1]:
        refuse(f"{place}.epochs", value["epochs"], "the first epoch, then the last")


def _in_order(place: str, began: str, ended: str) -> None:
    if datetime.fromisoformat(ended) < datetime.fromisoformat(began):
        refuse(place, ended, f"from {began} on")


#: The processes that trained a run, in order; `None` for what an older checkpoint did not tell.
SEGMENTS = listing(_segment, 1)

_ORIGIN = mapping(
    {
        "commit": _TEXT,
        "versions": _VERSIONS,
        "device": _DEVICE,
        "data_source": _TEXT,
        "data_fingerprint": _TEXT,
        "started": _moment,
        "ended": _moment,
    },
    {"teacher_sha256": SHA256, "processes": whole(1), "pulled_from": _TEXT, "segments": SEGMENTS},
    others=_plain,
)


def is_commit(text: str) -> bool:
    """True for 40 hexadecimal digits: a published record names its commit in no other way."""
    return re.fullmatch(r"[0-9a-f]{40}", text) is not None


def check(record: Record) -> None:
    """Raises `RecordError` for a record that no training can have left, naming what is wrong."""
    mapping({}, others=whole(1))(
        "", {"parameters": record.parameters, "flops": record.flops, "recipe": record.recipe}
    )
    number(0)("seconds", record.seconds)
    optional(SHA256)("weights_sha256", record.weights_sha256)
    _ORIGIN("origin", record.origin)
    _in_order("origin.ended", record.origin["started"], record.origin["ended"])
    _check_end(record)
    _check_history(record)
    _check_segments(record)
    _check_test(record)


def _check_segments(record: Record) -> None:
    """The processes' epochs: each begins where the one before stopped, and the last ends the run.

    A process that stops within an epoch leaves the rest of it to the next.
    """
    if "segments" not in record.origin:
        return
    last = 0
    for index, segment in enumerate(record.origin["segments"]):
        if segment["epochs"]:
            if segment["epochs"][0] - last not in (0, 1):
                place = f"origin.segments[{index}].epochs"
                refuse(place, segment["epochs"], f"from epoch {last + 1} on, or {last}")
            last = segment["epochs"][1]
    if last != record.epochs:
        raise RecordError(f"its segments end with epoch {last}, its history with {record.epochs}")


def _check_end(record: Record) -> None:
    """Checks the end of a training: when, at which epoch, and which was the best."""
    mapping(dict.fromkeys(record.series, listing(anything, 1)))("history", record.history)
    planned, epochs = record.spec.training.epochs, record.epochs
    stopped = record.stopped
    if stopped not in (ALL_EPOCHS, EARLY, DIVERGED):
        refuse("stopped", stopped, f"{ALL_EPOCHS}, {EARLY}, {DIVERGED}")
    if epochs > planned or (stopped == ALL_EPOCHS and epochs != planned):
        raise RecordError(f"its history has {epochs} epochs and its spec {planned}: {stopped}")
    if stopped == EARLY and record.spec.training.patience is None:
        raise RecordError(f"it stopped by {stopped}, and its spec has no patience")
    best = whole(1, epochs)
    (optional(best) if record.diverged else best)("best_epoch", record.best_epoch)


def _check_history(record: Record) -> None:
    """One value per epoch of each series; what is no finite number only where it diverged."""
    validated = record.spec.training.validation_size > 0
    for name in record.series:
        rule = _SERIES[name]
        if name.startswith("validation_") and not validated:
            rule = nothing
        elif record.diverged:
            rule = optional(rule)
        exactly(record.epochs, rule)(f"history.{name}", record.history[name])


def _check_test(record: Record) -> None:
    """The scores, which a diverged run has none of, and the accuracy that follows from errors."""
    if record.diverged:
        mapping({})("test", record.test)
        return
    size = DATASETS[record.spec.dataset].test_size
    student = {"teacher_agreement": _FRACTION} if record.spec.distillation else {}
    mapping(
        {
            "loss": _NOT_NEGATIVE,
            "accuracy": _FRACTION,
            "errors": whole(0, size),
            "count": whole(size, size),
        },
        {"calibration_error": _FRACTION, **student},
    )("test", record.test)
    accuracy, errors = record.test["accuracy"], record.test["errors"]
    if not math.isclose(accuracy, 1 - errors / size, abs_tol=1e-6):
        raise RecordError(
            f"test.accuracy = {accuracy} does not follow from {errors} errors in {size} images; "
            f"allowed: {1 - errors / size}"
        )
