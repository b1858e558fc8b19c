"""From parameters to the runs that a chapter wants, and to their records.

``plan`` names the runs; ``ensure`` reads their records and trains those that are missing.  Only
then is the training half imported.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache, partial
from itertools import chain
from statistics import median
from typing import Any

from . import parameters, planners
from .config import RunSpec, RuntimeOptions, TrainingConfig
from .errors import Lab1Error, MissingRunsError, ParameterError
from .lineage import teachers_first, with_teachers
from .store import Record, Replacement, Store

#: What most chapters let a reader change; they show no training error in evaluation mode, and no
#: class that was never seen.
_TRAINING_PARAMETERS = tuple(
    each.name
    for each in fields(TrainingConfig)
    if each.name not in ("train_evaluation_size", "omitted_class")
)


@dataclass(frozen=True)
class Chapter:
    """A chapter's parameters and how they become runs.

    ``required`` parameters must come from the profile or the reader; ``optional`` ones have a
    default in :mod:`lab1.config` or mean "none".  ``probes`` names those that are measured on a
    run, so that the chapter can show any of them where the weights are not.  ``reads_benchmarks``
    says that the chapter shows what :mod:`lab1.benchmarks` has published, ``reads_pages`` that it
    plans no run and shows the records there are of the profile's other pages.
    """

    planner: Callable[..., list[RunSpec]]
    required: tuple[str, ...]
    optional: tuple[str, ...]
    reads_benchmarks: bool = False
    reads_pages: bool = False
    probes: Callable[[RunSpec], tuple[str, ...]] = lambda spec: ()

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names that a profile, papermill or the command line may set."""
        return self.required + self.optional


#: Those of the first seed also have the gradient of their first step measured.
_FIRST_SEED = 0


def _with_gradient(*probes: str) -> Callable[[RunSpec], tuple[str, ...]]:
    """The probes of a run that has no teacher: these, and how exact its first gradient is."""
    return lambda spec: probes + (("gradient-agreement",) if spec.seed == _FIRST_SEED else ())


def _mlp_chapter(*families: str) -> Chapter:
    return Chapter(
        planner=partial(planners.mlp_runs, families),
        required=("dataset", "depth", "seeds", "width"),
        optional=(
            "activation",
            "dropout_rate",
            *_TRAINING_PARAMETERS,
            "families",
            "sweep_depth",
            "sweep_learning_rates",
            *(("changes_depth",) if len(families) > 1 else ()),
        ),
        probes=_with_gradient(),
    )


def _distillation_probes(spec: RunSpec) -> tuple[str, ...]:
    """What the teacher of photographs answers, and what a student knows of a class unseen."""
    if spec.training.omitted_class is not None:
        return ("bias-correction", *(("int8-weights",) if spec.seed == _FIRST_SEED else ()))
    if spec.distillation is not None:
        return ()
    return _with_gradient(*(("softened",) if spec.model.family == "ResidualCNN" else ()))(spec)


def _depth_probes(spec: RunSpec) -> tuple[str, ...]:
    """Gradients by layer, and whether the running statistics are to blame for a training error.

    The latter of runs in float32 alone: where bf16 spoils the gradients, it explains nothing.
    """
    further = ("recomputed-statistics",) if spec.training.precision == "float32" else ()
    return _with_gradient("layers", *further)(spec)


CHAPTERS: Mapping[str, Chapter] = {
    "1_1": _mlp_chapter("MLP"),
    "1_2": _mlp_chapter("MLP", "ResidualMLP"),
    "1_3": Chapter(
        planner=partial(planners.cnn_runs, ("SimpleCNN", "ResidualCNN")),
        required=("dataset", "depth", "seeds", "channels"),
        optional=(*_TRAINING_PARAMETERS, "families"),
        probes=_with_gradient("confusion", "hardest"),
    ),
    "2_2": Chapter(
        planner=planners.distillation_runs,
        required=(
            "dataset",
            "seeds",
            "student_channels",
            "student_depth",
            "teacher_channels",
            "teacher_depth",
            "teacher_epochs",
            "teacher_seed",
            "temperature",
            "alpha",
        ),
        optional=(
            *_TRAINING_PARAMETERS,
            "sweep_seeds",
            "sweep_temperatures",
            "sweep_alphas",
            "sweep_channels",
            "longer_epochs",
            "control_seeds",
            "control_label_smoothing",
            "control_learning_rates",
            "control_wrong_classes",
            "further_teacher_seeds",
            "fresh_seeds",
            "fresh_temperature",
            "fresh_alpha",
            "digits_dataset",
            "digits_seeds",
            "digits_student_width",
            "digits_teacher_width",
            "digits_epochs",
            "digits_teacher_epochs",
            "digits_temperature",
            "digits_alpha",
            "digits_omitted_class",
            "digits_small_width",
            "digits_small_temperatures",
        ),
        probes=_distillation_probes,
    ),
    "depth": Chapter(
        planner=partial(planners.cnn_runs, ("PlainNet", "ResNet")),
        required=("dataset", "depth", "seeds", "train_evaluation_size"),
        optional=(*_TRAINING_PARAMETERS, "families", "first_seed_depth"),
        probes=_depth_probes,
        reads_benchmarks=True,
    ),
    # No runs of their own: how fast they are made, and what all pages together say.
    "performance": Chapter(planner=list, required=(), optional=(), reads_benchmarks=True),
    "dynamics": Chapter(planner=list, required=(), optional=(), reads_pages=True),
    "summary": Chapter(planner=list, required=(), optional=(), reads_pages=True),
}


