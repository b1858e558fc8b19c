"""The page of results: two tables and sixteen charts, in the order of the course's list.

A chart that stands in a chapter is shown as a small picture that leads there.  Where there is no
run of the kind that a function shows, it gives a sentence that says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pandas as pd

from ..core import layouts
from ..core.escape import for_html
from . import networks, tables, twins, words
from .axes import Axis, Panels, depths
from .charts import draw_chart, linked
from .claims import NO_RUNS, Prose
from .curves import by_epoch
from .distillation import improvement
from .figure import Figure
from .frames import base_rate, on_one_device
from .tables import RUNS_PAGE, Column, Table

if TYPE_CHECKING:
    from ..chapter import OpenChapter


#: The course's list of charts, by part: where each stands, as the chapter and the label of its
#: figure there, and what it is called.
CHARTS: Mapping[str, Mapping[tuple[str, str], str]] = {
    "perceptrons": {
        ("1_2", "fig-loss"): "Training and validation loss, for each depth",
        ("1_2", "fig-depth"): "Test accuracy by depth",
        ("results", "fig-time"): "Training time by depth",
        ("results", "fig-parameters"): "Test accuracy by number of parameters",
    },
    "convolutional networks": {
        ("1_3", "fig-validation"): "Validation accuracy by epoch",
        ("1_3", "fig-loss"): "Training and validation loss, for each depth",
        ("1_3", "fig-accuracy"): "Test accuracy by depth",
        ("1_3", "fig-epochs"): "Speed of convergence",
    },
    "distillation": {
        ("2_2", "fig-paired"): "The student alone and with its teacher",
        ("2_2", "fig-temperature"): "The effect of the temperature",
        ("2_2", "fig-losses"): "Hard, soft and combined loss",
        ("2_2", "fig-size"): "Test accuracy by size of the student",
    },
    "dynamics": {
        ("results", "fig-rates"): "Learning-rate schedules",
        ("results", "fig-gradients"): "Gradient norms",
        ("results", "fig-stopping"): "Where early stopping came in",
        ("results", "fig-memory"): "Memory by model",
    },
}


@dataclass(frozen=True)
class Thumbnails:
    """Small pictures of charts, each a link to it, and a list of links where there is no site."""

    markup: str
    links: str

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/html": self.links, networks.MIME: self.markup}


def thumbnails(part: str, chapter: OpenChapter) -> Thumbnails:
    """The charts of a part of the course's list that stand on other pages of the profile."""
    pages = {page for names in chapter.pages.values() for page in names}
    # Where publishing writes the pictures (`lab1.site.publish`), as seen from a page.
    figures = "../figures" if chapter.published else "assets/figures"
    pieces, links = [], []
    for (page, label), name in CHARTS[part].items():
        if page not in pages:
            continue
        file = f"{page}-{label.removeprefix('fig-')}"
        text = f"<span>{for_html(name)} ({page.replace('_', '.')})</span>"
        pictures = "".join(
            f'<picture class="lab1{theme}"><img src="{address}" alt="" loading="lazy"></picture>'
            for theme, address in (
                ("-light", f"{figures}/{file}.svg"),
                ("-dark", f"assets/figures/{file}.dark.svg"),
            )
        )
        pieces.append(f'<a href="{page}.html#{label}">{pictures}{text}</a>')
        links.append(f'<li><a href="{page}.ipynb">{text}</a></li>')
    markup = f'<div class="lab1-thumbnails">{"".join(pieces)}</div>'
    return Thumbnails(markup, f"<ul>{''.join(links)}</ul>")


def _together(parts: Mapping[Any, pd.DataFrame]) -> pd.DataFrame:
    """The runs of some parts, each at the learning rate that its networks share."""
    selected = [base_rate(runs).assign(part=part) for part, runs in parts.items() if len(runs)]
    return pd.concat(selected, ignore_index=True) if selected else pd.DataFrame()


# The tables


_MODEL = Column(
    "Model",
    lambda part: (
        f"{part['family'].iloc[0]}, "
        f"{words.depth(int(part['depth'].iloc[0]), part['family'].iloc[0])}"
    ),
    is_text=True,
    tells=("family", "depth"),
)


def _timed_on(part: pd.DataFrame) -> str:
    """The device of the runs whose time a row shows, and how many of its runs these are."""
    timed = on_one_device(part)
    share = "" if len(timed) == len(part) else f" ({len(timed)} of {len(part)} runs)"
    return f"{timed['hardware'].iloc[0]}{share}"


