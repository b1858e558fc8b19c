"""A chart as the site and a notebook show it.

A notebook shows a picture that its address holds, which even an untrusted one may, and keeps the
parts of the figure under `MIME`.  From these publishing writes the pictures as files, and the HTML
in which `lab1/site/charts.js` replaces them by a live chart when a reader turns to it.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import altair as alt
import pandas as pd

from ...core.escape import for_html
from . import pictures, tables, theme

#: The notebook output that holds a figure's parts: `spec`, `svg`, `narrow`, `csv` and `alt`.
MIME = "application/vnd.lab1.figure+json"

#: A longer table of data weighs down a page and is read by nobody; it is left to the CSV file.
LONGEST_TABLE = 40


@dataclass(frozen=True)
class Figure:
    """A chart, the `data` behind it, and a text alternative that says what it shows."""

    chart: alt.TopLevelMixin
    data: pd.DataFrame
    alt: str

    def parts(self) -> dict[str, Any]:
        """`spec` (a Vega-Lite object), the pictures `svg` and `narrow`, `csv` and `alt`."""
        with alt.data_transformers.enable("default", max_rows=None):  # a run may have any length
            spec = self.chart.to_dict()
        spec["config"] = theme.config()
        spec["description"] = self.alt
        return {
            "spec": spec,
            "svg": pictures.draw(spec, pictures.WIDE),
            "narrow": pictures.draw(spec, pictures.NARROW),
            "csv": self.data.to_csv(index=False, lineterminator="\n"),
            "alt": self.alt,
        }

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        parts = self.parts()
        return {"text/html": in_notebook(parts), MIME: parts, "text/plain": self.alt}


def in_notebook(parts: Mapping[str, Any]) -> str:
    """The HTML of a figure where nothing lies beside the page: a picture, and the numbers."""
    address = pictures.as_address(parts["svg"])
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
    # Inside a script element HTML looks for "</" and "<!--", wherever they stand.
    spec = json.dumps(parts["spec"], separators=(",", ":")).replace("<", "\\u003c")
    shown = "\n".join(_picture(parts, addresses, theme) for theme in ("", "-dark"))
    return (
        f'<div class="lab1-figure">\n'
        f'<div class="lab1-chart" role="img" aria-label="{for_html(parts["alt"])}" '
        f'data-assets="{for_html(assets)}">\n'
        # The alternative above says what these marks show; one by one they say nothing.
        f'<div class="lab1-view" aria-hidden="true">\n{shown}\n</div>\n'
        f'<script type="application/json" class="lab1-spec">{spec}</script>\n'
        f'<script src="{for_html(assets)}/charts.js" defer></script>\n'
        f"</div>\n{_data(parts['csv'], downloads)}</div>"
    )


def _picture(parts: Mapping[str, Any], addresses: Mapping[str, str], theme: str) -> str:
    """The picture for pages of a theme, `-dark` or none; the page shows one, and loads no other."""
    (width, height), (narrow, low) = (pictures.size(parts[name]) for name in ("svg", "narrow"))
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