def chapter(name: str) -> Chapter:
    """The chapter of that name; raises :class:`~lab1.errors.ParameterError` for any other."""
    if name not in CHAPTERS:
        raise ParameterError(
            f"chapter {name!r} is not allowed; allowed: {', '.join(sorted(CHAPTERS))}"
        )
    return CHAPTERS[name]


def check_parameters(name: str, values: Mapping[str, Any], where: str = "") -> dict[str, Any]:
    """The checked values of a chapter's parameters.

    Raises :class:`~lab1.errors.ParameterError` for an unknown name, a wrong type or a value out of
    range, naming ``where`` it stood (by default, the chapter).
    """
    where = where or f"chapter {name}"
    allowed = chapter(name).parameters
    for given in values:
        if given not in allowed:
            raise parameters.unknown(given, allowed, where)
    return {given: parameters.check(given, value, where) for given, value in values.items()}


def plan(name: str, **values: Any) -> list[RunSpec]:
    """The runs that a chapter wants, in the order in which they should be trained: teachers first.

    Raises :class:`~lab1.errors.ParameterError` for a parameter that is missing, unknown, of the
    wrong type or out of range.
    """
    checked = check_parameters(name, values)
    missing = [each for each in chapter(name).required if each not in checked]
    if missing:
        raise ParameterError(f"chapter {name}: needs a value for {', '.join(missing)}")
    try:
        return teachers_first(chapter(name).planner(**checked))
    except ParameterError as error:  # a combination that no single declaration rules out
        raise ParameterError(f"chapter {name}: {error}") from error


def missing(specs: Iterable[RunSpec], store: Store) -> list[RunSpec]:
    """Those of ``specs`` that no record holds, in their order."""
    return [spec for spec in specs if store.find(spec) is None]


def ensure(
    specs: Sequence[RunSpec],
    options: RuntimeOptions | None = None,
    store: Store | None = None,
    probes: Callable[[RunSpec], tuple[str, ...]] = lambda spec: (),
) -> list[Record]:
    """The records of ``specs``, in their order; runs that none holds are trained first.

    The ``probes`` of a run are measured right after it, so that a grid that is interrupted has
    those of every run that finished.  A teacher that is not among ``specs`` and was never trained
    is trained too.  Raises :class:`~lab1.errors.MissingRunsError` where runs are missing and torch
    is not installed, where a trained teacher's weights are missing, or where some runs failed (the
    others are kept), and
    :class:`~lab1.errors.RecordError` where a record is damaged.
    """
    options = options or RuntimeOptions()
    store = store or Store()
    records = {spec: store.find(spec) for spec in specs}
    wanted = [spec for spec, record in records.items() if record is None]
    if wanted:
        to_train = with_teachers(wanted, store)
        planned = len(specs) + len(to_train) - len(wanted)
        _train(to_train, planned, options, store, _measuring(probes, options, store))
        records.update({spec: store.find(spec) for spec in wanted})
    return [record for spec in specs if (record := records[spec]) is not None]


def ensure_probe(
    record: Record, probe: str, options: RuntimeOptions | None = None, store: Store | None = None
) -> Mapping[str, Any]:
    """What ``probe`` found on a run, measured first where nobody has yet.

    Raises :class:`~lab1.errors.MissingRunsError` where it must be measured and the weights, or
    torch, are not here.
    """
    store = store or Store()
    found = store.find_probe(record.spec, probe)
    if found is None:
        if importlib.util.find_spec("torch") is None:
            raise MissingRunsError(
                f"the probe {probe!r} of {record.spec.title} has no record, and torch is not "
                "installed to measure it. Install the extra 'train': pip install -e '.[train]'"
            )
        from .training import probes

        probes.measure(record.spec, probe, options or RuntimeOptions(), store)
        found = store.find_probe(record.spec, probe)
        assert found is not None
    return found


def _measuring(
    probes: Callable[[RunSpec], tuple[str, ...]], options: RuntimeOptions, store: Store
) -> Callable[[Record], None]:
    """Measures the probes of a record; one that fails does not end the grid, but is told."""

    def measure(record: Record) -> None:
        for probe in () if record.diverged else probes(record.spec):
            try:
                ensure_probe(record, probe, options, store)
            except Lab1Error as error:
                print(f"failed: the probe {probe!r}: {error}", file=sys.stderr)

    return measure


