"""What is measured on a trained model afterwards, each kind a small record of its own.

A probe needs the weights of the run, published or one's own, never a new training; those of
`OF_THE_START` need not even these.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from ...core.errors import ParameterError
from ...core.runtime import RuntimeOptions
from ...core.spec import RunSpec
from ...core.store import Store
from .. import data, models, seeds
from .. import device as devices
from .. import trained_models as teachers
from ..data.augmentation import AUGMENTATIONS, Normalize
from ..data.images import ImageSet, LoadedData
from ..models.mlp import MLP
from . import bias_correction as bias

#: How many images `hardest` keeps.
_HARDEST = 24
#: How many images `softened` keeps, and at which temperatures.
_SOFTENED = 8
_TEMPERATURES = (1, 4, 16)
#: On how many training images `layers` measures.
_SAMPLE = 1000
#: On how many batches `recomputed-statistics` takes the statistics.
_RECOMPUTING_BATCHES = 10
_BATCH = 500

#: (trained model, spec, data) to plain JSON.
Probe = Callable[[nn.Module, RunSpec, LoadedData], Mapping[str, Any]]


def measure(spec: RunSpec, probe: str, options: RuntimeOptions, store: Store) -> None:
    """Measures `probe` on the weights of a run and writes it into the run's folder in `runs/`.

    Raises `MissingRunsError` where the weights are not here, and
    `ParameterError` for a probe that does not exist.
    """
    if probe not in PROBES:
        raise ParameterError(f"probe {probe!r} is not allowed; allowed: {', '.join(PROBES)}")
    loaded = data.load_once(spec.dataset, options.data_dir)
    device = devices.resolve(options.device)
    devices.exact_float32(device)
    if probe in OF_THE_START:
        model = models.build(spec.model, loaded.declared, spec.seed)
    else:
        purpose = f"the probe {probe!r} is measured on them"
        model = teachers.load(spec, loaded.declared, store, purpose).model
    model = model.to(device).eval()
    store.write_probe(spec, probe, PROBES[probe](model, spec, loaded))


def confusion(model: nn.Module, spec: RunSpec, loaded: LoadedData) -> dict[str, Any]:
    """`counts[i][j]`: how many test images of class i the model takes for class j."""
    classes = loaded.declared.num_classes
    predicted = _logits(model, loaded, loaded.test.images).argmax(1)
    pairs = loaded.test.labels * classes + predicted
    counts = torch.bincount(pairs, minlength=classes**2).view(classes, classes)
    return {"counts": counts.tolist()}


def hardest(model: nn.Module, spec: RunSpec, loaded: LoadedData) -> dict[str, Any]:
    """The test images with the highest loss, worst first.

    Each has its `index` in the test set, `label`, `predicted`, the probability `p_label`
    and `p_predicted` that the model gives to these, and the image itself as a `png` (base64).
    """
    probabilities = _logits(model, loaded, loaded.test.images).softmax(1)
    of_label = probabilities.gather(1, loaded.test.labels[:, None]).flatten()
    worst = of_label.argsort(stable=True)[:_HARDEST]
    best, predicted = probabilities.max(1)
    return {
        "images": [
            {
                "index": index,
                "label": int(loaded.test.labels[index]),
                "predicted": int(predicted[index]),
                "p_label": float(of_label[index]),
                "p_predicted": float(best[index]),
                "png": _png(loaded.test.images[index]),
            }
            for index in worst.tolist()
        ]
    }


def softened(model: nn.Module, spec: RunSpec, loaded: LoadedData) -> dict[str, Any]:
    """What a model says about eight test images at several temperatures.

    Of each of the first eight classes that the model ever answers rightly, it is the image it gets
    right whose second largest probability is largest (the first of equals): the dark knowledge of
    Hinton et al. (2015), section 1.  Each has its `index` in the test set, `label`, `png`,
    and, for each of `temperatures`, the `probabilities` of all classes.
    """
    logits = _logits(model, loaded, loaded.test.images)
    (_, second), (answers, _) = (each.T for each in logits.softmax(1).topk(2))
    right = answers == loaded.test.labels
    chosen = []
    for label in range(loaded.declared.num_classes):
        members = torch.nonzero(right & (answers == label)).flatten()
        if len(members):
            chosen.append(int(members[second[members].argmax()]))
    return {
        "temperatures": list(_TEMPERATURES),
        "images": [
            {
                "index": index,
                "label": int(loaded.test.labels[index]),
                "png": _png(loaded.test.images[index]),
                "probabilities": [(logits[index] / t).softmax(0).tolist() for t in _TEMPERATURES],
            }
            for index in chosen[:_SOFTENED]
        ],
    }


def bias_correction(model: nn.Module, spec: RunSpec, loaded: LoadedData) -> dict[str, Any]:
    """How much of a class that was never seen comes back once its bias is raised.

    `offset` is what, added to the logit of `omitted_class`, gives the fewest errors on the
    validation split with the images of that class.  `errors` are on all test images and
    `errors_of_class` on the `count_of_class` images of that class, `before` and `after`.

    Hinton et al. (2015), section 3: 206 errors, 133 of them on the 1010 threes; after the bias was
    raised, 109 and 14.  There the offset was chosen on the test set, here on the validation split.
    Raises `ParameterError` for a run without omitted class or validation split.
    """
    omitted = spec.training.omitted_class
    _, validation = data.split(loaded.train, spec.training.validation_size, spec.seed)
    if omitted is None or validation is None:
        raise ParameterError(
            f"probe 'bias-correction' is not allowed for {spec.title}; allowed: for a run with an "
            "omitted_class and a validation split"
        )
    logits = _logits(model, loaded, validation.images)
    offset = bias.best_offset(logits, validation.labels, omitted)
    logits = _logits(model, loaded, loaded.test.images)
    of_class = loaded.test.labels == omitted
    found: dict[str, Any] = {
        "omitted_class": omitted,
        "offset": offset,
        "count_of_class": int(of_class.sum()),
        "errors": {},
        "errors_of_class": {},
    }
    for moment, added in (("before", 0.0), ("after", offset)):
        answers = bias.corrected(logits, omitted, added).argmax(1)
        wrong = answers != loaded.test.labels
        found["errors"][moment] = int(wrong.sum())
        found["errors_of_class"][moment] = int((wrong & of_class).sum())
    return found


def layers(model: nn.Module, spec: RunSpec, loaded: LoadedData) -> dict[str, Any]:
    """Gradient norm and response of every layer with weights, at the start and after training.

    `gradient_norm` is the L2 norm of the gradient of the mean cross-entropy over 1,000 training
    images with respect to the layer's weights.  `response` is the standard deviation of what the
    layer gives out, after batch normalisation where it is followed by one and before the
    nonlinearity and the sum (He et al. 2016, section 4.2, "Analysis of Layer Responses").  Both are
    taken in evaluation mode after training; at the start, where running statistics say nothing
    yet, with the statistics of the batch.
    """
    sample = _training_split(spec, loaded).evenly_spaced(_SAMPLE)
    fresh = models.build(spec.model, loaded.declared, spec.seed).to(_device(model)).eval()
    _use_batch_statistics(fresh)
    return {
        "names": list(_weighted(model)),
        "initial": _by_layer(fresh, loaded, sample),
        "trained": _by_layer(model, loaded, sample),
    }


def gradient_agreement(model: nn.Module, spec: RunSpec, loaded: LoadedData) -> dict[str, Any]:
    """How far rounding changes the gradient of the first step, before any training.

    `bf16` is the cosine between the gradient of the mean cross-entropy in bfloat16, as a training
    in that precision takes it, and the one in float32, over all weights together; `jittered` that
    between the float32 gradients of the images and of the same images, normalised, with normal
    noise of standard deviation 1e-6.  Both are of one batch of `images` training images, evenly
    spaced and not augmented, with the statistics of the batch and without dropout.  A cosine near 1
    says that the gradient survives the rounding, near 0 that it is noise; `None` that a gradient
    was no finite number.
    """
    sample = _training_split(spec, loaded).evenly_spaced(spec.training.batch_size)
    _use_batch_statistics(model)
    device = _device(model)
    laid = devices.memory_format(model, device)
    model = model.to(memory_format=laid)
    inputs = Normalize(loaded.declared.mean, loaded.declared.std, device, laid)(
        sample.images.to(device)
    )
    noise = torch.randn(inputs.shape, generator=torch.Generator().manual_seed(0)).to(device)
    parameters = [each for each in model.parameters() if each.requires_grad]

    def gradient(images: Tensor, precision: str) -> Tensor:
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16"):
            logits = model(images)
        loss = nn.functional.cross_entropy(logits.float(), sample.labels.to(device))
        return torch.cat([each.flatten() for each in torch.autograd.grad(loss, parameters)])

    exact = gradient(inputs, "float32")
    return {
        "images": len(sample),
        "bf16": _cosine(exact, gradient(inputs, "bf16")),
        "jittered": _cosine(exact, gradient(inputs + 1e-6 * noise, "float32")),
    }


def _cosine(first: Tensor, second: Tensor) -> float:
    first, second = first.double(), second.double()
    return float(first @ second / (first.norm() * second.norm()))


def recomputed_statistics(model: nn.Module, spec: RunSpec, loaded: LoadedData) -> dict[str, Any]:
    """The training error with the running statistics of batch normalisation, and with fresh ones.

    `error` and `recomputed_error` are fractions of the run's `train_evaluation_size` images
    (`count`), scored in evaluation mode.  The fresh statistics are means over ten batches of
    training images, augmented as the run's were, that go through the trained network.
    """
    train = _training_split(spec, loaded)
    sample = train.evenly_spaced(spec.training.train_evaluation_size or _SAMPLE)
    error = _errors(model, loaded, sample) / len(sample)
    normalisations = [each for each in model.modules() if isinstance(each, nn.BatchNorm2d)]
    for each in normalisations:
        each.reset_running_stats()
        each.momentum = None  # the mean over all batches
        each.train()
    generator = seeds.generator(spec.seed, "order")
    order = torch.randperm(len(train), generator=generator)
    augment = AUGMENTATIONS[spec.training.augmentation]
    normalize = _normalize(model, loaded)
    with torch.no_grad():
        for indices in order.split(spec.training.batch_size)[:_RECOMPUTING_BATCHES]:
            images = train.images[indices]
            if augment is not None:
                images = augment(images, generator)
            model(normalize(images.to(_device(model))))
    model.eval()
    recomputed = _errors(model, loaded, sample) / len(sample)
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
    errors = {"float32": _errors(model, loaded, loaded.test)}
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
    return {"layers": layers, "errors": {**errors, "int8": _errors(model, loaded, loaded.test)}}


def _errors(model: nn.Module, loaded: LoadedData, images: ImageSet) -> int:
    """How many of the images the model takes for another class."""
    return int((_logits(model, loaded, images.images).argmax(1) != images.labels).sum())


def _training_split(spec: RunSpec, loaded: LoadedData) -> ImageSet:
    config = spec.training
    train, _ = data.split(loaded.train, config.validation_size, spec.seed, config.omitted_class)
    return train


def _use_batch_statistics(model: nn.Module) -> None:
    """Batch normalisation with the statistics of the batch: at the start it knows no others."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.train()


