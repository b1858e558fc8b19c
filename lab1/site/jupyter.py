"""Copies of the chapters to run and to change in Jupyter or Colab, each with its literature.

`chapters/` holds the sources. The copies in `notebooks/` are one's own: they are not committed, and
one that was changed is left alone.
"""

import hashlib
import subprocess
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from ..core.files import write_if_changed
from ..errors import PublishError
from .frame import read_addresses
from .notebook import cited_literature
from .preview import find_pandoc

FOLDER = "notebooks"

#: The first cell of code of a copy, where the project's repository has an address.
INSTALL = """\
# Elsewhere than in its repository, as in Colab: fetches lab1 and its records. Else it does nothing.
import importlib.util
import sys

if importlib.util.find_spec("lab1") is None:
    !git clone --quiet --depth 1 {repository} laboratory
    %pip install --quiet -e "laboratory[site]"
    sys.path.insert(0, "laboratory")"""

_CHANGED = "changed since"


def write(root: Path) -> tuple[list[Path], list[Path]]:
    """Writes the copies of all chapters, and returns those that are there and those left alone.

    Left alone are copies whose text or code was changed since. Raises `PublishError` for one
    that cites what `references.bib` does not have.
    """
    pandoc = find_pandoc()
    repository = read_addresses(root).repository
    written, left = [], []
    for source in sorted((root / "chapters").glob("*.ipynb")):
        notebook = _copied(source, pandoc, repository)
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


def _copied(source: Path, pandoc: str, repository: str) -> NotebookNode:
    chapter: NotebookNode = nbformat.read(source, 4)
    if repository:
        install = nbformat.v4.new_code_cell(INSTALL.format(repository=repository))
        chapter.cells.insert(1, install)
    if cited := cited_literature(chapter):
        options = ["--citeproc", "--bibliography", "references.bib"]
        result = subprocess.run(
            [pandoc, "--from", "markdown", "--to", "gfm", "--wrap", "preserve", *options],
            input=f'---\nnocite: "{cited}"\n---\n',
            capture_output=True,
            encoding="utf-8",
            cwd=source.parent,
            check=False,
        )
        listed = result.stdout
        unknown = [key for key in cited.split(", ") if f'id="ref-{key[1:]}"' not in listed]
        if result.returncode or unknown:
            raise PublishError(
                f"{source}: references.bib has not all that it cites: {', '.join(unknown)}"
                f"{result.stderr.strip()}"
            )
        references = f"## References\n\n{listed.strip()}"
        chapter.cells.append(nbformat.v4.new_markdown_cell(references))
    for index, cell in enumerate(chapter.cells):
        cell.id = f"cell-{index}"
    chapter.metadata["lab1"] = {"made": _digest(chapter)}
    return chapter


def _digest(notebook: NotebookNode) -> str:
    """Of its text and code, which running and saving it leave as they are."""
    sources = "\0".join(f"{cell.cell_type}\0{cell.source}" for cell in notebook.cells)
    return hashlib.sha256(sources.encode()).hexdigest()[:16]
