"""Takes from Quarto's site what no page uses, and has its search find chapters first.

`python -m lab1.site.post_render` is the site's `post-render` step; without it every reader is sent
two thousand icons, and the rules of dashboards, slides and listings, for light and for dark pages,
before the first page stands, and no page stands before ten scripts have run.
"""

import json
import os
import re
from collections.abc import Callable, Collection, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import tinycss2
from fontTools import subset
from fontTools.ttLib import TTFont

#: Where Quarto puts the font and the rules that give each icon its character.
_FONT, _RULES = (f"site_libs/bootstrap/bootstrap-icons.{ending}" for ending in ("woff", "css"))

_RULE = re.compile(r'\.bi-([\w-]+)::before\s*\{\s*content:\s*"\\([0-9a-f]+)";?\s*\}')

#: Where Quarto writes what its search looks through: an entry for each section of each page.
_INDEX = "search.json"

#: A script of Quarto's that keeps a page from being shown until it has run.
_BLOCKING = re.compile(r'<script (src="[^"]*\bsite_libs/[^"]+"></script>)')

#: Words in a text that is as long as the longest sections of chapters.
_LONG = 2000

_WORD = re.compile(r"[\w-]+")

#: A custom property where it is read, or named in a script, and not where it is given a value.
_READ = re.compile(r"--[\w-]+(?![\w-]|\s*:)")


def subset_icon_font(site: Path) -> int:
    """Makes the font that of the icons in the pages and scripts; how many are left.

    Their rules are left to `prune_css`, which comes after it.  Nothing is done where
    there is no such font.
    """
    font, rules = site / _FONT, site / _RULES
    if not (font.exists() and rules.exists()):
        return 0
    texts = [text for path, text in _texts(site, ".html", ".js", ".css") if path != rules]
    used = {name for text in texts for name in re.findall(r"\bbi-([\w-]+)", text)}
    style = rules.read_text(encoding="utf-8")
    left = {name: int(code, 16) for name, code in _RULE.findall(style) if name in used}
    # Themes write the characters of some icons themselves.
    written = {int(code, 16) for text in texts for code in re.findall(r"\\(f[0-9a-f]{3})\b", text)}
    options = subset.Options(flavor="woff", ignore_missing_unicodes=True)
    smaller = TTFont(font)
    subsetter = subset.Subsetter(options)
    subsetter.populate(unicodes={*left.values(), *written})
    subsetter.subset(smaller)
    subset.save_font(smaller, str(font), options)
    return len(left)


def prune_css(site: Path) -> int:
    """Takes from the stylesheets in `site_libs` the rules for which no page has a class or an id.

    A class or an id counts as used where a page or a script has its name as a word, or a script has
    its beginning up to a hyphen.  So go the custom properties that nothing reads.  How many bytes
    fewer the stylesheets have.
    """
    texts = list(_texts(site, ".html", ".js"))
    words = {word for _, text in texts for word in _WORD.findall(text)}
    beginnings = tuple(
        word
        for path, text in texts
        if path.suffix == ".js"
        for word in _WORD.findall(text)
        if word.endswith("-") and len(word) > 3
    )
    # What only these rules read is read by none once they are gone: until no sheet gets smaller.
    return sum(iter(lambda: _prune_sheets(site, words, beginnings), 0))


def _prune_sheets(site: Path, words: Collection[str], beginnings: tuple[str, ...]) -> int:
    styled = _texts(site, ".html", ".js", ".css")
    read = {name for _, text in styled for name in _READ.findall(text)}

    def is_used(name: str) -> bool:
        return name in (read if name.startswith("--") else words) or name.startswith(beginnings)

    fewer = 0
    for path in sorted((site / "site_libs").rglob("*.css")):
        text = path.read_text(encoding="utf-8")
        rules = tinycss2.parse_stylesheet(text, skip_comments=True, skip_whitespace=True)
        pruned = "".join(_pruned(rules, is_used))
        if not (pruned.isascii() or pruned.startswith("@charset")):  # escapes became characters
            pruned = f'@charset "UTF-8";{pruned}'
        if len(pruned) < len(text):
            path.write_text(pruned, encoding="utf-8")
            fewer += len(text) - len(pruned)
    return fewer


