"""From runs to their records: reads those there are, trains those that are missing.

Only then is the training half imported.
"""

import importlib.util
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from ..core import probe_schema, weights_file
from ..core.datasets import DATASETS
from ..core.families import FAMILIES
from ..core.record import Record
from ..core.spec import RunSpec
from ..core.store import Replacement, Store
from ..core.training_config import RuntimeOptions
from ..errors import Lab1Error, MissingRunsError, ParameterError
from .cost import GridProgress, estimate

#: The names of the probes that are measured on a run.
Probes = Callable[[RunSpec], tuple[str, ...]]


@dataclass(frozen=True)
class Todo:
    """The work that a list of runs asks for.

    `records` are those there are, by run, `all_records` also those of other runs, where some are
    missing; `missing` the runs to be trained, teachers first, with
    the teachers that have to be trained for them; `seconds` about how long each of these takes,
    `None` where there is no record to judge from.
    """

    specs: tuple[RunSpec, ...]
    records: Mapping[RunSpec, Record]
    missing: tuple[RunSpec, ...]
    seconds: tuple[float | None, ...]
    all_records: Sequence[Record] = ()


def find_todo(specs: Sequence[RunSpec], store: Store) -> Todo:
    """Finds what is missing of a list of runs.

    Raises `MissingRunsError` where a trained teacher's weights are missing, and
    `RecordError` where a record is damaged.
    """
    known = {spec: store.find(spec) for spec in specs}
    missing = with_teachers((spec for spec, record in known.items() if record is None), store)
    all_records = store.all()[0] if missing else []
    seconds = estimate(missing, all_records)
    records = {spec: record for spec, record in known.items() if record is not None}
    return Todo(tuple(specs), records, tuple(missing), tuple(seconds), all_records)


def ensure(
    todo: Todo | Sequence[RunSpec],
    options: RuntimeOptions | None = None,
    store: Store | None = None,
    probes: Probes = lambda spec: (),
) -> list[Record]:
    """The records of a list of runs, in their order; runs that none holds are trained first.

    The `probes` of a run are measured right after it, so that a grid that is interrupted has those
    of every run that finished.  A teacher that is not in the list and was never trained is trained
    too.  Raises `MissingRunsError` where runs are missing and torch is not installed, where a
    trained teacher's weights are missing, or where some runs failed (the others are kept), and
    `RecordError` where a record is damaged.
    """
    options = options or RuntimeOptions()
    store = store or Store()
    if not isinstance(todo, Todo):
        todo = find_todo(todo, store)
    records = dict(todo.records)
    if todo.missing:
        _train(todo, options, store, {spec: probes(spec) for spec in todo.missing})
    for spec in todo.specs:
        if spec not in records and (record := store.find(spec)) is not None:
            records[spec] = record
    return [records[spec] for spec in todo.specs if spec in records]


def ensure_probe(
    record: Record, probe: str, options: RuntimeOptions | None = None, store: Store | None = None
) -> Mapping[str, Any]:
    """A probe's record of a run, measured first where there is none yet.

    Raises `MissingRunsError` where it must be measured and the weights, or torch, are not here.
    """
    store = store or Store()
    content = store.find_probe(record.spec, probe)
    if content is None:
        require_torch(f"the probe {probe!r} of {record.spec.title} has no record", "measure it")
        from ..training import probes

        probes.measure(record.spec, probe, options or RuntimeOptions(), store)
        content = store.find_probe(record.spec, probe)
        assert content is not None
    return content


def is_out_of_reach(record: Record, probe: str, store: Store) -> bool:
    """True if a probe of a run has no record and can have none here.

    That is where it asks a run that was published without its weights, or another one whose weights
    are not here: a student's twin that was never trained, or is being trained.
    """
    if store.find_probe(record.spec, probe) is not None:
        return False
    return any(
        weights_file.find(spec, store) is None and (name != "model" or store.is_published(record))
        for name, spec in probe_schema.networks(probe, record.spec).items()
    )


def measure_missing(
    record: Record, probes: Iterable[str], options: RuntimeOptions, store: Store
) -> list[str]:
    """Measures the probes of a run that have no record; returns, in words, what kept some from it.

    A run that diverged has none, and those out of reach are left out.
    """
    problems = []
    for probe in () if record.diverged else probes:
        try:
            if not is_out_of_reach(record, probe, store):
                ensure_probe(record, probe, options, store)
        except Lab1Error as error:
            problems.append(f"the probe {probe!r}: {error}")
    return problems


def has_torch() -> bool:
    """True if models can be built, trained and measured here."""
    return importlib.util.find_spec("torch") is not None


