"""What frames the pages: the lines at the head and the foot of each, and the foot of the site."""

from __future__ import annotations

import copy
import subprocess
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

import nbformat
from nbformat import NotebookNode

from ..core import weights_file
from ..core.record import Record
from ..core.store import Store
from ..planning.profiles import Page
from ..planning.progress import duration
from . import addresses

#: Of a text with formulas, charts and tables.
_WORDS_A_MINUTE = 180

#: Where a page finds the notebooks that are offered with their results, below `report/`.
WITH_RESULTS = "assets/notebooks"


def framed(
    notebook: NotebookNode, page: Page, records: Sequence[Record], store: Store, root: Path
) -> NotebookNode:
    """The notebook as a page, in a changed copy: its head in order, its source at its end.

    In the head, which ends at the first heading, what shows something comes first; then the code
    that shows nothing; then a line that says how long the page takes, to read and to train, and
    offers it as a notebook, and the weights of its runs that are published.  The line before the
    references leads to the page's source, in the repository too where that has an address.
    """
    notebook = copy.deepcopy(notebook)
    offers = f"{_head(notebook, page, records, root)}{_weights(records, store)}"
    line = nbformat.v4.new_markdown_cell(f"::: {{.lab1-head}}\n{offers}\n:::", id="head")
    cells = notebook.cells
    end = next((i for i, cell in enumerate(cells) if cell.source.startswith("## ")), 1)
    # The results are computed by what stands before them, and are what a reader comes for.
    in_order = sorted(cells[1:end], key=_shows_nothing)
    cells[1:end] = [*in_order, line]
    foot = f"::: {{.lab1-source}}\nSource of this page: {_source(page, root)}.\n:::"
    place = len(notebook.cells) - 1  # the references are the last
    notebook.cells.insert(place, nbformat.v4.new_markdown_cell(foot, id="source"))
    return notebook


def _shows_nothing(cell: NotebookNode) -> bool:
    return cell.cell_type == "code" and not any("data" in output for output in cell.outputs)


def site_foot(root: Path, stated: str) -> str:
    """What stands at the foot of the site, and of which commit it is where git knows.

    Git is believed only where it tracks the site's settings: the project may lie in a folder that
    the repository around it does not know.
    """

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(root), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", "_quarto.yml")
        return f"{stated}, {git('log', '-1', '--format=commit %h of %cs')}"
    except (OSError, subprocess.CalledProcessError):
        return stated


def _head(notebook: NotebookNode, page: Page, records: Sequence[Record], root: Path) -> str:
    texts = [cell.source for cell in notebook.cells[1:] if cell.cell_type == "markdown"]
    minutes = max(1, round(sum(len(text.split()) for text in texts) / _WORDS_A_MINUTE))
    said = [f"Some {minutes} minute{'s' if minutes > 1 else ''} to read."]
    if page.plan():
        trained = duration(sum(record.seconds for record in records))
        said.append(f"The runs behind it took {trained}, one after the other.")
    offers = [
        _download("notebook", f"../chapters/{page.chapter}.ipynb"),
        _download("the same with results", f"{WITH_RESULTS}/{page.name}.ipynb"),
    ]
    repository = urlsplit(addresses.read(root).repository)
    if repository.netloc == "github.com":
        offers.append(f"[in Codespaces](https://codespaces.new{repository.path})")
    return f"{' '.join(said)} To take away or to open: {', '.join(offers)}."


def _weights(records: Sequence[Record], store: Store) -> str:
    """Links to the published weights of the runs, by the keys that `lab1.load_run` takes."""
    files = {record.key: weights_file.published(record.spec, store) for record in records}
    links = [
        _download(key[:8], f"../results/{path.name}")
        for key, path in files.items()
        if path.is_file()
    ]
    if not links:
        return ""
    several = "s" if len(links) > 1 else ""
    return f" Weights of the run{several} {', '.join(links)}, for `lab1.load_run`."


def _download(text: str, path: str) -> str:
    """A link to a file; that to a notebook would lead to the page that it becomes without."""
    return f'[{text}]({path}){{download="{PurePosixPath(path).name}"}}'


def _source(page: Page, root: Path) -> str:
    name = f"chapters/{page.chapter}.ipynb"
    link = _download(name, f"../{name}")
    if repository := addresses.read(root).repository:
        link += f", also [in the repository]({repository}/blob/HEAD/{name})"
    return link
