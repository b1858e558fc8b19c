"""The images as tutorials feed them: one at a time, through PIL, by worker processes."""

from __future__ import annotations

from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from ..data.images import ImageSet, LoadedData
from .cases import Case

WORKERS = 2


class PerImage(Dataset[tuple[Tensor, int]]):
    """Like torchvision's data sets: arrays in memory, a PIL image and a transform for each.

    Item `index` is (float32 image of shape (channels, height, width), label).
    """

    def __init__(self, images: ImageSet, transform: Any) -> None:
        self._arrays = images.images.permute(0, 2, 3, 1).contiguous().numpy()
        self._labels = images.labels.tolist()
        self._transform = transform

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        array = self._arrays[index]
        image = Image.fromarray(array[:, :, 0] if array.shape[2] == 1 else array)
        return self._transform(image), self._labels[index]


def dataset(case: Case, data: LoadedData) -> PerImage:
    """The training images with torchvision's transforms for the case's augmentation."""
    from torchvision import transforms

    size = data.declared.image_shape[1]
    augmentations: dict[str, list[Any]] = {
        "none": [],
        "crop-flip": [
            transforms.RandomHorizontalFlip(),
            transforms.RandomCrop(size, padding=4),
        ],
        "rotate-affine": [
            transforms.RandomRotation(10),
            transforms.RandomAffine(0, shear=10, scale=(0.8, 1.2)),
        ],
    }
    chain = [
        *augmentations[case.config.augmentation],
        transforms.ToTensor(),
        transforms.Normalize(data.declared.mean, data.declared.std),
    ]
    return PerImage(data.train, transforms.Compose(chain))


def loader(case: Case, data: LoadedData, device: torch.device) -> DataLoader[Any]:
    """Shuffled batches from two worker processes."""
    return DataLoader(
        dataset(case, data),
        batch_size=case.config.batch_size,
        shuffle=True,
        num_workers=WORKERS,
        pin_memory=device.type == "cuda",
    )
