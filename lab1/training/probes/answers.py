"""Probes of what a trained model answers to the test images."""

import base64
import io
from typing import Any

import torch
from torch import Tensor, nn

from ...core.spec import RunSpec
from ...errors import not_allowed
from .. import data
from ..data.images import LoadedData
from ..evaluation import fit_temperature, logits_of, score

#: How many images `hardest` keeps.
_HARDEST = 24
#: How many images `softened` keeps about which a model hesitates, and of which it is sure.
_SOFTENED, _CONFIDENT = 8, 4
#: The temperatures at which it does.
_TEMPERATURES = (1, 4, 16)


def confusion(model: nn.Module, spec: RunSpec, loaded: LoadedData) -> dict[str, Any]:
    """`counts[i][j]`: how many test images of class i the model takes for class j."""
    classes = loaded.declared.num_classes
    predicted = logits_of(model, loaded.declared, loaded.test.images).argmax(1)
    pairs = loaded.test.labels * classes + predicted
    counts = torch.bincount(pairs, minlength=classes**2).view(classes, classes)
    return {"counts": counts.tolist()}


def hardest(model: nn.Module, spec: RunSpec, loaded: LoadedData) -> dict[str, Any]:
    """The test images with the highest loss, worst first.

    Each has its `index` in the test set, `label`, `predicted`, the probability `p_label`
    and `p_predicted` that the model gives to these, and the image itself as a `png` (base64).
    """
    probabilities = logits_of(model, loaded.declared, loaded.test.images).softmax(1)
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
    """The probabilities that a model gives for some test images at several temperatures.

    Of each of the first eight classes that the model ever answers rightly, `images` has the one it
    gets right whose second largest probability is largest (the first of equals): the dark knowledge
    of Hinton et al. (2015), section 1.  `confident` has, of the first four of them, the one whose
    second largest probability is smallest.  Each has its `index` in the test set, `label`, `png`,
    and, for each of `temperatures`, the `probabilities` of all classes.
    """
    logits = logits_of(model, loaded.declared, loaded.test.images)
    (_, second), (answers, _) = (each.T for each in logits.softmax(1).topk(2))
    right = answers == loaded.test.labels
    hesitant, confident = [], []
    for label in range(loaded.declared.num_classes):
        members = torch.nonzero(right & (answers == label)).flatten()
        if len(members):
            hesitant.append(int(members[second[members].argmax()]))
            confident.append(int(members[second[members].argmin()]))

    def answered(index: int) -> dict[str, Any]:
        return {
            "index": index,
            "label": int(loaded.test.labels[index]),
            "png": _png(loaded.test.images[index]),
            "probabilities": [(logits[index] / t).softmax(0).tolist() for t in _TEMPERATURES],
        }

    return {
        "temperatures": list(_TEMPERATURES),
        "images": [answered(index) for index in hesitant[:_SOFTENED]],
        "confident": [answered(index) for index in confident[:_CONFIDENT]],
    }