def performance(*parts: pd.DataFrame) -> Table | Prose:
    """The performance summary: each network at the learning rate that its part shares.

    A time is the median of the runs on one kind of device, that of most of them.
    """
    runs = _together(dict(enumerate(parts)))
    if runs.empty:
        return NO_RUNS
    columns = [
        _MODEL,
        tables.DATASET,
        tables.PARAMETERS,
        tables.TEST_ACCURACY,
        tables.TRAIN_TIME,
        tables.column_n(tables.with_a_score),
        tables.count_of_runs(RUNS_PAGE, tables.with_a_score),
        Column("Timed on", _timed_on, is_text=True),
    ]
    table = tables.table_of(runs, ["part", "family", "depth"], columns)
    return sortable(table, "performance-summary.csv")


def main_experiment(runs: pd.DataFrame) -> pd.DataFrame:
    """The first teacher of the runs on distillation, and its student without it and with it."""
    return twins.main(runs) if "teacher" in runs and runs["teacher"].notna().any() else runs[:0]


def distillation(runs: pd.DataFrame) -> Table | Prose:
    """The knowledge distillation summary, of the `main_experiment`.

    The improvement is the mean of the differences between twins, in points.
    """
    if runs.empty:
        return NO_RUNS
    teachers = {*runs["teacher"].dropna()}

    def model(part: pd.DataFrame) -> str:
        role = "student, alone" if part["teacher"].isna().all() else "student, with the teacher"
        role = "teacher" if teachers & {*part["key"]} else role
        return f"{part['family'].iloc[0]}, {role}"

    columns = [
        Column("Model", model, is_text=True, tells=None),
        tables.PARAMETERS,
        tables.TEST_ACCURACY,
        improvement(twins.pairs(runs)),
        tables.column_n(tables.with_a_score),
        tables.count_of_runs(RUNS_PAGE, tables.with_a_score),
        tables.DATASET,
    ]
    # The teacher has more parameters than its student.
    table = tables.table_of(runs.assign(size=-runs["parameters"]), ["size", "temperature"], columns)
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


# The charts


def training_time(runs: pd.DataFrame) -> Figure | Prose:
    """Seconds of a whole training by depth, over the runs on one kind of device, which is named.

    The rule has the middle half of the runs: the device is shared, so a mean would be of its load.
    """
    if runs.empty:
        return NO_RUNS
    timed = on_one_device(base_rate(runs))
    by = ["family", "depth"]
    seconds = timed.groupby(by, sort=False)["train_seconds"]
    table = seconds.agg(median="median", n="count").reset_index()
    for name, share in {"lower": 0.25, "upper": 0.75}.items():
        table[name] = seconds.quantile(share).to_numpy()
    device, data = timed["hardware"].iloc[0], words.dataset_titles(timed)
    said = words.rows(table, "{family} {depth}: {median:.0f} s")
    seconds_axis = Axis(
        "median", "training time (s)", zero=True, digits=".1f", interval=("lower", "upper")
    )
    return draw_chart(
        linked(table, timed, by, RUNS_PAGE),
        depths(table),
        seconds_axis,
        title=f"{data}, on {device}",
        text=f"Median time of a whole training on {data} by depth, on {device}. {said}.",
    )


