"""What a training image costs in time by depth: a chart and a sentence, from interleaved timings.

Each function takes the frame of `lab1.reporting.kit.timings.times`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import altair as alt
import pandas as pd

from ...core.escape import for_markdown
from ...core.families import residual_of, sole_difference
from ..kit import theme, words
from ..kit.drawing import dataset_titles, picked, rounded, said
from ..kit.figure import Figure
from ..kit.sentences import Verdict
from ..kit.words import NAMES
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
    table["panel"] = table["processor"] + ", " + table["precision"]
    families = list(table["family"].unique())
    title = "ms per training image"
    pick, shown = picked("family")
    base = alt.Chart().encode(
        x=alt.X(
            "depth:Q",
            title=words.depth_axis(families),
            scale=alt.Scale(type="log", nice=False, padding=20),
            axis=alt.Axis(format="d", values=sorted(table["depth"].unique().tolist())),
        ),
        color=theme.family_colour(families),
        opacity=shown,
    )
    y = alt.Y("median:Q", title=title, scale=alt.Scale(zero=True))
    chart = (
        alt.layer(
            base.mark_line().encode(y=y),
            base.mark_rule().encode(y=alt.Y("smallest:Q", title=title), y2="largest:Q"),
            base.mark_point(opacity=1).encode(
                y=y,
                shape=theme.family_shape(families),
                tooltip=[
                    alt.Tooltip("family:N", title="model"),
                    alt.Tooltip("depth:Q", title="depth"),
                    alt.Tooltip("median:Q", title=title, format=".3f"),
                    alt.Tooltip("smallest:Q", title="smallest", format=".3f"),
                    alt.Tooltip("largest:Q", title="largest", format=".3f"),
                    alt.Tooltip("rounds:Q", title="rounds"),
                ],
            ),
            data=rounded(table),
        )
        .properties(width=480, height=230)
        .facet(facet=alt.Facet("panel:N", title=None), columns=1)
        .properties(title=dataset_titles(times))
        .add_params(pick)
    )
    listed = said(table, "{family} {depth}: {median:.3g} ms ({panel})")
    described = f"Time of a training image on {dataset_titles(times)} by depth: {listed}."
    return Figure(chart, table.drop(columns="panel"), described)


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
