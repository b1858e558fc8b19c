"""Checks records beyond what reading them checks, and can train one again."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from statistics import stdev

from ..core import benchmarks, weights_file
from ..core.datasets import DATASETS
from ..core.record import Record
from ..core.spec import ModelSpec
from ..core.store import Store
from ..core.training_config import RuntimeOptions
from ..errors import Lab1Error, WeightsError
from .ensure import has_torch

#: What a machine's speed and memory decide, and not the training.
_MACHINE_FIELDS = ("seconds", "peak_memory_bytes")

#: How far, relatively, the first epoch's training loss may move on processors of one family.
FIRST_LOSS = 1e-3

#: The 97.5 % quantiles of Student's t for 2, 3, ... degrees of freedom (scipy.stats.t.ppf, rounded
#: up; scipy is not there where models are trained); the last serves for all further ones.
_STUDENT_T = (4.31, 3.19, 2.78, 2.58, 2.45, 2.37, 2.31, 2.27)


def check(record: Record) -> list[str]:
    """The faults of a record, in words: its data's fingerprint, its number of parameters.

    Its contents, key and checksum were checked when it was read.  The parameter count is recomputed
    where torch is installed.
    """
    findings = []
    declared = DATASETS[record.spec.dataset]
    if record.origin.get("data_fingerprint") != declared.fingerprint:
        findings.append("its data have another fingerprint than the declared one")
    if has_torch():
        try:
            parameters = _count_parameters(record.spec.model, record.spec.dataset)
        except (MemoryError, RuntimeError) as error:
            findings.append(f"its model cannot be built here: {error}")
        else:
            if parameters != record.parameters:
                findings.append(f"it has {record.parameters} parameters, its model {parameters}")
    return [f"{record.name}: {finding}" for finding in findings]


@cache
def _count_parameters(model: ModelSpec, dataset: str) -> int:
    """The number of parameters of the model itself, built once for all runs of its kind."""
    from ..training import models

    return models.count_parameters(models.build(model, DATASETS[dataset], seed=0))


def check_probes(store: Store, records: Sequence[Record]) -> list[str]:
    """The faults of the probes of some records, in words."""
    # Those of an older recipe are never read.
    specs = {record.name: record.spec for record in records if record.key == record.spec.key}
    probes = [
        (specs[run], probe) for run, probe in dict.fromkeys(store.all_probes()) if run in specs
    ]
    return [fault for spec, probe in probes for fault in _faults(store.find_probe, spec, probe)]


def check_benchmarks() -> list[str]:
    """The faults of the published benchmarks, in words."""
    return [fault for path in benchmarks.files() for fault in _faults(benchmarks.read, path)]


def _faults(read: Callable[..., object], *arguments: object) -> list[str]:
    try:
        read(*arguments)
    except Lab1Error as error:
        return [str(error)]
    return []


def check_weights(store: Store, records: Sequence[Record]) -> list[str]:
    """The faults of weights, in words.

    Their digest must be that of their tensors and the one that their record names, a published
    record must say how published ones came about, and the students among `records` must have
    learnt from them.  Needs no torch.
    """
    findings, digests = [], {}
    for path in sorted(store.results.glob("*.safetensors")):
        try:
            file = weights_file.read(path)
        except WeightsError as error:
            findings.append(str(error))
            continue
        digests[path] = file.sha256
        if not path.stem.endswith(f".{file.run}"):
            findings.append(f"{path}: has the weights of run {file.run}")
        elif not path.with_suffix(".json").exists():
            findings.append(f"{path}: weights without a published record of their run")
    for record in records:
        findings += _check_digest(record, store, digests)
        teacher = record.spec.teacher
        sha256 = digests.get(weights_file.published(teacher, store)) if teacher else None
        findings += check_teacher(record, sha256) if sha256 else []
    return findings


def _check_digest(record: Record, store: Store, digests: Mapping[Path, str]) -> list[str]:
    """A finding where the weights of a run are not those that its record names."""
    path = weights_file.find(record.spec, store)
    if record.weights_sha256 is None or path is None or path.suffix == ".pt":
        return []
    try:
        actual = digests.get(path) or weights_file.read(path).sha256
    except WeightsError as error:
        return [str(error)]
    if actual == record.weights_sha256:
        return []
    return [
        f"{path}: has the SHA-256 {actual}, and the record of its run says {record.weights_sha256}"
    ]


def students_of_other_weights(teacher: Record, records: Sequence[Record]) -> list[str]:
    """A finding for each record that learnt from other weights of a run than its present ones."""
    return [
        f"{record.name} learnt from weights that are gone; train it again too: "
        f"python -m lab1 run --again {record.key}"
        for record in records
        if record.spec.teacher == teacher.spec
        and record.origin.get("teacher_sha256") != teacher.weights_sha256
    ]


def check_teacher(record: Record, sha256: str) -> list[str]:
    """A finding where a record learnt from other weights than those with the digest `sha256`."""
    learnt = record.origin.get("teacher_sha256")
    if learnt == sha256:
        return []
    return [
        f"{record.name}: learnt from weights with the SHA-256 {learnt}, and the published ones of "
        f"its teacher have {sha256}"
    ]


def retrain(
    record: Record, options: RuntimeOptions, tolerance: float, records: Sequence[Record]
) -> list[str]:
    """Trains the run again, says how far it agrees, and returns a finding where it does not.

    On the same device, versions and number of threads the losses repeat exactly; elsewhere they
    drift apart by rounding.  The training loss of the first epoch must then agree to
    `FIRST_LOSS` on a processor of the same family, and the test accuracy as closely as those of
    two seeds of the configuration (among `records`) in 95 of 100 cases, or, where there are no
    three seeds that differ, to `tolerance`.
    """
    from ..training.run import train_run

    threads = record.origin.get("device", {}).get("threads")
    # As it would be read back, since a record knows no NaN.
    again = Record.from_dict(train_run(record.spec, replace(options, threads=threads)).to_dict())
    if _same_training(record, again):
        print(f"{record.name}: trained again, and every loss, metric and score is equal")
        return []
    if not record.test or not again.test:
        return [f"{record.name}: {record.stopped}; trained again: {again.stopped}"]
    (loss, begins_alike), (accuracy, ends_alike) = (
        _first_loss(record, again),
        _accuracy(record, again, tolerance, records),
    )
    line = f"{record.name}: {accuracy}; {loss}"
    if begins_alike and ends_alike:
        print(line)
        return []
    return [line]


def _first_loss(record: Record, again: Record) -> tuple[str, bool]:
    """The agreement of the first epoch's training losses, in words and whether it suffices."""
    first, second = (run.history["train_loss"][0] for run in (record, again))
    assert first is not None and second is not None  # as in every record with a test score
    words = f"training loss of the first epoch {first:.5g}, trained again {second:.5g}"
    before, here = map(_first_family, (record, again))
    if before is None or before != here:
        there = before or "unknown"
        return f"{words}: not judged, since its processor was {there} and is here {here}", True
    alike = math.isclose(first, second, rel_tol=FIRST_LOSS)
    return f"{words}: {'within' if alike else 'further apart than'} {FIRST_LOSS:.1%}", alike


