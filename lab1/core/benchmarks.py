"""Benchmark records: read, compared round by round, and printed (standard library only).

A record has cases, which are a network and its data, and contenders, which train them.
`python -m lab1 bench --json` compares the contenders of each case, `bench --depths` the networks
under each contender.  The published records lie in `results/benchmarks/`.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from statistics import mean, median
from typing import Any

from ..errors import RecordError
from . import record_rules as rules
from .datasets import DATASETS
from .families import FAMILIES
from .files import results_dir

#: What this version reads and writes.
SCHEMA = 2

#: What a record compares.
CONTENDERS, DEPTHS = "contenders", "depths"

#: The trainer of this package as a contender, by its precision.
OURS = {"lab1": "float32", "lab1-bf16": "bf16"}
#: The loop of the usual tutorials.
REFERENCE = "reference"


def published(compared: str | None = None) -> dict[str, Mapping[str, Any]]:
    """The committed records that compare this, or all, by name, such as `cpu-2-cores`."""
    records = {path.stem: read(path) for path in files()}
    return {name: r for name, r in records.items() if compared in (None, r["compared"])}


def files() -> list[Path]:
    """The files of the committed records."""
    return sorted((results_dir() / "benchmarks").glob("*.json"))


def read(path: Path) -> Mapping[str, Any]:
    """The benchmark in a file; raises `RecordError`, naming it, where it holds none."""
    content = rules.read_object(path, "a benchmark")
    with rules.in_file(path):
        content = rules.unseal(content)
        check(content)
    return content


_TEXT = rules.text()
_POSITIVE = rules.number(1e-9)
_ROUND = rules.mapping({"seconds": _POSITIVE}, {"accuracy": rules.optional(rules.number(0, 1))})
_CASE = rules.mapping(
    {
        "name": _TEXT,
        "title": _TEXT,
        "family": rules.one_of(*FAMILIES),
        "depth": rules.whole(1),
        "dataset": rules.one_of(*DATASETS),
        "images": rules.whole(1),
        "epochs": rules.whole(1),
        "batch_size": rules.whole(1),
        "augmentation": _TEXT,
        "target": rules.optional(_POSITIVE),
        "flops": rules.whole(1),
        "rounds": rules.anything,  # which depends on the contenders
    }
)
_BENCHMARK = rules.mapping(
    {
        "schema": rules.one_of(SCHEMA),
        "compared": rules.one_of(CONTENDERS, DEPTHS),
        "commit": _TEXT,
        "date": _TEXT,
        "note": _TEXT,
        "hardware": rules.mapping(
            {
                "kind": _TEXT,
                "name": _TEXT,
                "threads": rules.whole(1),
                "cores": rules.whole(1),
                "matrix_product_flops": _POSITIVE,
            }
        ),
        "versions": rules.mapping({"torch": _TEXT}, others=_TEXT),
        "skipped": rules.listing(_TEXT),
        "contenders": rules.mapping({}, others=_TEXT),
        "cases": rules.listing(_CASE, 1),
    }
)


def check(benchmark: Mapping[str, Any]) -> None:
    """Raises `RecordError` for what `bench --json` cannot have printed, naming what is wrong."""
    _BENCHMARK("", benchmark)
    for index, case in enumerate(benchmark["cases"]):
        place = f"cases[{index}].rounds"
        rules.mapping({}, dict.fromkeys(benchmark["contenders"], rules.listing(_ROUND, 1)))(
            place, case["rounds"]
        )
        if len({len(measured) for measured in case["rounds"].values()}) != 1:
            raise RecordError(f"{place} has contenders with different numbers of rounds, or none")
        if benchmark["compared"] == CONTENDERS and not OURS.keys() & case["rounds"].keys():
            raise RecordError(f"{place} has no contender of ours; allowed: {', '.join(OURS)}")
    if benchmark["compared"] == DEPTHS:
        _check_networks(benchmark["cases"])


def _check_networks(cases: Sequence[Mapping[str, Any]]) -> None:
    """Refuses cases of the same data and settings whose contenders or rounds differ."""
    forms: dict[str, Any] = {}
    for index, case in enumerate(cases):
        form = {name: len(measured) for name, measured in case["rounds"].items()}
        if forms.setdefault(_settings(case), form) != form:
            raise RecordError(f"cases[{index}].rounds has others than the first of its data")


def rounds(benchmark: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One row per case, contender and round.

    `milliseconds` are those of a training image: forward, backward and step.  `ratio` says how
    many times as long it took, in the same round, as what it is compared with: ours in its faster
    precision, or the first of the networks that share its data and settings.  `accuracy` is the
    share of the test set that is right afterwards, `None` where it was not measured.  `precision`
    is given for ours alone.
    """
    return [
        {
            "case": case["title"],
            "dataset": case["dataset"],
            "family": FAMILIES[case["family"]].name,
            "depth": case["depth"],
            "flops": case["flops"],
            "contender": benchmark["contenders"][name],
            "precision": OURS.get(name),
            "round": index,
            "milliseconds": 1e3 * ours["seconds"] / _images(case),
            "images_per_second": _images(case) / ours["seconds"],
            "ratio": ours["seconds"] / other["seconds"],
            "accuracy": ours.get("accuracy"),
        }
        for case in benchmark["cases"]
        for name, measured in case["rounds"].items()
        for index, (ours, other) in enumerate(
            zip(measured, _compared_with(benchmark, case, name), strict=True)
        )
    ]


