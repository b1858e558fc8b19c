"""Charts as a page and a notebook show them: pictures, and the HTML around these.

A notebook shows a picture that its address holds, which even an untrusted one may, and keeps the
parts of the figure under `MIME`.  From these publishing writes the pictures as files, and the HTML
in which `lab1/site/charts.js` replaces them by a live chart when a reader turns to it.
"""

import csv
import hashlib
import html
import json
import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from typing import Any

import altair as alt
import pandas as pd
import vl_convert
from fontTools import subset
from fontTools.ttLib import TTFont

from ..core.escape import for_html
from . import tables, theme

#: The notebook output that holds a figure's parts: `spec`, `svg`, `narrow`, `csv` and `alt`, and
#: `predicted` where a reader may predict it.
MIME = "application/vnd.lab1.figure+json"

#: A longer table of data weighs down a page and is read by nobody; it is left to the CSV file.
LONGEST_TABLE = 40


@dataclass(frozen=True)
class Figure:
    """A chart, the `data` behind it, and a text alternative that says what it shows.

    `predicted` is what a reader may predict before she sees it, as `predictions.of` gives it.
    """

    chart: alt.Chart | alt.LayerChart | alt.FacetChart
    data: pd.DataFrame
    alt: str
    predicted: Mapping[str, Any] | None = None

    def parts(self) -> dict[str, Any]:
        """`spec` (a Vega-Lite object), the pictures `svg` and `narrow`, `csv` and `alt`."""
        with alt.data_transformers.enable("default", max_rows=None):  # a run may have any length
            spec = self.chart.to_dict()
        spec["config"] = theme.config()
        spec["description"] = self.alt
        return {
            "spec": spec,
            "svg": draw(spec, WIDE),
            "narrow": draw(spec, NARROW),
            "csv": self.data.to_csv(index=False, lineterminator="\n"),
            "alt": self.alt,
            **({"predicted": self.predicted} if self.predicted else {}),
        }

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        parts = self.parts()
        return {"text/html": in_notebook(parts), MIME: parts, "text/plain": self.alt}


@dataclass(frozen=True)
class Piece:
    """HTML for a page, neither chart nor table, and `words` for where none can be shown."""

    markup: str
    words: str

    def _repr_html_(self) -> str:
        return self.markup

    def __repr__(self) -> str:
        return self.words


# The HTML


def in_notebook(parts: Mapping[str, Any]) -> str:
    """The HTML of a figure where nothing lies beside the page: a picture, and the numbers."""
    address = as_address(parts["svg"])
    return f'<img src="{address}" alt="{for_html(parts["alt"])}">\n{_data(parts["csv"], "")}'


def render(
    parts: Mapping[str, Any],
    addresses: Mapping[str, str],
    assets: str = "assets",
    downloads: str = "",
) -> str:
    """The HTML of a figure's `parts` on a page.

    `addresses` are those of its pictures, as seen from the page: `wide` and `narrow`, `wide-dark`
    and `narrow-dark`.  `assets` is the folder of `charts.js`; `downloads` is HTML with links to the
    figure's files, where they are offered.
    """
    pictures = "\n".join(_picture(parts, addresses, theme) for theme in ("", "-dark"))
    return _prediction(parts, assets) + _figure(parts, pictures, assets, downloads)


def alone(parts: Mapping[str, Any]) -> str:
    """The HTML of a figure on a page beside which no picture of it lies."""
    return _figure(parts, f'<img src="{as_address(parts["svg"])}" alt="">')


def _figure(
    parts: Mapping[str, Any], pictures: str, assets: str = "assets", downloads: str = ""
) -> str:
    # Inside a script element HTML looks for "</" and "<!--", wherever they stand.
    spec = json.dumps(parts["spec"], separators=(",", ":")).replace("<", "\\u003c")
    return (
        f'<div class="lab1-figure">\n'
        f'<div class="lab1-chart" role="img" aria-label="{for_html(parts["alt"])}" '
        f'data-assets="{for_html(assets)}">\n'
        # The alternative above says what these marks show; one by one they say nothing.
        f'<div class="lab1-view" aria-hidden="true">\n{pictures}\n</div>\n'
        f'<script type="application/json" class="lab1-spec">{spec}</script>\n'
        f'<script src="{for_html(assets)}/charts.js" defer></script>\n'
        f"</div>\n{_data(parts['csv'], downloads)}</div>"
    )


def _prediction(parts: Mapping[str, Any], assets: str) -> str:
    """Where `predict.js` asks a reader what she expects, before the chart."""
    if "predicted" not in parts:
        return ""
    predicted, folder = for_html(json.dumps(parts["predicted"])), for_html(assets)
    return (
        f'<link rel="stylesheet" href="{folder}/try-it.css">\n'
        f'<div class="lab1-predict" id="predict" data-predict="{predicted}"></div>\n'
        f'<script src="{folder}/predict.js" defer></script>\n'
    )


