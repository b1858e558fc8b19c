"""The comparisons of a page, corrected together, and those that a page adds to its chapter's."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from ..core.escape import for_html
from ..core.families import FAMILIES
from ..errors import ClaimError, did_you_mean
from . import tables
from .paired import Comparison, Finding
from .selections import Selection
from .statistics import METRICS, holm


@dataclass(frozen=True)
class Findings:
    """The comparisons of a page by name, their p-values corrected over all that it judges (Holm).

    The same runs in the same metric count once, under however many names.
    """

    comparisons: Mapping[str, Comparison]

    @classmethod
    def of(cls, comparisons: Mapping[str, Comparison]) -> Findings:
        """The comparisons, named and corrected.

        Raises `ClaimError` for what is no comparison.
        """
        for name, comparison in comparisons.items():
            if not isinstance(comparison, Comparison):
                raise ClaimError(f'{name} is no comparison; write (one - other).in_("a metric")')
        judged = {n: c.runs for n, c in comparisons.items() if c.judged and not c.reason}
        once = {runs: comparisons[name].value.p_value for name, runs in judged.items()}
        adjusted = dict(zip(once, holm([*once.values()]), strict=True))
        corrected = {name: adjusted[runs] for name, runs in judged.items()}
        return cls(
            {
                name: replace(comparison, name=name, adjusted=corrected.get(name, math.nan))
                for name, comparison in comparisons.items()
            }
        )

    def __getitem__(self, name: str) -> Comparison:
        if name not in self.comparisons:
            raise ClaimError(
                f"this page compares nothing called {name!r}; it compares "
                f"{', '.join(self.comparisons)}{did_you_mean(name, self.comparisons)}"
            )
        return self.comparisons[name]

    def __iter__(self) -> Iterator[Comparison]:
        return iter(self.comparisons.values())

    @property
    def further(self) -> list[Comparison]:
        """The comparisons that the page adds for what its reader asked for."""
        return [comparison for comparison in self if comparison.further]

    def table(self) -> tables.Table:
        """All comparisons by their arms, in the order of the page, each with its companions."""
        groups: dict[Any, dict[str | None, Comparison]] = {}
        for whole in self:
            arms = (whole.difference.one.identity, whole.difference.other.identity)
            group = groups.setdefault(arms, {})
            for part in (whole, *(whole.companion(name) for name in whole.companions)):
                # The same runs may be compared under several names, and beside each other, too.
                if part.is_pair and (part.judged or part.metric not in group):
                    group.setdefault(part.metric, part)
        columns = ["", "Metric", "n", "Difference", "p", "Corrected p", "Shows"]
        rows, cells = [], []
        for group in filter(None, groups.values()):
            label = next(iter(group.values())).arms(self._common)
            heading = f'<th class="lab1-group" colspan="{len(columns)}" scope="rowgroup">'
            cells.append([f"{heading}{for_html(label)}</th>"])
            for comparison in group.values():
                mark, metric, *numbers, shows = row = _row(comparison)
                rows.append([label, *row])
                first = f"<td>{comparison.mark if mark else ''}</td>"
                values = map(tables.number, numbers)
                cells.append([first, tables.text(metric), *values, tables.text(shows)])
        frame = pd.DataFrame(rows, columns=["Comparison", "Mark", *columns[1:]])
        if not rows:
            return tables.Table(frame, "<p>There is nothing here to compare.</p>")
        table = tables.markup(columns, cells)
        return tables.Table(frame, f'<div class="lab1-findings">{self._legend}\n{table}</div>')

    @property
    def _common(self) -> dict[str, str]:
        """The words that all arms of the page share."""
        arms = [part.named for comparison in self for part in comparison.difference.selections]
        return {
            name: words
            for name, words in (arms[0] if arms else {}).items()
            if all(named.get(name) == words for named in arms)
        }

    @property
    def _legend(self) -> str:
        judged = len({c.runs for c in self if c.judged and not c.reason})
        everywhere = ", ".join(filter(None, self._common.values()))
        many = f"{judged} comparison{'s' * (judged != 1)}"
        said = [
            f"{Finding.ABOVE.mark} found, also after correction for {many}",
            f"{Finding.OPEN.mark} open: found alone, and not after correction",
            f"{Finding.NOT_SHOWN.mark} no difference shown",
            f"{Finding.UNJUDGED.mark} not judged",
            "without a mark: beside it, not judged",
        ]
        above = f" Everywhere: {for_html(everywhere)}." if everywhere else ""
        return f'<p class="lab1-legend">{"; ".join(said)}.{above}</p>'


def _row(comparison: Comparison) -> tuple[Any, ...]:
    finding, metric = comparison.finding, METRICS[str(comparison.metric)]
    return (
        finding.value[0],
        metric.title,
        "" if metric.by_round else comparison.n,
        str(comparison),
        _p(comparison.value.p_value) if comparison.judged else "",
        _p(comparison.adjusted),
        (comparison.reason if comparison.judged else "") or finding.value[1],
    )


def _p(value: float) -> str:
    return "" if math.isnan(value) else "< 0.001" if value < 0.001 else f"{value:.3f}"


# What a page adds


def of_further_networks(whole: Selection) -> dict[str, Comparison]:
    """The comparisons that every page makes of further networks, such as user-defined ones.

    Their depth, and at the greatest depth each with the families that it is compared with.
    """
    added, families = {}, list(dict.fromkeys(whole.runs.get("family", ())))
    for name in families:
        family, network = FAMILIES[name], whole.of_family(name).at_base_rate()
        if family.style != "further" or not network.depths:
            continue
        added[f"{name}, depth"] = network.deepest - network.shallowest
        for other in family.compared_with:
            beside = whole.of_family(other).at_base_rate().at(depth=network.depths[-1])
            added[f"{name}, {other}"] = network.deepest - beside
    return {
        name: replace(difference.in_("test_accuracy").beside("test_loss"), further=True)
        for name, difference in added.items()
    }


def of_several_answers(answers: Mapping[str, Selection]) -> dict[str, Comparison]:
    """The comparisons of a page that was asked for several values: each with the first.

    `answers` are the runs of each value under its name.  Compared are the deepest networks of each
    family at the rate that depths share, with a teacher and without, where the value changes them.
    """
    added: dict[str, Comparison] = {}
    (first, whole), *others = answers.items()
    networks = whole.runs
    if networks.empty:
        return added
    kinds = zip(networks["family"], networks["teacher"].notna(), strict=True)
    for family, taught in dict.fromkeys(kinds):
        arms = {}
        for name, runs in answers.items():
            network = runs.of_family(family, teacher=taught).at_base_rate().deepest
            named = {**network.named, "learning_rate": "", "answer": name}
            arms[name] = replace(network, named=named)
        for name, _ in others:
            if arms[name].identity != arms[first].identity:
                difference = (arms[name] - arms[first]).in_("test_accuracy").beside("test_loss")
                label = f"{family}{', taught' * taught}, {name}"
                added[label] = replace(difference, further=True)
    return added
