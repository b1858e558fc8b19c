"""The JSON schema of `params/*.yml`, by which editors complete and check them.

`python -m lab1.planning.params_schema > params/schema.json` writes it anew.
"""

from __future__ import annotations

import json
from typing import Any

from .chapters import CHAPTERS, Chapter


def schema() -> dict[str, Any]:
    """The schema; a profile names it in its first line: `# yaml-language-server: $schema=...`."""
    declared = {
        name: field.schema
        for chapter in CHAPTERS.values()
        for name, field in chapter.parameters.items()
        if name != "further"
    }
    chapters = _object({name: _pages(chapter) for name, chapter in CHAPTERS.items()})
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **_object({"chapters": chapters}),
        "required": ["chapters"],
        "$defs": declared,
    }


def _pages(chapter: Chapter) -> dict[str, Any]:
    """One set of parameters, or several, each further one with a name."""
    values: dict[str, Any] = {
        name: {"$ref": f"#/$defs/{name}"} for name in chapter.parameters if name != "further"
    }
    page: dict[str, Any] = {"type": "string", "description": "the end of the page's name"}
    name = {"type": "string", "description": "the name of the further runs"}
    if values:
        further = _object({"name": name, "role": {"enum": ["fresh"]}, **values})
        values["further"] = {"type": "array", "items": further | {"required": ["name"]}}
    one = _object({"page": page, **values})
    return {"anyOf": [one, {"type": "array", "items": one, "minItems": 1}]}


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "additionalProperties": False}


if __name__ == "__main__":
    print(json.dumps(schema(), sort_keys=True, separators=(",", ":")))
