"""Reads the cells of a chapter: front matter, options, captions, code, and cited literature.

A chapter cites as `[He et al. (2016)](#ref-he2016deep)`, which reads well in any notebook; on a
page the link leads to the entry of that name in `references.bib`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import nbformat
import yaml
from nbformat import NotebookNode

_FRONT_MATTER = re.compile(r"---\n(.*?)\n---$", re.DOTALL | re.MULTILINE)

#: The options of a cell that hold its caption.
CAPTIONS = ("fig-cap", "tbl-cap")

#: How a cell begins that is a sentence of `lab1.chapter.OpenChapter`.
_SENTENCE = re.compile(r"^chapter\.(answer|claim|describe)\(", re.MULTILINE)

_CITED = re.compile(r"\]\(#ref-([\w-]+)\)")


def front_matter(markdown: str) -> dict[str, Any]:
    """What stands between the lines of `---` at the beginning; raises `ValueError` for none."""
    match = _FRONT_MATTER.match(markdown)
    if match is None:
        raise ValueError("it does not begin with its title, between lines of ---")
    values: dict[str, Any] = yaml.safe_load(match[1])
    return values


def options_of(source: str) -> dict[str, Any]:
    """The options that a cell's source begins with, as `#| label: fig-loss`, or that it implies."""
    lines = (line[2:] for line in source.splitlines() if line.startswith("#|"))
    implied = {"echo": False} if shows_text_alone(source) else {}
    return {**implied, **(yaml.safe_load("\n".join(lines)) or {})}


def shows_text_alone(source: str) -> bool:
    """Whether a cell is a sentence, whose code no page shows."""
    return _SENTENCE.search(source) is not None


def caption_of(options: Mapping[str, Any]) -> str | None:
    """The caption among the options of a cell, where it has one."""
    return next((options[name] for name in CAPTIONS if name in options), None)


def code_of(source: str) -> str:
    """A cell's source without its options."""
    return "\n".join(line for line in source.splitlines() if not line.startswith("#|")).strip()


def cited_literature(notebook: NotebookNode) -> str:
    """A line of YAML by which pandoc lists what the notebook's links cite; empty where none do."""
    texts = (cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    keys = dict.fromkeys(key for text in texts for key in _CITED.findall(text))
    return f'nocite: "{", ".join(f"@{key}" for key in keys)}"' if keys else ""


def add_references(notebook: NotebookNode) -> None:
    """Appends the list of literature, where links cite, to a notebook with front matter."""
    if line := cited_literature(notebook):
        front = notebook.cells[0]
        front.source = f"{front.source.rstrip().removesuffix('---')}{line}\n---"
        references = "## References\n\n::: {#refs}\n:::"
        notebook.cells.append(nbformat.v4.new_markdown_cell(references, id="references"))
