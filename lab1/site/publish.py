"""Executes the chapters that are stale and prepares them, with their figures, for Quarto.

`publish` is the site's `pre-render` step.  Each page of a profile becomes an executed notebook
in `report/`.
"""

import traceback
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from ..core import files
from ..core.files import write_if_changed
from ..core.store import Store
from ..errors import Lab1Error, PublishError
from ..planning import profiles
from ..planning.ensure import find_todo
from ..planning.profiles import REPORT, Page
from ..reporting.claims import MIME
from . import exports, fragments, frame, reference
from .execution import draft_mode, execute_page, say
from .frame import PublishedPage
from .notebook import as_page, head_of

#: Where in `report/` pictures lie that `figures/` does not have: those for dark pages and narrow
#: screens, and all of every other profile.
_DRAWN = "assets/figures"


def publish(profile: str = REPORT, root: Path | None = None) -> list[PublishedPage]:
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
        say("another process is publishing here; waiting for it")

    with files.claimed(report / ".lock", waiting):
        return _publish(profile, pages, root, report)


def _publish(profile: str, pages: Sequence[Page], root: Path, report: Path) -> list[PublishedPage]:
    store = Store()
    published: list[PublishedPage] = []
    failures: dict[str, str] = {}
    for page in pages:
        try:
            published.append(_prepare(page, store, root))
        except Lab1Error as error:
            failures[page.name] = str(error)
            say(f"{page.name}: failed: {error}")
        except Exception as error:  # not foreseen; the other pages are prepared all the same
            failures[page.name] = f"{type(error).__name__}: {error}"
            say(f"{page.name}: failed\n{traceback.format_exc()}")
    _remove_other_pages(report, published)
    figures = {path for page in published for path in page.figures}
    drawn = exports.Folder(report / _DRAWN, f"report/{_DRAWN}")
    in_order = sorted(published, key=lambda page: page.order)
    frame.write_menu(root, report, in_order)
    frame.write_feed(root, report)
    of_fragments = fragments.write(report, profile, in_order, store, drawn)
    exports.remove_others(drawn.path, figures | of_fragments, "png")
    reference.write(root)
    if profile == REPORT and not failures:
        exports.remove_others(root / "figures", figures)
    if failures:
        lines = "\n".join(f"{name}: {why.splitlines()[0]}" for name, why in failures.items())
        raise PublishError(f"{len(failures)} of {len(pages)} pages failed\n{lines}")
    return published


def _prepare(page: Page, store: Store, root: Path) -> PublishedPage:
    records = page.records(store)
    executed, anew = execute_page(page, records, store, root)
    values = head_of(executed.cells[0].source)
    part = values.get("part", "")
    frame.expect_part(root, page, part)
    report = root / "report"
    with_results = report / frame.WITH_RESULTS / f"{page.name}.ipynb"
    write_if_changed(with_results, nbformat.writes(exports.to_take_away(executed)).encode())
    # Charts of another profile must not be taken for those that are published.
    drawn = exports.Folder(report / _DRAWN, _DRAWN)
    offered = exports.Folder(root / "figures", "../figures") if page.profile == REPORT else drawn
    notebook, figures = exports.export_figures(as_page(executed), page.name, offered, drawn)
    notebook = frame.add_frame(exports.as_raw_blocks(notebook), page, records, store, root)
    write_if_changed(report / f"{page.name}.ipynb", nbformat.writes(notebook).encode())
    return PublishedPage(
        page,
        str(values["title"]),
        records,
        str(values["description"]),
        values.get("order", 0),
        part,
        claims_of(executed),
        frozenset(figures),
        anew,
    )


def _remove_other_pages(report: Path, published: Iterable[PublishedPage]) -> None:
    names = {page.page.name for page in published}
    for path in (*report.glob("*.ipynb"), *report.glob(f"{frame.WITH_RESULTS}/*.ipynb")):
        if path.stem not in names:
            path.unlink()


def claims_of(notebook: NotebookNode) -> list[dict[str, Any]]:
    """What each claim of an executed page says of itself, as `claims.MIME` has it."""
    outputs = (output for cell in notebook.cells for output in cell.get("outputs", []))
    return [data[MIME] for output in outputs if MIME in (data := output.get("data", {}))]


def check_claims() -> tuple[int, list[str]]:
    """Executes the published pages; the number of their claims, and all that are not carried.

    Nothing is trained: a page some of whose runs have no record is named instead.
    """
    root, store = files.project_root(), Store()
    count, problems = 0, []
    with draft_mode():
        for page in profiles.pages(REPORT):
            try:
                if missing := find_todo(page.plan(), store).missing:
                    problems.append(f"{page.name}: {len(missing)} of its runs have no record")
                    continue
                notebook = execute_page(page, page.records(store), store, root)[0]
            except Lab1Error as error:
                problems.append(f"{page.name}: {str(error).splitlines()[0]}")
                continue
            claims = claims_of(notebook)
            count += len(claims)
            problems += [
                f"{page.name}: “{claim['text']}”: {failed}"
                for claim in claims
                for failed in claim["failed"]
            ]
    return count, problems