def learning_rates(parts: Mapping[str, pd.DataFrame], history: pd.DataFrame) -> Figure | Prose:
    """The learning rate by step, a panel for each of the `parts`, a line for each course in it.

    A record has the rate of each epoch's last step.
    """
    runs = _together(parts)
    if runs.empty:
        return NO_RUNS
    steps = [-(-spec.training_images // spec.training.batch_size) for spec in runs["spec"]]
    runs = runs.assign(steps=steps, optimiser=runs["optimizer"]).sort_values("epochs")
    course = ["part", "optimiser", "schedule", "epochs_allowed", "steps"]
    # One run is enough for each course: the longest, since the others are its beginning.
    longest = runs.drop_duplicates(course, keep="last").sort_values(course)[[*course, "key"]]
    rates = history.assign(rate=history["scheduled_learning_rate"])[["key", "epoch", "rate"]]
    table = longest.merge(rates, on="key")
    table["step"] = table["steps"] * table["epoch"]
    said = words.rows(longest, "{part}: {optimiser}, {schedule}, {epochs_allowed} epochs")
    return draw_chart(
        table,
        Axis("step", "step", format="~s", digits=","),
        Axis("rate", "learning rate", zero=True, digits=".3g"),
        panels=Panels("part", "", columns=2, apart="xy", order=[*parts]),
        colour=("schedule", sorted(table["schedule"].unique())),
        detail="key",
        marks="curves",
        also={"optimiser": ""},
        text=f"Learning rate by step, a panel per chapter. {said}.",
        data=table.drop(columns=["key", "steps"]),
    )


def gradient_norms(history: pd.DataFrame) -> Figure | Prose:
    """The mean norm of an epoch's gradients by epoch, a panel per depth."""
    if history.empty:
        return NO_RUNS
    return by_epoch(
        base_rate(history),
        ["gradient_norm"],
        Axis("mean", "gradient norm", log=True, digits=".3g"),
        panels=Panels("depth"),
        text="Mean norm of the gradients of an epoch on {data}, a panel per depth. In the last "
        "epoch: {ends}.",
        ending="{family} {depth}: {mean:.3g}",
    )


def early_stopping(runs: pd.DataFrame) -> Figure | Prose:
    """The runs that early stopping ended, each from its best epoch to its last."""
    patient, early = _with_patience(runs)
    if early.empty:
        return Prose("*Early stopping ended none of these runs.*")
    base = base_rate(patient)["learning_rate"].iloc[0]
    rates = [f", learning rate {rate:g}" if rate != base else "" for rate in early["learning_rate"]]
    said = tables.labels(early, ("family", "depth"), ("learning_rate",))
    named = early.assign(
        network=early["group"].map(said) + rates, run="seed " + early["seed"].astype(str)
    )
    table = named.sort_values(["family", "depth", "learning_rate", "group", "seed"])[
        ["network", "run", "family", "best_epoch", "epochs", "patience", "epochs_allowed"]
    ]
    listed = words.rows(table, "{network}, {run}: best epoch {best_epoch:g}, last epoch {epochs}")
    x = Axis(
        "epochs", "epoch", zero=True, format="d", digits="d", interval=("best_epoch", "epochs")
    )
    return draw_chart(
        table,
        x,
        Axis("run", "", order=sorted(table["run"].unique())),
        marks="points",
        panels=Panels("network", "", columns=1, apart="y"),
        also={"patience": "", "epochs_allowed": ""},
        title=words.dataset_titles(early),
        text=f"The runs that early stopping ended. {listed}.",
    )


def stopping(runs: pd.DataFrame) -> dict[str, int]:
    """Counts of early stopping: runs with a patience, those that it ended, epochs saved."""
    patient, early = _with_patience(runs)
    if patient.empty:
        return dict.fromkeys(("patient", "ended", "saved", "allowed"), 0)
    saved = int((early["epochs_allowed"] - early["epochs"]).sum())
    allowed = int(patient["epochs_allowed"].sum())
    return {"patient": len(patient), "ended": len(early), "saved": saved, "allowed": allowed}


def _with_patience(runs: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The runs that early stopping could end, and those that it ended."""
    if runs.empty:
        return runs, runs
    patient = runs[runs["patience"].notna()]
    return patient, patient[patient["stopped"] == "early stopping"]


def memory(parts: Mapping[str, pd.DataFrame]) -> Figure | Prose:
    """The memory of a training step by network, computed from its layout, in megabytes.

    `parts` are runs by the name of their panel.  Beside it is the most that a GPU measured in such
    a training, where a record has that.
    """
    runs, rows = _together(parts), []
    networks = runs.groupby(["part", "family", "depth"]) if len(runs) else ()
    for (part, family, depth), network in networks:
        sizes = layouts.memory(network["spec"].iloc[0])
        measured = network[network["device"] == "cuda"]["peak_memory_bytes"].max()
        if sizes:
            named = {"part": part, "model": f"{family} {depth}"}
            in_megabytes = {name: size / 1e6 for name, size in sizes.items()}
            rows.append({**named, **in_megabytes, "measured": measured / 1e6})
    if not rows:
        return NO_RUNS
    wide = pd.DataFrame(rows)
    names = [*layouts.MEMORY]
    long = wide.melt(["part", "model", "measured"], names, "kept", "megabytes")
    total = wide.assign(total=wide[names].sum(axis=1))
    return draw_chart(
        long,
        Axis("megabytes", "MB", zero=True, digits=",.2f"),
        Axis("model", "", order=[*dict.fromkeys(wide["model"])]),
        marks="bars",
        colour=("kept", names),
        panels=Panels("part", "", columns=1, apart="xy", order=[*parts]),
        beside="measured",
        text="Memory of a training step by network, from its layout: "
        f"{words.rows(total, '{model} {total:,.1f} MB')}.",
        data=wide.round(3),
    )
