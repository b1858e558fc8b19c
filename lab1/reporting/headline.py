"""The fragments that the site's front page includes: the answer in sentences, and one chart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..datasets import DATASETS
from ..store import Record
from . import charts, figures, frames, verdicts, words


def fragments(records: Sequence[Record]) -> dict[str, str]:
    """``answer`` and ``headline``, Markdown, from the records of all pages.

    They are about the first page's question: records that differ from its first one in more than
    family, depth, seed and learning rate belong to another and are left out.  The chart's scripts
    are named as seen from the front page.
    """
    asked = _question(records[0])
    runs = frames.runs([record for record in records if _question(record) == asked])
    families = [family for family in words.NAMES if (runs["family"] == family).any()]
    answers = [verdicts.depth_effect(runs, family).text for family in families]
    answers.append(verdicts.skip_effect_at_deepest(runs).text)
    titles = ", ".join(sorted({DATASETS[name].title for name in runs["dataset"]}))
    figure = charts.accuracy_by_depth(runs)
    markup = figures.render(figure.parts(), assets="report/assets")
    caption = (
        f"Test accuracy on {titles} against the number of hidden layers, with and without skip "
        "connections: mean over the seeds and its 95 % interval. Choose a family in the legend; "
        "point at a mark for its numbers."
    )
    chart = f"::: {{#fig-headline}}\n```{{=html}}\n{markup}\n```\n\n{caption}\n:::\n"
    return {"answer": "\n\n".join(answers) + "\n", "headline": chart}


def _question(record: Record) -> dict[str, Any]:
    """What the runs of one question share."""
    canonical = record.spec.canonical()
    for part, name in (("model", "family"), ("model", "depth"), ("training", "learning_rate")):
        canonical[part].pop(name, None)
    return {name: canonical[name] for name in ("model", "dataset", "training")}