def bias_correction(model: nn.Module, spec: RunSpec, loaded: LoadedData) -> dict[str, Any]:
    """The errors on a class that was never seen, before and after its bias is raised.

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
        allowed = "for a run with an omitted_class and a validation split"
        raise not_allowed("probe", "bias-correction", allowed, case=f"for {spec.title}")
    logits = logits_of(model, loaded.declared, validation.images)
    offset = best_offset(logits, validation.labels, omitted)
    logits = logits_of(model, loaded.declared, loaded.test.images)
    of_class = loaded.test.labels == omitted
    scores: dict[str, dict[str, int]] = {"errors": {}, "errors_of_class": {}}
    for moment, added in (("before", 0.0), ("after", offset)):
        wrong = corrected(logits, omitted, added).argmax(1) != loaded.test.labels
        scores["errors"][moment] = int(wrong.sum())
        scores["errors_of_class"][moment] = int((wrong & of_class).sum())
    count = int(of_class.sum())
    return {"omitted_class": omitted, "offset": offset, "count_of_class": count, **scores}


def teacher_agreement(
    model: nn.Module, spec: RunSpec, loaded: LoadedData, teacher: nn.Module, alone: nn.Module
) -> dict[str, Any]:
    """The shares of the test images to which a student answers as its teacher does.

    `taught` is that of the run, `alone` that of its twin, which differs from it in having no
    teacher: two networks agree already where both are right.  It is the top-1 agreement of Stanton
    et al. (2021), in float32; `teacher_agreement` in the record of a run in bf16 is rounded.
    """
    theirs, taught, without = (
        logits_of(network, loaded.declared, loaded.test.images).argmax(1)
        for network in (teacher, model, alone)
    )
    return {name: float((answers == theirs).double().mean())
            for name, answers in (("alone", without), ("taught", taught))}  # fmt: skip


def temperature_scaling(model: nn.Module, spec: RunSpec, loaded: LoadedData) -> dict[str, Any]:
    """The calibration of a network before and after its logits are divided by one number.

    That number, `temperature`, is the one of smallest loss on the run's validation split
    (`fit_temperature`), by whose scores the best epoch was chosen, too.  `loss`, the mean
    cross-entropy, and `calibration_error` (`expected_calibration_error`) are of the test set,
    `before` and `after`.  The answers, and so the accuracy, stay the same.  Raises `ParameterError`
    for a run without a validation split.
    """
    _, validation = data.split_for(spec.training, loaded.train, spec.seed)
    if validation is None:
        allowed = "for a run with a validation split"
        raise not_allowed("probe", "temperature-scaling", allowed, case=f"for {spec.title}")
    chosen_on, told_on = (
        logits_of(model, loaded.declared, images)
        for images in (validation.images, loaded.test.images)
    )
    temperature = fit_temperature(chosen_on, validation.labels)
    before, after = (
        score(logits, loaded.test.labels, {}) for logits in (told_on, told_on / temperature)
    )
    names = ("loss", "calibration_error")
    scores = {name: {"before": before[name], "after": after[name]} for name in names}
    return {"temperature": temperature, **scores}


def _png(image: Tensor) -> str:
    """A uint8 image of shape (channels, height, width) as a PNG in base64."""
    from torchvision.transforms.functional import to_pil_image  # which takes a second

    stream = io.BytesIO()
    to_pil_image(image).save(stream, "PNG")
    return base64.b64encode(stream.getvalue()).decode()


def best_offset(logits: Tensor, labels: Tensor, omitted_class: int) -> float:
    """The number to add to the logit of `omitted_class` for the fewest errors.

    `logits` are of shape (images, classes), `labels` int64 of shape (images,).  The number of
    errors changes only where the class overtakes the largest other logit of an image; tried are 0,
    the middle between any two such places, and one beyond either end.  Of equally good offsets the
    one of smallest magnitude is taken, of two such the positive one.
    """
    logits = logits.double()
    others = logits.clone()
    others[:, omitted_class] = -torch.inf
    largest, answer = others.max(1)
    needed = largest - logits[:, omitted_class]
    places = needed.unique()  # ascending
    zero = places.new_zeros(1)
    middles = (places[:-1] + places[1:]) / 2
    tried = torch.cat([zero, places[:1] - 1, middles, places[-1:] + 1])
    of_class = labels == omitted_class
    # An image of the class is an error until it is overtaken, one that was right is one from then.
    missed = (needed[of_class][:, None] >= tried).sum(0)
    spoilt = (needed[(answer == labels) & ~of_class][:, None] < tried).sum(0)
    errors = missed + spoilt
    best = tried[errors == errors.min()]
    return float(best[(best.abs() - best.sign() * 1e-12).argmin()])


def corrected(logits: Tensor, omitted_class: int, offset: float) -> Tensor:
    """The logits, in double precision, with `offset` added to those of `omitted_class`."""
    raised = logits.double().clone()
    raised[:, omitted_class] += offset
    return raised
