"""Every parameter's type and range, declared once (standard library only).

Notebooks, YAML profiles, the command line and the dataclasses of `lab1.core.spec` are all
checked against `PARAMETERS`, so a value is refused with the same words everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from . import own_images
from .errors import ParameterError
from .families import FAMILIES
from .values import Parameter, did_you_mean, prefix, shown


@dataclass(frozen=True)
class _Like:
    """A parameter with the type and the range of another, declared before it."""

    other: str
    name: str
    meaning: str
    changes: Mapping[str, Any]


def _like(other: str, name: str, meaning: str, **changes: Any) -> _Like:
    return _Like(other, name, meaning, changes)


def _declare(*declarations: Parameter | _Like) -> dict[str, Parameter]:
    parameters: dict[str, Parameter] = {}
    for each in declarations:
        parameters[each.name] = (
            replace(parameters[each.other], name=each.name, meaning=each.meaning, **each.changes)
            if isinstance(each, _Like)
            else each
        )
    return parameters


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
        besides=own_images.ALLOWED,
        stands_for=own_images.name_of,
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
    _like(
        "depth", "first_seed_depth",
        "depths that cost too much for more than the first seed",
        optional=True,
    ),
    _like(
        "precision", "compared_precision",
        "precision in which networks are trained once more",
        optional=True,
    ),
    _like("depth", "compared_depth", "depths in that precision", optional=True),
    _like(
        "depth", "compared_first_seed_depth",
        "further depths in that precision, for the first of their seeds",
        optional=True,
    ),
    _like("seeds", "compared_seeds", "seeds of the controls", optional=True),
    _like(
        "learning_rate", "gentle_learning_rate",
        "peak at which a plain network is trained once more",
        optional=True,
    ),
    _like("depth", "gentle_depth", "depth of that network", many=False, optional=True),
    _like(
        "depth", "deepest_depth",
        "depth that is trained for a few epochs only",
        many=False, optional=True,
    ),
    _like("epochs", "deepest_epochs", "epochs at that depth", optional=True),
    _like(
        "learning_rate", "deepest_learning_rates",
        "learning rates at that depth",
        many=True, optional=True,
    ),
    _like(
        "channels", "size_channels",
        "further feature maps of SimpleCNN with the most stages",
        optional=True,
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
    _like("channels", "student_channels", "feature maps of the student", many=False),
    Parameter("student_depth", int, "stages of the student", minimum=1, maximum=5),
    _like("channels", "teacher_channels", "feature maps of the teacher", many=False),
    Parameter("teacher_depth", int, "stages of the teacher", minimum=1, maximum=5),
    _like("epochs", "teacher_epochs", "epochs of the teacher"),
    _like("seed", "teacher_seed", "seed of the teacher"),
    _like(
        "seeds", "sweep_seeds",
        "seeds of the sweeps and of the student trained longer",
        optional=True,
    ),
    _like(
        "temperature", "sweep_temperatures", "temperatures of the sweep", many=True, optional=True,
    ),
    _like(
        "alpha", "sweep_alphas", "weights of the soft loss in the sweep", many=True, optional=True,
    ),
    _like("channels", "sweep_channels", "feature maps of the students in the sweep", optional=True),
    _like(
        "epochs", "longer_epochs",
        "epochs of a student that trains alone for the teacher's cost",
        optional=True,
    ),
    # Whether it is the teacher that helps: students alone with what else the teacher may bring.
    _like(
        "seeds", "control_seeds",
        "seeds of the controls, and of further teachers' students",
        optional=True,
    ),
    Parameter(
        "control_label_smoothing", float, "label smoothing of a student alone", above=0, below=1,
        optional=True,
    ),
    _like(
        "learning_rate", "control_learning_rates",
        "learning rates of students alone",
        many=True, optional=True,
    ),
    Parameter(
        "control_wrong_classes", str, "a student that learns from such a teacher",
        choices=("permuted",), optional=True,
    ),
    _like("seeds", "further_teacher_seeds", "seeds of further teachers", optional=True),
    _like(
        "seeds", "fresh_seeds",
        "seeds that had no part in the choice of temperature and alpha",
        optional=True,
    ),
    _like("temperature", "fresh_temperature", "temperature that validation chose", optional=True),
    _like("alpha", "fresh_alpha", "weight of the soft loss that validation chose", optional=True),
    # The experiment on digits in the chapter on distillation.
    Parameter(
        "digits_dataset", str, "the digits; none leaves them out",
        choices=("mnist", "smoke-grey"), optional=True,
    ),
    _like("seeds", "digits_seeds", "one run of each kind per seed"),
    _like(
        "width", "digits_student_width", "units in each of the student's hidden layers", many=False,
    ),
    _like(
        "width", "digits_teacher_width", "units in each of the teacher's hidden layers", many=False,
    ),
    _like("epochs", "digits_epochs", "epochs of the student"),
    _like("epochs", "digits_teacher_epochs", "epochs of the teacher"),
    _like("temperature", "digits_temperature", "temperature on digits"),
    _like("alpha", "digits_alpha", "weight of the soft loss on digits"),
    Parameter(
        "digits_omitted_class", int, "the digit that a student never sees", minimum=0, maximum=9,
        optional=True,
    ),
    _like(
        "width", "digits_small_width",
        "units in each hidden layer of a far smaller student",
        many=False, optional=True,
    ),
    _like(
        "temperature", "digits_small_temperatures",
        "temperatures of the far smaller student",
        many=True, optional=True,
    ),
    # Perceptrons that differ from the chapter's in one thing.
    _like(
        "depth", "changes_depth",
        "hidden layers at which single changes of the design are trained",
        optional=True,
    ),
    # The sweep that asks whether another learning rate would have rescued a deep network.
    _like("depth", "sweep_depth", "hidden layers in the learning-rate sweep", optional=True),
    _like(
        "learning_rate", "sweep_learning_rates",
        "learning rates of the sweep",
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
        f"{prefix(where)}unknown parameter {shown(name)}; allowed: {', '.join(sorted(allowed))}"
        f"{did_you_mean(name, allowed)}"
    )


def each_once(pairs: Sequence[tuple[str, Any]], where: str) -> dict[str, Any]:
    """Names with their values; raises `ParameterError` for a name that is given twice."""
    values: dict[str, Any] = {}
    for name, value in pairs:
        if name in values:
            raise ParameterError(
                f"{prefix(where)}{name} is given twice, as {shown(values[name])} and as "
                f"{shown(value)}; allowed: each parameter once"
            )
        values[name] = value
    return values
