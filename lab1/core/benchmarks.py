"""Benchmark records: read, and compared contender by contender (standard library only).

`python -m lab1 bench --json` makes one; the published ones lie in `results/benchmarks/`, those
of `bench --depths`, which compares networks, in `results/benchmarks/depth/`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import mean, median
from typing import Any

from . import paths
from .datasets import DATASETS
from .errors import RecordError

#: What this version reads and writes.
SCHEMA = 1


def published() -> dict[str, Mapping[str, Any]]:
    """The committed benchmark records by name, such as `cpu-2-cores`."""
    files = sorted((paths.results_dir() / "benchmarks").glob("*.json"))
    return {path.stem: read(path) for path in files}


def published_depths() -> dict[str, Mapping[str, Any]]:
    """The committed records of `bench --depths` by name."""
    files = sorted((paths.results_dir() / "benchmarks" / "depth").glob("*.json"))
    return {path.stem: read(path, depth_rounds) for path in files}


def read(
    path: Path, rows: Callable[[Mapping[str, Any]], list[dict[str, Any]]] | None = None
) -> Mapping[str, Any]:
    """The benchmark in a file; raises `RecordError` where it holds none.

    `rows` is what must be able to read it, `summary` if not given.
    """
    try:
        content = json.loads(path.read_text())
        if content["schema"] != SCHEMA:
            raise RecordError(f"{path}: schema {content['schema']!r}; this version reads {SCHEMA}")
        (rows or summary)(content)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RecordError(f"{path}: not readable as a benchmark: {error}") from error
    result: Mapping[str, Any] = content
    return result


def summary(benchmark: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One row per case and contender.

    `ratio`, `minimum` and `maximum` (over the rounds) say how many times as fast ours was,
    in its faster precision, as the contender in the same round.  `accuracy` is the mean over the
    rounds of the share of the test set that is right.  `share_of_peak` sets forward and backward
    pass, taken as three times the operations of the forward pass, against a large matrix product
    on the same device.  `target` is the ratio to reach, and given for the reference loop alone.
    """
    peak = benchmark["hardware"]["matrix_product_flops"]
    rows = []
    for case in benchmark["cases"]:
        rates = {
            name: [each["images_per_second"] for each in rounds]
            for name, rounds in case["rounds"].items()
        }
        ours = [name for name in rates if name.startswith("lab1")]
        best = max(ours, key=lambda name: median(rates[name]))
        for name, values in rates.items():
            ratios = [mine / theirs for mine, theirs in zip(rates[best], values, strict=True)]
            accuracies = [each["accuracy"] for each in case["rounds"][name]]
            rows.append(
                {
                    "case": case["title"],
                    "dataset": DATASETS[case["dataset"]].title,
                    "contender": benchmark["titles"][name],
                    "images_per_second": median(values),
                    "ratio": median(ratios),
                    "minimum": min(ratios),
                    "maximum": max(ratios),
                    "accuracy": mean(accuracies),
                    "lowest_accuracy": min(accuracies),
                    "highest_accuracy": max(accuracies),
                    "share_of_peak": 3 * case["flops"] * median(values) / peak,
                    "target": case["target"] if name == benchmark["reference"] else None,
                }
            )
    return rows


def depth_rounds(benchmark: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One row per network and round of `bench --depths`: what a training image costs.

    `milliseconds` are those of one image, forward, backward and step; `ratio` sets them against
    the first network's in the same round.
    """
    images, networks = benchmark["images"], benchmark["networks"]
    dataset = DATASETS[benchmark["dataset"]].name
    return [
        {
            "family": network["family"],
            "depth": network["depth"],
            "dataset": dataset,
            "round": index,
            "milliseconds": 1e3 * seconds / images,
            "ratio": seconds / first,
        }
        for network in networks
        for index, (seconds, first) in enumerate(
            zip(network["seconds"], networks[0]["seconds"], strict=True)
        )
    ]


def depths_text(benchmark: Mapping[str, Any]) -> str:
    """The rounds of `bench --depths` network by network, as a table for a terminal."""
    rows = depth_rounds(benchmark)
    first = benchmark["networks"][0]
    lines = [
        machine(benchmark),
        f"{DATASETS[benchmark['dataset']].title}, {benchmark['images']} images a round, batch "
        f"{benchmark['batch_size']}, {benchmark['precision']}",
        "",
        f"{'':<22}{'ms/image':>10}   times {first['family']}, {first['depth']} layers",
    ]
    for network in benchmark["networks"]:
        name = (network["family"], network["depth"])
        own = [row for row in rows if (row["family"], row["depth"]) == name]
        ratios = [row["ratio"] for row in own]
        lines.append(
            f"{f'{name[0]}, {name[1]} layers':<22}"
            f"{median(row['milliseconds'] for row in own):>10.2f}   "
            f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        )
    return "\n".join(lines)


def machine(benchmark: Mapping[str, Any]) -> str:
    """What it was measured on: `AMD EPYC, 2 cores, torch 2.14.1`."""
    hardware = benchmark["hardware"]
    cores = f", {hardware['cores']} cores" if hardware["kind"] == "cpu" else ""
    return f"{hardware['name']}{cores}, torch {benchmark['versions']['torch']}"


def text(benchmark: Mapping[str, Any]) -> str:
    """The summary as a table for a terminal."""
    lines = [machine(benchmark)]
    for case in benchmark["cases"]:
        first = next(iter(case["rounds"].values()))
        lines += [
            "",
            f"{case['title']} on {DATASETS[case['dataset']].title}: {case['epochs']} epochs of "
            f"{case['images']} images, batch {case['batch_size']}, augmentation "
            f"{case['augmentation']}, {len(first)} rounds",
            f"{'':<22}{'images/s':>10}   {'ours is faster by':<24}{'accuracy':>9}{'of peak':>9}",
        ]
        for row in summary({**benchmark, "cases": [case]}):
            ratio = f"{row['ratio']:.2f} ({row['minimum']:.2f} to {row['maximum']:.2f})"
            if row["target"] is not None:
                ratio += f", aim {row['target']:g}"
            lines.append(
                f"{row['contender']:<22}{row['images_per_second']:>10.0f}   {ratio:<24}"
                f"{row['accuracy']:>9.2%}{row['share_of_peak']:>9.1%}"
            )
    lines += [f"skipped, not installed: {title}" for title in benchmark["skipped"]]
    return "\n".join(lines)
