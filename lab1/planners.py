"""From a chapter's parameters to its runs, in the order in which they should be trained.

Standard library only: a plan, and with it every key, is made without torch and without the data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from .config import ModelSpec, RunSpec, TrainingConfig
from .distillation_config import DistillationConfig
from .errors import ParameterError


def mlp_runs(
    families: Sequence[str],
    *,
    dataset: str,
    depth: Sequence[int],
    seeds: Sequence[int],
    width: int,
    activation: str = "relu",
    dropout_rate: float = 0.0,
    sweep_depth: Sequence[int] | None = None,
    sweep_learning_rates: Sequence[float] | None = None,
    **training: Any,
) -> list[RunSpec]:
    """The grid of families and depths, and the learning-rate sweep, seed by seed.

    The sweep covers those of ``sweep_depth`` that are among ``depth``, so that asking for one
    depth trains that depth alone.
    """
    config = TrainingConfig(**training)
    swept = [each for each in sweep_depth or () if each in depth]
    settings = [(layers, config.learning_rate) for layers in depth]
    settings += [
        (layers, rate)
        for layers in swept
        for rate in sweep_learning_rates or ()
        if rate != config.learning_rate
    ]
    return [
        RunSpec(
            ModelSpec(family, layers, width, activation, dropout_rate),
            dataset,
            replace(config, learning_rate=rate),
            seed,
        )
        for seed in seeds
        for layers, rate in settings
        for family in families
    ]


def cnn_runs(
    families: Sequence[str],
    *,
    dataset: str,
    depth: Sequence[int],
    seeds: Sequence[int],
    channels: int | None = None,
    first_seed_depth: Sequence[int] | None = None,
    **training: Any,
) -> list[RunSpec]:
    """The grid of families and depths, seed by seed, so that a partial one has whole seeds.

    ``channels`` is for those families that take it.  Those of ``first_seed_depth`` that are among
    ``depth`` are trained with the first of ``seeds`` alone, and last.
    """
    config = TrainingConfig(**training)
    once = [each for each in depth if each in (first_seed_depth or ())]
    settings = [(seed, layers) for seed in seeds for layers in depth if layers not in once]
    settings += [(seeds[0], layers) for layers in once]
    return [
        RunSpec(ModelSpec(family, layers, channels=channels), dataset, config, seed)
        for seed, layers in settings
        for family in families
    ]


def distillation_runs(
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
    **digits_and_training: Any,
) -> list[RunSpec]:
    """One teacher; students with and without it, twin by twin; the sweeps; the digits.

    A sweep varies one of temperature, alpha and the student's width, the others as the students
    have them, with the first ``sweep_seeds`` of ``seeds``.  ``longer_epochs`` trains a student
    without a teacher for that many epochs, with the same seeds.  Teacher and students share the
    settings of the training but for the epochs.  What begins with ``digits_`` goes to
    :func:`digits_runs`, and is left out where there is no ``digits_dataset``.
    """
    digits = {n: v for n, v in digits_and_training.items() if n.startswith("digits_")}
    config = TrainingConfig(**{n: v for n, v in digits_and_training.items() if n not in digits})
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
    ) -> RunSpec:
        distillation = DistillationConfig(teacher, temperature, alpha)
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
    if digits.get("digits_dataset"):
        missing = [f"digits_{name}" for name in _DIGITS_NEED if f"digits_{name}" not in digits]
        if missing:
            raise ParameterError(f"digits_dataset needs a value for {', '.join(missing)}")
        runs += digits_runs(
            **{name.removeprefix("digits_"): value for name, value in digits.items()},
            batch_size=config.batch_size,
            validation_size=config.validation_size,
            precision=config.precision,
        )
    return list(dict.fromkeys(runs))


#: What the experiment on digits cannot be planned without.
_DIGITS_NEED = (
    "seeds",
    "student_width",
    "teacher_width",
    "epochs",
    "teacher_epochs",
    "temperature",
    "alpha",
)


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
    **shared: Any,
) -> list[RunSpec]:
    """The experiment of Hinton et al. (2015), section 3, on digits.

    A large perceptron of two hidden layers, regularised by dropout and by images that are shifted,
    teaches a smaller one that sees the images as they are.  With an ``omitted_class`` a student
    never sees that class, with the teacher and without.  The teacher that teaches has the first
    seed; it is trained with each, so that its own errors have an interval.
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
    return runs
