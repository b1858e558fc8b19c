"""Hand-written sentences that rest on comparisons, and are held to them.

A sentence names the comparisons that carry it: on a published page one that its records do not
carry is an error, on any other the comparisons take its place.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterable, Iterator, Mapping, Sequence
from inspect import cleandoc
from typing import TYPE_CHECKING, Any

from ..core.escape import for_html, for_markdown
from ..errors import ClaimError, did_you_mean
from .paired import Comparison, Condition

if TYPE_CHECKING:
    from .findings import Findings


#: Under this a claim says, for what quotes or checks it: its `text`, its `name` where it has one,
#: whether it is the `box` of its page, the `card` that leads to it, and what has `failed`.
MIME = "application/vnd.lab1.claim+json"

#: What the box that opens a page may hold.
MOST_WORDS, MOST_NUMBERS = 45, 3

#: What may hold digits in a claim: a link, a formula, code, a tag.
_NO_PROSE = re.compile(r"\[[^\]]*\]\([^)]*\)|\$[^$]*\$|`[^`]*`|<[^>]*>")

#: What reads well only after typesetting, which a claim in Jupyter does not see.
_TYPESET = re.compile(r"(?<![\w.])@[a-z]|^\s*#|\{#|:::", re.MULTILINE)

_NOTHING = "*There is nothing here to compare.*"


class Prose(str):
    """Markdown that a notebook shows as text."""

    def _repr_markdown_(self) -> str:
        return str(self)


NO_RUNS = Prose("*No run of this kind has a record yet.*")


class Claim(Prose):
    """A sentence that comparisons carry, or what stands in its place.

    `sentence` is it without what frames it, `failed` says which conditions do not hold, and `box`
    whether it opens its page.  Another page quotes it by its `name`, or by its `card`.
    """

    sentence: str
    failed: tuple[str, ...]
    box: bool
    name: str
    card: dict[str, Any] | None

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        about = {"text": self.sentence, "name": self.name, "box": self.box, "card": self.card}
        about["failed"] = [*self.failed]
        return {"text/markdown": str(self), "text/plain": self.sentence, MIME: about}


def claim(
    template: str,
    conditions: Sequence[Condition],
    *,
    published: bool,
    draft: bool = False,
    page: Findings | None = None,
    box: bool = False,
    number: Comparison | None = None,
    name: str = "",
    card: str = "",
    doubt: str = "",
) -> Claim:
    """The sentence with its numbers, where every condition holds; else what is there instead.

    On a `published` page a condition that fails is an error, which a `draft` shows before the
    sentence.  On another page the comparisons take the sentence's place, one clause each, or the
    reason why nothing is compared, which the `box` alone gives where the `page` compares nothing.
    The box opens the page, and in it `number` stands large.  So it does on the `card` that leads to
    the page, between that sentence and its `doubt`, which the same conditions carry.

    Raises `ClaimError` for a sentence without a condition, with a placeholder that none of them
    names, or with a digit in its text; for a box that is too long; and where it is not carried.
    """
    template = cleandoc(template)
    further = page.further if page is not None else []
    carried = {condition.comparison.name: condition.comparison for condition in conditions}
    for text in filter(None, (template, card, doubt)):
        _check_text(cleandoc(text), carried, conditions)
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
        parts = [part for comparison in carried.values() for part in comparison.parts]
        pairs = [part for part in parts if part.is_pair]
        sentence = _listed(part.clause for part in pairs)
        if box and not pairs:
            levels = _listed(level for whole in carried.values() for level in whole.levels)
            sentence = f"{levels}\n\n{'' if further else _NOTHING}".strip()
        elif not pairs and page is not None and any(p.is_pair for c in page for p in c.parts):
            sentence = f"*Not compared here: {for_markdown(parts[0].reason)}.*"
    result = Claim(_boxed(sentence, failed, further, number, published) if box else sentence)
    result.sentence, result.failed, result.box = sentence, tuple(failed), box
    result.name, result.card = name, None
    if card and number is not None and not failed:
        texts = {"text": fill(cleandoc(card), carried), "doubt": fill(cleandoc(doubt), carried)}
        result.card = texts | number.strip
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
    return [re.split(r"[.[]", name)[0] for _, name, _, _ in _parsed(template) if name is not None]


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
            style = f"lab1-number lab1-{number.strip['style']}"
            large = f'<p class="{style}">{mean} <small>{rest}</small></p>\n\n'
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
