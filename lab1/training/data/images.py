"""Images and labels as tensors: one split, and a whole data set."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ...core.datasets import Dataset
from ...errors import ParameterError


def check_images(images: Tensor, shape: tuple[int, ...] | None = None) -> None:
    """Raises `ParameterError` for what are no images: uint8, of shape (count, *`shape`).

    Without a `shape`, of any number of channels, height and width.
    """
    fits = images.ndim == 4 if shape is None else tuple(images.shape[1:]) == shape and len(images)
    if images.dtype != torch.uint8 or not fits:
        sizes = ("channels", "height", "width") if shape is None else shape
        raise ParameterError(
            f"images of {images.dtype} and shape {tuple(images.shape)} are not allowed; allowed: "
            f"uint8 of shape (count, {', '.join(map(str, sizes))})"
        )


@dataclass(frozen=True)
class ImageSet:
    """Images and labels of one split.

    `images` are uint8 of shape (count, channels, height, width); `labels` are int64 of shape
    (count,).  Raises `ParameterError` for others.

    Example::

        images = torch.randint(0, 256, (100, 1, 28, 28), dtype=torch.uint8)
        train = ImageSet(images, torch.arange(100) % 10)
        train.take(torch.tensor([3, 1])).labels
    """

    images: Tensor
    labels: Tensor

    def __post_init__(self) -> None:
        check_images(self.images)
        if self.labels.dtype != torch.int64 or self.labels.shape != self.images.shape[:1]:
            raise ParameterError(
                f"labels must be int64 of shape ({len(self.images)},), "
                f"got {self.labels.dtype} of shape {tuple(self.labels.shape)}"
            )

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: Tensor) -> ImageSet:
        """The examples at `indices`, in that order."""
        return ImageSet(self.images[indices], self.labels[indices])

    def evenly_spaced(self, count: int) -> ImageSet:
        """At most `count` examples, so that every class of a sorted set has its share."""
        count = min(count, len(self))
        return self.take(torch.arange(count) * len(self) // count)

    def channel_statistics(self) -> tuple[list[float], list[float]]:
        """Mean and standard deviation of each channel, of pixels divided by 255."""
        pixels = self.images.float().div(255).transpose(0, 1).flatten(1)
        return pixels.mean(1).tolist(), pixels.std(1).clamp(min=1e-3).tolist()

    def to(self, device: torch.device) -> ImageSet:
        """The same on another device."""
        return ImageSet(self.images.to(device), self.labels.to(device))


@dataclass(frozen=True)
class LoadedData:
    """A data set as read from `source`, and the `fingerprint` that its files have."""

    declared: Dataset
    train: ImageSet
    test: ImageSet
    source: str
    fingerprint: str

    @property
    def mean(self) -> tuple[float, ...]:
        """The declared mean of each channel, of pixels divided by 255."""
        return self.declared.mean

    @property
    def std(self) -> tuple[float, ...]:
        """The declared standard deviation of each channel, likewise."""
        return self.declared.std
