"""Text of records, benchmarks and data, made safe for a page: escaped in this one place."""

import html
import re

#: What may mean something within a line of Markdown; a backslash before it makes it plain.
_MARKDOWN = re.compile(r"""([\\`*_{}\[\]<>#!|$~^@"'&:])""")


def for_html(text: object) -> str:
    """The text for HTML, within an element or an attribute, on one line.

    A line of its own could end the block of raw HTML in which a notebook's output stands.
    """
    return html.escape(_on_one_line(text))


def for_markdown(text: object) -> str:
    """The text for Markdown, on one line: no element, no link and no emphasis comes of it."""
    return _MARKDOWN.sub(r"\\\1", _on_one_line(text))


def _on_one_line(text: object) -> str:
    return " ".join(str(text).split())
