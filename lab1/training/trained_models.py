"""The trained weights of a run, found where they are kept, checked, and made public."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from ..core import weights_file
from ..core.datasets import Dataset
from ..core.record import Record
from ..core.spec import RunSpec
from ..core.store import Store
from ..errors import MissingRunsError
from . import models
from .weights import check_fit, digest, load_weights, save_weights


@dataclass(frozen=True)
class Trained:
    """A model with the weights of its best epoch, on the CPU, and the digest of these weights."""

    model: nn.Module
    sha256: str


def load(spec: RunSpec, declared: Dataset, store: Store, purpose: str) -> Trained:
    """The trained model of a run: with the published weights where there are any, else one's own.

    `declared` is the run's data set; `purpose` says, in an error, what the weights are for.
    Raises `MissingRunsError` where there are no weights of a finished run or
    where it diverged, and `WeightsError`, naming the file, where they are
    damaged, another run's, or not those whose digest its record names.
    """
    path, weights = _found(spec, store, purpose)
    model = models.build(spec.model, declared, spec.seed)
    try:
        check_fit(weights, model)
    except ValueError as error:
        raise weights_file.refusal(path, f"does not fit {spec.title}: {error}") from error
    model.load_state_dict(weights)
    return Trained(model, digest(weights))


def publish(spec: RunSpec, store: Store, sha256: str | None = None) -> Path:
    """Writes the weights of a run into `results/`, unless they are there already.

    Returns the file.  Raises what `load` raises, and `WeightsError` where
    they do not have the digest `sha256`, with which another run learnt from them.
    """
    target = weights_file.published(spec, store)
    path, weights = _found(spec, store, "they are to be published")
    found = digest(weights)
    if sha256 not in (None, found):
        why = f"has the SHA-256 {found}, and a run to be published learnt from {sha256}"
        raise weights_file.refusal(path, why)
    if path != target:
        save_weights(target, weights, spec.key)
    return target


def share(spec: RunSpec, store: Store) -> None:
    """Puts published weights, with their record, into `runs/` too, for who sees that alone."""
    record = store.find(spec)
    path = weights_file.find(spec, store)
    if path is not None and record is not None and path.parent != store.run_dir(spec):
        save_weights(weights_file.own(spec, store), _read(path, spec, record))
        store.copy(spec)


def _found(spec: RunSpec, store: Store, purpose: str) -> tuple[Path, dict[str, Tensor]]:
    path = weights_file.find(spec, store)
    if path is None:
        raise MissingRunsError(weights_file.absence(spec, store, purpose))
    record = store.find(spec)
    if record is not None and record.diverged:
        raise MissingRunsError(
            f"{path}: {spec.title} diverged in epoch {record.epochs}, so its weights prove "
            f"nothing, and {purpose}; choose other settings for it, such as a lower learning rate"
        )
    return path, _read(path, spec, record)


def _read(path: Path, spec: RunSpec, record: Record | None) -> dict[str, Tensor]:
    if path.suffix != ".pt" and (run := weights_file.read(path).run) not in (None, spec.key):
        raise weights_file.refusal(path, f"has the weights of run {run}, not of {spec.key}")
    weights = load_weights(path)
    expected = record and record.weights_sha256
    if expected is not None and digest(weights) != expected:
        why = f"has the SHA-256 {digest(weights)}, and the record of its run says {expected}"
        raise weights_file.refusal(path, why)
    return weights
