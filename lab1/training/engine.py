"""Runs a list of specs in this process: each becomes a record as it finishes."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from .. import weights_file
from ..config import RunSpec, RuntimeOptions
from ..datasets import DATASETS
from ..errors import MissingRunsError
from ..families import FAMILIES
from ..store import Record, Store
from . import data, distributed, models, origin, teacher_outputs, teachers, tracking
from . import device as devices
from .callbacks import Callback, ProgressBar
from .checkpoint import Checkpointer
from .distill import DistillationTrainer
from .images import LoadedData
from .teacher_outputs import TeacherOutputs
from .tracking import Tracker
from .trainer import StreamlinedTrainer
from .weights import digest

#: How often to look whether another process has finished the run it claimed.
_POLL_SECONDS = 1.0

#: Called with the record after each run that finished here.
OnFinished = Callable[[Record], None]


def train_run(spec: RunSpec, options: RuntimeOptions, store: Store | None = None) -> Record:
    """Trains one run, scores it once on the test set, and returns its record.

    With a ``store``, the best weights (where ``options`` ask for them) and a checkpoint are written
    to the run's folder, and a run that was interrupted continues from its checkpoint.  A distilled
    run learns from the weights of its teacher (:func:`lab1.training.teachers.load`).  Raises
    :class:`~lab1.errors.DataError` where the data are missing or not the declared ones, before
    anything is trained.
    """
    runs = None if store is None else store.runs
    with _threads(spec, options), tracking.reporting(spec, options, runs) as tracker:
        return _train_run(spec, options, store, tracker)


def _train_run(
    spec: RunSpec, options: RuntimeOptions, store: Store | None, tracker: Tracker | None
) -> Record:
    started = origin.now()
    loaded = data.load_once(spec.dataset, options.data_dir)
    config = spec.training
    train, validation = data.split(
        loaded.train, config.validation_size, spec.seed, config.omitted_class
    )
    model = models.build(spec.model, loaded.declared, spec.seed)
    flops = models.count_flops(model, loaded.declared.image_shape)
    callbacks: list[Callback] = [ProgressBar(spec.title)] if options.progress else []
    callbacks += [tracker] if tracker else []
    folder = None if store is None else store.run_dir(spec)
    weights_path = weights_file.own(spec, store) if store and options.save_weights else None
    learning = _learning(spec, options, store, loaded)
    trainer = learning.make_trainer(
        model,
        config,
        train,
        validation,
        seed=spec.seed,
        device=options.device,
        mean=loaded.declared.mean,
        std=loaded.declared.std,
        callbacks=callbacks,
        weights_path=weights_path,
        checkpointer=_checkpointer(folder, spec, options) if folder else None,
        compile=options.compile,
    )
    result = trainer.train()
    scores = {} if result.stopped == "diverged" else learning.scores(trainer, loaded)
    # Without a validation split the test may be the first to meet what the last step has spoilt.
    sound = bool(scores) and math.isfinite(scores["loss"])
    where = origin.describe(trainer.device, loaded.source, loaded.fingerprint)
    if group := distributed.current():
        where["processes"] = group.size
    if options.compile:
        where["device"]["compiled"] = True
    if learning.teacher_sha256 is not None:
        where["teacher_sha256"] = learning.teacher_sha256
    record = Record(
        spec=spec,
        history=result.history,
        test=scores if sound else {},
        parameters=models.count_parameters(model),
        flops=flops,
        best_epoch=result.best_epoch if sound or not scores else None,
        stopped=result.stopped if sound else "diverged",
        seconds=result.seconds,
        origin=origin.finished(where, started),
        recipe=spec.recipe,
        weights_sha256=None if result.best_epoch is None else digest(model.state_dict()),
    )
    if tracker:
        tracker.finish(record, weights_path)
    return record


@dataclass(frozen=True)
class _Learning:
    """How the trainer of a run is made, and the digest of the teacher that it then has."""

    make_trainer: Callable[..., StreamlinedTrainer] = StreamlinedTrainer
    teacher_sha256: str | None = None

    def scores(self, trainer: StreamlinedTrainer, loaded: LoadedData) -> dict[str, float]:
        """The test scores of a trained model."""
        scores = trainer.evaluate(loaded.test)
        if isinstance(trainer, DistillationTrainer):
            scores["teacher_agreement"] = trainer.agreement(loaded.test)
        return scores


def _learning(
    spec: RunSpec, options: RuntimeOptions, store: Store | None, loaded: LoadedData
) -> _Learning:
    if spec.distillation is None:
        return _Learning()
    taught = spec.distillation
    declared, purpose = DATASETS[taught.teacher.dataset], "its students learn from them"
    teacher = teachers.load(taught.teacher, declared, store or Store(), purpose)
    device = devices.resolve(options.device)
    key = teacher_outputs.key_of(spec, teacher.sha256, loaded.fingerprint, device)
    folder = store.run_dir(taught.teacher) / f"outputs-{key}" if store else None
    make_trainer = partial(
        DistillationTrainer,
        teacher=teacher.model,
        temperature=taught.temperature,
        alpha=taught.alpha,
        wrong_classes=taught.wrong_classes,
        outputs=TeacherOutputs(folder, key, device),
    )
    return _Learning(make_trainer, teacher.sha256)


def _threads(spec: RunSpec, options: RuntimeOptions) -> AbstractContextManager[None]:
    """Torch uses the run's number of threads inside the block."""
    usual = 1 if FAMILIES[spec.model.family].single_threaded else None
    return devices.threads(options.threads or usual)


