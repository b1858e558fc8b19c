"""Locks between processes, which the operating system drops with their owner (standard library)."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from .errors import told

if sys.platform == "win32":  # pragma: no cover
    import msvcrt

    _HELD: type[OSError] = OSError
else:
    import fcntl

    _HELD = BlockingIOError

#: How often to try again, where the system cannot wait.
_POLL_SECONDS = 0.2


@contextmanager
def claimed(path: Path, waiting: Callable[[], None] | None = None) -> Iterator[bool]:
    """Yields whether this process holds the lock `path`; no other can until the block ends.

    With `waiting`, which is called where another process has it, the lock is waited for.  Raises
    `StorageError` where the file cannot be made.
    """
    with told(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        stream = path.open("a")  # and so as old as it is
    with stream:
        mine = try_lock(stream)
        if waiting is not None and not mine:
            waiting()
            while not (mine := try_lock(stream)):
                time.sleep(_POLL_SECONDS)
        yield mine


def try_lock(stream: IO[Any]) -> bool:
    """Locks an open file until it is closed; returns whether no other process has it."""
    try:
        if sys.platform == "win32":  # pragma: no cover
            msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except _HELD:
        return False
    return True
