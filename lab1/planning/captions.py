"""Texts above the output of a cell: a line at a page's head, and captions in Jupyter.

A cell that begins with `#| caption: ...` shows it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import yaml

_CAPTION = re.compile(r"^#\| (caption: .*)$", re.MULTILINE)

#: What shows the captions in this kernel, which a chapter that is opened again replaces.
_shown_by: list[Callable[[Any], None]] = []


def show() -> None:
    """Shows captions from the next cell on; outside IPython nothing happens."""
    if (shell := _shell()) is None:
        return

    def show_caption(cell: Any) -> None:
        if match := _CAPTION.search(cell.raw_cell):
            say(yaml.safe_load(match[1])["caption"])

    while _shown_by:  # the chapter was opened before
        shell.events.unregister("pre_run_cell", _shown_by.pop())
    shell.events.register("pre_run_cell", show_caption)
    _shown_by.append(show_caption)


def say(text: str) -> None:
    """Shows a text in Markdown above the output of the cell that is running; else nothing."""
    if _shell() is not None:
        from IPython.display import Markdown, display

        display(Markdown(text))


def _shell() -> Any:
    try:
        from IPython import get_ipython
    except ImportError:
        return None
    return get_ipython()
