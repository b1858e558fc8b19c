"""A run record, its form as JSON with a checksum, and the rules of what it may hold."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from ..errors import RecordError, short_repr
from . import record_rules as rules
from .datasets import DATASETS
from .fields import hash_key
from .spec import RunSpec
from .training_config import TrainingConfig, written_recipes

SCHEMA = 1

_FRACTION = rules.number(0, 1)
_NOT_NEGATIVE = rules.number(0)
#: A divergence is zero at its least, and rounding may make it less.
_LOSS = rules.number(-1e-3)

_HISTORY: Mapping[str, rules.Rule] = {
    "train_loss": _LOSS,
    "train_accuracy": _FRACTION,
    "validation_loss": _LOSS,
    "validation_accuracy": _FRACTION,
    "learning_rate": _NOT_NEGATIVE,
    "gradient_norm": rules.optional(_NOT_NEGATIVE),  # beyond float32 while every loss is finite
    "seconds": _NOT_NEGATIVE,
    "peak_memory_bytes": rules.optional(rules.whole()),  # what not every system tells
}
_EVALUATION = {"train_evaluation_loss": _LOSS, "train_evaluation_accuracy": _FRACTION}
_DISTILLATION = {"hard_loss": _LOSS, "soft_loss": _LOSS}

#: The series of `Record.history`; each holds one value per epoch.
HISTORY_FIELDS = tuple(_HISTORY)

#: Further series of a run whose `train_evaluation_size` is above 0.
EVALUATION_FIELDS = tuple(_EVALUATION)

#: Further series of a distilled run: the parts of its loss, which is `train_loss`.
DISTILLATION_FIELDS = tuple(_DISTILLATION)


def history_fields(config: TrainingConfig, *, distilled: bool = False) -> tuple[str, ...]:
    """The series that the history of such a training has."""
    further = EVALUATION_FIELDS if config.train_evaluation_size else ()
    return HISTORY_FIELDS + further + (DISTILLATION_FIELDS if distilled else ())


@dataclass(frozen=True)
class Record:
    """The record of a finished run: what it did and where it came from.

    `history` maps each of `HISTORY_FIELDS` to one value per epoch (`None` where there was no
    validation split); accuracies are fractions, `seconds` are wall-clock seconds of the epoch,
    `gradient_norm` is the mean over the steps of the global L2 norm.  A run with a
    `train_evaluation_size` also has `EVALUATION_FIELDS`, a distilled one `DISTILLATION_FIELDS`.
    `test` holds `loss`, `accuracy`, `errors` and `count`, measured once with the weights of
    `best_epoch`, and in newer records also `calibration_error` and, for a student,
    `teacher_agreement`, both fractions.  It is empty for a run that `stopped` as `diverged`: one of
    its losses, on whatever images, was no finite number.  `flops` is the floating-point operations
    of one forward pass of one image. `origin` says where the run took place: commit, versions,
    device, threads, data source and fingerprint, start and end, the digest of the teacher's
    weights, and in newer records, as `segments`, every process that trained a part of the run.
    `weights_sha256` is that of its own best weights (`digest`); older records have none. `recipe`
    and `teacher_recipes` are those under which the run and its teachers were made.
    """

    spec: RunSpec
    history: Mapping[str, list[float | None]]
    test: Mapping[str, float]
    parameters: int
    flops: int
    best_epoch: int | None
    stopped: str
    seconds: float
    origin: Mapping[str, Any]
    recipe: int
    key: str = field(default="")
    teacher_recipes: tuple[int, ...] = ()
    weights_sha256: str | None = None

    def __post_init__(self) -> None:
        if not self.key:
            object.__setattr__(self, "key", self.spec.key)
        if not self.teacher_recipes:
            object.__setattr__(self, "teacher_recipes", self.spec.recipes[1:])

    @property
    def recipes(self) -> tuple[int, ...]:
        """Like those of its spec, but as they were when the run was trained."""
        return (self.recipe, *self.teacher_recipes)

    @property
    def series(self) -> tuple[str, ...]:
        """The series that its history must have."""
        return history_fields(self.spec.training, distilled=self.spec.distillation is not None)

    @property
    def diverged(self) -> bool:
        """True if its loss left the finite numbers, so that its weights prove nothing."""
        return self.stopped == "diverged"

    @property
    def epochs(self) -> int:
        """The epochs that were trained."""
        return len(self.history["train_loss"])

    @property
    def started(self) -> str | None:
        """When its first process began, as its origin says; `None` where that is not known.

        The origin of an older record tells of the last process alone.  That another came before is
        seen where the training lasted longer than the times, to the second, leave room for.
        """
        began: str | None = self.origin.get("started")
        if segments := self.origin.get("segments"):
            began = segments[0]["from"]
        elif began is not None:
            room = datetime.fromisoformat(self.origin["ended"]) - datetime.fromisoformat(began)
            began = began if self.seconds <= room.total_seconds() + 1 else None
        return began

    @property
    def name(self) -> str:
        """The run's readable name, with the key under which the record was made."""
        return f"{self.spec.name.rsplit('.', 1)[0]}.{self.key}"

    @property
    def recipe_change(self) -> str:
        """In words, for a record of an older recipe: `recipe 1, now 2`."""
        before, now = (
            f"{recipe} (teacher {', '.join(map(str, further))})" if further else str(recipe)
            for recipe, *further in (self.recipes, self.spec.recipes)
        )
        return f"recipe {before}, now {now}"

    def to_dict(self) -> dict[str, Any]:
        """The record as it is written, with its checksum."""
        body: dict[str, Any] = finite(
            {"schema": SCHEMA, **asdict(self), "spec": self.spec.to_dict(self.recipes)}
        )
        del body["recipe"], body["teacher_recipes"]  # they are part of the spec as written
        return rules.seal(body)

    @classmethod
    def from_dict(cls, body: Mapping[str, Any]) -> Record:
        """The record that `to_dict` wrote; raises `RecordError` for anything else.

        That is one whose checksum or key does not fit, or one that no training can have left
        (`_check`).
        """
        if not isinstance(body, Mapping) or "schema" not in body or "spec" not in body:
            raise RecordError("not a run record (it has no schema or no spec)")
        if body["schema"] != SCHEMA:
            raise RecordError(f"schema {short_repr(body['schema'])}; this version reads {SCHEMA}")
        body = rules.unseal(body)
        body.pop("schema")
        written = body.pop("spec")
        try:
            spec, (recipe, *further) = RunSpec.from_dict(written), written_recipes(written)
            record = cls(spec=spec, recipe=recipe, teacher_recipes=tuple(further), **body)
        except (TypeError, KeyError, AttributeError, ValueError, RecursionError) as error:
            raise RecordError(f"not a run record of this version: {error}") from error
        known = (
            hash_key(spec.canonical(record.recipes, old_selection=old)) for old in (False, True)
        )
        if record.key not in known:
            raise RecordError(f"its key {short_repr(record.key)} is not the key of its spec")
        _check(record)
        return record


