"""A chart as the site shows it: interactive where scripts run, an SVG where they do not.

A `Figure` is displayed as raw HTML that holds the finished SVG and the Vega-Lite
specification; `lab1/site/charts.js` replaces the first by a live chart.  Beside the HTML, the
notebook keeps the parts under `MIME`, from which publishing exports `figures/`.
"""

from __future__ import annotations

import csv
import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any

import altair as alt
import pandas as pd
import vl_convert

from ...core.escape import for_html
from . import tables, theme

#: The notebook output that holds a figure's parts: `spec`, `svg`, `csv` and `alt`.
MIME = "application/vnd.lab1.figure+json"

#: A longer table of data weighs down a page and is read by nobody; it is left to the CSV file.
LONGEST_TABLE = 200


@dataclass(frozen=True)
class Figure:
    """A chart, the `data` behind it, and a text alternative that says what it shows."""

    chart: alt.TopLevelMixin
    data: pd.DataFrame
    alt: str

    def parts(self) -> dict[str, Any]:
        """`spec` (a Vega-Lite object), `svg`, `csv` (texts) and `alt`."""
        with alt.data_transformers.enable("default", max_rows=None):  # a run may have any length
            spec = self.chart.to_dict()
        spec["config"] = theme.config()
        spec["description"] = self.alt
        return {
            "spec": spec,
            "svg": _own_paths(vl_convert.vegalite_to_svg(json.dumps(_without_links(spec)))),
            "csv": self.data.to_csv(index=False, lineterminator="\n"),
            "alt": self.alt,
        }

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        parts = self.parts()
        return {"text/html": render(parts), MIME: parts, "text/plain": self.alt}


def _own_paths(svg: str) -> str:
    """The drawing with names of its own for what it clips with.

    Vega numbers them through a whole process: the same chart would differ from build to build, and
    the charts of two processes on one page would clip with each other's.
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


def render(parts: dict[str, Any], assets: str = "assets", downloads: str = "") -> str:
    """The HTML of a figure's `parts`.

    `assets` is the folder of `charts.js` as seen from the page; `downloads` is HTML with
    links to the figure's files, where it has been exported.
    """
    # Inside a script element HTML looks for "</" and "<!--", wherever they stand.
    spec = json.dumps(parts["spec"], separators=(",", ":")).replace("<", "\\u003c")
    return (
        f'<div class="lab1-figure">\n'
        f'<div class="lab1-chart" role="img" aria-label="{for_html(parts["alt"])}" '
        f'data-assets="{for_html(assets)}">\n'
        # The alternative above says what these marks show; one by one they say nothing.
        f'<div class="lab1-view" aria-hidden="true">{parts["svg"]}</div>\n'
        f'<script type="application/json" class="lab1-spec">{spec}</script>\n'
        f'<script src="{for_html(assets)}/charts.js" defer></script>\n'
        f"</div>\n{_data(parts['csv'], downloads)}</div>"
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
