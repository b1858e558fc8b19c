"""Images and labels as tensors: one split, a whole data set, and its parting into splits."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ...core.datasets import Dataset
from ...core.training_config import TrainingConfig
from ...errors import ParameterError, check_kind
from .. import seeds


def check_images(images: Tensor, shape: tuple[int, ...] | None = None) -> None:
    """Raises `ParameterError` for what are no images: uint8, of shape (count, *`shape`).

    Without a `shape`, of any number of channels, height and width.
    """
    _check_dense("images", images)
    fits = images.ndim == 4 if shape is None else tuple(images.shape[1:]) == shape and len(images)
    if images.dtype != torch.uint8 or not fits:
        sizes = ("channels", "height", "width") if shape is None else shape
        raise ParameterError(
            f"images of {images.dtype} and shape {tuple(images.shape)} are not allowed; allowed: "
            f"uint8 of shape (count, {', '.join(map(str, sizes))})"
        )


def _check_dense(name: str, values: Tensor) -> None:
    """Raises `ParameterError` for what is no tensor that holds all its values in one block."""
    check_kind(name, values, Tensor, "")
    if values.is_nested or values.layout != torch.strided or values.is_meta:
        kind = "nested" if values.is_nested else f"{values.layout} on {values.device}"
        raise ParameterError(f"{name}: a tensor, {kind}, is not allowed; allowed: a dense one")


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
        _check_dense("labels", self.labels)
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
        """The image set on another device."""
        return ImageSet(self.images.to(device), self.labels.to(device))


@dataclass(frozen=True)
class LoadedData:
    """A data set as read from `source`, whose files are those that were declared."""

    declared: Dataset
    train: ImageSet
    test: ImageSet
    source: str

    @property
    def mean(self) -> tuple[float, ...]:
        """The declared mean of each channel, of pixels divided by 255."""
        return self.declared.mean

    @property
    def std(self) -> tuple[float, ...]:
        """The declared standard deviation of each channel, likewise."""
        return self.declared.std


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
    training, validation = train, None
    if validation_size:
        held_out = _stratified(train.labels, validation_size, seed, "split")
        training, validation = train.take(~held_out), train.take(held_out)
        emptied = set(train.labels.tolist()) - set(training.labels.tolist())
        if emptied:
            raise ParameterError(
                f"validation_size = {validation_size} leaves class {min(emptied)} without an image "
                f"to train on, of its {int((train.labels == min(emptied)).sum())}; take a smaller "
                "one, or 0, which holds out none"
            )
    if train_size is not None and train_size < len(training):
        training = training.take(_stratified(training.labels, train_size, seed, "subset"))
    if omitted_class is not None:
        training = _without(training, omitted_class)
        validation = None if validation is None else _without(validation, omitted_class)
    return training, validation


def split_for(
    config: TrainingConfig, train: ImageSet, seed: int
) -> tuple[ImageSet, ImageSet | None]:
    """Parts the training images as the configuration of a run with that seed says (`split`)."""
    return split(train, config.validation_size, seed, config.omitted_class, config.train_size)


def _without(images: ImageSet, omitted_class: int) -> ImageSet:
    kept = images.take(images.labels != omitted_class)
    if len(kept) == 0:
        raise ParameterError(
            f"omitted_class = {omitted_class} leaves nothing of {len(images)} images; allowed: a "
            "class beside which there are others in the training and the validation split"
        )
    return kept


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
