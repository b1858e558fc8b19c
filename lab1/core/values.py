"""How a parameter's value is read and checked against its declared type and range."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .errors import ParameterError

_NONE_WORDS = frozenset({"none", "null", "off"})


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

    @property
    def allowed(self) -> str:
        """What is allowed, in words: `an integer from 1 to 1024`."""
        if self.choices:
            one = "one of " + ", ".join(self.choices)
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
        if converted is None or not self._in_range(converted):
            raise self._refusal(value, where)
        return converted

    def _check_many(self, value: Any, where: str) -> tuple[Any, ...]:
        if isinstance(value, str):
            value = [part.strip() for part in value.strip("[]() ").split(",") if part.strip()]
        elif not isinstance(value, Sequence):
            value = [value]
        items = tuple(self.check_one(item, where) for item in value)
        if not items:
            raise self._refusal(list(value), where)
        repeated = sorted({item for item in items if items.count(item) > 1})
        if repeated:
            raise ParameterError(
                f"{prefix(where)}{self.name} names {repeated[0]!r} more than once; "
                f"allowed: {self.allowed}, without repeats"
            )
        return items

    def _convert(self, value: Any) -> Any:
        if isinstance(value, bool) or value is None:
            return None
        if self.kind is str:
            return value if isinstance(value, str) and value else None
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            return None
        if not math.isfinite(number):
            return None
        if self.kind is float:
            return number
        # An integer may arrive as text; 4.0 and "4.0" are refused, since a depth of 4.0 is a slip.
        # So is "1_6", which Python reads as 16.
        if isinstance(value, str) and "_" in value:
            return None
        try:
            return int(value) if isinstance(value, (int, str)) else None
        except ValueError:
            return None

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
        return isinstance(value, str) and value.lower() in _NONE_WORDS and value not in self.choices

    def _refusal(self, value: Any, where: str) -> ParameterError:
        return ParameterError(
            f"{prefix(where)}{self.name} = {value!r} is not allowed; allowed: {self.allowed}"
        )


def prefix(where: str) -> str:
    """The beginning of a message that says where a value stood; empty where that is unknown."""
    return f"{where}: " if where else ""
