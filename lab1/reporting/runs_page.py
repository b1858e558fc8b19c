"""The page of all runs: a table of configurations, and the curves of those that are ticked.

Every number of the site leads here.  `lab1/site/runs.js` filters the rows and draws what a reader
ticks; the page opens with the picture of some.
"""

import json
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import pandas as pd

from ..core.datasets import DATASETS
from ..core.differences import changes
from ..core.escape import for_html
from ..core.families import FAMILIES
from ..core.record import Record
from ..core.spec import RunSpec
from . import frames, provenance, words
from .axes import Axis, Panels
from .charts import draw_chart
from .figure import render
from .statistics import at_the_end, estimate, mean_of, quantile
from .tables import TEST_ACCURACY, TEST_LOSS, markup, number
from .theme import PALETTE

#: As many configurations as can be told apart, each with a letter and its colour.
LETTERS = dict(zip("ABCDEF", PALETTE, strict=True))

#: The curves of a run: panel, split, and the series of its history.  An error shows on a
#: logarithmic axis what tells good networks apart, as an accuracy does not.
_SERIES = (
    ("loss", "training", "train_loss"),
    ("loss", "validation", "validation_loss"),
    ("error (%)", "training", "train_accuracy"),
    ("error (%)", "validation", "validation_accuracy"),
    ("gradient norm", "training", "gradient_norm"),
)

#: What the configurations are called that the page opens with.
FIRST = "to begin with"

#: What the table is filtered by.
_KINDS = ("chapter", "data", "network", "depth")

_CHOICES = (
    '<label><input type="checkbox" name="seeds" value="each"> Each seed, not their mean</label>'
    '<label><input type="checkbox" name="axes" value="linear"> Linear axes</label>'
)

_HEADER = ["Configuration", "Test accuracy (%)", "Seeds", "Shown on"]


