"""Benchmarks: how long others take beside the trainer, and what a training image costs by depth.

A benchmark's rounds are its seeds: each trains every contender, or every network, once.  Published
benchmarks come by name, as `OpenChapter.benchmarks` and `depth_benchmarks` give them.  The seconds
of the runs themselves do not compare: they are of different days, beside other work.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from ..core import benchmarks
from ..core.datasets import DATASETS
from . import words
from .axes import Axis, Panels, depths
from .charts import draw_chart
from .claims import Prose
from .figure import Figure
from .selections import Selection
from .statistics import estimate, in_words, summarize
from .tables import Table, markup, number, text
from .theme import NEUTRAL
from .words import dataset_titles

Benchmarks = Mapping[str, Mapping[str, Any]]

NOTHING = Prose("There is no benchmark record here; `python -m lab1 bench` makes one.")

#: What all others are compared with.
OURS = "float32"


def rounds(published: Benchmarks, name: str) -> Selection:
    """The rounds of a benchmark, one row for each of its cases and contenders.

    `relative_time` is the time of a training image divided by that of the trainer in float32, in
    the same round; `test_accuracy` is that after the short training.
    """
    every = _rounds(published)
    rows = every[every["benchmark"] == name]
    return Selection(rows, {"processor": words.listed([*rows["processor"].unique()])})


def _measured(published: Benchmarks) -> Iterator[dict[str, Any]]:
    """The rounds of benchmarks, each with its machine; a round pairs its rows as a `seed` does."""
    processors = benchmarks.processors(published)
    for name, benchmark in published.items():
        for row in benchmarks.rounds(benchmark):
            yield {
                **row,
                "benchmark": name,
                "seed": row["round"],
                **dict.fromkeys(("hardware", "machine"), benchmarks.machine(benchmark)),
                "processor": processors[name],
                "device": benchmark["hardware"]["kind"],
                "versions": benchmark["versions"]["torch"],
            }


_ROUND = ("benchmark", "case", "round")
_COLUMNS = [
    "benchmark", "key", "seed", "device", "versions", "hardware", "processor", "case", "dataset",
    "contender", "precision", "relative_time", "images_per_second", "test_accuracy",
]  # fmt: skip


def _rounds(published: Benchmarks) -> pd.DataFrame:
    measured = [(*(row[name] for name in _ROUND), row) for row in _measured(published)]
    ours = {tuple(at): row["milliseconds"] for *at, row in measured if row["precision"] == OURS}
    rows = [
        {
            **row,
            "key": "/".join(map(str, (name, case, row["contender"], place))),
            "dataset": DATASETS[row["dataset"]].title,
            "relative_time": row["milliseconds"] / ours[name, case, place],
            "test_accuracy": row["accuracy"],
        }
        for name, case, place, row in measured
        if (name, case, place) in ours
    ]
    return pd.DataFrame(rows, columns=_COLUMNS)


def ratios(published: Benchmarks) -> Figure | Prose:
    """The time of each contender over that of ours in float32, a panel per task."""
    if not published:
        return NOTHING
    others = _rounds(published)
    others = others[others["precision"] != OURS]
    by = ["case", "processor", "dataset", "contender"]
    table = summarize(others, by, "relative_time")
    order = others[by].drop_duplicates().reset_index(drop=True)
    tasks = list(dict.fromkeys(order["case"]))  # in their order, the machines of each together
    order = order.sort_values("case", key=lambda names: names.map(tasks.index), kind="stable")
    table = order.merge(table, on=by)
    beside = "processor" if table["processor"].nunique() > 1 else "dataset"
    rows = table.assign(
        panel=table[["case", beside]].agg(", ".join, axis=1),
        # Beside the panels there is room for so much of a name.
        beside=table["contender"].str.replace("PyTorch | Trainer", "", regex=True),
    )
    most = float(table[["mean", "high"]].astype(float).max().max())
    return draw_chart(
        rows,
        Axis("mean", "times as long as lab1, float32", domain=(0, 1.05 * most)),
        Axis("beside", order=[*rows["beside"].unique()]),
        marks="points",
        panels=Panels("panel", columns=min(2, table["processor"].nunique())),
        colour=NEUTRAL,
        level=1,
        also={"contender": ""},
        text="Time of a training image, relative to lab1 in float32. "
        f"{words.rows(rows, '{panel}, {contender}: {mean:.2f} times')}.",
        data=table,
    )


def table(published: Benchmarks) -> Table | Prose:
    """Every contender of every task: its time, its speed, and its accuracy after the training."""
    if not published:
        return NOTHING
    frame = _rounds(published)
    several = frame["processor"].nunique() > 1
    rows, cells = [], []
    for (machine, case, dataset, contender), part in frame.groupby(
        ["hardware", "case", "dataset", "contender"], sort=False
    ):
        time = estimate(part["relative_time"])
        accuracy = estimate(100 * part["test_accuracy"])
        rate = part["images_per_second"].mean()
        rows.append(
            {
                "hardware": machine, "case": case, "dataset": dataset, "contender": contender,
                "relative_time": time.mean, "time_half_width": time.half_width,
                "images_per_second": rate, "accuracy": accuracy.mean,
                "accuracy_half_width": accuracy.half_width, "n": time.n,
            }
        )  # fmt: skip
        cells.append(
            [
                *([text(str(machine))] if several else []),
                text(f"{case}, {dataset}"),
                text(str(contender)),
                number("1" if set(part["precision"]) == {OURS} else in_words(time)),
                number(f"{rate:,.0f}"),
                number(in_words(accuracy, ".1f") if accuracy.n else ""),
            ]
        )
    header = ["Task", "Contender", "Times as long", "Images/s", "Accuracy (%)"]
    header = ["Machine", *header] if several else header
    return Table(pd.DataFrame(rows).round(4), markup(header, cells))


_TIMES = [
    "benchmark", "machine", "processor", "precision", "family", "depth", "dataset", "round",
    "milliseconds", "ratio", "seed", "key",
]  # fmt: skip


def times(runs: pd.DataFrame, published: Benchmarks) -> pd.DataFrame:
    """One row per benchmark, network of `runs` and round, see `lab1.core.benchmarks.rounds`.

    `published` is what `OpenChapter.depth_benchmarks` gives.  Left out is what differs from all
    runs in the shape of its images or the FLOPs of its network and, where a benchmark has the
    networks in a precision of the runs, its other precisions.  No two benchmarks share the name of
    a `processor`.  A selection of rows of one benchmark can be compared.
    """
    shapes = {DATASETS[name].image_shape for name in runs["dataset"]}
    networks = set(zip(runs["family"], runs["depth"], runs["flops"], strict=True))
    rows = [
        {**row, "key": f"{row['benchmark']}/{row['family']}-{row['depth']}-{row['round']}"}
        for row in _measured(published)
        if DATASETS[row["dataset"]].image_shape in shapes
        and (row["family"], row["depth"], row["flops"]) in networks
    ]
    table = pd.DataFrame(rows, columns=_TIMES)
    alike = table["precision"].isin(runs["precision"])
    others = ~table["benchmark"].isin(table["benchmark"][alike])
    return table.loc[alike | others].reset_index(drop=True)


def of_one_machine(times: pd.DataFrame) -> pd.DataFrame:
    """The rows of the first benchmark: times of several machines are no times of one network."""
    return times[times["benchmark"].isin(times["benchmark"].head(1))]


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
    return draw_chart(
        where,
        depths(table),
        Axis("median", "ms per training image", zero=True, digits=".3f", interval=extremes),
        panels=Panels("panel", columns=1),
        also={"rounds": ""},
        title=dataset_titles(times),
        text=f"Time of a training image on {dataset_titles(times)} by depth: {listed}.",
        data=table,
    )
