"""Probes of rounding: of the first gradient, of running statistics, of weights in eight bits."""

from __future__ import annotations

import base64
from typing import Any

import torch
from torch import Tensor, nn

from ...core.spec import RunSpec
from ...errors import ParameterError
from .. import seeds
from ..data.augmentation import AUGMENTATIONS
from ..data.images import LoadedData
from ..distillation import distillation_loss, permute_wrong_classes
from ..models.mlp import MLP
from .scoring import (
    count_errors,
    device_of,
    laid_out,
    normalizer_of,
    training_split,
    use_batch_statistics,
)

#: How many training images are scored where a run scores none itself.
_SAMPLE = 1000
#: On how many batches `recomputed-statistics` takes the statistics.
_RECOMPUTING_BATCHES = 10


def gradient_agreement(
    model: nn.Module, spec: RunSpec, loaded: LoadedData, teacher: nn.Module | None = None
) -> dict[str, Any]:
    """How far rounding changes the gradient of the first step, before any training.

    `bf16` is the cosine between the gradient of the loss that is trained (with a `teacher`, that of
    `distillation_loss`) in bfloat16, as a training in that precision takes it, and the one in
    float32, over all weights together; `jittered` that between the float32 gradients of the images
    and of the same images, normalised, with normal noise of standard deviation 1e-6.  Both are of
    one batch of `images` training images, evenly spaced and not augmented, with the statistics of
    the batch and without dropout; the teacher sees the same images in the same precision.  A cosine
    near 1 says that the gradient survives the rounding, near 0 that it is noise; `None` that a
    gradient was no finite number.
    """
    sample = training_split(spec, loaded).evenly_spaced(spec.training.batch_size)
    use_batch_statistics(model)
    device = device_of(model)
    normalize = laid_out(model, loaded.declared, spec.training.precision)
    inputs, labels = normalize(sample.images.to(device)), sample.labels.to(device)
    noise = torch.randn(inputs.shape, generator=torch.Generator().manual_seed(0)).to(device)
    parameters = [each for each in model.parameters() if each.requires_grad]

    def gradient(images: Tensor, precision: str) -> Tensor:
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16"):
            logits = model(images)
            with torch.no_grad():
                taught = None if teacher is None else teacher(images).float()
        loss = _trained_loss(spec, logits.float(), labels, taught)
        return torch.cat([each.flatten() for each in torch.autograd.grad(loss, parameters)])

    exact = gradient(inputs, "float32")
    return {
        "images": len(sample),
        "bf16": _cosine(exact, gradient(inputs, "bf16")),
        "jittered": _cosine(exact, gradient(inputs + 1e-6 * noise, "float32")),
    }


def _trained_loss(spec: RunSpec, logits: Tensor, labels: Tensor, taught: Tensor | None) -> Tensor:
    """The loss of a batch at the run's first step; `taught` is what its teacher says to it."""
    smoothing, settings = spec.training.label_smoothing, spec.distillation
    if settings is None or taught is None:
        return nn.functional.cross_entropy(logits, labels, label_smoothing=smoothing)
    if settings.wrong_classes == "permuted":
        shape, drawn = (len(taught), taught.shape[1] - 1), seeds.generator(spec.seed, "permutation")
        ranks = torch.rand(shape, generator=drawn).to(taught.device)
        taught = permute_wrong_classes(taught, labels, ranks)
    temperature, alpha = settings.temperature, settings.alpha
    return distillation_loss(logits, taught, labels, temperature, alpha, smoothing)[0]


def _cosine(first: Tensor, second: Tensor) -> float:
    first, second = first.double(), second.double()
    return float(first @ second / (first.norm() * second.norm()))


def recomputed_statistics(model: nn.Module, spec: RunSpec, loaded: LoadedData) -> dict[str, Any]:
    """The training error with the running statistics of batch normalisation, and with fresh ones.

    `error` and `recomputed_error` are fractions of the run's `train_evaluation_size` images
    (`count`), scored in evaluation mode.  The fresh statistics are means over ten batches of
    training images, augmented as the run's were, that go through the trained network.
    """
    train = training_split(spec, loaded)
    sample = train.evenly_spaced(spec.training.train_evaluation_size or _SAMPLE)
    error = count_errors(model, loaded, sample) / len(sample)
    normalisations = [each for each in model.modules() if isinstance(each, nn.BatchNorm2d)]
    for each in normalisations:
        each.reset_running_stats()
        each.momentum = None  # the mean over all batches
        each.train()
    generator = seeds.generator(spec.seed, "order")
    order = torch.randperm(len(train), generator=generator)
    augment = AUGMENTATIONS[spec.training.augmentation]
    normalize = normalizer_of(model, loaded.declared)
    with torch.no_grad():
        for indices in order.split(spec.training.batch_size)[:_RECOMPUTING_BATCHES]:
            images = train.images[indices]
            if augment is not None:
                images = augment(images, generator)
            model(normalize(images.to(device_of(model))))
    model.eval()
    recomputed = count_errors(model, loaded, sample) / len(sample)
    return {"count": len(sample), "error": error, "recomputed_error": recomputed}


def int8_weights(model: nn.Module, spec: RunSpec, loaded: LoadedData) -> dict[str, Any]:
    """The weights of a perceptron as 8-bit integers, small enough for a page to load.

    Each of `layers` has the `shape` (outputs, inputs) of its weights, these as `int8` in
    base64, row by row, one factor of `scales` a row, and the `bias` as numbers.  A weight is
    its integer, from -127 to 127, times the factor of its row.  `errors` are on all test images,
    of the trained network (`float32`) and of the rounded one (`int8`).  Raises
    `ParameterError` for a network that is no plain perceptron.
    """
    if type(model) is not MLP or spec.model.normalization != "none":
        raise ParameterError(
            f"probe 'int8-weights' is not allowed for {spec.title}; allowed: for an MLP without "
            "normalisation"
        )
    errors = {"float32": count_errors(model, loaded, loaded.test)}
    linear = [module for module in model.modules() if isinstance(module, nn.Linear)]
    layers = []
    for layer in linear:
        with torch.no_grad():
            scales = layer.weight.abs().amax(1).clamp(min=1e-12) / 127
            rounded = (layer.weight / scales[:, None]).round().to(torch.int8)
            layer.weight.copy_(rounded * scales[:, None])
        layers.append(
            {
                "shape": list(rounded.shape),
                "int8": base64.b64encode(rounded.cpu().numpy().tobytes()).decode(),
                "scales": scales.tolist(),
                "bias": layer.bias.tolist(),
            }
        )
    return {
        "layers": layers,
        "errors": {**errors, "int8": count_errors(model, loaded, loaded.test)},
    }
