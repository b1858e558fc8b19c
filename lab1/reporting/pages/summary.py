"""The summaries over all pages of a profile: tables that can be sorted and taken away, one chart.

Each function takes the frame of `runs`; where it is empty, a sentence
says so.
"""

from __future__ import annotations

from urllib.parse import quote

import pandas as pd

from ...core.escape import for_html
from ..distillation import tables as distillation_tables
from ..kit import tables, words
from ..kit.axes import Axis, Panels
from ..kit.charts import linked, points
from ..kit.figure import Figure
from ..kit.sentences import Verdict
from ..kit.statistics import FEWEST, in_percent, summarize
from ..kit.tables import RUNS_PAGE, Table
from ..kit.words import dataset_titles

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
    best = table.sort_values("mean", kind="stable").drop_duplicates("dataset_title", keep="last")
    return points(
        linked(table, runs, ["group"], RUNS_PAGE),
        Axis("parameters", "parameters", log=True, format="~s", digits=","),
        Axis("mean", "test accuracy (%)"),
        panels=Panels("dataset_title", columns=2, apart="xy"),
        also={"depth": "", "learning_rate": "~g"},
        text=f"Test accuracy on {dataset_titles(runs)} by number of parameters, a point per "
        "configuration and a panel per data set. The most accurate: "
        f"{words.rows(best, '{dataset_title}: {family} {depth}, {mean:.2f} %')}.",
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