def _first_family(record: Record) -> str | None:
    """The family of the processor that trained the first epoch; `None` where it is unknown."""
    first, *_ = record.origin.get("segments", [{"device": None}])
    return (first["device"] or {}).get("family")


def _accuracy(
    record: Record, again: Record, tolerance: float, records: Sequence[Record]
) -> tuple[str, bool]:
    """The agreement of the test accuracies, in words and whether it suffices."""
    before, after = record.test["accuracy"], again.test["accuracy"]
    of_seed = {
        other.spec.seed: other.test["accuracy"]
        for other in records
        if other.test
        and other.recipes == record.recipes
        and replace(other.spec, seed=record.spec.seed) == record.spec
    }
    n, limit, source = len(of_seed), tolerance, "--tolerance, for want of three seeds that differ"
    if n >= 3 and (deviation := stdev(of_seed.values())):
        limit = math.sqrt(2) * _STUDENT_T[min(n - 3, len(_STUDENT_T) - 1)] * deviation
        source = f"so far apart are 95 % of all pairs of its {n} seeds"
    alike = abs(after - before) <= limit
    return (
        f"test accuracy {before:.4f}, trained again {after:.4f}: "
        f"{'within' if alike else 'further apart than'} {limit:.3g} ({source})"
    ), alike


def _same_training(first: Record, second: Record) -> bool:
    scores = first.test.keys() & second.test.keys()  # older records have fewer
    return all(first.test[name] == second.test[name] for name in scores) and all(
        first.history[name] == second.history[name]
        for name in first.series
        if name not in _MACHINE_FIELDS
    )
