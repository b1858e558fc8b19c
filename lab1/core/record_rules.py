"""Rules for values that were read from a file: their types, ranges, lengths and names.

A rule is called with the place of a value (`history.train_loss[2]`) and the value, and raises
`RecordError`, which names both and what is allowed.  Standard library only.
"""

import hashlib
import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from ..errors import RecordError, UndeclaredError, short_repr

Rule = Callable[[str, Any], None]

#: The most bytes of a file of records: the largest published one has 2 MB.
MOST_BYTES = 64_000_000


def refuse(place: str, value: Any, allowed: str) -> NoReturn:
    """Raises `RecordError` for a value."""
    raise RecordError(f"{place} = {short_repr(value)} is not allowed; allowed: {allowed}")


def number(low: float = -math.inf, high: float = math.inf) -> Rule:
    """A finite number from `low` to `high`."""
    return _number((int, float), "a number", low, high)


def whole(low: float = 0, high: float = math.inf) -> Rule:
    """A whole number from `low` to `high`."""
    return _number((int,), "a whole number", low, high)


def text(
    pattern: str = r"[^\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]{0,500}", words: str = "short text"
) -> Rule:
    """Text that the pattern matches as a whole; by default any that can be shown and encoded."""
    compiled = re.compile(pattern)

    def check(place: str, value: Any) -> None:
        if not isinstance(value, str) or not compiled.fullmatch(value):
            refuse(place, value, words)

    return check


#: A SHA-256 as 64 hexadecimal digits.
SHA256 = text(r"[0-9a-f]{64}", "64 hexadecimal digits")

#: Bytes as text, such as a picture's.
BASE64 = text(r"[A-Za-z0-9+/]+={0,2}", "base64")


def one_of(*values: Any) -> Rule:
    """One of a few values."""

    def check(place: str, value: Any) -> None:
        if not any(type(value) is type(allowed) and value == allowed for allowed in values):
            refuse(place, value, ", ".join(map(repr, values)))

    return check


def nothing(place: str, value: Any) -> None:
    """`None`, which JSON calls `null`."""
    if value is not None:
        refuse(place, value, "null")


def anything(place: str, value: Any) -> None:
    """Any value: what it may be is checked once something else is known."""


def optional(rule: Rule) -> Rule:
    """A rule that allows `None`, too."""

    def check(place: str, value: Any) -> None:
        if value is not None:
            rule(place, value)

    return check


def listing(entry: Rule, least: int = 0, most: int | None = None) -> Rule:
    """A list of `least` to `most` entries, each as the rule says."""

    def check(place: str, value: Any) -> None:
        if not isinstance(value, (list, tuple)):
            refuse(place, value, "a list")
        if len(value) < least or (most is not None and len(value) > most):
            length = least if least == most else f"{least} to {most or 'any number'}"
            raise RecordError(f"{place} has {len(value)} entries; allowed: {length}")
        for index, item in enumerate(value):
            entry(f"{place}[{index}]", item)

    return check


def exactly(length: int, entry: Rule) -> Rule:
    """A list of so many entries, each as the rule says."""
    return listing(entry, length, length)


def mapping(
    required: Mapping[str, Rule],
    optional: Mapping[str, Rule] | None = None,
    others: Rule | None = None,
) -> Rule:
    """An object with these names; with further ones only where there is a rule for `others`."""
    rules = {**required, **(optional or {})}

    def check(place: str, value: Any) -> None:
        if not isinstance(value, Mapping):
            refuse(place, value, f"an object with {', '.join(required) or 'names'}")
        lacking = [name for name in required if name not in value]
        if lacking:
            raise RecordError(f"{place} lacks {', '.join(lacking)}")
        for name, entry in value.items():
            rule = rules.get(name, others)
            if rule is None:
                raise RecordError(f"{place} has {short_repr(name)}; allowed: {', '.join(rules)}")
            rule(f"{place}.{name}" if place else name, entry)

    return check


def read_object(path: Path, what: str) -> dict[str, Any]:
    """The JSON object in a file, which is `what`, such as `a run record`.

    Raises `RecordError`, naming the file, where it cannot be read, is too large, is no JSON (which
    knows neither NaN nor infinity), or holds something else than an object.
    """
    try:
        if (size := path.stat().st_size) > MOST_BYTES:
            raise RecordError(f"{path}: has {size:,} bytes; allowed: up to {MOST_BYTES:,}")
        content = json.loads(
            path.read_text(encoding="utf-8"), parse_constant=_no_number, object_pairs_hook=_once
        )
    except (OSError, ValueError, RecursionError) as error:
        why = str(error) or type(error).__name__
        raise RecordError(f"{path}: not readable as {what}: {why}") from error
    if not isinstance(content, dict):
        raise RecordError(f"{path}: not readable as {what}: it holds no JSON object")
    return content


@contextmanager
def in_file(path: Path) -> Iterator[None]:
    """A `RecordError` inside the block is told with the file's name.

    So is what is nested too deeply to be digested, and not what is told of many files at once.
    """
    try:
        yield
    except UndeclaredError:
        raise
    except RecordError as error:
        raise RecordError(f"{path}: {error}") from error
    except RecursionError as error:
        raise RecordError(f"{path}: it is nested too deeply") from error


def seal(body: Mapping[str, Any]) -> dict[str, Any]:
    """The object with its checksum, as it is written."""
    return {**body, "checksum": _checksum(body)}


def unseal(sealed: Mapping[str, Any]) -> dict[str, Any]:
    """The object without its checksum; raises `RecordError` where that does not fit."""
    body = dict(sealed)
    if body.pop("checksum", None) != _checksum(body):
        raise RecordError("the checksum does not fit the content: damaged or edited by hand")
    return body


def _checksum(body: Mapping[str, Any]) -> str:
    """The SHA-256 of what is written, in a form that does not depend on its layout."""
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of these entries; a name that stands twice is an error, as in YAML."""
    entries = dict(pairs)
    if len(entries) < len(pairs):
        twice = next(name for name, count in Counter(n for n, _ in pairs).items() if count > 1)
        raise ValueError(f"{short_repr(twice)} stands there twice")
    return entries


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number in JSON")


def _number(types: tuple[type, ...], kind: str, low: float, high: float) -> Rule:
    bounds = {
        (False, False): "",
        (True, False): f" of at least {low:g}",
        (False, True): f" of at most {high:g}",
        (True, True): f" from {low:g} to {high:g}",
    }[low > -math.inf, high < math.inf]

    def check(place: str, value: Any) -> None:
        fits = isinstance(value, types) and not isinstance(value, bool)
        if not fits or not low <= value <= high or not abs(value) < _LARGEST:
            refuse(place, value, f"{kind}{bounds}")

    return check


#: What no honest number of a record reaches; larger integers cannot be made floats.
_LARGEST = 1e300
