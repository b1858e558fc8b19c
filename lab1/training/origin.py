"""Where a run came from: commit, versions, device, and when."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy
import torch

from .. import __version__
from . import device as devices


@cache
def commit() -> str:
    """The commit of the sources in use, with `-dirty` where `lab1/` differs from it.

    `LAB1_COMMIT` where it is set (a copy of the sources without `.git`), else what git says,
    else `unknown`.  Git is believed only where it tracks this very file: the sources may lie in a
    folder that the repository around them ignores.  Asked once per process, since the sources are
    read once per process.
    """
    if os.environ.get("LAB1_COMMIT"):
        return os.environ["LAB1_COMMIT"]
    sources = Path(__file__).resolve().parents[1]
    try:
        _git(sources, "ls-files", "--error-unmatch", "--", str(Path(__file__).resolve()))
        head = _git(sources, "rev-parse", "HEAD")
        changed = _git(sources, "status", "--porcelain", "--", ".")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return f"{head}-dirty" if changed else head


@cache
def warn_of_unpublishable() -> None:
    """Says, once, where the commit is no one that a published record could be followed back to."""
    found = commit()
    if found == "unknown" or found.endswith("-dirty"):
        print(
            f"note: the sources' commit is {found!r}, so these runs can be used here but not "
            "published: `promote` takes only runs from committed sources (a copy without .git "
            "names its commit in LAB1_COMMIT)",
            file=sys.stderr,
        )


def describe(device: torch.device, data_source: str, data_fingerprint: str) -> dict[str, Any]:
    """Everything but the start and the end of a run."""
    return {
        "commit": commit(),
        "versions": {
            "lab1": __version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            # Asked of the package's metadata: importing torchvision takes a second or more.
            "torchvision": metadata.version("torchvision"),
            "numpy": numpy.__version__,
        },
        "device": devices.describe(device),
        "data_source": data_source,
        "data_fingerprint": data_fingerprint,
    }


def finished(origin: Mapping[str, Any], started: datetime) -> dict[str, Any]:
    """`origin` with `started` and `ended`, in UTC, to the second.

    Where the clock was set back meanwhile, the end is the start: a record that ends before it
    began would be taken for a damaged one.
    """
    return {
        **origin,
        "started": started.isoformat(timespec="seconds"),
        "ended": max(now(), started).isoformat(timespec="seconds"),
    }


def now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    # A hook of another repository names that one in GIT_DIR.
    environment = {n: value for n, value in os.environ.items() if not n.startswith("GIT_")}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return done.stdout.strip()
