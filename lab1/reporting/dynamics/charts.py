"""How the trainings went: learning rates, gradient norms, where they stopped, what they cost.

Where there is no run of the kind that a function shows, it gives a sentence that says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import pandas as pd

from ..comparison.verdicts import base_rate
from ..degradation import charts as degradation
from ..kit import theme, words
from ..kit.drawing import dataset_titles, picked, rounded, ticks
from ..kit.figure import Figure
from ..kit.panels import Axis, complete, panels
from ..kit.sentences import Verdict
from ..kit.statistics import estimate, in_words, summarize
from ..kit.tables import (
    DATASET,
    DEPTH,
    DEVICE,
    LEARNING_RATE,
    MODEL,
    PARAMETERS,
    RUNS_PAGE,
    Column,
    Table,
    column_n,
    count_of_runs,
    table_of,
)
from ..pages.summary import NO_RUNS, sortable


def schedules(
    history: pd.DataFrame, runs: pd.DataFrame, pages: Mapping[str, Sequence[str]]
) -> Figure | Verdict:
    """The learning rate at the end of each epoch, a panel per page and a line per course of it.

    `pages` names the pages that show a run, by its key.
    """
    if runs.empty:
        return NO_RUNS
    # One run is enough for each course: the longest, since the others are its beginning.
    settings = ["optimizer", "schedule", "learning_rate", "epochs_allowed"]
    placed = runs.assign(page=runs["key"].map(lambda key: [*pages[key]])).explode("page")
    longest = placed.sort_values("epochs").drop_duplicates(["page", *settings], keep="last")
    courses = longest[["page", "key", *settings]].merge(
        history[["key", "epoch", "scheduled_learning_rate"]], on="key"
    )
    table = courses.drop(columns="key").rename(columns={"scheduled_learning_rate": "rate"})
    table["page"] = table["page"].str.replace("_", ".")
    chart = (
        alt.Chart(rounded(table))
        .mark_line(point={"size": 16}, color=theme.NEUTRAL)
        .encode(
            x=alt.X("epoch:Q", title="epoch", axis=alt.Axis(format="d", tickMinStep=1)),
            y=alt.Y("rate:Q", title="learning rate", scale=alt.Scale(zero=True)),
            detail=["learning_rate:N", "schedule:N", "optimizer:N", "epochs_allowed:N"],
            tooltip=[
                alt.Tooltip("optimizer:N", title="optimiser"),
                alt.Tooltip("schedule:N", title="schedule"),
                alt.Tooltip("learning_rate:Q", title="highest rate", format="~g"),
                alt.Tooltip("epochs_allowed:Q", title="epochs at most"),
                alt.Tooltip("epoch:Q", title="epoch"),
                alt.Tooltip("rate:Q", title="rate at its end", format=".3g"),
            ],
        )
        .properties(width=210, height=150)
        .facet(facet=alt.Facet("page:N", title="page"), columns=3)
        .resolve_scale(x="independent", y="independent")
    )
    said = [
        f"{page}: {', '.join(sorted({_course(row) for row in own.to_dict('records')}))}"
        for page, own in table.groupby("page", sort=True)
    ]
    return Figure(
        chart,
        table,
        f"Learning rate at the end of each epoch, a panel per page. {'; '.join(said)}.",
    )


def _course(row: Mapping[Any, Any]) -> str:
    return f"{row['optimizer']} {row['schedule']} from {row['learning_rate']:g}"


def gradient_norms(history: pd.DataFrame) -> Figure | Verdict:
    """The mean norm of an epoch's gradients, a panel per depth."""
    if history.empty:
        return NO_RUNS
    known = base_rate(history).dropna(subset=["gradient_norm"])
    table = summarize(known, ["family", "depth", "epoch"], "gradient_norm")
    table = complete(table, ["family", "depth"])
    last = table.sort_values("epoch").drop_duplicates(["family", "depth"], keep="last")
    ends = [f"{r['family']} {r['depth']}: {r['mean']:.3g}" for r in last.to_dict("records")]
    chart = panels(
        table,
        x=Axis("epoch", "epoch", values=ticks(table["epoch"].max())),
        y=Axis("mean", "gradient norm", log=True, format=".3g"),
        facet=alt.Facet("depth:O", title=words.depth_axis(list(table["family"].unique()))),
        title=dataset_titles(history),
    )
    return Figure(
        chart,
        table,
        f"Mean norm of the gradients of an epoch on {dataset_titles(history)}, a panel per depth. "
        "In the last epoch: " + "; ".join(ends) + ".",
    )


