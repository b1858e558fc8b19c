"""Random changes of training images, a whole batch at a time.

Every function takes and returns uint8 images of shape (count, channels, height, width) and draws
from the generator it is given (on the CPU, see :mod:`lab1.training.seeds`).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Augmentation = Callable[[Tensor, torch.Generator], Tensor]


def random_crop(images: Tensor, generator: torch.Generator, padding: int = 4) -> Tensor:
    """Pads with zeros by ``padding`` pixels and crops each image at a random place.

    He et al. (2016), section 4.2.
    """
    count, channels, height, width = images.shape
    padded = torch.nn.functional.pad(images, (padding,) * 4)
    offsets = torch.randint(2 * padding + 1, (2, count), generator=generator).to(images.device)
    rows = offsets[0, :, None] + torch.arange(height, device=images.device)
    columns = offsets[1, :, None] + torch.arange(width, device=images.device)
    index = (rows[:, :, None] * (width + 2 * padding) + columns[:, None, :]).flatten(1)
    flat = padded.flatten(2)
    return flat.gather(2, index[:, None, :].expand(-1, channels, -1)).view_as(images)


def random_flip(images: Tensor, generator: torch.Generator) -> Tensor:
    """Mirrors each image left to right with probability one half."""
    mirrored = torch.randint(2, (len(images),), generator=generator).bool().to(images.device)
    return torch.where(mirrored[:, None, None, None], images.flip(3), images)


def _crop_flip(images: Tensor, generator: torch.Generator) -> Tensor:
    return random_flip(random_crop(images, generator), generator)


#: By the name that :class:`~lab1.config.TrainingConfig` uses.  Digits are cropped but never
#: mirrored.
AUGMENTATIONS: dict[str, Augmentation | None] = {
    "none": None,
    "crop": random_crop,
    "crop-flip": _crop_flip,
}


class Normalize:
    """Turns uint8 images into float32 inputs: (pixel / 255 - mean) / std, channel by channel."""

    def __init__(
        self, mean: tuple[float, ...], std: tuple[float, ...], device: torch.device
    ) -> None:
        shape = (1, len(mean), 1, 1)
        deviation = torch.tensor(std).view(shape)
        self._scale = (1 / (255 * deviation)).to(device)
        self._shift = (-torch.tensor(mean).view(shape) / deviation).to(device)

    def __call__(self, images: Tensor) -> Tensor:
        return torch.addcmul(self._shift, images.float(), self._scale)
