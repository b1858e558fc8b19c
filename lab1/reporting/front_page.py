"""The parts of the site's front page: its headline, chart, two layers, and a card a chapter."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from ..core.escape import for_html
from ..core.families import residual_of
from ..core.record import Record
from . import comparison, frames, networks
from . import figure as figures

#: The width of the chart, beside which the layers stand.
_CHART = 580

#: The size of a card's strip, and how far from its ends the outermost mark lies.
_WIDE, _HIGH, _EDGE = 190, 36, 10


def headline(claims: Sequence[Mapping[str, Any]]) -> str:
    """The claims named `headline` and `deck`, as HTML; nothing where no page makes them."""
    named = {claim["name"]: claim["text"] for claim in claims if not claim["failed"]}
    if "headline" not in named:
        return ""
    deck = f'\n\n<div class="lab1-deck">\n\n{named["deck"]}\n\n</div>' if "deck" in named else ""
    return f'<h1 class="lab1-headline">{named["headline"]}</h1>{deck}\n'


def chart(records: Sequence[Record]) -> dict[str, Any]:
    """The parts of a chart of accuracy by depth, about the first page's question."""
    runs = frames.runs(frames.of_one_question(records))
    drawn = comparison.accuracy_by_depth(runs, runs_page="runs.html")
    assert isinstance(drawn, figures.Figure)  # there is a record, else there is no front page
    parts = drawn.parts()
    return {**parts, "svg": figures.draw(parts["spec"], _CHART)}


def figure(parts: dict[str, Any], addresses: dict[str, str]) -> str:
    """The chart, with its pictures at these addresses, as Markdown.

    Its scripts are named as seen from the front page.
    """
    return as_html(figures.render(parts, addresses, "report/assets"))


def layers(records: Sequence[Record]) -> tuple[str, str]:
    """A layer of the chart's plain network and one of its residual network, as Markdown.

    Nothing is drawn where the question has no such pair.
    """
    selected = frames.of_one_question(records)
    families = {record.spec.model.family for record in selected}
    for plain in families:
        with suppress(KeyError):
            pair = {plain, residual_of(plain)}
            of_pair = [record for record in selected if record.spec.model.family in pair]
            drawn = networks.one_block(of_pair, max(r.spec.model.depth for r in of_pair))
            if isinstance(drawn, networks.Drawing) and len(drawn.svgs) == len(pair):
                one, other = (networks.Drawing([svg], drawn.alt).markup for svg in drawn.svgs)
                return as_html(one), as_html(other)
    return "", ""


def cards(pages: Sequence[tuple[str, str, Sequence[Mapping[str, Any]]]]) -> str:
    """A card for each page that has one, as Markdown; from title, address and claims."""
    made = [
        (title, address, claim["card"])
        for title, address, claims in pages
        for claim in claims
        if claim["card"]
    ]
    return "\n".join(_card(*parts) for parts in made)


def _card(title: str, address: str, card: Mapping[str, Any]) -> str:
    """A card; its title leads to the page, wherever it is touched."""
    unit = f" <small>{for_html(card['unit'])}</small>" if card["unit"] else ""
    number = f'<p class="lab1-number">{for_html(card["number"])}{unit}</p>'
    doubt = f"::: {{.lab1-doubt}}\n{card['mark']} {card['doubt']}\n:::\n" if card["doubt"] else ""
    return (
        f"::: {{.lab1-card .lab1-{card['style']}}}\n### [{title}]({address})\n\n"
        f"{as_html(number)}\n{card['text']}\n\n{as_html(_strip(card))}\n{doubt}:::\n"
    )


def _strip(card: Mapping[str, Any]) -> str:
    """Zero, every seed, and the interval of their mean, as an SVG."""
    pairs, mean, half = card["pairs"], card["mean"], card["half_width"]
    low, high = (mean - half, mean + half) if half is not None else (mean, mean)
    first, last = min(0, low, *pairs), max(0, high, *pairs)
    scale = (_WIDE - 2 * _EDGE) / ((last - first) or 1)

    def x(value: float) -> float:
        return float(round(_EDGE + scale * (value - first), 1))

    middle = _HIGH / 3
    parts = [
        f'<path stroke="currentColor" opacity="0.6" d="M{x(0)} 2V{_HIGH - 14}"/>',
        networks.text(x(0), _HIGH - 1, "0"),
        f'<rect x="{x(low)}" y="{middle - 7}" width="{round(scale * (high - low), 1)}" height="14" '
        'rx="3" class="lab1-interval"/>',
    ]
    parts += [f'<circle cx="{x(pair)}" cy="{middle}" r="3.5" class="lab1-seed"/>' for pair in pairs]
    sides = len({pair > 0 for pair in pairs})
    said = f"{len(pairs)} seeds, {'all on one side' if sides == 1 else 'on both sides'} of zero"
    svg = networks.svg(_WIDE, _HIGH, said, parts)
    return f'<div class="lab1-strip" role="img" aria-label="{said}">{svg}</div>'


def as_html(markup: str) -> str:
    """Markup as a block of Markdown."""
    return f"```{{=html}}\n{markup}\n```\n"
