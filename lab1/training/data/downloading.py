"""Downloads by torchvision: one process at a time, and none waits for a silent host for ever."""

from __future__ import annotations

import shutil
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ...core import files

#: How long a host may say nothing.
_SILENCE_SECONDS = 30.0


#: How the folder of a download that is not complete begins.
BEGUN = ".download-"


@contextmanager
def alone(root: Path, title: str) -> Iterator[None]:
    """Holds the lock of downloads into `root`, and gives up on hosts that fall silent.

    Another process that wants to download there waits, says so, and then finds the files.
    """

    def waiting() -> None:
        print(f"{title}: another process is downloading into {root}; waiting", file=sys.stderr)

    with files.claimed(root / ".download.lock", waiting):
        for left in root.glob(f"{BEGUN}*"):  # by one that was killed: we have the lock
            shutil.rmtree(left, ignore_errors=True)
        before = socket.getdefaulttimeout()
        socket.setdefaulttimeout(_SILENCE_SECONDS)  # torchvision has no setting for it
        try:
            yield
        finally:
            socket.setdefaulttimeout(before)
