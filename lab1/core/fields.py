"""Declares fields, reads and checks their values, and makes keys of them.

A field's type says all: `epochs: Annotated[int, Field("passes over the data", ge=1)] = 20`, or
`further: Annotated[Epochs, "those of the teacher"]`.  From it come the check, `--help`, the guide's
table and the JSON schema of `params/*.yml`.
"""

import hashlib
import json
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache
from numbers import Real
from types import NoneType
from typing import Annotated, Any, Self, get_args, get_origin, get_type_hints

from ..errors import ParameterError, did_you_mean, not_allowed, prefix, short_repr, unknown

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
class Field:
    """The annotation beside a field's type: its meaning, and its range or the names it is one of.

    The field's name and type say the rest (`declared`): `many` ones take a list (or one value, or
    `"0,1,2"`) and give a tuple, without repeats unless it `repeats`; `optional` ones also take
    `None`.  Where `several` values may be asked for, a list of more than one gives a tuple.
    """

    meaning: str = ""
    ge: float | None = None
    le: float | None = None
    gt: float | None = None
    lt: float | None = None
    choices: tuple[str, ...] = ()
    #: What may stand there besides the choices, in words, and the function that gives the value it
    #: stands for: it takes the value and the place, and gives None for what it does not know.
    besides: str = ""
    stands_for: Callable[[str, str], str | None] | None = None
    name: str = ""
    kind: type = str
    many: bool = False
    repeats: bool = False
    optional: bool = False
    several: bool = False

    @property
    def allowed(self) -> str:
        """The allowed values, in words: `an integer from 1 to 1024`."""
        if self.choices:
            one = f"one of {', '.join(self.choices)}"
            one += f", or {self.besides}" if self.besides else ""
        else:
            kinds = {int: "an integer", float: "a number", str: "a text"}
            one = self.besides or kinds[self.kind]
            for bound, words in (
                (self.ge, " from {:g}"), (self.gt, " above {:g}"),
                (self.le, " to {:.10g}"), (self.lt, " below {:g}"),
            ):  # fmt: skip
                one += "" if bound is None else words.format(bound)
        words = f"one or more, each {one}" if self.many else one
        return f"{words}, or none" if self.optional else words

    def check(self, value: Any, where: str = "") -> Any:
        """Returns the value in its declared type; raises `ParameterError` otherwise.

        Texts are parsed (`"4"`, `"0,1,2"`, `"none"`), because papermill and the command
        line hand over texts.  `where` names the chapter, file or class in the message.
        """
        if self.several:
            return self._check_several(value, where)
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
        return self._check_each(value, self.check_one, where)

    def _check_several(self, value: Any, where: str) -> Any:
        one = replace(self, several=False)
        try:
            return one.check(value, where)
        except ParameterError:  # only then is it a list: a folder's name may hold a comma
            values = _elements(value) if isinstance(value, str) else value
            if not isinstance(values, (list, tuple)) or [*values] in ([], [str(value).strip()]):
                raise
        checked = self._check_each(values, one.check, where)
        return checked if len(checked) > 1 else checked[0]

    def _check_each(
        self, values: Sequence[Any], check: Callable[[Any, str], Any], where: str
    ) -> tuple[Any, ...]:
        if len(values) > MOST_VALUES:
            raise ParameterError(
                f"{prefix(where)}{self.name} has {len(values)} values; "
                f"allowed: {self.allowed}, at most {MOST_VALUES}"
            )
        items = [check(value, where) for value in values]
        if not self.repeats and (twice := [item for item, n in Counter(items).items() if n > 1]):
            raise ParameterError(
                f"{prefix(where)}{self.name} names {twice[0]!r} more than once; "
                f"allowed: {self.allowed}, without repeats"
            )
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
            (self.ge is None or value >= self.ge)
            and (self.le is None or value <= self.le)
            and (self.gt is None or value > self.gt)
            and (self.lt is None or value < self.lt)
        )

    @property
    def schema(self) -> dict[str, Any]:
        """Its JSON schema, for `params/*.yml`: editors complete and check by it."""
        if self.choices:
            one: dict[str, Any] = {"enum": [*self.choices]}
            if self.besides:
                one = {"anyOf": [one, {"type": "string", "title": self.besides}]}
        else:
            bounds = {"minimum": self.ge, "maximum": self.le,
                      "exclusiveMinimum": self.gt, "exclusiveMaximum": self.lt}  # fmt: skip
            one = {"type": {int: "integer", float: "number", str: "string"}[self.kind]}
            one |= {name: bound for name, bound in bounds.items() if bound is not None}
        none = [{"enum": [None, *sorted(_NONE_WORDS)]}] * self.optional
        items = {"anyOf": [one, *none]} if self.several and none else one
        array = {"type": "array", "items": items, "uniqueItems": not self.repeats, "minItems": 1}
        forms = [one, *[array] * (self.many or self.several), *none]
        return {"description": self.meaning, **(forms[0] if len(forms) == 1 else {"anyOf": forms})}

    def _is_none_word(self, value: Any) -> bool:
        if not isinstance(value, str) or value in self.choices:
            return False
        word = value.strip().lower()
        free = self.kind is str and not self.choices
        return word in _NONE_WORDS or (word in _NOTHING and not free)

    def _refusal(self, value: Any, where: str) -> ParameterError:
        allowed = self.allowed + did_you_mean(value, self.choices)
        return not_allowed(self.name, value, allowed, where)


