"""Build a plainer site with pandoc, for machines where Quarto cannot be had.

It reads what Quarto reads: `_quarto.yml`, the pages and their fragments. Of Quarto's Markdown it
knows the part that these pages use (`quarto.lua`). What it cannot resolve stops the build.
"""

import html
import json
import os
import re
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from posixpath import relpath
from typing import Any
from urllib.parse import urlsplit

import nbformat
import yaml

from ..errors import PublishError
from .frame import read_addresses
from .notebook import CAPTIONS, caption_of, code_of, front_matter, options_of

_ASSETS = Path(__file__).resolve().parent
#: Where the settings have them.
_SITE = "lab1/site"
#: Those of them that a reader's browser loads.
_SHIPPED = ("preview.css", "preview.js", "charts.css", "favicon.svg", "fonts")

#: All options of a cell that the pages use.
_CELL_OPTIONS = {"label", "echo", "code-fold", "code-summary", *CAPTIONS}

#: What pandoc says around its warnings, and around the error of a filter.
_PANDOC_NOISE = re.compile(
    r"\[WARNING\] (?:Scripting warning at .*? column \d+: )?|Error running filter .*\n"
    r"|Failing because there were warnings\.|stack traceback:(?s:.*)"
)


@dataclass(frozen=True)
class Page:
    """A page before it is typeset; `source` is its file, relative to the project's folder.

    `order` is its place among the pages of its folder, which come by name where there is none.
    """

    source: PurePosixPath
    title: str
    markdown: str
    order: float = 0


def build(root: Path) -> list[Path]:
    """Build the site of the project at `root` into its folder `_site`, and return the pages.

    The new site is made beside the old one and takes its place once it is whole; after a failure
    the old one is still there. Raises `PublishError` where pandoc is missing, and for the pages
    that cannot be read or that pandoc refuses or warns of, with their names.
    """
    find_pandoc()
    settings = read_settings(root)
    pages = [_read_page(root, source) for source in _files(root, settings["project"]["render"])]
    output = root / "_site"
    with tempfile.TemporaryDirectory(prefix="._site-", dir=root) as folder:
        site = Path(folder) / "new"
        # Pandoc is a process of its own, so threads are enough to use all cores.
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            faults = list(pool.map(partial(_typeset, pages, settings, root, site), pages))
        if any(faults):  # of all pages, since one is rarely alone
            raise PublishError("\n".join(filter(None, faults)))
        for resource in _files(root, settings["project"]["resources"]):
            (site / resource).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(root / resource, site / resource)
        for name in _SHIPPED:
            copy = shutil.copytree if (_ASSETS / name).is_dir() else shutil.copyfile
            copy(_ASSETS / name, site / name)
        _replace(output, site, Path(folder) / "old")
    return [output / page.source.with_suffix(".html") for page in pages]


def read_settings(root: Path) -> Any:
    """The settings of `_quarto.yml`, with the sidebar that publishing has written beside them."""
    settings = yaml.safe_load((root / "_quarto.yml").read_text(encoding="utf-8"))
    for name in settings.get("metadata-files", []):
        if (root / name).exists():
            further = yaml.safe_load((root / name).read_text(encoding="utf-8"))
            settings["website"] |= further.pop("website")
            settings |= further
    return settings


def find_pandoc() -> str:
    try:
        import pypandoc

        return str(pypandoc.get_pandoc_path())
    except (ImportError, OSError) as error:
        raise PublishError(
            "the preview needs pandoc; install it with: pip install pypandoc-binary"
        ) from error


def _files(root: Path, patterns: list[str]) -> list[PurePosixPath]:
    """The files that the patterns match, relative to `root`; a folder stands for all in it."""
    matches = [path for pattern in patterns for path in sorted(root.glob(pattern))]
    files = [p for path in matches for p in (sorted(path.rglob("*")) if path.is_dir() else [path])]
    return [PurePosixPath(path.relative_to(root).as_posix()) for path in files if path.is_file()]


def _read_page(root: Path, source: PurePosixPath) -> Page:
    try:
        if source.suffix == ".ipynb":
            markdown = notebook_markdown(nbformat.read(root / source, 4))
        else:
            markdown = (root / source).read_text(encoding="utf-8")
        values = front_matter(markdown)
        title = str(values.get("title") or values["pagetitle"])
        return Page(source, title, markdown, float(values.get("order", 0)))
    except Exception as error:  # of many kinds: not text, not a notebook, not YAML
        raise PublishError(f"{source}: {type(error).__name__}: {error}") from error


def notebook_markdown(notebook: Any) -> str:
    """The cells of an executed notebook as Markdown, with their options obeyed."""
    return "\n\n".join(
        _code_cell(cell, number) if cell.cell_type == "code" else cell.source
        for number, cell in enumerate(notebook.cells, 1)
    )


