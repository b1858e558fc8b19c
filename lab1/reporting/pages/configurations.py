"""Describes a configuration, which is the runs that differ in their seed alone, for pages."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict

from ...core import differences
from ...core.datasets import DATASETS
from ...core.escape import for_html
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


def settings(record: Record) -> dict[str, str]:
    """The settings of its model, training and distillation, in words by name."""
    spec = record.spec
    stated = [asdict(part) for part in (spec.model, spec.training, spec.distillation) if part]
    values = {name: value for part in stated for name, value in part.items()}
    values.pop("teacher", None)
    if values["optimizer"] != "sgd":  # it alone has one
        values.pop("momentum")
    said = {name.replace("_", " "): str(v) for name, v in values.items() if v is not None}
    return {name.capitalize(): value for name, value in said.items()}


def seed(record: Record, published: Collection[str], root: str = "") -> str:
    """Its seed as HTML that names its key, and leads to its record where that is `published`."""
    if record.key not in published:
        return f'<span title="{record.key}">{record.spec.seed}</span>'
    file = f"{root}results/{for_html(record.name)}.json"
    return f'<a href="{file}" title="{record.key}">{record.spec.seed}</a>'


def address(keys: Sequence[str], root: str = "") -> str:
    """The address where the runs of these keys are ticked; `root` leads to the site's front."""
    return f"{root}runs.html#runs={','.join(keys)}"


def circumstances(members: Sequence[Record]) -> dict[str, str]:
    """The size of a configuration, and the devices of its runs; not escaped."""
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
    """The versions that a run was trained with."""
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
