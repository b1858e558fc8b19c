"""The reference of `lab1`: pages made of the docstrings by quartodoc, into `reference/`.

What it covers stands in `_quarto.yml`, under `quartodoc`.  The sources are read and not
imported, so that the training half is documented where torch is not installed.
"""

import importlib.util
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

from ..core.files import write_if_changed

FOLDER = "reference"

_CONFIGURATION = "_quarto.yml"

#: Of the page that lists the others, which quartodoc gives none.
_DESCRIPTION = "What each module of lab1 does and takes, made of its docstrings."

#: A heading of quartodoc's: it has an anchor, or names what its section lists.
_HEADING = re.compile(r"^(#+ (?:.* \{ #\S+ \}|[A-Z][a-z]+)$)", re.MULTILINE)


def write(root: Path) -> list[Path]:
    """Writes the pages that have changed, takes away others, and returns all.

    Without quartodoc, or where the project asks for no reference, there is none.
    """
    folder = root / FOLDER
    texts = {folder / name: text for name, text in _pages(root).items()}
    for path, text in texts.items():
        write_if_changed(path, text.encode())
    for path in folder.glob("*.qmd"):
        if path not in texts:
            path.unlink()
    return list(texts)


def _pages(root: Path) -> dict[str, str]:
    path = root / _CONFIGURATION
    settings = (
        yaml.safe_load(path.read_text(encoding="utf-8")).get("quartodoc") if path.exists() else None
    )
    if settings is None:
        return {}
    if importlib.util.find_spec("quartodoc") is None:
        print(
            "the reference is left out: quartodoc is not installed (extra 'site')", file=sys.stderr
        )
        return {}
    return _build(root, settings)


def _build(root: Path, settings: dict[str, Any]) -> dict[str, str]:
    import quartodoc

    with tempfile.TemporaryDirectory() as folder:
        own = {**settings, "source_dir": str(root), "dir": folder}
        builder = quartodoc.Builder.from_quarto_config({"quartodoc": own})
        builder.out_inventory = f"{folder}/objects.json"  # else it lies in the working directory
        builder.build()
        return {
            path.name: titled(below_title(live_links(path.read_text(encoding="utf-8"))))
            for path in sorted(Path(folder).glob("*.qmd"))
        }


def live_links(text: str) -> str:
    """The links that lead somewhere: an attribute has a row in a table and no section to lead to.

    The first heading of a page becomes its title, so a link to it leads to the page.
    """
    anchors = set(re.findall(r"\{ #(\S+) \}", text))
    text = re.sub(
        r"\[([^\]]*)\]\(#([^)\s]+)\)", lambda r: r[0] if r[2] in anchors else f"`{r[1]}`", text
    )
    return re.sub(r"(\]\(\S+\.qmd)#[^)\s]+\)", r"\1)", text)


def below_title(text: str) -> str:
    """The page with one heading of the first level, its title, and the others a level below."""
    first, *others = re.split(r"^(?=# )", text, flags=re.MULTILINE)[1:] or [text]
    return first + "".join(_HEADING.sub(r"#\1", each) for each in others)


def titled(text: str) -> str:
    """The page with its heading and the sentence below it as metadata, for browsers and cards."""
    found = re.match(r"# (.+?)(?: \{.*\})?\n\s*(?:([^#\s].*)\n)?", text)
    if found is None:
        return text
    metadata = {"title": found[1], "description": found[2] or _DESCRIPTION}
    head = yaml.safe_dump(metadata, sort_keys=False, allow_unicode=True, width=1000)
    return f"---\n{head}---\n\n{text[found.end() :].lstrip()}"
