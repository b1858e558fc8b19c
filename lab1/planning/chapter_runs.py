"""What each chapter runs, in the order of training, as a function of the chapter's parameters.

The signature says which parameters a profile, papermill or the command line may set: those without
a default are required, and `**training` stands for the fields of
`lab1.core.spec.TrainingConfig`.  Its types say what each takes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Annotated, Any

from ..core.distillation import Alpha, DistillationConfig, Temperature
from ..core.errors import ParameterError
from ..core.families import FAMILIES
from ..core.spec import (
    Activation,
    Channels,
    Count,
    DatasetName,
    Depth,
    DropoutRate,
    Epochs,
    FamilyName,
    HiddenSizes,
    Initialisation,
    LayersPerSkip,
    ModelSpec,
    Normalization,
    Optimizer,
    Precision,
    Rate,
    ResidualFactor,
    RunSpec,
    Seed,
    SkipCarries,
    Stages,
    TrainingConfig,
    Width,
)  # fmt: skip
from ..core.values import Field

Families = Annotated[tuple[FamilyName, ...], "the model families that are compared"]
Seeds = Annotated[tuple[Seed, ...], "one run per seed"]


def perceptrons(
    *,
    families: Families,
    dataset: DatasetName,
    depth: tuple[Depth, ...],
    seeds: Seeds,
    width: tuple[Width, ...],
    hidden_sizes: HiddenSizes | None = None,
    activation: Activation = "relu",
    dropout_rate: DropoutRate = 0.0,
    normalization: Normalization = "none",
    initialisation: Initialisation = "default",
    residual_factor: ResidualFactor = "inverse-sqrt",
    skip_carries: SkipCarries = "input",
    layers_per_skip: LayersPerSkip = 1,
    optimizer: tuple[Optimizer, ...] = ("adam",),
    sweep_depth: Annotated[
        tuple[Depth, ...] | None, "hidden layers in the learning-rate sweep"
    ] = None,
    sweep_learning_rates: Annotated[tuple[Rate, ...] | None, "learning rates of the sweep"] = None,
    changes_depth: Annotated[
        tuple[Depth, ...] | None, "hidden layers at which single changes of the design are trained"
    ] = None,
    **training: Any,
) -> list[RunSpec]:
    """The grid of families and depths, and the learning-rate sweep, seed by seed.

    The sweep covers those of `sweep_depth` that are among `depth`, so that asking for one
    depth trains that depth alone.  So do the single changes of the design (`SINGLE_CHANGES`)
    with `changes_depth`, of those families that are compared.  `hidden_sizes` stand in place of
    `depth` and `width`.  What says how a network is designed holds
    for those of the families that have such a thing.
    """
    configs = [TrainingConfig(**training, optimizer=each) for each in optimizer]
    config = configs[0]
    if hidden_sizes is not None:
        depth, width = (len(hidden_sizes),), (hidden_sizes[0],)
    asked: dict[str, Any] = {
        "activation": activation,
        "dropout_rate": dropout_rate,
        "normalization": normalization,
        "initialisation": initialisation,
        "residual_factor": residual_factor,
        "skip_carries": skip_carries,
        "layers_per_skip": layers_per_skip,
    }
    changed = [each for each in changes_depth or () if each in depth]
    swept = [each for each in sweep_depth or () if each in depth]
    settings = [(layers, config.learning_rate) for layers in depth]
    settings += [
        (layers, rate)
        for layers in swept
        for rate in sweep_learning_rates or ()
        if rate != config.learning_rate
    ]

    def design(family: str, layers: int, units: int) -> ModelSpec:
        taken = {name: value for name, value in asked.items() if name in FAMILIES[family].fields}
        if hidden_sizes is not None:
            return ModelSpec(family, hidden_sizes=hidden_sizes, **taken)
        return ModelSpec(family, layers, _if_taken(family, "width", units), **taken)

    runs = []
    for seed, training_config, units in product(seeds, configs, width):
        runs += [
            RunSpec(
                design(family, layers, units),
                dataset,
                replace(training_config, learning_rate=rate),
                seed,
            )
            for layers, rate in settings
            for family in families
        ]
        runs += [
            RunSpec(
                replace(design(family, layers, units), **change), dataset, training_config, seed
            )
            for layers in changed
            for family, change in SINGLE_CHANGES
            if family in families
        ]
    return runs


#: By family, a change of one thing in its design that leads from a plain perceptron towards a
#: residual one, or back.
SINGLE_CHANGES: Sequence[tuple[str, Mapping[str, Any]]] = (
    ("MLP", {"initialisation": "identity"}),
    ("MLP", {"normalization": "layer"}),
    ("ResidualMLP", {"residual_factor": "one"}),
)


def _if_taken(family: str, field: str, value: int) -> int | None:
    """The value, unless it is for a reader's own family that has no such field."""
    declared = FAMILIES[family]
    return None if declared.own and field not in declared.fields else value


