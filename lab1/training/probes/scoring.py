"""What several probes need: a model's answers, its images, and how they are normalised."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...core.datasets import Dataset
from ...core.spec import RunSpec
from .. import data
from .. import device as devices
from ..data.augmentation import Normalize
from ..data.images import ImageSet, LoadedData

#: How many images a model is asked about at a time.
BATCH = 500


@torch.no_grad()
def logits_of(model: nn.Module, declared: Dataset, images: Tensor) -> Tensor:
    """The logits of uint8 images, on the CPU, of shape (count, classes).

    They are computed in float32, also where the run was trained in bf16, whose record is rounded.
    """
    normalize = laid_out(model, declared, "float32")
    device = device_of(model)
    return torch.cat([model(normalize(part.to(device))).cpu() for part in images.split(BATCH)])


def laid_out(model: nn.Module, declared: Dataset, precision: str) -> Normalize:
    """Puts the model's weights into the memory format of a training in that precision.

    Returns the normalisation of the data set that gives inputs in this format.
    """
    device = device_of(model)
    laid = devices.memory_format(model, device, precision)
    model.to(memory_format=laid)
    return Normalize(declared.mean, declared.std, device, laid)


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
