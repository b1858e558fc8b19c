"""What other programs learn of the site: its icon, the cards of its links, and the sitemap."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from pathlib import PurePosixPath
from urllib.parse import quote

from .navigation import relative
from .project import Project, page_name

#: Shown where there is no page, and so no page to find.
_WRONG_ADDRESS = PurePosixPath("404.html")


def cards(project: Project, page: PurePosixPath) -> dict[str, object]:
    """What the head of a page says of icon, address and picture, each where there is one.

    A picture is named by its whole address, which only a published site has.
    """
    found: dict[str, object] = {}
    if project.favicon is not None:
        found["favicon"] = relative(project.favicon, page)
    if project.addresses.site:
        found["address"] = _address(project.addresses.site, page_name(page))
        if project.card is not None:
            found["card"] = _address(project.addresses.site, project.card)
    return found


def sitemap(site: str, pages: Iterable[PurePosixPath]) -> str:
    """The list of all pages for search engines, https://www.sitemaps.org/protocol.html."""
    entries = "".join(
        f"  <url><loc>{_address(site, page)}</loc></url>\n"
        for page in pages
        if page != _WRONG_ADDRESS
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n{entries}</urlset>\n'
    )


def _address(site: str, file: PurePosixPath) -> str:
    return escape(f"{site}/{quote(file.as_posix())}")
