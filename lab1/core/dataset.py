"""The declaration of a data set (standard library only)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Dataset:
    """A data set as it is declared; training checks the files against it.

    `image_shape` is (channels, height, width).  `mean` and `std` normalise each channel
    after the bytes were divided by 255.  `fingerprint` is the SHA-256 of the lines
    `<sha256 of the file>  <file name>`, sorted by name, for the files in `files`; a built-in
    data set has no files and its fingerprint is that of its bytes.  A reader's own images
    (`datasets`) have the `folder` they lie in; they are brought to `image_shape`.
    """

    name: str
    title: str
    image_shape: tuple[int, int, int]
    num_classes: int
    train_size: int
    test_size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    fingerprint: str
    files: Mapping[str, str] = field(default_factory=dict, hash=False)
    classes: tuple[str, ...] = ()
    folder: Path | None = None

    @property
    def own(self) -> bool:
        """True for user-defined images."""
        return self.folder is not None

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes in the order of their numbers, or the numbers themselves."""
        return self.classes or tuple(map(str, range(self.num_classes)))


def files_fingerprint(files: Mapping[str, str]) -> str:
    """The fingerprint of `{file name: SHA-256}`."""
    lines = "".join(f"{digest}  {name}\n" for name, digest in sorted(files.items()))
    return hashlib.sha256(lines.encode()).hexdigest()