def require_torch(lacking: str, purpose: str) -> None:
    """Raises `MissingRunsError`, with the remedy, where torch is not installed."""
    if not has_torch():
        raise MissingRunsError(
            f"{lacking}, and torch is not installed to {purpose}. Install the extra 'train': "
            "pip install -e '.[train]'"
        )


def train_again(
    key: str, options: RuntimeOptions, store: Store, probes: Probes = lambda spec: ()
) -> Record:
    """Trains a run that has a record once more; record, probes and weights are replaced together.

    `key` is the run's, or its beginning.  The new ones take the place of those in `runs/` once
    the training is over; they count before published ones, until `Store.promote` replaces
    these.  Probes that the run had are measured again, and `probes` too.  Interrupted, the same
    call continues.  Raises `ParameterError` where not just one record has that key, and what
    `ensure` raises.
    """
    record = store.of_key(key)
    spec = record.spec
    if record.key != spec.key:
        raise ParameterError(
            f"run {key!r} cannot be trained again: the record is of {record.recipe_change}; `run` "
            "with its parameters trains it as it is now"
        )
    apart = Replacement(store, spec)
    wanted = tuple(dict.fromkeys((*store.probes_of(spec), *probes(spec))))
    with store.claim(spec) as mine:
        if not mine:
            raise MissingRunsError(f"{spec.title} is being trained by another process")
        todo = find_todo([spec], apart)
        if todo.missing:
            _train(todo, options, apart, dict.fromkeys(todo.missing, wanted))
        apart.replace_old_files()
    again = store.find(spec)
    assert again is not None
    return again


def _train(
    todo: Todo, options: RuntimeOptions, store: Store, probes: Mapping[RunSpec, tuple[str, ...]]
) -> None:
    wanted = todo.missing
    count = f"{len(wanted)} of {len(wanted) + len(todo.records)} runs"
    require_torch(f"{count} have no record (the first: {wanted[0].title})", "train them")
    from ..training import engines

    _check_stays_here(wanted, options)
    if any(FAMILIES[spec.model.family].user_defined for spec in wanted):
        from ..training.models import user_models

        user_models.check(wanted)
    engine = engines.choose(options)
    if any(spec.teacher in wanted for spec in wanted):  # the students learn from the weights
        options = replace(options, save_weights=True)
    engine.check(wanted, options)
    progress = GridProgress(wanted, todo.seconds)
    # It can be handed to another process, which trains the runs.
    measure = partial(_measure, probes=probes, options=options, store=store)
    engine.train_all(engines.Grid(wanted, progress.finished, measure), options, store)


def _measure(
    record: Record, probes: Mapping[RunSpec, Iterable[str]], options: RuntimeOptions, store: Store
) -> None:
    """Measures the probes of a run that was just trained; one that fails does not end the grid."""
    for problem in measure_missing(record, probes[record.spec], options, store):
        print(f"failed: {problem}", file=sys.stderr)


def _check_stays_here(wanted: Sequence[RunSpec], options: RuntimeOptions) -> None:
    """Raises `ParameterError` where a user-defined network or images would have to leave."""
    local = [
        f"{spec.model.family}, a network of your own, whose file is"
        for spec in wanted
        if FAMILIES[spec.model.family].user_defined
    ] + [
        f"{spec.dataset}, images of your own, which are"
        for spec in wanted
        if DATASETS[spec.dataset].user_defined
    ]
    leaving = ["engine = 'ray'"] * (options.engine == "ray")
    leaving += ["report_to = 'wandb'"] * (options.report_to is not None)
    if local and leaving:
        raise ParameterError(
            f"{leaving[0]} is not allowed for {local[0]} on this machine alone; allowed: the local "
            "engine, and no report"
        )


def with_teachers(wanted: Iterable[RunSpec], store: Store) -> list[RunSpec]:
    """Runs to be trained, teachers first, with the teachers that have to be trained for them.

    Raises `MissingRunsError` for a teacher that has a record, and so is not
    trained again, but no weights to learn from, and for a pretrained network without its weights.
    """
    complete: dict[RunSpec, None] = {}

    def add(spec: RunSpec) -> None:
        teacher = spec.teacher
        if teacher is not None and weights_file.find(teacher, store) is None:
            if store.find(teacher) is not None:
                purpose = f"{spec.title} learns from them"
                raise MissingRunsError(weights_file.absence(teacher, store, purpose))
            add(teacher)
        complete[spec] = None

    for spec in wanted:
        add(spec)
    for spec in complete:
        source = weights_file.pretraining(spec, store)
        if source is not None and weights_file.find(source, store) is None:
            purpose = f"{spec.title} starts from them"
            raise MissingRunsError(weights_file.absence(source, store, purpose))
    return list(complete)
