"""Reads the cells of a chapter: its head, options, captions, code, and cited literature.

A chapter cites as `[He et al. (2016)](#ref-he2016deep)`, which reads well in any notebook; on a
page the link leads to the entry of that name in `references.bib`.
"""

import copy
import re
from collections.abc import Mapping
from typing import Any

import nbformat
import yaml
from nbformat import NotebookNode

from ..errors import PublishError
from ..planning.notebook import CAPTION

#: A chapter's first cell, of which a notebook shows all but the place.
_HEAD = re.compile(r"# ([^\n]+)\n\n([^<]+)\n\n<!--\n(.*)-->\s*", re.DOTALL)

_FRONT_MATTER = re.compile(r"---\n(.*?)\n---$", re.DOTALL | re.MULTILINE)

#: The options of a cell that hold its caption.
CAPTIONS = ("fig-cap", "tbl-cap")

#: How a cell begins that is a sentence of `lab1.chapter.OpenChapter`.
_SENTENCE = re.compile(r"^chapter\.(answer|claim|describe)\(", re.MULTILINE)

#: Of the values of a head, those that a reader sees.
_SHOWN = ("title", "description")

_CITED = re.compile(r"\]\(#ref-([\w-]+)\)")


def front_matter(markdown: str) -> dict[str, Any]:
    """What stands between the lines of `---` at the beginning; raises `ValueError` for none."""
    match = _FRONT_MATTER.match(markdown)
    if match is None:
        raise ValueError("it does not begin with its title, between lines of ---")
    values: dict[str, Any] = yaml.safe_load(match[1])
    return values


def head_of(markdown: str) -> dict[str, Any]:
    """The title, description and place of a chapter, from its first cell.

    Raises `PublishError` for a cell of another form.
    """
    match = _HEAD.fullmatch(markdown)
    place = yaml.safe_load(match[3]) if match else None
    if match is None or not isinstance(place, dict):
        raise PublishError(
            "the first cell is not the chapter's head; allowed: '# Title', a line that describes "
            "it, and the comment <!-- ... --> with part and order, as in chapters/1_1.ipynb"
        )
    return {"title": match[1], "description": match[2], **place}


def written_head(values: Mapping[str, Any]) -> str:
    """The first cell of a chapter, which `head_of` reads."""
    place = {name: value for name, value in values.items() if name not in _SHOWN}
    return f"# {values['title']}\n\n{values['description']}\n\n<!--\n{_yaml(place)}-->"


def _yaml(values: Mapping[str, Any]) -> str:
    return str(yaml.safe_dump(dict(values), sort_keys=False, allow_unicode=True, width=10**6))


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
    """What makes pandoc list all that the notebook's links cite; empty where none do."""
    texts = (cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    keys = dict.fromkeys(key for text in texts for key in _CITED.findall(text))
    return ", ".join(f"@{key}" for key in keys)


def as_page(chapter: NotebookNode) -> NotebookNode:
    """A chapter as Quarto takes it, in a changed copy.

    Its head is front matter, its captions are left to Quarto, and its literature is listed.
    """
    page = copy.deepcopy(chapter)
    front = head_of(page.cells[0].source)
    if cited := cited_literature(page):
        front["nocite"] = cited
        references = "## References\n\n::: {#refs}\n:::"
        page.cells.append(nbformat.v4.new_markdown_cell(references, id="references"))
    page.cells[0] = nbformat.v4.new_raw_cell(f"---\n{_yaml(front)}---", id=page.cells[0].id)
    for cell in page.cells:
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if output.get("metadata") != CAPTION]
            # What the page shows of its parameters is their explanation, and of a claim its text.
            injected = "injected-parameters" in cell.metadata.get("tags", ())
            if injected or shows_text_alone(cell.source):
                cell.source = f"#| echo: false\n{cell.source}"
    return page
