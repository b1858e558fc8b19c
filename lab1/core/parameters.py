"""Every parameter's type and range, declared once (standard library only).

Notebooks, YAML profiles, the command line and the dataclasses of `lab1.core.spec` are all
checked against `PARAMETERS`, so a value is refused with the same words everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .errors import ParameterError
from .families import FAMILIES

_NONE_WORDS = frozenset({"none", "null", "off"})


@dataclass(frozen=True)
class Parameter:
    """One parameter: its type, its range and what it means.

    `many` parameters take a list (or one value, or `"0,1,2"`) and give a tuple without
    repeats.  `optional` ones also take `None`.
    """

    name: str
    kind: type[int] | type[float] | type[str]
    meaning: str
    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None
    below: float | None = None
    choices: tuple[str, ...] = ()
    many: bool = False
    optional: bool = False

    @property
    def allowed(self) -> str:
        """What is allowed, in words: `an integer from 1 to 1024`."""
        if self.choices:
            one = "one of " + ", ".join(self.choices)
        else:
            noun = {int: "an integer", float: "a number", str: "a text"}[self.kind]
            bounds = [
                text
                for bound, text in (
                    (self.minimum, f"from {self.minimum:g}" if self.minimum is not None else ""),
                    (self.above, f"above {self.above:g}" if self.above is not None else ""),
                    (self.maximum, f"to {self.maximum:.10g}" if self.maximum is not None else ""),
                    (self.below, f"below {self.below:g}" if self.below is not None else ""),
                )
                if bound is not None
            ]
            one = " ".join([noun, *bounds])
        words = f"one or more, each {one}" if self.many else one
        return f"{words}, or none" if self.optional else words

    def check(self, value: Any, where: str = "") -> Any:
        """Returns the value in its declared type; raises `ParameterError` otherwise.

        Texts are parsed (`"4"`, `"0,1,2"`, `"none"`), because papermill and the command
        line hand over texts.  `where` names the chapter, file or class in the message.
        """
        if self.optional and (value is None or self._is_none_word(value)):
            return None
        return self._check_many(value, where) if self.many else self.check_one(value, where)

    def check_one(self, value: Any, where: str = "") -> Any:
        """Like `check`, for a single element even where a list is allowed."""
        converted = self._convert(value)
        if converted is None or not self._in_range(converted):
            raise self._refusal(value, where)
        return converted

    def _check_many(self, value: Any, where: str) -> tuple[Any, ...]:
        if isinstance(value, str):
            value = [part.strip() for part in value.strip("[]() ").split(",") if part.strip()]
        elif not isinstance(value, Sequence):
            value = [value]
        items = tuple(self.check_one(item, where) for item in value)
        if not items:
            raise self._refusal(list(value), where)
        repeated = sorted({item for item in items if items.count(item) > 1})
        if repeated:
            raise ParameterError(
                f"{_prefix(where)}{self.name} names {repeated[0]!r} more than once; "
                f"allowed: {self.allowed}, without repeats"
            )
        return items

    def _convert(self, value: Any) -> Any:
        if isinstance(value, bool) or value is None:
            return None
        if self.kind is str:
            return value if isinstance(value, str) and value else None
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            return None
        if not math.isfinite(number):
            return None
        if self.kind is float:
            return number
        # An integer may arrive as text; 4.0 and "4.0" are refused, since a depth of 4.0 is a slip.
        # So is "1_6", which Python reads as 16.
        if isinstance(value, str) and "_" in value:
            return None
        try:
            return int(value) if isinstance(value, (int, str)) else None
        except ValueError:
            return None

    def _in_range(self, value: Any) -> bool:
        if self.choices:
            return value in self.choices
        if self.kind is str:
            return True
        return (
            (self.minimum is None or value >= self.minimum)
            and (self.maximum is None or value <= self.maximum)
            and (self.above is None or value > self.above)
            and (self.below is None or value < self.below)
        )

    def _is_none_word(self, value: Any) -> bool:
        return isinstance(value, str) and value.lower() in _NONE_WORDS and value not in self.choices

    def _refusal(self, value: Any, where: str) -> ParameterError:
        return ParameterError(
            f"{_prefix(where)}{self.name} = {value!r} is not allowed; allowed: {self.allowed}"
        )


def _prefix(where: str) -> str:
    return f"{where}: " if where else ""


def _declare(*parameters: Parameter) -> dict[str, Parameter]:
    return {parameter.name: parameter for parameter in parameters}


PARAMETERS: Mapping[str, Parameter] = _declare(
    # What is compared.
    Parameter(
        "depth", int, "hidden layers of the network", minimum=1, maximum=1024, many=True
    ),
    Parameter("seeds", int, "one run per seed", minimum=0, maximum=2**31 - 1, many=True),
    Parameter(
        "dataset",
        str,
        "the data set",
        choices=("mnist", "cifar10", "cifar10-jpeg", "smoke-grey", "smoke-colour"),
    ),
    # The model.
    Parameter(
        "family",
        str,
        "the model family",
        choices=tuple(FAMILIES),
    ),
    Parameter(
        "families",
        str,
        "the model families that are compared",
        choices=tuple(FAMILIES),
        many=True,
    ),
    Parameter(
        "channels", int, "feature maps of the first stage", minimum=1, maximum=4096, many=True
    ),
    Parameter("width", int, "units in each hidden layer", minimum=1, maximum=16384, many=True),
    Parameter(
        "activation", str, "activation function", choices=("relu", "gelu", "tanh", "leaky_relu")
    ),
    Parameter(
        "dropout_rate", float, "probability of dropping a hidden unit", minimum=0, below=1
    ),
    Parameter(
        "normalization",
        str,
        "what stands before each activation of a perceptron",
        choices=("none", "layer"),
    ),
    Parameter(
        "initialisation",
        str,
        "start of a plain perceptron's inner weights: He's, or near the identity",
        choices=("default", "identity"),
    ),
    Parameter(
        "residual_factor",
        str,
        "factor on the initial weights inside skip connections: 1 / sqrt(skips), or 1",
        choices=("inverse-sqrt", "one"),
    ),
    # The training.
    Parameter("seed", int, "seed of one run", minimum=0, maximum=2**31 - 1),
    Parameter("epochs", int, "passes over the training split, at most", minimum=1, maximum=10000),
    Parameter("batch_size", int, "examples per step", minimum=1, maximum=65536),
    Parameter("learning_rate", float, "highest learning rate", above=0, maximum=100),
    Parameter("optimizer", str, "the optimiser", choices=("adam", "adamw", "sgd"), many=True),
    Parameter("momentum", float, "momentum of SGD", minimum=0, below=1),
    Parameter("weight_decay", float, "L2 penalty", minimum=0, maximum=10),
    Parameter(
        "max_gradient_norm",
        float,
        "L2 norm to which larger gradients are scaled down; none leaves them as they are",
        above=0,
        maximum=1e9,
        optional=True,
    ),
    Parameter(
        "label_smoothing",
        float,
        "share of the labels' probability that is spread over all classes",
        minimum=0,
        below=1,
    ),
    Parameter(
        "schedule",
        str,
        "course of the learning rate over the steps",
        choices=("constant", "cosine", "one-cycle", "step"),
    ),
    Parameter(
        "precision", str, "arithmetic of forward and backward", choices=("float32", "bf16")
    ),
    Parameter(
        "augmentation",
        str,
        "random changes of the training images",
        choices=("none", "crop", "crop-flip", "rotate-affine", "shift"),
    ),
    Parameter(
        "validation_size",
        int,
        "images held out of the training set for model selection; 0 holds out none",
        minimum=0,
        maximum=10**6,
    ),
    Parameter(
        "train_evaluation_size",
        int,
        "training images scored in evaluation mode after each epoch",
        minimum=0,
        maximum=10**6,
    ),
    Parameter(
        "omitted_class",
        int,
        "class whose images are neither trained on nor used for model selection",
        minimum=0,
        maximum=9999,
        optional=True,
    ),
    Parameter(
        "monitor",
        str,
        "metric that selects the best epoch",
        choices=("validation_loss", "validation_accuracy"),
    ),
    Parameter(
        "patience",
        int,
        "epochs without improvement after which training stops; none never stops early",
        minimum=1,
        maximum=10000,
        optional=True,
    ),
    Parameter(
        "minimum_improvement",
        float,
        "smallest change of the monitored metric that counts",
        minimum=0,
        maximum=1000,
    ),
    Parameter(
        "first_seed_depth", int, "depths that cost too much for more than the first seed",
        minimum=1, maximum=1024, many=True, optional=True,
    ),
    # Knowledge distillation.
    Parameter(
        "temperature",
        float,
        "number that divides the logits of teacher and student",
        above=0,
        maximum=1000,
    ),
    Parameter(
        "alpha",
        float,
        "weight of the soft loss; that of the hard loss is 1 - alpha",
        minimum=0,
        maximum=1,
    ),
    Parameter(
        "wrong_classes",
        str,
        "what the teacher says of the classes other than the label: as it is, or permuted",
        choices=("kept", "permuted"),
    ),
    Parameter("student_channels", int, "feature maps of the student", minimum=1, maximum=4096),
    Parameter("student_depth", int, "stages of the student", minimum=1, maximum=5),
    Parameter("teacher_channels", int, "feature maps of the teacher", minimum=1, maximum=4096),
    Parameter("teacher_depth", int, "stages of the teacher", minimum=1, maximum=5),
    Parameter("teacher_epochs", int, "epochs of the teacher", minimum=1, maximum=10000),
    Parameter("teacher_seed", int, "seed of the teacher", minimum=0, maximum=2**31 - 1),
    Parameter(
        "sweep_seeds", int, "seeds of the sweeps and of the student trained longer", minimum=0,
        maximum=2**31 - 1, many=True, optional=True,
    ),
    Parameter(
        "sweep_temperatures", float, "temperatures of the sweep", above=0, maximum=1000,
        many=True, optional=True,
    ),
    Parameter(
        "sweep_alphas", float, "weights of the soft loss in the sweep", minimum=0, maximum=1,
        many=True, optional=True,
    ),
    Parameter(
        "sweep_channels", int, "feature maps of the students in the sweep", minimum=1,
        maximum=4096, many=True, optional=True,
    ),
    Parameter(
        "longer_epochs", int, "epochs of a student that trains alone for the teacher's cost",
        minimum=1, maximum=10000, optional=True,
    ),
    # Whether it is the teacher that helps: students alone with what else the teacher may bring.
    Parameter(
        "control_seeds", int, "seeds of the controls, and of further teachers' students", minimum=0,
        maximum=2**31 - 1, many=True, optional=True,
    ),
    Parameter(
        "control_label_smoothing", float, "label smoothing of a student alone", above=0, below=1,
        optional=True,
    ),
    Parameter(
        "control_learning_rates", float, "learning rates of students alone", above=0, maximum=100,
        many=True, optional=True,
    ),
    Parameter(
        "control_wrong_classes", str, "a student that learns from such a teacher",
        choices=("permuted",), optional=True,
    ),
    Parameter(
        "further_teacher_seeds", int, "seeds of further teachers", minimum=0, maximum=2**31 - 1,
        many=True, optional=True,
    ),
    Parameter(
        "fresh_seeds", int, "seeds that had no part in the choice of temperature and alpha",
        minimum=0, maximum=2**31 - 1, many=True, optional=True,
    ),
    Parameter(
        "fresh_temperature", float, "temperature that validation chose", above=0, maximum=1000,
        optional=True,
    ),
    Parameter(
        "fresh_alpha", float, "weight of the soft loss that validation chose", minimum=0, maximum=1,
        optional=True,
    ),
    # The experiment on digits in the chapter on distillation.
    Parameter(
        "digits_dataset", str, "the digits; none leaves them out",
        choices=("mnist", "smoke-grey"), optional=True,
    ),
    Parameter(
        "digits_seeds", int, "one run of each kind per seed", minimum=0, maximum=2**31 - 1,
        many=True,
    ),
    Parameter(
        "digits_student_width", int, "units in each of the student's hidden layers", minimum=1,
        maximum=16384,
    ),
    Parameter(
        "digits_teacher_width", int, "units in each of the teacher's hidden layers", minimum=1,
        maximum=16384,
    ),
    Parameter("digits_epochs", int, "epochs of the student", minimum=1, maximum=10000),
    Parameter("digits_teacher_epochs", int, "epochs of the teacher", minimum=1, maximum=10000),
    Parameter("digits_temperature", float, "temperature on digits", above=0, maximum=1000),
    Parameter(
        "digits_alpha", float, "weight of the soft loss on digits", minimum=0, maximum=1
    ),
    Parameter(
        "digits_omitted_class", int, "the digit that a student never sees", minimum=0, maximum=9,
        optional=True,
    ),
    Parameter(
        "digits_small_width", int, "units in each hidden layer of a far smaller student", minimum=1,
        maximum=16384, optional=True,
    ),
    Parameter(
        "digits_small_temperatures", float, "temperatures of the far smaller student", above=0,
        maximum=1000, many=True, optional=True,
    ),
    # Perceptrons that differ from the chapter's in one thing.
    Parameter(
        "changes_depth", int, "hidden layers at which single changes of the design are trained",
        minimum=1, maximum=1024, many=True, optional=True,
    ),
    # The sweep that asks whether another learning rate would have rescued a deep network.
    Parameter(
        "sweep_depth", int, "hidden layers in the learning-rate sweep", minimum=1, maximum=1024,
        many=True, optional=True,
    ),
    Parameter(
        "sweep_learning_rates", float, "learning rates of the sweep", above=0, maximum=100,
        many=True, optional=True,
    ),
    # Where a run takes place; none of these changes its result, so none is part of its key.
    Parameter("device", str, "auto, cpu, cuda, cuda:N or mps"),
    Parameter("data_dir", str, "folder that holds the data sets", optional=True),
    Parameter("profile", str, "a file in params/, without its ending"),
)  # fmt: skip


def check(name: str, value: Any, where: str = "") -> Any:
    """The checked value of the parameter `name`; raises `ParameterError`."""
    if name not in PARAMETERS:
        raise unknown(name, PARAMETERS, where)
    return PARAMETERS[name].check(value, where)


def unknown(name: str, allowed: Mapping[str, Any] | Sequence[str], where: str) -> ParameterError:
    """The error for a name that is not among `allowed`."""
    return ParameterError(
        f"{_prefix(where)}unknown parameter {name!r}; allowed: {', '.join(sorted(allowed))}"
    )
