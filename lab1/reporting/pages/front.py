"""The fragments that the site's front page includes: the answer, one chart, and details."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...core.datasets import DATASETS
from ...core.record import Record
from ..comparison import charts, verdicts
from ..degradation import verdicts as degradation_verdicts
from ..distillation import pairs as twins
from ..distillation import verdicts as distillation_verdicts
from ..distillation.pairs import Setting
from ..kit import figure as figures
from ..kit import frames, words


def fragments(
    records: Sequence[Record],
    degradation: Sequence[Record] = (),
    distillation: Sequence[Record] = (),
    setting: Setting | None = None,
) -> dict[str, str]:
    """`answer`, `headline` and `details`, Markdown, from the records of all pages.

    The answer has a sentence on each question that there are records for: what skip connections
    change on digits; with the records of `degradation`, what they change in deep networks; with
    those of `distillation` and its `setting`, what a teacher is worth.

    The first, the chart and the details are about the first page's question: records that differ
    from its first one in more than family, depth, seed and learning rate belong to another and are
    left out.  The chart's scripts are named as seen from the front page.
    """
    asked = _question(records[0])
    runs = frames.runs([record for record in records if _question(record) == asked])
    families = [family for family in words.NAMES if (runs["family"] == family).any()]
    answers = {
        "Skip connections": verdicts.at_deepest(runs, "MLP").text,
        "Deep networks": _on_degradation(degradation),
        "A teacher": _on_distillation(distillation, setting),
    }
    titles = ", ".join(sorted({DATASETS[name].title for name in runs["dataset"]}))
    figure = charts.accuracy_by_depth(runs, runs_page="runs.html")
    markup = figures.render(figure.parts(), assets="report/assets")
    caption = (
        f"Test accuracy on {titles} against the number of hidden layers, with and without skip "
        "connections: mean over the seeds and its 95 % interval. Choose a family in the legend; "
        "point at a mark for its numbers."
    )
    chart = f"::: {{#fig-headline}}\n```{{=html}}\n{markup}\n```\n\n{caption}\n:::\n"
    details = [verdicts.depth_effect(runs, family).text for family in families]
    return {
        "answer": "\n\n".join(f"**{name}.** {text}" for name, text in answers.items() if text)
        + "\n",
        "headline": chart,
        "details": "\n\n".join(details) + "\n",
    }


def _on_degradation(records: Sequence[Record]) -> str:
    """What the shortcut does to degradation; nothing before there are two depths to compare."""
    runs = frames.runs(records)
    if runs.empty:
        return ""
    depths = [set(runs[runs["family"] == family]["depth"]) for family in ("PlainNet", "ResNet")]
    if len(set.intersection(*depths)) < 2:
        return ""
    return degradation_verdicts.shortcut_effect(runs).text


def _on_distillation(records: Sequence[Record], setting: Setting | None) -> str:
    """What a teacher is worth; nothing before there is a student with one, and its twin."""
    runs = frames.runs(records)
    if runs.empty or setting is None:
        return ""
    if twins.of_setting(twins.pairs(twins.photographs(runs)), setting).empty:
        return ""
    return distillation_verdicts.improvement(runs, setting).text


def _question(record: Record) -> dict[str, Any]:
    """What the runs of one question share."""
    canonical = record.spec.canonical()
    for part, name in (("model", "family"), ("model", "depth"), ("training", "learning_rate")):
        canonical[part].pop(name, None)
    return {name: canonical[name] for name in ("model", "dataset", "training")}
