"""Executes chapters, and remembers what they showed (jupyter-cache).

Executions are remembered by their code cells. The injected parameters cell carries a digest of the
reporting sources and of the records, and the versions of what draws a page, so that a change in any
of them is a miss while a change of prose is a hit.

It is a cache: any fault of it is a miss, said in one line.  What it gives back is compared with the
digest that was kept beside it.
"""

import hashlib
import json
import os
import re
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

import papermill
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from nbformat import NotebookNode
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook

from ..chapter import DRAFT
from ..core import benchmarks, files
from ..core.families import FAMILIES
from ..core.record import Record
from ..core.store import Store
from ..errors import PublishError
from ..planning import chapters, profiles
from ..planning.profiles import Page
from .notebook import head_of, written_head

#: What draws a page beside the sources: another version is a miss.
_DRAWN_BY = ("altair", "pandas", "numpy", "scipy", "vl-convert-python")

_COLOURS = re.compile(r"\x1b\[[\d;]*m")


@contextmanager
def draft_mode(draft: bool = True) -> Iterator[None]:
    """In a `draft`, chapters show claims that are not carried within it, and mark them."""
    before = os.environ.get(DRAFT)
    if draft:
        os.environ[DRAFT] = "1"
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(DRAFT, None)


def execute_page(
    page: Page, records: Sequence[Record], store: Store, root: Path
) -> tuple[NotebookNode, bool]:
    """The page's notebook with its outputs, and whether it had to be executed for them.

    Raises `PublishError` for a chapter that cannot be read, or fails, with the cell and the
    traceback.
    """
    cache = ExecutionCache(root / ".jupyter_cache")
    asked = _parameterize(_read_chapter(root, page), page, records, store)
    notebook = cache.find(asked, page.name)
    if notebook is not None:
        say(f"{page.name}: unchanged, from the cache")
        return notebook, False
    executed = _execute(asked, page, root)
    cache.keep(executed, page.name)
    # Taken from the cache where that is possible, so that the page is the same to the byte.
    return cache.find(asked, page.name) or executed, True


def _read_chapter(root: Path, page: Page) -> NotebookNode:
    path = root / "chapters" / f"{page.chapter}.ipynb"
    try:
        chapter: NotebookNode = load_notebook_node(str(path))
    except (OSError, ValueError) as error:  # ValueError: not JSON, or not a notebook
        raise PublishError(f"{path}: not readable as a notebook: {error}") from error
    tagged = sum("parameters" in cell.metadata.get("tags", ()) for cell in chapter.cells)
    if tagged != 1:  # the page would show what its own cell says, and not what its profile says
        raise PublishError(
            f"{path}: {tagged} cells have the tag 'parameters'; allowed: one, the cell that lists "
            "the parameters"
        )
    return chapter


def _parameterize(
    chapter: NotebookNode, page: Page, records: Sequence[Record], store: Store
) -> NotebookNode:
    values = {"profile": page.profile, **page.parameters}
    plain = {name: list(v) if isinstance(v, tuple) else v for name, v in values.items()}
    # None means "as the profile has it" in a chapter; a parameter that is none says so in words.
    plain = {name: "none" if value is None else value for name, value in plain.items()}
    digests = f"sources {sources_digest()}, records {records_digest(page, records, store)}"
    digests += f", {versions()}{', draft' if os.environ.get(DRAFT) else ''}"
    notebook: NotebookNode = parameterize_notebook(
        chapter,
        plain,
        comment=f"Parameters of this page; {digests}",
        kernel_name="python3",  # whatever the one is called who saved it last
        language="python",
    )
    notebook.metadata = _metadata()
    if page.variant:
        notebook.cells[0].source = _retitled(notebook.cells[0].source, page.variant)
    for index, cell in enumerate(notebook.cells):
        cell.id = f"cell-{index}"  # papermill draws a random one for the cell that it injects
        # Colab notes here who ran a cell; and Quarto writes an empty list in a random order.
        tags = cell.metadata.get("tags")
        cell.metadata = NotebookNode(tags=tags) if tags else NotebookNode()
    return notebook


def _retitled(source: str, variant: str) -> str:
    """The head of a further page, whose title says which one it is."""
    values = head_of(source)
    values["title"] = f"{values['title']} ({variant})"
    values["order"] = values.get("order", 0) + 0.5  # after its chapter's first page
    return written_head(values)


