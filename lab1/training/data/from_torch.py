"""Data sets as torch has them, turned into the images and labels that the trainer takes."""

from collections.abc import Iterable
from contextlib import suppress
from numbers import Integral
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import (
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    default_collate,
    default_convert,
)

from ...errors import ParameterError, short_repr
from .images import ImageSet

#: What a trainer takes as data.
Data = ImageSet | Dataset[Any] | DataLoader[Any]

#: How many examples are read twice, to find a data set that draws at random.
_READ_TWICE = 16


def as_image_set(dataset: Data, name: str = "dataset") -> ImageSet:
    """The images and labels of a data set as torch has them; an `ImageSet` is given back as it is.

    `dataset` is a map-style `torch.utils.data.Dataset` of (image, label), such as `TensorDataset`
    or torchvision's, or a `DataLoader`, whose data set is taken.  Every example is read once.  An
    image is a grey or RGB picture of Pillow's, or a tensor of shape (channels, height, width) or
    (height, width), all of one size: bytes, or floats k / 255, as `ToTensor` gives, which become
    the bytes k.  A label is a whole number.  Raises `ParameterError`, which begins with `name`,
    for anything else, and for a data set that gives other images when it is read again.
    """
    while isinstance(dataset, DataLoader):
        dataset = _without_loader(dataset, name)
    if isinstance(dataset, IterableDataset) or not (
        isinstance(dataset, ImageSet)
        or (hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__"))
    ):
        raise ParameterError(
            f"{name} of {type(dataset).__name__} is not allowed; allowed: an ImageSet, a map-style "
            "torch Dataset of (image, label), or a DataLoader of one"
        )
    try:
        count = len(dataset)  # type: ignore[arg-type]
    except Exception as error:  # of any kind, as below
        raise ParameterError(f"{name}: len() of it: {type(error).__name__}: {error}") from error
    if count == 0:
        raise ParameterError(f"{name} is empty; it needs an image")
    if isinstance(dataset, ImageSet):
        return dataset
    indices: Iterable[int] = range(count)
    with suppress(ImportError):
        from tqdm import tqdm

        indices = tqdm(indices, desc=name, unit="image", leave=False, disable=None)
    labels = torch.empty(count, dtype=torch.int64)
    for index in indices:
        try:
            image, labels[index] = _example(dataset[index])
            if index == 0:
                images = torch.empty((count, *image.shape), dtype=torch.uint8)
            if image.shape != images.shape[1:]:
                first = tuple(images.shape[1:])
                raise ValueError(f"its shape is {tuple(image.shape)}; allowed: {first}, as before")
            images[index] = image
            if index < _READ_TWICE and not torch.equal(_example(dataset[index])[0].cpu(), image):
                raise ValueError(
                    "it is another image when it is read again; allowed: a data set without random "
                    "transforms, and TrainingConfig(augmentation=...), which draws anew each epoch"
                )
        except Exception as error:  # of any kind, where the data set's own code fails
            kind = "" if isinstance(error, (ValueError, RuntimeError)) else type(error).__name__
            why = ": ".join(filter(None, [kind, str(error)]))
            raise ParameterError(f"{name}, example {index}: {why}") from error
    return ImageSet(images, labels)


def class_names(dataset: Any) -> tuple[str, ...]:
    """The names of the classes that a data set, or the one beneath it, has as `classes`."""
    while not hasattr(dataset, "classes") and hasattr(dataset, "dataset"):  # a loader, a `Subset`
        dataset = dataset.dataset
    return tuple(map(str, getattr(dataset, "classes", ())))


def _without_loader(loader: DataLoader[Any], name: str) -> Data:
    """The data set of a loader; raises `ParameterError` for one that does more than to shuffle."""
    batches, dataset = loader.batch_sampler, loader.dataset
    sampler = loader.sampler if batches is None else getattr(batches, "sampler", None)
    takes_all = type(sampler) in (SequentialSampler, RandomSampler) and not (
        getattr(sampler, "replacement", False) or len(sampler) != len(dataset)  # type: ignore
    )
    if isinstance(dataset, IterableDataset) or (
        takes_all and loader.collate_fn in (default_collate, default_convert)
    ):
        return dataset
    raise ParameterError(
        f"{name}: a DataLoader with a sampler or collate_fn of its own is not allowed, since the "
        "trainer makes the batches; allowed: a data set of what it would give, such as a Subset"
    )


def _example(example: Any) -> tuple[Tensor, int]:
    """The pixels, uint8 of shape (channels, height, width), and the label of an example."""
    if not isinstance(example, (tuple, list)) or len(example) != 2:
        raise ValueError(f"it is of {type(example).__name__}; allowed: a pair of image and label")
    image, label = example
    if isinstance(label, Tensor) and label.ndim == 0:
        label = label.item()
    if isinstance(label, bool) or not isinstance(label, Integral):
        raise ValueError(f"its label is {short_repr(label)}; allowed: a whole number")
    return _pixels(image), int(label)


def _pixels(image: Any) -> Tensor:
    if hasattr(image, "convert"):  # a picture of Pillow's
        if image.mode not in ("L", "RGB"):
            raise ValueError(f"it is a picture of mode {image.mode}; allowed: L, RGB")
        image = torch.from_numpy(np.array(image))
        image = image.permute(2, 0, 1) if image.ndim == 3 else image
    if not isinstance(image, Tensor):
        kind = type(image).__name__
        raise ValueError(f"its image is of {kind}; allowed: a tensor, or a picture of Pillow's")
    pixels: Tensor = image[None] if image.ndim == 2 else image
    if (
        pixels.ndim != 3
        or pixels.numel() == 0
        or not (pixels.dtype == torch.uint8 or pixels.is_floating_point())
    ):
        raise ValueError(
            f"its image is of {pixels.dtype} and shape {tuple(pixels.shape)}; allowed: uint8, or "
            "floats from 0 to 1, of shape (channels, height, width)"
        )
    if pixels.dtype == torch.uint8:
        return pixels
    low, high = float(pixels.min()), float(pixels.max())
    if not (low >= 0 and high <= 1):
        raise ValueError(
            f"its values are from {low:.3g} to {high:.3g}; allowed: from 0 to 1. The trainer "
            "normalises (mean, std): leave that out of the data set"
        )
    scaled = pixels * 255
    rounded = scaled.round()
    if float((scaled - rounded).abs().max()) > 1e-3:  # more than float32 rounds
        raise ValueError(
            "its values are not k / 255, and bytes are kept; allowed: what "
            "(image * 255).round().to(torch.uint8) makes of it"
        )
    return rounded.to(torch.uint8)
