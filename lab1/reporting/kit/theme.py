"""One look for all charts: one colour per model family, legible in light and dark.

Text, axes and grid of a live chart take the page's colour (`lab1/site/charts.css`); those of a
picture are drawn for light pages, and exchanged for dark ones.
"""

from __future__ import annotations

from typing import Any

import altair as alt

from ...core.families import FAMILIES
from ...core.family import Family

#: By a family's style: one of Okabe and Ito's colours for the colour-blind that stand out on white
#: and on black, and a shape, for print and for colour-blind readers.
_STYLES = {
    "plain": ("#d55e00", "circle"),
    "residual": ("#3d8fd1", "square"),
    "control": ("#009e73", "triangle-up"),
}

#: For a reader's own families, in the order in which they are declared.
_OWN_STYLES = (
    ("#cc79a7", "diamond"),
    ("#b58900", "triangle-down"),
    ("#7a68c4", "cross"),
)


_OWN = [name for name, family in FAMILIES.items() if family.own]


def _style(family: Family) -> tuple[str, str]:
    if not family.own:
        return _STYLES[family.style]
    return _OWN_STYLES[_OWN.index(family.name) % len(_OWN_STYLES)]


COLOURS = {name: _style(family)[0] for name, family in FAMILIES.items()}
SHAPES = {name: _style(family)[1] for name, family in FAMILIES.items()}

#: Of the kinds of networks that count their depth alike, where several are in one chart.
_SHAPES_OF_KINDS = ("circle", "square", "triangle-up")

#: For lines that are no family's.
NEUTRAL = "#8a8a8a"

#: Of text in pictures, on light pages and on dark ones.
TEXT, TEXT_IN_DARK = "#6b6b6b", "#c9ced6"

_LINE = NEUTRAL
_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif"


def config() -> dict[str, Any]:
    """The Vega-Lite configuration of every chart."""
    return {
        "background": "transparent",
        "font": _FONT,
        "view": {"stroke": None},
        "text": {"color": TEXT},
        "axis": {
            "labelColor": TEXT,
            "titleColor": TEXT,
            "domainColor": _LINE,
            "tickColor": _LINE,
            "gridColor": _LINE,
            "gridOpacity": 0.25,
            "labelFontSize": 12,
            "titleFontSize": 12,
            "titleFontWeight": "normal",
        },
        "legend": {
            "labelColor": TEXT,
            "titleColor": TEXT,
            "labelFontSize": 12,
            "titleFontSize": 12,
            "orient": "top",
            "symbolOpacity": 1,
            "title": None,
        },
        "title": {
            "color": TEXT,
            "fontSize": 12,
            "fontWeight": "normal",
            "anchor": "end",
        },
        # The longest title of a panel that fits on a telephone.
        "header": {
            "labelColor": TEXT,
            "titleColor": TEXT,
            "labelFontSize": 12,
            "labelLimit": 290,
        },
        "line": {"strokeWidth": 2},
        "point": {"size": 60, "filled": True},
        "rule": {"strokeWidth": 1.5},
    }


def family_colour(families: list[str], **channel: Any) -> alt.Color:
    """Colour by family, in the order of `COLOURS`; the legend names those present."""
    domain = [family for family in COLOURS if family in families]
    scale = alt.Scale(domain=domain, range=[COLOURS[family] for family in domain])
    return alt.Color("family:N", scale=scale, **channel)


def family_shape(families: list[str], **channel: Any) -> alt.Shape:
    """Shape by family, to go with `family_colour`.

    Perceptrons, convolutional networks and those of He et al. share their colours, plain ones with
    plain ones; where they stand in one chart, it is the shape that tells these kinds apart.
    """
    domain = [family for family in SHAPES if family in families]
    kinds = list(dict.fromkeys(FAMILIES[family].axis for family in FAMILIES))
    shapes = SHAPES
    if len({FAMILIES[family].axis for family in domain}) > 1:
        of_kind = dict(zip(kinds, _SHAPES_OF_KINDS, strict=False))
        shapes = {
            family: SHAPES[family] if FAMILIES[family].own else of_kind[FAMILIES[family].axis]
            for family in domain
        }
    scale = alt.Scale(domain=domain, range=[shapes[family] for family in domain])
    return alt.Shape("family:N", scale=scale, **channel)


def source_shape(sources: list[str]) -> alt.Shape:
    """Shape by who measured: circles for the first of `sources`, diamonds for a paper."""
    shapes = ["circle", "diamond"][: len(sources)]
    return alt.Shape("source:N", scale=alt.Scale(domain=sources, range=shapes))
