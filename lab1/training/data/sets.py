"""Data sets as tensors: read whole, checked against the declared fingerprint, split by class."""

from __future__ import annotations

import hashlib
import tempfile
import zlib
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ...core import files
from ...core.datasets import DATASETS, Dataset
from ...errors import DataError, ParameterError
from .. import seeds
from . import downloading
from .cifar10 import load_cifar10
from .image_folder import load_folder, load_own
from .images import ImageSet, LoadedData
from .smoke import smoke_images


def load(name: str, data_dir: str | None = None) -> LoadedData:
    """Reads a data set from the data root, downloading it there where it is absent.

    Raises `DataError` where files are missing and cannot be downloaded,
    truncated, or not the declared ones; of a reader's own images, where an image is unreadable.
    """
    declared = DATASETS[name]
    if declared.own:
        return load_own(declared)
    if name.startswith("smoke"):
        return _built_in(declared)
    root = files.data_dir(data_dir)
    if name == "mnist":
        return _mnist(declared, root)
    if name == "cifar10":
        return load_cifar10(declared, root)
    return load_folder(declared, root / "cifar10")


@lru_cache(maxsize=2)
def load_once(name: str, data_dir: str | None = None) -> LoadedData:
    """Like `load`, but a grid of runs on the same data reads them once."""
    return load(name, data_dir)


def split(
    train: ImageSet,
    validation_size: int,
    seed: int,
    omitted_class: int | None = None,
    train_size: int | None = None,
) -> tuple[ImageSet, ImageSet | None]:
    """Parts the training images into (training, validation), stratified by class.

    Each class gives its share of `validation_size`, within one image, drawn by the `split`
    stream of `seed`.  `validation_size` 0 gives `(train, None)`: the protocol of He et al.
    (2016), which trains on everything.  `train_size` then keeps so many of the training images,
    drawn in the same way by the `subset` stream.  `omitted_class` does not change the draws; its
    images are taken out of both parts afterwards.  Raises `ParameterError` where a class
    would be left without a training image, or a part without any.
    """
    training, validation = _held_out(train, validation_size, seed)
    if train_size is not None and train_size < len(training):
        training = training.take(_stratified(training.labels, train_size, seed, "subset"))
    if omitted_class is not None:
        training = _without(training, omitted_class)
        validation = None if validation is None else _without(validation, omitted_class)
    return training, validation


def _without(images: ImageSet, omitted_class: int) -> ImageSet:
    kept = images.take(images.labels != omitted_class)
    if len(kept) == 0:
        raise ParameterError(
            f"omitted_class = {omitted_class} leaves nothing of {len(images)} images; allowed: a "
            "class beside which there are others in the training and the validation split"
        )
    return kept


def _held_out(train: ImageSet, validation_size: int, seed: int) -> tuple[ImageSet, ImageSet | None]:
    if validation_size == 0:
        return train, None
    is_held_out = _stratified(train.labels, validation_size, seed, "split")
    emptied = set(train.labels.unique().tolist()) - set(train.labels[~is_held_out].tolist())
    if emptied:
        raise ParameterError(
            f"validation_size = {validation_size} leaves class {min(emptied)} without an image "
            f"to train on, of its {int((train.labels == min(emptied)).sum())}; take a smaller one"
        )
    return train.take(~is_held_out), train.take(is_held_out)


def _stratified(labels: Tensor, size: int, seed: int, stream: str) -> Tensor:
    """A mask, bool of shape (count,), of `size` examples: of each class its share."""
    generator = seeds.generator(seed, stream)
    classes, counts = torch.unique(labels, return_counts=True)
    mask = torch.zeros(len(labels), dtype=torch.bool)
    for label, share in zip(classes, _shares(counts.tolist(), size), strict=True):
        members = torch.nonzero(labels == label).flatten()
        mask[members[torch.randperm(len(members), generator=generator)[:share]]] = True
    return mask


def _shares(counts: list[int], total: int) -> list[int]:
    """Shares of `total` in proportion to `counts`: rounded down, the rest to the largest."""
    everything = sum(counts)
    shares = [total * count // everything for count in counts]
    remainders = [total * count % everything for count in counts]
    by_remainder = sorted(range(len(counts)), key=lambda index: -remainders[index])
    for index in by_remainder[: total - sum(shares)]:
        shares[index] += 1
    return shares


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
    return LoadedData(declared, parts[0], parts[1], "built in", fingerprint)


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
    source = "MNIST/raw in the data root"
    return LoadedData(declared, parts[0], parts[1], source, declared.fingerprint)


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
    with downloading.alone(root, declared.title):
        if not (missing := _missing(declared, folder)):
            return  # another process has downloaded them meanwhile
        for mirror in torchvision_datasets.MNIST.mirrors:
            # torchvision asks the next mirror after some faults only, a host's silence not among
            # them; and it leaves what it has begun.
            one_mirror = type("MNIST", (torchvision_datasets.MNIST,), {"mirrors": [mirror]})
            with tempfile.TemporaryDirectory(dir=root, prefix=downloading.BEGUN) as apart:
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