def convolutional_networks(
    *,
    families: Families = ("SimpleCNN", "ResidualCNN"),
    dataset: DatasetName,
    depth: tuple[Depth, ...],
    seeds: Seeds,
    channels: tuple[Channels, ...],
    size_channels: Annotated[
        tuple[Channels, ...] | None, "further feature maps of SimpleCNN with the most stages"
    ] = None,
    optimizer: tuple[Optimizer, ...] = ("adam",),
    **training: Any,
) -> list[RunSpec]:
    """The grid of families, depths and widths, seed by seed.

    `SimpleCNN` of the greatest depth also has `size_channels`, so that it can be compared at equal
    size.
    """
    configs = [TrainingConfig(**training, optimizer=each) for each in optimizer]
    sizes = [("SimpleCNN", max(depth), maps) for maps in size_channels or ()]
    cells = [(family, *cell) for cell in product(depth, channels) for family in families]

    def design(family: str, stages: int, maps: int) -> ModelSpec:
        return ModelSpec(family, stages, channels=_if_taken(family, "channels", maps))

    return [
        RunSpec(design(family, stages, maps), dataset, config, seed)
        for seed, config in product(seeds, configs)
        for family, stages, maps in [*cells, *sizes]
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
    optimizer: tuple[Optimizer, ...] = ("adam",),
    first_seed_depth: Annotated[
        tuple[Depth, ...] | None, "depths that cost too much for more than the first seed"
    ] = None,
    compared_precision: Annotated[
        Precision | None, "precision in which networks are trained once more"
    ] = None,
    compared_depth: Annotated[tuple[Depth, ...] | None, "depths in that precision"] = None,
    compared_first_seed_depth: Annotated[
        tuple[Depth, ...] | None, "further depths in that precision, for the first of their seeds"
    ] = None,
    compared_seeds: Annotated[tuple[Seed, ...] | None, "seeds of the controls"] = None,
    gentle_learning_rate: Annotated[
        Rate | None, "peak at which a plain network is trained once more"
    ] = None,
    gentle_depth: Annotated[Depth | None, "depth of that network"] = None,
    deepest_depth: Annotated[Depth | None, "depth that is trained for a few epochs only"] = None,
    deepest_epochs: Annotated[Epochs | None, "epochs at that depth"] = None,
    deepest_learning_rates: Annotated[
        tuple[Rate, ...] | None, "learning rates at that depth"
    ] = None,
    **training: Any,
) -> list[RunSpec]:
    """The grid of families and depths, seed by seed, so that a partial one has whole seeds.

    Those of `first_seed_depth` that are among `depth` are trained with the first of `seeds` alone,
    and last.  Then the controls, with `compared_seeds`: the networks of `compared_depth` in
    `compared_precision`, and those of `compared_first_seed_depth` for the first of these seeds; the
    first family's network of `gentle_depth` at `gentle_learning_rate`, with the first; and
    networks of `deepest_depth`, with the first, for `deepest_epochs` at each of
    `deepest_learning_rates`.  Who asks for other depths or seeds trains no controls for them.
    """
    once = [each for each in depth if each in (first_seed_depth or ())]
    settings = [(seed, layers) for seed in seeds for layers in depth if layers not in once]
    settings += [(seeds[0], layers) for layers in once]
    training["train_evaluation_size"] = train_evaluation_size
    configs = [TrainingConfig(**training, optimizer=each) for each in optimizer]

    def grid(settings: Sequence[tuple[int, int]], **changes: Any) -> list[RunSpec]:
        return [
            RunSpec(ModelSpec(family, layers), dataset, replace(config, **changes), seed)
            for seed, layers in settings
            for config in configs
            for family in families
        ]

    runs = grid(settings)
    first, *_ = compared_seeds = compared_seeds or seeds
    if compared_precision:
        settings = [(seed, layers) for seed in compared_seeds for layers in compared_depth or depth]
        settings += [(first, layers) for layers in compared_first_seed_depth or ()]
        runs += grid(settings, precision=compared_precision)
    if gentle_learning_rate:
        gentle = grid([(first, gentle_depth or max(depth))], learning_rate=gentle_learning_rate)
        runs += [spec for spec in gentle if spec.model.family == families[0]]
    if deepest_depth:
        for rate in deepest_learning_rates or (configs[0].learning_rate,):
            changes = {"learning_rate": rate, "epochs": deepest_epochs or configs[0].epochs}
            runs += grid([(first, deepest_depth)], **changes)
    return runs


