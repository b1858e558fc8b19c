"""The errors that a user can cause, and that are therefore shown without a traceback."""

import difflib
import re
import reprlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import UnionType
from typing import Any, get_args


class Lab1Error(Exception):
    """Base of the errors whose message is written for the user."""


class ParameterError(Lab1Error, ValueError):
    """A parameter is unknown, of the wrong type or out of range."""


class DataError(Lab1Error):
    """A data set is missing, incomplete, or not the one that was declared."""


class RecordError(Lab1Error):
    """A run record is damaged, foreign, or does not belong to its key."""


class UndeclaredError(RecordError):
    """A record's user-defined network is not declared here, which is no fault of the record."""


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
def storage_errors(path: Path) -> Iterator[None]:
    """A failure of the operating system inside the block is told as what the user can mend."""
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"{path}: cannot be written: {error.strerror or error}. What was there before is "
            "intact; make room, or allow writing there, and run the same command again"
        ) from error


# How a message says a value

#: The most characters of what may be a slip of the pen.
_LONGEST_NAME = 100

_short = reprlib.Repr()
_short.maxstring = _short.maxother = 100
_short.maxlist = _short.maxtuple = 10
_short.maxlong = 500
_short.maxlevel = 2


def short_repr(value: Any) -> str:
    """A value as Python writes it, on one line; what is large is shortened."""
    try:
        return re.sub(r"\s*\n\s*", " ", _short.repr(value))
    except ValueError:  # Python writes out no integer of more than 4300 digits
        return "a number of thousands of digits"


def check_kind(name: str, value: object, kinds: type | UnionType, where: str) -> None:
    """Raises `ParameterError` for an argument of another type."""
    if not isinstance(value, kinds):
        allowed = " or ".join(kind.__name__ for kind in get_args(kinds) or (kinds,))
        raise not_allowed(name, value, allowed.replace("NoneType", "none"), where)


def not_allowed(
    name: str, value: Any, allowed: str, where: str = "", case: str = ""
) -> ParameterError:
    """The error for a value that stood at `where`, with what is allowed, in this `case` alone."""
    return ParameterError(
        f"{prefix(where)}{name} = {short_repr(value)} is not allowed{case and f' {case}'}; "
        f"allowed: {allowed}"
    )


def unknown(name: str, allowed: Iterable[str], where: str) -> ParameterError:
    """The error for a name that is not among `allowed`."""
    return ParameterError(
        f"{prefix(where)}unknown parameter {short_repr(name)}; "
        f"allowed: {', '.join(sorted(allowed)) or 'none'}{did_you_mean(name, allowed)}"
    )


def did_you_mean(value: Any, allowed: Iterable[str]) -> str:
    """The end of a message that names what a slip of the pen may have meant; else empty."""
    if not isinstance(value, str) or len(value) > _LONGEST_NAME:
        return ""
    names = [*allowed]
    by_case = {name.casefold(): name for name in names}
    of_words = [name for name in names if "_" in name]
    initials = {"".join(word[:1] for word in name.split("_")): name for name in of_words}
    close = difflib.get_close_matches(value.casefold(), by_case, 1, 0.65)
    meant = initials.get(value.casefold()) or (by_case[close[0]] if close else "")
    return f"; did you mean {meant}?" if meant else ""


def prefix(where: str) -> str:
    """The beginning of a message that says where a value stood; empty where that is unknown."""
    return f"{where}: " if where else ""
