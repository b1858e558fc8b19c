"""Sources of pages, ``.qmd`` and executed ``.ipynb``, as metadata and Markdown."""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from ..errors import PublishError
from . import frontmatter
from .notebook import notebook_markdown
from .project import Project, existing, mapping, strings

_INCLUDE = re.compile(r"^[ \t]*\{\{<\s*include\s+(?P<name>.+?)\s*>\}\}[ \t]*$", re.MULTILINE)
_EXECUTABLE = re.compile(r"^[ \t]*(?:`{3,}|~{3,})[ \t]*\{(?:python|r|julia|ojs)\b.*$", re.MULTILINE)
_FIRST_HEADING = re.compile(r"\A\s*#[ \t]+(?P<title>.+?)(?:[ \t]+\{[^}]*\})?[ \t#]*(?:\n|\Z)")
# What the template shows, besides the title; other metadata is Quarto's.
_SHOWN = ("subtitle", "description", "abstract", "nocite", "reference-section-title")


@dataclass(frozen=True)
class Source:
    """A page before pandoc.

    ``markdown`` is pandoc's Markdown with Quarto's conventions, with everything that is included
    in place; ``metadata`` is what pandoc gets to know about the page.
    """

    path: PurePosixPath
    title: str
    language: str
    markdown: str
    bibliography: tuple[PurePosixPath, ...]
    table_of_contents: bool
    metadata: dict[str, Any] = field(default_factory=dict)


def read_source(project: Project, path: PurePosixPath) -> Source:
    """The source of a page, ``path`` being relative to the project.

    Raises :class:`~lab1.errors.PublishError`, naming the page, for a file that is not readable, an
    include or a bibliography that does not exist, a cell that failed, or code to execute.
    """
    text = _read(project, path, str(path))
    if path.suffix == ".ipynb":
        values, markdown = notebook_markdown(text, str(path), project.execute, project.html)
    else:
        front, markdown = frontmatter.part(text)
        values = frontmatter.parse(front, f"{path}: front matter")
        if found := _EXECUTABLE.search(markdown):
            raise PublishError(
                f"{path}: {found[0].strip()}: the preview executes no code; move it to a notebook"
            )
    markdown = _expand(project, markdown, path, (path,))
    title = values.get("title")
    if title is None and (heading := _FIRST_HEADING.match(markdown)):
        title, markdown = heading["title"], markdown[heading.end() :]
    own = [(path.parent / name).as_posix() for name in strings(values.get("bibliography"))]
    html = {**values, **mapping(mapping(values.get("format")).get("html"))}
    return Source(
        path=path,
        title=str(title) if title is not None else path.stem,
        language=str(values.get("lang") or project.language),
        markdown=markdown,
        bibliography=existing(project.root, own, str(path)) or project.bibliography,
        table_of_contents=html.get("toc", project.html.get("toc", True)) is not False,
        metadata={
            **{key: values[key] for key in _SHOWN if values.get(key)},
            "author": _authors(values.get("author")),
            "date": _date(values.get("date")),
        },
    )


def _read(project: Project, path: PurePosixPath, where: str) -> str:
    try:
        return (project.root / path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise PublishError(f"{where}: {path} is not readable: {reason}") from error


def _expand(
    project: Project, text: str, path: PurePosixPath, within: tuple[PurePosixPath, ...]
) -> str:
    """The text with its ``{{< include file >}}`` lines replaced by the files, as Quarto does it."""

    def included(found: re.Match[str]) -> str:
        name = found["name"].strip("\"'")
        inner = PurePosixPath(name.lstrip("/")) if name.startswith("/") else path.parent / name
        if inner in within:
            raise PublishError(f"{within[0]}: {inner} includes itself")
        content = _read(project, inner, str(within[0]))
        return _expand(project, content, inner, (*within, inner)).rstrip("\n")

    return _INCLUDE.sub(included, text)


def _authors(value: Any) -> list[str]:
    authors = value if isinstance(value, list) else [] if value is None else [value]
    return [str(each.get("name", "")) if isinstance(each, dict) else str(each) for each in authors]


def _date(value: Any) -> str | None:
    """A date that is one; Quarto's words for one, such as ``last-modified``, are left out."""
    return value.isoformat() if isinstance(value, datetime.date) else None
