"""Records as tables: one row per run, or one row per run and epoch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from ..config import hash_key
from ..datasets import DATASETS
from ..store import HISTORY_FIELDS, Record

#: What identifies a run in both frames.  ``group`` is shared by the seeds of one configuration.
IDENTITY = ["key", "group", "family", "depth", "width", "dataset", "learning_rate", "seed"]


#: The columns of the history's series.
_SERIES = {name: name for name in HISTORY_FIELDS} | {"learning_rate": "scheduled_learning_rate"}


def group_of(record: Record) -> str:
    """A hash of everything but the seeds: runs are averaged only within one group."""
    return hash_key(record.spec.canonical(record.recipes, seeds=False))


def runs(records: Sequence[Record]) -> pd.DataFrame:
    """One row per run.

    ``device`` is the kind of device, ``versions`` the version of torch.  Accuracies are fractions;
    ``train_seconds`` are wall-clock; ``validation_accuracy`` is that of the best epoch,
    ``train_loss`` that of the last.  The test columns of a diverged run are NaN.
    """
    rows = [
        {
            **_identity(record),
            "name": record.name,
            "device": record.origin.get("device", {}).get("kind", "unknown"),
            "versions": record.origin.get("versions", {}).get("torch", "unknown"),
            "dataset_title": DATASETS[record.spec.dataset].title,
            "parameters": record.parameters,
            "flops": record.flops,
            "epochs": record.epochs,
            "best_epoch": record.best_epoch,
            "stopped": record.stopped,
            "train_seconds": record.seconds,
            "train_loss": record.history["train_loss"][-1],
            "validation_accuracy": _at_best(record, "validation_accuracy"),
            "train_accuracy": _at_best(record, "train_accuracy"),
            "test_accuracy": record.test.get("accuracy"),
            "test_loss": record.test.get("loss"),
        }
        for record in records
    ]
    frame = pd.DataFrame(rows)
    numbers = ["train_loss", "validation_accuracy", "train_accuracy", "test_accuracy", "test_loss"]
    if rows:
        frame[numbers] = frame[numbers].astype(float)
    return frame


def history(records: Sequence[Record]) -> pd.DataFrame:
    """One row per run and epoch (from 1), with the series of :data:`HISTORY_FIELDS`.

    ``learning_rate`` is the run's, as in :func:`runs`; the one that its schedule had reached in an
    epoch is ``scheduled_learning_rate``.
    """
    rows = [
        {
            **_identity(record),
            "epoch": epoch + 1,
            **{column: record.history[name][epoch] for name, column in _SERIES.items()},
        }
        for record in records
        for epoch in range(record.epochs)
    ]
    frame = pd.DataFrame(rows)
    if rows:
        frame[list(_SERIES.values())] = frame[list(_SERIES.values())].astype(float)
    return frame


def _identity(record: Record) -> dict[str, Any]:
    spec = record.spec
    values = (
        record.key,
        group_of(record),
        spec.model.family,
        spec.model.depth,
        spec.model.width,
        spec.dataset,
        spec.training.learning_rate,
        spec.seed,
    )
    return dict(zip(IDENTITY, values, strict=True))


def _at_best(record: Record, name: str) -> float | None:
    return None if record.best_epoch is None else record.history[name][record.best_epoch - 1]
