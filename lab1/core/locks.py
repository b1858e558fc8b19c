"""Locks between processes, which the operating system drops with their owner (standard library)."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from .files import told

#: How often to try again, where the system cannot wait.
_POLL_SECONDS = 0.2


@contextmanager
def claimed(path: Path) -> Iterator[bool]:
    """Yields whether this process holds the lock `path`; no other can until the block ends."""
    with _opened(path) as stream:
        yield _try(stream)


@contextmanager
def waited_for(path: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Holds the lock `path` inside the block; where another process has it, tells `waiting` first.

    Raises `StorageError` where the file cannot be made.
    """
    with _opened(path) as stream:
        if not _try(stream):
            waiting()
            while not _try(stream):
                time.sleep(_POLL_SECONDS)
        yield


@contextmanager
def _opened(path: Path) -> Iterator[IO[str]]:
    with told(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        stream = path.open("a")  # and so as old as it is
    with stream:
        yield stream


if sys.platform == "win32":  # pragma: no cover
    import msvcrt

    def _try(stream: IO[str]) -> bool:
        try:
            msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _try(stream: IO[str]) -> bool:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
