"""The summaries over all pages of a profile: tables that can be sorted and taken away, one chart.

Each function takes the frame of `runs`; where it is empty, a sentence
says so.
"""

from __future__ import annotations

from urllib.parse import quote

import altair as alt
import pandas as pd

from ...core.escape import for_html
from ..distillation import tables as distillation_tables
from ..kit import tables, theme
from ..kit.drawing import (
    dataset_titles,
    in_percent,
    interval_rule,
    interval_tooltip,
    leading,
    picked,
    rounded,
    said,
)
from ..kit.figure import Figure
from ..kit.sentences import Verdict
from ..kit.statistics import FEWEST, summarize
from ..kit.tables import RUNS_PAGE, Table

NO_RUNS = Verdict("No run of this kind has a record yet.")


def parted(runs: pd.DataFrame, asked: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """All runs, as those of the table of networks and those of the table of distillation.

    `asked` are the runs that the chapter on distillation asks for.  Its configurations stand in the
    second table alone, with all their seeds: a teacher may be a network of another chapter, which
    trained more of them.
    """
    distilled = runs["group"].isin(asked["group"])
    return runs[~distilled], runs[distilled]


def performance(runs: pd.DataFrame) -> Table | Verdict:
    """Every configuration with its accuracy, seeds, data and device."""
    if runs.empty:
        return NO_RUNS
    table = tables.performance(runs, runs_page=RUNS_PAGE)
    return sortable(table, "performance-summary.csv")


def distillation(runs: pd.DataFrame) -> Table | Verdict:
    """Every teacher, every student with one and every twin of such a student."""
    if runs.empty:
        return NO_RUNS
    table = distillation_tables.summary(runs, runs_page=RUNS_PAGE)
    return sortable(table, "distillation-summary.csv")


def sortable(table: Table, name: str) -> Table:
    """The table with columns that a script sorts, and below it the frame as a file to download.

    Without the script it is the same table; `name` is the file's.
    """
    marked = table.markup.replace('class="lab1-table"', 'class="lab1-table lab1-sortable"', 1)
    # The file travels in the page: it is there in every profile, and without a server.
    address = f"data:text/csv;charset=utf-8,{quote(table.to_csv())}"
    download = f'<a download="{for_html(name)}" href="{address}">CSV</a>'
    return Table(
        table.frame,
        f'{marked}\n<p class="lab1-downloads">{download}</p>\n'
        '<script src="assets/tables.js" defer></script>',
    )


def accuracy(runs: pd.DataFrame) -> Figure | Verdict:
    """Test accuracy of every configuration against its parameters, a panel per data set.

    A point leads to the runs behind it.
    """
    by = ["dataset_title", "family", "depth", "parameters", "learning_rate", "group"]
    table = in_percent(summarize(runs, by, "test_accuracy")) if len(runs) else pd.DataFrame()
    table = table[table["n"] > 0] if len(table) else table
    if table.empty:
        return NO_RUNS
    families = list(table["family"].unique())
    pick, opacity = picked("family")
    base = alt.Chart().encode(
        x=alt.X(
            "parameters:Q",
            title="parameters",
            scale=alt.Scale(type="log", nice=False, padding=20),
            axis=alt.Axis(format="~s", tickCount=4),
        ),
        color=theme.family_colour(families),
        opacity=opacity,
    )
    y = alt.Y("mean:Q", title="test accuracy (%)", scale=alt.Scale(zero=False, padding=8))
    points = base.mark_point(cursor="pointer").encode(
        y=y,
        shape=theme.family_shape(families),
        href="runs:N",
        tooltip=[
            alt.Tooltip("family:N", title="model"),
            alt.Tooltip("depth:Q", title="depth"),
            alt.Tooltip("learning_rate:Q", title="learning rate", format="~g"),
            alt.Tooltip("parameters:Q", title="parameters", format=","),
            *interval_tooltip("test accuracy (%)"),
        ],
    )
    interval = interval_rule(base, "test accuracy (%)")
    # The address is the page's, and of no use in the file that a reader takes away.
    shown = leading(rounded(table), runs, ["group"], RUNS_PAGE)
    chart = (
        alt.layer(interval, points, data=shown)
        .properties(width=320, height=230)
        .facet(facet=alt.Facet("dataset_title:N", title=None), columns=2)
        .resolve_scale(x="independent", y="independent")
        .add_params(pick)
    )
    best = table.sort_values("mean", kind="stable").drop_duplicates("dataset_title", keep="last")
    listed = said(best, "{dataset_title}: {family} {depth}, {mean:.2f} %")
    return Figure(
        chart,
        table,
        f"Test accuracy on {dataset_titles(runs)} by number of parameters, a point per "
        f"configuration and a panel per data set. The most accurate: {listed}.",
    )


def coverage_verdict(runs: pd.DataFrame) -> Verdict:
    """How many runs the summaries rest on, and what of it may carry a claim."""
    if runs.empty:
        return NO_RUNS
    seeds = runs.groupby("group")["test_accuracy"].count()
    few = int((seeds < FEWEST).sum())
    diverged = int((runs["stopped"] == "diverged").sum())
    text = f"These are {len(runs)} runs of {len(seeds)} configurations. "
    if few == 0:
        text += f"Every configuration has {FEWEST} seeds or more, and so an interval."
    elif few == len(seeds):
        text += f"No configuration has {FEWEST} seeds yet, so nothing is claimed of any."
    else:
        text += (
            f"{few} of them have fewer than {FEWEST} finished seeds; they are shown without "
            "an interval and carry no claim."
        )
    if diverged:
        text += f" {diverged} runs diverged and have no test score."
    return Verdict(text)
