"""The chapters: each is a function from its parameters to its runs, in the order of training.

The signature says which parameters a profile, papermill or the command line may set: those without
a default are required, and `**training` stands for the fields of
`lab1.config.TrainingConfig`.  Types and ranges are those of `lab1.parameters`.  A plan, and with it
every key, is made without torch and without the data.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property, partial
from itertools import product
from typing import Any

from ..core import parameters
from ..core.distillation import DistillationConfig
from ..core.errors import ParameterError
from ..core.spec import ModelSpec, RunSpec, TrainingConfig


def perceptrons(
    *,
    families: Sequence[str],
    dataset: str,
    depth: Sequence[int],
    seeds: Sequence[int],
    width: Sequence[int],
    activation: str = "relu",
    dropout_rate: float = 0.0,
    optimizer: Sequence[str] = ("adam",),
    sweep_depth: Sequence[int] | None = None,
    sweep_learning_rates: Sequence[float] | None = None,
    changes_depth: Sequence[int] | None = None,
    **training: Any,
) -> list[RunSpec]:
    """The grid of families and depths, and the learning-rate sweep, seed by seed.

    The sweep covers those of `sweep_depth` that are among `depth`, so that asking for one
    depth trains that depth alone.  So do the single changes of the design (`SINGLE_CHANGES`)
    with `changes_depth`, of those families that are compared.
    """
    configs = [TrainingConfig(**training, optimizer=each) for each in optimizer]
    config = configs[0]
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
        return ModelSpec(family, layers, units, activation, dropout_rate)

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


def convolutional_networks(
    *,
    families: Sequence[str] = ("SimpleCNN", "ResidualCNN"),
    dataset: str,
    depth: Sequence[int],
    seeds: Sequence[int],
    channels: Sequence[int],
    optimizer: Sequence[str] = ("adam",),
    **training: Any,
) -> list[RunSpec]:
    """The grid of families, depths and widths, seed by seed."""
    configs = [TrainingConfig(**training, optimizer=each) for each in optimizer]
    return [
        RunSpec(ModelSpec(family, stages, channels=maps), dataset, config, seed)
        for seed, stages, config, maps in product(seeds, depth, configs, channels)
        for family in families
    ]


def degradation(
    *,
    families: Sequence[str] = ("PlainNet", "ResNet"),
    dataset: str,
    depth: Sequence[int],
    seeds: Sequence[int],
    train_evaluation_size: int,
    optimizer: Sequence[str] = ("adam",),
    first_seed_depth: Sequence[int] | None = None,
    **training: Any,
) -> list[RunSpec]:
    """The grid of families and depths, seed by seed, so that a partial one has whole seeds.

    Those of `first_seed_depth` that are among `depth` are trained with the first of `seeds` alone,
    and last.
    """
    once = [each for each in depth if each in (first_seed_depth or ())]
    settings = [(seed, layers) for seed in seeds for layers in depth if layers not in once]
    settings += [(seeds[0], layers) for layers in once]
    training["train_evaluation_size"] = train_evaluation_size
    configs = [TrainingConfig(**training, optimizer=each) for each in optimizer]
    return [
        RunSpec(ModelSpec(family, layers), dataset, config, seed)
        for seed, layers in settings
        for config in configs
        for family in families
    ]


def distillation(
    *,
    dataset: str,
    seeds: Sequence[int],
    student_channels: int,
    student_depth: int,
    teacher_channels: int,
    teacher_depth: int,
    teacher_epochs: int,
    teacher_seed: int,
    temperature: float,
    alpha: float,
    sweep_seeds: Sequence[int] | None = None,
    sweep_temperatures: Sequence[float] | None = None,
    sweep_alphas: Sequence[float] | None = None,
    sweep_channels: Sequence[int] | None = None,
    longer_epochs: int | None = None,
    control_seeds: Sequence[int] | None = None,
    control_label_smoothing: float | None = None,
    control_learning_rates: Sequence[float] | None = None,
    control_wrong_classes: str | None = None,
    further_teacher_seeds: Sequence[int] | None = None,
    fresh_seeds: Sequence[int] | None = None,
    fresh_temperature: float | None = None,
    fresh_alpha: float | None = None,
    digits_dataset: str | None = None,
    digits_seeds: Sequence[int] | None = None,
    digits_student_width: int | None = None,
    digits_teacher_width: int | None = None,
    digits_epochs: int | None = None,
    digits_teacher_epochs: int | None = None,
    digits_temperature: float | None = None,
    digits_alpha: float | None = None,
    digits_omitted_class: int | None = None,
    digits_small_width: int | None = None,
    digits_small_temperatures: Sequence[float] | None = None,
    optimizer: Sequence[str] = ("adam",),
    **training: Any,
) -> list[RunSpec]:
    """One teacher; students with and without it, twin by twin; sweeps, controls and the digits.

    A sweep varies one of temperature, alpha and the student's width, the others as the students
    have them, with the first `sweep_seeds` of `seeds`.  `longer_epochs` trains a student
    without a teacher for that many epochs, with the same seeds.

    The controls, with `control_seeds`, are students alone with smoothed labels and at other
    learning rates, students of a teacher whose wrong classes are permuted, and students of the
    teachers with `further_teacher_seeds`.  Twins with `fresh_seeds` are trained at the
    temperature and alpha that validation chose on other seeds.

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
        return replace(alone(seed, channels), distillation=distillation)

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