@dataclass(frozen=True)
class RunsPage:
    """The page of runs, made of these records.

    `published` holds the keys of those in `results/`, which the site carries, and `shown_on` the
    names of the pages that show a run, by its key.
    """

    records: Sequence[Record]
    published: Collection[str]
    shown_on: Mapping[str, Sequence[str]]

    @cached_property
    def groups(self) -> dict[str, list[Record]]:
        """The runs of each configuration."""
        return provenance.by_configuration(self.records)

    @cached_property
    def presets(self) -> dict[str, list[str]]:
        """Up to six configurations for each page, by its name, and those to begin with.

        A page's are its kinds of networks, with a teacher or without, on its first data set: each
        at all depths, or where these are too many at the least and the greatest, and otherwise
        trained like its first.  The first page with several kinds gives what to begin with: the
        greatest depth of two kinds, and the first of them with identity start.
        """
        begin: list[str] = []
        presets = {}
        for page in dict.fromkeys(page for group in self.groups for page in self._pages(group)):
            specs = {g: self._spec(g) for g in self.groups if page in self._pages(g)}
            first = next(iter(specs.values()))
            kinds: dict[Any, list[str]] = {}
            for group, spec in specs.items():
                if spec.dataset == first.dataset:
                    kind = (spec.model.family, spec.distillation is None)
                    alike = kinds.setdefault(kind, [group])
                    if {*changes(spec, specs[alike[0]])} == {"depth"}:
                        alike.append(group)
            ends = [[alike[0], *alike[1:][-1:]] for alike in kinds.values()]
            fits = sum(map(len, kinds.values())) <= len(LETTERS)
            members = [g for alike in (kinds.values() if fits else ends) for g in alike]
            presets[page] = members[: len(LETTERS)]
            if len(ends) > 1 and not begin:
                begin = [alike[-1] for alike in ends[:2]]
                for group, spec in specs.items():
                    if changes(spec, specs[begin[0]]) == {"initialisation": "identity start"}:
                        begin.append(group)
        return {FIRST: begin or [*self.groups][:3], **presets}

    @cached_property
    def opening(self) -> dict[str, str]:
        """The configurations that the page opens with, each with its letter."""
        return dict(zip(self.presets[FIRST], LETTERS, strict=False))

    @cached_property
    def figure(self) -> dict[str, Any]:
        """The parts of the figure that the page opens with."""
        rows = [
            {"training": letter, "panel": panel, "split": split, **point}
            for group, letter in self.opening.items()
            for index, (panel, split, _) in enumerate(_SERIES)
            for point in self._points(group, index)
        ]
        table = pd.DataFrame(rows)
        ends = at_the_end(table, ["training", "split", "panel", "run"])
        listed = words.rows(ends, "{training}, {run}, {split} {panel}: {value:.4g}")
        return draw_chart(
            table,
            Axis("epoch", "epoch", format="d"),
            Axis("value", log=True, digits=".4g"),
            panels=Panels(
                "panel", apart="y", order=[*dict.fromkeys(panel for panel, *_ in _SERIES)]
            ),
            colour=("training", [*self.opening.values()]),
            dash=("split", ["training", "validation"]),
            detail="run",
            marks="curves",
            text=f"Curves by epoch. At the end: {listed}.",
        ).parts()

    def fragment(self, addresses: Mapping[str, str], assets: str) -> str:
        """The page below its introduction, as Markdown.

        `addresses` are those of the figure's pictures; the scripts lie in the folder `assets`.
        """
        groups = [*self.opening, *(group for group in self.groups if group not in self.opening)]
        table = markup(_HEADER, [*map(self._row, groups)], [f"runs-{group}" for group in groups])
        table = table.replace('class="lab1-table"', 'class="lab1-table lab1-sortable"', 1)
        links = " ".join(
            f'<a href="{provenance.address([r.key for g in preset for r in self.groups[g]])}">'
            f"{for_html(name.replace('_', '.'))}</a>"
            for name, preset in {**self.presets, "none": []}.items()
        )
        scripts = "".join(
            f'<script src="{assets}/{name}.js" defer></script>\n'
            for name in ("runs-data", "tables", "runs")
        )
        return (
            f'```{{=html}}\n<div class="lab1-runs" data-assets="{assets}">\n'
            f'{self._form()}\n<p class="lab1-common">Tick: {links}</p>\n{table}\n'
            f'<p class="lab1-common" role="status">{len(groups)} configurations</p>\n'
            f"{render(self.figure, addresses, assets)}\n"
            f'<div class="lab1-compared"></div>\n</div>\n{scripts}```\n'
        )

    def scripts(self) -> dict[str, str]:
        """The data of the page, by file; a page opened from a file may load scripts alone."""
        runs = [*map(self._configuration, self.groups)]
        series = [{"panel": panel, "split": split} for panel, split, _ in _SERIES]
        curves = {r.key: [_curve(r, index) for index in range(len(_SERIES))] for r in self.records}
        return {
            "runs-data.js": _script("lab1Runs", {"configurations": runs, "letters": LETTERS}),
            "curves-data.js": _script("lab1Curves", {"series": series, "curves": curves}),
        }

    # Its parts

    @cached_property
    def _runs(self) -> pd.DataFrame:
        return frames.runs(self.records).set_index(["group", "key"], drop=False).sort_index()

    @cached_property
    def _titles(self) -> dict[str, str]:
        return provenance.titles(self.groups)

    def _spec(self, group: str) -> RunSpec:
        return replace(self.groups[group][0].spec, seed=0)

    def _pages(self, group: str) -> list[str]:
        runs = self.groups[group]
        return list(dict.fromkeys(page for r in runs for page in self.shown_on.get(r.key, ())))

    def _filters(self, group: str) -> dict[str, list[str]]:
        spec = self._spec(group)
        pages = [page.replace("_", ".") for page in self._pages(group)]
        network, depth = FAMILIES[spec.model.family].title, str(spec.model.depth)
        values = (pages, [DATASETS[spec.dataset].title], [network], [depth])
        return dict(zip(_KINDS, values, strict=True))

    def _form(self) -> str:
        filters = [*map(self._filters, self.groups)]
        fields = ['<label>Search <input type="search" name="search"></label>']
        for kind in _KINDS:
            values = {value for of_group in filters for value in of_group[kind]}
            ordered = sorted(values, key=int) if kind == "depth" else sorted(values)
            options = "".join(f"<option>{for_html(value)}</option>" for value in ordered)
            select = f'<select name="{kind}"><option value="">all</option>{options}</select>'
            fields.append(f"<label>{kind.capitalize()} {select}</label>")
        return f'<form class="lab1-controls">{"".join(fields)}{_CHOICES}</form>'

    def _row(self, group: str) -> list[str]:
        letter = self.opening.get(group)
        looks = f' data-letter="{letter}" style="--colour: {LETTERS[letter]}"' if letter else ""
        box = f'<input type="checkbox"{" checked" if letter else ""}>'
        pages = (
            f'<a href="report/{for_html(page)}.html">{for_html(page.replace("_", "."))}</a>'
            for page in self._pages(group)
        )
        seeds = (provenance.seed(r, self.published) for r in self.groups[group])
        return [
            f"<td><label{looks}>{box}{for_html(self._titles[group])}</label></td>",
            number(self._results[group]["Test accuracy (%)"]),
            f"<td>{', '.join(seeds)}</td>",
            f"<td>{', '.join(pages)}</td>",
        ]

    def _configuration(self, group: str) -> dict[str, Any]:
        runs = self.groups[group]
        return {
            "group": group,
            "title": self._titles[group],
            "filters": self._filters(group),
            "settings": provenance.settings(runs[0]),
            "spread": quantile(len(runs)) / math.sqrt(len(runs)) if self._judged(group) else None,
            "results": self._results[group],
            "facts": provenance.circumstances(runs),
            "runs": [
                {
                    "key": r.key,
                    "seed": r.spec.seed,
                    "file": f"results/{r.name}.json" if r.key in self.published else "",
                    "results": _results(r),
                    "facts": provenance.circumstances([r]),
                }
                for r in runs
            ],
        }

    def _judged(self, group: str) -> bool:
        return mean_of(self._runs.loc[[group]], "test_accuracy").judged

    @cached_property
    def _results(self) -> dict[str, dict[str, str]]:
        """The results of each configuration: a mean with its interval, or its seeds."""
        results = {}
        for group, runs in self.groups.items():
            part = self._runs.loc[[group]]
            timed = frames.on_one_device(part)
            seeds = {name: [_results(r)[name] for r in runs] for name in _results(runs[0])}
            results[group] = {
                **{n: ", ".join(v if len({*v}) > 1 else v[:1]) for n, v in seeds.items()},
                "Test accuracy (%)": TEST_ACCURACY.content(TEST_ACCURACY.value_of(part)),
                "Test loss": TEST_LOSS.content(TEST_LOSS.value_of(part)) or "diverged",
                "Seconds of a run": (
                    f"{timed['train_seconds'].mean():.0f}, on {timed['hardware'].iloc[0]}"
                ),
            }
        return results

    def _points(self, group: str, index: int) -> Iterator[dict[str, Any]]:
        """A series of its runs: the mean with its interval, or each seed where there is none."""
        curves = {f"seed {r.spec.seed}": _curve(r, index) for r in self.groups[group]}
        if not self._judged(group):
            for run, values in curves.items():
                for epoch, value in enumerate(values, 1):
                    if value:  # a logarithmic axis has no zero
                        yield {"run": run, "epoch": epoch, "value": value, "interval": "none"}
            return
        for epoch, at_epoch in enumerate(zip(*curves.values(), strict=False), 1):
            known = [value for value in at_epoch if value is not None]
            mean = estimate(known)
            if mean.n == len(curves) and mean.mean > 0:
                point = {"run": f"mean of {mean.n} seeds", "epoch": epoch, "value": mean.mean}
                interval = f"{mean.low:.4g} to {mean.high:.4g}"
                yield {**point, "interval": interval, "low": mean.low, "high": mean.high}


def _results(record: Record) -> dict[str, str]:
    best, test = record.best_epoch, record.test
    return {
        "Test accuracy (%)": f"{100 * test['accuracy']:.2f}" if test else record.stopped,
        "Test loss": f"{test['loss']:.3f}" if test else record.stopped,
        "Best epoch": "none" if best is None else str(best),
        "Epochs trained": str(record.epochs),
        "Seconds of a run": f"{record.seconds:.0f}, on {frames.hardware(record)}",
    }


def _curve(record: Record, index: int) -> list[float | None]:
    """Four significant digits, more than a pixel shows; None where there is no finite value."""
    panel, _, name = _SERIES[index]
    values = [math.nan if value is None else value for value in record.history.get(name, [])]
    if panel == "error (%)":
        values = [100 * (1 - value) for value in values]
    return [float(f"{value:.4g}") if math.isfinite(value) else None for value in values]


def _script(name: str, data: Any) -> str:
    # JSON knows no NaN, and none must come of it.
    content = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return f"window.{name} = {content};\n"
