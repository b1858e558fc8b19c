"""The chart of the site's front page."""

from __future__ import annotations

from collections.abc import Sequence

from ...core.datasets import DATASETS
from ...core.record import Record
from ..comparison import charts
from ..kit import figure as figures
from ..kit import frames


def fragment(records: Sequence[Record]) -> str:
    """Accuracy by depth, as Markdown with a caption, from the records of all pages.

    The chart is about the first page's question.  Its scripts are named as seen from there.
    """
    runs = frames.runs(frames.of_one_question(records))
    titles = ", ".join(sorted({DATASETS[name].title for name in runs["dataset"]}))
    figure = charts.accuracy_by_depth(runs, runs_page="runs.html")
    markup = figures.render(figure.parts(), assets="report/assets")
    caption = (
        f"Test accuracy on {titles} against the number of hidden layers, with and without skip "
        "connections: mean over the seeds and its 95 % interval. Choose a family in the legend; "
        "point at a mark for its numbers."
    )
    return f"::: {{#fig-headline}}\n```{{=html}}\n{markup}\n```\n\n{caption}\n:::\n"
