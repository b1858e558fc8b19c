"""The performance page: how fast the trainer is beside others, from the benchmark records.

Each function takes the benchmarks by name, as `published` gives them.
"""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Any

import altair as alt
import pandas as pd

from ..core import benchmarks
from .kit.drawing import picked
from .kit.figure import Figure
from .kit.sentences import Verdict, points
from .kit.statistics import estimate
from .kit.tables import Table, markup, number, text

#: Okabe and Ito's, as in `lab1.reporting.kit.theme`.
_COLOURS = ["#d55e00", "#3d8fd1", "#1a9e77"]

Benchmarks = Mapping[str, Mapping[str, Any]]

NOTHING = Verdict("There is no benchmark record here; `python -m lab1 bench` makes one.")


def frame(published: Benchmarks) -> pd.DataFrame:
    """The rows of `summary` for every benchmark, with its `hardware`."""
    rows = [
        {"hardware": benchmarks.machine(each), **row}
        for each in published.values()
        for row in benchmarks.summary(each)
    ]
    return pd.DataFrame(rows)


def ratios(published: Benchmarks) -> Figure | Verdict:
    """How many times as fast ours is as each other contender, a panel per task."""
    if not published:
        return NOTHING
    table = frame(published)
    table = table[~table["contender"].str.startswith("lab1")].drop(columns="target")
    others = list(table["contender"].unique())
    pick, opacity = picked("contender")
    base = alt.Chart().encode(
        y=alt.Y("contender:N", title=None, axis=alt.Axis(labels=False, ticks=False)),
        color=alt.Color("contender:N", scale=alt.Scale(domain=others, range=_COLOURS)),
        opacity=opacity,
    )
    x = alt.X(
        "ratio:Q",
        title="times as fast",
        scale=alt.Scale(domainMin=0, domainMax=float(table["maximum"].max()) * 1.05),
    )
    spread = (
        base.mark_rule()
        .encode(x=alt.X("minimum:Q", title="times as fast"), x2="maximum:Q")
        .add_params(pick)
    )
    marks = base.mark_point(opacity=1).encode(
        x=x,
        shape=alt.Shape("contender:N", scale=alt.Scale(domain=others)),
        tooltip=[
            alt.Tooltip("case:N", title="task"),
            alt.Tooltip("contender:N", title="beside"),
            alt.Tooltip("ratio:Q", title="median ratio", format=".2f"),
            alt.Tooltip("minimum:Q", title="smallest", format=".2f"),
            alt.Tooltip("maximum:Q", title="largest", format=".2f"),
            alt.Tooltip("images_per_second:Q", title="its images/s", format=".0f"),
        ],
    )
    one = alt.Chart().mark_rule(strokeDash=[4, 4], color="#8a8a8a").encode(x=alt.datum(1))
    facets = ["case", "dataset"] + ["hardware"] * (table["hardware"].nunique() > 1)
    table["panel"] = table[facets].agg(", ".join, axis=1)
    chart = (
        alt.layer(one, spread, marks, data=table)
        .properties(width=480, height=80)
        .facet(facet=alt.Facet("panel:N", title=None, sort=list(table["panel"])), columns=1)
    )
    said = "; ".join(
        f"{row['panel']}: {row['ratio']:.2f} times as fast as {row['contender']}"
        for row in table.to_dict("records")
    )
    return Figure(chart, table.drop(columns="panel"), f"Speed beside others. {said}.")


def table(published: Benchmarks) -> Table | Verdict:
    """Every contender of every task: speed, ratio, and the accuracy after the short training."""
    if not published:
        return NOTHING
    rows_of = frame(published)
    rows = []
    for row in rows_of.to_dict("records"):
        rows.append(
            [
                text(row["case"]),
                text(row["dataset"]),
                text(row["contender"]),
                number(f"{row['images_per_second']:,.0f}"),
                number(f"{row['ratio']:.2f} ({row['minimum']:.2f}–{row['maximum']:.2f})"),
                number(
                    f"{100 * row['accuracy']:.1f} ({100 * row['lowest_accuracy']:.1f}–"
                    f"{100 * row['highest_accuracy']:.1f})"
                ),
                number(f"{100 * row['share_of_peak']:.1f}"),
            ]
        )
    header = [
        "Task", "Dataset", "Contender", "Images/s", "Ours is faster by", "Accuracy (%)",
        "Share of peak (%)",
    ]  # fmt: skip
    return Table(rows_of.round(4), markup(header, rows))


def verdict(published: Benchmarks) -> Verdict:
    """Which ratios to the reference loop were reached, and whether bf16 cost accuracy."""
    sentences = []
    for each in published.values():
        rows = benchmarks.summary(each)
        reached: list[str] = []
        missed: list[str] = []
        for row in rows:
            if row["target"] is not None:
                words = f"{row['ratio']:.2f} times for {row['case']} (the aim: {row['target']:g})"
                (reached if row["ratio"] >= row["target"] else missed).append(words)
        sentences.append(
            f"On this machine ({html.escape(benchmarks.machine(each))}) the median ratio to the "
            "reference loop "
            + "; ".join(
                [f"reaches the aim with {', '.join(reached)}"] * bool(reached)
                + [f"misses it with {', '.join(missed)}"] * bool(missed)
            )
            + "."
        )
        others = [r for r in rows if not r["contender"].startswith("lab1")]
        slower = [f"{r['contender']} on {r['case']}" for r in others if r["ratio"] < 1]
        sentences.append(
            f"It is slower than {', '.join(slower)}."
            if slower
            else "It is slower than none of the others."
        )
        sentences += [_precision(case, each) for case in each["cases"]]
    return Verdict(" ".join(filter(None, sentences))) if sentences else NOTHING


def _precision(case: Mapping[str, Any], benchmark: Mapping[str, Any]) -> str:
    """Whether the accuracy in bfloat16 differs from that in float32, paired by round."""
    rounds = case["rounds"]
    if "lab1-bf16" not in rounds:
        return ""
    pairs = zip(rounds["lab1-bf16"], rounds["lab1"], strict=True)
    difference = estimate([low["accuracy"] - full["accuracy"] for low, full in pairs])
    claim = {
        1: "a gain",
        -1: "a loss",
        0: "no measurable difference",
    }[difference.sign]
    return (
        f"{case['title']} in bfloat16 instead of float32 ends {points(difference, signed=True)} "
        f"apart in test accuracy over {difference.n} rounds: {claim}."
    )
