"""How a key is made of what is hashed."""

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
        each.name: getattr(instance, each.name)
        for each in fields(instance)
        if getattr(instance, each.name) != each.default or each.metadata.get("always hashed")
    }
