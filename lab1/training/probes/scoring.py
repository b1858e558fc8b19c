"""What several probes need: a model's answers, its images, and how they are normalised."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...core.dataset import Dataset
from ...core.spec import RunSpec
from .. import data
from ..data.augmentation import Normalize
from ..data.images import ImageSet, LoadedData

_BATCH = 500


@torch.no_grad()
def logits_of(model: nn.Module, declared: Dataset, images: Tensor) -> Tensor:
    """The logits of uint8 images, on the CPU, of shape (count, classes)."""
    normalize = normalizer_of(model, declared)
    device = device_of(model)
    return torch.cat([model(normalize(part.to(device))).cpu() for part in images.split(_BATCH)])


def normalizer_of(model: nn.Module, declared: Dataset) -> Normalize:
    """The normalisation of the data set, on the model's device."""
    return Normalize(declared.mean, declared.std, device_of(model))


def device_of(model: nn.Module) -> torch.device:
    """Where the model is."""
    return next(model.parameters()).device


def count_errors(model: nn.Module, loaded: LoadedData, images: ImageSet) -> int:
    """How many of the images the model takes for another class."""
    return int((logits_of(model, loaded.declared, images.images).argmax(1) != images.labels).sum())


def training_split(spec: RunSpec, loaded: LoadedData) -> ImageSet:
    """The images that the run was trained on."""
    config = spec.training
    train, _ = data.split(
        loaded.train,
        config.validation_size,
        spec.seed,
        config.omitted_class,
        config.train_size,
    )
    return train


def use_batch_statistics(model: nn.Module) -> None:
    """Batch normalisation with the statistics of the batch: at the start it knows no others."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.train()
