"""Answers of a network, their scores, and how well its confidence is calibrated."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ..core.datasets import Dataset
from ..errors import ParameterError, not_allowed
from . import device as devices
from .data.augmentation import Normalize
from .data.images import ImageSet

#: A custom metric: (logits, labels) of the whole validation split to a number.
Metric = Callable[[Tensor, Tensor], float]

#: What `score` gives beside custom metrics.
SCORES = ("loss", "accuracy", "errors", "count", "calibration_error")

#: Bins of equal width between 0 and 1, as in Guo et al. (2017).
BINS = 15


def ask(network: Callable[[Tensor], Any], inputs: Tensor, precision: str) -> Tensor:
    """The logits of a network for a batch, float32, computed in that precision.

    Raises `ParameterError` where it does not take the batch, or what it gives is no logits.
    """
    plain = getattr(network, "module", getattr(network, "_orig_mod", network))
    name, count = type(plain).__name__, len(inputs)
    try:
        with torch.autocast(inputs.device.type, torch.bfloat16, precision == "bf16"):
            outputs = network(inputs)
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        raise ParameterError(
            f"{name} does not take {count} images of {inputs.dtype} and shape "
            f"{tuple(inputs.shape[1:])}: {error}"
        ) from error
    if not isinstance(outputs, Tensor) or outputs.ndim != 2 or len(outputs) != count:
        is_tensor = isinstance(outputs, Tensor)
        kind = tuple(outputs.shape) if is_tensor else type(outputs).__name__
        raise ParameterError(
            f"{name} gives {kind} for {count} images; allowed: logits of shape ({count}, classes)"
        )
    return outputs.float()


def score(logits: Tensor, labels: Tensor, metrics: Mapping[str, Metric]) -> dict[str, float]:
    """`SCORES` of logits of shape (count, classes), and those of custom metrics by name."""
    custom = {}
    for name, metric in metrics.items():
        try:
            value = metric(logits.clone(), labels.clone())  # it may work in place
        except (Exception, SystemExit) as error:
            why = f"{type(error).__name__}: {error}"
            raise ParameterError(f"evaluate: metric {name!r} failed: {why}") from error
        try:
            custom[name] = float(value)
        except (TypeError, ValueError, RuntimeError, OverflowError) as error:
            raise not_allowed(f"metric {name}", value, "a number", "evaluate") from error
    correct, count = int((logits.argmax(1) == labels).sum()), len(labels)
    return {
        "loss": float(nn.functional.cross_entropy(logits, labels)),
        "accuracy": correct / count,
        "errors": count - correct,
        "count": count,
        "calibration_error": expected_calibration_error(logits, labels),
        **custom,
    }


def expected_calibration_error(logits: Tensor, labels: Tensor, bins: int = BINS) -> float:
    """The expected calibration error, a fraction (Guo et al. 2017, "On Calibration of Modern Neural
    Networks", section 2, equation 3).

    An image's confidence is the largest of its softmax probabilities.  The images are put into
    `bins` intervals of confidence of equal width, ((m - 1) / bins, m / bins]; the error is the
    mean over the images of the distance, in their bin, between accuracy and mean confidence.
    `logits` are of shape (count, classes), `labels` int64 of shape (count,).  NaN where a logit
    is no finite number.
    """
    confidence, predicted = logits.double().softmax(1).max(1)
    if not bool(confidence.isfinite().all()):
        return float("nan")
    index = (confidence * bins).ceil().long().clamp(1, bins) - 1
    surplus = confidence - (predicted == labels).double()
    sums = torch.zeros(bins, dtype=torch.float64, device=logits.device).index_add_(
        0, index, surplus
    )
    return float(sums.abs().sum()) / len(labels)


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """The number that divides the logits for the smallest mean cross-entropy (Guo et al. 2017,
    section 4.2, "Temperature scaling").

    It lies from 0.01 to 100, at the end where the loss still falls, as towards 0.01 where every
    answer is right.  `logits` are of shape (count, classes), `labels` int64 of shape (count,).
    """
    logits = logits.double()
    of_labels = logits.gather(1, labels[:, None]).mean()
    # The loss is convex in the inverse of the temperature, and its slope there is the mean logit
    # that the network expects, less that of the labels.
    low, high = -2.0, 2.0  # powers of ten
    for _ in range(60):
        middle = (low + high) / 2
        expected = ((logits / 10**middle).softmax(1) * logits).sum(1).mean()
        low, high = (low, middle) if expected <= of_labels else (middle, high)
    return float(10**low)


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


def count_errors(model: nn.Module, declared: Dataset, images: ImageSet) -> int:
    """The number of images that the model takes for another class."""
    return int((logits_of(model, declared, images.images).argmax(1) != images.labels).sum())


def normalizer_of(model: nn.Module, declared: Dataset) -> Normalize:
    """The normalisation of the data set, on the model's device."""
    return Normalize(declared.mean, declared.std, device_of(model))


def device_of(model: nn.Module) -> torch.device:
    """The device of a model's weights."""
    return next(model.parameters()).device
