"""The line on each page that leads to the notebook it is made from."""

from __future__ import annotations

import copy
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from . import addresses


def added(notebook: NotebookNode, chapter: str, root: Path) -> NotebookNode:
    """The notebook with that line before its last cell, the references, in a changed copy.

    The source comes with the site; it is linked in the repository too where that has an address.
    """
    name = f"chapters/{chapter}.ipynb"
    # As a download, else the preview takes it for a link to the page that it becomes.
    line = f'Source of this page: [{name}](../{name}){{download="{chapter}.ipynb"}}'
    if repository := addresses.read(root).repository:
        line += f", also [in the repository]({repository}/blob/HEAD/{name})"
    notebook = copy.deepcopy(notebook)
    cell = nbformat.v4.new_markdown_cell(f"::: {{.lab1-source}}\n{line}.\n:::", id="source")
    notebook.cells.insert(len(notebook.cells) - 1, cell)
    return notebook