# What is measured on a run afterwards


#: Runs of this seed also have the gradient of their first step measured.
_FIRST_SEED = 0


def _with_gradient(*probes: str) -> Callable[[RunSpec], tuple[str, ...]]:
    """The probes of a run that has no teacher: these, and how exact its first gradient is."""
    return lambda spec: probes + (("gradient-agreement",) if spec.seed == _FIRST_SEED else ())


def _distillation_probes(spec: RunSpec) -> tuple[str, ...]:
    """What the teacher of photographs answers, and what a student knows of a class unseen."""
    if spec.training.omitted_class is not None:
        return ("bias-correction", *(("int8-weights",) if spec.seed == _FIRST_SEED else ()))
    if spec.distillation is not None:
        return ()
    return _with_gradient(*(("softened",) if spec.model.family == "ResidualCNN" else ()))(spec)


def _degradation_probes(spec: RunSpec) -> tuple[str, ...]:
    """Gradients by layer, and whether the running statistics are to blame for a training error.

    The latter of runs in float32 alone: where bf16 spoils the gradients, it explains nothing.
    """
    further = ("recomputed-statistics",) if spec.training.precision == "float32" else ()
    return _with_gradient("layers", *further)(spec)


# The chapters


@dataclass(frozen=True)
class Chapter:
    """A chapter: how its parameters become runs, and what else it shows.

    `runs` is the function.  `probes` names what is measured on a run right after its training.
    `reads_benchmarks` says that the chapter shows the published benchmarks, `reads_pages` that it
    plans no run and shows the records there are of the profile's other pages.
    """

    runs: Callable[..., list[RunSpec]] = list
    probes: Callable[[RunSpec], tuple[str, ...]] = lambda spec: ()
    reads_benchmarks: bool = False
    reads_pages: bool = False

    @cached_property
    def _signature(self) -> Mapping[str, inspect.Parameter]:
        return {} if self.runs is list else inspect.signature(self.runs).parameters

    @cached_property
    def required(self) -> tuple[str, ...]:
        """The parameters that the profile or the reader must set."""
        return tuple(
            name
            for name, each in self._signature.items()
            if each.default is each.empty and each.kind is each.KEYWORD_ONLY
        )

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        """The names that a profile, papermill or the command line may set, required ones first."""
        signature = self._signature
        named = [name for name, each in signature.items() if each.kind is each.KEYWORD_ONLY]
        takes_training = len(named) < len(signature)
        further = _TRAINING_FIELDS if takes_training else ()
        return tuple(dict.fromkeys((*self.required, *named, *further)))


#: What `**training` stands for.  No chapter shows the training error in evaluation mode, or trains
#: without a class, unless its signature says so.
_TRAINING_FIELDS = tuple(
    each.name
    for each in fields(TrainingConfig)
    if each.name not in ("train_evaluation_size", "omitted_class")
)

CHAPTERS: Mapping[str, Chapter] = {
    "1_1": Chapter(partial(perceptrons, families=("MLP",)), _with_gradient()),
    "1_2": Chapter(partial(perceptrons, families=("MLP", "ResidualMLP")), _with_gradient()),
    "1_3": Chapter(convolutional_networks, _with_gradient("confusion", "hardest")),
    "2_2": Chapter(distillation, _distillation_probes),
    "depth": Chapter(degradation, _degradation_probes, reads_benchmarks=True),
    # No runs of their own: how fast they are made, and what all pages together say.
    "performance": Chapter(reads_benchmarks=True),
    "dynamics": Chapter(reads_pages=True),
    "summary": Chapter(reads_pages=True),
}


def chapter(name: str) -> Chapter:
    """The chapter of that name; raises `ParameterError` for any other."""
    if name not in CHAPTERS:
        raise ParameterError(
            f"chapter {name!r} is not allowed; allowed: {', '.join(sorted(CHAPTERS))}"
        )
    return CHAPTERS[name]


def check_parameters(name: str, values: Mapping[str, Any], where: str = "") -> dict[str, Any]:
    """The checked values of a chapter's parameters.

    Raises `ParameterError` for an unknown name, a wrong type or a value out of
    range, naming `where` it stood (by default, the chapter).
    """
    where = where or f"chapter {name}"
    allowed = chapter(name).parameters
    for given in values:
        if given not in allowed:
            raise parameters.unknown(given, allowed, where)
    return {given: parameters.check(given, value, where) for given, value in values.items()}


def plan(name: str, **values: Any) -> list[RunSpec]:
    """The runs that a chapter wants, in the order in which they should be trained: teachers first.

    Raises `ParameterError` for a parameter that is missing, unknown, of the
    wrong type or out of range.
    """
    checked = check_parameters(name, values)
    missing = [each for each in chapter(name).required if each not in checked]
    if missing:
        raise ParameterError(f"chapter {name}: needs a value for {', '.join(missing)}")
    try:
        return teachers_first(chapter(name).runs(**checked))
    except ParameterError as error:  # a combination that no single declaration rules out
        raise ParameterError(f"chapter {name}: {error}") from error


def teachers_first(specs: Sequence[RunSpec]) -> list[RunSpec]:
    """The same runs, each once, in their order, but for teachers before their students."""
    listed = set(specs)
    lines = ((*reversed(spec.teachers), spec) for spec in specs)
    return list(dict.fromkeys(each for line in lines for each in line if each in listed))
