"""What a training image costs in time by depth: a chart and a sentence, from interleaved timings.

Each function takes the frame of `lab1.reporting.kit.timings.times`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import pandas as pd

from ...core.escape import for_markdown
from ...core.families import residual_of, sole_difference
from ..kit import words
from ..kit.axes import Axis, Panels, depths
from ..kit.charts import lines
from ..kit.figure import Figure
from ..kit.sentences import Verdict
from ..kit.words import NAMES, dataset_titles
from .selection import of_family

NOTHING = Verdict("No benchmark here says what a training image costs.")


def time_by_depth(times: pd.DataFrame) -> Figure | Verdict:
    """Milliseconds of a training image against depth: the median round, from smallest to largest.

    A time has no symmetric interval, and few rounds; so the rule has their extremes.  A panel for
    each benchmark and precision.  Without a benchmark, a sentence.
    """
    if times.empty:
        return NOTHING
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


def cost_of_depth(times: pd.DataFrame, runs: pd.DataFrame, plain: str) -> Verdict:
    """What depth costs a plain family, and what its residual one costs beside it, in time.

    A sentence or two for each benchmark and precision; ratios are taken within a round.  `runs`
    have the FLOPs.
    """
    sentences = []
    residual = residual_of(plain)
    flops = runs.groupby(["family", "depth"])["flops"].first()
    for (_, precision), own in times.groupby(["benchmark", "precision"], sort=False):
        plains, residuals = (
            of_family(own, each).pivot(index="round", columns="depth", values="milliseconds")
            for each in (plain, residual)
        )
        depths = sorted(int(str(depth)) for depth in plains.columns)
        if not depths or depths[-1] not in residuals:
            continue
        last, twin = plains[depths[-1]], residuals[depths[-1]]
        sentence = (
            f"On {for_markdown(own['machine'].iloc[0])} ({precision}, median of {len(last)} "
            f"rounds), a training image costs the {NAMES[plain]} "
        )
        if len(depths) > 1:
            first = plains[depths[0]]
            operations = flops.loc[(plain, depths[-1])] / flops.loc[(plain, depths[0])]
            sentence += (
                f"{_milliseconds(first)} with {words.depth(depths[0], plain)} and "
                f"{_milliseconds(last)} with {words.depth(depths[-1], plain)}: "
                f"{(last / first).median():.1f} times as much, for {operations:.1f} times the "
                "FLOPs. "
            )
        else:
            sentence += f"{_milliseconds(last)} with {words.depth(depths[-1], plain)}. "
        beside = (
            "With skip connections it is"
            if sole_difference(plain) == "the skip connections"
            else f"The {NAMES[residual]} of that depth takes"
        )
        sentences.append(f"{sentence}{beside} {(twin / last).median():.2f} times that.")
        sentences += [
            for_markdown(note)
            for note in own["note"].unique()
            if note and _concerns(note, (plain, residual))
        ]
    return Verdict(" ".join(sentences)) if sentences else NOTHING


def _concerns(note: str, families: Sequence[str]) -> bool:
    """Whether a benchmark's note names one of the families, or none at all."""
    named = set(re.findall(r"\w+", note)) & set(NAMES)
    return not named or not named.isdisjoint(families)


def _milliseconds(values: pd.Series[float]) -> str:
    """`0.024 ms`, `3.05 ms`: three significant digits."""
    return f"{values.median():#.3g} ms"
