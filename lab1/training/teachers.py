"""The trained weights of a run, found where they are kept, checked, and made public."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .. import weights_file
from ..config import RunSpec
from ..datasets import Dataset
from ..errors import MissingRunsError, RecordError
from ..files import write_bytes
from ..store import Store
from . import models
from .callbacks import load_weights, save_weights

#: What safetensors calls the types that a model's state can have.
_KINDS = {
    torch.float32: "F32",
    torch.float64: "F64",
    torch.bfloat16: "BF16",
    torch.float16: "F16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}


@dataclass(frozen=True)
class Trained:
    """A model with the weights of its best epoch, on the CPU, and the digest of these weights."""

    model: nn.Module
    sha256: str


def load(spec: RunSpec, declared: Dataset, store: Store, purpose: str) -> Trained:
    """The trained model of a run: with the published weights where there are any, else one's own.

    ``declared`` is the run's data set; ``purpose`` says, in an error, what the weights are for.
    Raises :class:`~lab1.errors.MissingRunsError` where there are no weights of a finished run or
    where it diverged, and :class:`~lab1.errors.WeightsError`, naming the file, where they are
    damaged or another run's.
    """
    path, weights = _found(spec, store, purpose)
    model = models.build(spec.model, declared, spec.seed)
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        why = f"does not fit {spec.title}: {' '.join(str(error).split())}"
        raise weights_file.refusal(path, why) from error
    return Trained(model, digest(weights))


def digest(weights: Mapping[str, Tensor]) -> str:
    """The SHA-256 that a published file of these weights names.

    That is :func:`lab1.weights_file.digest`, whichever way the tensors lie in memory.
    """
    return weights_file.digest(
        (name, _KINDS[tensor.dtype], list(tensor.shape), _bytes(tensor))
        for name, tensor in weights.items()
    )


def publish(spec: RunSpec, store: Store, sha256: str) -> Path:
    """Writes the weights of a run into ``results/`` as safetensors, unless they are there already.

    Equal weights give equal bytes.  Returns the file.  Raises what :func:`load` raises, and
    :class:`~lab1.errors.WeightsError` where they do not have the digest ``sha256``, with which
    another run learnt from them.
    """
    target = weights_file.published(spec, store)
    path, weights = _found(spec, store, "they are to be published")
    found = digest(weights)
    if found != sha256:
        why = f"has the SHA-256 {found}, and a run to be published learnt from {sha256}"
        raise weights_file.refusal(path, why)
    if path != target:
        contiguous = {name: tensor.contiguous() for name, tensor in weights.items()}
        content = _safetensors(target).save(contiguous, {"run": spec.key, "sha256": found})
        write_bytes(target, weights_file.with_sorted_header(content))
    return target


def share(spec: RunSpec, store: Store) -> None:
    """Puts published weights, with their record, into ``runs/`` too, for who sees that alone."""
    own, record = store.run_dir(spec) / "weights.pt", store.find(spec)
    path = weights_file.find(spec, store)
    if path is not None and record is not None and path != own:
        save_weights(own, _read(path, spec))
        store.write(record)


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
    return path, _read(path, spec)


def _read(path: Path, spec: RunSpec) -> dict[str, Tensor]:
    if path.suffix == ".pt":
        try:
            return load_weights(path)
        except RecordError as error:
            raise weights_file.refusal(path, "is not readable as weights") from error
    file = weights_file.read(path)
    if file.run != spec.key:
        raise weights_file.refusal(path, f"has the weights of run {file.run}, not of {spec.key}")
    weights: dict[str, Tensor] = _safetensors(path).load(file.content)
    return weights


def _bytes(tensor: Tensor) -> bytes:
    return tensor.contiguous().flatten().view(torch.uint8).numpy().tobytes()


def _safetensors(path: Path) -> Any:
    """The module; imported late, since a machine that only trains need not have it."""
    try:
        import safetensors.torch
    except ImportError as error:
        raise MissingRunsError(
            f"{path}: safetensors is not installed, which reads and writes published weights. "
            "Install the extra 'train': pip install -e '.[train]'"
        ) from error
    return safetensors.torch
