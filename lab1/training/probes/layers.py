"""Gradients and responses by layer, at the start and after training."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ...core.spec import RunSpec
from .. import models
from ..data.images import ImageSet, LoadedData
from .scoring import device_of, normalizer_of, training_split, use_batch_statistics

#: On how many training images `layers` measures.
_SAMPLE = 1000


def layers(model: nn.Module, spec: RunSpec, loaded: LoadedData) -> dict[str, Any]:
    """Gradient norm and response of every layer with weights, at the start and after training.

    `gradient_norm` is the L2 norm of the gradient of the mean cross-entropy over 1,000 training
    images with respect to the layer's weights.  `response` is the standard deviation of what the
    layer gives out, after batch normalisation where it is followed by one and before the
    nonlinearity and the sum (He et al. 2016, section 4.2, "Analysis of Layer Responses").  Both are
    taken in evaluation mode after training; at the start, where running statistics say nothing
    yet, with the statistics of the batch.
    """
    sample = training_split(spec, loaded).evenly_spaced(_SAMPLE)
    fresh = models.build(spec.model, loaded.declared, spec.seed).to(device_of(model)).eval()
    use_batch_statistics(fresh)
    return {
        "names": list(_weighted(model)),
        "initial": _by_layer(fresh, loaded, sample),
        "trained": _by_layer(model, loaded, sample),
    }


def _by_layer(model: nn.Module, loaded: LoadedData, sample: ImageSet) -> dict[str, list[float]]:
    weighted = _weighted(model)
    inputs = normalizer_of(model, loaded.declared)(sample.images.to(device_of(model)))
    with _observed([answering for _, answering in weighted.values()]) as responses:
        loss = nn.functional.cross_entropy(model(inputs), sample.labels.to(inputs.device))
    gradients = torch.autograd.grad(loss, [weight for weight, _ in weighted.values()])
    return {"gradient_norm": [float(each.norm()) for each in gradients], "response": responses}


def _weighted(model: nn.Module) -> dict[str, tuple[Tensor, nn.Module]]:
    """The layers with weights, in their order: the weights, and the module that answers for them.

    That is the batch normalisation after it where there is one, else the layer itself.
    """
    found: dict[str, tuple[Tensor, nn.Module]] = {}
    last = ""
    for name, module in model.named_modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            found[name] = (module.weight, module)
            last = name
        elif isinstance(module, nn.BatchNorm2d) and last:
            found[last] = (found[last][0], module)
    return found


@contextmanager
def _observed(modules: list[nn.Module]) -> Iterator[list[float]]:
    """Yields a list that holds, after a forward pass, the standard deviation of each output."""
    deviations = [0.0] * len(modules)

    def observe(index: int) -> Any:
        # At once, since the nonlinearity that follows may change the output in place.
        def hook(module: nn.Module, inputs: object, output: Tensor) -> None:
            deviations[index] = float(output.detach().std())

        return hook

    handles = [each.register_forward_hook(observe(i)) for i, each in enumerate(modules)]
    try:
        yield deviations
    finally:
        for handle in handles:
            handle.remove()
