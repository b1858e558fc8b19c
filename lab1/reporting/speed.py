"""The page on speed: how fast the trainer is beside others, from the benchmark records.

Each function takes the benchmarks by name, as `OpenChapter.benchmarks` gives them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from ..core import benchmarks
from ..core.escape import for_markdown
from .kit import charts, words
from .kit.axes import Axis, Panels
from .kit.figure import NEUTRAL, Figure
from .kit.sentences import Verdict, paragraph, points
from .kit.statistics import estimate
from .kit.tables import Table, markup, number, text
from .kit.words import listed

Benchmarks = Mapping[str, Mapping[str, Any]]

NOTHING = Verdict("There is no benchmark record here; `python -m lab1 bench` makes one.")

_COLUMNS = [
    "hardware", "processor", "case", "dataset", "contender", "images_per_second", "ratio",
    "minimum", "maximum", "accuracy", "lowest_accuracy", "highest_accuracy", "share_of_peak",
]  # fmt: skip


def frame(published: Benchmarks, *, ours: bool = True) -> pd.DataFrame:
    """The rows of `summary` for every benchmark, with its `hardware`; `ours` among them or not."""
    processors = benchmarks.processors(published)
    rows = [
        {
            **row,
            "hardware": benchmarks.machine(each),
            "processor": processors[name],
            "dataset": row["dataset_title"],
        }
        for name, each in published.items()
        for row in benchmarks.summary(each)
        if ours or row["precision"] is None
    ]
    return pd.DataFrame(rows, columns=_COLUMNS)


def answer(published: Benchmarks) -> Verdict:
    """What opens the page: how many times as fast, and where that was measured."""
    if not published:
        return NOTHING
    machines = (Verdict(f"{_ratios(each)} {_catch(each)}") for each in published.values())
    return paragraph(*machines, Verdict("Another machine gives other ratios."))


def _ratios(benchmark: Mapping[str, Any]) -> str:
    """How fast ours is beside the reference loop, task by task, and beside the others."""
    rows = [row for row in benchmarks.summary(benchmark) if row["precision"] is None]
    reference = benchmark["contenders"].get(benchmarks.REFERENCE)
    tasks = [row for row in rows if row["contender"] == reference]
    sentences = []
    if tasks:
        sentences.append(
            f"On {for_markdown(benchmarks.machine(benchmark))}, the trainer of this site is "
            f"{_range(tasks)} as fast as the "
            f"{for_markdown(reference)}, which is the usual one of tutorials: "
            + "; ".join(
                f"{row['ratio']:.1f} times for {for_markdown(row['case'])}" for row in tasks
            )
            + "."
        )
    claims: dict[str, list[str]] = {}
    for title in dict.fromkeys(row["contender"] for row in rows if row["contender"] != reference):
        own = [row for row in rows if row["contender"] == title]
        claims.setdefault(_claim(own), []).append(f"{for_markdown(title)} ({_range(own)} as fast)")
    sentences += [f"{claim} {listed(others)}." for claim, others in claims.items()]
    return " ".join(sentences)


def _range(rows: list[dict[str, Any]]) -> str:
    """The median ratios of several tasks: `2.2 to 4.4 times`."""
    ratios = [row["ratio"] for row in rows]
    return (
        " to ".join(dict.fromkeys(f"{each:.1f}" for each in (min(ratios), max(ratios)))) + " times"
    )


def _claim(rows: list[dict[str, Any]]) -> str:
    """What all rounds of all tasks say of ours beside one contender."""
    if all(row["minimum"] > 1 for row in rows):
        return "On every task it is faster than"
    if all(row["maximum"] < 1 for row in rows):
        return "On every task it is slower than"
    return "It is not always faster than"


def _catch(benchmark: Mapping[str, Any]) -> str:
    """How often the ratios were measured, with what, and what disturbed it."""
    hardware, versions = benchmark["hardware"], benchmark["versions"]
    used = [f"{hardware['threads']} threads"] if hardware["kind"] == "cpu" else []
    used += [
        f"{name} {versions[name]}" for name in ("transformers", "lightning") if name in versions
    ]
    rounds = benchmarks.summary(benchmark)[0]["rounds"]
    using = f", with {for_markdown(listed(used))}" if used else ""
    disturbed = f" {for_markdown(benchmark['note'])}" if benchmark["note"] else ""
    return f"These are medians of {rounds} rounds{using}.{disturbed}"


def ratios(published: Benchmarks) -> Figure | Verdict:
    """How many times as fast ours is as each other contender, a panel per task."""
    if not published:
        return NOTHING
    table = frame(published, ours=False)
    tasks = list(dict.fromkeys(table["case"]))  # in their order, the machines of each together
    table = table.sort_values("case", key=lambda names: names.map(tasks.index), kind="stable")
    beside = "processor" if table["processor"].nunique() > 1 else "dataset"
    rows = table.assign(
        panel=table[["case", beside]].agg(", ".join, axis=1),
        # Beside the panels there is room for so much of a name.
        beside=table["contender"].str.replace("PyTorch | Trainer", "", regex=True),
    )
    extremes, most = ("minimum", "maximum"), float(table["maximum"].max())
    return charts.points(
        rows,
        Axis("ratio", "times as fast", domain=(0, 1.05 * most), interval=extremes),
        Axis("beside", order=[*rows["beside"].unique()]),
        panels=Panels("panel", columns=1),
        colour=NEUTRAL,
        level=1,
        also={"contender": "", "images_per_second": ".0f"},
        text="Speed beside others. "
        f"{words.rows(rows, '{panel}: {ratio:.2f} times as fast as {contender}')}.",
        data=table,
    )


def table(published: Benchmarks) -> Table | Verdict:
    """Every contender of every task: ratio, speed, and the accuracy after the short training."""
    if not published:
        return NOTHING
    found = frame(published)
    several = found["processor"].nunique() > 1
    rows = [
        [
            *([text(row["hardware"])] if several else []),
            text(f"{row['case']}, {row['dataset']}"),
            text(row["contender"]),
            number(f"{row['ratio']:.2f} ({row['minimum']:.2f}–{row['maximum']:.2f})"),
            number(f"{row['images_per_second']:,.0f}"),
            number(
                f"{100 * row['accuracy']:.1f} ({100 * row['lowest_accuracy']:.1f}–"
                f"{100 * row['highest_accuracy']:.1f})"
            ),
        ]
        for row in found.to_dict("records")
    ]
    header = ["Task", "Contender", "Ours: times as fast", "Images/s", "Accuracy (%)"]
    header = ["Machine", *header] if several else header
    return Table(found.round(4), markup(header, rows))


def precision(published: Benchmarks) -> Verdict:
    """Which precision is faster, and whether the accuracies differ, paired by round."""
    if not published:
        return NOTHING
    return paragraph(*(_precision(each) for each in published.values()), between="\n\n")


def _precision(each: Mapping[str, Any]) -> Verdict:
    sentences = []
    measured = benchmarks.precisions(each)
    if measured:
        where = for_markdown(benchmarks.machine(each))
        ratios = "; ".join(_times_as_fast(row) for row in measured)
        sentences.append(f"On {where}, the trainer in bfloat16 is {ratios}.")
    found = pd.DataFrame(benchmarks.rounds(each))
    for case, own in found.groupby("case", sort=False):
        by_precision = own.pivot_table(index="round", columns="precision", values="accuracy")
        if "bf16" not in by_precision:
            continue
        difference = estimate(by_precision["bf16"] - by_precision["float32"])
        claim = {1: "a gain", -1: "a loss", 0: "no measurable difference"}[difference.sign]
        sentences.append(
            f"{for_markdown(case)} in bfloat16 instead of float32 ends "
            f"{points(difference, signed=True)} apart in test accuracy over {difference.n} "
            f"rounds: {claim}."
        )
    return Verdict(" ".join(sentences))


def _times_as_fast(row: Mapping[str, Any]) -> str:
    """One task in bfloat16 beside float32: `1.50 times as fast for ResNet-20 (1.45 to 1.57)`."""
    claim = {
        "bf16": "",
        "float32": ", slower in every round",
        None: ", neither faster in every round",
    }[row["faster"]]
    return (
        f"{row['ratio']:.2f} times as fast as in float32 for {for_markdown(row['case'])} "
        f"({row['minimum']:.2f} to {row['maximum']:.2f}{claim})"
    )
