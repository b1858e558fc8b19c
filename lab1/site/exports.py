"""The figures of an executed chapter as files: SVG, Vega-Lite and the CSV behind each."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nbformat import NotebookNode

from ..core.errors import PublishError
from ..core.files import write_if_changed
from ..reporting.kit import figure as figures

_ENDINGS = {"svg": "SVG", "vl.json": "Vega-Lite", "csv": "CSV"}


def export_figures(
    notebook: NotebookNode, page: str, folder: Path, address: str
) -> tuple[NotebookNode, set[Path]]:
    """Writes `<page>-<label>.{svg,vl.json,csv}` for every figure and links them below it.

    `label` is the cell's `#| label: fig-…` without its prefix; `address` is the folder as the
    page names it.  Files that are equal are left alone.

    Returns a changed copy of the notebook, and the files; raises
    `PublishError` for a figure without a label.
    """
    notebook = copy.deepcopy(notebook)
    files: set[Path] = set()
    for cell, output in _figures(notebook):
        name = f"{page}-{_label(cell, page)}"
        parts = output["data"][figures.MIME]
        contents = {
            "svg": parts["svg"],
            "vl.json": json.dumps(parts["spec"], indent=1, sort_keys=True) + "\n",
            "csv": parts["csv"],
        }
        links = []
        for ending, content in contents.items():
            path = folder / f"{name}.{ending}"
            write_if_changed(path, content.encode())
            files.add(path)
            links.append(f'<a href="{address}/{path.name}">{_ENDINGS[ending]}</a>')
        downloads = f'<p class="lab1-downloads">{"".join(links)}</p>\n'
        output["data"]["text/html"] = figures.render(parts, downloads=downloads)
    return notebook, files


def as_raw_blocks(notebook: NotebookNode) -> NotebookNode:
    """Turns HTML outputs into Markdown with a raw HTML block, in a changed copy.

    Both typeset alike, but on seeing an HTML output Quarto adds require.js and jQuery from another
    host to the page.
    """
    notebook = copy.deepcopy(notebook)
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if "text/html" in data:
                data["text/markdown"] = f"```{{=html}}\n{data.pop('text/html')}\n```\n"
                data.pop(figures.MIME, None)
    return notebook


def remove_others(folder: Path, kept: set[Path]) -> None:
    """Takes away exports of figures that are no longer published."""
    for ending in _ENDINGS:
        for path in folder.glob(f"*.{ending}"):
            if path not in kept:
                path.unlink()


def _figures(notebook: NotebookNode) -> Iterator[tuple[NotebookNode, Any]]:
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if figures.MIME in output.get("data", {}):
                yield cell, output


def _label(cell: NotebookNode, page: str) -> str:
    for line in cell.source.splitlines():
        if line.startswith("#| label:"):
            return str(line).split(":", 1)[1].strip().removeprefix("fig-")
    raise PublishError(f"page {page}: a figure has no '#| label: fig-…':\n{cell.source}")
