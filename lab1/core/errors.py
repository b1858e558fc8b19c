"""The errors that a user can cause, and that are therefore shown without a traceback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Lab1Error(Exception):
    """Base of the errors whose message is written for the user."""


class ParameterError(Lab1Error, ValueError):
    """A parameter is unknown, of the wrong type or out of range."""


class DataError(Lab1Error):
    """A data set is missing, incomplete, or not the one that was declared."""


class RecordError(Lab1Error):
    """A run record is damaged, foreign, or does not belong to its key."""


class WeightsError(Lab1Error):
    """A file of weights is damaged, another run's, or does not fit the model."""


class CheckpointError(Lab1Error):
    """A checkpoint is damaged or belongs to another run."""


class StorageError(Lab1Error, OSError):
    """A file cannot be written: the disk is full, or the folder does not allow it."""


class MissingRunsError(Lab1Error):
    """Runs are wanted that no record holds, and that cannot be trained here."""


class PublishError(Lab1Error):
    """A chapter failed, or the site could not be built."""


class ClaimError(Lab1Error):
    """A sentence of a chapter states what no comparison carries, or the records do not show."""


class TrackingError(Lab1Error):
    """Weights & Biases is not installed, has no API key, or cannot be reached."""


@contextmanager
def told(path: Path) -> Iterator[None]:
    """A failure of the operating system inside the block is told as what the user can mend."""
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"{path}: cannot be written: {error.strerror or error}. What was there before is "
            "intact; make room, or allow writing there, and run the same command again"
        ) from error
