"""The drawing and the chart of the site's front page."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from ...core.datasets import DATASETS
from ...core.families import FAMILIES, residual_of, sole_difference
from ...core.record import Record
from .. import networks
from ..comparison import charts
from ..kit import figure as figures
from ..kit import frames


def headline(records: Sequence[Record]) -> tuple[dict[str, Any], str]:
    """The parts of a chart of accuracy by depth and its caption, from the records of all pages.

    The chart is about the first page's question.
    """
    runs = frames.runs(frames.of_one_question(records))
    titles = ", ".join(sorted({DATASETS[name].title for name in runs["dataset"]}))
    caption = (
        f"Test accuracy on {titles} against the number of hidden layers, with and without skip "
        "connections: mean over the seeds and its 95 % interval. Choose a family in the legend; "
        "point at a mark for its numbers."
    )
    return charts.accuracy_by_depth(runs, runs_page="runs.html").parts(), caption


def chart(parts: dict[str, Any], addresses: dict[str, str], caption: str) -> str:
    """That chart, with its pictures at these addresses, as Markdown with its caption.

    Its scripts are named as seen from the front page.
    """
    return _figure("headline", figures.render(parts, addresses, "report/assets"), caption)


def block(records: Sequence[Record]) -> str:
    """A block of a plain network and of its residual one, as Markdown with a caption.

    Twins come first, which differ in the skip connections alone, and of these the paper's;
    nothing is drawn where no plain family of the records has its residual one beside it.
    """
    specs = {record.spec for record in records}
    present = {(spec.model.family, spec.model.depth, spec.dataset) for spec in specs}
    pairs = sorted(
        (sole_difference(family) is None, -[*FAMILIES].index(family), depth, dataset, family)
        for family, depth, dataset in present
        if (_residual(family), depth, dataset) in present
    )
    if not pairs:
        return ""
    *_, depth, dataset, family = pairs[0]
    both = (family, _residual(family))
    pair = [r for r in records if r.spec.model.family in both and r.spec.dataset == dataset]
    caption = (
        "A block of a plain network and of a residual one, from its input x to its output y. What "
        "this laboratory is about is the blue line, a skip connection: the input is added to what "
        "the layers compute."
    )
    drawn = networks.one_block(pair, depth)
    return _figure("block", drawn.markup, caption) if isinstance(drawn, networks.Drawing) else ""


def _residual(family: str) -> str | None:
    with suppress(KeyError):
        return residual_of(family)
    return None


def _figure(label: str, markup: str, caption: str) -> str:
    """A figure in Markdown that can be referred to as `fig-` and its label."""
    return f"::: {{#fig-{label}}}\n```{{=html}}\n{markup}\n```\n\n{caption}\n:::\n"
