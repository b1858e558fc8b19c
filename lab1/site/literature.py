"""The list of the literature at a page's end, from the links by which its text cites.

A chapter cites as `[He et al. (2016)](#ref-he2016deep)`, which reads well in any notebook; on a
page the link leads to the entry of that name in `references.bib`.
"""

from __future__ import annotations

import re

import nbformat
from nbformat import NotebookNode

_CITED = re.compile(r"\]\(#ref-([\w-]+)\)")


def cited(notebook: NotebookNode) -> str:
    """A line of YAML by which pandoc lists what the notebook's links cite; empty where none do."""
    texts = (cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    keys = dict.fromkeys(key for text in texts for key in _CITED.findall(text))
    return f'nocite: "{", ".join(f"@{key}" for key in keys)}"' if keys else ""


def add_list(notebook: NotebookNode) -> None:
    """Appends the list, where links cite, to the notebook, which begins with its front matter."""
    if line := cited(notebook):
        front = notebook.cells[0]
        front.source = f"{front.source.rstrip().removesuffix('---')}{line}\n---"
        listed = "## References\n\n::: {#refs}\n:::"
        notebook.cells.append(nbformat.v4.new_markdown_cell(listed, id="references"))
