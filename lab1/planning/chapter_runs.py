"""The runs of each chapter, in the order of training, as a function of its parameters.

The signature says which parameters a profile, papermill or the command line may set: those without
a default are required, and `**training` stands for the fields of
`lab1.core.training_config.TrainingConfig`.  Its types say what each takes.  A page's sweeps and
controls are the same function of other values (`lab1.planning.chapters.plan_page`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

from ..core.families import FAMILIES
from ..core.fields import Field
from ..core.spec import (
    Activation,
    Channels,
    DatasetName,
    Depth,
    DropoutRate,
    FamilyName,
    HiddenSizes,
    Initialisation,
    LayersPerSkip,
    ModelSpec,
    Normalization,
    ResidualFactor,
    RunSpec,
    Seed,
    SkipCarries,
    Width,
)
from ..core.training_config import (
    Alpha,
    Augmentation,
    Count,
    DistillationConfig,
    Epochs,
    OmittedClass,
    Temperature,
    TrainingConfig,
    TrainSize,
    WrongClasses,
)

Families = Annotated[tuple[FamilyName, ...], "the model families that are compared"]
Seeds = Annotated[tuple[Seed, ...], "one run per seed"]


def perceptrons(
    *,
    families: Families,
    dataset: DatasetName,
    depth: tuple[Depth, ...],
    seeds: Seeds,
    width: Width,
    hidden_sizes: HiddenSizes | None = None,
    activation: Activation = "relu",
    dropout_rate: DropoutRate = 0.0,
    normalization: Normalization = "none",
    initialisation: Initialisation = "default",
    residual_factor: ResidualFactor = "inverse-sqrt",
    skip_carries: SkipCarries = "input",
    layers_per_skip: LayersPerSkip = 1,
    **training: Any,
) -> list[RunSpec]:
    """The grid of families and depths, seed by seed.

    `hidden_sizes` stand in place of `depth` and `width`.  What says how a network is designed holds
    for those of the families that have such a thing.
    """
    config = TrainingConfig(**training)
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
    return [
        RunSpec(_model(family, size, design), dataset, config, seed)
        for seed in seeds
        for size in sizes
        for family in families
    ]


def _model(family: str, size: dict[str, Any], design: dict[str, Any]) -> ModelSpec:
    """A model of that size, with as much of the design as its family takes.

    A user-defined family may also lack a width or channels.
    """
    declared = FAMILIES[family]
    taken = {
        **{n: value for n, value in size.items() if not declared.own or n in declared.fields},
        **{n: value for n, value in design.items() if n in declared.fields},
    }
    return ModelSpec(family, **taken)


def convolutional_networks(
    *,
    families: Families = ("SimpleCNN", "ResidualCNN"),
    dataset: DatasetName,
    depth: tuple[Depth, ...],
    seeds: Seeds,
    channels: Channels,
    **training: Any,
) -> list[RunSpec]:
    """The grid of families and depths, seed by seed."""
    config = TrainingConfig(**training)
    return [
        RunSpec(_model(family, {"depth": stages, "channels": channels}, {}), dataset, config, seed)
        for seed in seeds
        for stages in depth
        for family in families
    ]


def degradation(
    *,
    families: Families = ("PlainNet", "ResNet"),
    dataset: DatasetName,
    depth: tuple[Depth, ...],
    seeds: Seeds,
    train_evaluation_size: Annotated[
        Count, "training images scored in evaluation mode after each epoch"
    ],
    **training: Any,
) -> list[RunSpec]:
    """The grid of families and depths, seed by seed, so that a partial one has whole seeds."""
    config = TrainingConfig(**training, train_evaluation_size=train_evaluation_size)
    return [
        RunSpec(ModelSpec(family, layers), dataset, config, seed)
        for seed in seeds
        for layers in depth
        for family in families
    ]


def distillation(
    *,
    dataset: DatasetName,
    seeds: Seeds,
    students: Annotated[
        tuple[str, ...] | None,
        Field(
            "students trained with the teacher, or alone; none trains the teacher alone",
            choices=("alone", "taught"),
        ),
    ] = ("alone", "taught"),
    student_family: Annotated[FamilyName, "family of the student"] = "SimpleCNN",
    student_depth: Annotated[Depth, "stages of the student, or its hidden layers"],
    student_channels: Annotated[Channels | None, "feature maps of the student"] = None,
    student_width: Annotated[Width | None, "units in each of the student's hidden layers"] = None,
    teacher_family: Annotated[FamilyName, "family of the teacher"] = "ResidualCNN",
    teacher_depth: Annotated[Depth, "stages of the teacher, or its hidden layers"],
    teacher_channels: Annotated[Channels | None, "feature maps of the teacher"] = None,
    teacher_width: Annotated[Width | None, "units in each of the teacher's hidden layers"] = None,
    teacher_dropout_rate: Annotated[DropoutRate, "dropout of the teacher"] = 0.0,
    teacher_epochs: Annotated[Epochs, "epochs of the teacher"],
    teacher_augmentation: Annotated[
        Augmentation | None, "random changes of the teacher's images; none: the student's"
    ] = None,
    teacher_seed: Annotated[Seed, "seed of the teacher"],
    temperature: Temperature,
    alpha: Alpha,
    wrong_classes: WrongClasses = "kept",
    omitted_class: OmittedClass = None,
    train_size: TrainSize = None,
    **training: Any,
) -> list[RunSpec]:
    """A teacher, and students with and without it, twin by twin.

    Teacher and students share the settings of the training but for the epochs and, where it is
    given, the augmentation.  `omitted_class` and `train_size` are the students': the teacher sees
    all images.
    """
    shared = TrainingConfig(**training)
    config = replace(shared, omitted_class=omitted_class, train_size=train_size)
    augmentation = teacher_augmentation or shared.augmentation
    size = {"depth": teacher_depth, "channels": teacher_channels, "width": teacher_width}
    teacher = RunSpec(
        _model(teacher_family, size, {"dropout_rate": teacher_dropout_rate}),
        dataset,
        replace(shared, epochs=teacher_epochs, augmentation=augmentation),
        teacher_seed,
    )
    size = {"depth": student_depth, "channels": student_channels, "width": student_width}
    model = _model(student_family, size, {})
    taught = DistillationConfig(teacher, temperature, alpha, wrong_classes)
    kinds = {"alone": None, "taught": taught}
    runs = [] if students == ("alone",) else [teacher]
    return runs + [
        RunSpec(model, dataset, config, seed, kinds[student])
        for seed in seeds
        for student in students or ()
    ]
