"""What the modules that draw share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt
import pandas as pd

from ...core.datasets import DATASETS


def dataset_titles(frame: pd.DataFrame) -> str:
    """What a chart is about: a result on a re-encoded copy must say so wherever it is shown."""
    return ", ".join(sorted({DATASETS[name].title for name in frame["dataset"]}))


def ticks(last: int) -> list[int]:
    """Four or five whole numbers up to `last`."""
    step = max(1, round(last / 4))
    return list(range(step, last + 1, step))


def picked(field: str) -> tuple[alt.Parameter, Any]:
    """What a reader picks in the legend of `field`, and the opacity that leaves the rest faint.

    The selection belongs to the first marks that the legend explains: it answers to no other.
    """
    pick = alt.selection_point(fields=[field], bind="legend")
    return pick, alt.when(pick).then(alt.value(1)).otherwise(alt.value(0.12))


def interval_tooltip(title: str, format: str = ".2f") -> list[alt.Tooltip]:
    """What a mean with its interval says where the pointer is; `format` is d3's."""
    return [
        alt.Tooltip("mean:Q", title=title, format=format),
        alt.Tooltip("half_width:Q", title="± 95 %", format=format),
        alt.Tooltip("n:Q", title="seeds"),
    ]


def interval_rule(base: alt.Chart, title: str, **mark: Any) -> alt.Chart:
    """The interval of each mean, from its lower end to its upper."""
    rule: alt.Chart = base.mark_rule(**mark).encode(y=alt.Y("low:Q", title=title), y2="high:Q")
    return rule


def said(table: pd.DataFrame, form: str, between: str = "; ") -> str:
    """The rows of a table in words, for a text alternative: `form` has a field for each column."""
    columns = [str(name) for name in table.columns]
    rows = table.itertuples(index=False, name=None)
    return between.join(form.format(**dict(zip(columns, row, strict=True))) for row in rows)


def at_the_end(table: pd.DataFrame, by: Sequence[str], along: str = "epoch") -> pd.DataFrame:
    """The last row along a column of each curve, the curves in the order of the table."""
    return table.loc[table.groupby([*by], sort=False)[along].idxmax()]


def in_percent(table: pd.DataFrame) -> pd.DataFrame:
    """A summary of fractions as one of percentages."""
    scaled = table.copy()
    columns = ["mean", "half_width", "low", "high"]
    scaled[columns] = 100 * scaled[columns].astype(float)
    return scaled


def leading(
    table: pd.DataFrame, runs: pd.DataFrame, by: Sequence[str], runs_page: str = ""
) -> pd.DataFrame:
    """The table with a column `runs`: where a point that is one configuration leads.

    `by` are the columns that tie a row to its runs, which stand on the same page or on the
    `runs_page`; a row of none leads nowhere.
    """
    groups = {labels: own.iloc[0] for labels, own in runs.groupby([*by])["group"]}
    rows = table[[*by]].itertuples(index=False, name=None)
    led = [groups.get(labels, "") for labels in rows]
    # Vega follows null as if it were an address, and an empty one not.
    return table.assign(runs=[f"{runs_page}#runs-{group}" if group else "" for group in led])


def rounded(table: pd.DataFrame) -> pd.DataFrame:
    """Six significant digits: more than a pixel shows, and half the bytes on the page."""
    result = table.copy()
    for column in result.select_dtypes("float"):
        result[column] = [float(f"{value:.6g}") for value in result[column]]
    return result
