"""The state of a training on disk, so that a killed run continues where it was."""

from __future__ import annotations

import hashlib
import io
import time
from collections import Counter
from pathlib import Path
from typing import Any

import torch

from ..core.files import write_bytes
from ..errors import CheckpointError, short_repr

_MAGIC = b"lab1-checkpoint-1"


class Checkpointer:
    """Saves and loads the state of one run, in one file that is always whole.

    `key` is the run's: a checkpoint of another run is refused.  `every_seconds` is the time
    between two saves (by a clock that nobody can set back).  The file begins with the key and a
    SHA-256 of the rest, which holds tensors and plain values and is read without executing code.
    """

    def __init__(self, path: Path, key: str, every_seconds: float = 60.0) -> None:
        self.path = path
        self.key = key
        self.every_seconds = every_seconds
        self._saved_at = time.monotonic()

    def is_due(self) -> bool:
        """Whether it is time to save again."""
        return time.monotonic() - self._saved_at >= self.every_seconds

    def save(self, state: dict[str, Any]) -> None:
        """Puts `state` in the place of the last one, whole or not at all.

        Raises `StorageError` where it cannot be written, say on a full disk;
        the last checkpoint is then still there.
        """
        buffer = io.BytesIO()
        torch.save(state, buffer)
        payload = buffer.getvalue()
        digest = hashlib.sha256(payload).hexdigest()
        header = b" ".join([_MAGIC, self.key.encode(), digest.encode()]) + b"\n"
        write_bytes(self.path, header + payload)
        self._saved_at = time.monotonic()

    def load(self) -> dict[str, Any] | None:
        """The saved state, its tensors on the CPU; `None` where none was saved.

        Raises `CheckpointError` for a damaged file or that of another run. It
        is never taken for no checkpoint, since that would start from zero unasked.
        """
        try:
            header, _, payload = self.path.read_bytes().partition(b"\n")
        except FileNotFoundError:
            return None
        except OSError as error:
            raise CheckpointError(f"{self.path}: cannot be read: {error.strerror}") from error
        words = header.split(b" ")
        if len(words) != 3 or words[0] != _MAGIC:
            raise self.refusal("it is not a checkpoint of this version")
        key, digest = (word.decode(errors="replace") for word in words[1:])
        if key != self.key:
            raise self.refusal(f"it belongs to run {short_repr(key)}, not to {self.key}")
        if digest != hashlib.sha256(payload).hexdigest():
            raise self.refusal("its checksum does not fit its content: truncated or damaged")
        # The step schedule keeps its milestones in a Counter.
        try:
            with torch.serialization.safe_globals([Counter]):
                state = torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
        except Exception as error:  # torch raises many kinds
            raise self.refusal(f"it is not readable: {error}") from error
        if not isinstance(state, dict):
            raise self.refusal(f"it holds no state, but {short_repr(state)}")
        return state

    def remove(self) -> None:
        """Takes the checkpoint away, once the run's record is written."""
        self.path.unlink(missing_ok=True)

    def refusal(self, why: str) -> CheckpointError:
        """The error for a checkpoint that cannot be taken up, with what to do about it."""
        return CheckpointError(
            f"{self.path}: {why}. Delete it to train the run again from the beginning"
        )
