"""Colours, shapes, dashes and fonts of all charts."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import altair as alt
import vl_convert

from ..core.families import FAMILIES

#: Colours that stand out on white and on black, the first three of Okabe and Ito's for the
#: colour-blind; and shapes, for print and for colour-blind readers.  The first of each are those of
#: the styles of families, the others of further families, in the order of their declarations.
PALETTE = ("#d55e00", "#3d8fd1", "#009e73", "#cc79a7", "#b58900", "#7a68c4")

_SHAPES = ("circle", "square", "triangle-up", "diamond", "triangle-down", "cross")

_STYLES = ("plain", "residual", "control")

_FURTHER = [name for name, family in FAMILIES.items() if family.style == "further"]


def _look(name: str) -> int:
    if name in _FURTHER:
        return len(_STYLES) + _FURTHER.index(name) % (len(PALETTE) - len(_STYLES))
    return _STYLES.index(FAMILIES[name].style)


#: Of each family, everywhere.
COLOURS = {name: PALETTE[_look(name)] for name in FAMILIES}

SHAPES = {name: _SHAPES[_look(name)] for name in FAMILIES}

#: Of lines that are no family's, axes and grids.
NEUTRAL = "#8a8a8a"

#: Of text in pictures, on light pages and on dark ones.  Text and lines of a live chart take the
#: page's colour (`lab1/site/charts.css`).
TEXT, TEXT_IN_DARK = "#6b6b6b", "#c9ced6"
_TEXT = {"labelColor": TEXT, "titleColor": TEXT, "labelFontSize": 12, "titleFontSize": 12}


#: The pages' face for small text (`lab1/site/fonts`): a picture is measured with it and carries it,
#: so that no word is wider for a reader than where it was drawn.
FACE = Path(__file__).resolve().parents[1] / "site" / "fonts" / "sans.ttf"
vl_convert.register_font_directory(str(FACE.parent))


def config() -> dict[str, Any]:
    """The Vega-Lite configuration of every chart."""
    return {
        "background": "transparent",
        "font": "Lab Sans, system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif",
        "view": {"stroke": None},
        "text": {"color": TEXT},
        "axis": {
            **_TEXT,
            "domainColor": NEUTRAL,
            "tickColor": NEUTRAL,
            "gridColor": NEUTRAL,
            "gridOpacity": 0.25,
            "titleFontWeight": "normal",
        },
        "axisY": {"tickCount": 5},
        "legend": {**_TEXT, "orient": "top", "symbolOpacity": 1, "title": None},
        "title": {"color": TEXT, "fontSize": 12, "fontWeight": "normal", "anchor": "end"},
        # The longest title of a panel that fits on a telephone.
        "header": {**_TEXT, "labelLimit": 290, "titleFontWeight": "normal"},
        "line": {"strokeWidth": 2},
        "point": {"size": 60, "filled": True},
        "rule": {"strokeWidth": 1.5},
    }


#: Of lines that differ in no colour, the first one solid; and of points of no family.
_DASHES = ([1, 0], [5, 4], [2, 3], [9, 3, 2, 3], [12, 4], [1, 2])

_OTHER_SHAPES = ("circle", "diamond", "square", "triangle-up", "cross", "triangle-down")


def colour(column: str, names: Sequence[str]) -> alt.Color:
    """Colour by family, or by a column with other `names`."""
    return alt.Color(f"{column}:N", scale=_scale(names, COLOURS if column == "family" else PALETTE))


def dash(column: str, names: Sequence[str]) -> alt.StrokeDash:
    """Solid lines for the first of `names`, dashed ones for the others."""
    return alt.StrokeDash(f"{column}:N", scale=_scale(names, _DASHES))


def shape(column: str, names: Sequence[str]) -> alt.Shape:
    """Shape by family, to go with its colour, or by a column with other `names`.

    Perceptrons, convolutional networks and those of He et al. share their colours, plain ones with
    plain ones; where they stand in one chart, it is the shape that tells these kinds apart.
    """
    shapes: Sequence[str] | Mapping[str, str] = SHAPES if column == "family" else _OTHER_SHAPES
    if column == "family" and len({FAMILIES[name].axis for name in names}) > 1:
        kinds = dict.fromkeys(family.axis for family in FAMILIES.values())
        of_kind = dict(zip(kinds, _SHAPES, strict=False))
        designed = [name for name in names if name not in _FURTHER]
        shapes = SHAPES | {name: of_kind[FAMILIES[name].axis] for name in designed}
    return alt.Shape(f"{column}:N", scale=_scale(names, shapes))


def _scale(names: Sequence[str], looks: Sequence[Any] | Mapping[str, Any]) -> alt.Scale:
    if not isinstance(looks, Mapping):
        looks = {name: looks[index % len(looks)] for index, name in enumerate(names)}
    return alt.Scale(domain=[*names], range=[looks[name] for name in names])
