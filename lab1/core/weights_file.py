"""Where the weights of a run are, and the published ones checked (standard library only).

One's own lie in `runs/<run>/weights.safetensors`, published ones in
`results/<run>.safetensors`.  The format is that of huggingface.co/docs/safetensors, "Format":
eight bytes of length (little endian), a JSON header of that length, and the tensors' bytes.  Its
`__metadata__` here holds the `sha256` of the tensors (`digest`) and, of published ones,
the `run`'s key.  Earlier versions left `weights.pt` in `runs/`; such files are still read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from .errors import RecordError, WeightsError
from .files import is_there
from .schema import exactly, listing, mapping, one_of, text, whole
from .spec import RunSpec
from .store import Store
from .values import shown

#: A tensor as it is digested: its name, its type (`F32`, `I64`), its shape, its bytes.
Part = tuple[str, str, list[int], bytes]


@dataclass(frozen=True)
class WeightsFile:
    """A file whose digest fits: the `run` and `sha256` that it names, and its `content`."""

    run: str | None
    sha256: str
    content: bytes


def published(spec: RunSpec, store: Store) -> Path:
    """The file in `results/` that has the weights of a run, or would have them."""
    return store.results / f"{spec.name}.safetensors"


def find(spec: RunSpec, store: Store) -> Path | None:
    """The file with the weights of a finished run, where there is one.

    That is the published one, unless the run was trained here again since.
    """
    candidates = [] if store.is_replaced(spec.name) else [published(spec, store)]
    if store.path_of(spec) is not None:  # else a training under way keeps its best so far there
        candidates += [own(spec, store), own(spec, store).with_suffix(".pt")]
    return next((path for path in candidates if is_there(path)), None)


def own(spec: RunSpec, store: Store) -> Path:
    """The file in `runs/` that has the weights of a run, or would have them."""
    return store.run_dir(spec) / "weights.safetensors"


def absence(spec: RunSpec, store: Store, purpose: str) -> str:
    """Words for weights that are nowhere, although `purpose` needs them, and how to get them."""
    trained = store.path_of(spec) is not None
    how = f"train it once more: python -m lab1 run --again {spec.key}"
    return (
        f"{own(spec, store)}: the weights of {spec.title} are not here, nor are they published as "
        f"{published(spec, store).name}, and {purpose}; copy them from where the run was trained, "
        f"or {how if trained else 'train it here, with save_weights'}"
    )


def digest(tensors: Iterable[Part]) -> str:
    """The SHA-256 of tensors in the order of their names: of each, name, type, shape and bytes."""
    found = hashlib.sha256()
    for name, kind, shape, content in sorted(tensors):
        found.update(json.dumps([name, kind, shape]).encode() + b"\n")
        found.update(content)
    return found.hexdigest()


def read(path: Path) -> WeightsFile:
    """The checked content of a file of weights.

    Raises `WeightsError`, naming the file, where it is missing, truncated,
    damaged, or not one of lab1's.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise refusal(path, f"cannot be read: {error.strerror}") from error
    try:
        header, data = _parted(content)
        metadata = header.pop("__metadata__", None)
        _METADATA("__metadata__", metadata)
        mapping({}, others=_TENSOR)("", header)
        _check_layout(header, len(data))
    except (ValueError, RecursionError, RecordError) as error:
        why = f"is no file of weights, or a truncated one: {error or type(error).__name__}"
        raise refusal(path, why) from error
    run, named = metadata.get("run"), metadata["sha256"]
    found = digest(
        (name, each["dtype"], each["shape"], data[slice(*each["data_offsets"])])
        for name, each in header.items()
    )
    if found != named:
        raise refusal(path, "is damaged: the SHA-256 that it names is not that of its tensors")
    return WeightsFile(run, named, content)


def with_sorted_header(content: bytes) -> bytes:
    """The same file with its header in the order of the names: equal weights, equal bytes."""
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


#: The bytes of a number of each type that a model's state can have.
_SIZES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "U8": 1, "BOOL": 1}

#: The most bytes that the format allows a header.
_MOST_HEADER = 100_000_000

_METADATA = mapping({"sha256": text()}, {"run": text()}, others=text())
_TENSOR = mapping(
    {"dtype": one_of(*_SIZES), "shape": listing(whole()), "data_offsets": exactly(2, whole())}
)


def _parted(content: bytes) -> tuple[dict[str, Any], bytes]:
    """The header and the bytes of the tensors; raises `ValueError` where there is no header."""
    begin = 8 + int.from_bytes(content[:8], "little")
    if not 8 < begin <= min(len(content), 8 + _MOST_HEADER):
        raise ValueError("it ends within its header")
    header = json.loads(content[8:begin])
    if not isinstance(header, dict):
        raise ValueError("its header is no object")
    return header, content[begin:]


def _check_layout(header: Mapping[str, Any], size: int) -> None:
    """Raises `ValueError` unless the tensors lie one after the other and fill the file."""
    end = 0
    for name, each in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        first, last = each["data_offsets"]
        length = prod(each["shape"]) * _SIZES[each["dtype"]]
        if (first, last) != (end, end + length):
            raise ValueError(
                f"{shown(name)} lies from {first} to {last}; allowed: {end} to {end + length}"
            )
        end = last
    if end < size:
        raise ValueError(f"{size - end} bytes follow after its tensors")
    if end > size:
        raise ValueError("it ends within a tensor")
