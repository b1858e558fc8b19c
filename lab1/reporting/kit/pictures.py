"""The pictures of a chart: what is seen where no script runs, and before one is asked for.

A picture is drawn for a width, since text that is scaled down with its chart cannot be read on a
telephone.  `lab1/site/charts.js` fits a live chart in the same way.
"""

from __future__ import annotations

import hashlib
import json
import re
from base64 import b64encode
from typing import Any

import vl_convert

from . import theme

#: The widths in pixels that a picture is drawn for: a page's text, and a telephone's.
WIDE, NARROW = 700, 340

#: Room at the left of a row of panels for its axis, and between two panels: with an axis and none.
_MARGIN, _AXIS_BETWEEN, _BETWEEN = 70, 75, 20

#: How much narrower than drawn a panel may become before fewer stand beside each other.
_SHRUNK = 0.7

#: Pixels of width that an entry of a legend takes.
_ENTRY = 100


def draw(spec: dict[str, Any], width: int) -> str:
    """The SVG of a Vega-Lite specification, fitted to that width in pixels."""
    drawn = vl_convert.vegalite_to_svg(json.dumps(fitted(_without_links(spec), width)))
    return _own_paths(_short_numbers(drawn))


def fitted(spec: dict[str, Any], width: int) -> dict[str, Any]:
    """The specification with panels that fill the width, or as one chart that does."""
    if width <= NARROW:
        config = spec.get("config", {})
        below = {"top": {"direction": "vertical", "anchor": "start"}}  # one legend below another
        legend = {"columns": max(1, width // _ENTRY), "layout": below}
        spec = spec | {"config": config | {"legend": config.get("legend", {}) | legend}}
    inner = spec.get("spec")
    if inner is None:
        return spec | {"width": width, "autosize": {"type": "fit-x", "contains": "padding"}}
    scales = spec.get("resolve", {}).get("scale", {})
    between = _AXIS_BETWEEN if scales.get("y") == "independent" else _BETWEEN
    room = width - _MARGIN
    fit = int((room + between) // (_SHRUNK * inner["width"] + between))
    columns = max(1, min(spec.get("columns", 1), _panels(spec), fit))
    panel = (room - between * (columns - 1)) // columns
    return spec | {"columns": columns, "spec": inner | {"width": panel}}


def _panels(spec: dict[str, Any]) -> int:
    field = spec["facet"]["field"]
    rows = spec["datasets"][spec["data"]["name"]]
    return len({str(row[field]) for row in rows})


def in_dark(svg: str) -> str:
    """The picture with text and lines for a dark page."""
    return svg.replace(theme.TEXT, theme.TEXT_IN_DARK)


def size(svg: str) -> tuple[int, int]:
    """Its width and height in pixels."""
    width, height = re.findall(r'\b(?:width|height)="(\d+)', svg.partition(">")[0])
    return int(width), int(height)


def as_address(svg: str) -> str:
    """The picture as an address that holds it, on white, since its page may be of any colour."""
    on_white = svg.replace("<svg ", '<svg style="background:#fff" ', 1)
    return f"data:image/svg+xml;base64,{b64encode(on_white.encode()).decode()}"


#: The attributes that say where something is; others, and the text, are read.
_PLACES = re.compile(r'(?<= )(?:d|transform|[xy][12]?|width|height)="[^"]*"')


def _short_numbers(svg: str) -> str:
    """The drawing with places to a hundredth of a pixel."""

    def short(number: re.Match[str]) -> str:
        return f"{float(number[0]):.2f}".rstrip("0").rstrip(".")

    return _PLACES.sub(lambda place: re.sub(r"-?\d+\.\d{3,}", short, place[0]), svg)


def _own_paths(svg: str) -> str:
    """The drawing with names of its own for what it clips with.

    Vega numbers them through a whole process: the same chart would differ from build to build.
    """
    names = dict.fromkeys(re.findall(r'id="(clip\d+)"', svg))
    numbered = {name: f"clip-{index}" for index, name in enumerate(names)}
    svg = re.sub(r"\bclip\d+\b", lambda found: numbered.get(found[0], found[0]), svg)
    own = hashlib.sha256(svg.encode()).hexdigest()[:8]
    return re.sub(r"\bclip-(\d+)\b", rf"clip-{own}-\1", svg)


def _without_links(spec: Any) -> Any:
    """The specification as it is drawn: the drawing also lies elsewhere, where no link leads.

    Nor would one here, since vl-convert takes a relative address for one of a host of its own.
    """
    if isinstance(spec, list):
        return [_without_links(each) for each in spec]
    if not isinstance(spec, dict):
        return spec
    return {
        name: _without_links(each)
        for name, each in spec.items()
        if not (name == "href" and isinstance(each, dict))
    }