def with_patience(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs that could be stopped early."""
    chosen: pd.DataFrame = runs[runs["patience"].notna()] if len(runs) else runs
    return chosen


def stopping(runs: pd.DataFrame) -> Figure | Verdict:
    """Each run with a patience from its best epoch to its last, a panel per family."""
    own = with_patience(runs)
    if own.empty:
        return NO_PATIENCE
    columns = [
        "family", "dataset_title", "depth", "learning_rate", "seed", "best_epoch", "epochs",
        "epochs_allowed", "patience", "stopped",
    ]  # fmt: skip
    table = own[columns].sort_values(["family", "depth", "learning_rate", "seed"])
    families = list(table["family"].unique())
    shown = rounded(table)
    shown["run"] = shown.groupby(["family", "depth"]).cumcount()
    pick, opacity = picked("family")
    base = alt.Chart().encode(
        y=alt.Y("depth:O", title=words.depth_axis(families)),
        yOffset="run:O",
        color=theme.family_colour(families),
        opacity=opacity,
    )
    tooltip = [
        alt.Tooltip("depth:Q", title="depth"),
        alt.Tooltip("learning_rate:Q", title="learning rate", format="~g"),
        alt.Tooltip("seed:Q", title="seed"),
        alt.Tooltip("best_epoch:Q", title="best epoch"),
        alt.Tooltip("epochs:Q", title="stopped after epoch"),
        alt.Tooltip("epochs_allowed:Q", title="epochs at most"),
        alt.Tooltip("patience:Q", title="patience"),
        alt.Tooltip("stopped:N", title="stopped by"),
    ]
    x = alt.X("best_epoch:Q", title="epoch", scale=alt.Scale(zero=True))
    chart = (
        alt.layer(
            base.mark_rule().encode(x=x, x2="epochs:Q", tooltip=tooltip).add_params(pick),
            base.mark_point(shape="circle").encode(x=x, tooltip=tooltip),
            base.mark_tick(thickness=2).encode(x=alt.X("epochs:Q", title="epoch"), tooltip=tooltip),
            data=shown,
        )
        .properties(width=280, height=60 * table["depth"].nunique())
        .facet(facet=alt.Facet("family:N", title=None), columns=2)
        .properties(title=dataset_titles(own))
    )
    said = [
        f"{family}: best epoch {part['best_epoch'].mean():.1f}, stopped after "
        f"{part['epochs'].mean():.1f} in the mean of {len(part)} runs"
        for family, part in table.groupby("family", sort=False)
    ]
    return Figure(
        chart,
        table,
        f"From the best epoch (point) to the last (tick) of each run on {dataset_titles(own)}, a "
        f"panel per family. {'; '.join(said)}.",
    )


NO_PATIENCE = Verdict("No run here had a patience: each was trained for all of its epochs.")


def stopping_table(runs: pd.DataFrame) -> Table | Verdict:
    """A row per configuration with a patience: what it saw, and where its runs ended."""
    own = with_patience(runs)
    if own.empty:
        return NO_PATIENCE
    columns = [
        MODEL,
        DATASET,
        DEPTH,
        LEARNING_RATE,
        Column("Patience", lambda part: int(part["patience"].iloc[0])),
        Column("Epochs at most", "epochs_allowed"),
        Column("Mean best epoch", lambda part: part["best_epoch"].mean(), "{:.1f}", digits=2),
        Column("Mean last epoch", lambda part: part["epochs"].mean(), "{:.1f}", digits=2),
        Column("Stopped early", lambda part: int((part["stopped"] == "early stopping").sum())),
        column_n(),
        count_of_runs(RUNS_PAGE),
    ]
    table = table_of(own, ["family", "dataset", "depth", "learning_rate", "group"], columns)
    return sortable(table, "early-stopping.csv")


def costs(runs: pd.DataFrame) -> Figure | Verdict:
    """Seconds per epoch, FLOPs and memory by depth, a panel each."""
    return NO_RUNS if runs.empty else degradation.cost_by_depth(base_rate(runs))


def cost_table(runs: pd.DataFrame) -> Table | Verdict:
    """A row per configuration: memory, and seconds per epoch with their interval."""
    if runs.empty:
        return NO_RUNS
    columns = [
        MODEL,
        DATASET,
        DEPTH,
        PARAMETERS,
        LEARNING_RATE,
        Column(
            "Peak memory (MiB)",
            lambda part: part["peak_memory_bytes"].max() / 2**20,
            "{:,.0f}",
            digits=1,
        ),
        Column(
            "Seconds per epoch", lambda part: estimate(part["epoch_seconds"]), in_words, digits=3
        ),
        column_n(),
        count_of_runs(RUNS_PAGE),
        DEVICE,
    ]
    by = ["family", "dataset", "depth", "parameters", "learning_rate", "group"]
    return sortable(table_of(runs, by, columns), "costs.csv")
