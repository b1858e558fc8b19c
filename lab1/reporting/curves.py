"""Curves: means over the seeds of a page's runs, single trainings and logged runs (`lab1.plot`)."""

import warnings
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

import pandas as pd

from ..core import files, logged_runs
from ..errors import ParameterError, did_you_mean, short_repr
from . import words
from .axes import Axis, Panels
from .charts import draw_chart
from .figure import Figure
from .statistics import at_the_end, in_percent, summarize
from .theme import PALETTE

#: By panel, its series in a history and what each is called; a panel of none is left out.
PANELS = {
    "loss": {"train_loss": "training", "validation_loss": "validation"},
    "accuracy (%)": {"train_accuracy": "training", "validation_accuracy": "validation"},
}


def by_epoch(
    history: pd.DataFrame,
    series: Sequence[str],
    y: Axis,
    *,
    panels: Panels,
    text: str,
    ending: str,
    name: str = "split",
    percent: bool = False,
    label: str = "",
    **looks: Any,
) -> Figure:
    """Means over seeds of `series` of a history, by epoch, for each family and depth.

    A curve goes as far as all its seeds went: further on a mean would be over other runs.  Several
    series are told apart in a column `name`; with `percent` fractions become percentages.  `text`
    has the fields `data`, for the data sets, and `ends`, for the last point of each curve in the
    form of `ending`; its name there has the form of `label`.  `y`, `panels` and the `looks` are
    those of `draw_chart`.
    """
    by = ["family", "depth", *([name] if len(series) > 1 else [])]
    long = history.melt(["family", "depth", "epoch"], series, name, "value")
    table = summarize(long.dropna(subset=["value"]), [*by, "epoch"], "value")
    table = table[table["n"] == table.groupby(by)["n"].transform("max")]
    table = in_percent(table) if percent else table
    last = int(table["epoch"].max())
    step = max(1, round(last / 4))
    data, ends = words.dataset_titles(history), words.rows(at_the_end(table, by), ending)
    names = [label.format_map(row) for row in table.to_dict("records")]
    return draw_chart(
        table.assign(line=names) if label else table,
        Axis("epoch", "epoch", ticks=range(step, last + 1, step), format="d"),
        y,
        panels=panels,
        label="line" if label else "",
        marks="curves",
        title=data,
        text=text.format(data=data, ends=ends),
        data=table,
        **looks,
    )


def plot(
    *results: Any, names: Sequence[str] | None = None, metrics: Sequence[str] | None = None
) -> Figure:
    """The loss and the accuracy of trainings by epoch, in one figure that a notebook shows.

    A result is what `StreamlinedTrainer.train` or `load_run` gives, a record, or a history.
    `names` tells them apart in the legend; by default they are the runs' titles, or numbers.  Its
    `data` has a row for each value.  Raises `ParameterError` for something without a history, for
    more than six, and for names that are not one for each.

    A result may also be text: `PROJECT` or `PROJECT/GROUP` of runs that `wandb pull FOLDER` took
    over.  All results are then, and have no `names`.  Each of `metrics` gets a panel (by default
    losses and accuracies), and each group its mean over runs at the steps that all have; a group
    whose runs share too few steps has a curve for each.
    """
    if results and names is None and all(isinstance(result, str) for result in results):
        runs, problems = logged_runs.read_all(files.runs_dir())
        for problem in problems:
            warnings.warn(str(problem), stacklevel=2)
        return logged(results, runs, metrics)
    if metrics is not None:
        raise ParameterError("plot: metrics are of logged runs, which a text PROJECT/GROUP names")
    if not 1 <= len(results) <= len(PALETTE):
        raise ParameterError(f"plot: {len(results)} results; allowed: 1 to {len(PALETTE)}")
    if names is None:
        names = [_name(result, number) for number, result in enumerate(results, 1)]
    if len(names) != len(results) or len(set(names)) != len(names):
        raise ParameterError(
            f"plot: names = {short_repr(names)} is not allowed; allowed: {len(results)} different "
            "ones"
        )
    rows = [
        {"training": name, "panel": panel, "split": split, "epoch": epoch, "value": value}
        for name, result in zip(names, results, strict=True)
        for panel, series in PANELS.items()
        for field, split in series.items()
        for epoch, value in enumerate(_history(result).get(field, ()), 1)
        if value is not None
    ]
    table = pd.DataFrame(rows, columns=["training", "panel", "split", "epoch", "value"])
    if table.empty:
        raise ParameterError("plot: no epoch of these trainings has a finite loss")
    table["value"] = table["value"].astype(float)
    table.loc[table["panel"] == "accuracy (%)", "value"] *= 100
    dash = ("split", ["training", "validation"])
    return _draw(table, "epoch", "split", names, [*PANELS], dash=dash)


