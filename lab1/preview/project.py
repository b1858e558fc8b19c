"""What ``_quarto.yml`` says that the preview needs: pages, navigation, resources, bibliography."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import yaml

from .. import addresses
from ..addresses import Addresses
from ..errors import PublishError

CONFIGURATION = "_quarto.yml"
# Where a page's source lies, and where its executed copy, which is what gets typeset.
CHAPTERS, REPORT = PurePosixPath("chapters"), PurePosixPath("report")
_PAGE_SUFFIXES = {".qmd", ".ipynb"}


@dataclass(frozen=True)
class Entry:
    """One entry of the sidebar.

    ``target`` is a page's source relative to the project, an address outside the site, or, for a
    section that is only a heading, None.  ``text`` is None where the page's own title is shown.
    """

    text: str | None
    target: PurePosixPath | str | None = None
    children: tuple[Entry, ...] = ()


@dataclass(frozen=True)
class Project:
    """A Quarto website project; paths are relative to ``root`` and exist."""

    root: Path
    title: str
    language: str
    pages: tuple[PurePosixPath, ...]
    sidebar: tuple[Entry, ...]
    resources: tuple[PurePosixPath, ...]
    bibliography: tuple[PurePosixPath, ...]
    csl: PurePosixPath | None
    favicon: PurePosixPath | None
    card: PurePosixPath | None
    addresses: Addresses
    execute: Mapping[str, Any]
    html: Mapping[str, Any]


def page_name(source: PurePosixPath) -> PurePosixPath:
    """The HTML page that a source becomes."""
    return source.with_suffix(".html")


def strings(value: Any) -> list[str]:
    """A YAML value that may be one string or a list of them, as a list."""
    if value is None:
        return []
    return [str(each) for each in value] if isinstance(value, list) else [str(value)]


def mapping(value: Any) -> dict[str, Any]:
    """A YAML value as a mapping; anything else (``html: default``) counts as an empty one."""
    return dict(value) if isinstance(value, dict) else {}


def read_project(root: Path) -> Project:
    """The project at ``root``.

    Raises :class:`~lab1.errors.PublishError` where ``_quarto.yml`` cannot be read, or names a page
    or a file that does not exist.
    """
    try:
        content = yaml.safe_load((root / CONFIGURATION).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise PublishError(f"{CONFIGURATION}: not readable: {error}") from error
    if not isinstance(content, dict):
        raise PublishError(f"{CONFIGURATION}: needs a mapping")
    project, website = mapping(content.get("project")), mapping(content.get("website"))
    html = mapping(mapping(content.get("format")).get("html"))
    patterns = strings(project.get("render")) or ["**/*.qmd", "**/*.ipynb"]
    pages = tuple(path for path in _matching(root, patterns) if path.suffix in _PAGE_SUFFIXES)
    if not pages:
        raise PublishError(f"{CONFIGURATION}: project.render names no page that exists")
    names = [page_name(page) for page in pages]
    for page, name in zip(pages, names, strict=True):
        if names.count(name) > 1:
            raise PublishError(f"{page}: another source makes the page {name} too")
    sidebars = website.get("sidebar") or []
    contents = [
        item
        for sidebar in (sidebars if isinstance(sidebars, list) else [sidebars])
        for item in _contents(mapping(sidebar).get("contents"))
    ]
    sidebar = tuple(entry for item in contents for entry in _entries(root, pages, item))
    csl = strings(content.get("csl"))
    favicon, card = strings(website.get("favicon")), strings(website.get("image"))
    return Project(
        root=root,
        title=str(website.get("title") or content.get("title") or root.name),
        language=str(html.get("lang") or content.get("lang") or "en"),
        pages=pages,
        sidebar=sidebar or tuple(Entry(None, page) for page in pages),
        resources=tuple(_matching(root, strings(project.get("resources")))),
        bibliography=existing(root, strings(content.get("bibliography")), CONFIGURATION),
        csl=next(iter(existing(root, csl, CONFIGURATION)), None),
        favicon=next(iter(existing(root, favicon, CONFIGURATION)), None),
        card=next(iter(existing(root, card, CONFIGURATION)), None),
        addresses=addresses.read(root),
        execute=mapping(content.get("execute")),
        # Options of the format may also stand at the top level, for all formats.
        html={**{key: value for key, value in content.items() if key != "format"}, **html},
    )


def existing(root: Path, names: list[str], where: str) -> tuple[PurePosixPath, ...]:
    """The named files, relative to the project; an error that names ``where`` if one is missing."""
    paths = [PurePosixPath(name.removeprefix("/")) for name in names]
    for path in paths:
        if not (root / path).is_file():
            raise PublishError(f"{where}: {path} does not exist")
    return tuple(paths)


def _matching(root: Path, patterns: list[str]) -> list[PurePosixPath]:
    """The files that match the patterns, in their order; ``!`` excludes, a folder is all of it."""
    found: dict[PurePosixPath, None] = {}
    for pattern in patterns:
        chosen = pattern.removeprefix("!").removeprefix("/").rstrip("/") or "**/*"
        if ".." in PurePosixPath(chosen).parts:
            raise PublishError(f"{CONFIGURATION}: {pattern} leads out of the project")
        for path in _glob(root, chosen):
            if pattern.startswith("!"):
                found.pop(path, None)
            else:
                found.setdefault(path)
    return list(found)


def _glob(root: Path, pattern: str) -> Iterator[PurePosixPath]:
    if (root / pattern).is_file():
        yield PurePosixPath(pattern)
        return
    for path in sorted(root.glob(pattern)):
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            relative = PurePosixPath(file.relative_to(root).as_posix())
            # As in Quarto, such a name is no page and no resource: tools keep their own there.
            hidden = any(part.startswith(("_", ".")) for part in relative.parts)
            if file.is_file() and not hidden:
                yield relative


def _contents(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _entries(root: Path, pages: tuple[PurePosixPath, ...], item: Any) -> Iterator[Entry]:
    """What one item of ``contents`` puts into the sidebar: a glob may name several pages."""
    if isinstance(item, str):
        yield from _named(root, pages, item)
        return
    if not isinstance(item, dict):
        raise PublishError(f"{CONFIGURATION}: sidebar: {item!r} is neither a page nor a section")
    text = item.get("text")
    if "section" in item or "contents" in item:
        heading = item.get("section")
        children = [
            entry
            for child in _contents(item.get("contents"))
            for entry in _entries(root, pages, child)
        ]
        href = item.get("href")
        if href is None and PurePosixPath(str(heading)) in pages:
            heading, href = None, heading  # a section may be a page itself
        target = next(_named(root, pages, str(href)), Entry(None)).target if href else None
        if heading is None and target is None:
            raise PublishError(f"{CONFIGURATION}: sidebar: {item!r} has contents but no section")
        if children or target is not None:
            yield Entry(None if heading is None else str(heading), target, tuple(children))
    elif item.get("href") or item.get("file"):
        for entry in _named(root, pages, str(item.get("href") or item.get("file"))):
            yield Entry(None if text is None else str(text), entry.target)
    elif text is not None and set(str(text)) != {"-"}:  # a line of hyphens is a separator
        yield Entry(str(text))


def _named(root: Path, pages: tuple[PurePosixPath, ...], name: str) -> Iterator[Entry]:
    if urlsplit(name).scheme:
        yield Entry(name, name)
        return
    path = PurePosixPath(name.removeprefix("/"))
    if name == "auto":
        yield from (Entry(None, page) for page in pages)
    elif path in pages:
        yield Entry(None, path)
    elif any(sign in name for sign in "*?[") or (root / path).is_dir():
        yield from (Entry(None, page) for page in _matching(root, [name]) if page in pages)
    elif path.parent != REPORT or not (root / CHAPTERS / path.name).is_file():
        raise PublishError(f"{CONFIGURATION}: sidebar: {name} is not among the pages of the site")
    # Else the page of a chapter that this profile does not have: left out.
