"""A run record and its form as JSON, with a checksum."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from ..errors import RecordError, short_repr
from . import record_schema
from .distillation import written_recipes
from .keys import hash_key
from .schema import in_file, read_object, seal, unseal
from .spec import RunSpec
from .training_config import TrainingConfig

SCHEMA = 1

#: The series of `Record.history`; each holds one value per epoch.
HISTORY_FIELDS = (
    "train_loss",
    "train_accuracy",
    "validation_loss",
    "validation_accuracy",
    "learning_rate",
    "gradient_norm",
    "seconds",
    "peak_memory_bytes",
)

#: Further series of a run whose `train_evaluation_size` is above 0.
EVALUATION_FIELDS = ("train_evaluation_loss", "train_evaluation_accuracy")

#: Further series of a distilled run: the parts of its loss, which is `train_loss`.
DISTILLATION_FIELDS = ("hard_loss", "soft_loss")


def history_fields(config: TrainingConfig, *, distilled: bool = False) -> tuple[str, ...]:
    """The series that the history of such a training has."""
    further = EVALUATION_FIELDS if config.train_evaluation_size else ()
    return HISTORY_FIELDS + further + (DISTILLATION_FIELDS if distilled else ())


@dataclass(frozen=True)
class Record:
    """The record of a finished run: what it did and where it came from.

    `history` maps each of `HISTORY_FIELDS` to one value per epoch (`None` where there
    was no validation split); accuracies are fractions, `seconds` are wall-clock seconds of the
    epoch, `gradient_norm` is the mean over the steps of the global L2 norm.  A run with a
    `train_evaluation_size` also has `EVALUATION_FIELDS`, a distilled one
    `DISTILLATION_FIELDS`.  `test` holds `loss`, `accuracy`, `errors` and `count`,
    measured once with the weights of `best_epoch`, and in newer records also
    `calibration_error` and, for a student, `teacher_agreement`, both fractions.  It is empty
    for a run that `stopped` as `diverged`: one of its losses, on whatever images, was no finite
    number.  `flops` is the floating-point operations of one forward pass of one image.
    `origin` says where the run took place: commit, versions, device, threads, data source and
    fingerprint, start and end, the digest of the teacher's weights, and in newer records, as
    `segments`, every process that trained a part of the run.  `weights_sha256` is that
    of its own best weights (`digest`); older records have none.
    `recipe` and `teacher_recipes` are those under which the run and its teachers were made.
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
            {
                "schema": SCHEMA,
                **asdict(self),
                "spec": self.spec.to_dict(self.recipes),
            }
        )
        del body["recipe"], body["teacher_recipes"]  # they are part of the spec as written
        return seal(body)

    @classmethod
    def from_dict(cls, body: Mapping[str, Any]) -> Record:
        """The record that `to_dict` wrote; raises `RecordError` for anything else.

        That is one whose checksum or key does not fit, or one that no training can have left
        (`record_schema`).
        """
        if not isinstance(body, Mapping) or "schema" not in body or "spec" not in body:
            raise RecordError("not a run record (it has no schema or no spec)")
        if body["schema"] != SCHEMA:
            raise RecordError(f"schema {short_repr(body['schema'])}; this version reads {SCHEMA}")
        body = unseal(body)
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
        record_schema.check(record)
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
    body = read_object(path, "a run record")
    with in_file(path):
        return Record.from_dict(body)
