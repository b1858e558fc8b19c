"""Knowledge distillation in charts: twins, controls, sweeps, losses, sizes, and a class never seen.

Means are over seeds and carry their 95 % interval where there are three or more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from ...core.datasets import DATASETS
from ...core.record import Record
from ..claims import Prose
from ..curves import by_epoch
from ..kit import literature, words
from ..kit.axes import Axis, Panels
from ..kit.charts import lines, points
from ..kit.figure import COLOURS, Figure
from ..kit.statistics import in_percent, summarize_each
from ..kit.words import dataset_titles
from ..paired import Comparison
from . import pairs as twins
from .pairs import Setting

_ALONE, _TAUGHT = "alone", "with teacher"
_OURS, _PAPERS = "this laboratory", "Hinton et al. (2015)"
_NO_PAIR = Prose("There is no distilled run here whose twin is there too.")


def paired(runs: pd.DataFrame, setting: Setting) -> Figure | Prose:
    """Each student alone, with the teacher, and alone for longer: a line per seed."""
    pairs = twins.of_setting(twins.pairs(twins.photographs(runs)), setting)
    if pairs.empty:
        return _NO_PAIR
    longer = twins.longer(runs, setting)
    students = {
        _ALONE: pairs.assign(test_accuracy=pairs["alone"]),
        _TAUGHT: pairs,
        **{f"{_ALONE}, {n} epochs": part for n, part in longer.groupby("epochs_allowed")},
    }
    table = pd.concat(
        [
            part[["family", "seed"]].assign(student=name, accuracy=100 * part["test_accuracy"])
            for name, part in students.items()
        ],
        ignore_index=True,
    )
    gains = words.rows(pairs.assign(gain=100 * pairs["gain"]), "seed {seed}: {gain:+.2f}")
    means = words.rows(table.groupby("student", sort=False)["accuracy"].mean().reset_index(),
                       "{student} {accuracy:.2f} %")  # fmt: skip
    return lines(
        table,
        Axis("student", order=[*students]),
        Axis("accuracy", "test accuracy (%)"),
        detail="seed",
        title=dataset_titles(pairs),
        text=f"Test accuracy on {dataset_titles(pairs)} of each student. Means: {means}. Gains "
        f"from the teacher in points: {gains}.",
    )


def against(*comparisons: Comparison) -> Figure | Prose:
    """The differences of one network from several others in accuracy, with their intervals."""
    pairs = [comparison for comparison in comparisons if comparison.is_pair]
    if not pairs:
        return Prose("There is nothing here to compare.")
    rows = [
        {
            "other": comparison.difference.other.label(comparison.difference.named),
            "mean": comparison.value.mean,
            "half_width": comparison.value.half_width,
            "low": comparison.value.low,
            "high": comparison.value.high,
            "n": comparison.n,
        }
        for comparison in pairs
    ]
    table = in_percent(pd.DataFrame(rows))
    runs = pairs[0].difference.one.selections[0].runs
    return points(
        table,
        Axis("mean", "difference (points)"),
        Axis("other", order=[*table["other"]]),
        colour=COLOURS[runs["family"].iloc[0]],
        level=0,
        title=dataset_titles(runs),
        text=f"Test accuracy on {dataset_titles(runs)} of the student with the teacher minus that "
        f"of others, in points: {words.rows(table, '{other}: {mean:+.2f}')}.",
    )


def by_temperature(runs: pd.DataFrame, setting: Setting) -> Figure | Prose:
    """The gain from the teacher against the temperature, on validation and on test images."""
    return _gains(runs, setting, "temperature", "temperature", log=True)


def by_alpha(runs: pd.DataFrame, setting: Setting) -> Figure | Prose:
    """The gain from the teacher against the weight of the soft loss."""
    return _gains(runs, setting, "alpha", "weight of the soft loss")


def _gains(
    runs: pd.DataFrame, setting: Setting, name: str, title: str, *, log: bool = False
) -> Figure | Prose:
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


def by_size(runs: pd.DataFrame, setting: Setting) -> Figure | Prose:
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


def losses(history: pd.DataFrame, runs: pd.DataFrame, setting: Setting) -> Figure | Prose:
    """The hard, the soft and the combined loss by epoch, a panel each."""
    pairs = twins.of_setting(twins.pairs(twins.photographs(runs)), setting)
    students = history[history["key"].isin(pairs["key"])]
    if students.empty:
        return _NO_PAIR
    return by_epoch(
        students.rename(columns=_LOSSES),
        [*_LOSSES.values()],
        Axis("mean", "loss", digits=".4f"),
        panels=Panels("part", apart="y", order=[*_LOSSES.values()]),
        name="part",
        text="Losses of the student on {data} by epoch. At the end {ends}.",
        ending="{part}: {mean:.3f}",
    )


_UNSEEN_STATES = (_ALONE, _TAUGHT, "with teacher, corrected")


def unseen(measured: Sequence[tuple[Record, Mapping[str, Any]]]) -> Figure | Prose:
    """The test images that a student recognises of a class that it never saw."""
    table = twins.unseen(measured)
    if table["taught"].nunique() < 2:
        return Prose("No student was trained without one class, with a teacher and without.")
    taught = table["taught"].astype(bool)
    states = [
        table["unseen_accuracy"][~taught],
        table["unseen_accuracy"][taught],
        table["corrected_accuracy"][taught],
    ]
    shares = table.assign(source=_OURS, **dict(zip(_UNSEEN_STATES, states, strict=True)))
    summary = in_percent(summarize_each(shares, ["source"], _UNSEEN_STATES, "student"))
    record = measured[0][0]
    if record.spec.dataset == "mnist":
        papers = [
            {"source": _PAPERS, "student": state, "mean": 100 * share}
            for state, share in zip(_UNSEEN_STATES[1:], _papers_shares(), strict=True)
        ]
        summary = pd.concat([summary, pd.DataFrame(papers)], ignore_index=True)
    data = DATASETS[record.spec.dataset].title
    return points(
        summary,
        Axis("mean", "recognised (%)", domain=(0, 100), digits=".1f"),
        Axis("student", order=_UNSEEN_STATES),
        colour=COLOURS[record.spec.model.family],
        shape="source",
        title=data,
        text=f"Test images of {data} recognised of a class that was never seen: "
        f"{words.rows(summary, '{student} ({source}): {mean:.1f} %')}.",
    )


def _papers_shares() -> list[float]:
    images = literature.UNSEEN_IMAGES
    return [1 - of_class / images for _, of_class in literature.UNSEEN_ERRORS.values()]
