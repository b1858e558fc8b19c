"""Runs pandoc on one page: Quarto's conventions, cross-references, citations, MathML."""

from __future__ import annotations

import functools
import importlib
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import PublishError
from .project import Project
from .source import Source

_HERE = Path(__file__).resolve().parent
_FRAGMENT = _HERE.parent / "site" / "fragment.lua"
# Messages that say nothing about the page.
_HARMLESS = {"Deprecated", "NoTranslation", "CouldNotLoadTranslations"}


@functools.cache
def pandoc_path() -> str:
    """The pandoc that PyPI's pypandoc-binary carries, else the one on the path.

    Raises :class:`~lab1.errors.PublishError` where there is neither.
    """
    try:
        return str(importlib.import_module("pypandoc").get_pandoc_path())
    except (ImportError, OSError):
        found = shutil.which("pandoc")
    if not found:
        raise PublishError("no pandoc found; install it with: pip install pypandoc-binary")
    return found


def page_html(project: Project, source: Source, variables: Mapping[str, Any]) -> str:
    """The HTML page of a source, ``variables`` (HTML already) filling the template.

    Raises :class:`~lab1.errors.PublishError`, naming the page, for whatever pandoc warns of: an
    unresolved reference, an unknown citation, maths or a div that it does not understand.
    """
    with tempfile.TemporaryDirectory(prefix="lab1-preview-") as folder:
        metadata, defaults, log = (Path(folder) / name for name in ("m.json", "d.yaml", "l.json"))
        metadata.write_text(json.dumps({"title": source.title, **source.metadata}))
        # JSON is YAML too, and needs no care with quotes.
        defaults.write_text(json.dumps(_defaults(project, source, variables, metadata)))
        done = subprocess.run(
            [pandoc_path(), "--defaults", str(defaults), "--log", str(log)],
            input=source.markdown,
            capture_output=True,
            encoding="utf-8",
            cwd=project.root,
            env={**os.environ, "QUARTO_PROJECT_ROOT": str(project.root)},
        )
        if done.returncode:
            # Pandoc says too where in the filter it happened, but that is not the page's matter.
            message = done.stderr.partition("stack traceback:")[0]
            message = re.sub(r"^Error running filter .*:\n", "", message).strip()
            raise PublishError(f"{source.path}: {message}")
        warnings = json.loads(log.read_text(encoding="utf-8")) if log.is_file() else []
    complaints = dict.fromkeys(
        str(each.get("message") if each["type"] == "ScriptingWarning" else each.get("pretty"))
        for each in warnings
        if each.get("verbosity") == "WARNING" and each["type"] not in _HARMLESS
    )
    if complaints:
        raise PublishError("\n".join(f"{source.path}: {each}" for each in complaints))
    return done.stdout


def _defaults(
    project: Project, source: Source, variables: Mapping[str, Any], metadata: Path
) -> dict[str, Any]:
    """The pandoc defaults file, https://pandoc.org/MANUAL.html#defaults-files."""
    absolute = [str(project.root / path) for path in source.bibliography]
    return {
        "from": "markdown",
        "to": "html5",
        "standalone": True,
        "template": str(_HERE / "template.html"),
        "html-math-method": {"method": "mathml"},
        "wrap": "none",
        "preserve-tabs": True,  # a tab inside an output is the output's own
        "toc": source.table_of_contents,
        "toc-depth": int(project.html.get("toc-depth", 3)),
        # The order matters: a fragment may hold callouts, and a callout may hold a figure.
        "filters": [
            {"type": "lua", "path": str(_FRAGMENT)},
            {"type": "lua", "path": str(_HERE / "conventions.lua")},
            {"type": "lua", "path": str(_HERE / "crossref.lua")},
        ],
        "metadata-files": [str(metadata)],
        "metadata": {
            "lang": source.language,
            "link-citations": True,
            "number-sections": project.html.get("number-sections") is True,
            **({"bibliography": absolute} if absolute else {}),
            **({"csl": str(project.root / project.csl)} if project.csl else {}),
        },
        "variables": dict(variables),
    }
