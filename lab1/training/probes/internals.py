"""Probes of what happens inside a network: gradients, responses, rounding, single blocks."""

import base64
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from ...core.spec import RunSpec
from ...errors import not_allowed
from .. import data, models, seeds
from ..data.augmentation import AUGMENTATIONS
from ..data.images import ImageSet, LoadedData
from ..distillation import distillation_loss, permute_wrong_classes
from ..evaluation import BATCH, count_errors, device_of, laid_out, normalizer_of, score
from ..models.cnn import PaddedShortcut, PlainNet, ResidualCNN
from ..models.mlp import MLP

#: On how many training images a probe measures, unless the run says how many.
_SAMPLE = 1000
#: On how many batches `recomputed-statistics` takes the statistics.
_RECOMPUTING_BATCHES = 10


def layers(model: nn.Module, spec: RunSpec, loaded: LoadedData) -> dict[str, Any]:
    """Gradient norm and response of every layer with weights, at the start and after training.

    `gradient_norm` is the L2 norm of the gradient of the mean cross-entropy over 1,000 training
    images with respect to the layer's weights.  `response` is the standard deviation of what the
    layer gives out, after batch normalisation where it is followed by one and before the
    nonlinearity and the sum (He et al. 2016, section 4.2, "Analysis of Layer Responses").  Both are
    taken in evaluation mode after training; at the start, where running statistics say nothing
    yet, with the statistics of the batch.
    """
    train, _ = data.split_for(spec.training, loaded.train, spec.seed)
    sample = train.evenly_spaced(_SAMPLE)
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
    responses = [0.0] * len(weighted)

    def observe(index: int, module: nn.Module, inputs: object, output: Tensor) -> None:
        # At once, since the nonlinearity that follows may change the output in place.
        responses[index] = float(output.detach().std())

    with ExitStack() as hooks:
        for index, (_, answering) in enumerate(weighted.values()):
            hooks.enter_context(answering.register_forward_hook(partial(observe, index)))
        loss = nn.functional.cross_entropy(model(inputs), sample.labels.to(inputs.device))
    gradients = torch.autograd.grad(loss, [weight for weight, _ in weighted.values()])
    norms = [float(gradient.norm()) for gradient in gradients]
    return {"gradient_norm": norms, "response": responses}


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


@torch.no_grad()
def lesion(model: nn.Module, spec: RunSpec, loaded: LoadedData) -> dict[str, Any]:
    """Accuracy and loss on the test set without each block in turn, and no training after it (Veit
    et al. 2016, section 4.1).

    `whole` are the scores of the network as it is.  Of each of `blocks`, in their order, stand the
    `name` in the network, the scores without it, and what was `kept` in its place, followed by
    ReLU.  Of a residual block that is its skip connection: `identity`, or where the block changes
    the size of the feature maps the trained `projection` (`ResidualCNN`) or the `padded` input
    (`ResNet`).  A plain block has none; its input goes on as it is, or where the size changes
    `padded` as in a `ResNet`, which needs no weights: a plain network then lacks there what a
    `ResNet` lacks.  Raises `ParameterError` for a network that is not made of blocks.
    """
    if not isinstance(model, (ResidualCNN, PlainNet)):
        allowed = "for a ResidualCNN, PlainCNN, ResNet or PlainNet"
        raise not_allowed("probe", "lesion", allowed, case=f"for {spec.title}")
    place = "stages" if isinstance(model, ResidualCNN) else "blocks"
    blocks = model.get_submodule(place)
    assert isinstance(blocks, nn.Sequential)
    kept, rests = zip(*map(_rest, blocks), strict=True)
    normalize = laid_out(model, loaded.declared, "float32")
    whole: list[Tensor] = []
    without: list[list[Tensor]] = [[] for _ in blocks]
    for part in loaded.test.images.split(BATCH):
        hidden = model.stem(normalize(part.to(device_of(model))))
        for index, (block, rest) in enumerate(zip(blocks, rests, strict=True)):
            behind = blocks[index + 1 :](rest(hidden).relu())
            without[index].append(model.output(behind.mean((2, 3))))
            hidden = block(hidden)
        whole.append(model.output(hidden.mean((2, 3))))

    def scores(parts: list[Tensor]) -> dict[str, float]:
        scored = score(torch.cat(parts).cpu(), loaded.test.labels, {})
        return {"accuracy": scored["accuracy"], "loss": scored["loss"]}

    return {
        "whole": scores(whole),
        "blocks": [
            {"name": f"{place}.{index}", "kept": kept[index], **scores(parts)}
            for index, parts in enumerate(without)
        ],
    }


def _rest(block: nn.Module) -> tuple[str, Callable[[Tensor], Tensor]]:
    """The rest of a block without its two convolutions: its kind, and what it computes."""
    first = block.get_submodule("conv1")
    assert isinstance(first, nn.Conv2d)
    projection = getattr(block, "downsample", None)  # of torchvision's `BasicBlock`
    if isinstance(projection, nn.Sequential):
        return "projection", projection
    if first.in_channels == first.out_channels:
        return "identity", nn.Identity()
    return "padded", PaddedShortcut(first.out_channels)


def gradient_agreement(
    model: nn.Module, spec: RunSpec, loaded: LoadedData, teacher: nn.Module | None = None
) -> dict[str, Any]:
    """The change that rounding makes to the gradient of the first step, before any training.

    `bf16` is the cosine between the gradient of the loss that is trained (with a `teacher`, that of
    `distillation_loss`) in bfloat16, as a training in that precision takes it, and the one in
    float32, over all weights together; `jittered` that between the float32 gradients of the images
    and of the same images, normalised, with normal noise of standard deviation 1e-6.  Both are of
    one batch of `images` training images, evenly spaced and not augmented, with the statistics of
    the batch and without dropout; the teacher sees the same images in the same precision.  A cosine
    near 1 says that the gradient survives the rounding, near 0 that it is noise; `None` that a
    gradient was no finite number.
    """
    train, _ = data.split_for(spec.training, loaded.train, spec.seed)
    sample = train.evenly_spaced(spec.training.batch_size)
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
    train, _ = data.split_for(spec.training, loaded.train, spec.seed)
    sample = train.evenly_spaced(spec.training.train_evaluation_size or _SAMPLE)
    error = count_errors(model, loaded.declared, sample) / len(sample)
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
    recomputed = count_errors(model, loaded.declared, sample) / len(sample)
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
        allowed = "for an MLP without normalisation"
        raise not_allowed("probe", "int8-weights", allowed, case=f"for {spec.title}")
    errors = {"float32": count_errors(model, loaded.declared, loaded.test)}
    layers = []
    for layer in model.modules():
        if not isinstance(layer, nn.Linear):
            continue
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
    errors["int8"] = count_errors(model, loaded.declared, loaded.test)
    return {"layers": layers, "errors": errors}


def use_batch_statistics(model: nn.Module) -> None:
    """Batch normalisation with the statistics of the batch: at the start it knows no others."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.train()