def _code_cell(cell: Any, number: int) -> str:
    """The code, folded, then the outputs; with a label, these are a figure or a table."""
    options = options_of(cell.source)
    if unknown := options.keys() - _CELL_OPTIONS:
        raise ValueError(f"cell {number} has options that the preview does not know: {unknown}")
    code = code_of(cell.source)
    fence = "`" * 9  # more than any code has
    fenced = f"{fence}python\n{code}\n{fence}"
    input_parts = (
        [fenced]
        if not options.get("code-fold", True)
        else [
            f'<details class="cell-code"><summary>{options.get("code-summary", "Code")}</summary>',
            fenced,
            "</details>",
        ]
    )
    outputs = []
    for output in cell.outputs:
        if "text/markdown" in output.get("data", {}):
            outputs.append(output.data["text/markdown"])
        elif output.get("name") != "stderr":  # where progress is told
            raise ValueError(f"cell {number} has an output that is not Markdown: {output}")
    if "label" in options:
        caption = caption_of(options) or ""
        outputs = [f":::::: {{#{options['label']}}}", *outputs, caption, "::::::"]
    return "\n\n".join([*(input_parts if options.get("echo", True) else []), *outputs])


def _typeset(pages: list[Page], settings: Any, root: Path, site: Path, page: Page) -> str | None:
    """Write the page into `site`; return what is wrong with it, or None."""
    target = site / page.source.with_suffix(".html")
    target.parent.mkdir(parents=True, exist_ok=True)
    sidebar = _sidebar(settings["website"]["sidebar"]["contents"], root, pages, page)
    order = _links(sidebar)
    place = next((i for i, link in enumerate(order) if link["current"]), None)
    around = None  # as of the page for a wrong address, which is not in the sidebar
    if place is not None:
        around = {"before": order[:place][-1:], "after": order[place + 1 :][:1]}
    to_root, address = relpath(site, target.parent), read_addresses(root).site
    head = settings.get("include-in-header", {}).get("text", "")
    for begins, at in ((f"/{_SITE}/", "/"), ("/", f"{to_root}/")):
        head = head.replace(f'href="{begins}', f'href="{at}')
    variables = {
        "root": to_root,
        "address": address,
        # A host shows it at any depth, so its links begin at the site's root.
        "base": f"{urlsplit(address).path}/" if page.source.stem == "404" else "",
        "foot": html.escape(settings["website"].get("page-footer", {}).get("left", "")),
        "about": any(str(each.source) == "about.qmd" for each in pages),
        "sidebar": sidebar,
        "around": around,
        "head": head,
    }
    return typeset(page, target, settings, root, variables)


def typeset(
    page: Page, target: Path, settings: Any, root: Path, variables: dict[str, Any], **options: Any
) -> str | None:
    """Writes a page, as pandoc does with these `options`; returns what is wrong with it, or None.

    Its `variables` are those of the template `preview.html`.
    """
    defaults = {
        "from": "markdown",
        "to": "html5",
        "output-file": str(target),
        "template": str(_ASSETS / "preview.html"),
        "html-math-method": {"method": "mathml"},
        "wrap": "none",
        "toc": front_matter(page.markdown).get("toc", True),
        "fail-if-warnings": True,
        # A fragment may hold whatever a page may, so it comes first.
        "filters": [
            *(
                f"{_ASSETS / name}.lua"
                for name in ("fragment", "terms", "quarto", "formulas", "anchors")
            ),
            "citeproc",
        ],
        "metadata": {"bibliography": str(root / settings["bibliography"]), "link-citations": True},
        "variables": {"site-title": html.escape(settings["website"]["title"]), **variables},
        **options,
    }
    with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
        json.dump(defaults, file)
        file.flush()
        result = subprocess.run(
            [find_pandoc(), "--defaults", file.name],
            input=page.markdown,
            capture_output=True,
            encoding="utf-8",
            cwd=root / page.source.parent,  # which its links are relative to
            env={**os.environ, "QUARTO_PROJECT_ROOT": str(root)},
            check=False,
        )
    message = _PANDOC_NOISE.sub("", result.stderr).strip()
    return f"{page.source}: {message}" if result.returncode else None


def _sidebar(contents: Any, root: Path, pages: list[Page], page: Page) -> list[dict[str, Any]]:
    """The sidebar of `page` as the template takes it: links, and sections with their `links`."""
    titles = {other.source: other.title for other in pages}

    def link(source: PurePosixPath, text: str) -> dict[str, Any]:
        if source not in titles:
            raise PublishError(f"_quarto.yml: the sidebar names {source}, which is no page here")
        return {
            "text": html.escape(text),
            "title": html.escape(titles[source]),
            "href": relpath(source.with_suffix(".html"), page.source.parent),
            "current": source == page.source,
        }

    if isinstance(contents, str):  # a pattern, which matches what is there
        order = {other.source: other.order for other in pages}
        found = sorted(_files(root, [contents]), key=lambda source: order[source])
        return [link(source, titles[source]) for source in found]
    return [
        {"section": item["section"], "links": _links(_sidebar(item["contents"], root, pages, page))}
        if "section" in item
        else link(PurePosixPath(item["href"]), item["text"])
        for item in contents
    ]


def _links(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The links of a section, those of a section within it among them."""
    return [link for entry in entries for link in entry.get("links", [entry])]


def _replace(output: Path, new: Path, old: Path) -> None:
    """Replaces the folder `output`, which moves to `old`, by `new`."""
    try:
        if output.exists():
            output.rename(old)
        new.rename(output)
    except BaseException:  # an interruption too
        if old.exists() and not output.exists():
            old.rename(output)
        raise
