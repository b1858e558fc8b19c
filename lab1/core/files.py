"""Files that are written whole or not at all (standard library only)."""

from __future__ import annotations

import os
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from . import locks
from .errors import told


def write_text(path: Path, text: str) -> None:
    """Writes a file whole or not at all: to a temporary file beside it, then renamed."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Like `write_text`, for bytes.

    Raises `StorageError` where it cannot be written.
    """
    with told(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        _sweep(path.parent)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
        try:
            with os.fdopen(descriptor, "wb") as stream:
                locks.try_lock(stream)  # tells others that its owner is at work
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            Path(temporary).chmod(0o644)
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise


#: Younger ones are left alone: their owner may be about to lock them.
_SWEPT_AFTER_SECONDS = 60.0


def _sweep(folder: Path) -> None:
    """Takes away what writers that were killed have left in a folder."""
    for path in folder.glob(".*.part"):
        with suppress(OSError):  # another process sweeps too, or it is another user's
            if time.time() - path.stat().st_mtime > _SWEPT_AFTER_SECONDS:
                with path.open("ab") as stream:
                    abandoned = locks.try_lock(stream)
                if abandoned:
                    path.unlink()


def is_there(path: Path) -> bool:
    """Whether a file exists, or may: one in a folder that is closed to us is told when it is read.

    A link that leads nowhere counts as one that exists.
    """
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def write_if_changed(path: Path, content: bytes) -> None:
    """Leaves an equal file alone, so that its time of change tells when it changed."""
    if not path.exists() or path.read_bytes() != content:
        write_bytes(path, content)
