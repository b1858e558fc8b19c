"""The site's menu: the pages that a profile has, each in the part that its front matter names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from ..core.files import write_if_changed
from ..errors import PublishError
from . import page_frame
from .run_it import Shown

#: Where publishing writes it, for Quarto and the preview to read.
FILE = "menu.yml"


def expect_part(root: Path, page: Shown) -> None:
    """Raises `PublishError` for a page whose part the menu lacks: no reader would find it."""
    menu = _stated(root)
    parts = [entry["part"] for entry in menu or () if "part" in entry]
    if menu is not None and page.part not in parts:
        raise PublishError(
            f"chapters/{page.page.chapter}.ipynb: part = {page.part!r} is not allowed; "
            f"allowed: a part of site-menu in _quarto.yml: {', '.join(parts) or 'none there'}"
        )


def write(root: Path, report: Path, shown: Sequence[Shown]) -> None:
    """Writes the contents of the sidebar from the `site-menu` of `_quarto.yml`, and the foot.

    `shown` are the pages in their order, each of a part that the menu has.
    """
    menu = _stated(root)
    if menu is None:
        return
    contents = [entry for each in menu for entry in _entries(each, shown)]
    website: dict[str, Any] = {"sidebar": {"contents": contents}}
    if stated := _settings(root).get("website", {}).get("page-footer"):
        website["page-footer"] = {**stated, "left": page_frame.site_foot(root, stated["left"])}
    text = yaml.safe_dump({"website": website}, sort_keys=False, allow_unicode=True)
    write_if_changed(report / FILE, text.encode())


def _stated(root: Path) -> list[dict[str, Any]] | None:
    """The menu; None where there is no site, since chapters may be read as notebooks alone."""
    if not (root / "_quarto.yml").exists():
        return None
    entries: list[dict[str, Any]] = _settings(root).get("site-menu", [])
    return entries


def _settings(root: Path) -> dict[str, Any]:
    settings: dict[str, Any] = yaml.safe_load((root / "_quarto.yml").read_text(encoding="utf-8"))
    return settings


def _entries(entry: dict[str, Any], shown: Sequence[Shown]) -> list[dict[str, Any]]:
    """The entry as Quarto takes it; none for a part without a page."""
    if "part" not in entry:
        return [entry]
    pages = [
        {"href": f"report/{each.page.name}.ipynb", "text": each.title}
        for each in shown
        if each.part == entry["part"]
    ]
    contents = [*pages, *entry.get("contents", [])]
    return [{"section": entry["part"], "contents": contents}] if contents else []
