"""Links: from sources to pages, to the project's files, and the check that none is broken."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from posixpath import normpath
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from ..errors import PublishError
from .markup import Scan, Tag, replace_attributes, scan, stylesheet_addresses
from .navigation import relative
from .project import CHAPTERS, REPORT, Project, page_name

# Attributes that hold an address; of these, all but a link's href are loaded with the page.
_ADDRESSES = {"href", "src", "poster", "data", "xlink:href", "srcset"}
_FOLLOWED = {"a", "area"}


@dataclass
class Links:
    """The links of the pages of a project; ``files`` collects what they need copied."""

    project: Project
    files: dict[PurePosixPath, None] = field(default_factory=dict)

    def resolve(self, text: str, page: PurePosixPath) -> str:
        """The page's HTML with its links to sources turned into links to pages.

        A link to a chapter leads to the page that the executed chapter makes, or, where the site
        has no such page, to the chapter's notebook.  A link marked ``download`` keeps its file.
        """

        def new_value(tag: Tag, name: str, value: str) -> str | None:
            if not _is_address(tag, name) or name == "srcset":
                return None
            parts = _split(value.strip())
            if parts.scheme or parts.netloc or not parts.path:
                return None
            path = _within_project(parts, page)
            if path is None:
                return None
            follows = tag.name in _FOLLOWED and "download" not in tag.attributes
            target = self._page(path) if follows else None
            target = target or self._file(path)
            if target is not None and target != path:
                return _address(parts, target, page)
            return _address(parts, path, page) if parts.path.startswith("/") else None

        return replace_attributes(text, new_value)

    def _page(self, path: PurePosixPath) -> PurePosixPath | None:
        executed = REPORT / path.name if path.parent == CHAPTERS else path
        return next((page_name(p) for p in (path, executed) if p in self.project.pages), None)

    def _file(self, path: PurePosixPath) -> PurePosixPath | None:
        source = CHAPTERS / path.name
        executed = path.parent == REPORT and path.suffix == ".ipynb"
        for each in (path, source) if executed else (path,):
            if (self.project.root / each).is_file():
                self.files.setdefault(each)
                return each
        return None


def check(site: Path, pages: list[PurePosixPath]) -> None:
    """Looks at all links of a built site.

    Raises :class:`~lab1.errors.PublishError` that lists page and target of every link that leads
    nowhere within the site, and of everything that a page would load from another host.
    """
    scans = {page: scan((site / page).read_text(encoding="utf-8")) for page in pages}
    anchors = {page: found.ids() for page, found in scans.items()}
    problems: dict[str, None] = {}
    for page, found in scans.items():
        for address, followed in _addresses(found):
            parts = _split(address)
            if parts.scheme in {"http", "https"} or parts.netloc:
                if not followed:
                    problems.setdefault(f"{page}: loads {address} from another host")
            elif not parts.scheme and not _leads_somewhere(site, anchors, page, parts):
                problems.setdefault(f"{page}: broken link to {address}")
    for sheet in sorted(site.rglob("*.css")):
        for address in stylesheet_addresses(sheet.read_text(encoding="utf-8")):
            if _split(address).netloc:
                name = sheet.relative_to(site).as_posix()
                problems.setdefault(f"{name}: loads {address} from another host")
    if problems:
        raise PublishError("the site has broken links:\n" + "\n".join(problems))


def _addresses(found: Scan) -> Iterator[tuple[str, bool]]:
    """The addresses in a page, each with whether the reader follows it or the page loads it."""
    for tag in found.tags:
        for name, value in tag.attributes.items():
            if not _is_address(tag, name) or not value.strip():
                continue
            candidates = value.split(",") if name == "srcset" else [value]
            for candidate in candidates:
                address = candidate.split()[0] if name == "srcset" else candidate.strip()
                named = tag.attributes.get("rel") == "canonical"  # says where the page is
                yield address, tag.name in _FOLLOWED or named
        for address in stylesheet_addresses(tag.attributes.get("style", "")):
            yield address, False
    for sheet in found.styles:
        for address in stylesheet_addresses(sheet):
            yield address, False


def _split(address: str) -> SplitResult:
    try:
        return urlsplit(address)
    except ValueError:  # no address at all: a path that cannot exist
        return SplitResult("", "", address, "", "")


def _is_address(tag: Tag, name: str) -> bool:
    # `data` is an address in <object> alone.
    return name in _ADDRESSES and (name != "data" or tag.name == "object")


def _within_project(parts: SplitResult, page: PurePosixPath) -> PurePosixPath | None:
    """The path relative to the project, which is where a leading slash begins, as in Quarto."""
    path = unquote(parts.path)
    joined = path.lstrip("/") if path.startswith("/") else f"{page.parent}/{path}"
    normal = PurePosixPath(normpath(joined or "."))
    return None if normal.parts[:1] == ("..",) else normal


def _address(parts: SplitResult, target: PurePosixPath, page: PurePosixPath) -> str:
    return urlunsplit(("", "", relative(target, page), parts.query, parts.fragment))


def _leads_somewhere(
    site: Path, anchors: dict[PurePosixPath, set[str]], page: PurePosixPath, parts: SplitResult
) -> bool:
    target = page
    if parts.path:
        within = None if parts.path.startswith("/") else _within_project(parts, page)
        if within is None:
            return False
        target = within / "index.html" if (site / within).is_dir() else within
        if not (site / target).is_file():
            return False
    anchor = unquote(parts.fragment)
    return not anchor or anchor == "top" or target not in anchors or anchor in anchors[target]
