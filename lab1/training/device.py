"""Which device a run takes place on, and what it is called."""

import platform
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from shutil import which
from typing import Any

import torch
from torch import nn

from ..errors import ParameterError, not_allowed


def resolve(name: str) -> torch.device:
    """The device for `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.

    `auto` is CUDA where there is one, else MPS, else the CPU.  Raises
    `ParameterError` for a device that this machine lacks.
    """
    present = ["cuda"] if torch.cuda.is_available() else []
    present += [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    present += ["mps", "cpu"] if torch.backends.mps.is_available() else ["cpu"]
    if name == "auto":
        return torch.device(present[0])
    if name not in present:
        raise not_allowed("device", name, ", ".join(["auto", *present]), case="on this machine")
    return torch.device(name)


def describe(device: torch.device) -> dict[str, str | int]:
    """`kind`, `name` and, on the CPU, `threads`: what a record says of its device.

    Of a GPU it says instead whether float32 is `tf32` there (`exact_float32`).
    """
    if device.type == "cuda":
        tf32 = torch.backends.cuda.matmul.allow_tf32 or torch.backends.cudnn.allow_tf32
        return {"kind": "cuda", "name": torch.cuda.get_device_name(device), "tf32": tf32}
    name = _described("/proc/cpuinfo", "model name") or platform.processor() or platform.machine()
    return {"kind": device.type, "name": name, "threads": torch.get_num_threads()}


def family(device: torch.device) -> dict[str, str]:
    """What the rounding of float32 depends on: `family` of the processor and, on the CPU, the
    `instruction_set` that torch uses.

    Processors of one family round alike with the same versions and number of threads.
    """
    if device.type == "cuda":
        major, minor = torch.cuda.get_device_capability(device)
        return {"family": f"compute capability {major}.{minor}"}
    said = [_described("/proc/cpuinfo", name) for name in ("vendor_id", "cpu family", "model")]
    known = "{} family {} model {}".format(*said) if all(said) else platform.machine()
    return {"family": known, "instruction_set": torch.backends.cpu.get_cpu_capability()}


def check_precision(precision: str, device: torch.device) -> None:
    """Raises `ParameterError` for `bf16` on a GPU without it."""
    if precision == "bf16" and device.type == "cuda" and not torch.cuda.is_bf16_supported():
        case = "on this GPU, which has no bfloat16 arithmetic"
        raise not_allowed("precision", precision, "float32", case=case)


def memory_format(model: nn.Module, device: torch.device, precision: str) -> torch.memory_format:
    """Channels last for convolutions where their kernels are then faster: on a CPU (by half), and
    in bf16 on a GPU, whose float32 kernels are made for channels first.

    Not for fewer than eight feature maps, the width of a vector in AVX2: there the backward kernel
    of oneDNN (in torch 2.14) writes past its memory.
    """
    maps = [module.out_channels for module in model.modules() if isinstance(module, nn.Conv2d)]
    faster = device.type == "cpu" or (device.type == "cuda" and precision == "bf16")
    channels_last = faster and maps and min(maps) >= 8
    return torch.channels_last if channels_last else torch.contiguous_format


def compiled(model: nn.Module) -> Callable[..., Any]:
    """The model with kernels of its own for the shape of its inputs, made at the first call.

    They are kept on disk (`TORCHINDUCTOR_CACHE_DIR`), so that the next run has them at once.
    Raises `ParameterError` on CPUs without a C++ compiler.
    """
    if next(model.parameters()).device.type == "cpu" and not any(map(which, ("g++", "clang++"))):
        raise ParameterError(
            "compile is not allowed on this machine, which has no C++ compiler (g++ or clang++)"
        )
    # Kernels of earlier models count towards a limit, after which nothing would be compiled.
    torch.compiler.reset()
    made: Callable[..., Any] = torch.compile(model, dynamic=False)
    return made


def exact_float32(device: torch.device) -> None:
    """Keeps a GPU from rounding float32 to TensorFloat-32, 10 bits of mantissa, in this process."""
    if device.type == "cuda":
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False


@contextmanager
def threads(count: int | None) -> Iterator[None]:
    """Torch uses `count` CPU threads inside the block; `None` leaves the number as it is."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def reset_peak_memory(device: torch.device) -> None:
    """Lets `peak_memory_bytes` count from here, where the system allows it."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    elif sys.platform == "linux":
        with suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")  # proc(5): resets VmHWM


def peak_memory_bytes(device: torch.device) -> int:
    """The most memory used since the reset: tensors on a GPU, the whole process elsewhere."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    if peak_in_kibibytes := _described("/proc/self/status", "VmHWM"):
        return int(peak_in_kibibytes.split()[0]) * 1024
    if sys.platform == "win32":
        import psutil

        return int(psutil.Process().memory_info().peak_wset)
    import resource  # of POSIX

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # others count in kibibytes


def _described(path: str, name: str) -> str:
    """What the first line of that name says in a file of Linux's; empty where there is none."""
    with suppress(OSError):
        for line in Path(path).read_text(encoding="utf-8").splitlines():
            label, _, value = line.partition(":")
            if label.strip() == name:
                return value.strip()
    return ""
