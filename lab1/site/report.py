"""Typesets a chapter that answers a reader's question as one HTML file, which needs no other."""

import os
import re
import sys
from pathlib import Path, PurePosixPath

from nbformat import NotebookNode
from nbformat.v4 import new_output

from ..core.store import Store
from ..errors import PublishError
from ..planning.profiles import Page, published
from . import exports, fragments, preview
from .execution import execute_page
from .frame import put_results_first
from .notebook import as_page, front_matter, options_of

_ASSETS = Path(__file__).resolve().parent

#: What asks for the site's scripts and styles; but for its charts' the page does without them.
_SCRIPT = re.compile(
    r'<script\b(?! type="application/json" class="lab1-spec").*?</script>|<link\b[^>]*>', re.DOTALL
)

#: A link to another file, which whoever is sent this one does not have.
_LINK = re.compile(r'<a\b[^>]*\bhref="(?!#|https?:|data:)[^"]*"[^>]*>(.*?)</a>', re.DOTALL)

#: What in a second figure or table leads astray: its names, and links to places on its own page.
_PLACES = re.compile(r' id="[^"]*"|</?a\b[^>]*>')


def write(page: Page, question: str, store: Store, root: Path) -> Path:
    """Executes the chapter of a page and writes it into `report/`, named for the `question`.

    Raises `PublishError` for a chapter that fails, or that pandoc refuses or warns of.
    """
    notebook = _execute(page, store, root)
    usual = published(page.chapter)[0] if page.beside else None
    if usual and all(store.find(spec) for spec in usual.plan()):
        _add_published(notebook, _execute(usual, store, root))
    put_results_first(notebook)
    name = re.sub(r"[^\w.]+", "-", f"{page.name} {question}").strip("-")[:100]
    target = root / "report" / f"{name}.html"
    target.parent.mkdir(exist_ok=True)
    markdown = _SCRIPT.sub("", preview.notebook_markdown(notebook))
    title = str(front_matter(markdown)["title"])
    source = PurePosixPath("chapters", f"{page.chapter}.ipynb")
    fault = preview.typeset(
        preview.Page(source, title, markdown),
        target,
        preview.read_settings(root),
        root,
        {"root": _ASSETS.as_posix()},
        **{"embed-resources": True, "standalone": True},
    )
    if fault:
        raise PublishError(fault)
    text = _LINK.sub(r"\1", target.read_text(encoding="utf-8"))
    licence = (_ASSETS / "licenses" / "vega.txt").read_text(encoding="utf-8")
    charts = (_ASSETS / "charts.js").read_text(encoding="utf-8")
    scripts = f"/*! {licence} */\n{fragments.vega()}\n{charts}".replace("</script", "<\\/script")
    text = text.replace("</body>", f"<script>{scripts}</script>\n</body>")
    target.write_text(text, encoding="utf-8")
    return target


def _execute(page: Page, store: Store, root: Path) -> NotebookNode:
    executed, _ = execute_page(page, page.records(store), store, root)
    return exports.as_raw_blocks(exports.alone(as_page(executed)))


def _add_published(notebook: NotebookNode, usual: NotebookNode) -> None:
    """Folds below each figure and table what stands in its place on the published page."""
    twins = {options_of(cell.source).get("label"): cell for cell in usual.cells}
    for cell in notebook.cells:
        label = options_of(cell.source).get("label")
        if label and label in twins and twins[label].outputs != cell.outputs:
            outputs = [o.data["text/markdown"] for o in twins[label].outputs if "data" in o]
            shown = _PLACES.sub("", "\n\n".join(outputs))
            folded = f"<details><summary>From the published runs</summary>\n\n{shown}\n\n</details>"
            cell.outputs.append(new_output("display_data", {"text/markdown": folded}))


def can_be_opened() -> bool:
    """True if there is a screen for a browser."""
    return sys.platform in ("darwin", "win32") or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")
    )
