"""Trains what is compared in turn, round by round, and keeps the seconds."""

import contextlib
import gc
import platform
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from importlib import metadata
from itertools import groupby
from typing import Any

import torch

from ...core import benchmarks
from ...core.training_config import usable_cores
from .. import device as devices
from .. import models, origin
from ..evaluation import count_errors
from .cases import Case, load
from .contenders import Contender, contenders

_PACKAGES = ("torch", "torchvision", "transformers", "accelerate", "lightning", "numpy", "pillow")
_LONG_PRODUCT = 2.0  # seconds that no product should take


def measure(
    cases: Sequence[Case],
    *,
    compared: str,
    rounds: int,
    note: str = "",
    device: str = "auto",
    data_dir: str | None = None,
) -> dict[str, Any]:
    """The benchmark as plain JSON: circumstances, and every round of every case.

    `compared` says what is: the contenders of each case, or, under this package's trainer, the
    cases that share data and settings.  In each round all that are compared with each other train
    once, in turn.  Round r uses seed r, and starts at another place, so that a machine that grows
    slower hits all alike.  `note` is kept in the record: what may have disturbed it.
    """
    where = devices.resolve(device)
    networks = compared == benchmarks.DEPTHS
    present, skipped = {}, []
    for name, contender in contenders(where).items():
        if name not in benchmarks.OURS and networks:
            continue
        if contender.is_installed:
            present[name] = contender
        else:
            skipped.append(contender.title)
            say(f"skipped: {contender.title}, which is not installed (extra 'bench')")
    installed = {package.name.lower(): package.version for package in metadata.distributions()}
    groups = groupby(
        cases, lambda case: (case.datasets, case.images, case.config) if networks else case.name
    )
    return {
        "schema": benchmarks.SCHEMA,
        "compared": compared,
        "commit": origin.commit(),
        "date": origin.now().date().isoformat(),
        "note": note,
        "hardware": {
            **devices.describe(where),
            "cores": usable_cores(),
            "matrix_product_flops": _matrix_product_rate(where),
        },
        "versions": {
            "python": platform.python_version(),
            **{name: installed[name] for name in _PACKAGES if name in installed},
        },
        "skipped": skipped,
        "contenders": {name: contender.title for name, contender in present.items()},
        "cases": [
            measured
            for _, group in groups
            for measured in _measure(
                list(group), present, rounds, where, data_dir, scored=not networks
            )
        ],
    }


def _measure(
    cases: Sequence[Case],
    present: Mapping[str, Contender],
    rounds: int,
    device: torch.device,
    data_dir: str | None,
    *,
    scored: bool,
) -> list[dict[str, Any]]:
    """Cases that share their data, as the record has them; only where `scored` with accuracies."""
    data = load(cases[0], data_dir)
    pairs = [(case, name) for case in cases for name in present]
    one_batch = replace(data, train=data.train.evenly_spaced(cases[0].config.batch_size))
    for case, name in pairs:
        say(f"{case.title}, {present[name].title}: warm-up")
        # Of a constant rate: over one step no other schedule has a course.
        brief = replace(case, config=replace(case.config, epochs=1, schedule="constant"))
        timed(present[name].prepare(brief, one_batch, 0, device)[1], device)
    results: dict[str, dict[str, list[dict[str, float]]]] = {
        case.name: {name: [] for name in present} for case in cases
    }
    for index in range(rounds):
        first = index * len(pairs) // rounds
        for case, name in pairs[first:] + pairs[:first]:
            say(f"{case.title}, {present[name].title}: round {index + 1} of {rounds}")
            torch.manual_seed(index)
            model, train = present[name].prepare(case, data, index, device)
            result = {"seconds": timed(train, device)}
            if scored:
                errors = count_errors(model.to(device).eval(), data.declared, data.test)
                result["accuracy"] = 1 - errors / len(data.test)
            results[case.name][name].append(result)
            del model, train
            gc.collect()
    return [
        {
            "name": case.name,
            "title": case.title,
            "family": case.model.family,
            "depth": case.model.depth,
            "dataset": data.declared.name,
            "images": len(data.train),
            "epochs": case.config.epochs,
            "batch_size": case.config.batch_size,
            "augmentation": case.config.augmentation,
            "target": case.target,
            "flops": models.count_flops(
                case.build(data.declared.name, 0), data.declared.image_shape
            ),
            "rounds": results[case.name],
        }
        for case in cases
    ]


def timed(train: Callable[[], object], device: torch.device) -> float:
    """The seconds that a training takes, until the device has done with it."""
    started = time.perf_counter()
    with contextlib.redirect_stdout(sys.stderr):  # where some contenders like to write
        train()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - started


def _matrix_product_rate(device: torch.device, sizes: Sequence[int] = (128, 2048)) -> float:
    """Floating-point operations per second of a large product in bfloat16: what is at hand.

    The small product goes first: a CPU without such arithmetic would take minutes for the other.
    """
    rate = 0.0
    for size in sizes:
        if rate and 2 * size**3 / rate > _LONG_PRODUCT:
            break
        one = torch.randn(size, size, device=device, dtype=torch.bfloat16)
        rate = max(2 * size**3 / timed(partial(torch.mm, one, one), device) for _ in range(6))
    return rate


def say(text: str) -> None:
    """Tells how far a benchmark has got; its result alone goes to the standard output."""
    print(text, file=sys.stderr, flush=True)
