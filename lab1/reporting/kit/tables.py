"""The tables: as frames to compute with, as CSV to take away, as HTML to read."""

from __future__ import annotations

import html
import math
from dataclasses import dataclass
from typing import Any

import pandas as pd

from . import words
from .statistics import estimate


@dataclass(frozen=True)
class Table:
    """Plain values in `frame`, and `markup` that a page shows."""

    frame: pd.DataFrame
    markup: str

    def _repr_html_(self) -> str:
        return self.markup

    def to_csv(self) -> str:
        """The frame as CSV."""
        return str(self.frame.to_csv(index=False, lineterminator="\n"))


#: The columns of the performance summary; accuracies in percent, times in seconds.
PERFORMANCE_COLUMNS = [
    "Model",
    "Dataset",
    "Depth",
    "Learning rate",
    "Params",
    "Test accuracy",
    "95% half-width",
    "n",
    "Train time",
]


#: Where a page in `report/` finds the page of all runs.
RUNS_PAGE = "../runs.html"

_NUMBER = '<td class="number">'


def performance_frame(runs: pd.DataFrame) -> pd.DataFrame:
    """One row per configuration: `PERFORMANCE_COLUMNS` and its `group`, unrounded.

    Diverged runs have no test accuracy and do not count in `n`.
    """
    rows = []
    order = ["family", "dataset", "depth", "learning_rate", "group"]
    for labels, part in runs.groupby(order, sort=True):
        accuracy = estimate(100 * part["test_accuracy"])
        first = part.iloc[0]
        rows.append(
            [
                labels[0],
                first["dataset_title"],
                labels[2],
                labels[3],
                first["parameters"],
                accuracy.mean,
                accuracy.half_width,
                accuracy.n,
                part["train_seconds"].mean(),
                labels[4],
            ]
        )
    return pd.DataFrame(rows, columns=[*PERFORMANCE_COLUMNS, "group"])


def performance(runs: pd.DataFrame, *, runs_page: str = "", devices: bool = False) -> Table:
    """The performance summary; `n` leads to the runs behind the row.

    They stand on the same page or on the `runs_page`.  `devices` adds what each was trained on.
    """
    frame = performance_frame(runs)
    if devices:
        frame["Device"] = devices_of(runs, frame["group"])
    rows = []
    for row in frame.to_dict("records"):
        accuracy = f"{row['Test accuracy']:.2f}" if row["n"] else "diverged"
        if not math.isnan(row["95% half-width"]):
            accuracy += f" ± {row['95% half-width']:.2f}"
        rows.append(
            [
                text(row["Model"]),
                text(row["Dataset"]),
                number(row["Depth"]),
                number(f"{row['Learning rate']:g}"),
                number(f"{row['Params']:,}"),
                number(accuracy),
                number(runs_link(row["group"], row["n"], runs_page)),
                number(f"{row['Train time']:.0f}"),
                *([text(row["Device"])] if devices else []),
            ]
        )
    header = [
        "Model", "Dataset", _depth_heading(frame["Model"]), "Learning rate", "Parameters",
        "Test accuracy (%)", "n", "Train time (s)", *(["Device"] if devices else []),
    ]  # fmt: skip
    rounded = frame.round({"Test accuracy": 3, "95% half-width": 3, "Train time": 1})
    return Table(rounded.drop(columns="group"), markup(header, rows))


def devices_of(runs: pd.DataFrame, groups: pd.Series[str]) -> list[str]:
    """What the runs of each group were trained on."""
    names = runs.groupby("group")["hardware"].agg(lambda own: " / ".join(sorted(set(own))))
    return [str(names[group]) for group in groups]


def runs_link(group: str, shown: Any, runs_page: str = "") -> str:
    """A link to the runs of a configuration, on the same page or on another."""
    return f'<a href="{runs_page}#runs-{group}">{shown}</a>'


def _depth_heading(families: pd.Series[str]) -> str:
    return words.depth_axis(list(families.unique())).capitalize()


def markup(header: list[str], rows: list[list[str]], row_ids: list[str] | None = None) -> str:
    """An HTML table from one or more rows of finished cells, inside a box that scrolls."""
    # A heading stands as its column does, numbers to the right.
    kinds = [' class="number"' if cell.startswith(_NUMBER) else "" for cell in rows[0]]
    head = "".join(
        f'<th scope="col"{kind}>{html.escape(name)}</th>'
        for name, kind in zip(header, kinds, strict=True)
    )
    ids = [f' id="{each}"' for each in row_ids] if row_ids else [""] * len(rows)
    body = "\n".join(f"<tr{i}>{''.join(row)}</tr>" for i, row in zip(ids, rows, strict=True))
    return (
        '<div class="lab1-table" role="group" tabindex="0" aria-label="table, may scroll">'
        f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>"
    )


def text(value: Any) -> str:
    """A cell that reads as text."""
    return f"<td>{html.escape(str(value))}</td>"


def number(value: Any) -> str:
    """A cell whose content stands to the right; HTML in it is kept."""
    return f"{_NUMBER}{value}</td>"
