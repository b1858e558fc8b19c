"""The figures of an executed chapter as files: SVG, Vega-Lite and the CSV behind each."""

import copy
import hashlib
import json
import re
from base64 import b64decode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nbformat import NotebookNode

from ..core.files import write_if_changed
from ..errors import PublishError
from ..reporting import figure as figures
from ..reporting import networks

_ENDINGS = {"svg": "SVG", "vl.json": "Vega-Lite", "csv": "CSV"}

#: A picture within the HTML of a table.
_PNG = re.compile(r'src="data:image/png;base64,([^"]+)"')


@dataclass(frozen=True)
class Folder:
    """Where a page's figures are written, and how the page names that place."""

    path: Path
    address: str


def export_figures(
    notebook: NotebookNode, page: str, offered: Folder, drawn: Folder
) -> tuple[NotebookNode, set[Path]]:
    """Writes `<page>-<label>.{svg,vl.json,csv}` for every figure and links them below it.

    `label` is the cell's `#| label: fig-…` without its prefix.  These files go to the folder that
    is `offered`; pictures for dark pages and narrow screens, and those within tables, to that of
    what is only `drawn`.  Files that are equal are left alone.

    Returns a changed copy of the notebook, and the files; raises
    `PublishError` for a figure without a label.
    """
    notebook = copy.deepcopy(notebook)
    files: set[Path] = set()
    for cell, output in _figures(notebook):
        name = f"{page}-{_label(cell, page)}"
        parts = output["data"][figures.MIME]
        contents = {
            "vl.json": json.dumps(parts["spec"], indent=1, sort_keys=True) + "\n",
            "csv": parts["csv"],
        }
        addresses, written = write_pictures(parts, name, offered, drawn)
        for ending, content in contents.items():
            path = offered.path / f"{name}.{ending}"
            write_if_changed(path, content.encode())
            written.add(path)
        links = "".join(
            f'<a href="{offered.address}/{name}.{ending}">{kind}</a>'
            for ending, kind in _ENDINGS.items()
        )
        downloads = f'<p class="lab1-downloads">{links}</p>\n'
        output["data"]["text/html"] = figures.render(parts, addresses, downloads=downloads)
        files |= written

    def as_file(picture: re.Match[str]) -> str:
        content = b64decode(picture[1])
        name = f"{page}-{hashlib.sha256(content).hexdigest()[:16]}.png"
        write_if_changed(drawn.path / name, content)
        files.add(drawn.path / name)
        return f'src="{drawn.address}/{name}" loading="lazy"'

    for data in _outputs(notebook):
        if not data.keys() & {figures.MIME, networks.MIME} and "text/html" in data:
            data["text/html"] = _PNG.sub(as_file, data["text/html"])
    return notebook, files


def write_pictures(
    parts: Mapping[str, Any], name: str, offered: Folder, drawn: Folder
) -> tuple[dict[str, str], set[Path]]:
    """Writes a figure's pictures; returns their addresses as `figure.render` takes them, and them.

    The wide one for light pages goes to `offered`, the others to `drawn`.
    """
    wide, narrow = parts["svg"], parts["narrow"]
    made = {
        "wide": (offered, f"{name}.svg", wide),
        "wide-dark": (drawn, f"{name}.dark.svg", figures.in_dark(wide)),
        "narrow": (drawn, f"{name}.narrow.svg", narrow),
        "narrow-dark": (drawn, f"{name}.narrow-dark.svg", figures.in_dark(narrow)),
    }
    for folder, file, svg in made.values():
        write_if_changed(folder.path / file, svg.encode())
    addresses = {use: f"{folder.address}/{file}" for use, (folder, file, _) in made.items()}
    return addresses, {folder.path / file for folder, file, _ in made.values()}


def to_take_away(notebook: NotebookNode) -> NotebookNode:
    """The notebook as a reader opens it elsewhere, its pictures within it, in a changed copy."""
    notebook = copy.deepcopy(notebook)
    for data in _outputs(notebook):
        for kind in (figures.MIME, networks.MIME):
            data.pop(kind, None)
    return notebook


def alone(notebook: NotebookNode) -> NotebookNode:
    """The notebook with charts that come alive without a file beside it, in a changed copy."""
    notebook = copy.deepcopy(notebook)
    for data in _outputs(notebook):
        if parts := data.get(figures.MIME):
            data["text/html"] = figures.alone(parts)
    return notebook


def as_raw_blocks(notebook: NotebookNode) -> NotebookNode:
    """Turns HTML outputs into Markdown with a raw HTML block, in a changed copy.

    Both typeset alike, but on seeing an HTML output Quarto adds require.js and jQuery from another
    host to the page.
    """
    notebook = copy.deepcopy(notebook)
    for data in _outputs(notebook):
        data.pop(figures.MIME, None)
        if "text/html" in data:
            markup = data.pop("text/html")
            markup = data.pop(networks.MIME, markup)
            data["text/markdown"] = f"```{{=html}}\n{markup}\n```\n"
    return notebook


def remove_others(folder: Path, kept: set[Path], *further: str) -> None:
    """Takes away exports of figures that are no longer published, of `further` endings too."""
    for ending in (*_ENDINGS, *further):
        for path in folder.glob(f"*.{ending}"):
            if path not in kept:
                path.unlink()


def _outputs(notebook: NotebookNode) -> Iterator[Any]:
    """The data of each output."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            yield output.get("data", {})


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
