"""How a parameter's value is read and checked against its declared type and range."""

from __future__ import annotations

import difflib
import math
import re
import reprlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

from .errors import ParameterError

_NONE_WORDS = frozenset({"none", "null", "off"})

#: How YAML writes nothing; a folder may be called so.
_NOTHING = frozenset({"", "~"})

#: The most values that a list may have: more is a slip, and would take hours to plan.
MOST_VALUES = 100_000

#: The most characters of a number: more is no number that anybody means.
_MOST_CHARACTERS = 100

_DECIMAL = re.compile(r"[-+]?[0-9]+")
_OTHER_BASE = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FRACTION = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")

_short = reprlib.Repr()
_short.maxstring = _short.maxother = 100
_short.maxlist = _short.maxtuple = 10
_short.maxlong = 500
_short.maxlevel = 2


def shown(value: Any) -> str:
    """A value as Python writes it, but for what is large, which is shortened."""
    try:
        return _short.repr(value)
    except ValueError:  # Python writes out no integer of more than 4300 digits
        return "a number of thousands of digits"


def number(text: str) -> int | float | None:
    """The finite number that a text writes, or `None`.

    Numbers are those of YAML's core schema (version 1.2.2, section 10.3.2), so that a text means
    the same here and in `params/*.yml`: `010` is ten, `0x10` sixteen, and `1_6` none.
    """
    if len(text) > _MOST_CHARACTERS:
        return None
    if _DECIMAL.fullmatch(text):
        return int(text)
    if _OTHER_BASE.fullmatch(text):
        return int(text, 0)
    return float(text) if _FRACTION.fullmatch(text) else None


@dataclass(frozen=True)
class Parameter:
    """One parameter: its type, its range and what it means.

    `many` parameters take a list (or one value, or `"0,1,2"`) and give a tuple without
    repeats.  `optional` ones also take `None`.
    """

    name: str
    kind: type[int] | type[float] | type[str]
    meaning: str
    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None
    below: float | None = None
    choices: tuple[str, ...] = ()
    many: bool = False
    optional: bool = False
    #: What may stand there besides the choices, in words, and the function that gives the value it
    #: stands for: it takes the value and the place, and gives None for what it does not know.
    besides: str = ""
    stands_for: Callable[[str, str], str | None] | None = None

    @property
    def allowed(self) -> str:
        """What is allowed, in words: `an integer from 1 to 1024`."""
        if self.choices:
            one = (
                "one of "
                + ", ".join(self.choices)
                + (f", or {self.besides}" if self.besides else "")
            )
        else:
            noun = {int: "an integer", float: "a number", str: "a text"}[self.kind]
            bounds = [
                text
                for bound, text in (
                    (self.minimum, f"from {self.minimum:g}" if self.minimum is not None else ""),
                    (self.above, f"above {self.above:g}" if self.above is not None else ""),
                    (self.maximum, f"to {self.maximum:.10g}" if self.maximum is not None else ""),
                    (self.below, f"below {self.below:g}" if self.below is not None else ""),
                )
                if bound is not None
            ]
            one = " ".join([noun, *bounds])
        words = f"one or more, each {one}" if self.many else one
        return f"{words}, or none" if self.optional else words

    def check(self, value: Any, where: str = "") -> Any:
        """Returns the value in its declared type; raises `ParameterError` otherwise.

        Texts are parsed (`"4"`, `"0,1,2"`, `"none"`), because papermill and the command
        line hand over texts.  `where` names the chapter, file or class in the message.
        """
        if self.optional and (value is None or self._is_none_word(value)):
            return None
        return self._check_many(value, where) if self.many else self.check_one(value, where)

    def check_one(self, value: Any, where: str = "") -> Any:
        """Like `check`, for a single element even where a list is allowed."""
        converted = self._convert(value)
        if self.stands_for and isinstance(converted, str) and converted not in self.choices:
            converted = self.stands_for(converted, where)
            if converted is not None:
                return converted
        if converted is None or not self._in_range(converted):
            raise self._refusal(value, where)
        return converted

    def _check_many(self, value: Any, where: str) -> tuple[Any, ...]:
        if isinstance(value, str):
            value = _elements(value)
        elif not isinstance(value, Sequence) or isinstance(value, (bytes, bytearray)):
            value = [value]
        if not value:
            raise self._refusal(list(value), where)
        if len(value) > MOST_VALUES:
            raise ParameterError(
                f"{prefix(where)}{self.name} has {len(value)} values; "
                f"allowed: {self.allowed}, at most {MOST_VALUES}"
            )
        items: dict[Any, None] = {}
        for each in value:
            item = self.check_one(each, where)
            if item in items:
                raise ParameterError(
                    f"{prefix(where)}{self.name} names {item!r} more than once; "
                    f"allowed: {self.allowed}, without repeats"
                )
            items[item] = None
        return tuple(items)

    def _convert(self, value: Any) -> Any:
        if isinstance(value, str):
            value = _unquoted(value)
        if self.kind is str:
            return value if isinstance(value, str) and value else None
        if isinstance(value, str):
            value = number(value.strip())
        if isinstance(value, bool) or not isinstance(value, Real):
            return None
        if self.kind is int:  # 4.0 is refused, since a depth of 4.0 is a slip
            return value if isinstance(value, int) else None
        try:
            converted = float(value)
        except OverflowError:
            return None
        # What is added makes zero of a negative zero, which would be another run's.
        return converted + 0.0 if math.isfinite(converted) else None

    def _in_range(self, value: Any) -> bool:
        if self.choices:
            return value in self.choices
        if self.kind is str:
            return True
        return (
            (self.minimum is None or value >= self.minimum)
            and (self.maximum is None or value <= self.maximum)
            and (self.above is None or value > self.above)
            and (self.below is None or value < self.below)
        )

    def _is_none_word(self, value: Any) -> bool:
        if not isinstance(value, str) or value in self.choices:
            return False
        word = value.strip().lower()
        free = self.kind is str and not self.choices
        return word in _NONE_WORDS or (word in _NOTHING and not free)

    def _refusal(self, value: Any, where: str) -> ParameterError:
        return ParameterError(
            f"{prefix(where)}{self.name} = {shown(value)} is not allowed; allowed: {self.allowed}"
            f"{did_you_mean(value, self.choices)}"
        )


def did_you_mean(value: Any, allowed: Iterable[str]) -> str:
    """The end of a message that names what a slip of the pen may have meant; else empty."""
    if not isinstance(value, str) or len(value) > _MOST_CHARACTERS:
        return ""
    by_case = {each.casefold(): each for each in allowed}
    close = difflib.get_close_matches(value.casefold(), by_case, 1, 0.65)
    return f"; did you mean {by_case[close[0]]}?" if close else ""


def prefix(where: str) -> str:
    """The beginning of a message that says where a value stood; empty where that is unknown."""
    return f"{where}: " if where else ""


def _elements(text: str) -> list[str]:
    """`"0, 1"`, `"[0, 1]"` and `"(0, 1)"` as the texts between the commas."""
    text = text.strip()
    if text[:1] + text[-1:] in ("[]", "()"):
        text = text[1:-1]
    parts = [part.strip() for part in text.split(",")]
    return parts if parts[-1] else parts[:-1]  # one comma may follow the last


def _unquoted(text: str) -> str:
    """A text without the quotes that a list in JSON has."""
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"" else text