def _draw(
    table: pd.DataFrame,
    along: str,
    by: str,
    names: Sequence[str],
    panels: Sequence[str],
    **looks: Any,
) -> Figure:
    """Draws a panel for each of `panels`, and in it lines by colour (`names`) and by a column."""
    ends = at_the_end(table, ["training", "panel", by], along)
    listed = words.rows(ends, f"{{training}}, {{{by}}} {{panel}}: {{value:.3g}}")
    return draw_chart(
        table,
        Axis(along, along, format="d"),
        Axis("value", digits=".4g"),
        panels=Panels("panel", columns=2, apart="y", order=panels),
        colour=("training", names),
        marks="curves",
        text=f"Curves by {along}. At the end: {listed}.",
        **looks,
    )


def _history(result: Any) -> Mapping[str, Sequence[float | None]]:
    """The history of a result: one value per epoch, by the name of its series."""
    record = getattr(result, "record", result)
    history = getattr(record, "history", record)
    if not isinstance(history, Mapping) or "train_loss" not in history:
        raise ParameterError(
            f"plot: {short_repr(result)} is not allowed; allowed: what a trainer's train() or "
            "load_run() gives, a record, or a history"
        )
    series: Mapping[str, Sequence[float | None]] = history
    return series


def _name(result: Any, number: int) -> str:
    spec = getattr(getattr(result, "record", result), "spec", None)
    return f"training {number}" if spec is None else str(spec.title)


# Runs that other code logged

Runs = Sequence[Mapping[str, Any]]

#: The parts of the names of metrics that are drawn where none is asked for, and the most of them.
_USUAL, _MOST_PANELS = ("loss", "acc"), 6


def logged(places: Sequence[str], runs: Runs, metrics: Sequence[str] | None = None) -> Figure:
    """Draws logged runs by step; `places`, `metrics` and what is raised are as in `plot`."""
    groups = _by_group(places, runs)
    known = dict.fromkeys(
        name for part in groups.values() for run in part for name in run["series"]
    )
    usual = [name for name in known if any(part in name.lower() for part in _USUAL)]
    drawn = [*dict.fromkeys(metrics or (usual or [*known])[:_MOST_PANELS])]
    if len(groups) > len(PALETTE) or not known.keys() >= {*drawn}:
        raise ParameterError(
            f"plot: {len(groups)} groups with metrics = {short_repr(drawn)} are not allowed; "
            f"allowed: 1 to {len(PALETTE)} of the groups {', '.join(groups)}, and of the metrics "
            f"{', '.join(known)}"
        )
    table = pd.DataFrame(
        {"training": group, "panel": metric, "run": run, "step": step, "value": float(value)}
        for metric in drawn
        for group, members in groups.items()
        for run, curve in _mean(members, metric).items()
        for step, value in curve.items()
    )
    return _draw(table, "step", "run", [*groups], drawn, detail="run")


def _by_group(places: Sequence[str], runs: Runs) -> dict[str, Runs]:
    """The runs at these places by group, whose name has the project where there are several."""
    several = len({place.partition("/")[0] for place in places}) > 1
    groups: dict[str, dict[str, Mapping[str, Any]]] = {}
    for place in places:
        project, _, group = place.partition("/")
        members = [run for run in runs if run["project"] == project and group in ("", run["group"])]
        if not members:
            there = dict.fromkeys(f"{run['project']}/{run['group']}" for run in runs)
            raise ParameterError(
                f"plot: {short_repr(place)} is not allowed; allowed: what `wandb pull` took over: "
                f"{', '.join(there) or 'nothing yet'}{did_you_mean(place, there)}"
            )
        for run in members:
            name = f"{project}/{run['group']}" if several else run["group"]
            groups.setdefault(name, {})[run["id"]] = run
    return {name: [*members.values()] for name, members in groups.items()}


def _mean(runs: Runs, metric: str) -> dict[str, dict[int, float]]:
    """The mean of a metric at the steps that the runs share; where few are, each run's curve."""
    having = [run for run in runs if metric in run["series"]]
    curves = {f"{run['name']} ({run['id']})": dict(run["series"][metric]) for run in having}
    shared = sorted(set.intersection(*map(set, curves.values()))) if curves else []
    if len(curves) < 2 or 2 * len(shared) < min(map(len, curves.values())):
        return curves
    mean = {step: fmean(curve[step] for curve in curves.values()) for step in shared}
    return {f"mean of {len(curves)} runs": mean}
