"""The origin of a run: commit, sources, versions, device, times, and the processes that made it."""

import hashlib
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy
import torch

from .. import __version__
from ..core.record import SEGMENTS, is_commit
from . import device as devices
from .data.images import LoadedData
from .progress import Progress

#: The folder of the package.
_SOURCES = Path(__file__).resolve().parents[1]


@cache
def commit() -> str:
    """The commit of the sources in use, with `-dirty` where `lab1/` differs from it.

    `LAB1_COMMIT` where it is set (a copy of the sources without `.git`), else what git says,
    else `unknown`.  Git is believed only where it tracks the package: the sources may lie in a
    folder that the repository around them ignores.  Files are compared by content, and any Python
    file counts that the commit lacks: what git ignores or does not show can be imported as well.
    Asked once per process, since the sources are read once per process.
    """
    if os.environ.get("LAB1_COMMIT"):
        return os.environ["LAB1_COMMIT"]
    try:
        head = _git("rev-parse", "HEAD")
        listed = _git("ls-tree", "-r", "-z", "HEAD").split("\0")[:-1]
        entries = (entry.split("\t", 1) for entry in listed)
        blobs = {name: words.split()[-1] for words, name in entries}
        if not blobs:
            return "unknown"
        added = {*_modules()} - blobs.keys()
        if added or not all((_SOURCES / name).is_file() for name in blobs):
            return f"{head}-dirty"
        # Converts the ends of lines as git would on adding the file.
        changed = _git("hash-object", "--", *blobs).split() != [*blobs.values()]
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return f"{head}-dirty" if changed else head


@cache
def sources() -> str:
    """A SHA-256 of the package's Python files: their paths in the package, in order, and contents.

    Read once per process.
    """
    digest = hashlib.sha256()
    for name in _modules():
        content = (_SOURCES / name).read_bytes()
        digest.update(f"{name} {hashlib.sha256(content).hexdigest()}\n".encode())
    return digest.hexdigest()


@cache
def warn_of_unpublishable() -> None:
    """Says, once, where the commit is no one that a published record could be followed back to."""
    if not is_commit(commit()):
        print(
            f"note: the sources' commit is {commit()!r}, so these runs can be used here but not "
            "published: `promote` takes only runs from committed sources (a copy without .git "
            "names its commit in LAB1_COMMIT, in 40 hexadecimal digits)",
            file=sys.stderr,
        )


def versions() -> dict[str, str]:
    """The versions of what a result depends on."""
    return {
        "lab1": __version__,
        "python": platform.python_version(),
        "torch": str(torch.__version__),  # a plain text, which a checkpoint may hold
        # Asked of the package's metadata: importing torchvision takes a second or more.
        "torchvision": metadata.version("torchvision"),
        "numpy": numpy.__version__,
    }


class Segments:
    """The processes that trained a run, in order: those before its checkpoint, then this one.

    A process is listed with what it contributed: one that was killed has trained up to its last
    checkpoint.  `device` is the one that this process trains on, `compiled` whether with kernels
    that `torch.compile` made.
    """

    def __init__(self, device: torch.device, compiled: bool = False) -> None:
        self._earlier: list[dict[str, Any]] = []
        self._first_epoch = 1
        described = {**devices.describe(device), **devices.family(device)}
        self._this: dict[str, Any] = {
            "commit": commit(),
            "sources": sources(),
            "versions": versions(),
            "device": {**described, "compiled": True} if compiled else described,
            "from": _to_the_second(now()),
        }

    def restore(self, earlier: Sequence[Mapping[str, Any]], progress: Progress) -> None:
        """Takes up those of a checkpoint, which left the training at `progress`.

        Raises `RecordError` for what is no list of segments.
        """
        SEGMENTS("segments", earlier)
        self._earlier = [dict(segment) for segment in earlier]
        self._first_epoch = progress.epoch

    def until(self, progress: Progress) -> list[dict[str, Any]]:
        """All of them, this process's up to `progress`; without `epochs` where it trained none."""
        first, last = self._first_epoch, progress.epoch if progress.steps else progress.epoch - 1
        to = max(_to_the_second(now()), self._this["from"])
        epochs = [first, last] if first <= last else None
        return [*self._earlier, {**self._this, "to": to, "epochs": epochs}]


def describe(
    segments: Sequence[Mapping[str, Any]], loaded: LoadedData, **further: object
) -> dict[str, Any]:
    """A record's `origin`, with those of `further` that are not `None`; the last process writes it.

    It `started`, in UTC, to the second, with the first process that is known.  Where the clock was
    set back meanwhile it also `ended` then: a record that ends before it began would be taken for a
    damaged one.
    """
    last, started = segments[-1], next(each["from"] for each in segments if each["from"])
    rounding = ("family", "instruction_set")  # which the segments tell
    return {
        "commit": last["commit"],
        "versions": last["versions"],
        "device": {name: value for name, value in last["device"].items() if name not in rounding},
        "data_source": loaded.source,
        "data_fingerprint": loaded.declared.fingerprint,
        **{name: value for name, value in further.items() if value is not None},
        "segments": [*segments],
        "started": started,
        "ended": max(last["to"], started),
    }


def now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


def _to_the_second(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")


def _modules() -> list[str]:
    """The paths of the package's Python files in its folder, but for those in hidden folders."""
    names = (path.relative_to(_SOURCES).as_posix() for path in _SOURCES.rglob("*.py"))
    return sorted(name for name in names if "/." not in f"/{name}")


def _git(*arguments: str) -> str:
    """Runs git in the folder of the sources and returns its output."""
    # A hook of another repository names that one in GIT_DIR.
    environment = {n: value for n, value in os.environ.items() if not n.startswith("GIT_")}
    done = subprocess.run(
        ["git", "-C", str(_SOURCES), *arguments],
        capture_output=True,
        encoding="utf-8",
        check=True,
        env=environment,
    )
    return done.stdout.strip()
