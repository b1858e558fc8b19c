"""The page of all runs: a section per configuration, where every number of the site leads.

A section says what was trained, shows how each seed went, where it took place and on which data,
and gives the commands that train it again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...core.datasets import DATASETS
from ...core.escape import for_html
from ...core.record import Record
from ..kit import words
from ..kit.figure import COLOURS
from ..kit.tables import markup, number
from . import configurations, side_by_side

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
    configured = configurations.by_configuration(records)
    titles = configurations.titles(configured)
    for group, members in configured.items():
        kind = (members[0].spec.model.family, members[0].spec.dataset)
        kinds.setdefault(kind, {})[group] = members
    parts = []
    for (family, dataset), groups in kinds.items():
        name = words.NAMES[family]
        parts.append(f"## {name[0].upper()}{name[1:]} on {DATASETS[dataset].title}\n")
        for group, members in groups.items():
            pages = list(dict.fromkeys(n for r in members for n in shown_on.get(r.key, ())))
            section = _section(group, titles[group], members, profile, published, pages)
            parts.append(f"```{{=html}}\n{section}\n```\n")
    return "\n".join(parts)


def _section(
    group: str,
    title: str,
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
    parts = {part: configurations.settings(first, part) for part in ("model", "training")}
    facts = {
        "Shown on": links,
        **{name.capitalize(): for_html(_listed(values)) for name, values in parts.items()},
        **{k: for_html(value) for k, value in configurations.circumstances(members).items()},
        "Again": "<br>".join(f"<code>{for_html(command)}</code>" for command in commands),
    }
    listed = "\n".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in facts.items() if value)
    together = side_by_side.address([record.key for record in members])
    beside = f'<p><a href="{together}">Its curves, beside those of others</a></p>'
    # The heading's own link, which Quarto's script makes, leads to the section.
    heading = f'<h3 data-anchor-id="runs-{group}">{for_html(title)}</h3>'
    return (
        f'<section class="lab1-run" id="runs-{group}">\n{heading}\n'
        f"{_curves(members)}\n{_seeds(members, published)}\n{beside}\n"
        f"<dl>\n{listed}\n</dl>\n</section>"
    )


def _listed(values: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _seeds(members: Sequence[Record], published: set[str]) -> str:
    header = [
        "Seed", "Run", "Test accuracy (%)", "Best epoch", "Epochs", "Stopped", "Time (s)", "Record",
    ]  # fmt: skip
    rows = []
    for record in members:
        accuracy = f"{100 * record.test['accuracy']:.2f}" if record.test else ""
        run = f'<a href="{side_by_side.address([record.key])}"><code>{record.key}</code></a>'
        file = ""
        if record.key in published:
            file = f'<a href="results/{for_html(record.name)}.json">JSON</a>'
        rows.append(
            [
                number(record.spec.seed),
                f"<td>{run}</td>",
                number(accuracy),
                number("" if record.best_epoch is None else record.best_epoch),
                number(record.epochs),
                f"<td>{for_html(record.stopped)}</td>",
                number(f"{record.seconds:.0f}"),
                f"<td>{file}</td>",
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
        f'stroke="{COLOURS[members[0].spec.model.family]}"><title>{said}</title>'
        f"{lines}</svg>"
    )
