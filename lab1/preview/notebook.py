"""From an executed notebook to Markdown, with Quarto's cell options obeyed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ..errors import PublishError
from . import frontmatter
from .outputs import fence, output_markdown, raw_html, stream_text
from .project import mapping

_OPTION = re.compile(r"^#\|\s?(.*)$")
_FLOATS = {"fig": "fig-cap", "tbl": "tbl-cap"}
# What Quarto's notebook tags stand for.
_TAGS = {
    "remove-cell": ("include", False),
    "remove-input": ("echo", False),
    "hide-input": ("echo", False),
    "remove-output": ("output", False),
    "hide-output": ("output", False),
}


def notebook_markdown(
    text: str, where: str, execute: Mapping[str, Any], html_options: Mapping[str, Any]
) -> tuple[dict[str, Any], str]:
    """The front matter and the Markdown of a notebook.

    ``execute`` and ``html_options`` are the project's; the notebook's front matter overrides them,
    and a cell's own options override both.  Raises :class:`~lab1.errors.PublishError`, naming the
    page and the cell, for a cell that failed or whose options are not understood.
    """
    try:
        notebook = json.loads(text)
        cells, version = notebook["cells"], notebook["nbformat"]
    except (ValueError, KeyError, TypeError) as error:
        raise PublishError(f"{where}: not a notebook: {error!r}") from error
    if version != 4:
        raise PublishError(f"{where}: is a notebook of format {version}; 4 is needed")
    front, rest = frontmatter.part(joined(cells[0]) + "\n") if cells else ("", "")
    first = 1
    if front and cells[0].get("cell_type") == "raw" and not rest.strip():
        cells, first = cells[1:], 2
    else:
        front = ""
    page = frontmatter.parse(front, f"{where}: front matter")
    of_html = mapping(mapping(page.get("format")).get("html"))
    defaults = {
        "code-summary": "Code",
        **{key: html_options[key] for key in ("code-fold", "code-summary") if key in html_options},
        **execute,
        **{key: each[key] for each in (page, of_html) for key in each if key.startswith("code-")},
        **mapping(page.get("execute")),
    }
    language = _language(mapping(notebook.get("metadata")))
    parts: list[str] = []
    for number, cell in enumerate(cells, first):
        at = f"{where}, cell {number}"
        kind = cell.get("cell_type")
        if kind == "code":
            parts.extend(_code_cell(cell, at, defaults, language))
        elif kind == "markdown":
            parts.append(_with_attachments(joined(cell), cell))
        elif kind == "raw":
            parts.append(_raw_cell(cell))
    return page, "\n\n".join(part.strip("\n") for part in parts if part.strip()) + "\n"


def joined(cell: Mapping[str, Any]) -> str:
    """A cell's source, which a notebook holds as a string or as a list of lines."""
    source = cell.get("source", "")
    return source if isinstance(source, str) else "".join(source)


def _language(metadata: Mapping[str, Any]) -> str:
    kernel, info = mapping(metadata.get("kernelspec")), mapping(metadata.get("language_info"))
    return str(info.get("name") or kernel.get("language") or "python")


def _code_cell(
    cell: Mapping[str, Any], where: str, defaults: Mapping[str, Any], language: str
) -> Iterator[str]:
    lines = joined(cell).split("\n")
    count = next((i for i, line in enumerate(lines) if not _OPTION.match(line)), len(lines))
    own = "\n".join(_OPTION.sub(r"\1", line) for line in lines[:count])
    tags = mapping(cell.get("metadata")).get("tags") or []
    by_tag = dict(_TAGS[tag] for tag in tags if tag in _TAGS)
    options = {**defaults, **by_tag, **frontmatter.parse(own, f"{where}: options")}
    outputs = cell.get("outputs") or []
    for output in outputs:
        if output.get("output_type") == "error":  # even where the cell would not be shown
            name = options.get("label")
            raise PublishError(
                f"{where}{f' ({name})' if name else ''} failed: "
                f"{output.get('ename', 'error')}: {output.get('evalue', '')}"
            )
    if options.get("include", True) is False:
        return
    code = "\n".join(lines[count:]).strip("\n")
    if code and options.get("echo", True) is not False:
        yield from _code(code, language, options)
    if options.get("output", True) is not False:
        yield from _outputs(outputs, options, where)


def _code(code: str, language: str, options: Mapping[str, Any]) -> Iterator[str]:
    ticks = fence(code)
    block = f"{ticks} {{.{language}}}\n{code}\n{ticks}"
    fold = options.get("code-fold", True)
    if fold is False or fold == "none":
        yield block
        return
    # The summary may hold emphasis and code; conventions.lua makes the div a <details>.
    summary = " ".join(str(options["code-summary"]).split())
    quoted = summary.replace("\\", "\\\\").replace('"', '\\"')
    state = " .open" if fold == "show" else ""
    yield f'::: {{.cell-code{state} summary="{quoted}"}}\n{block}\n:::'


def _outputs(
    outputs: list[Mapping[str, Any]], options: Mapping[str, Any], where: str
) -> Iterator[str]:
    as_is = options.get("output") == "asis"
    label = str(options.get("label") or "")
    caption_key = _FLOATS.get(label.partition("-")[0]) if "-" in label else None
    keys = [caption_key] if caption_key else list(_FLOATS.values())
    caption = next((options[key] for key in keys if options.get(key)), None)
    if isinstance(caption, list):
        raise PublishError(f"{where}: the preview knows one caption per cell, got {caption!r}")
    caption = " ".join(str(caption).split()) if caption is not None else None
    alternative = options.get("fig-alt") or caption or ""
    shown: list[str] = []
    for output in outputs:
        if output.get("output_type") == "stream":
            if output.get("name") == "stdout":
                printed = stream_text(output.get("text", ""))
                yield printed if as_is else _printed(printed)
        else:
            shown.append(output_markdown(output, str(alternative), as_is))
    content = "\n\n".join(part for part in shown if part)
    if not content:
        return
    column = options.get("column")
    classes = f" .column-{column}" if column else ""
    if caption_key or caption:
        # The mark says which paragraph is the caption, whatever an output ends with, and keeps
        # a caption from being taken for a list or a heading.
        mark = f"\n\n`<!--caption-->`{{=html}}{caption}" if caption else ""
        named = f"#{label} " if label else ""
        yield f"::: {{{named}.cell-float{classes}}}\n\n{content}{mark}\n\n:::"
    elif label or column:
        yield f"::: {{{f'#{label} ' if label else ''}.cell{classes}}}\n\n{content}\n\n:::"
    else:
        yield content


def _printed(text: str) -> str:
    ticks = fence(text)
    return f"{ticks} {{.cell-output-stdout}}\n{text}\n{ticks}" if text.strip() else ""


def _with_attachments(text: str, cell: Mapping[str, Any]) -> str:
    for name, bundle in mapping(cell.get("attachments")).items():
        for kind, data in mapping(bundle).items():
            content = "".join(data).replace("\n", "")
            text = text.replace(f"attachment:{name}", f"data:{kind};base64,{content}")
    return text


def _raw_cell(cell: Mapping[str, Any]) -> str:
    metadata = mapping(cell.get("metadata"))
    kind = metadata.get("raw_mimetype") or metadata.get("format") or "text/markdown"
    if kind in {"text/html", "html"}:
        return raw_html(joined(cell))
    return joined(cell) if kind == "text/markdown" else ""
