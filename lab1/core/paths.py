"""The project's folders, found from any working directory."""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import Lab1Error

#: The folder of the package `lab1`.
PACKAGE = Path(__file__).resolve().parents[1]


def project_root() -> Path:
    """The folder that holds `params/` and `chapters/`.

    `LAB1_HOME` where it is set, else the checkout that `lab1` was installed from (an
    editable install), else the nearest such folder above the working directory.
    """
    home = os.environ.get("LAB1_HOME")
    candidates = [Path(home)] if home else [PACKAGE.parent]
    if not home:
        candidates += [Path.cwd(), *Path.cwd().parents]
    for folder in candidates:
        if (folder / "params").is_dir() and (folder / "chapters").is_dir():
            return folder.resolve()
    raise Lab1Error(
        f"no laboratory found in {candidates[0]}: a folder with params/ and chapters/ is needed; "
        "install lab1 from its checkout (pip install -e .) or set LAB1_HOME to it"
    )


def results_dir() -> Path:
    """The published run records: read by everyone, written by `promote` alone."""
    return project_root() / "results"


def runs_dir() -> Path:
    """One's own run records and weights; `LAB1_RUNS` puts them elsewhere.

    Raises `Lab1Error` where that is no folder, and could be none.
    """
    folder = Path(os.environ.get("LAB1_RUNS") or project_root() / "runs").expanduser()
    if folder.exists() and not folder.is_dir():
        raise Lab1Error(f"LAB1_RUNS = {str(folder)!r} is not allowed; allowed: a folder")
    return folder


def data_dir(explicit: str | None = None) -> Path:
    """The data root: the argument, else `LAB1_DATA`, else `data/` in the project."""
    return Path(explicit or os.environ.get("LAB1_DATA") or project_root() / "data").expanduser()
