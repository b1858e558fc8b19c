"""Finds the weights of a run, and checks the published ones, without torch.

One's own lie in `runs/<run>/weights.safetensors`, published ones in
`results/<run>.safetensors`.  Such a file has eight bytes of length (little endian), a JSON header
of that length, and the tensors' bytes (huggingface.co/docs/safetensors, "Format").  The header's
`__metadata__` here holds the `sha256` of the tensors (`digest`) and, of published ones,
the `run`'s key.  Earlier versions left `weights.pt` in `runs/`; such files are still read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import MissingRunsError, ParameterError, RecordError, WeightsError, not_allowed
from .datasets import Dataset
from .differences import settings_of
from .files import may_exist
from .record_rules import mapping, text
from .spec import RunSpec

if TYPE_CHECKING:
    from .store import Store

#: A tensor as it is digested: its name, its type (`F32`, `I64`), its shape, its bytes.
Part = tuple[str, str, list[int], bytes]


@dataclass(frozen=True)
class WeightsFile:
    """A file whose digest fits: the `run` and `sha256` that it names, its `content`, and all that
    its `metadata` say."""

    run: str | None
    sha256: str
    content: bytes
    metadata: Mapping[str, str]


def published(spec: RunSpec, store: Store) -> Path:
    """The file in `results/` that has the weights of a run, or would have them."""
    return store.results / f"{spec.name}.safetensors"


def find(spec: RunSpec, store: Store) -> Path | None:
    """The file with the weights of a finished run, where there is one.

    That is the published one, unless the run was trained here again since.
    """
    candidates = [] if store.is_replaced(spec.name) else [published(spec, store)]
    if store.path_of(spec) is not None:  # else a training under way keeps its best so far there
        candidates += [in_runs(spec, store), in_runs(spec, store).with_suffix(".pt")]
    return next((path for path in candidates if may_exist(path)), None)


def in_runs(spec: RunSpec, store: Store) -> Path:
    """The file in `runs/` that has the weights of a run, or would have them."""
    return store.run_dir(spec) / "weights.safetensors"


def pretraining(spec: RunSpec, store: Store) -> RunSpec | None:
    """The run whose weights a run starts from; `None` where it starts from random ones.

    Raises `ParameterError`, naming the key, where no record has it, or one of another network.
    """
    key = spec.training.pretrained
    if key is None:
        return None
    record = store.of_key(key)
    source = record.spec
    if record.key != source.key:
        raise ParameterError(f"pretrained = {key!r}: its record is of {record.recipe_change}")
    # A perceptron's first layer has a weight for each pixel, a convolution one for each channel.
    described = []
    for run in (spec, source):
        settings = settings_of(replace(run.model, dropout_rate=0.0)).values()
        network = ", ".join(setting.words for setting in settings if not setting.silent)
        shape = run.images.image_shape
        seen = f"shape {shape}" if run.model.layer_sizes else f"{shape[0]} channels"
        described.append(f"{network}, for images of {seen}")
    ours, theirs = described
    if ours != theirs:
        raise not_allowed(
            "pretrained", key, f"the network of that run, {theirs}", "", f"for {ours}"
        )
    return source


def images_of(spec: RunSpec, store: Store) -> Dataset:
    """The data set of a run, normalised as for the run that it is pretrained by."""
    source = pretraining(spec, store)
    if source is None:
        return spec.images
    theirs = images_of(source, store)
    return replace(spec.images, mean=theirs.mean, std=theirs.std)


def absence(spec: RunSpec, store: Store, purpose: str) -> str:
    """Words for weights that are nowhere, although `purpose` needs them, and how to get them."""
    trained = store.path_of(spec) is not None
    how = f"train it once more: python -m lab1 run --again {spec.key}"
    return (
        f"{in_runs(spec, store)}: the weights of {spec.title} are not here, nor are they published "
        f"as {published(spec, store).name}, and {purpose}; copy them from where the run was "
        f"trained, or {how if trained else 'train it here, with save_weights'}"
    )


def digest(tensors: Iterable[Part]) -> str:
    """The SHA-256 of tensors in the order of their names: of each, name, type, shape and bytes."""
    sha256 = hashlib.sha256()
    for name, kind, shape, content in sorted(tensors):
        sha256.update(json.dumps([name, kind, shape]).encode() + b"\n")
        sha256.update(content)
    return sha256.hexdigest()


def read(path: Path) -> WeightsFile:
    """The checked content of a file of weights.

    Raises `WeightsError`, naming the file, where it is missing, truncated,
    damaged, or not one of lab1's.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise refusal(path, f"cannot be read: {error.strerror}") from error
    safetensors = library(path)
    try:
        tensors = safetensors.deserialize(content)
        metadata = _parted(content)[0].get("__metadata__", {})
        _METADATA("__metadata__", metadata)
    except (safetensors.SafetensorError, RecordError) as error:
        raise refusal(path, f"is no file of weights, or a truncated one: {error}") from error
    run, named = metadata.get("run"), metadata["sha256"]
    computed = digest(
        (name, tensor["dtype"], tensor["shape"], tensor["data"]) for name, tensor in tensors
    )
    if computed != named:
        raise refusal(path, "is damaged: the SHA-256 that it names is not that of its tensors")
    return WeightsFile(run, named, content, metadata)


def library(path: Path) -> Any:
    """safetensors, which reads and writes `path`; imported late, since few commands need it.

    Raises `MissingRunsError` where it is not installed, as on a machine whose torch came alone.
    """
    try:
        import safetensors
    except ImportError as error:
        raise MissingRunsError(
            f"{path}: safetensors is not installed, which reads and writes weights. "
            "Install it: pip install safetensors"
        ) from error
    return safetensors


def with_sorted_header(content: bytes) -> bytes:
    """A weights file with its header in the order of the names: equal weights, equal bytes."""
    header, data = _parted(content)
    encoded = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
    encoded += b" " * (-len(encoded) % 8)  # the tensors begin at a multiple of eight bytes
    return len(encoded).to_bytes(8, "little") + encoded + data


def refusal(path: Path, why: str) -> WeightsError:
    """The error for a file of weights, with what to do about it."""
    return WeightsError(
        f"{path}: {why}. Get the original file again (`git checkout` restores a published one, "
        "another has to be copied from where its run was trained), or delete it and train again"
    )


_METADATA = mapping({"sha256": text()}, {"run": text()}, others=text(r"(?s:.*)"))


def _parted(content: bytes) -> tuple[dict[str, Any], bytes]:
    """The header and the bytes of the tensors of a file that safetensors has written or read."""
    begin = 8 + int.from_bytes(content[:8], "little")
    return json.loads(content[8:begin]), content[begin:]
