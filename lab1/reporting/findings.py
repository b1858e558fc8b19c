"""The comparisons of a page, corrected together, and the sentences that rest on them.

A chapter names its comparisons in one cell.  Its sentences name the comparisons that carry them: on
a published page one that its records do not carry is an error, on any other they take its place.
"""

from __future__ import annotations

import math
import re
import string
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from inspect import cleandoc
from typing import Any

import pandas as pd

from ..core.errors import ClaimError
from ..core.escape import for_html
from ..core.families import FAMILIES
from ..core.values import did_you_mean
from .kit import tables, words
from .kit.metrics import METRICS
from .kit.statistics import holm
from .paired import Comparison, Condition, Finding
from .selections import Selection

#: Under this a claim's output says, for what quotes or checks it: its `text`, whether it is the
#: `box` of its page, and what has `failed`.
MIME = "application/vnd.lab1.claim+json"

#: What the box that opens a page may hold.
MOST_WORDS, MOST_NUMBERS = 45, 3

#: What may hold digits in a claim: a link, a formula, code.
_NO_PROSE = re.compile(r"\[[^\]]*\]\([^)]*\)|\$[^$]*\$|`[^`]*`")

#: What reads well only after typesetting, which a claim in Jupyter does not see.
_TYPESET = re.compile(r"(?<![\w.])@[a-z]|^\s*#|\{#|:::", re.MULTILINE)

_NOTHING = "*There is nothing here to compare.*"


class Prose(str):
    """Markdown that a notebook shows as text."""

    def _repr_markdown_(self) -> str:
        return str(self)


class Claim(Prose):
    """A sentence that comparisons carry, or what stands in its place.

    `sentence` is it without what frames it, `failed` says which conditions do not hold, and `box`
    whether it opens its page.
    """

    sentence: str
    failed: tuple[str, ...]
    box: bool

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        about = {"text": self.sentence, "box": self.box, "failed": [*self.failed]}
        return {"text/markdown": str(self), "text/plain": self.sentence, MIME: about}


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
        """Those that the page adds for what its reader asked for."""
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
        arms = [
            arm.named.items() for comparison in self for arm in comparison.difference.selections
        ]
        return dict(set.intersection(*map(set, arms))) if arms else {}

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
    finding = comparison.finding
    return (
        finding.value[0],
        METRICS[str(comparison.metric)].title,
        comparison.n,
        str(comparison),
        _p(comparison.value.p_value) if comparison.judged else "",
        _p(comparison.adjusted),
        (comparison.reason if comparison.judged else "") or finding.value[1],
    )


def _p(value: float) -> str:
    return "" if math.isnan(value) else "< 0.001" if value < 0.001 else f"{value:.3f}"


# Sentences


def claim(
    template: str,
    conditions: Sequence[Condition],
    *,
    published: bool,
    draft: bool = False,
    page: Findings | None = None,
    box: bool = False,
    number: Comparison | None = None,
) -> Claim:
    """The sentence with its numbers, where every condition holds; else what is there instead.

    On a `published` page a condition that fails is an error, which a `draft` shows before the
    sentence.  On another page the comparisons take the sentence's place, one clause each, or the
    reason why nothing is compared, which the `box` alone gives where the `page` compares nothing.
    The box opens the page, and in it `number` stands large.

    Raises `ClaimError` for a sentence without a condition, with a placeholder that none of them
    names, or with a digit in its text; for a box that is too long; and where it is not carried.
    """
    template = cleandoc(template)
    carried = {condition.comparison.name: condition.comparison for condition in conditions}
    _check_text(template, carried, conditions)
    failed = [f"{c.comparison.name} needs {c.needs}: {c.comparison.clause}"
              for c in conditions if not c.holds]  # fmt: skip
    failed += [f"{c.clause}: not measured" for c in _named(template, carried) if not c.value.n]
    sentence = fill(template, carried) if published or not failed else ""
    if failed and published and not draft:
        raise ClaimError(f"{_quoted(template)} is not carried by its records: {'; '.join(failed)}")
    if failed and published:
        why = for_html("; ".join(failed))
        sentence = f"<mark>Not carried by the records: {why}.</mark> {sentence}"
    if failed and not published:
        pairs = [comparison for comparison in carried.values() if comparison.is_pair]
        sentence = _listed(comparison.clause for comparison in pairs)
        if box and not pairs:
            levels = _listed(level for whole in carried.values() for level in whole.levels)
            sentence = f"{levels}\n\n{_NOTHING}".strip()
        elif not pairs and page is not None and any(c.is_pair for c in page):
            sentence = f"*Not compared here: {conditions[0].comparison.reason}.*"
    further = page.further if page is not None else []
    result = Claim(_boxed(sentence, failed, further, number, published) if box else sentence)
    result.sentence, result.failed, result.box = sentence, tuple(failed), box
    return result