def _execute(notebook: NotebookNode, page: Page, root: Path) -> NotebookNode:
    say(f"{page.name}: executing")
    started = time.monotonic()
    try:
        result: NotebookNode = papermill.execute_notebook(
            notebook,
            None,
            kernel_name="python3",
            progress_bar=sys.stderr.isatty(),
            cwd=str(root / "chapters"),
        )
    except papermill.PapermillExecutionError as error:
        traceback = _COLOURS.sub("", "\n".join(error.traceback))
        number = max(1, error.exec_count - 1)  # as its author counts: papermill has put one in
        raise PublishError(
            f"code cell {number}: {error.ename}: {error.evalue}\n{traceback}"
        ) from error
    except Exception as error:  # a kernel that does not start or dies, of many kinds
        raise PublishError(f"{type(error).__name__}: {error}") from error
    say(f"{page.name}: executed in {time.monotonic() - started:.0f} s")
    result.metadata = _metadata()
    for cell, original in zip(result.cells, notebook.cells, strict=True):
        cell.metadata = original.metadata  # without papermill's times of day
    return result


def _metadata() -> NotebookNode:
    """The same for all notebooks: part of the cache key, and free of times and versions."""
    kernel = NotebookNode(name="python3", display_name="Python 3", language="python")
    return NotebookNode(kernelspec=kernel, language_info=NotebookNode(name="python"))


def sources_digest() -> str:
    """A digest of all `lab1` sources outside `training`: what a chapter's outputs depend on."""
    package = files.PACKAGE
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        relative = path.relative_to(package)
        if relative.parts[0] != "training":
            digest.update(f"{relative.as_posix()}\0".encode() + path.read_bytes() + b"\0")
    for family in FAMILIES.values():
        if family.user_defined:
            digest.update(f"{family.name}\0{family.sha256}\0".encode())
    return digest.hexdigest()[:16]


def records_digest(page: Page, records: Sequence[Record], store: Store) -> str:
    """A digest of the records that a page reads, of whether each is published, and of its head.

    It may name what is published beside it, too: the parameters, and a run of its chapter.
    """
    digest = hashlib.sha256(json.dumps(page.changes).encode())  # which it says at its head
    for beside in profiles.published(page.chapter):
        if beside != page:
            digest.update(json.dumps(beside.parameters, sort_keys=True).encode())
            found = ((spec.key, store.path_of(spec)) for spec in beside.plan())
            digest.update(b"".join(key.encode() + p.read_bytes() for key, p in found if p))
    if chapters.chapter(page.chapter).reads_benchmarks:
        for name, benchmark in benchmarks.published().items():
            digest.update(f"{name}\0{json.dumps(benchmark)}\0".encode())
    if page.reads_pages:  # they also say which page shows a run
        digest.update(json.dumps(profiles.shown_on(page.profile)).encode())
    for record in records:
        path = store.path_of(record.spec)
        assert path is not None  # it has just been read
        digest.update(f"{record.key} {path.parent == store.results}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def versions() -> str:
    """The versions of what draws a page, in a line."""
    python = f"python {sys.version_info.major}.{sys.version_info.minor}"
    return ", ".join([python, *(f"{name} {metadata.version(name)}" for name in _DRAWN_BY)])


class ExecutionCache:
    """The executions of chapters that are remembered in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, asked: NotebookNode, name: str) -> NotebookNode | None:
        """The notebook with the outputs of the same code, in the same environment, or `None`."""
        try:
            cache = get_cache(str(self._folder))
            try:
                record = cache.match_cache_notebook(asked)
            except KeyError:
                return None
            kept = cache.get_cache_bundle(record.pk).nb
            if (record.data or {}).get("sha256") != _digest(kept):
                raise ValueError("its contents are not what was kept")
            _, notebook = cache.merge_match_into_notebook(asked)
        except Exception as error:  # of many kinds: SQLAlchemy's, nbformat's, the system's
            say(f"{name}: the cache in {self._folder.name} is damaged, so it is executed "
                f"({type(error).__name__}: {str(error).splitlines()[0]})")  # fmt: skip
            return None
        return NotebookNode(notebook)

    def keep(self, executed: NotebookNode, name: str) -> None:
        """Remembers an executed notebook; a cache that cannot is made anew."""
        for attempt in (1, 2):
            bundle = CacheBundleIn(executed, name, data={"sha256": _digest(executed)})
            try:
                cache = get_cache(str(self._folder))
                cache.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)
                return
            except Exception as error:
                if attempt == 2:
                    say(f"{name}: cannot be remembered in {self._folder}: {error}")
                self._forget()

    def _forget(self) -> None:
        if self._folder.is_dir() and not self._folder.is_symlink():
            shutil.rmtree(self._folder, ignore_errors=True)
        else:
            self._folder.unlink(missing_ok=True)


def _digest(notebook: NotebookNode) -> str:
    cells: list[Any] = [
        [cell.source, cell.outputs] for cell in notebook.cells if cell.cell_type == "code"
    ]
    return hashlib.sha256(json.dumps(cells, sort_keys=True).encode()).hexdigest()


def say(text: str) -> None:
    """Tells of the progress, on stderr."""
    print(text, file=sys.stderr, flush=True)
