"""Executes the chapters that are stale and prepares them, with their figures, for Quarto.

`publish` is the site's `pre-render` step.  Each page of a profile becomes an executed notebook
in `report/`.  jupyter-cache remembers executions by their code cells; the injected parameters
cell carries a digest of the reporting sources and of the records, and the versions of what draws a
page, so that a change in any of them is a miss while a change of prose is a hit.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import nbformat
import yaml
from nbformat import NotebookNode
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook

from ..chapter import DRAFT
from ..core import benchmarks, files
from ..core.families import FAMILIES
from ..core.files import write_if_changed
from ..core.record import Record
from ..core.store import Store
from ..errors import Lab1Error, PublishError
from ..planning import chapters, profiles
from ..planning.profiles import REPORT, Page
from . import executions, exports, fragments, literature, menu, page_frame, reference
from .executions import Executions
from .preview import shows_text_alone
from .run_it import Shown

#: Where in `report/` pictures lie that `figures/` does not have: those for dark pages and narrow
#: screens, and all of every other profile.
_DRAWN = "assets/figures"


@dataclass(frozen=True)
class Published:
    """A page that was prepared, and whether it had to be executed."""

    page: Page
    path: Path
    executed: bool
    figures: frozenset[Path]


def publish(profile: str = REPORT, root: Path | None = None) -> list[Published]:
    """Prepares all pages of a profile in `report/` and returns them.

    Missing runs are trained first.  Raises `PublishError` naming the chapters
    that failed, after the others were prepared; a failed chapter's page is taken away, since it
    would show old results.
    """
    root = root or files.project_root()
    report = root / "report"
    # Those that read the others' records come last: they may be trained before.
    pages = sorted(profiles.pages(profile), key=lambda page: page.reads_pages)

    def waiting() -> None:
        _say("another process is publishing here; waiting for it")

    with files.claimed(report / ".lock", waiting):
        return _publish(profile, pages, root, report)


def _publish(profile: str, pages: Sequence[Page], root: Path, report: Path) -> list[Published]:
    store = Store()
    done: list[Published] = []
    shown: list[Shown] = []
    failures: dict[str, str] = {}
    for page in pages:
        try:
            used = page.records(store)
            prepared = _prepare(page, used, store, root)
            in_menu = _shown(page, prepared.path, used)
            menu.expect_part(root, in_menu)
            done.append(prepared)
            shown.append(in_menu)
        except Lab1Error as error:
            failures[page.name] = str(error)
            _say(f"{page.name}: failed: {error}")
        except Exception as error:  # not foreseen; the other pages are prepared all the same
            failures[page.name] = f"{type(error).__name__}: {error}"
            _say(f"{page.name}: failed\n{traceback.format_exc()}")
    _remove_others(report, {each.path for each in done})
    figures = {path for each in done for path in each.figures}
    drawn = exports.Folder(report / _DRAWN, f"report/{_DRAWN}")
    in_order = sorted(shown, key=lambda each: each.order)
    menu.write(root, report, in_order)
    of_others = fragments.write(report, profile, in_order, store, drawn)
    exports.remove_others(drawn.path, figures | of_others)
    reference.write(root)
    if profile == REPORT and not failures:
        exports.remove_others(root / "figures", figures)
    if failures:
        lines = "\n".join(f"{name}: {why.splitlines()[0]}" for name, why in failures.items())
        raise PublishError(f"{len(failures)} of {len(pages)} pages failed\n{lines}")
    return done


def executed(
    page: Page, records: Sequence[Record], store: Store, root: Path
) -> tuple[NotebookNode, bool]:
    """The page's notebook with its outputs, and whether it had to be executed for them."""
    remembered = Executions(root / ".jupyter_cache", _say)
    asked = _parameterized(_source(root, page), page, records, store)
    notebook = remembered.find(asked, page.name)
    if notebook is not None:
        _say(f"{page.name}: unchanged, from the cache")
        return notebook, False
    made = _execute(asked, page, root)
    remembered.keep(made, page.name)
    # Taken from the cache where that is possible, so that the page is the same to the byte.
    return remembered.find(asked, page.name) or made, True


