"""The project's folders, files that are written whole or not at all, and locks between processes.

Standard library only.
"""

import errno
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from ..errors import Lab1Error, storage_errors

if sys.platform == "win32":  # pragma: no cover
    import msvcrt

    _HELD: type[OSError] = OSError
else:
    import fcntl

    _HELD = BlockingIOError

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


def from_reader(name: str) -> Path:
    """A file or folder that a reader names: from the working directory or, as a kernel works in
    another one, from the laboratory's folder."""
    path = Path(name).expanduser()
    with suppress(Lab1Error, OSError):
        if not path.exists() and (in_laboratory := project_root() / path).exists():
            return in_laboratory
    return path


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


# Files

#: How often to try again, where the system cannot wait.
_POLL_SECONDS = 0.2


def write_text(path: Path, text: str) -> None:
    """Writes a file whole or not at all: to a temporary file beside it, then renamed."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Like `write_text`, for bytes; raises `StorageError` where it cannot be written."""
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        _sweep(path.parent)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
        try:
            with os.fdopen(descriptor, "wb") as stream:
                try_lock(stream)  # tells others that its owner is at work
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            Path(temporary).chmod(0o644)
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise


def move(source: Path, target: Path) -> None:
    """Moves a file in one step, so that a kill leaves it in one place, where one disk has both.

    Raises `StorageError` where it cannot be written.
    """
    with storage_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            source.replace(target)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            write_bytes(target, source.read_bytes())
            source.unlink()


#: Younger ones are left alone: their owner may be about to lock them.
_SWEPT_AFTER_SECONDS = 60.0


def _sweep(folder: Path) -> None:
    """Takes away what writers that were killed have left in a folder."""
    for path in folder.glob(".*.part"):
        with suppress(OSError):  # another process sweeps too, or it is another user's
            if time.time() - path.stat().st_mtime > _SWEPT_AFTER_SECONDS:
                with path.open("ab") as stream:
                    abandoned = try_lock(stream)
                if abandoned:
                    path.unlink()


def may_exist(path: Path) -> bool:
    """True if a file exists, or may: one in a folder that is closed to us is told when it is read.

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


# Locks, which the operating system drops with their owner


@contextmanager
def claimed(path: Path, waiting: Callable[[], None] | None = None) -> Iterator[bool]:
    """Yields whether this process holds the lock `path`; no other can until the block ends.

    With `waiting`, which is called where another process has it, the lock is waited for.  Raises
    `StorageError` where the file cannot be made.
    """
    with storage_errors(path):
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
