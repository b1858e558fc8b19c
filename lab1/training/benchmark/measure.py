"""Runs the contenders in turn, round by round, and compares them within each round."""

from __future__ import annotations

import contextlib
import gc
import platform
import sys
import time
from collections.abc import Callable, Sequence
from importlib import metadata
from typing import Any

import torch
from torch import nn

from .. import device as devices
from .. import models, origin
from ..data.augmentation import Normalize
from ..data.images import LoadedData
from .cases import Case, load
from .contenders import REFERENCE, Contender, contenders

#: As in `lab1.core.benchmarks`, which reads it.
SCHEMA = 1
_PACKAGES = ("torch", "torchvision", "transformers", "accelerate", "lightning", "numpy", "pillow")


def measure(
    cases: Sequence[Case], *, rounds: int, device: str = "auto", data_dir: str | None = None
) -> dict[str, Any]:
    """The benchmark as plain JSON: hardware, versions, and every round of every case.

    In each round every contender trains once, in turn, from the same initial weights; round r
    uses seed r and starts with another contender, so that a machine that grows slower hits all
    alike.
    """
    where = devices.resolve(device)
    taking_part = contenders(where)
    absent = {name: each for name, each in taking_part.items() if not each.is_installed}
    for each in absent.values():
        say(f"skipped: {each.title}, which is not installed (extra 'bench')")
    present = {name: each for name, each in taking_part.items() if name not in absent}
    return {
        "schema": SCHEMA,
        **circumstances(where),
        "reference": REFERENCE,
        "skipped": [each.title for each in absent.values()],
        "titles": {name: each.title for name, each in present.items()},
        "cases": [_measure(case, load(case, data_dir), present, rounds, where) for case in cases],
    }


def circumstances(where: torch.device) -> dict[str, Any]:
    """Where and when a benchmark was made: commit, date, hardware and versions."""
    return {
        "commit": origin.commit(),
        "date": origin.now().date().isoformat(),
        "hardware": {
            **devices.describe(where),
            "cores": devices.usable_cores(),
            "matrix_product_flops": _matrix_product_rate(where),
        },
        "versions": {
            "python": platform.python_version(),
            **{name: _version(name) for name in _PACKAGES if _version(name)},
        },
    }


def timed(train: Callable[[], object], device: torch.device) -> float:
    """The seconds that a training takes, until the device has done with it."""
    started = time.perf_counter()
    with contextlib.redirect_stdout(sys.stderr):  # where some contenders like to write
        train()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - started


def _measure(
    case: Case,
    data: LoadedData,
    present: dict[str, Contender],
    rounds: int,
    device: torch.device,
) -> dict[str, Any]:
    results: dict[str, list[dict[str, float]]] = {name: [] for name in present}
    names = list(present)
    for index in range(rounds):
        turn = index % len(names)
        for name in names[turn:] + names[:turn]:
            say(f"{case.title}, round {index + 1} of {rounds}: {present[name].title}")
            results[name].append(_train(case, data, present[name], index, device))
    model = case.build(data.declared.name, 0)
    return {
        "name": case.name,
        "title": case.title,
        "dataset": data.declared.name,
        "images": len(data.train),
        "epochs": case.config.epochs,
        "batch_size": case.config.batch_size,
        "augmentation": case.config.augmentation,
        "target": case.target,
        "flops": models.count_flops(model, data.declared.image_shape),
        "rounds": results,
    }


def _train(
    case: Case, data: LoadedData, contender: Contender, seed: int, device: torch.device
) -> dict[str, float]:
    """One short training: images per second of training, and the accuracy on the test set."""
    torch.manual_seed(seed)
    model, train = contender.prepare(case, data, seed, device)
    seconds = timed(train, device)
    accuracy = _accuracy(model.to(device), data, device)
    gc.collect()
    return {
        "seconds": seconds,
        "images_per_second": len(data.train) * case.config.epochs / seconds,
        "accuracy": accuracy,
    }


@torch.inference_mode()
def _accuracy(model: nn.Module, data: LoadedData, device: torch.device) -> float:
    """The share of the test set that is right: for every contender in the same way."""
    model.eval()
    normalize = Normalize(data.declared.mean, data.declared.std, device)
    test = data.test.to(device)
    predicted = torch.cat([model(normalize(part)).argmax(1) for part in test.images.split(1000)])
    return float((predicted == test.labels).float().mean())


def _matrix_product_rate(device: torch.device, size: int = 2048) -> float:
    """Floating-point operations per second of a large product in bfloat16: what is at hand."""
    one = torch.randn(size, size, device=device, dtype=torch.bfloat16)
    rates = []
    for _ in range(6):
        rates.append(2 * size**3 / timed(lambda: one @ one, device))
    return max(rates)


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def say(text: str) -> None:
    """Tells how far a benchmark has got; its result alone goes to the standard output."""
    print(text, file=sys.stderr, flush=True)
