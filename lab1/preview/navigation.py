"""The sidebar, and the way from page to page in its order."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from posixpath import relpath
from urllib.parse import quote

from .project import Entry, page_name

_EMPHASIS = re.compile(r"\*{1,2}(\S.*?)\*{1,2}|`([^`]+)`")


def plain_title(title: str) -> str:
    """A title as HTML text without the marks of emphasis and code, for where links are short."""
    return html.escape(_EMPHASIS.sub(lambda found: found[1] or found[2], title))


def relative(target: PurePosixPath, page: PurePosixPath) -> str:
    """The address of a file of the site as a page names it, both relative to the site."""
    return quote(relpath(str(target), str(page.parent)))


def sidebar_html(
    entries: tuple[Entry, ...], titles: Mapping[PurePosixPath, str], current: PurePosixPath
) -> str:
    """The entries as nested lists; ``current`` is the source of the page that shows them."""
    items = "\n".join(_item(entry, titles, current) for entry in entries)
    return f"<ul>\n{items}\n</ul>" if items else ""


def around_html(
    entries: tuple[Entry, ...], titles: Mapping[PurePosixPath, str], current: PurePosixPath
) -> str:
    """Links to the pages before and after ``current``; empty where it is not in the sidebar."""
    order = list(dict.fromkeys(_pages(entries)))
    if current not in order:
        return ""
    place = order.index(current)
    links = []
    if place > 0:
        links.append(_neighbour("prev", "Previous", order[place - 1], titles, current))
    if place + 1 < len(order):
        links.append(_neighbour("next", "Next", order[place + 1], titles, current))
    return "\n".join(links)


def _pages(entries: tuple[Entry, ...]) -> Iterator[PurePosixPath]:
    for entry in entries:
        if isinstance(entry.target, PurePosixPath):
            yield entry.target
        yield from _pages(entry.children)


def _item(entry: Entry, titles: Mapping[PurePosixPath, str], current: PurePosixPath) -> str:
    if isinstance(entry.target, PurePosixPath):
        text = plain_title(titles[entry.target] if entry.text is None else entry.text)
        here = ' aria-current="page"' if entry.target == current else ""
        address = relative(page_name(entry.target), current)
        shown = f'<a href="{address}"{here}>{text}</a>'
    elif entry.target is not None:
        text = plain_title(entry.text or entry.target)
        shown = f'<a href="{html.escape(entry.target)}">{text}</a>'
    else:
        shown = f'<span class="section">{plain_title(entry.text or "")}</span>'
    return f"<li>{shown}{sidebar_html(entry.children, titles, current)}</li>"


def _neighbour(
    rel: str,
    word: str,
    page: PurePosixPath,
    titles: Mapping[PurePosixPath, str],
    current: PurePosixPath,
) -> str:
    address = relative(page_name(page), current)
    return (
        f'<a class="{rel}" rel="{rel}" href="{address}">'
        f'<span class="direction">{word}</span> {plain_title(titles[page])}</a>'
    )