def train_again(key: str, options: RuntimeOptions, store: Store) -> Record:
    """Trains a run that has a record once more; record, probes and weights are replaced together.

    ``key`` is the run's, or its beginning.  The new ones take the place of those in ``runs/`` once
    the training is over; they count before published ones, until :meth:`Store.promote` replaces
    these.  Probes that the run had are measured again.  Interrupted, the same call continues.
    Raises :class:`~lab1.errors.ParameterError` where not just one record has that key, and what
    :func:`ensure` raises.
    """
    record = store.of_key(key)
    spec = record.spec
    if record.key != spec.key:
        raise ParameterError(
            f"run {key!r} cannot be trained again: the record is of {record.recipe_change}; `run` "
            "with its parameters trains it as it is now"
        )
    with_teachers([spec], store)  # tells where its teacher's weights are missing
    probes = store.probes_of(spec)
    with store.claim(spec) as mine:
        if not mine:
            raise MissingRunsError(f"{spec.title} is being trained by another process")
        apart = Replacement(store, spec)
        if apart.find(spec) is None:
            _train([spec], 1, options, apart, _measuring(lambda spec: probes, options, apart))
        apart.take_the_place()
    again = store.find(spec)
    assert again is not None
    return again


def _train(
    wanted: Sequence[RunSpec],
    planned: int,
    options: RuntimeOptions,
    store: Store,
    measure: Callable[[Record], None],
) -> None:
    if importlib.util.find_spec("torch") is None:
        raise MissingRunsError(
            f"{len(wanted)} of {planned} runs have no record (the first: {wanted[0].title}), and "
            "torch is not installed to train them. Install the extra 'train': "
            "pip install -e '.[train]'"
        )
    if options.engine == "ray":
        from .training import ray_engine as engine
    elif "TORCHELASTIC_RUN_ID" in os.environ:  # started by torchrun: all processes on one run
        from .training import distributed as engine  # type: ignore[no-redef]
    else:
        from .training import engine  # type: ignore[no-redef]

    if any(spec.teacher in wanted for spec in wanted):  # the students learn from the weights
        options = replace(options, save_weights=True)
    engine.check(wanted, options)
    progress = _Progress(wanted, estimate(wanted, store.all()[0]))

    def finished(record: Record) -> None:
        measure(record)
        progress.finished(record)

    engine.train_all(wanted, options, store, finished)


def estimate(specs: Sequence[RunSpec], records: Sequence[Record]) -> list[float | None]:
    """About how many seconds each run takes, judged from the records of its like.

    A run's like has the same family, data set and width, and a teacher where it has one; where none
    has its depth, seconds grow in proportion to the layers.  ``None`` where there is no record to
    judge from.
    """
    # By kind and depth first: a large grid would otherwise go through all records for every run.
    paces: dict[_Kind, dict[int, list[float]]] = {}
    for record in records:
        depth = record.spec.model.depth
        seconds = record.seconds / record.epochs / (depth + 1)
        paces.setdefault(_kind(record.spec), {}).setdefault(depth, []).append(seconds)

    @cache
    def per_layer_epoch(kind: _Kind, depth: int) -> float | None:
        alike = paces.get(kind, {})
        distance = min((abs(each - depth) for each in alike), default=0)
        nearest = [alike[each] for each in alike if abs(each - depth) == distance]
        return median(chain.from_iterable(nearest)) if nearest else None

    estimates = []
    for spec in specs:
        pace = per_layer_epoch(_kind(spec), spec.model.depth)
        layers = spec.model.depth + 1
        estimates.append(None if pace is None else pace * layers * spec.training.epochs)
    return estimates


_Kind = tuple[str, str, int | None, bool]


def _kind(spec: RunSpec) -> _Kind:
    model = spec.model
    return model.family, spec.dataset, model.width, spec.distillation is not None


class _Progress:
    """One line per finished run on standard error, with the time left."""

    def __init__(self, specs: Sequence[RunSpec], estimates: Sequence[float | None]) -> None:
        self._total = len(specs)
        self._done = 0
        self._started = time.monotonic()
        known = [each for each in estimates if each is not None]
        # Runs of unknown length are taken to be like the known ones.
        mean = sum(known) / len(known) if known else 1.0
        self._weights = {
            spec.key: mean if each is None else each
            for spec, each in zip(specs, estimates, strict=True)
        }
        self._whole = self._left = sum(self._weights.values())
        about = f", about {duration(self._left)}" if known else ""
        self._say(f"training {self._total} missing {'run' if self._total == 1 else 'runs'}{about}")

    def finished(self, record: Record) -> None:
        """Says what finished and how long the rest will take at the pace so far."""
        self._done += 1
        weight = self._weights[record.key]
        self._left -= weight
        done = self._whole - self._left
        left = (time.monotonic() - self._started) * self._left / done
        score = f"test accuracy {record.test['accuracy']:.2%}" if record.test else "no test score"
        self._say(
            f"[{self._done}/{self._total}] {record.spec.title}: {score}, {record.stopped} after "
            f"{record.epochs} epochs, {duration(record.seconds)}; {duration(left)} left"
        )

    @staticmethod
    def _say(text: str) -> None:
        if is_first_process():
            print(text, file=sys.stderr, flush=True)


def is_first_process() -> bool:
    """Whether this is the one that speaks, where torchrun started several."""
    return os.environ.get("RANK", "0") == "0"


def duration(seconds: float) -> str:
    """Seconds in words: ``43 s``, ``12 min``, ``3.5 h``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
