"""What a teacher said, kept so that it is not asked again.

The views that a student is shown depend on the data, the seed and the augmentation, and not on the
student, the temperature or alpha.  So all students of a teacher that share those share its answers.
The files may be deleted at any time; they are then made again.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..core.fields import hash_key
from ..core.spec import RECIPE, RunSpec
from ..errors import CheckpointError, StorageError
from . import device as devices
from .checkpoint import Checkpointer

#: The fields of `TrainingConfig` that decide the views or the arithmetic.
_DECIDING = (
    "validation_size", "train_size", "omitted_class", "batch_size", "augmentation", "precision",
)  # fmt: skip


class TeacherOutputs:
    """The logits of one teacher on the training images of one run, float32, on `device`.

    With a `folder` they are also kept there: in `images.pt` where there is no augmentation,
    else in `epoch-0001.pt` and so on, with a row for each image in the order of the split or of
    the epoch's batches.  `key` stands for all that decides them (`key_of`).  A file appears
    whole or not at all; one that is damaged or does not fit is made anew.
    """

    def __init__(
        self,
        folder: Path | None = None,
        key: str = "",
        device: torch.device = torch.device("cpu"),  # noqa: B008 (it is immutable)
    ) -> None:
        self._folder = folder
        self._key = key
        self._device = device
        self._images: Tensor | None = None
        self._epoch = 0
        #: The current epoch as it was found, or else what was computed of it, by its first row.
        self._found: Tensor | None = None
        self._parts: dict[int, Tensor] = {}

    def of_images(self, count: int, compute: Callable[[], Tensor]) -> Tensor:
        """The logits of all `count` training images, computed at most once."""
        if self._images is None:
            self._images = self._load("images", count)
        if self._images is None:
            self._images = compute()
            self._save("images", self._images)
        return self._images

    def of_batch(
        self, epoch: int, rows: slice, count: int, compute: Callable[[], Tensor]
    ) -> Tensor:
        """The logits of the batch that is `rows` of an epoch's `count` views.

        An epoch is kept once all of it was computed in one sitting.
        """
        name = f"epoch-{epoch:04}"
        if epoch != self._epoch:
            self._epoch, self._parts = epoch, {}
            self._found = self._load(name, count)
        if self._found is not None:
            return self._found[rows]
        logits = compute()
        if self._folder is not None:
            self._parts[rows.start] = logits
            if sum(map(len, self._parts.values())) == count:
                self._save(name, torch.cat([self._parts[start] for start in sorted(self._parts)]))
        return logits

    def _load(self, name: str, count: int) -> Tensor | None:
        if self._folder is None:
            return None
        file = self._file(self._folder, name)
        try:
            state = file.load()
            if state is None:
                return None
            logits: Any = state.get("logits")
            fits = (
                isinstance(logits, Tensor)
                and logits.dtype == torch.float32
                and logits.ndim == 2
                and len(logits) == count
                and bool(logits.isfinite().all())
            )
            if not fits:
                raise file.refusal("these are not the answers to the images of this run")
        except CheckpointError as error:
            print(f"note: asking the teacher again: {error}", file=sys.stderr)
            return None
        kept: Tensor = logits.to(self._device)
        return kept

    def _save(self, name: str, logits: Tensor) -> None:
        if self._folder is not None:
            with suppress(StorageError):  # the training can do without
                self._file(self._folder, name).save({"logits": logits.cpu()})

    def _file(self, folder: Path, name: str) -> Checkpointer:
        return Checkpointer(folder / f"{name}.pt", self._key)


def key_of(spec: RunSpec, teacher_sha256: str, fingerprint: str, device: torch.device) -> str:
    """Sixteen hexadecimal digits for all that decides what the teacher says to a student's views.

    Threads and processor are among them, since they decide in which order sums are taken.  So are
    the recipes of all families, one of which is raised when a change alters the views.
    """
    return hash_key(
        {
            "teacher": teacher_sha256,
            "data": fingerprint,
            "seed": spec.seed,
            "training": {name: getattr(spec.training, name) for name in _DECIDING},
            "recipes": dict(RECIPE),
            "device": devices.describe(device),
            "torch": torch.__version__,
        }
    )
