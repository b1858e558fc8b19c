"""Knowledge distillation in charts: twins, sweeps, losses, sizes, and a class that was never seen.

Means are over seeds and carry their 95 % interval where there are three or more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import pandas as pd

from ...core.record import DISTILLATION_FIELDS, Record
from ..kit import literature, theme
from ..kit.drawing import (
    at_the_end,
    dataset_titles,
    in_percent,
    interval_tooltip,
    picked,
    rounded,
    said,
    ticks,
)
from ..kit.figure import Figure
from ..kit.panels import Axis, complete, panels
from ..kit.sentences import Verdict
from ..kit.statistics import summarize
from . import pairs as twins
from .pairs import Setting

_ALONE, _TAUGHT = "alone", "with teacher"
_NO_PAIR = Verdict("There is no distilled run here whose twin is there too.")


def paired(runs: pd.DataFrame, setting: Setting) -> Figure | Verdict:
    """Each student without the teacher and with it, a line per seed; and the teacher itself."""
    pairs = twins.of_setting(twins.pairs(twins.photographs(runs)), setting)
    if pairs.empty:
        return _NO_PAIR
    teacher = twins.teachers(twins.photographs(runs)).iloc[0]
    rows = [
        {"family": row["family"], "seed": row["seed"], "student": student, "accuracy": 100 * value}
        for row in pairs.to_dict("records")
        for student, value in ((_ALONE, row["alone"]), (_TAUGHT, row["test_accuracy"]))
    ]
    table = pd.DataFrame(rows)
    rule = pd.DataFrame([{"family": teacher["family"], "accuracy": 100 * teacher["test_accuracy"]}])
    families = [pairs["family"].iloc[0], teacher["family"]]
    pick, opacity = picked("family")
    y = alt.Y("accuracy:Q", title="test accuracy (%)", scale=alt.Scale(zero=False, padding=8))
    base = alt.Chart(rounded(table)).encode(
        x=alt.X(
            "student:N",
            title=None,
            sort=[_ALONE, _TAUGHT],
            axis=alt.Axis(labelAngle=0),
        ),
        y=y,
        color=theme.family_colour(families),
        opacity=opacity,
        tooltip=[
            alt.Tooltip("student:N"),
            alt.Tooltip("seed:O"),
            alt.Tooltip("accuracy:Q", title="test accuracy (%)", format=".2f"),
        ],
    )
    level = (
        alt.Chart(rounded(rule))
        .mark_rule(strokeDash=[5, 4])
        .encode(
            y=y,
            color=theme.family_colour(families),
            opacity=opacity,
            tooltip=[
                alt.Tooltip("family:N", title="teacher"),
                alt.Tooltip("accuracy:Q", title="test accuracy (%)", format=".2f"),
            ],
        )
    )
    chart = alt.layer(
        level.add_params(pick),  # a legend answers to a selection of the first marks it explains
        base.mark_line().encode(detail="seed:O"),
        base.mark_point(opacity=1),
    ).properties(width=360, height=300, title=dataset_titles(pairs))
    gains = said(pairs.assign(gain=100 * pairs["gain"]), "seed {seed}: {gain:+.2f}")
    return Figure(
        chart,
        table,
        f"Test accuracy on {dataset_titles(pairs)} of each student alone and with the teacher, "
        f"which has {rule['accuracy'].iloc[0]:.2f} %. Gains in points: {gains}.",
    )


def by_temperature(runs: pd.DataFrame, setting: Setting) -> Figure | Verdict:
    """What the teacher adds against the temperature, on validation and on test images."""
    scale = alt.Scale(type="log", base=2, padding=20)
    return _by(runs, setting, "temperature", "temperature", scale)


def by_alpha(runs: pd.DataFrame, setting: Setting) -> Figure | Verdict:
    """What the teacher adds against the weight of the soft loss."""
    return _by(runs, setting, "alpha", "weight of the soft loss", alt.Scale(domain=[0, 1]))


def _by(
    runs: pd.DataFrame, setting: Setting, name: str, title: str, scale: alt.Scale
) -> Figure | Verdict:
    swept = twins.sweep(runs, setting, name)
    if swept.empty:
        return _NO_PAIR
    parts = []
    for column, split in (("validation_gain", "validation"), ("gain", "test")):
        parts.append(in_percent(summarize(swept, ["family", name], column)))
        parts[-1].insert(2, "split", split)
    table = pd.concat(parts, ignore_index=True).rename(columns={name: "value"})
    axis = alt.Axis(values=sorted(table["value"].unique().tolist()), format="~g")
    x = alt.X("value:Q", title=title, scale=scale, axis=axis)
    chart = _curves(
        table, x, "gain (points)", "split", ["test", "validation"], ["value"], zero=True
    )
    listed = said(table, "{split} at {value:g}: {mean:+.2f}")
    return Figure(
        chart.properties(width=480, height=280, title=dataset_titles(swept)),
        table,
        f"Gain in accuracy on {dataset_titles(swept)} from the teacher by {title}, in points: "
        f"{listed}.",
    )


def by_size(runs: pd.DataFrame, setting: Setting) -> Figure | Verdict:
    """Test accuracy against parameters, of students alone and with the teacher."""
    swept = twins.sweep(runs, setting, "channels")
    if swept.empty:
        return _NO_PAIR
    parts = []
    for column, student in (("alone", _ALONE), ("test_accuracy", _TAUGHT)):
        parts.append(in_percent(summarize(swept, ["family", "parameters"], column)))
        parts[-1].insert(2, "student", student)
    table = pd.concat(parts, ignore_index=True)
    x = alt.X(
        "parameters:Q",
        title="parameters",
        scale=alt.Scale(type="log", nice=False, padding=20),
        axis=alt.Axis(format="~s"),
    )
    chart = _curves(
        table, x, "test accuracy (%)", "student", [_TAUGHT, _ALONE], ["parameters"], zero=False
    )
    listed = said(table, "{parameters:,} {student}: {mean:.2f} %")
    return Figure(
        chart.properties(width=480, height=300, title=dataset_titles(swept)),
        table,
        f"Test accuracy on {dataset_titles(swept)} by parameters: {listed}.",
    )


def _curves(
    table: pd.DataFrame,
    x: alt.X,
    y_title: str,
    style: str,
    styles: list[str],
    tooltip: list[str],
    *,
    zero: bool,
) -> Any:
    """Two curves of one family, solid and dashed, with intervals; `zero` draws the zero line."""
    pick, shown = picked(style)
    y = alt.Y("mean:Q", title=y_title, scale=alt.Scale(zero=False, padding=8))
    base = alt.Chart(rounded(table)).encode(
        x=x, color=theme.family_colour(list(table["family"].unique())), opacity=shown
    )
    dashes = [[1, 0], [5, 4]]
    dash = alt.StrokeDash(f"{style}:N", scale=alt.Scale(domain=styles, range=dashes))
    layers: list[Any] = []
    for name, pattern, shift in zip(styles, dashes, (-3, 3), strict=True):
        # Side by side, for intervals on top of one another could not be told apart.
        own = base.transform_filter(alt.datum[style] == name)
        line = own.mark_line(xOffset=shift).encode(y=y, strokeDash=dash)
        interval = own.mark_rule(xOffset=shift, strokeDash=pattern)
        layers += [
            line if layers else line.add_params(pick),
            interval.encode(y=alt.Y("low:Q", title=y_title), y2="high:Q"),
            own.mark_point(xOffset=shift, opacity=1).encode(
                y=y,
                tooltip=[
                    alt.Tooltip(f"{style}:N"),
                    *[alt.Tooltip(f"{field}:Q", format=",~g") for field in tooltip],
                    *interval_tooltip(y_title),
                ],
            ),
        ]
    if zero:
        line = alt.Chart(pd.DataFrame({"mean": [0.0]})).mark_rule(strokeWidth=1, color="#8a8a8a")
        layers.insert(0, line.encode(y="mean:Q"))
    return alt.layer(*layers)


_LOSSES = {
    "hard_loss": "hard: cross-entropy with the labels",
    "soft_loss": "soft: divergence from the teacher",
    "train_loss": "combined",
}


def losses(history: pd.DataFrame, runs: pd.DataFrame, setting: Setting) -> Figure | Verdict:
    """The hard, the soft and the combined loss by epoch, a panel each."""
    pairs = twins.of_setting(twins.pairs(twins.photographs(runs)), setting)
    own = history[history["key"].isin(pairs["key"])]
    if own.empty:
        return _NO_PAIR
    long = own.melt(
        id_vars=["family", "depth", "seed", "epoch"],
        value_vars=["train_loss", *DISTILLATION_FIELDS],
        var_name="part",
        value_name="loss",
    )
    long["part"] = long["part"].map(_LOSSES)
    table = summarize(long, ["family", "depth", "part", "epoch"], "loss")
    table = complete(table, ["family", "part"])
    chart = panels(
        table,
        x=Axis("epoch", "epoch", values=ticks(table["epoch"].max())),
        y=Axis("mean", "loss", format=".4f"),
        facet=alt.Facet("part:N", title=None, sort=list(_LOSSES.values())),
        title=dataset_titles(own),
        independent_y=True,
    )
    last = at_the_end(table, ["part"])
    ends = said(last, "{part}: {mean:.3f}")
    return Figure(
        chart, table, f"Losses of the student on {dataset_titles(own)} by epoch. At the end {ends}."
    )


_UNSEEN_STATES = ("alone", "with teacher", "with teacher, corrected")


def unseen(measured: Sequence[tuple[Record, Mapping[str, Any]]]) -> Figure | Verdict:
    """How many test images of a class that it never saw a student recognises."""
    table = twins.unseen(measured)
    if table["taught"].nunique() < 2:
        return Verdict("No student was trained without one class, with a teacher and without.")
    taught = table["taught"].astype(bool)
    columns = (
        table[~taught][["seed", "right"]],
        table[taught][["seed", "right"]],
        table[taught][["seed", "corrected_right"]].rename(columns={"corrected_right": "right"}),
    )
    long = pd.concat(
        [part.assign(student=state) for part, state in zip(columns, _UNSEEN_STATES, strict=True)]
    ).assign(source="this laboratory")
    shown = in_percent(summarize(long, ["source", "student"], "right"))
    record = measured[0][0]
    if record.spec.dataset == "mnist":
        papers = [
            {"source": "Hinton et al. (2015)", "student": state, "mean": 100 * share}
            for state, share in zip(_UNSEEN_STATES[1:], _papers_shares(), strict=True)
        ]
        shown = pd.concat([shown, pd.DataFrame(papers)], ignore_index=True)
    sources = list(shown["source"].unique())
    pick, opacity = picked("source")
    base = alt.Chart(rounded(shown)).encode(
        opacity=opacity,
        y=alt.Y("student:N", title=None, sort=list(_UNSEEN_STATES)),
    )
    x = alt.X("mean:Q", title="recognised (%)", scale=alt.Scale(domain=[0, 100]))
    colour = theme.COLOURS[record.spec.model.family]
    chart = alt.layer(
        base.mark_rule(color=colour, clip=True).encode(
            x=alt.X("low:Q", title="recognised (%)"), x2="high:Q"
        ),
        base.mark_point(opacity=1, color=colour)
        .encode(
            x=x,
            shape=theme.source_shape(sources),
            tooltip=[
                alt.Tooltip("source:N", title="from"),
                alt.Tooltip("student:N"),
                *interval_tooltip("recognised (%)", ".1f"),
            ],
        )
        .add_params(pick),
    ).properties(width=480, height=150, title=dataset_titles(_frame(record)))
    listed = said(shown, "{student} ({source}): {mean:.1f} %")
    return Figure(chart, shown, f"Test images recognised of a class that was never seen: {listed}.")


def _papers_shares() -> list[float]:
    images = literature.UNSEEN_IMAGES
    return [1 - of_class / images for _, of_class in literature.UNSEEN_ERRORS.values()]


def _frame(record: Record) -> pd.DataFrame:
    return pd.DataFrame([{"dataset": record.spec.dataset}])
