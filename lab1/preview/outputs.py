"""What a cell displayed or printed, as Markdown."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Mapping
from typing import Any

from .project import mapping

_ESCAPE_SEQUENCE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_IMAGES = ("image/svg+xml", "image/png", "image/jpeg")


def fence(text: str) -> str:
    """A fence of backticks that nothing in the text can close."""
    return "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))


def raw_html(markup: str) -> str:
    """HTML that pandoc passes through, fenced so that nothing in it can close the block."""
    ticks = fence(markup)
    return f"{ticks}{{=html}}\n{markup}\n{ticks}"


def stream_text(text: str | list[str]) -> str:
    """Printed text as a terminal would show it in the end: no colours, no overwritten progress."""
    whole = _ESCAPE_SEQUENCE.sub("", "".join(text)).replace("\r\n", "\n")
    return "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in whole.split("\n")).strip(
        "\n"
    )


def output_markdown(output: Mapping[str, Any], alternative: str, as_is: bool) -> str:
    """The richest form of a display that the preview knows; empty where there is none.

    ``alternative`` is the text that stands for an image; ``as_is`` takes plain text for Markdown.
    """
    data = mapping(output.get("data"))
    content = {
        key: value if isinstance(value, str) else "".join(value)
        for key, value in data.items()
        if isinstance(value, str | list)
    }
    if "text/html" in content:
        return raw_html(f'<div class="cell-output">\n{content["text/html"]}\n</div>')
    if "text/markdown" in content:
        return content["text/markdown"]
    for kind in _IMAGES:
        if kind in content:
            size = mapping(mapping(output.get("metadata")).get(kind))
            return raw_html(_image(kind, content[kind], alternative, size))
    if "text/plain" in content:
        if as_is:
            return content["text/plain"]
        plain = html.escape(stream_text(content["text/plain"]))
        return raw_html(f'<pre class="cell-output-plain">{plain}</pre>')
    return ""


def _image(kind: str, content: str, alternative: str, size: Mapping[str, Any]) -> str:
    encoded = (
        base64.b64encode(content.encode()).decode()
        if kind == "image/svg+xml"
        else "".join(content.split())
    )
    sizes = "".join(f' {key}="{int(size[key])}"' for key in ("width", "height") if key in size)
    text = html.escape(alternative)
    return f'<img src="data:{kind};base64,{encoded}" alt="{text}"{sizes}>'