def distillation(
    *,
    dataset: DatasetName,
    seeds: Seeds,
    student_channels: Annotated[Channels, "feature maps of the student"],
    student_depth: Annotated[Stages, "stages of the student"],
    teacher_channels: Annotated[Channels, "feature maps of the teacher"],
    teacher_depth: Annotated[Stages, "stages of the teacher"],
    teacher_epochs: Annotated[Epochs, "epochs of the teacher"],
    teacher_seed: Annotated[Seed, "seed of the teacher"],
    temperature: Temperature,
    alpha: Alpha,
    sweep_seeds: Annotated[
        tuple[Seed, ...] | None, "seeds of the sweeps and of the student trained longer"
    ] = None,
    sweep_temperatures: Annotated[
        tuple[Temperature, ...] | None, "temperatures of the sweep"
    ] = None,
    sweep_alphas: Annotated[
        tuple[Alpha, ...] | None, "weights of the soft loss in the sweep"
    ] = None,
    sweep_channels: Annotated[
        tuple[Channels, ...] | None, "feature maps of the students in the sweep"
    ] = None,
    longer_epochs: Annotated[
        Epochs | None, "epochs of a student that trains alone for the teacher's cost"
    ] = None,
    # Whether it is the teacher that helps: students alone with what else the teacher may bring.
    control_seeds: Annotated[
        tuple[Seed, ...] | None, "seeds of the controls, and of further teachers' students"
    ] = None,
    control_label_smoothing: Annotated[
        float | None, Field("label smoothing of a student alone", gt=0, lt=1)
    ] = None,
    control_learning_rates: Annotated[
        tuple[Rate, ...] | None, "learning rates of students alone"
    ] = None,
    control_wrong_classes: Annotated[
        str | None, Field("a student that learns from such a teacher", choices=("permuted",))
    ] = None,
    further_teacher_seeds: Annotated[tuple[Seed, ...] | None, "seeds of further teachers"] = None,
    fresh_seeds: Annotated[
        tuple[Seed, ...] | None, "seeds that had no part in the choice of temperature and alpha"
    ] = None,
    fresh_temperature: Annotated[Temperature | None, "temperature that validation chose"] = None,
    fresh_alpha: Annotated[Alpha | None, "weight of the soft loss that validation chose"] = None,
    digits_dataset: Annotated[
        str | None,
        Field("the digits; none leaves them out", choices=("mnist", "smoke-grey")),
    ] = None,
    digits_seeds: Annotated[Seeds | None, "one run of each kind per seed"] = None,
    digits_student_width: Annotated[
        Width | None, "units in each of the student's hidden layers"
    ] = None,
    digits_teacher_width: Annotated[
        Width | None, "units in each of the teacher's hidden layers"
    ] = None,
    digits_epochs: Annotated[Epochs | None, "epochs of the student"] = None,
    digits_teacher_epochs: Annotated[Epochs | None, "epochs of the teacher"] = None,
    digits_temperature: Annotated[Temperature | None, "temperature on digits"] = None,
    digits_alpha: Annotated[Alpha | None, "weight of the soft loss on digits"] = None,
    digits_omitted_class: Annotated[
        int | None, Field("the digit that a student never sees", ge=0, le=9)
    ] = None,
    digits_small_width: Annotated[
        Width | None, "units in each hidden layer of a far smaller student"
    ] = None,
    digits_small_temperatures: Annotated[
        tuple[Temperature, ...] | None, "temperatures of the far smaller student"
    ] = None,
    optimizer: tuple[Optimizer, ...] = ("adam",),
    **training: Any,
) -> list[RunSpec]:
    """One teacher; students with and without it, twin by twin; sweeps, controls and the digits.

    A sweep varies one of temperature, alpha and the student's width, the others as the students
    have them, with the first `sweep_seeds` of `seeds`.  `longer_epochs` trains a student
    without a teacher for that many epochs, with the same seeds.

    The controls, with `control_seeds`, are students alone with smoothed labels and at other
    learning rates, students of a teacher whose wrong classes are permuted, and students of the
    teachers with `further_teacher_seeds`.  Twins with `fresh_seeds` are trained at the
    temperature and alpha that validation chose on other seeds; the role of each run at that setting
    says whether its seed is one of them or had a part in the choice.

    Teacher and students share the settings of the training but for the epochs.  What begins with
    `digits_` goes to `digits_runs`, and is left out where there is no `digits_dataset`.
    """
    if len(optimizer) > 1:
        raise ParameterError(
            f"optimizer = {list(optimizer)} is not allowed; allowed: one, since all compared with "
            "a student are trained as it is"
        )
    config = TrainingConfig(**training, optimizer=optimizer[0])
    teacher = RunSpec(
        ModelSpec("ResidualCNN", teacher_depth, channels=teacher_channels),
        dataset,
        replace(config, epochs=teacher_epochs),
        teacher_seed,
    )

    def alone(seed: int, channels: int = student_channels, **changes: Any) -> RunSpec:
        model = ModelSpec("SimpleCNN", student_depth, channels=channels)
        return RunSpec(model, dataset, replace(config, **changes), seed)

    def taught(
        seed: int,
        channels: int = student_channels,
        temperature: float = temperature,
        alpha: float = alpha,
        teacher: RunSpec = teacher,
        wrong_classes: str = "kept",
    ) -> RunSpec:
        distillation = DistillationConfig(teacher, temperature, alpha, wrong_classes)
        role = None
        if (temperature, alpha) == (fresh_temperature, fresh_alpha):
            fresh = seed in (fresh_seeds or ())
            role = "fresh" if fresh else "chose" if seed in (sweep_seeds or ()) else None
        return replace(alone(seed, channels), distillation=distillation, role=role)

    runs = [teacher]
    runs += [run for seed in seeds for run in (alone(seed), taught(seed))]
    for seed in sweep_seeds or ():
        runs += [taught(seed, temperature=each) for each in sweep_temperatures or ()]
        runs += [taught(seed, alpha=each) for each in sweep_alphas or ()]
        runs += [
            run
            for channels in sweep_channels or ()
            for run in (alone(seed, channels), taught(seed, channels))
        ]
        runs += [alone(seed, epochs=longer_epochs)] if longer_epochs else []
    for seed in control_seeds or ():
        if control_label_smoothing:
            runs += [alone(seed, label_smoothing=control_label_smoothing)]
        if control_wrong_classes:
            runs += [taught(seed, wrong_classes=control_wrong_classes)]
        runs += [alone(seed, learning_rate=rate) for rate in control_learning_rates or ()]
    if fresh_seeds:
        if fresh_temperature is None or fresh_alpha is None:
            raise ParameterError("fresh_seeds needs a value for fresh_temperature and fresh_alpha")
        for seed in fresh_seeds:
            runs += [alone(seed), taught(seed, temperature=fresh_temperature, alpha=fresh_alpha)]
    further = [replace(teacher, seed=seed) for seed in further_teacher_seeds or ()]
    runs += [*further]
    runs += [taught(seed, teacher=each) for seed in control_seeds or () for each in further]
    if digits_dataset:
        needed = {
            "seeds": digits_seeds,
            "student_width": digits_student_width,
            "teacher_width": digits_teacher_width,
            "epochs": digits_epochs,
            "teacher_epochs": digits_teacher_epochs,
            "temperature": digits_temperature,
            "alpha": digits_alpha,
        }
        missing = [f"digits_{name}" for name, value in needed.items() if value is None]
        if missing:
            raise ParameterError(f"digits_dataset needs a value for {', '.join(missing)}")
        runs += digits_runs(
            **needed,  # type: ignore[arg-type]  # none of them is missing
            dataset=digits_dataset,
            omitted_class=digits_omitted_class,
            small_width=digits_small_width,
            small_temperatures=digits_small_temperatures,
            batch_size=config.batch_size,
            validation_size=config.validation_size,
            precision=config.precision,
        )
    return list(dict.fromkeys(runs))


