"""The networks that each probe asks, and what its record may hold (standard library only)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from ..errors import ParameterError, RecordError
from .datasets import DATASETS
from .schema import (
    BASE64,
    Rule,
    anything,
    exactly,
    listing,
    mapping,
    number,
    one_of,
    optional,
    refuse,
    text,
    whole,
)
from .spec import RunSpec

_FRACTION = number(0, 1)
_COSINE = optional(number(-1 - 1e-6, 1 + 1e-6))  # a gradient may be no finite number
_NORM = optional(number(0))
_LOSS = optional(number(0))  # without a block it may be no finite number


def networks(probe: str, spec: RunSpec) -> dict[str, RunSpec]:
    """The runs whose trained networks a probe of `spec` asks, by what they are to it.

    `model` is the run itself; a probe that does not name it is of the initial weights.  `teacher`
    is its teacher, `alone` its twin without one.  Raises `ParameterError` where it has none.
    """
    teacher = {} if spec.teacher is None else {"teacher": spec.teacher}
    if probe == "gradient-agreement":
        return teacher
    if probe != "teacher-agreement":
        return {"model": spec}
    if not teacher:
        raise ParameterError(
            f"probe {probe!r} is not allowed for {spec.title}; allowed: for a run with a teacher"
        )
    return {"model": spec, **teacher, "alone": replace(spec, distillation=None)}


def check(probe: str, content: Any, spec: RunSpec) -> None:
    """Raises `RecordError` where a probe of this run cannot have found this."""
    if probe in _RULES:
        _RULES[probe](content, spec)
    elif not isinstance(content, Mapping):
        refuse("content", content, "an object")


def _confusion(content: Any, spec: RunSpec) -> None:
    declared = DATASETS[spec.dataset]
    classes, size = declared.num_classes, declared.test_size
    row = exactly(classes, whole(0, size))
    mapping({"counts": exactly(classes, row)})("content", content)
    if (images := sum(map(sum, content["counts"]))) != size:
        raise RecordError(f"content.counts has {images} images; allowed: {size}")


def _image(spec: RunSpec) -> dict[str, Rule]:
    """The names that every shown test image has."""
    return {
        "index": whole(0, DATASETS[spec.dataset].test_size - 1),
        "label": _class(spec),
        "png": BASE64,
    }


def _class(spec: RunSpec) -> Rule:
    return whole(0, DATASETS[spec.dataset].num_classes - 1)


def _hardest(content: Any, spec: RunSpec) -> None:
    image = mapping(
        {
            **_image(spec),
            "predicted": _class(spec),
            "p_label": _FRACTION,
            "p_predicted": _FRACTION,
        }
    )
    mapping({"images": listing(image, 1)})("content", content)


def _softened(content: Any, spec: RunSpec) -> None:
    mapping(
        {"temperatures": listing(number(0), 1), "images": listing(anything)},
        {"confident": listing(anything)},  # those measured before had none
    )("content", content)
    probabilities = exactly(DATASETS[spec.dataset].num_classes, _FRACTION)
    by_temperature = exactly(len(content["temperatures"]), probabilities)
    image = mapping({**_image(spec), "probabilities": by_temperature})
    for name in ("images", "confident"):
        listing(image)(f"content.{name}", content.get(name, []))


def _bias_correction(content: Any, spec: RunSpec) -> None:
    size = DATASETS[spec.dataset].test_size
    before_and_after = mapping({"before": whole(0, size), "after": whole(0, size)})
    mapping(
        {
            "omitted_class": one_of(spec.training.omitted_class),
            "offset": number(),
            "count_of_class": whole(1, size),
            "errors": before_and_after,
            "errors_of_class": before_and_after,
        }
    )("content", content)
    for moment, errors in content["errors_of_class"].items():
        whole(0, min(content["count_of_class"], content["errors"][moment]))(
            f"content.errors_of_class.{moment}", errors
        )


def _layers(content: Any, _: RunSpec) -> None:
    names = listing(text(), 1)
    mapping({"names": names}, others=anything)("content", content)
    by_layer = exactly(len(content["names"]), _NORM)
    state = mapping({"gradient_norm": by_layer, "response": by_layer})
    mapping({"names": names, "initial": state, "trained": state})("content", content)


def _gradient_agreement(content: Any, _: RunSpec) -> None:
    mapping({"images": whole(1), "bf16": _COSINE, "jittered": _COSINE})("content", content)


def _recomputed_statistics(content: Any, _: RunSpec) -> None:
    mapping({"count": whole(1), "error": _FRACTION, "recomputed_error": _FRACTION})(
        "content", content
    )


def _lesion(content: Any, _: RunSpec) -> None:
    scores = {"accuracy": _FRACTION, "loss": _LOSS}
    kept = one_of("identity", "padded", "projection")
    block = mapping({"name": text(), "kept": kept, **scores})
    mapping({"whole": mapping(scores), "blocks": listing(block, 1)})("content", content)


def _teacher_agreement(content: Any, _: RunSpec) -> None:
    mapping({"alone": _FRACTION, "taught": _FRACTION})("content", content)


def _temperature_scaling(content: Any, _: RunSpec) -> None:
    loss, error = ({"before": rule, "after": rule} for rule in (number(0), _FRACTION))
    mapping(
        {
            "temperature": number(0.01, 100),
            "loss": mapping(loss),
            "calibration_error": mapping(error),
        }
    )("content", content)


def _int8_weights(content: Any, spec: RunSpec) -> None:
    errors = whole(0, DATASETS[spec.dataset].test_size)
    layer = mapping(
        {
            "shape": exactly(2, whole(1)),
            "int8": BASE64,
            "scales": listing(number(0)),
            "bias": listing(number()),
        }
    )
    mapping({"layers": listing(layer, 1), "errors": mapping({"float32": errors, "int8": errors})})(
        "content", content
    )
    for index, layer in enumerate(content["layers"]):
        outputs, inputs = layer["shape"]
        encoded = -(-outputs * inputs // 3) * 4
        lengths = (len(layer["scales"]), len(layer["bias"]), len(layer["int8"]))
        if lengths != (outputs, outputs, encoded):
            raise RecordError(
                f"content.layers[{index}] has {lengths[0]} scales, {lengths[1]} biases and "
                f"{lengths[2]} characters of weights; allowed for its shape: {outputs}, {outputs} "
                f"and {encoded}"
            )


_RULES: Mapping[str, Callable[[Any, RunSpec], None]] = {
    "confusion": _confusion,
    "hardest": _hardest,
    "softened": _softened,
    "bias-correction": _bias_correction,
    "layers": _layers,
    "gradient-agreement": _gradient_agreement,
    "recomputed-statistics": _recomputed_statistics,
    "int8-weights": _int8_weights,
    "lesion": _lesion,
    "teacher-agreement": _teacher_agreement,
    "temperature-scaling": _temperature_scaling,
}
