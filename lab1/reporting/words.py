"""The names of families, depths and data in prose, axes and headings."""

from collections.abc import Iterable, Sequence

import pandas as pd

from ..core.datasets import DATASETS
from ..core.families import FAMILIES


def depth(count: int, family: str) -> str:
    """`1 layer`, `32 layers`, `4 stages`."""
    return f"{count} {FAMILIES[family].unit}{'' if count == 1 else 's'}"


def depths(counts: Iterable[int], family: str) -> str:
    """`2, 4 and 8 layers`."""
    return f"{listed([str(count) for count in counts])} {FAMILIES[family].unit}s"


def listed(parts: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join([", ".join(parts[:-1])] * (len(parts) > 1) + [*parts[-1:]])


def depth_axis(families: Iterable[str]) -> str:
    """The name of depth where all of `families` are shown: `hidden layers`, say."""
    axes = {FAMILIES[family].axis for family in families}
    return axes.pop() if len(axes) == 1 else "depth"


def dataset_titles(frame: pd.DataFrame) -> str:
    """The titles of a chart's data sets, which say so of a re-encoded copy."""
    return ", ".join(sorted({DATASETS[name].title for name in frame["dataset"]}))


def rows(table: pd.DataFrame, form: str, between: str = "; ") -> str:
    """The rows of a table in words, for a text alternative: `form` has a field for each column."""
    names = [str(name) for name in table.columns]
    values = table.itertuples(index=False, name=None)
    return between.join(form.format(**dict(zip(names, row, strict=True))) for row in values)
