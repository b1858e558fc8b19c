"""The time that a training image costs by depth, from interleaved timings."""

from __future__ import annotations

import pandas as pd

from ..claims import Prose
from ..kit import words
from ..kit.axes import Axis, Panels, depths
from ..kit.charts import lines
from ..kit.figure import Figure
from ..kit.words import dataset_titles


def time_by_depth(times: pd.DataFrame) -> Figure | Prose:
    """Milliseconds of a training image against depth: the median round, from smallest to largest.

    A time has no symmetric interval, and few rounds; so the rule has their extremes.  A panel for
    each benchmark and precision.  Without a benchmark, a sentence.
    """
    if times.empty:
        return Prose("*No benchmark here says what a training image costs.*")
    table = (
        times.groupby(["benchmark", "processor", "precision", "family", "depth"], sort=False)[
            "milliseconds"
        ]
        .agg(["median", "min", "max", "count"])
        .rename(columns={"min": "smallest", "max": "largest", "count": "rounds"})
        .reset_index()
    )
    where = table.assign(panel=table["processor"] + ", " + table["precision"])
    listed = words.rows(where, "{family} {depth}: {median:.3g} ms ({panel})")
    extremes = ("smallest", "largest")
    return lines(
        where,
        depths(table),
        Axis("median", "ms per training image", zero=True, digits=".3f", interval=extremes),
        panels=Panels("panel", columns=1),
        also={"rounds": ""},
        title=dataset_titles(times),
        text=f"Time of a training image on {dataset_titles(times)} by depth: {listed}.",
        data=table,
    )
