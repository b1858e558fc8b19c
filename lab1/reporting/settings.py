"""The settings of a page beside the published ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from ..core.fields import Field
from .kit import tables, words


def table(
    asked: Mapping[str, Any], published: Mapping[str, Any], declared: Mapping[str, Field]
) -> tables.Table:
    """A folded table of each parameter: what it means, its value, and the published one.

    The last column is left out where it would repeat the values.
    """
    rows = [
        (declared[name].meaning, name, _in_words(value), _in_words(published.get(name)))
        for name, value in asked.items()
        if (value, published.get(name)) != (None, None)
    ]
    columns = ["Setting", "Parameter", "Value", "Published"]
    if all(value == usual for *_, value, usual in rows):
        columns.pop()
    kept = [row[: len(columns)] for row in rows]
    cells = [[tables.text(value) for value in row] for row in kept]
    return tables.Table(
        pd.DataFrame(kept, columns=columns),
        "<details><summary>Every setting and its value</summary>\n"
        f"{tables.markup(columns, cells)}\n</details>",
    )


def _in_words(value: Any) -> str:
    if isinstance(value, tuple):
        return words.listed([str(part) for part in value])
    return "none" if value is None else str(value)
