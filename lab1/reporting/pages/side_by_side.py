"""The page on which a reader puts runs side by side: their data, and the chart that shows them.

`lab1/site/compare.js` reads both, and does no more than pick.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from ...core.datasets import DATASETS
from ...core.families import FAMILIES
from ...core.record import Record
from ..curves import PANELS, curves
from ..kit.figure import PALETTE, config
from . import configurations

#: As many configurations as can be told apart, each with a letter.
LETTERS = "ABCDEF"

_PANELS = {**PANELS, "gradient norm": {"gradient_norm": "training"}}

#: The curves of a run in the order in which the script lists them.
_SERIES = [(panel, name, split) for panel, own in _PANELS.items() for name, split in own.items()]

_PARTS = ("model", "training", "distillation")


def fragment(assets: str) -> str:
    """The page below its introduction, as Markdown; its scripts lie in the folder `assets`."""
    scripts = "".join(
        f'<script src="{assets}/{name}.js" defer></script>\n'
        for name in ("runs", "charts", "compare")
    )
    return (
        f'```{{=html}}\n<div class="lab1-compare" data-assets="{assets}">\n'
        "<p>To choose, this page needs JavaScript. Without it, "
        '<a href="runs.html">every run</a> has the same curves, a configuration at a time.</p>\n'
        f"</div>\n{scripts}```\n"
    )


def script(
    records: Sequence[Record], *, published: set[str], shown_on: Mapping[str, Sequence[str]]
) -> str:
    """The data of the page as a script, which a page opened from a file may load too.

    `published` holds the keys of the records in `results/`, which the site carries, and
    `shown_on` the names of the pages that show a run, by its key.
    """
    groups = configurations.by_configuration(records)
    titles = configurations.titles(groups)
    data = {
        "configurations": [
            _configuration(group, titles[group], members, published, shown_on)
            for group, members in groups.items()
        ],
        "series": [{"panel": panel, "split": split} for panel, _, split in _SERIES],
        "chart": _chart(),
        "letters": dict(zip(LETTERS, PALETTE, strict=True)),
    }
    # JSON knows no NaN, and none must come of it.
    content = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return f"window.lab1Runs = {content};\n"


def address(keys: Sequence[str], root: str = "") -> str:
    """Where the runs of these keys are side by side; `root` leads to the site's front."""
    return f"{root}compare.html#runs={','.join(keys)}"


def _settings(record: Record) -> dict[str, str]:
    return {k: v for part in _PARTS for k, v in configurations.settings(record, part).items()}


def _configuration(
    group: str,
    title: str,
    members: Sequence[Record],
    published: set[str],
    shown_on: Mapping[str, Sequence[str]],
) -> dict[str, Any]:
    first = members[0]
    pages = dict.fromkeys(n.split("-")[0] for r in members for n in shown_on.get(r.key, ()))
    return {
        "group": group,
        "title": title,
        # What the page is filtered by; a run may be shown in several chapters.
        "filters": {
            "chapter": [name.replace("_", ".") for name in pages],
            "data": [DATASETS[first.spec.dataset].title],
            "network": [FAMILIES[first.spec.model.family].title],
            "depth": [str(first.spec.model.depth)],
        },
        "settings": {name.capitalize(): value for name, value in _settings(first).items()},
        "runs": [_run(record, published) for record in members],
    }


def _run(record: Record, published: set[str]) -> dict[str, Any]:
    accuracy = f"{100 * record.test['accuracy']:.2f}" if record.test else record.stopped
    return {
        "key": record.key,
        "seed": record.spec.seed,
        "file": f"results/{record.name}.json" if record.key in published else "",
        "results": {
            "Test accuracy (%)": accuracy,
            "Test loss": f"{record.test['loss']:.3f}" if record.test else record.stopped,
            "Best epoch": "none" if record.best_epoch is None else str(record.best_epoch),
            "Epochs trained": str(record.epochs),
            "Time (s)": f"{record.seconds:.0f}",
        },
        "facts": configurations.circumstances([record]),
        "curves": [_curve(record, panel, name) for panel, name, _ in _SERIES],
    }


def _curve(record: Record, panel: str, name: str) -> list[float | None]:
    """Four significant digits, more than a pixel shows; None where there is no finite value."""
    scale = 100 if panel.endswith("(%)") else 1
    values = (math.nan if value is None else value for value in record.history.get(name, []))
    return [float(f"{scale * value:.4g}") if math.isfinite(value) else None for value in values]


def _chart() -> dict[str, Any]:
    """The chart without its data, which the script puts into it."""
    texts, numbers = ("training", "run", "panel", "split", "name"), ("epoch", "value", "end")
    columns = {name: pd.Series(dtype=str) for name in texts}
    columns |= {name: pd.Series(dtype=float) for name in numbers}
    drawn = curves(pd.DataFrame(columns), LETTERS, panels=[*_PANELS], run="run")
    return {**drawn.chart.to_dict(), "config": config()}
