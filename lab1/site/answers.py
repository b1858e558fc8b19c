"""What the chapters found, for the front page: the box that opens each, quoted with its source."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from ..reporting.claims import MIME

#: What every effect says of itself that is more than a hint.
REMAINS = " (the interval excludes zero, also after correction)"

#: How the box begins (`lab1.reporting.kit.sentences.in_short`).
OPENING = "> **In short.** "

#: A link to another chapter, as one in `report/` writes it.
_TO_A_CHAPTER = re.compile(r"\]\((?=[\w-]+\.ipynb)")


def fragment(pages: Sequence[tuple[str, Path]]) -> str:
    """A paragraph for each page that opens with a box, as Markdown; from (title, executed page).

    It leads to the page and to the runs behind it; its links are as seen from the front page.  What
    goes without saying there, that an interval excludes zero, is left out.
    """
    paragraphs = []
    for title, path in pages:
        found = _box(path)
        if found:
            page = f"report/{path.name}"
            text = _TO_A_CHAPTER.sub("](report/", found).replace(REMAINS, "")
            space = "\n\n" if text.startswith("- ") else " "
            runs = f"[Its runs]({page}#tbl-runs)."
            paragraphs.append(f"**[{title}]({page}).**{space}{text}{space}{runs}\n")
    return "\n".join(paragraphs)


def claims_of(notebook: NotebookNode) -> list[dict[str, Any]]:
    """What each claim of an executed notebook says of itself, as `claims.MIME` has it."""
    outputs = (output for cell in notebook.cells for output in cell.get("outputs", []))
    return [data[MIME] for output in outputs if MIME in (data := output.get("data", {}))]


def _box(path: Path) -> str | None:
    """What the box of an executed page says; `None` where it has none."""
    notebook = nbformat.read(path, 4)
    for claim in claims_of(notebook):
        if claim["box"]:
            return str(claim["text"])
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            text = output.get("data", {}).get("text/markdown", "")
            if text.startswith(OPENING):
                return str(text.removeprefix(OPENING).strip())
    return None
