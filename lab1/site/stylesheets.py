"""Leaves of Quarto's stylesheets the rules that the site can use: a third of them.

`python -m lab1.site.stylesheets` is a `post-render` step of the site; without it every reader is
sent the rules of dashboards, slides and listings, for light and for dark pages, before the first
page stands.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import tinycss2

_WORD = re.compile(r"[\w-]+")


def leave_what_can_apply(site: Path) -> int:
    """Takes from the stylesheets in `site_libs` the rules for which no page has a class or an id.

    A class or an id counts as had where a page or a script has its name as a word, or a script has
    its beginning up to a hyphen.  How many bytes fewer the stylesheets have.
    """
    texts = {
        path: path.read_text(encoding="utf-8", errors="replace")
        for path in site.rglob("*")
        if path.suffix in (".html", ".js")
    }
    words = {word for text in texts.values() for word in _WORD.findall(text)}
    beginnings = tuple(
        word
        for path, text in texts.items()
        if path.suffix == ".js"
        for word in _WORD.findall(text)
        if word.endswith("-") and len(word) > 3
    )

    def is_had(name: str) -> bool:
        return name in words or name.startswith(beginnings)

    fewer = 0
    for path in sorted((site / "site_libs").rglob("*.css")):
        text = path.read_text(encoding="utf-8")
        rules = tinycss2.parse_stylesheet(text, skip_comments=True, skip_whitespace=True)
        kept = "".join(_kept(rules, is_had))
        if not (kept.isascii() or kept.startswith("@charset")):  # escapes have become characters
            kept = f'@charset "UTF-8";{kept}'
        if len(kept) < len(text):
            path.write_text(kept, encoding="utf-8")
            fewer += len(text) - len(kept)
    return fewer


def _kept(rules: list[Any], is_had: Callable[[str], bool]) -> Iterator[str]:
    for rule in rules:
        if rule.type == "qualified-rule":
            selectors = [
                tinycss2.serialize(selector).strip()
                for selector in _selectors(rule.prelude)
                if all(map(is_had, _demanded(selector)))
            ]
            if selectors:
                yield f"{','.join(selectors)}{{{tinycss2.serialize(rule.content)}}}"
        elif rule.type == "at-rule" and rule.lower_at_keyword in ("media", "supports"):
            within = tinycss2.parse_rule_list(
                rule.content, skip_comments=True, skip_whitespace=True
            )
            kept = "".join(_kept(within, is_had))
            if kept:
                yield f"@{rule.at_keyword}{tinycss2.serialize(rule.prelude)}{{{kept}}}"
        else:
            yield rule.serialize()


def _selectors(prelude: list[Any]) -> list[list[Any]]:
    """The selectors of a rule, each as its tokens."""
    parts: list[list[Any]] = [[]]
    for token in prelude:
        if token == ",":
            parts.append([])
        else:
            parts[-1].append(token)
    return parts


def _demanded(selector: list[Any]) -> Iterator[str]:
    """The classes and ids without which it matches nothing.

    Those within brackets, as in `:not(…)` and `:is(…)`, are excluded, or one of several.
    """
    for before, token in pairwise([None, *selector]):
        if token.type == "hash" or (token.type == "ident" and before == "."):
            yield from _WORD.findall(token.value)


if __name__ == "__main__":
    leave_what_can_apply(Path(os.environ["QUARTO_PROJECT_OUTPUT_DIR"]))
