"""What pages say of a configuration: the runs that differ in their seed alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict

from ...core import differences
from ...core.datasets import DATASETS
from ...core.record import Record
from ..kit.frames import group_of, hardware


def by_configuration(records: Sequence[Record]) -> dict[str, list[Record]]:
    """The runs of each configuration by its group, in the order in which they come."""
    groups: dict[str, list[Record]] = {}
    for record in records:
        groups.setdefault(group_of(record), []).append(record)
    return groups


def titles(groups: Mapping[str, Sequence[Record]]) -> dict[str, str]:
    """The title of each configuration in words: what any title says, and what tells it apart."""
    specs = [members[0].spec for members in groups.values()]
    return dict(zip(groups, differences.labels(specs, within=differences.TITLE), strict=True))


def settings(record: Record, part: str) -> dict[str, str]:
    """What a part of the spec, `model`, `training` or `distillation`, states, in words by name."""
    stated = getattr(record.spec, part)
    values = {} if stated is None else asdict(stated)
    values.pop("teacher", None)
    if values.get("optimizer") != "sgd":  # it alone has one
        values.pop("momentum", None)
    return {name.replace("_", " "): str(v) for name, v in values.items() if v is not None}


def circumstances(members: Sequence[Record]) -> dict[str, str]:
    """How large a configuration is, and on what its runs were trained; not escaped."""
    first = members[0]
    teacher = first.spec.teacher
    dataset = DATASETS[first.spec.dataset].title
    facts = {
        "Teacher": "" if teacher is None else f"{teacher.title} ({teacher.key})",
        "Size": f"{first.parameters:,} parameters, {first.flops:,} FLOPs per image",
        "Data": _joined(
            f"{dataset}, {record.origin.get('data_source', 'unknown')}, fingerprint "
            f"{str(record.origin.get('data_fingerprint', 'unknown'))[:16]}"
            for record in members
        ),
        "Device": _joined(map(hardware, members)),
        "Versions": _joined(map(versions, members)),
        "Commit": commit(*members),
        "Trained": _joined(map(start, members)),
    }
    return {name: value for name, value in facts.items() if value}


def versions(record: Record) -> str:
    """What a run was trained with."""
    versions = record.origin.get("versions", {})
    return f"torch {versions.get('torch', '?')}, Python {versions.get('python', '?')}"


def commit(*records: Record) -> str:
    """The sources that runs were trained from, by all of their processes, abbreviated."""
    origins = (origin for r in records for origin in r.origin.get("segments") or [r.origin])
    return _joined(str(origin.get("commit", "unknown"))[:10] for origin in origins)


def start(record: Record) -> str:
    """The day on which its training began, in UTC, or that this is unknown."""
    return record.started[: len("2026-01-31")] if record.started else "start unknown"


def _joined(values: Iterable[str]) -> str:
    return " / ".join(sorted(set(values)))
