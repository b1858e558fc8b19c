"""The time of a training image, network by network, from the benchmarks that compare depths.

The seconds of the runs themselves do not compare: they are of different days, beside other work.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from ...core import benchmarks
from ...core.datasets import DATASETS

_COLUMNS = [
    "benchmark", "machine", "processor", "note", "precision", "family", "depth", "dataset", "round",
    "milliseconds", "ratio", "seed", "key",
]  # fmt: skip


def times(runs: pd.DataFrame, published: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """One row per benchmark, network of `runs` and round, see `lab1.core.benchmarks.rounds`.

    `published` is what `OpenChapter.depth_benchmarks` gives.  Left out is what differs from all
    runs in the shape of its images or the FLOPs of its network and, where a benchmark has the
    networks in a precision of the runs, its other precisions.  No two benchmarks share the name of
    a `processor`.  A round pairs the networks as a `seed` does, so that a selection of rows of one
    benchmark can be compared.
    """
    shapes = {DATASETS[name].image_shape for name in runs["dataset"]}
    networks = set(zip(runs["family"], runs["depth"], runs["flops"], strict=True))
    processors = benchmarks.processors(published)
    rows = []
    for name, each in published.items():
        of_benchmark = [
            {
                "benchmark": name,
                "machine": benchmarks.machine(each),
                "processor": processors[name],
                "note": each["note"],
                **{column: row[column] for column in _COLUMNS[4:-2]},
                "seed": row["round"],
                "key": f"{name}/{row['family']}-{row['depth']}-{row['round']}",
            }
            for row in benchmarks.rounds(each)
            if DATASETS[row["dataset"]].image_shape in shapes
            and (row["family"], row["depth"], row["flops"]) in networks
        ]
        rows += [
            row for row in of_benchmark if row["precision"] in set(runs["precision"])
        ] or of_benchmark
    return pd.DataFrame(rows, columns=_COLUMNS)


def of_one_machine(times: pd.DataFrame) -> pd.DataFrame:
    """The rows of the first benchmark: times of several machines are no times of one network."""
    return times[times["benchmark"].isin(times["benchmark"].head(1))]
