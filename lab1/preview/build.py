"""Builds the preview as a whole: pages, style sheets, resources, and the check at the end."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from html import escape
from pathlib import Path, PurePosixPath

from ..errors import PublishError
from .elsewhere import cards, sitemap
from .links import Links, check
from .markup import make_accessible
from .navigation import around_html, plain_title, relative, sidebar_html
from .pandoc import page_html
from .project import Project, page_name, read_project
from .source import Source, read_source

_HERE = Path(__file__).resolve().parent
_STYLE = _HERE / "preview.css"
# The look of charts and tables, which Quarto's site uses too.
_SHARED_STYLE = PurePosixPath("lab1/site/charts.css")


def build(root: Path, output: Path) -> list[Path]:
    """Builds the site of the project at ``root`` into ``output``, and returns its pages.

    ``output`` is replaced as a whole, and only once everything has succeeded: after a failure the
    old site is still there.  Raises :class:`~lab1.errors.PublishError`, whose message names the
    page, for a source that is not readable or failed to execute, a reference or citation that does
    not resolve, a link that leads nowhere, or something loaded from another host.
    """
    root, output = root.resolve(), output.resolve()
    if root.is_relative_to(output):
        raise PublishError(f"{output}: cannot be replaced by the site, since the project is in it")
    project = read_project(root)
    output.parent.mkdir(parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(prefix=f".{output.name}-", dir=output.parent))
    try:
        building.chmod(0o755)  # mkdtemp lets nobody else read, and a web server is somebody else
        pages = _build(project, building)
        _swap(building, output)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return [output / page for page in pages]


def _build(project: Project, site: Path) -> list[PurePosixPath]:
    sources = [read_source(project, path) for path in project.pages]
    titles = {source.path: source.title for source in sources}
    links = Links(project)
    styles = _copy_styles(project, site)

    def page(source: Source) -> str | PublishError:
        try:
            text = page_html(project, source, _variables(project, source, titles, styles))
        except PublishError as error:
            return error
        return links.resolve(make_accessible(text), source.path)

    # Pandoc is a process of its own, so threads are enough to use all cores.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        texts = list(pool.map(page, sources))
    errors = [text for text in texts if isinstance(text, PublishError)]
    if errors:  # those of all pages, since one is rarely alone
        raise PublishError("\n".join(map(str, errors)))
    for source, text in zip(sources, texts, strict=True):
        path = site / page_name(source.path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(text), encoding="utf-8")
    _copy(project.root, site, [*project.resources, *links.files])
    pages = [page_name(source.path) for source in sources]
    if project.addresses.site:
        (site / "sitemap.xml").write_text(sitemap(project.addresses.site, pages), encoding="utf-8")
    check(site, pages)
    return pages


def _variables(
    project: Project,
    source: Source,
    titles: dict[PurePosixPath, str],
    styles: list[PurePosixPath],
) -> dict[str, object]:
    """What fills the template, as HTML."""
    home = PurePosixPath("index.html")
    has_home = any(page_name(page) == home for page in project.pages)
    title = plain_title(source.title)
    site_title = escape(project.title)
    return {
        "head-title": title if title == site_title else f"{title} – {site_title}",
        "site-title": site_title,
        "home": relative(home if has_home else page_name(project.pages[0]), source.path),
        "styles": [relative(style, source.path) for style in styles],
        "sidebar": sidebar_html(project.sidebar, titles, source.path),
        "around": around_html(project.sidebar, titles, source.path),
        **cards(project, source.path),
    }


def _copy_styles(project: Project, site: Path) -> list[PurePosixPath]:
    own = PurePosixPath(_STYLE.name)
    shutil.copyfile(_STYLE, site / own)
    if not (project.root / _SHARED_STYLE).is_file():
        return [own]
    shared = PurePosixPath(_SHARED_STYLE.name)
    shutil.copyfile(project.root / _SHARED_STYLE, site / shared)
    return [own, shared]


def _copy(root: Path, site: Path, files: Iterable[PurePosixPath]) -> None:
    for file in files:
        target = site / file
        if not target.exists():  # a page or a style sheet of the site comes first
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(root / file, target)


def _swap(new: Path, output: Path) -> None:
    """Puts the new site in the old one's place; if that fails, the old one comes back."""
    if not output.exists():
        new.replace(output)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{output.name}-old-", dir=output.parent))
    try:
        output.replace(old / output.name)
        try:
            new.replace(output)
        except OSError:
            (old / output.name).replace(output)
            raise
    finally:
        shutil.rmtree(old, ignore_errors=True)
