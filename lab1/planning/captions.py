"""Captions in Jupyter: a cell that begins with `#| caption: ...` shows it above its output."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import yaml

_CAPTION = re.compile(r"^#\| (caption: .*)$", re.MULTILINE)

#: What shows the captions in this kernel, which a chapter that is opened again replaces.
_shown_by: list[Callable[[Any], None]] = []


def show(dataset: str) -> None:
    """From the next cell on, shows captions, with `dataset` where they write `{dataset}`.

    Outside IPython nothing happens.
    """
    try:
        from IPython import get_ipython
        from IPython.display import Markdown, display
    except ImportError:
        return
    shell = get_ipython()
    if shell is None:
        return

    def show_caption(cell: Any) -> None:
        if found := _CAPTION.search(cell.raw_cell):
            caption = yaml.safe_load(found[1])["caption"]
            display(Markdown(caption.replace("{dataset}", dataset)))

    while _shown_by:  # the chapter was opened before
        shell.events.unregister("pre_run_cell", _shown_by.pop())
    shell.events.register("pre_run_cell", show_caption)
    _shown_by.append(show_caption)
