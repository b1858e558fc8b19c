"""Reads and mends HTML by its tags, leaving every other character as it is."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from html import escape
from html.parser import HTMLParser

_VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source"}


@dataclass(frozen=True)
class Tag:
    """A start tag: where it stands in the text, and the open elements around it."""

    name: str
    attributes: dict[str, str]
    start: int
    end: int
    around: tuple[str, ...]


@dataclass
class Scan:
    """What is in a page: start tags, end tags (name and where they end), and style sheets."""

    tags: list[Tag] = field(default_factory=list)
    ends: list[tuple[str, int, tuple[str, ...]]] = field(default_factory=list)
    styles: list[str] = field(default_factory=list)

    def ids(self) -> set[str]:
        """The anchors that an address can name."""
        named = [tag.attributes.get("name") for tag in self.tags if tag.name == "a"]
        return {each for each in [tag.attributes.get("id") for tag in self.tags] + named if each}


class _Scanner(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.found = Scan()
        self._text = text
        self._lines = [0, *(match.end() for match in re.finditer("\n", text))]
        self._open: list[str] = []
        self.feed(text)
        self.close()

    def _offset(self) -> int:
        line, column = self.getpos()
        return self._lines[line - 1] + column

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._note(tag, attrs)
        if tag not in _VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._note(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        if tag in self._open:  # what is open inside it was left unclosed, as HTML allows
            while self._open.pop() != tag:
                pass
            end = self._text.index(">", self._offset()) + 1
            self.found.ends.append((tag, end, tuple(self._open)))

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] == "style":
            self.found.styles.append(data)

    def _note(self, name: str, attrs: list[tuple[str, str | None]]) -> None:
        start, whole = self._offset(), self.get_starttag_text() or ""
        attributes: dict[str, str] = {}
        for key, value in attrs:
            attributes.setdefault(key, value or "")
        self.found.tags.append(Tag(name, attributes, start, start + len(whole), tuple(self._open)))


def scan(text: str) -> Scan:
    """The tags of a page."""
    return _Scanner(text).found


def replace_attributes(text: str, new_value: Callable[[Tag, str, str], str | None]) -> str:
    """The text with each attribute set to ``new_value(tag, name, value)``, unless that is None."""
    edits = []
    for tag in scan(text).tags:
        whole = changed = text[tag.start : tag.end]
        for name, value in tag.attributes.items():
            new = new_value(tag, name, value)
            if new is not None and new != value:
                changed = _with_attribute(changed, name, new)
        if changed != whole:
            edits.append((tag.start, tag.end, changed))
    return _edited(text, edits)


def make_accessible(text: str) -> str:
    """The text with what wide content and tables need.

    Tables get a container that scrolls by itself and that the keyboard reaches, as code blocks and
    equations do; header cells get the scope that their place gives them.
    """
    found = scan(text)
    edits: list[tuple[int, int, str]] = []
    for tag in found.tags:
        if tag.name == "table" and "table" not in tag.around:
            opening = '<div class="table-scroll" tabindex="0" role="group" aria-label="Table">'
            edits.append((tag.start, tag.start, opening))
        elif tag.name == "th" and "scope" not in tag.attributes:
            scope = "col" if "thead" in tag.around else "row"
            edits.append((tag.start + 3, tag.start + 3, f' scope="{scope}"'))
        elif tag.name == "img" and "alt" not in tag.attributes:  # says nothing, so decorates
            edits.append((tag.start + 4, tag.start + 4, ' alt=""'))
        elif tag.name == "math" and tag.attributes.get("display") == "block":
            edits.append((tag.start + 5, tag.start + 5, ' tabindex="0"'))
        elif tag.name == "pre" and "tabindex" not in tag.attributes:
            edits.append((tag.start + 4, tag.start + 4, ' tabindex="0"'))
    for name, end, around in found.ends:
        if name == "table" and "table" not in around:
            edits.append((end, end, "</div>"))
    return _edited(text, sorted(edits))


def stylesheet_addresses(text: str) -> Iterator[str]:
    """The addresses that a style sheet loads."""
    pattern = r"""url\(\s*["']?([^"')\s]+)|@import\s+["']([^"']+)"""
    for found in re.finditer(pattern, re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)):
        yield found[1] or found[2]


def _with_attribute(tag: str, name: str, value: str) -> str:
    pattern = rf"""(\s{re.escape(name)}\s*=\s*)("[^"]*"|'[^']*'|[^\s"'>]+)"""
    quoted = f'"{escape(value)}"'
    return re.sub(pattern, lambda found: found[1] + quoted, tag, count=1, flags=re.IGNORECASE)


def _edited(text: str, edits: list[tuple[int, int, str]]) -> str:
    parts, place = [], 0
    for start, end, new in edits:
        parts += [text[place:start], new]
        place = end
    return "".join([*parts, text[place:]])