@cache
def declared(name: str, hint: Any) -> Field:
    """The field of that name whose type, with what stands beside it, is `hint`."""
    said: dict[str, Any] = {"name": name}
    while (origin := get_origin(hint)) is not None:
        if origin is Annotated:
            for extra in reversed(hint.__metadata__):  # what stands outside wins
                said = (
                    without_defaults(extra) if isinstance(extra, Field) else {"meaning": extra}
                ) | said
            hint = hint.__origin__
        elif origin is tuple:
            said["many"], hint = True, get_args(hint)[0]
        else:
            said["optional"], hint = True, next(t for t in get_args(hint) if t is not NoneType)
    return Field(**said | {"kind": hint})


@cache
def declarations(owner: Any) -> Mapping[str, Field]:
    """The fields of a class, or a function's parameters, that say what they mean, by name."""
    hints = get_type_hints(owner, include_extras=True)
    declared_fields = (declared(name, hint) for name, hint in hints.items())
    return {field.name: field for field in declared_fields if field.meaning}


class Checked:
    """A frozen dataclass whose fields are read and checked when it is made."""

    def __new__(cls, *values: Any, **named: Any) -> Self:
        """Refuses an unknown name with what it may have meant; Python would raise `TypeError`."""
        names = tuple(field.name for field in fields(cls))  # type: ignore[arg-type]
        for name in named:
            if name not in names:
                raise unknown(name, names, cls.__name__)
        return super().__new__(cls)

    def __post_init__(self) -> None:
        for name, field in declarations(type(self)).items():  # type: ignore[arg-type]
            object.__setattr__(self, name, field.check(getattr(self, name), type(self).__name__))


def each_once(pairs: Sequence[tuple[str, Any]], where: str) -> dict[str, Any]:
    """Names with their values; raises `ParameterError` for a name that is given twice."""
    values: dict[str, Any] = {}
    for name, value in pairs:
        if name in values:
            raise ParameterError(
                f"{prefix(where)}{name} is given twice, as {short_repr(values[name])} and as "
                f"{short_repr(value)}; allowed: each parameter once"
            )
        values[name] = value
    return values


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


def hash_key(canonical: Mapping[str, Any]) -> str:
    """The key of a canonical form: the first 16 hexadecimal digits of its SHA-256."""
    text = json.dumps(canonical, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def without_defaults(instance: Any) -> dict[str, Any]:
    """The fields of a dataclass that differ from their default, or are marked as always hashed."""
    return {
        field.name: getattr(instance, field.name)
        for field in fields(instance)
        if getattr(instance, field.name) != field.default or field.metadata.get("always hashed")
    }