def digits_runs(
    *,
    dataset: str,
    seeds: Sequence[int],
    student_width: int,
    teacher_width: int,
    epochs: int,
    teacher_epochs: int,
    temperature: float,
    alpha: float,
    omitted_class: int | None = None,
    small_width: int | None = None,
    small_temperatures: Sequence[float] | None = None,
    **shared: Any,
) -> list[RunSpec]:
    """The experiment of Hinton et al. (2015), section 3, on digits.

    A large perceptron of two hidden layers, regularised by dropout and by images that are shifted,
    teaches a smaller one that sees the images as they are.  With an `omitted_class` a student
    never sees that class, with the teacher and without.  The teacher that teaches has the first
    seed; it is trained with each, so that its own errors have an interval.  A far smaller student,
    of `small_width`, learns at each of `small_temperatures`, and alone.
    """
    config = TrainingConfig(epochs=epochs, schedule="cosine", **shared)
    of_teacher = replace(config, epochs=teacher_epochs, augmentation="shift")
    large = ModelSpec("MLP", 2, teacher_width, dropout_rate=0.5)
    small = ModelSpec("MLP", 2, student_width)
    teachers = [RunSpec(large, dataset, of_teacher, seed) for seed in seeds]
    distillation = DistillationConfig(teachers[0], temperature, alpha)
    runs = list(teachers)
    for seed in seeds:
        student = RunSpec(small, dataset, config, seed)
        without = replace(student, training=replace(config, omitted_class=omitted_class))
        for run in (student, without):
            runs += [run, replace(run, distillation=distillation)]
    for seed in seeds if small_width else ():
        student = RunSpec(ModelSpec("MLP", 2, small_width), dataset, config, seed)
        runs += [student]
        runs += [
            replace(student, distillation=replace(distillation, temperature=each))
            for each in small_temperatures or ()
        ]
    return runs
