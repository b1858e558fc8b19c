"""One run: a specification becomes a record."""

import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from ..core import weights_file
from ..core.datasets import DATASETS
from ..core.families import FAMILIES
from ..core.record import Record
from ..core.spec import RunSpec
from ..core.store import Store
from ..core.training_config import RuntimeOptions
from ..errors import MissingRunsError
from . import data, distributed, models, origin
from . import device as devices
from .callbacks import Callback
from .checkpoint import Checkpointer, digest
from .data.images import LoadedData
from .distillation import DistillationTrainer, TeacherOutputs, outputs_key
from .trained_run import initial_model, load_model
from .trainer import StreamlinedTrainer
from .wandb import tracker as tracking
from .wandb.tracker import Tracker


def train_run(spec: RunSpec, options: RuntimeOptions, store: Store | None = None) -> Record:
    """Trains one run, scores it once on the test set, and returns its record.

    With a `store`, the best weights (where `options` ask for them) and a checkpoint are written
    to the run's folder, and a run that was interrupted continues from its checkpoint.  A distilled
    run learns from the weights of its teacher (`load_model`).  Raises
    `DataError` where the data are missing or not the declared ones, before
    anything is trained, and `MissingRunsError` where the memory does not suffice.
    """
    runs = None if store is None else store.runs
    usual = 1 if FAMILIES[spec.model.family].single_threaded else None
    with (
        _explain_out_of_memory(spec),
        devices.threads(options.threads or usual),
        tracking.reporting(spec, options, runs) as tracker,
    ):
        return _train_run(spec, options, store, tracker)


@contextmanager
def _explain_out_of_memory(spec: RunSpec) -> Iterator[None]:
    """Tells that memory does not suffice, which torch does in several ways."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        (why, *_) = str(error).splitlines() or [type(error).__name__]
        known = isinstance(error, (MemoryError, torch.OutOfMemoryError))
        if not known and "allocate memory" not in why:
            raise
        raise MissingRunsError(
            f"{spec.title}: the memory does not suffice: {why}. Take a smaller network (width, "
            "channels, depth), a smaller batch_size, or another device"
        ) from error


def _train_run(
    spec: RunSpec, options: RuntimeOptions, store: Store | None, tracker: Tracker | None
) -> Record:
    known = store or Store()
    loaded = data.load_once(spec.dataset, options.data_dir)
    loaded = replace(loaded, declared=weights_file.images_of(spec, known))
    config = spec.training
    train, validation = data.split_for(config, loaded.train, spec.seed)
    model, pretrained_sha256 = initial_model(spec, loaded.declared, known)
    flops = models.count_flops(model, loaded.declared.image_shape)
    callbacks: list[Callback] = [_Continuation(spec.title)] if distributed.current().first else []
    callbacks += [tracker] if tracker else []
    folder = None if store is None else store.run_dir(spec)
    weights_path = weights_file.in_runs(spec, store) if store and options.save_weights else None
    make_trainer, teacher_sha256 = _trainer_of(spec, options, store, loaded)
    trainer = make_trainer(
        model,
        replace(config, pretrained=None),  # the model has those weights
        train,
        validation,
        seed=spec.seed,
        device=options.device,
        mean=loaded.mean,
        std=loaded.std,
        callbacks=callbacks,
        weights_path=weights_path,
        checkpointer=checkpointer(folder, spec, options) if folder else None,
        compile=options.compile,
        progress=options.progress and spec.title,
    )
    result = trainer.train()
    scores = {} if result.stopped == "diverged" else trainer.evaluate(loaded.test)
    if scores and isinstance(trainer, DistillationTrainer):
        scores["teacher_agreement"] = trainer.agreement(loaded.test)
    # Without a validation split the test may be the first to meet what the last step has spoilt.
    sound = bool(scores) and math.isfinite(scores["loss"])
    size = distributed.current().size
    record = Record(
        spec=spec,
        history=result.history,
        test=scores if sound else {},
        parameters=models.count_parameters(model),
        flops=flops,
        best_epoch=result.best_epoch if sound or not scores else None,
        stopped=result.stopped if sound else "diverged",
        seconds=result.seconds,
        origin=origin.describe(
            trainer.segments,
            loaded,
            processes=size if size > 1 else None,
            teacher_sha256=teacher_sha256,
            pretrained_sha256=pretrained_sha256,
        ),
        recipe=spec.recipe,
        weights_sha256=None if result.best_epoch is None else digest(model.state_dict()),
    )
    if tracker:
        tracker.finish(record, weights_path)
    return record


class _Continuation(Callback):
    """Says where a run continues that was interrupted."""

    def __init__(self, title: str) -> None:
        self._title = title

    def on_train_begin(self, trainer: StreamlinedTrainer) -> None:
        epoch = len(trainer.history["train_loss"]) + 1
        continues = trainer.stop_reason is None and epoch <= trainer.config.epochs
        if trainer.scheduler.last_epoch and continues:  # it counts the steps that are done
            print(f"{self._title}: continues in epoch {epoch}", file=sys.stderr, flush=True)


def _trainer_of(
    spec: RunSpec, options: RuntimeOptions, store: Store | None, loaded: LoadedData
) -> tuple[Callable[..., StreamlinedTrainer], str | None]:
    """The class of a run's trainer, with its teacher where it has one, and that one's digest."""
    if spec.distillation is None:
        return StreamlinedTrainer, None
    taught = spec.distillation
    declared, purpose = DATASETS[taught.teacher.dataset], "its students learn from them"
    teacher, sha256 = load_model(taught.teacher, declared, store or Store(), purpose)
    device = devices.resolve(options.device)
    key = outputs_key(spec, sha256, loaded.declared.fingerprint, device)
    folder = store.run_dir(taught.teacher) / f"outputs-{key}" if store else None
    make_trainer = partial(
        DistillationTrainer,
        teacher=teacher,
        temperature=taught.temperature,
        alpha=taught.alpha,
        wrong_classes=taught.wrong_classes,
        outputs=TeacherOutputs(folder, key, device),
    )
    return make_trainer, sha256


def checkpointer(folder: Path, spec: RunSpec, options: RuntimeOptions) -> Checkpointer:
    """The checkpointer of a run, in its folder."""
    return Checkpointer(folder / "checkpoint.pt", spec.key, options.checkpoint_seconds)
