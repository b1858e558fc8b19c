"""A drawing on a page: an SVG with a title and a description, in the page's own colours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...core.escape import for_html
from ..kit import figure

#: The notebook output that holds what a page shows in the place of a notebook's pictures.
MIME = "application/vnd.lab1.drawing+html"


@dataclass(frozen=True)
class Drawing:
    """Drawings beside each other, and a text alternative that says what they show."""

    svgs: Sequence[str]
    alt: str

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        # Pictures that their addresses hold, which even an untrusted notebook shows.
        pictures = "\n".join(
            f'<img src="{figure.as_address(each)}" alt="{for_html(self.alt if not i else "")}">'
            for i, each in enumerate(self.svgs)
        )
        return {"text/html": pictures, MIME: self.markup, "text/plain": self.alt}

    @property
    def markup(self) -> str:
        """The HTML on a page: one picture to a screen reader, however many stand in it."""
        inner = "\n".join(self.svgs)
        return (
            f'<div class="lab1-drawing" role="img" aria-label="{for_html(self.alt)}">\n{inner}\n'
            "</div>"
        )


def svg(width: float, height: float, title: str, parts: Sequence[str]) -> str:
    """An SVG of that size; lines and text take the colour of the page's text."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" '
        f'width="{width:g}" height="{height:g}" aria-hidden="true" font-size="13" '
        f'fill="currentColor"><title>{for_html(title)}</title>{"".join(parts)}</svg>'
    )


def text(x: float, y: float, words: str, anchor: str = "middle", *, bold: bool = False) -> str:
    """A line of text whose baseline is at `y`."""
    weight = ' font-weight="600"' if bold else ""
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}"{weight}>{for_html(words)}</text>'


def box(
    x: float, y: float, width: float, height: float, kind: str, colour: str = "currentColor"
) -> str:
    """An outlined rectangle with a class of its kind, by which it is counted."""
    return (
        f'<rect class="lab1-{kind}" x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" '
        f'rx="3" fill="{colour}" fill-opacity="0.12" stroke="{colour}"/>'
    )


def line(points: Sequence[tuple[float, float]], colour: str = "currentColor") -> str:
    """An open line through some points, with an arrow head at its end."""
    path = " ".join(f"{x:g},{y:g}" for x, y in points)
    (x, y), (from_x, from_y) = points[-1], points[-2]
    # The head lies along the last part, which is horizontal or vertical.
    along = (x > from_x) - (x < from_x), (y > from_y) - (y < from_y)
    back = x - 6 * along[0], y - 6 * along[1]
    side = 3.5 * along[1], 3.5 * along[0]
    head = " ".join(
        f"{a:g},{b:g}"
        for a, b in ((x, y), (back[0] + side[0], back[1] + side[1]),
                     (back[0] - side[0], back[1] - side[1]))
    )  # fmt: skip
    return (
        f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.3"/>'
        f'<polygon points="{head}" fill="{colour}"/>'
    )


def addition(x: float, y: float, colour: str) -> str:
    """A sum: a plus in a circle."""
    return (
        f'<g class="lab1-addition" stroke="{colour}" fill="none" stroke-width="1.5">'
        f'<circle cx="{x:g}" cy="{y:g}" r="8"/>'
        f'<path d="M{x - 4:g},{y:g}h8M{x:g},{y - 4:g}v8"/></g>'
    )
