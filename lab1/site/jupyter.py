"""The chapters as notebooks to read and run in Jupyter, which does not know Quarto's Markdown.

`chapters/` holds the sources. Of each, `notebooks/` gets a copy in which numbers, references,
literature and solutions stand as a reader expects them; captions are shown above the outputs, with
their values, when the cells run (`lab1.planning.notebook`). The copies are one's own to change:
they are not committed, and one that was changed is left alone.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import nbformat
import yaml
from nbformat import NotebookNode

from ..core.files import write_if_changed
from ..errors import PublishError
from .notebook import (
    add_references,
    caption_of,
    cited_literature,
    code_of,
    front_matter,
    options_of,
)
from .preview import find_pandoc

FOLDER = "notebooks"
_ASSETS = Path(__file__).resolve().parent

#: What stands for a code cell while the text around it is converted, and for its caption's end.
_PLACE = re.compile(r"^CELL(\d+)$|^CAPTIONED(\d+)$(.*?)^CAPTIONEND$", re.MULTILINE | re.DOTALL)

_CHANGED = "changed since"

#: What pandoc puts around each entry of the literature.
_DIV = re.compile(r"^</?div[^>]*>\n+", re.MULTILINE)


def write(root: Path) -> tuple[list[Path], list[Path]]:
    """Writes the copies of all chapters, and returns those that are there and those left alone.

    Left alone are copies whose text or code was changed since. Raises `PublishError` for a chapter
    that cannot be converted.
    """
    pandoc = find_pandoc()
    written, left = [], []
    for source in sorted((root / "chapters").glob("*.ipynb")):
        notebook = _converted(source, root, pandoc)
        target = root / FOLDER / source.name
        before = _made_before(target)
        if before == _CHANGED:
            left.append(target)
        elif before != notebook.metadata["lab1"]["made"]:  # else its outputs stay
            target.parent.mkdir(exist_ok=True)
            write_if_changed(target, (nbformat.writes(notebook) + "\n").encode())
        written.append(target)
    return written, left


def _made_before(target: Path) -> str | None:
    """The digest of a copy that is there as it was made; `_CHANGED` for another, None for none."""
    if not target.exists():
        return None
    try:
        notebook = nbformat.read(target, 4)
    except ValueError:  # not JSON, or no notebook: whatever it is, it was not made so
        return _CHANGED
    made = notebook.metadata.get("lab1", {}).get("made")
    return str(made) if made == _digest(notebook) else _CHANGED


def _converted(source: Path, root: Path, pandoc: str) -> NotebookNode:
    chapter = nbformat.read(source, 4)
    add_references(chapter)
    values = front_matter(chapter.cells[0].source)
    cited = cited_literature(chapter)
    texts = [f"---\n{cited}\n---"] * bool(cited) + [*_text(chapter)]
    options = ["--to", "gfm-tex_math_gfm+tex_math_dollars", "--wrap", "preserve"]
    options += ["--lua-filter", str(_ASSETS / "quarto.lua"), "--citeproc", "--fail-if-warnings"]
    options += ["--bibliography", str(root / "chapters" / "references.bib")]
    result = subprocess.run(
        [pandoc, "--from", "markdown", *options],
        input="\n\n".join(texts),
        capture_output=True,
        encoding="utf-8",
        cwd=root / "chapters",
        check=False,
    )
    if result.returncode:
        raise PublishError(f"{source}: {result.stderr.strip()}")
    text = _DIV.sub("", result.stdout)
    notebook: NotebookNode = nbformat.v4.new_notebook(metadata=chapter.metadata)
    heading = f"# {values['title']}\n\n{values['description']}"
    end = 0
    texts = [heading]
    for place in _PLACE.finditer(text):
        texts.append(text[end : place.start()].strip())
        end = place.end()
        notebook.cells += _markdown(texts)
        texts = []
        caption = " ".join((place[3] or "").split())
        notebook.cells.append(_code(chapter.cells[int(place[1] or place[2])], caption))
    notebook.cells += _markdown([text[end:].strip()])
    for index, cell in enumerate(notebook.cells):
        cell.id = f"cell-{index}"
    notebook.metadata["lab1"] = {"made": _digest(notebook)}
    return notebook


def _text(chapter: NotebookNode) -> Iterator[str]:
    """The chapter's text, each code cell a line that names its place, with its caption."""
    for index, cell in enumerate(chapter.cells):
        if cell.cell_type == "markdown":
            yield cell.source
        elif cell.cell_type == "code":
            options = options_of(cell.source)
            caption = caption_of(options)
            if caption is None:
                yield f"CELL{index}"
            else:
                figure = f"CAPTIONED{index}\n\n{caption}"
                yield f"::: {{#{options['label']}}}\n{figure}\n:::\n\nCAPTIONEND"


def _markdown(texts: list[str]) -> list[NotebookNode]:
    text = "\n\n".join(filter(None, texts))
    return [nbformat.v4.new_markdown_cell(text)] if text else []


def _code(cell: NotebookNode, caption: str) -> NotebookNode:
    """The cell without Quarto's options, folded where the page shows its output alone."""
    options = options_of(cell.source)
    code = code_of(cell.source)
    if "open_chapter(" in code:
        code += "\n\nchapter"  # says which runs these are
    if caption:
        written = yaml.safe_dump(caption, width=10**6, allow_unicode=True).strip()
        code = f"#| caption: {written}\n{code}"
    metadata = NotebookNode(cell.metadata)
    if not options.get("echo", True):
        metadata["jupyter"] = {"source_hidden": True}
    new: NotebookNode = nbformat.v4.new_code_cell(code, metadata=metadata)
    return new


def _digest(notebook: NotebookNode) -> str:
    """Of its text and code, which running and saving it leave as they are."""
    sources = "\0".join(f"{cell.cell_type}\0{cell.source}" for cell in notebook.cells)
    return hashlib.sha256(sources.encode()).hexdigest()[:16]
