"""A chart's means as a reader may predict them, from the first of each line on."""

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from ..core.families import FAMILIES
from .statistics import summarize

#: How many grid lines a chart of predictions has, about, and how far beyond its values it reaches.
_LINES, _ROOM = 6, 1.6


def of(rows: pd.DataFrame, along: str, value: str, title: str) -> dict[str, Any] | None:
    """The means of `value`, in percent, by family along a column, with half of their intervals.

    `rows` has one for each run, in the order of the column, which `title` names; None where a line
    would have a single point, which a reader is given.
    """
    table = summarize(rows, ["family", along], value).fillna({"half_width": 0})
    at = rows[along].unique().tolist()
    whole = table.pivot(index="family", columns=along, values=["mean", "half_width"]).dropna()
    if len(at) < 2 or whole.empty:
        return None
    series: list[dict[str, Any]] = [
        {
            "name": name,
            "style": FAMILIES[name].style,
            "values": [round(float(row["mean", place]), 3) for place in at],
            "halves": [round(float(row["half_width", place]), 3) for place in at],
        }
        for name, row in zip(map(str, whole.index), whole.to_dict("records"), strict=True)
    ]
    return {
        "at": [str(place) for place in at],
        "title": title,
        "unit": "%",
        "ticks": _ticks([line["values"] for line in series]),
        "series": series,
    }


def _ticks(lines: Sequence[Sequence[float]]) -> list[float]:
    """Round numbers that reach as far above the first values as below: the axis betrays nothing."""
    furthest = max(abs(value - line[0]) for line in lines for value in line)
    room = _ROOM * max(1, furthest)
    low = max(0, min(line[0] for line in lines) - room)
    high = min(100, max(line[0] for line in lines) + room)
    step = next(s for s in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20) if s * _LINES >= high - low)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [round(step * place, 3) for place in range(first, last + 1)]