def _picture(parts: Mapping[str, Any], addresses: Mapping[str, str], theme: str) -> str:
    """The picture for pages of a theme, `-dark` or none; the page shows one, and loads no other."""
    (width, height), (narrow, low) = (size(parts[name]) for name in ("svg", "narrow"))
    return (
        f'<picture class="lab1{theme or "-light"}">'
        f'<source media="(max-width: 480px)" srcset="{for_html(addresses["narrow" + theme])}" '
        f'width="{narrow}" height="{low}">'
        f'<img src="{for_html(addresses["wide" + theme])}" width="{width}" height="{height}" '
        'alt="" loading="lazy"></picture>'
    )


def _data(text: str, downloads: str) -> str:
    """The numbers behind a chart, folded: a table where it is short, and links to the files."""
    columns, *rows = csv.reader(text.splitlines())
    table = ""
    if 0 < len(rows) <= LONGEST_TABLE:
        cells = [[_cell(value) for value in row] for row in rows]
        table = tables.markup([name.replace("_", " ") for name in columns], cells)
    if not table and not downloads:
        return ""
    return f'<details class="lab1-data"><summary>Data</summary>\n{table}\n{downloads}</details>\n'


def _cell(value: str) -> str:
    """A cell of a table; a fraction has six digits, more than a chart shows."""
    try:
        read = float(value)
    except ValueError:
        return tables.text(value)
    return tables.number(f"{read:.6g}" if "." in value else value)


# The pictures: what is seen where no script runs, and before one is asked for.  One is drawn for a
# width, since text that is scaled down with its chart cannot be read on a telephone.

#: The widths in pixels that a picture is drawn for: a page's text, and a telephone's.
WIDE, NARROW = 700, 340

#: Pixels of width: at the left of a row of panels for its axis; between two panels; the axis there,
#: where each has its scale; an entry of a legend.
_MARGIN, _BETWEEN, _AXIS, _ENTRY = 70, 20, 55, 100

#: How much narrower than drawn a panel may become before fewer stand beside each other.
_SHRUNK = 0.7


def draw(spec: dict[str, Any], width: int) -> str:
    """The SVG of a Vega-Lite specification, fitted to that width in pixels."""

    def unlinked(part: dict[str, Any]) -> dict[str, Any]:
        return {k: v for k, v in part.items() if not (k == "href" and isinstance(v, dict))}

    # A picture also lies elsewhere, where no link leads; and vl-convert takes a relative address
    # for one of a host of its own.
    spec = json.loads(json.dumps(spec), object_hook=unlinked)
    drawn = vl_convert.vegalite_to_svg(json.dumps(fitted(spec, width)))
    written = html.unescape(re.sub(r"<[^>]*>", "", drawn))
    face = _face("".join(sorted({*written})))
    return _unique_clips(_short_numbers(drawn)).replace(">", f">{face}", 1)


@cache
def _face(characters: str) -> str:
    """The style that gives a picture its face, with these characters alone."""
    font = TTFont(theme.FACE, recalcTimestamp=False)  # the same chart gives the same picture
    options = subset.Options(layout_features=["kern"], name_IDs=[1, 2], notdef_outline=False)
    subsetter = subset.Subsetter(options)
    subsetter.populate(text=characters)
    subsetter.subset(font)
    font.flavor = "woff"
    content = BytesIO()
    font.save(content)
    address = f"data:font/woff;base64,{b64encode(content.getvalue()).decode()}"
    return f'<style>@font-face{{font-family:"Lab Sans";src:url({address})}}</style>'


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
    # At the right of each panel there is room for the names of its lines.
    between = spec.get("spacing", {}).get("column", _BETWEEN)
    room = width - _MARGIN - (between - _BETWEEN)
    if spec.get("resolve", {}).get("scale", {}).get("y") == "independent":
        between += _AXIS
    rows = spec["datasets"][spec["data"]["name"]]
    panels = len({str(row[spec["facet"]["field"]]) for row in rows})
    fit = int((room + between) // (_SHRUNK * inner["width"] + between))
    columns = max(1, min(spec.get("columns", 1), panels, fit))
    panel = (room - between * (columns - 1)) // columns
    return spec | {"columns": columns, "spec": inner | {"width": panel}}


def in_dark(svg: str) -> str:
    """The picture with text and lines for a dark page."""
    return svg.replace(theme.TEXT, theme.TEXT_IN_DARK)


def size(svg: str) -> tuple[int, int]:
    """The width and height of a picture in pixels."""
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


def _unique_clips(svg: str) -> str:
    """The drawing with ids of its content for what it clips with.

    Vega numbers them through a whole process: the same chart would differ from build to build, and
    two drawings of a page might have the same.
    """
    content = hashlib.sha256(re.sub(r"\bclip\d+\b", "", svg).encode()).hexdigest()[:8]
    ids = dict.fromkeys(re.findall(r'id="(clip\d+)"', svg))
    unique = {name: f"clip-{content}-{index}" for index, name in enumerate(ids)}
    return re.sub(r"\bclip\d+\b", lambda match: unique.get(match[0], match[0]), svg)
