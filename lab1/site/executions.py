"""Executes chapters, and remembers what they showed (jupyter-cache).

It is a cache: any fault of it is a miss, said in one line.  What it gives back is compared with the
digest that was kept beside it.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import papermill
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from nbformat import NotebookNode

from ..errors import PublishError

#: What draws a page beside the sources: another version is a miss.
_DRAWN_BY = ("altair", "pandas", "numpy", "scipy", "vl-convert-python")

_COLOURS = re.compile(r"\x1b\[[\d;]*m")


class Executions:
    """The executions of chapters that are remembered in `folder`; `say` tells of what is amiss."""

    def __init__(self, folder: Path, say: Callable[[str], None]) -> None:
        self._folder = folder
        self._say = say

    def find(self, asked: NotebookNode, name: str) -> NotebookNode | None:
        """The notebook with the outputs of the same code, in the same environment, or `None`."""
        try:
            cache = get_cache(str(self._folder))
            try:
                record = cache.match_cache_notebook(asked)
            except KeyError:
                return None
            kept = cache.get_cache_bundle(record.pk).nb
            if (record.data or {}).get("sha256") != _digest(kept):
                raise ValueError("its contents are not what was kept")
            _, notebook = cache.merge_match_into_notebook(asked)
        except Exception as error:  # of many kinds: SQLAlchemy's, nbformat's, the system's
            self._say(f"{name}: the cache in {self._folder.name} is damaged, so it is executed "
                      f"({type(error).__name__}: {str(error).splitlines()[0]})")  # fmt: skip
            return None
        return NotebookNode(notebook)

    def keep(self, executed: NotebookNode, name: str) -> None:
        """Remembers an executed notebook; a cache that cannot is made anew."""
        for attempt in (1, 2):
            bundle = CacheBundleIn(executed, name, data={"sha256": _digest(executed)})
            try:
                cache = get_cache(str(self._folder))
                cache.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)
                return
            except Exception as error:
                if attempt == 2:
                    self._say(f"{name}: cannot be remembered in {self._folder}: {error}")
                self._forget()

    def _forget(self) -> None:
        if self._folder.is_dir() and not self._folder.is_symlink():
            shutil.rmtree(self._folder, ignore_errors=True)
        else:
            self._folder.unlink(missing_ok=True)


def execute(notebook: NotebookNode, folder: Path) -> NotebookNode:
    """The notebook as it is after its code was run in `folder`.

    Raises `PublishError` with the cell and, below, the traceback.
    """
    try:
        result: NotebookNode = papermill.execute_notebook(
            notebook, None, kernel_name="python3", progress_bar=sys.stderr.isatty(), cwd=str(folder)
        )
    except papermill.PapermillExecutionError as error:
        traceback = _COLOURS.sub("", "\n".join(error.traceback))
        raise PublishError(
            f"cell {error.exec_count}: {error.ename}: {error.evalue}\n{traceback}"
        ) from error
    except Exception as error:  # a kernel that does not start or dies, of many kinds
        raise PublishError(f"{type(error).__name__}: {error}") from error
    return result


def versions() -> str:
    """The versions of what draws a page, in a line."""
    python = f"python {sys.version_info.major}.{sys.version_info.minor}"
    return ", ".join([python, *(f"{name} {metadata.version(name)}" for name in _DRAWN_BY)])


def _digest(notebook: NotebookNode) -> str:
    cells: list[Any] = [
        [cell.source, cell.outputs] for cell in notebook.cells if cell.cell_type == "code"
    ]
    return hashlib.sha256(json.dumps(cells, sort_keys=True).encode()).hexdigest()
