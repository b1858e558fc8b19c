"""The networks that each probe asks, and what its record may hold (standard library only)."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from ..errors import ParameterError, RecordError
from . import record_rules as rules
from .record_rules import mapping, whole
from .spec import RunSpec

_FRACTION = rules.number(0, 1)
_COSINE = rules.optional(rules.number(-1 - 1e-6, 1 + 1e-6))  # a gradient may be no finite number
_NORM = rules.optional(rules.number(0))
_LOSS = rules.optional(rules.number(0))  # without a block it may be no finite number


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
        _RULES[probe]("content", content)
    elif probe in _CHECKS:
        _CHECKS[probe](content, spec)
    elif not isinstance(content, Mapping):
        rules.refuse("content", content, "an object")


def _before_and_after(rule: rules.Rule) -> rules.Rule:
    return mapping({"before": rule, "after": rule})


_SCORES = {"accuracy": _FRACTION, "loss": _LOSS}
_BLOCK = {
    "name": rules.text(),
    "kept": rules.one_of("identity", "padded", "projection"),
    **_SCORES,
}

#: The probes whose content does not depend on their run.
_RULES: Mapping[str, rules.Rule] = {
    "gradient-agreement": mapping({"images": whole(1), "bf16": _COSINE, "jittered": _COSINE}),
    "lesion": mapping({"whole": mapping(_SCORES), "blocks": rules.listing(mapping(_BLOCK), 1)}),
    "recomputed-statistics": mapping(
        {"count": whole(1), "error": _FRACTION, "recomputed_error": _FRACTION}
    ),
    "teacher-agreement": mapping({"alone": _FRACTION, "taught": _FRACTION}),
    "temperature-scaling": mapping(
        {
            "temperature": rules.number(0.01, 100),
            "loss": _before_and_after(rules.number(0)),
            "calibration_error": _before_and_after(_FRACTION),
        }
    ),
}


def _confusion(content: Any, spec: RunSpec) -> None:
    classes, size = spec.images.num_classes, spec.images.test_size
    counts = rules.exactly(classes, rules.exactly(classes, whole(0, size)))
    mapping({"counts": counts})("content", content)
    if (images := sum(map(sum, content["counts"]))) != size:
        raise RecordError(f"content.counts has {images} images; allowed: {size}")


def _image(spec: RunSpec, **further: rules.Rule) -> rules.Rule:
    """A test image that is shown, and what is said of it."""
    index, label = whole(0, spec.images.test_size - 1), whole(0, spec.images.num_classes - 1)
    return mapping({"index": index, "label": label, "png": rules.BASE64, **further})


def _hardest(content: Any, spec: RunSpec) -> None:
    predicted = whole(0, spec.images.num_classes - 1)
    image = _image(spec, predicted=predicted, p_label=_FRACTION, p_predicted=_FRACTION)
    mapping({"images": rules.listing(image, 1)})("content", content)


def _softened(content: Any, spec: RunSpec) -> None:
    images = rules.listing(rules.anything)
    mapping(
        {"temperatures": rules.listing(rules.number(0), 1), "images": images},
        {"confident": images},  # those measured before had none
    )("content", content)
    probabilities = rules.exactly(spec.images.num_classes, _FRACTION)
    by_temperature = rules.exactly(len(content["temperatures"]), probabilities)
    image = _image(spec, probabilities=by_temperature)
    for name in ("images", "confident"):
        rules.listing(image)(f"content.{name}", content.get(name, []))


def _bias_correction(content: Any, spec: RunSpec) -> None:
    size = spec.images.test_size
    errors = _before_and_after(whole(0, size))
    mapping(
        {
            "omitted_class": rules.one_of(spec.training.omitted_class),
            "offset": rules.number(),
            "count_of_class": whole(1, size),
            "errors": errors,
            "errors_of_class": errors,
        }
    )("content", content)
    for moment, count in content["errors_of_class"].items():
        most = min(content["count_of_class"], content["errors"][moment])
        whole(0, most)(f"content.errors_of_class.{moment}", count)


def _layers(content: Any, _: RunSpec) -> None:
    names = rules.listing(rules.text(), 1)
    mapping({"names": names}, others=rules.anything)("content", content)
    by_layer = rules.exactly(len(content["names"]), _NORM)
    state = mapping({"gradient_norm": by_layer, "response": by_layer})
    mapping({"names": names, "initial": state, "trained": state})("content", content)


def _int8_weights(content: Any, spec: RunSpec) -> None:
    errors = whole(0, spec.images.test_size)
    layer = mapping(
        {
            "shape": rules.exactly(2, whole(1)),
            "int8": rules.BASE64,
            "scales": rules.listing(rules.number(0)),
            "bias": rules.listing(rules.number()),
        }
    )
    both = mapping({"float32": errors, "int8": errors})
    mapping({"layers": rules.listing(layer, 1), "errors": both})("content", content)
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


#: The other probes.
_CHECKS: Mapping[str, Callable[[Any, RunSpec], None]] = {
    "confusion": _confusion,
    "hardest": _hardest,
    "softened": _softened,
    "bias-correction": _bias_correction,
    "layers": _layers,
    "int8-weights": _int8_weights,
}
