"""The configurations and runs behind a page's numbers, each with its record."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import pandas as pd

from ..core import differences
from ..core.datasets import DATASETS
from ..core.differences import labels
from ..core.escape import for_html
from ..core.record import Record
from . import words
from .frames import group_of, hardware
from .tables import RUNS_PAGE, Table, markup, number, text


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


def seed(
    record: Record, published: Collection[str], detailed: Collection[str] = (), root: str = ""
) -> str:
    """The seed of a run as HTML that names its key and, where there is one, leads to its page.

    That is the page of runs where the key is in `detailed`, its record where it is `published`.
    """
    if record.key in detailed:
        leads = f' href="{address([record.key], root)}"'
    elif record.key in published:
        leads = f' href="{root}results/{for_html(record.name)}.json"'
    else:
        return f'<span title="{record.key}">{record.spec.seed}</span>'
    return f'<a{leads} title="{record.key}">{record.spec.seed}</a>'


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


#: What the first columns tell.
_COLUMNS = ("family", "depth", "learning_rate", "dataset")

#: Where the runs of a configuration took place; what all share is said once.
_PLACES: Mapping[str, Callable[[Record], str]] = {
    "Dataset": lambda record: DATASETS[record.spec.dataset].title,
    "Device": hardware,
    "Versions": versions,
    "Commit": commit,
}


def runs_table(
    records: Sequence[Record], published: set[str], detailed: Collection[str] = ()
) -> Table:
    """In a fold one row per configuration, its seeds leading to their runs; before it a sentence.

    The sentence says how many runs there are and what is the same for all of them, which the rows
    do not repeat.

    `detailed` holds the keys of the runs that the site shows on pages of their own: their rows and
    seeds lead there.  `published` holds the keys of the records in `results/`, which the site
    carries; others are one's own and are named without a link.  A row's anchor is `runs-<group>`,
    where the performance summary leads.  Where the other columns do not tell configurations apart,
    a column `Setting` does.
    """
    groups = by_configuration(records)
    frame = pd.DataFrame(
        [
            {"group": group, **_row(record)}
            for group, members in groups.items()
            for record in members
        ]
    )
    settings = labels([members[0].spec for members in groups.values()], _COLUMNS, _COLUMNS)
    places = {
        name: [_joined(map(describe, members)) for members in groups.values()]
        for name, describe in _PLACES.items()
    }
    shared = [f"{name}: {values[0]}" for name, values in places.items() if len(set(values)) == 1]
    differing = {name: values for name, values in places.items() if len(set(values)) > 1}
    cells = []
    for index, (group, members) in enumerate(groups.items()):
        first = members[0]
        family = first.spec.model.family
        seeds = ", ".join(seed(record, published, detailed, "../") for record in members)
        cells.append(
            [
                text(family)
                if first.key not in detailed
                else f'<td><a href="{RUNS_PAGE}#runs-{group}">{family}</a></td>',
                number(first.spec.model.depth),
                number(f"{first.spec.training.learning_rate:g}"),
                *([text(settings[index])] if any(settings) else []),
                f"<td>{seeds}</td>",
                *(text(values[index]) for values in differing.values()),
            ]
        )
    depth = words.depth_axis([record.spec.model.family for record in records])
    header = [
        "Model", depth.capitalize(), "Learning rate",
        *(["Setting"] if any(settings) else []), "Seeds (runs)", *differing,
    ]  # fmt: skip
    table = markup(header, cells, [f"runs-{group}" for group in groups])
    alike = f" The same for all: {for_html('; '.join(shared))}." if shared else ""
    return Table(
        frame,
        f'<p class="lab1-common">Runs: {len(records)}; configurations: {len(groups)}.{alike}</p>\n'
        f"<details><summary>Every configuration and its runs</summary>\n{table}\n</details>\n"
        '<script src="assets/folds.js" defer></script>',
    )


def _row(record: Record) -> dict[str, Any]:
    return {
        "key": record.key,
        "family": record.spec.model.family,
        "dataset": record.spec.dataset,
        "depth": record.spec.model.depth,
        "learning_rate": record.spec.training.learning_rate,
        "seed": record.spec.seed,
        "device": hardware(record),
        "versions": versions(record),
        "commit": record.origin.get("commit", ""),
        "start": start(record),
        "data_fingerprint": record.origin.get("data_fingerprint", ""),
    }
