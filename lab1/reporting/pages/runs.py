"""The page of all runs: a section per configuration, where every number of the site leads.

A section says what was trained, shows how each seed went, where it took place and on which data,
and gives the commands that train it again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from ...core.datasets import DATASETS
from ...core.escape import for_html
from ...core.record import Record
from ..kit import theme, words
from ..kit.frames import group_of, hardware
from ..kit.tables import markup, number
from .provenance import commit, versions

_WIDTH, _HEIGHT = 220, 60


def fragment(
    records: Sequence[Record],
    *,
    profile: str,
    published: set[str],
    shown_on: Mapping[str, Sequence[str]],
) -> str:
    """The page below its introduction, as Markdown.

    `published` holds the keys of the records in `results/`, which the site carries.
    `shown_on` names the pages that show a run, by its key; their chapters train it again.
    """
    kinds: dict[tuple[str, str], dict[str, list[Record]]] = {}
    for record in records:
        groups = kinds.setdefault((record.spec.model.family, record.spec.dataset), {})
        groups.setdefault(group_of(record), []).append(record)
    parts = []
    for (family, dataset), groups in kinds.items():
        name = words.NAMES[family]
        parts.append(f"## {name[0].upper()}{name[1:]} on {DATASETS[dataset].title}\n")
        for group, members in groups.items():
            pages = list(dict.fromkeys(n for r in members for n in shown_on.get(r.key, ())))
            section = _section(group, members, profile, published, pages)
            parts.append(f"```{{=html}}\n{section}\n```\n")
    return "\n".join(parts)


def _section(
    group: str,
    members: Sequence[Record],
    profile: str,
    published: set[str],
    pages: Sequence[str],
) -> str:
    first = members[0]
    links = ", ".join(
        f'<a href="report/{for_html(page)}.html">{for_html(page.replace("_", "."))}</a>'
        for page in pages
    )
    commands = [f"python -m lab1 verify {first.key} --retrain"]
    if pages:
        # A further page of a chapter has parameters of its own; the key alone names its runs.
        chapter = pages[0].split("-")[0]
        commands.append(f"python -m lab1 run {chapter} --profile {profile}")
    data = {
        f"{record.origin.get('data_source', 'unknown')}, fingerprint "
        f"{str(record.origin.get('data_fingerprint', 'unknown'))[:16]}"
        for record in members
    }
    facts = {
        "Shown on": links,
        "Model": for_html(_listed(asdict(first.spec.model))),
        "Training": for_html(_listed(asdict(first.spec.training))),
        "Teacher": _teacher(first),
        "Size": f"{first.parameters:,} parameters, {first.flops:,} FLOPs per image",
        "Data": _joined({f"{DATASETS[first.spec.dataset].title}, {each}" for each in data}),
        "Device": _joined({hardware(record) for record in members}),
        "Versions": _joined({versions(record) for record in members}),
        "Commit": _joined({commit(record) for record in members}),
        "Again": "<br>".join(f"<code>{for_html(command)}</code>" for command in commands),
    }
    listed = "\n".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in facts.items() if value)
    # The heading's own link, which Quarto's script makes, leads to the section.
    heading = f'<h3 data-anchor-id="runs-{group}">{for_html(_title(first))}</h3>'
    return (
        f'<section class="lab1-run" id="runs-{group}">\n{heading}\n'
        f"{_curves(members)}\n{_seeds(members, published)}\n<dl>\n{listed}\n</dl>\n</section>"
    )


def _title(record: Record) -> str:
    """The configuration in words: the run's title without what its seeds do not share."""
    seed = f", seed {record.spec.seed}"
    depth = words.depth(record.spec.model.depth, record.spec.model.family)
    return record.spec.title.replace(seed, "").replace(f"depth {record.spec.model.depth}", depth)


def _listed(values: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{name.replace('_', ' ')} {value}" for name, value in values.items() if value is not None
    )


def _teacher(record: Record) -> str:
    teacher = record.spec.teacher
    return "" if teacher is None else for_html(f"{teacher.title} ({teacher.key})")


def _joined(values: set[str]) -> str:
    return for_html(" / ".join(sorted(values)))


def _seeds(members: Sequence[Record], published: set[str]) -> str:
    header = ["Seed", "Record", "Test accuracy (%)", "Best epoch", "Epochs", "Stopped", "Time (s)"]
    rows = []
    for record in members:
        accuracy = f"{100 * record.test['accuracy']:.2f}" if record.test else ""
        key = f"<code>{record.key}</code>"
        if record.key in published:
            key = f'<a href="results/{for_html(record.name)}.json">{key}</a>'
        rows.append(
            [
                number(record.spec.seed),
                f"<td>{key}</td>",
                number(accuracy),
                number("" if record.best_epoch is None else record.best_epoch),
                number(record.epochs),
                f"<td>{for_html(record.stopped)}</td>",
                number(f"{record.seconds:.0f}"),
            ]
        )
    return markup(header, rows)


def _curves(members: Sequence[Record]) -> str:
    """The accuracies by epoch, a line per seed: on validation, else on the training images."""
    validated = members[0].spec.training.validation_size > 0
    name = "validation_accuracy" if validated else "train_accuracy"
    curves = [
        [(epoch, value) for epoch, value in enumerate(record.history[name]) if value is not None]
        for record in members
    ]
    values = [value for curve in curves for _, value in curve]
    if not values:
        return ""
    low, high = min(values), max(values)
    last = max(1, *(record.epochs - 1 for record in members))

    def point(epoch: int, value: float) -> str:
        share = (value - low) / (high - low) if high > low else 0.5
        return f"{2 + (_WIDTH - 4) * epoch / last:.1f},{_HEIGHT - 2 - (_HEIGHT - 4) * share:.1f}"

    lines = "".join(
        f'<polyline points="{" ".join(point(*each) for each in curve)}"/>' for curve in curves
    )
    what = "Validation accuracy" if validated else "Training accuracy"
    said = f"{what} by epoch, a line per seed: from {100 * low:.1f} to {100 * high:.1f} %"
    return (
        f'<svg class="lab1-spark" role="img" aria-label="{said}" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        f'width="{_WIDTH}" height="{_HEIGHT}" fill="none" stroke-width="1.5" '
        f'stroke="{theme.COLOURS[members[0].spec.model.family]}"><title>{said}</title>'
        f"{lines}</svg>"
    )
