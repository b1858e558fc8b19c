"""The JSON schema of `params/*.yml`, by which editors complete and check, and parameters cells."""

from __future__ import annotations

from typing import Any

from .chapters import CHAPTERS, Chapter


def schema() -> dict[str, Any]:
    """The schema; a profile names it in its first line: `# yaml-language-server: $schema=...`."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **_object({"chapters": _object({name: _pages(each) for name, each in CHAPTERS.items()})}),
        "required": ["chapters"],
    }


def _pages(chapter: Chapter) -> dict[str, Any]:
    """One set of parameters, or several, each further one with a name."""
    page = {"type": "string", "description": "the end of the page's name"}
    values = {name: each.schema for name, each in chapter.parameters.items()}
    one = _object({"page": page, **values})
    return {"anyOf": [one, {"type": "array", "items": one, "minItems": 1}]}


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "additionalProperties": False}


def cell(chapter: Chapter) -> str:
    """The parameters cell of a chapter's notebook: all unset, each with its meaning and range."""
    return "".join(
        f"{name} = None  # {each.meaning}: {each.allowed}\n"
        for name, each in chapter.parameters.items()
    )
