"""YAML that stands before or inside a page: the front matter, and the options of a cell."""

from __future__ import annotations

import re
from typing import Any

import yaml

from ..errors import PublishError

_FRONT_MATTER = re.compile(r"\A---[ \t]*\n(.*?)\n(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL)


def part(text: str) -> tuple[str, str]:
    """The YAML between the lines ``---`` at the top of a text (may be empty), and the rest."""
    found = _FRONT_MATTER.match(text)
    return (found[1], text[found.end() :]) if found else ("", text)


def parse(text: str, where: str) -> dict[str, Any]:
    """A YAML mapping; empty for an empty text.

    Raises :class:`~lab1.errors.PublishError`, naming ``where``, for anything else.
    """
    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise PublishError(f"{where}: not readable as YAML: {error}") from error
    if values is not None and not isinstance(values, dict):
        raise PublishError(f"{where}: needs 'key: value', got {text.strip()!r}")
    return values or {}
