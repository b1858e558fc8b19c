"""Makes a key of what is hashed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any


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
