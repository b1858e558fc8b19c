"""Locks between processes, which the operating system drops with their owner (standard library)."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from .errors import told

#: How often to try again, where the system cannot wait.
_POLL_SECONDS = 0.2


@contextmanager
def claimed(path: Path) -> Iterator[bool]:
    """Yields whether this process holds the lock `path`; no other can until the block ends."""
    with _opened(path) as stream:
        yield try_lock(stream)


@contextmanager
def waited_for(path: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Holds the lock `path` inside the block; where another process has it, tells `waiting` first.

    Raises `StorageError` where the file cannot be made.
    """
    with _opened(path) as stream:
        if not try_lock(stream):
            waiting()
            while not try_lock(stream):
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

    def try_lock(stream: IO[Any]) -> bool:
        """Locks an open file until it is closed; returns whether no other process has it."""
        try:
            msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def try_lock(stream: IO[Any]) -> bool:
        """Locks an open file until it is closed; returns whether no other process has it."""
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