def defer_scripts(site: Path) -> int:
    """Has Quarto's scripts run once a page stands, in their order; how many did not.

    What the pages' own scripts do with them waits for the page too (`DOMContentLoaded`).
    """
    deferred = 0
    for path, text in _texts(site, ".html"):
        changed, count = _BLOCKING.subn(r"<script defer \1", text)
        if count:
            path.write_text(changed, encoding="utf-8")
            deferred += count
    return deferred


def drop_sitemap_without_address(site: Path) -> None:
    """Takes away a sitemap that cannot name where the site is published, and what leads to it."""
    robots = site / "robots.txt"
    if robots.exists() and "Sitemap: /" in robots.read_text(encoding="utf-8"):
        robots.unlink()
        (site / "sitemap.xml").unlink(missing_ok=True)


def rank_chapters_first(site: Path) -> int:
    """Rewrites the index of a site's search: chapters come before the reference, literature goes.

    How many entries the index has, none without one.
    """
    index = site / _INDEX
    if not index.exists():
        return 0
    entries: list[dict[str, Any]] = json.loads(index.read_text(encoding="utf-8"))
    entries = [entry for entry in entries if entry["section"] != "References"]
    for entry in filter(_of_reference, entries):
        # A heading weighs more than text, and the name of a module is made of its topic's; and a
        # word weighs more in a short text than in a long one: so this is made long with no words,
        # and only up to that length, since Quarto keeps the entries of pages that it leaves alone.
        entry["section"] = ""
        entry["text"] += " ." * (_LONG - len(entry["text"].split()))
    entries.sort(key=_of_reference)  # of equally good results the first is shown first
    index.write_text(json.dumps(entries, indent=2, ensure_ascii=False), encoding="utf-8")
    return len(entries)


def _of_reference(entry: dict[str, Any]) -> bool:
    return str(entry["href"]).startswith("reference/")


def _texts(site: Path, *endings: str) -> Iterator[tuple[Path, str]]:
    for path in site.rglob("*"):
        if path.suffix in endings:
            yield path, path.read_text(encoding="utf-8", errors="replace")


def _pruned(rules: list[Any], is_used: Callable[[str], bool]) -> Iterator[str]:
    for rule in rules:
        if rule.type == "qualified-rule":
            selectors = [
                tinycss2.serialize(selector).strip()
                for selector in _selectors(rule.prelude)
                if all(map(is_used, _required_names(selector)))
            ]
            content = _content(rule, is_used)
            if selectors and content:
                yield f"{','.join(selectors)}{{{content}}}"
        elif rule.type == "at-rule" and rule.lower_at_keyword in ("media", "supports"):
            within = tinycss2.parse_rule_list(
                rule.content, skip_comments=True, skip_whitespace=True
            )
            pruned = "".join(_pruned(within, is_used))
            if pruned:
                yield f"@{rule.at_keyword}{tinycss2.serialize(rule.prelude)}{{{pruned}}}"
        else:
            yield rule.serialize()


def _content(rule: Any, is_used: Callable[[str], bool]) -> str:
    """The declarations of a rule, without those of custom properties that are not used."""
    declarations = tinycss2.parse_declaration_list(rule.content, True, True)
    if any(part.type != "declaration" for part in declarations):  # rules within the rule, say
        return str(tinycss2.serialize(rule.content))
    return ";".join(
        declaration.serialize()
        for declaration in declarations
        if not declaration.name.startswith("--") or is_used(declaration.name)
    )


def _selectors(prelude: list[Any]) -> list[list[Any]]:
    """The selectors of a rule, each as its tokens."""
    parts: list[list[Any]] = [[]]
    for token in prelude:
        if token == ",":
            parts.append([])
        else:
            parts[-1].append(token)
    return parts


def _required_names(selector: list[Any]) -> Iterator[str]:
    """The classes and ids without which it matches nothing.

    Those within brackets, as in `:not(…)` and `:is(…)`, are excluded, or one of several.
    """
    for before, token in pairwise([None, *selector]):
        if token.type == "hash" or (token.type == "ident" and before == "."):
            yield from _WORD.findall(token.value)


if __name__ == "__main__":
    output = Path(os.environ["QUARTO_PROJECT_OUTPUT_DIR"])
    subset_icon_font(output)
    prune_css(output)
    defer_scripts(output)
    drop_sitemap_without_address(output)
    rank_chapters_first(output)