def _prepare(page: Page, records: Sequence[Record], store: Store, root: Path) -> Published:
    notebook, anew = executed(page, records, store, root)
    taken = root / "report" / page_frame.WITH_RESULTS / f"{page.name}.ipynb"
    write_if_changed(taken, nbformat.writes(exports.to_take_away(notebook)).encode())
    # Charts of another profile must not be taken for those that are published.
    published = page.profile == REPORT
    drawn = exports.Folder(root / "report" / _DRAWN, _DRAWN)
    offered = exports.Folder(root / "figures", "../figures") if published else drawn
    notebook, figures = exports.export_figures(notebook, page.name, offered, drawn)
    notebook = page_frame.framed(exports.as_raw_blocks(notebook), page, records, store, root)
    for cell in notebook.cells:
        # What the page shows of its parameters is their explanation, and of a claim its text.
        injected = "injected-parameters" in cell.metadata.get("tags", ())
        if injected or (cell.cell_type == "code" and shows_text_alone(cell.source)):
            cell.source = f"#| echo: false\n{cell.source}"
    path = root / "report" / f"{page.name}.ipynb"
    write_if_changed(path, nbformat.writes(notebook).encode())
    return Published(page, path, anew, frozenset(figures))


def _source(root: Path, page: Page) -> NotebookNode:
    path = root / "chapters" / f"{page.chapter}.ipynb"
    try:
        source: NotebookNode = load_notebook_node(str(path))
    except (OSError, ValueError) as error:  # ValueError: not JSON, or not a notebook
        raise PublishError(f"{path}: not readable as a notebook: {error}") from error
    tagged = sum("parameters" in cell.metadata.get("tags", ()) for cell in source.cells)
    if tagged != 1:  # the page would show what its own cell says, and not what its profile says
        raise PublishError(
            f"{path}: {tagged} cells have the tag 'parameters'; allowed: one, the cell that lists "
            "the parameters"
        )
    return source


def _parameterized(
    source: NotebookNode, page: Page, records: Sequence[Record], store: Store
) -> NotebookNode:
    values = {"profile": page.profile, **page.parameters}
    plain = {name: list(v) if isinstance(v, tuple) else v for name, v in values.items()}
    # None means "as the profile has it" in a chapter; a parameter that is none says so in words.
    plain = {name: "none" if value is None else value for name, value in plain.items()}
    digests = f"sources {sources_digest()}, records {records_digest(page, records, store)}"
    digests += f", {executions.versions()}{', draft' if os.environ.get(DRAFT) else ''}"
    notebook: NotebookNode = parameterize_notebook(
        source,
        plain,
        comment=f"Parameters of this page; {digests}",
        kernel_name="python3",  # whatever the one is called who saved it last
        language="python",
    )
    notebook.metadata = _metadata()
    literature.add_list(notebook)
    if page.variant:
        notebook.cells[0].source = _retitled(notebook.cells[0].source, page.variant)
    for index, cell in enumerate(notebook.cells):
        cell.id = f"cell-{index}"  # papermill draws a random one for the cell that it injects
        # Colab notes here who ran a cell; and Quarto writes an empty list in a random order.
        tags = cell.metadata.get("tags")
        cell.metadata = NotebookNode(tags=tags) if tags else NotebookNode()
    return notebook


def _retitled(front_matter: str, variant: str) -> str:
    """The front matter of a further page, whose title says which one it is."""
    values = yaml.safe_load(front_matter.strip().strip("-"))
    values["title"] = f"{values['title']} ({variant})"
    values["order"] = values.get("order", 0) + 0.5  # after its chapter's first page
    return f"---\n{yaml.safe_dump(values, sort_keys=False, allow_unicode=True)}---"


def _shown(page: Page, path: Path, records: Sequence[Record]) -> Shown:
    """A prepared page with what its front matter says of it."""
    front_matter = nbformat.read(path, 4).cells[0].source
    values = yaml.safe_load(front_matter.strip().strip("-"))
    return Shown(
        page,
        str(values["title"]),
        records,
        str(values["description"]),
        values.get("order", 0),
        values.get("part", ""),
    )


def _execute(notebook: NotebookNode, page: Page, root: Path) -> NotebookNode:
    _say(f"{page.name}: executing")
    started = time.monotonic()
    result = executions.execute(notebook, root / "chapters")
    _say(f"{page.name}: executed in {time.monotonic() - started:.0f} s")
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
        if family.own:
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


def _remove_others(report: Path, kept: set[Path]) -> None:
    names = {path.name for path in kept}
    for path in (*report.glob("*.ipynb"), *report.glob(f"{page_frame.WITH_RESULTS}/*.ipynb")):
        if path.name not in names:
            path.unlink()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