def finite(value: Any) -> Any:
    """A copy with `None` for NaN and infinity, which JSON does not know (a diverged run).

    Raises `TypeError` for a name that is no text, which JSON does not know either.
    """
    if isinstance(value, Mapping):
        for name in value:
            if not isinstance(name, str):
                raise TypeError(f"the name {name!r} is no text, so it cannot be written as JSON")
        return {name: finite(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read_record(path: Path) -> Record:
    """The record in a file; raises `RecordError`, naming the file, where it is none."""
    body = rules.read_object(path, "a run record")
    with rules.in_file(path):
        return Record.from_dict(body)


# What a record may hold

#: How a training can end.
ALL_EPOCHS, EARLY, DIVERGED = "all epochs", "early stopping", "diverged"

_TEXT = rules.text()


def _moment(place: str, value: Any) -> None:
    try:
        zone = datetime.fromisoformat(value).tzinfo
    except (TypeError, ValueError):
        zone = None
    if zone is None:
        rules.refuse(place, value, "a time such as 2026-01-31T12:00:00+00:00")


def _plain(place: str, value: Any) -> None:
    """An entry that a later version may add to the origin: one value, or values by name."""
    if isinstance(value, Mapping):
        rules.mapping({}, others=_plain)(place, value)
    elif isinstance(value, str):
        _TEXT(place, value)
    elif value is not None and not isinstance(value, bool):
        rules.number()(place, value)


_VERSIONS = rules.mapping({}, others=_TEXT)
_DEVICE = rules.mapping(
    {"kind": _TEXT, "name": _TEXT},
    {"threads": rules.optional(rules.whole(1))},
    others=_plain,
)
_SEGMENT = rules.mapping(
    {
        "commit": _TEXT,
        "sources": rules.optional(rules.SHA256),
        "versions": rules.optional(_VERSIONS),
        "device": rules.optional(_DEVICE),
        "from": rules.optional(_moment),
        "to": rules.optional(_moment),
        "epochs": rules.optional(rules.exactly(2, rules.whole(1))),
    }
)


def _segment(place: str, value: Any) -> None:
    _SEGMENT(place, value)
    if value["from"] and value["to"]:
        _in_order(f"{place}.to", value["from"], value["to"])
    if value["epochs"] and value["epochs"][0] > value["epochs"][1]:
        rules.refuse(f"{place}.epochs", value["epochs"], "the first epoch, then the last")


def _in_order(place: str, began: str, ended: str) -> None:
    if datetime.fromisoformat(ended) < datetime.fromisoformat(began):
        rules.refuse(place, ended, f"from {began} on")


#: The processes that trained a run, in order; `None` for what an older checkpoint did not tell.
SEGMENTS = rules.listing(_segment, 1)

_ORIGIN = rules.mapping(
    {
        "commit": _TEXT,
        "versions": _VERSIONS,
        "device": _DEVICE,
        "data_source": _TEXT,
        "data_fingerprint": _TEXT,
        "started": _moment,
        "ended": _moment,
    },
    {
        "teacher_sha256": rules.SHA256,
        "pretrained_sha256": rules.SHA256,
        "processes": rules.whole(1),
        "pulled_from": _TEXT,
        "segments": SEGMENTS,
    },
    others=_plain,
)


def is_commit(text: str) -> bool:
    """True for 40 hexadecimal digits: a published record names its commit in no other way."""
    return re.fullmatch(r"[0-9a-f]{40}", text) is not None


def _check(record: Record) -> None:
    """Raises `RecordError` for a record that no training can have left, naming what is wrong."""
    rules.mapping({}, others=rules.whole(1))(
        "", {"parameters": record.parameters, "flops": record.flops, "recipe": record.recipe}
    )
    rules.number(0)("seconds", record.seconds)
    rules.optional(rules.SHA256)("weights_sha256", record.weights_sha256)
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
                rules.refuse(place, segment["epochs"], f"from epoch {last + 1} on, or {last}")
            last = segment["epochs"][1]
    if last != record.epochs:
        raise RecordError(f"its segments end with epoch {last}, its history with {record.epochs}")


def _check_end(record: Record) -> None:
    """Checks the end of a training: when, at which epoch, and which was the best."""
    rules.mapping(dict.fromkeys(record.series, rules.listing(rules.anything, 1)))(
        "history", record.history
    )
    planned, epochs = record.spec.training.epochs, record.epochs
    stopped = record.stopped
    if stopped not in (ALL_EPOCHS, EARLY, DIVERGED):
        rules.refuse("stopped", stopped, f"{ALL_EPOCHS}, {EARLY}, {DIVERGED}")
    if epochs > planned or (stopped == ALL_EPOCHS and epochs != planned):
        raise RecordError(f"its history has {epochs} epochs and its spec {planned}: {stopped}")
    if stopped == EARLY and record.spec.training.patience is None:
        raise RecordError(f"it stopped by {stopped}, and its spec has no patience")
    best = rules.whole(1, epochs)
    (rules.optional(best) if record.diverged else best)("best_epoch", record.best_epoch)


def _check_history(record: Record) -> None:
    """One value per epoch of each series; what is no finite number only where it diverged."""
    validated = record.spec.training.validation_size > 0
    for name in record.series:
        rule = {**_HISTORY, **_EVALUATION, **_DISTILLATION}[name]
        if name.startswith("validation_") and not validated:
            rule = rules.nothing
        elif record.diverged:
            rule = rules.optional(rule)
        rules.exactly(record.epochs, rule)(f"history.{name}", record.history[name])


def _check_test(record: Record) -> None:
    """The scores, which a diverged run has none of, and the accuracy that follows from errors."""
    if record.diverged:
        rules.mapping({})("test", record.test)
        return
    size = DATASETS[record.spec.dataset].test_size
    student = {"teacher_agreement": _FRACTION} if record.spec.distillation else {}
    rules.mapping(
        {
            "loss": _NOT_NEGATIVE,
            "accuracy": _FRACTION,
            "errors": rules.whole(0, size),
            "count": rules.whole(size, size),
        },
        {"calibration_error": _FRACTION, **student},
    )("test", record.test)
    accuracy, errors = record.test["accuracy"], record.test["errors"]
    if not math.isclose(accuracy, 1 - errors / size, abs_tol=1e-6):
        raise RecordError(
            f"test.accuracy = {accuracy} does not follow from {errors} errors in {size} images; "
            f"allowed: {1 - errors / size}"
        )