def describe(template: str, values: Mapping[str, Any]) -> Prose:
    """A sentence about a setting, which claims nothing: no comparison may stand in it.

    Raises `ClaimError` for one that does, and for a placeholder that `values` does not have.
    """
    for name, value in values.items():
        if isinstance(value, (Comparison, Condition)):
            raise ClaimError(f"{name} is a comparison: say it in a claim, with its condition")
    for name in _names(template):
        if name not in values:
            raise ClaimError(
                f"{_quoted(template)}: nothing is called {name!r}{did_you_mean(name, values)}"
            )
    return Prose(fill(cleandoc(template), values))


def fill(template: str, values: Mapping[str, Any]) -> str:
    """The template with its values; raises `ClaimError` where one has no such part or form."""
    try:
        return template.format_map(values)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise ClaimError(f"{_quoted(template)}: {error}") from error


def _check_text(
    template: str, carried: Mapping[str, Comparison], conditions: Sequence[Condition]
) -> None:
    if not conditions:
        raise ClaimError(f"{_quoted(template)}: a claim needs a condition that carries it")
    if unknown := sorted(set(_names(template)) - set(carried)):
        raise ClaimError(f"{_quoted(template)}: no condition names {', '.join(unknown)}")
    text = _NO_PROSE.sub("", "".join(literal for literal, *_ in _parsed(template)))
    if digit := re.search(r"\S*\d\S*", text):
        raise ClaimError(
            f"{_quoted(template)}: {digit[0]} is typed; fill it in, or say it in words"
        )
    if sign := _TYPESET.search(text):
        raise ClaimError(f"{_quoted(template)}: {sign[0].strip()} belongs into a Markdown cell")
    weak = {c.comparison.name for c in conditions if c.kind == "not shown"}
    for name in weak - {c.comparison.name for c in conditions if c.kind != "not shown"}:
        for part in ("size", "ratio"):
            if re.search(rf"\{{{name}\.{part}\b", template):
                raise ClaimError(
                    f"{_quoted(template)}: {name} is not shown, so give it with its interval, "
                    f"{{{name}}}, or {{{name}.far}}, and not its {part}"
                )


def _parsed(template: str) -> list[tuple[str, str | None, str | None, str | None]]:
    try:
        return [*string.Formatter().parse(template)]
    except ValueError as error:
        raise ClaimError(f"{_quoted(template)}: {error}; a brace is written twice") from error


def _names(template: str) -> list[str]:
    return [name.split(".")[0] for _, name, _, _ in _parsed(template) if name is not None]


def _named(template: str, carried: Mapping[str, Comparison]) -> Iterator[Comparison]:
    """The companions whose values a sentence gives."""
    for _, field, _, _ in _parsed(template):
        name, _, rest = (field or "").partition(".")
        if name in carried and (metric := rest.partition(".")[0]) in carried[name].companions:
            yield carried[name].companion(metric)


def _boxed(
    sentence: str,
    failed: Sequence[str],
    further: Sequence[Comparison],
    number: Comparison | None,
    published: bool,
) -> str:
    large, lead = "", "**Of these runs.**"
    if published or not failed:
        lead = "**What was found.**"
        if number is not None and number.value.n:
            mean, _, rest = str(number).partition("\u00a0")
            large = f'<p class="lab1-number">{mean} <small>{rest}</small></p>\n\n'
    if published and not failed:
        text = re.sub(r"\([^)]*\)|<[^>]*>", "", f"{sentence} {large}")
        words, numbers = len(sentence.split()), len(re.findall(r"\d[\d.,]*", text))
        if words > MOST_WORDS or numbers > MOST_NUMBERS:
            raise ClaimError(
                f"{_quoted(sentence)}: a box has at most {MOST_WORDS} words and {MOST_NUMBERS} "
                f"numbers, and this one {words} and {numbers}"
            )
    separator = "\n\n" if sentence.startswith("- ") else " "
    added = _listed(comparison.clause for comparison in further)
    parts = [f"{large}{lead}{separator}{sentence}", added]
    inner = "\n\n".join(filter(None, parts))
    return f'<div class="lab1-answer">\n\n{inner}\n\n</div>'


def _listed(clauses: Iterable[str]) -> str:
    return "\n".join(f"- {clause}." for clause in dict.fromkeys(clauses))


def _quoted(template: str) -> str:
    text = " ".join(template.split())
    return f"“{text}”" if len(text) <= 90 else f"“{text[:90]}…”"


# What a page adds


def of_further_networks(whole: Selection) -> dict[str, Comparison]:
    """What every page compares of further networks, such as user-defined ones.

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
    """What a page compares where several values were asked for: each with the first.

    `answers` are the runs of each value under its name.  Compared are the deepest networks of each
    family at the rate that depths share.
    """
    added = {}
    (first, whole), *others = answers.items()
    for family in dict.fromkeys(whole.runs.get("family", ())):
        arms = {
            name: replace(
                runs.of_family(family).at_base_rate().deepest,
                named={"family": words.NAMES[family], "answer": name},
            )
            for name, runs in answers.items()
        }
        for name, _ in others:
            difference = (arms[name] - arms[first]).in_("test_accuracy").beside("test_loss")
            added[f"{family}, {name}"] = replace(difference, further=True)
    return added
