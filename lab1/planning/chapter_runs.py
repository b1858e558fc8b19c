"""The runs of each chapter, in the order of training, as a function of its parameters.

The signature says which parameters a profile, papermill or the command line may set: those without
a default are required, and `**training` stands for the fields of
`lab1.core.training_config.TrainingConfig`.  Its types say what each takes.  A page's sweeps and
controls are the same function of other values (`lab1.planning.chapters.plan_page`).
"""

from dataclasses import replace
from typing import Annotated, Any

from ..core import spec
from ..core import training_config as settings
from ..core.families import FAMILIES
from ..core.fields import Field
from ..core.spec import ModelSpec, RunSpec
from ..core.training_config import DistillationConfig, TrainingConfig

Families = Annotated[tuple[spec.FamilyName, ...], "the model families that are compared"]
Seeds = Annotated[tuple[spec.Seed, ...], "one run per seed"]


def perceptrons(
    *,
    families: Families,
    dataset: spec.DatasetName,
    depth: tuple[spec.Depth, ...],
    seeds: Seeds,
    width: spec.Width,
    hidden_sizes: spec.HiddenSizes | None = None,
    activation: spec.Activation = "relu",
    dropout_rate: spec.DropoutRate = 0.0,
    normalization: spec.Normalization = "none",
    initialisation: spec.Initialisation = "default",
    residual_factor: spec.ResidualFactor = "inverse-sqrt",
    skip_carries: spec.SkipCarries = "input",
    layers_per_skip: spec.LayersPerSkip = 1,
    **training: Any,
) -> list[RunSpec]:
    """The grid of families and depths, seed by seed.

    `hidden_sizes` stand in place of `depth` and `width`.  What says how a network is designed holds
    for those of the families that have such a thing.
    """
    design = {
        "activation": activation,
        "dropout_rate": dropout_rate,
        "normalization": normalization,
        "initialisation": initialisation,
        "residual_factor": residual_factor,
        "skip_carries": skip_carries,
        "layers_per_skip": layers_per_skip,
    }
    sizes: list[dict[str, Any]] = [{"depth": layers, "width": width} for layers in depth]
    if hidden_sizes is not None:
        sizes = [{"hidden_sizes": hidden_sizes}]
    config = TrainingConfig(**training)
    models = [_model(family, size, design) for size in sizes for family in families]
    return [RunSpec(model, dataset, config, seed) for seed in seeds for model in models]


def convolutional_networks(
    *,
    families: Families = ("SimpleCNN", "ResidualCNN"),
    dataset: spec.DatasetName,
    depth: tuple[spec.Depth, ...],
    seeds: Seeds,
    channels: spec.Channels,
    **training: Any,
) -> list[RunSpec]:
    """The grid of families and depths, seed by seed."""
    config = TrainingConfig(**training)
    sizes = [{"depth": stages, "channels": channels} for stages in depth]
    models = [_model(family, size) for size in sizes for family in families]
    return [RunSpec(model, dataset, config, seed) for seed in seeds for model in models]


def degradation(
    *,
    families: Families = ("PlainNet", "ResNet"),
    dataset: spec.DatasetName,
    depth: tuple[spec.Depth, ...],
    seeds: Seeds,
    train_evaluation_size: settings.TrainEvaluationSize,
    **training: Any,
) -> list[RunSpec]:
    """The grid of families and depths, seed by seed, so that a partial one has whole seeds."""
    config = TrainingConfig(**training, train_evaluation_size=train_evaluation_size)
    models = [ModelSpec(family, layers) for layers in depth for family in families]
    return [RunSpec(model, dataset, config, seed) for seed in seeds for model in models]


def _model(family: str, size: dict[str, Any], design: dict[str, Any] | None = None) -> ModelSpec:
    """A model of that size, with as much of the design as its family takes.

    A user-defined family may also lack a width or channels.
    """
    declared = FAMILIES[family]
    given = {**size, **(design or {})}
    checked = () if declared.user_defined else size  # what a family does not take it refuses
    taken = {n: value for n, value in given.items() if n in declared.fields or n in checked}
    return ModelSpec(family, **taken)


def distillation(
    *,
    dataset: spec.DatasetName,
    seeds: Seeds,
    students: Annotated[
        tuple[str, ...] | None,
        Field(
            "students trained with the teacher, or alone; none trains the teacher alone",
            choices=("alone", "taught"),
        ),
    ] = ("alone", "taught"),
    student_family: Annotated[spec.FamilyName, "family of the student"] = "SimpleCNN",
    student_depth: Annotated[spec.Depth, "stages of the student, or its hidden layers"],
    student_channels: Annotated[spec.Channels | None, "feature maps of the student"] = None,
    student_width: Annotated[
        spec.Width | None, "units in each of the student's hidden layers"
    ] = None,
    teacher_family: Annotated[spec.FamilyName, "family of the teacher"] = "ResidualCNN",
    teacher_depth: Annotated[spec.Depth, "stages of the teacher, or its hidden layers"],
    teacher_channels: Annotated[spec.Channels | None, "feature maps of the teacher"] = None,
    teacher_width: Annotated[
        spec.Width | None, "units in each of the teacher's hidden layers"
    ] = None,
    teacher_dropout_rate: Annotated[spec.DropoutRate, "dropout of the teacher"] = 0.0,
    teacher_epochs: Annotated[settings.Epochs, "epochs of the teacher"],
    teacher_augmentation: Annotated[
        settings.Augmentation | None, "random changes of the teacher's images; none: the student's"
    ] = None,
    teacher_seed: Annotated[spec.Seed, "seed of the teacher"],
    temperature: settings.Temperature,
    alpha: settings.Alpha,
    wrong_classes: settings.WrongClasses = "kept",
    omitted_class: settings.OmittedClass = None,
    train_size: settings.TrainSize = None,
    **training: Any,
) -> list[RunSpec]:
    """A teacher, and students with and without it, twin by twin.

    Teacher and students share the settings of the training but for the epochs and, where it is
    given, the augmentation.  `omitted_class`, `train_size` and `pretrained` are the students': the
    teacher sees all images.
    """
    shared = TrainingConfig(**training)
    config = replace(shared, omitted_class=omitted_class, train_size=train_size)
    augmentation = teacher_augmentation or shared.augmentation
    size = {"depth": teacher_depth, "channels": teacher_channels, "width": teacher_width}
    teacher = RunSpec(
        _model(teacher_family, size, {"dropout_rate": teacher_dropout_rate}),
        dataset,
        replace(shared, epochs=teacher_epochs, augmentation=augmentation, pretrained=None),
        teacher_seed,
    )
    size = {"depth": student_depth, "channels": student_channels, "width": student_width}
    model = _model(student_family, size)
    taught = DistillationConfig(teacher, temperature, alpha, wrong_classes)
    kinds = {"alone": None, "taught": taught}
    runs = [] if students == ("alone",) else [teacher]
    return runs + [
        RunSpec(model, dataset, config, seed, kinds[student])
        for seed in seeds
        for student in students or ()
    ]