def train_all(
    specs: Sequence[RunSpec],
    options: RuntimeOptions,
    store: Store,
    on_finished: OnFinished = lambda record: None,
) -> None:
    """Trains the runs in their order, teachers before their students, and writes a record for each.

    A run that another process is training is left to it and waited for at the end, with those that
    learn from it, so that the same command, started twice, shares the work.  A run that fails does
    not keep the others from being trained; the failures are raised together as
    :class:`~lab1.errors.MissingRunsError`.
    """
    failures: list[str] = []
    waiting = list(specs)
    while waiting:
        claimed_elsewhere: list[RunSpec] = []
        for spec in waiting:
            if spec.teacher in claimed_elsewhere:  # its weights are still in the making
                claimed_elsewhere.append(spec)
                continue
            with store.claim(spec) as mine:
                if not mine:
                    claimed_elsewhere.append(spec)
                elif store.find(spec) is None:
                    try:
                        record = train_claimed(spec, options, store)
                    except Exception as error:
                        if len(specs) == 1:
                            raise
                        failures.append(f"{spec.title}: {type(error).__name__}: {error}")
                        print(f"failed: {failures[-1]}", file=sys.stderr)
                    else:
                        on_finished(record)
        waiting = claimed_elsewhere
        if waiting:
            time.sleep(_POLL_SECONDS)
    raise_failures(failures, len(specs))


def raise_failures(failures: Sequence[str], planned: int) -> None:
    """Raises the failures of a grid together, where there are any."""
    if failures:
        lines = "\n".join(f"  {failure}" for failure in failures)
        raise MissingRunsError(f"{len(failures)} of {planned} runs failed:\n{lines}")


def train_claimed(spec: RunSpec, options: RuntimeOptions, store: Store) -> Record:
    """Trains a run that this process has claimed, and writes its record."""
    record = train_run(spec, options, store)
    store.write(record)
    _checkpointer(store.run_dir(spec), spec, options).remove()
    return record


def _checkpointer(folder: Path, spec: RunSpec, options: RuntimeOptions) -> Checkpointer:
    return Checkpointer(folder / "checkpoint.pt", spec.key, options.checkpoint_seconds)


def check(specs: Sequence[RunSpec], options: RuntimeOptions) -> None:
    """Raises now what every run would raise: an absent device or package, missing or wrong data.

    Says on standard error where the runs could not be published, since their sources are unknown.
    """
    tracking.check(options)
    devices.resolve(options.device)
    for name in dict.fromkeys(spec.dataset for spec in specs):
        data.load_once(name, options.data_dir)
    origin.warn_of_unpublishable()
