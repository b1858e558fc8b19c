"""Knowledge distillation in charts: twins, sweeps, losses, sizes, and a class that was never seen.

Means are over seeds and carry their 95 % interval where there are three or more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from ...core.datasets import DATASETS
from ...core.record import Record
from ..curves import by_epoch
from ..kit import literature, words
from ..kit.axes import Axis, Panels
from ..kit.charts import lines, points
from ..kit.figure import COLOURS, Figure
from ..kit.sentences import Verdict
from ..kit.statistics import in_percent, summarize_each
from ..kit.words import dataset_titles
from . import pairs as twins
from .pairs import Setting

_ALONE, _TAUGHT = "alone", "with teacher"
_OURS, _PAPERS = "this laboratory", "Hinton et al. (2015)"
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
    level = {"family": teacher["family"], "seed": teacher["seed"], "role": "teacher"}
    level["accuracy"] = 100 * teacher["test_accuracy"]
    beside = pd.DataFrame([{**level, "student": student} for student in (_ALONE, _TAUGHT)])
    gains = words.rows(pairs.assign(gain=100 * pairs["gain"]), "seed {seed}: {gain:+.2f}")
    return lines(
        pd.concat([table.assign(role="student"), beside], ignore_index=True),
        Axis("student", order=[_ALONE, _TAUGHT]),
        Axis("accuracy", "test accuracy (%)"),
        dash="role",
        detail="seed",
        title=dataset_titles(pairs),
        text=f"Test accuracy on {dataset_titles(pairs)} of each student alone and with the "
        f"teacher, which has {level['accuracy']:.2f} %. Gains in points: {gains}.",
        data=table,
    )


def by_temperature(runs: pd.DataFrame, setting: Setting) -> Figure | Verdict:
    """What the teacher adds against the temperature, on validation and on test images."""
    return _gains(runs, setting, "temperature", "temperature", log=True)


def by_alpha(runs: pd.DataFrame, setting: Setting) -> Figure | Verdict:
    """What the teacher adds against the weight of the soft loss."""
    return _gains(runs, setting, "alpha", "weight of the soft loss")


def _gains(
    runs: pd.DataFrame, setting: Setting, name: str, title: str, *, log: bool = False
) -> Figure | Verdict:
    swept = twins.sweep(runs, setting, name)
    if swept.empty:
        return _NO_PAIR
    gains = swept.assign(validation=swept["validation_gain"], test=swept["gain"], value=swept[name])
    splits = summarize_each(gains, ["family", "value"], ["validation", "test"], "split")
    table = in_percent(splits)
    return lines(
        table,
        Axis("value", title, log=log, ticks=sorted(table["value"].unique().tolist())),
        Axis("mean", "gain (points)"),
        dash=("split", ["test", "validation"]),
        level=0,
        title=dataset_titles(swept),
        text=f"Gain in accuracy on {dataset_titles(swept)} from the teacher by {title}, in points: "
        f"{words.rows(table, '{split} at {value:g}: {mean:+.2f}')}.",
    )


def by_size(runs: pd.DataFrame, setting: Setting) -> Figure | Verdict:
    """Test accuracy against parameters, of students alone and with the teacher."""
    swept = twins.sweep(runs, setting, "channels")
    if swept.empty:
        return _NO_PAIR
    means = swept.rename(columns={"test_accuracy": _TAUGHT})
    students = summarize_each(means, ["family", "parameters"], [_ALONE, _TAUGHT], "student")
    table = in_percent(students)
    return lines(
        table,
        Axis("parameters", "parameters", log=True, format="~s", digits=","),
        Axis("mean", "test accuracy (%)"),
        dash=("student", [_TAUGHT, _ALONE]),
        title=dataset_titles(swept),
        text=f"Test accuracy on {dataset_titles(swept)} by parameters: "
        f"{words.rows(table, '{parameters:,} {student}: {mean:.2f} %')}.",
    )


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
    return by_epoch(
        own.rename(columns=_LOSSES),
        [*_LOSSES.values()],
        Axis("mean", "loss", digits=".4f"),
        panels=Panels("part", apart="y", order=[*_LOSSES.values()]),
        name="part",
        text="Losses of the student on {data} by epoch. At the end {ends}.",
        ending="{part}: {mean:.3f}",
    )


_UNSEEN_STATES = (_ALONE, _TAUGHT, "with teacher, corrected")


def unseen(measured: Sequence[tuple[Record, Mapping[str, Any]]]) -> Figure | Verdict:
    """How many test images of a class that it never saw a student recognises."""
    table = twins.unseen(measured)
    if table["taught"].nunique() < 2:
        return Verdict("No student was trained without one class, with a teacher and without.")
    taught = table["taught"].astype(bool)
    states = (table["right"][~taught], table["right"][taught], table["corrected_right"][taught])
    shares = table.assign(source=_OURS, **dict(zip(_UNSEEN_STATES, states, strict=True)))
    shown = in_percent(summarize_each(shares, ["source"], _UNSEEN_STATES, "student"))
    record = measured[0][0]
    if record.spec.dataset == "mnist":
        papers = [
            {"source": _PAPERS, "student": state, "mean": 100 * share}
            for state, share in zip(_UNSEEN_STATES[1:], _papers_shares(), strict=True)
        ]
        shown = pd.concat([shown, pd.DataFrame(papers)], ignore_index=True)
    data = DATASETS[record.spec.dataset].title
    return points(
        shown,
        Axis("mean", "recognised (%)", domain=(0, 100), digits=".1f"),
        Axis("student", order=_UNSEEN_STATES),
        colour=COLOURS[record.spec.model.family],
        shape="source",
        title=data,
        text=f"Test images of {data} recognised of a class that was never seen: "
        f"{words.rows(shown, '{student} ({source}): {mean:.1f} %')}.",
    )


def _papers_shares() -> list[float]:
    images = literature.UNSEEN_IMAGES
    return [1 - of_class / images for _, of_class in literature.UNSEEN_ERRORS.values()]
