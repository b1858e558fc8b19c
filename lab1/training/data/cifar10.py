"""The original CIFAR-10, in torchvision's layout, downloaded and checked by torchvision."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import torch

from ...core.datasets import Dataset
from ...errors import DataError
from . import downloading
from .images import ImageSet, LoadedData

_FOLDER = "cifar-10-batches-py"


def load_cifar10(declared: Dataset, root: Path) -> LoadedData:
    """Reads `cifar-10-batches-py` in `root`, downloading it there where it is absent.

    torchvision compares every file with its published MD5 before it reads one, and those are the
    digests that the fingerprint is made of.  Raises `DataError` where files
    are missing, damaged or cannot be downloaded.
    """
    folder = root / _FOLDER
    try:
        try:
            parts = _parts(root, download=False)
        except RuntimeError:  # not whole, or another process is just unpacking it
            with downloading.alone(root, declared.title):
                parts = _parts(root, download=True)
    except (OSError, RuntimeError, EOFError, zlib.error) as error:
        found = sorted(path.name for path in folder.glob("*")) if folder.is_dir() else []
        raise DataError(
            f"CIFAR-10 is not whole in {folder} (found: {', '.join(found) or 'nothing'}) and could "
            f"not be downloaded: {error}. Copy the batches there, name the folder that holds "
            f"{_FOLDER} with LAB1_DATA or data_dir, or take the data set cifar10-jpeg"
        ) from error
    return LoadedData(
        declared, parts[0], parts[1], f"{_FOLDER} in the data root", declared.fingerprint
    )


def _parts(root: Path, download: bool) -> list[ImageSet]:
    """The training and the test images; raises `RuntimeError` where a file is not the original."""
    from torchvision import datasets as torchvision_datasets

    parts = []
    for train in (True, False):
        data = torchvision_datasets.CIFAR10(str(root), train=train, download=download)
        pixels = np.ascontiguousarray(data.data.transpose(0, 3, 1, 2))  # to channels first
        labels = torch.tensor(data.targets, dtype=torch.int64)
        parts.append(ImageSet(torch.from_numpy(pixels), labels))
    return parts