def _by_layer(model: nn.Module, loaded: LoadedData, sample: ImageSet) -> dict[str, list[float]]:
    weighted = _weighted(model)
    inputs = _normalize(model, loaded)(sample.images.to(_device(model)))
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


@torch.no_grad()
def _logits(model: nn.Module, loaded: LoadedData, images: Tensor) -> Tensor:
    """On the CPU, of shape (count, classes)."""
    normalize = _normalize(model, loaded)
    device = _device(model)
    return torch.cat([model(normalize(part.to(device))).cpu() for part in images.split(_BATCH)])


def _normalize(model: nn.Module, loaded: LoadedData) -> Normalize:
    return Normalize(loaded.declared.mean, loaded.declared.std, _device(model))


def _device(model: nn.Module) -> torch.device:
    return next(model.parameters()).device


def _png(image: Tensor) -> str:
    """A uint8 image of shape (channels, height, width) as a PNG in base64."""
    array = image.permute(1, 2, 0).numpy()
    stream = io.BytesIO()
    Image.fromarray(array[:, :, 0] if array.shape[2] == 1 else array).save(stream, "PNG")
    return base64.b64encode(stream.getvalue()).decode()


PROBES: Mapping[str, Probe] = {
    "confusion": confusion,
    "hardest": hardest,
    "softened": softened,
    "bias-correction": bias_correction,
    "layers": layers,
    "gradient-agreement": gradient_agreement,
    "recomputed-statistics": recomputed_statistics,
    "int8-weights": int8_weights,
}

#: Those that are measured on the initial weights, and so on runs whose trained ones are not here.
OF_THE_START = frozenset({"gradient-agreement"})
