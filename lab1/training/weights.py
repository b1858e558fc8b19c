"""Weights as files: written and read as safetensors, and the digest that they are known by."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..core import weights_file
from ..core.files import write_bytes

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
    return weights_file.digest(
        (name, KINDS[tensor.dtype], list(tensor.shape), _bytes(tensor))
        for name, tensor in weights.items()
    )


def save_weights(path: Path, weights: Mapping[str, Tensor], run: str | None = None) -> None:
    """Writes tensors as safetensors, whole or not at all; equal weights give equal bytes.

    `run` is the key of the run that they belong to, where they are to be published.
    """
    contiguous = {name: tensor.contiguous() for name, tensor in weights.items()}
    metadata = {"sha256": digest(weights)} | ({} if run is None else {"run": run})
    content = _safetensors(path).save(contiguous, metadata)
    write_bytes(path, weights_file.with_sorted_header(content))


def load_weights(path: Path) -> dict[str, Tensor]:
    """Reads weights onto the CPU, without executing code from the file.

    The file is what `save_weights` wrote, or a `.pt` that torch wrote in earlier versions.
    Raises `WeightsError`, naming the file, where it is damaged.
    """
    if path.suffix != ".pt":
        content = weights_file.read(path).content
        try:
            weights: dict[str, Tensor] = _safetensors(path).load(content)
        except KeyError as error:
            raise weights_file.refusal(
                path, f"has tensors of a type, {error}, not torch's"
            ) from error
        return weights
    try:
        weights = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for a damaged file
        raise weights_file.refusal(path, "is not readable as weights") from error
    if not isinstance(weights, dict) or not all(
        isinstance(name, str) and isinstance(tensor, Tensor) and tensor.dtype in KINDS
        for name, tensor in weights.items()
    ):
        raise weights_file.refusal(path, "holds no tensors by name")
    return weights


def check_fit(weights: Mapping[str, Tensor], model: nn.Module) -> None:
    """Raises `ValueError` unless a model can have left these weights.

    Their names, types and shapes must be those of its state, and every number finite.
    """
    state = model.state_dict()
    if weights.keys() != state.keys():
        lacking, strange = sorted(state.keys() - weights), sorted(weights.keys() - state)
        raise ValueError(f"it lacks {lacking or 'nothing'}, and has besides {strange or 'nothing'}")
    for name, expected in state.items():
        tensor = weights[name]
        if (tensor.dtype, tensor.shape) != (expected.dtype, expected.shape):
            raise ValueError(
                f"{name} is {tensor.dtype} of shape {tuple(tensor.shape)}; allowed: "
                f"{expected.dtype} of shape {tuple(expected.shape)}"
            )
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise ValueError(f"{name} has values that are no finite numbers")


def _bytes(tensor: Tensor) -> bytes:
    return tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes()


def _safetensors(path: Path) -> Any:
    """Its part for torch; raises `MissingRunsError` where it is not installed."""
    weights_file.library(path)
    import safetensors.torch

    return safetensors.torch
