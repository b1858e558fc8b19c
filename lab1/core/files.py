"""Files that are written whole or not at all (standard library only)."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import StorageError


def write_text(path: Path, text: str) -> None:
    """Writes a file whole or not at all: to a temporary file beside it, then renamed."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Like `write_text`, for bytes.

    Raises `StorageError` where it cannot be written.
    """
    with told(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            Path(temporary).chmod(0o644)
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise


@contextmanager
def told(path: Path) -> Iterator[None]:
    """A failure of the operating system inside the block is told as what the user can mend."""
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"{path}: cannot be written: {error.strerror or error}. What was there before is "
            "intact; make room, or allow writing there, and run the same command again"
        ) from error


def write_if_changed(path: Path, content: bytes) -> None:
    """Leaves an equal file alone, so that its time of change tells when it changed."""
    if not path.exists() or path.read_bytes() != content:
        write_bytes(path, content)
