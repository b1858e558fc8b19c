"""The provenance of a page's numbers: its runs, each with its record."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import pandas as pd

from ...core.datasets import DATASETS
from ...core.differences import labels
from ...core.escape import for_html
from ...core.record import Record
from ..kit import words
from ..kit.frames import hardware
from ..kit.tables import RUNS_PAGE, Table, markup, number, runs_link, text
from .configurations import address, by_configuration, commit, seed, start, versions


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
        [{"group": group, **_row(each)} for group, members in groups.items() for each in members]
    )
    settings = labels([members[0].spec for members in groups.values()], _COLUMNS, _COLUMNS)
    places = {
        name: [_joined(members, describe) for members in groups.values()]
        for name, describe in _PLACES.items()
    }
    shared = [f"{name}: {values[0]}" for name, values in places.items() if len(set(values)) == 1]
    differing = {name: values for name, values in places.items() if len(set(values)) > 1}
    cells = []
    for index, (group, members) in enumerate(groups.items()):
        first = members[0]
        family = first.spec.model.family
        seeds = ", ".join(_seed(record, published, detailed) for record in members)
        cells.append(
            [
                text(family)
                if first.key not in detailed
                else f"<td>{runs_link(group, family, RUNS_PAGE)}</td>",
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
    return Table(frame, _folded(len(records), len(groups), shared, table))


def _folded(runs: int, configurations: int, shared: Sequence[str], table: str) -> str:
    alike = f" The same for all: {for_html('; '.join(shared))}." if shared else ""
    return (
        f'<p class="lab1-common">Runs: {runs}; configurations: {configurations}.{alike}</p>\n'
        f"<details><summary>Every configuration and its runs</summary>\n{table}\n</details>\n"
        '<script src="assets/folds.js" defer></script>'
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


def _seed(record: Record, published: set[str], detailed: Collection[str]) -> str:
    if record.key in detailed:
        leads = address([record.key], "../")
        return f'<a href="{leads}" title="{record.key}">{record.spec.seed}</a>'
    return seed(record, published, "../")


#: What the first columns tell.
_COLUMNS = ("family", "depth", "learning_rate", "dataset")

#: Where the runs of a configuration took place; what all share is said once.
_PLACES: Mapping[str, Callable[[Record], str]] = {
    "Dataset": lambda record: DATASETS[record.spec.dataset].title,
    "Device": hardware,
    "Versions": versions,
    "Commit": commit,
}


def _joined(members: Sequence[Record], describe: Callable[[Record], str]) -> str:
    return " / ".join(sorted({describe(record) for record in members}))
