"""Random changes of training images, a whole batch at a time.

Every function takes and returns uint8 images of shape (count, channels, height, width) and draws
from the generator it is given (on the CPU, see `lab1.training.seeds`).
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ...errors import ParameterError, short_repr

Augmentation = Callable[[Tensor, torch.Generator], Tensor]


def random_crop(images: Tensor, generator: torch.Generator, padding: int = 4) -> Tensor:
    """Pads with zeros by `padding` pixels and crops each image at a random place.

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


def random_shift(images: Tensor, generator: torch.Generator) -> Tensor:
    """Moves each image by up to two pixels up or down and left or right; zeros come in.

    Hinton et al. (2015), section 3: images "jittered by up to two pixels in any direction".
    """
    return random_crop(images, generator, padding=2)


def random_flip(images: Tensor, generator: torch.Generator) -> Tensor:
    """Mirrors each image left to right with probability one half."""
    mirrored = torch.randint(2, (len(images),), generator=generator).bool().to(images.device)
    return torch.where(mirrored[:, None, None, None], images.flip(3), images)


def random_rotation_affine(
    images: Tensor,
    generator: torch.Generator,
    degrees: float = 10.0,
    shear: float = 10.0,
    scale: tuple[float, float] = (0.8, 1.2),
) -> Tensor:
    """Rotates each image about its centre, then shears it along its rows and scales it.

    What torchvision's `RandomRotation(degrees)` and `RandomAffine(0, shear=shear,
    scale=scale)` do one after the other, and with their distributions (angles in degrees, uniform
    from minus to plus), but as one map and so with one sampling, of the nearest pixel.  What comes
    from outside the image is zero.
    """
    count, channels, height, width = images.shape
    drawn = torch.rand(3, count, generator=generator)
    angle = (2 * drawn[0] - 1) * math.radians(degrees)
    slope = torch.tan((2 * drawn[1] - 1) * math.radians(shear))
    zoom = scale[0] + drawn[2] * (scale[1] - scale[0])
    cosine, sine = torch.cos(angle) / zoom, torch.sin(angle) / zoom
    # From each place in the result, seen from the centre, to its place in the image.
    back = torch.stack([cosine, cosine * slope - sine, sine, sine * slope + cosine], 1)
    back = back.view(count, 2, 2).to(images.device)
    rows = torch.arange(height, device=images.device) - (height - 1) / 2
    columns = torch.arange(width, device=images.device) - (width - 1) / 2
    places = torch.stack([columns.repeat(height), rows.repeat_interleave(width)])
    sources = back @ places
    # One pixel of zeros around the image stands for all that lies outside; + 1/2 rounds.
    column = (sources[:, 0] + (width - 1) / 2 + 1.5).clamp(0, width + 1).long()
    row = (sources[:, 1] + (height - 1) / 2 + 1.5).clamp(0, height + 1).long()
    index = row * (width + 2) + column
    flat = torch.nn.functional.pad(images, (1,) * 4).flatten(2)
    return flat.gather(2, index[:, None, :].expand(-1, channels, -1)).view_as(images)


def _crop_flip(images: Tensor, generator: torch.Generator) -> Tensor:
    return random_flip(random_crop(images, generator), generator)


#: By the name that `TrainingConfig` uses.  Digits are cropped but never
#: mirrored.
AUGMENTATIONS: dict[str, Augmentation | None] = {
    "none": None,
    "crop": random_crop,
    "crop-flip": _crop_flip,
    "rotate-affine": random_rotation_affine,
    "shift": random_shift,
}


class Normalize:
    """Turns uint8 images into float32 inputs: (pixel / 255 - mean) / std, channel by channel.

    `memory_format` is how the inputs lie in memory; their shape is the same.
    """

    def __init__(
        self,
        mean: tuple[float, ...],
        std: tuple[float, ...],
        device: torch.device,
        memory_format: torch.memory_format = torch.contiguous_format,
    ) -> None:
        self.mean, self.std = mean, std
        self._memory_format = memory_format
        shape = (1, len(mean), 1, 1)
        deviation = torch.tensor(std).view(shape)
        self._scale = (1 / (255 * deviation)).to(device)
        self._shift = (-torch.tensor(mean).view(shape) / deviation).to(device)

    def __call__(self, images: Tensor) -> Tensor:
        images = images.contiguous(memory_format=self._memory_format)
        return torch.addcmul(self._shift, images.float(), self._scale)


def checked_statistics(
    mean: Any, std: Any, channels: int, where: str
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation of each channel; raises `ParameterError` for what cannot be theirs."""
    try:
        means, deviations = tuple(map(float, mean)), tuple(map(float, std))
        fits = len(means) == len(deviations) == channels
        fits &= all(0 <= value <= 1 for value in means) and all(0 < s <= 1 for s in deviations)
    except (TypeError, ValueError):
        fits = False
    if not fits:
        raise ParameterError(
            f"{where}: mean = {short_repr(mean)} with std = {short_repr(std)} is not allowed; "
            f"allowed: both or none; of each of {channels} channels, of pixels divided by 255, a "
            "mean from 0 to 1, and a deviation above 0 and up to 1"
        )
    return means, deviations
