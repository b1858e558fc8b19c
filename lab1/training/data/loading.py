"""Data sets by name: MNIST, CIFAR-10, folders of images, and built-in patterns."""

import hashlib
import shutil
import socket
import sys
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from ...core import files
from ...core.datasets import DATASETS, Dataset
from ...errors import DataError
from .image_folder import load_folder, load_user_images
from .images import ImageSet, LoadedData

_CIFAR10_FOLDER = "cifar-10-batches-py"
#: How long a host may say nothing.
_SILENCE_SECONDS = 30.0
#: The first letters of a folder whose download is not complete.
_PARTIAL_DOWNLOAD = ".download-"


def load(name: str, data_dir: str | None = None) -> LoadedData:
    """Reads a data set from the data root, downloading it there where it is absent.

    Raises `DataError` where files are missing and cannot be downloaded,
    truncated, or not the declared ones; of a reader's own images, where an image is unreadable.
    """
    declared = DATASETS[name]
    if declared.user_defined:
        return load_user_images(declared)
    if name.startswith("smoke"):
        return _built_in(declared)
    root = files.data_dir(data_dir)
    if name == "mnist":
        return _mnist(declared, root)
    if name == "cifar10":
        return _cifar10(declared, root)
    return load_folder(declared, root / "cifar10")


@lru_cache(maxsize=2)
def load_once(name: str, data_dir: str | None = None) -> LoadedData:
    """Loads a data set, read once for all runs of a process."""
    return load(name, data_dir)


def _mnist(declared: Dataset, root: Path) -> LoadedData:
    folder = root / "MNIST" / "raw"
    if _missing(declared, folder):
        _download_mnist(declared, root)
    contents = {name: _checked_bytes(folder / name, declared) for name in declared.files}
    parts = []
    for prefix, count in (("train", declared.train_size), ("t10k", declared.test_size)):
        # Both formats are big-endian counts followed by bytes: 16 bytes of header before the
        # images, 8 before the labels (yann.lecun.com/exdb/mnist, "file formats").
        pixels = np.frombuffer(contents[f"{prefix}-images-idx3-ubyte"], np.uint8, offset=16)
        labels = np.frombuffer(contents[f"{prefix}-labels-idx1-ubyte"], np.uint8, offset=8)
        images = torch.from_numpy(pixels.reshape(count, *declared.image_shape).copy())
        parts.append(ImageSet(images, torch.from_numpy(labels.astype(np.int64))))
    return LoadedData(declared, parts[0], parts[1], "MNIST/raw in the data root")


def _checked_bytes(path: Path, declared: Dataset) -> bytes:
    expected = declared.files[path.name]
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    digest = hashlib.sha256(content).hexdigest()
    if digest == expected:
        return content
    hint = "it is still gzipped" if content[:2] == b"\x1f\x8b" else f"it has {len(content)} bytes"
    raise DataError(
        f"{path}: not the declared file of {declared.title}: expected SHA-256 {expected}, "
        f"found {digest} ({hint}). Delete it to have it downloaded again, "
        "or copy the original there"
    )


def _download_mnist(declared: Dataset, root: Path) -> None:
    """Downloads what is missing from the first mirror that has it whole.

    Raises `DataError` where none has.
    """
    from torchvision import datasets as torchvision_datasets

    folder = root / "MNIST" / "raw"
    problems = []
    with _download_lock(root, declared.title):
        if not (missing := _missing(declared, folder)):
            return  # another process has downloaded them meanwhile
        for mirror in torchvision_datasets.MNIST.mirrors:
            # torchvision asks the next mirror after some faults only, a host's silence not among
            # them; and it leaves what it has begun.
            one_mirror = type("MNIST", (torchvision_datasets.MNIST,), {"mirrors": [mirror]})
            with tempfile.TemporaryDirectory(dir=root, prefix=_PARTIAL_DOWNLOAD) as apart:
                try:
                    one_mirror(apart, download=True)
                    folder.mkdir(parents=True, exist_ok=True)
                    for name in missing:
                        (Path(apart) / "MNIST" / "raw" / name).replace(folder / name)
                except (OSError, RuntimeError, EOFError, zlib.error) as error:
                    problems.append(f"{mirror}: {' '.join(str(error).split())}")
                else:
                    return
    raise DataError(
        f"MNIST is not in {folder} (missing: {', '.join(missing)}) and could not be downloaded: "
        f"{'; '.join(problems)}. Copy the four files there, or name the folder that holds "
        "MNIST/raw with LAB1_DATA or data_dir"
    )


def _missing(declared: Dataset, folder: Path) -> list[str]:
    return [name for name in declared.files if not (folder / name).exists()]


def _cifar10(declared: Dataset, root: Path) -> LoadedData:
    """Reads `cifar-10-batches-py` in `root`, downloading it there where it is absent.

    torchvision compares every file with its published MD5 before it reads one, and those are the
    digests that the fingerprint is made of.  Raises `DataError` where files
    are missing, damaged or cannot be downloaded.
    """
    folder = root / _CIFAR10_FOLDER
    try:
        try:
            parts = _cifar10_parts(root, download=False)
        except RuntimeError:  # not whole, or another process is just unpacking it
            with _download_lock(root, declared.title):
                parts = _cifar10_parts(root, download=True)
    except (OSError, RuntimeError, EOFError, zlib.error) as error:
        found = sorted(path.name for path in folder.glob("*")) if folder.is_dir() else []
        raise DataError(
            f"CIFAR-10 is not whole in {folder} (found: {', '.join(found) or 'nothing'}) and could "
            f"not be downloaded: {error}. Copy the batches there, name the folder that holds "
            f"{_CIFAR10_FOLDER} with LAB1_DATA or data_dir, or take the data set cifar10-jpeg"
        ) from error
    return LoadedData(declared, parts[0], parts[1], f"{_CIFAR10_FOLDER} in the data root")


