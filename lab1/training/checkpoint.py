"""Files that a training writes: its state, to continue from, and its weights as safetensors."""

import hashlib
import io
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..core import weights_file
from ..core.files import write_bytes
from ..errors import CheckpointError, Lab1Error, short_repr

_MAGIC = b"lab1-checkpoint-1"


class Checkpointer:
    """Saves and loads the state of one run, in one file that is always whole.

    `key` is the run's: a checkpoint of another run is refused.  `every_seconds` is the time
    between two saves (by a clock that nobody can set back).  The file begins with the key and a
    SHA-256 of the rest, which holds tensors and plain values and is read without executing code.
    """

    def __init__(self, path: Path, key: str, every_seconds: float = 60.0) -> None:
        self.path = path
        self.key = key
        self.every_seconds = every_seconds
        self._saved_at = time.monotonic()

    def is_due(self) -> bool:
        """True when it is time to save again."""
        return time.monotonic() - self._saved_at >= self.every_seconds

    def save(self, state: dict[str, Any]) -> None:
        """Puts `state` in the place of the last one, whole or not at all.

        Raises `StorageError` where it cannot be written, say on a full disk;
        the last checkpoint is then still there.
        """
        buffer = io.BytesIO()
        torch.save(state, buffer)
        payload = buffer.getvalue()
        digest = hashlib.sha256(payload).hexdigest()
        header = b" ".join([_MAGIC, self.key.encode(), digest.encode()]) + b"\n"
        write_bytes(self.path, header + payload)
        self._saved_at = time.monotonic()

    def load(self) -> dict[str, Any] | None:
        """The saved state, its tensors on the CPU; `None` where none was saved.

        Raises `CheckpointError` for a damaged file or that of another run. It
        is never taken for no checkpoint, since that would start from zero unasked.
        """
        try:
            header, _, payload = self.path.read_bytes().partition(b"\n")
        except FileNotFoundError:
            return None
        except OSError as error:
            raise CheckpointError(f"{self.path}: cannot be read: {error.strerror}") from error
        words = header.split(b" ")
        if len(words) != 3 or words[0] != _MAGIC:
            raise self.refusal("it is not a checkpoint of this version")
        key, digest = (word.decode(errors="replace") for word in words[1:])
        if key != self.key:
            raise self.refusal(f"it belongs to run {short_repr(key)}, not to {self.key}")
        if digest != hashlib.sha256(payload).hexdigest():
            raise self.refusal("its checksum does not fit its content: truncated or damaged")
        # The step schedule keeps its milestones in a Counter.
        try:
            with torch.serialization.safe_globals([Counter]):
                state = torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
        except Exception as error:  # torch raises many kinds
            raise self.refusal(f"it is not readable: {error}") from error
        if not isinstance(state, dict):
            raise self.refusal(f"it holds no state, but {short_repr(state)}")
        return state

    def remove(self) -> None:
        """Takes the checkpoint away, once the run's record is written."""
        self.path.unlink(missing_ok=True)

    def refusal(self, why: str) -> CheckpointError:
        """The error for a checkpoint that cannot be taken up, with what to do about it."""
        return CheckpointError(
            f"{self.path}: {why}. Delete it to train the run again from the beginning"
        )


#: What safetensors calls the types that a model's state can have.
KINDS = {
    torch.float32: "F32",
    torch.float64: "F64",
    torch.bfloat16: "BF16",
    torch.float16: "F16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}


def digest(weights: Mapping[str, Tensor]) -> str:
    """The SHA-256 that a record and a file of these weights name.

    That is `digest`, whichever way the tensors lie in memory.
    """
    parts = []
    for name, tensor in weights.items():
        content = tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes()
        parts.append((name, KINDS[tensor.dtype], list(tensor.shape), content))
    return weights_file.digest(parts)


def save_weights(
    path: Path,
    weights: Mapping[str, Tensor],
    run: str | None = None,
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Writes tensors as safetensors, whole or not at all; equal weights give equal bytes.

    `run` is the key of the run that they belong to, where they are to be published; the file's
    header also holds other `metadata`.
    """
    contiguous = {name: tensor.contiguous() for name, tensor in weights.items()}
    metadata = {**(metadata or {}), "sha256": digest(weights)} | ({"run": run} if run else {})
    content = _safetensors(path).save(contiguous, metadata)
    write_bytes(path, weights_file.with_sorted_header(content))


def load_weights(path: Path) -> dict[str, Tensor]:
    """Reads weights onto the CPU, without executing code from the file.

    The file is what `save_weights` wrote, or a `.pt` that torch wrote in earlier versions.
    Raises `WeightsError`, naming the file, where it is damaged.
    """
    try:
        if path.suffix == ".pt":
            weights = torch.load(path, map_location="cpu", weights_only=True)
        else:
            weights = _safetensors(path).load(weights_file.read(path).content)
    except Lab1Error:
        raise
    except Exception as error:  # torch raises many kinds for a damaged file
        raise weights_file.refusal(path, "is not readable as weights") from error
    if not isinstance(weights, dict) or not all(map(_is_plain, weights, weights.values())):
        kinds = ", ".join(str(kind).removeprefix("torch.") for kind in KINDS)
        raise weights_file.refusal(path, f"holds not only dense tensors by name, of {kinds}")
    return weights


def _is_plain(name: object, tensor: object) -> bool:
    """True for what a model's state may hold: no sparse, quantised, nested or absent tensor."""
    return (
        isinstance(name, str)
        and isinstance(tensor, Tensor)
        and tensor.dtype in KINDS
        and (tensor.layout, tensor.device.type) == (torch.strided, "cpu")
        and not (tensor.is_nested or tensor.is_neg())
    )


def load_into(model: nn.Module, weights: Mapping[str, Tensor], path: Path, title: str) -> None:
    """Gives a model, which messages call `title`, the weights of a file.

    Raises `WeightsError` unless the model can have left them: their names, types and shapes must
    be those of its state, and every number finite.
    """
    state, misfit = model.state_dict(), f"does not fit {title}"
    if weights.keys() != state.keys():
        lacking, strange = sorted(state.keys() - weights), sorted(weights.keys() - state)
        why = f"it lacks {lacking or 'nothing'}, and has besides {strange or 'nothing'}"
        raise weights_file.refusal(path, f"{misfit}: {why}")
    for name, expected in state.items():
        tensor = weights[name]
        if (tensor.dtype, tensor.shape) != (expected.dtype, expected.shape):
            why = (
                f"{name} is {tensor.dtype} of shape {tuple(tensor.shape)}; allowed: "
                f"{expected.dtype} of shape {tuple(expected.shape)}"
            )
            raise weights_file.refusal(path, f"{misfit}: {why}")
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            why = f"{name} has values that are no finite numbers"
            raise weights_file.refusal(path, f"{misfit}: {why}")
    model.load_state_dict(weights)


def _safetensors(path: Path) -> Any:
    """The module `safetensors.torch`; raises `MissingRunsError` where it is not installed."""
    weights_file.library(path)
    import safetensors.torch

    return safetensors.torch