def _images(case: Mapping[str, Any]) -> int:
    return int(case["images"] * case["epochs"])


def _compared_with(
    benchmark: Mapping[str, Any], case: Mapping[str, Any], name: str
) -> Sequence[Mapping[str, float]]:
    """The rounds that those of a contender are set against."""
    if benchmark["compared"] == DEPTHS:
        alike = [other for other in benchmark["cases"] if _settings(other) == _settings(case)]
        first: Sequence[Mapping[str, float]] = alike[0]["rounds"][name]
        return first
    ours = [measured for name, measured in case["rounds"].items() if name in OURS]
    return min(ours, key=lambda measured: median(round_["seconds"] for round_ in measured))


def _settings(case: Mapping[str, Any]) -> str:
    """The settings that cases must share to be compared, in words."""
    epochs = f"{case['epochs']} epoch{'s' if case['epochs'] > 1 else ''}"
    return (
        f"{DATASETS[case['dataset']].title}: {epochs} of {case['images']} images, batch "
        f"{case['batch_size']}, augmentation {case['augmentation']}"
    )


def summary(benchmark: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One row per case and contender, over its rounds.

    Time, rate and `ratio` are medians, `minimum` and `maximum` the extreme ratios; `accuracy` is a
    mean.  `share_of_peak` sets forward and backward pass, taken as three times the operations of
    the forward pass, against a large matrix product on the same device.  `target` is the ratio to
    reach, and given for the reference loop alone.
    """
    peak = benchmark["hardware"]["matrix_product_flops"]
    every, result = rounds(benchmark), []
    for case in benchmark["cases"]:
        for name in case["rounds"]:
            title = benchmark["contenders"][name]
            rows = [
                row for row in every if (row["case"], row["contender"]) == (case["title"], title)
            ]
            rate = median(row["images_per_second"] for row in rows)
            ratios = [row["ratio"] for row in rows]
            accuracies = [row["accuracy"] for row in rows if row["accuracy"] is not None]
            result.append(
                {
                    **rows[0],
                    "rounds": len(rows),
                    "milliseconds": median(row["milliseconds"] for row in rows),
                    "images_per_second": rate,
                    "ratio": median(ratios),
                    "minimum": min(ratios),
                    "maximum": max(ratios),
                    "accuracy": mean(accuracies) if accuracies else None,
                    "lowest_accuracy": min(accuracies, default=None),
                    "highest_accuracy": max(accuracies, default=None),
                    "share_of_peak": 3 * case["flops"] * rate / peak,
                    "target": case["target"] if name == REFERENCE else None,
                    "settings": _settings(case),
                    "dataset_title": DATASETS[case["dataset"]].title,
                }
            )
    return result


def precisions(benchmark: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The speed of our trainer in bf16 over that in float32, one row per case that has both.

    `ratio` is the median over the rounds, `minimum` and `maximum` are the extremes; `faster` is
    the precision that was so in every round, or none.
    """
    result = []
    for case in benchmark["cases"]:
        by_precision = {
            OURS[name]: [round_["seconds"] for round_ in measured]
            for name, measured in case["rounds"].items()
            if name in OURS
        }
        if len(by_precision) < len(OURS):
            continue
        pairs = zip(by_precision["float32"], by_precision["bf16"], strict=True)
        ratios = sorted(float32 / bf16 for float32, bf16 in pairs)
        row = {"case": case["title"], "ratio": median(ratios)}
        faster = "bf16" if ratios[0] > 1 else "float32" if ratios[-1] < 1 else None
        result.append(row | {"minimum": ratios[0], "maximum": ratios[-1], "faster": faster})
    return result


def machine(benchmark: Mapping[str, Any]) -> str:
    """The machine of a benchmark: `AMD EPYC, 2 cores, torch 2.14.1`."""
    hardware = benchmark["hardware"]
    cores = f", {hardware['cores']} cores" if hardware["kind"] == "cpu" else ""
    return f"{hardware['name']}{cores}, torch {benchmark['versions']['torch']}"


#: What makers add to the name of a processor.
_ORNAMENTS = re.compile(r"\((?:R|TM)\)| Processor\b| CPU\b")


def processors(published: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """The processor of each benchmark, short enough for a panel's title: `Intel Xeon, 2 cores`.

    Where two were measured on processors of one name, the benchmarks' own names tell them apart.
    """
    titles = {
        name: _ORNAMENTS.sub("", machine(benchmark).rpartition(", torch")[0])
        for name, benchmark in published.items()
    }
    alike = Counter(titles.values())
    return {name: p if alike[p] == 1 else f"{p} ({name})" for name, p in titles.items()}


def text(benchmark: Mapping[str, Any]) -> str:
    """The summary as a table for a terminal."""
    lines = [machine(benchmark), *filter(None, [benchmark["note"]])]
    for settings, group in groupby(summary(benchmark), lambda row: row["settings"]):
        rows = list(group)
        against = "ours" if benchmark["compared"] == CONTENDERS else rows[0]["case"]
        lines += [
            "",
            f"{settings}, {rows[0]['rounds']} rounds",
            f"{'':<42}{'images/s':>10}{'ms/image':>10}  {f'times {against}':<28}"
            f"{'accuracy':>9}{'of peak':>9}",
        ]
        for row in rows:
            ratio = _with_extremes(row)
            if row["target"] is not None:
                ratio += f", aim {row['target']:g}"
            accuracy = "" if row["accuracy"] is None else f"{row['accuracy']:.2%}"
            name = f"{row['case']}: {row['contender']}"
            lines.append(
                f"{name:<42}{row['images_per_second']:>10.0f}"
                f"{row['milliseconds']:>10.3f}  {ratio:<28}{accuracy:>9}"
                f"{row['share_of_peak']:>9.1%}"
            )
    if both := precisions(benchmark):
        lines += ["", "times as fast in bf16 as in float32, on this machine"]
    for row in both:
        lines.append(
            f"{row['case']:<42}{_with_extremes(row):<22}faster: {row['faster'] or 'neither'}"
        )
    lines += [f"skipped, not installed: {title}" for title in benchmark["skipped"]]
    return "\n".join(lines)


def _with_extremes(row: Mapping[str, Any]) -> str:
    """A median ratio with the smallest and the largest: `3.00 (2.00 to 4.00)`."""
    return f"{row['ratio']:.2f} ({row['minimum']:.2f} to {row['maximum']:.2f})"