def _cifar10_parts(root: Path, download: bool) -> list[ImageSet]:
    """The training and the test images; raises `RuntimeError` where a file is not the original."""
    from torchvision import datasets as torchvision_datasets

    parts = []
    for train in (True, False):
        data = torchvision_datasets.CIFAR10(str(root), train=train, download=download)
        pixels = np.ascontiguousarray(data.data.transpose(0, 3, 1, 2))  # to channels first
        labels = torch.tensor(data.targets, dtype=torch.int64)
        parts.append(ImageSet(torch.from_numpy(pixels), labels))
    return parts


@contextmanager
def _download_lock(root: Path, title: str) -> Iterator[None]:
    """Holds the lock of downloads into `root`, and gives up on hosts that fall silent.

    Another process that wants to download there waits, says so, and then finds the files.
    """

    def waiting() -> None:
        print(f"{title}: another process is downloading into {root}; waiting", file=sys.stderr)

    with files.claimed(root / ".download.lock", waiting):
        for left in root.glob(f"{_PARTIAL_DOWNLOAD}*"):  # by one that was killed: we have the lock
            shutil.rmtree(left, ignore_errors=True)
        before = socket.getdefaulttimeout()
        socket.setdefaulttimeout(_SILENCE_SECONDS)  # torchvision has no setting for it
        try:
            yield
        finally:
            socket.setdefaulttimeout(before)


# The built-in data sets: ten classes of patterns, the same bytes on every machine.
#
# Each class is a smooth random pattern; an image is its class's pattern, shifted, in a random
# contrast, under noise.  The shifts are what makes it hard for a linear model (for how hard, see
# `tests/training/test_smoke_data.py`) and easy for convolutions.  Only integer arithmetic and
# NumPy's frozen `RandomState` are used, so that no rounding and no version of NumPy changes a byte.

_PATTERN_SEED = 20161
# In pixels, each way.  Colour gives a linear model three times the evidence, hence more shift.
_SHIFT = {1: 7, 3: 14}


def smoke_images(
    channels: int, size: int, count: int, num_classes: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """`count` images, uint8 of shape (count, channels, size, size), and their int64 labels.

    The classes take turns, so every class has the same number of images within one.  The patterns
    depend on `channels` and `size` alone, the rest on `seed`: two seeds give a training and
    a test set of the same classes.
    """
    patterns = _patterns(channels, size, num_classes)
    random = np.random.RandomState(seed)
    labels = np.arange(count, dtype=np.int64) % num_classes
    shift = _SHIFT[channels]
    shifts = random.randint(-shift, shift + 1, size=(count, 2), dtype=np.int64)
    # Hundredths.
    contrast = random.randint(45, 101, size=count, dtype=np.int64)
    noise = random.randint(-30, 31, size=(count, channels, size, size), dtype=np.int64)
    images = np.empty((count, channels, size, size), dtype=np.int64)
    for index in range(count):
        images[index] = np.roll(patterns[labels[index]], shifts[index], axis=(1, 2))
    images = 128 + images * contrast[:, None, None, None] // 100 + noise
    return images.clip(0, 255).astype(np.uint8), labels


def _patterns(channels: int, size: int, num_classes: int) -> np.ndarray:
    """One smooth integer pattern per class, roughly from -64 to 64."""
    random = np.random.RandomState(_PATTERN_SEED + channels)
    raw = random.randint(-100, 101, size=(num_classes, channels, size, size), dtype=np.int64)
    for _ in range(2):  # a 3 x 3 box twice: smooth over some four pixels
        shifted = [
            np.roll(raw, (down, right), axis=(2, 3)) for down in (-1, 0, 1) for right in (-1, 0, 1)
        ]
        raw = np.sum(shifted, axis=0)
    peak: np.ndarray = np.abs(raw).max(axis=(1, 2, 3), keepdims=True)
    scaled: np.ndarray = raw * 64 // peak
    return scaled


def _built_in(declared: Dataset) -> LoadedData:
    channels, size, _ = declared.image_shape
    parts = []
    digest = hashlib.sha256()
    for count, seed in ((declared.train_size, 1), (declared.test_size, 2)):
        images, labels = smoke_images(channels, size, count, declared.num_classes, seed)
        digest.update(images.tobytes())
        digest.update(labels.astype("<i8").tobytes())
        parts.append(ImageSet(torch.from_numpy(images), torch.from_numpy(labels)))
    fingerprint = digest.hexdigest()
    if fingerprint != declared.fingerprint:
        raise DataError(
            f"{declared.name}: generated bytes have fingerprint {fingerprint}, "
            f"declared is {declared.fingerprint}; this version of NumPy draws other numbers"
        )
    return LoadedData(declared, parts[0], parts[1], "built in")
