"""Makes Quarto's search find chapters before the reference of the modules.

`python -m lab1.site.search` is a step of the site's `post-render`.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

#: Where Quarto writes what its search looks through: an entry for each section of each page.
_INDEX = "search.json"


def chapters_first(site: Path) -> int:
    """Rewrites the index of a site; returns how many entries it has, none without an index."""
    index = site / _INDEX
    if not index.exists():
        return 0
    entries: list[dict[str, Any]] = json.loads(index.read_text(encoding="utf-8"))
    for entry in filter(_of_reference, entries):
        # A heading weighs more than text, and the name of a module is made of its topic's.
        entry["section"] = ""
    entries.sort(key=_of_reference)  # of equally good results the first is shown first
    index.write_text(json.dumps(entries, indent=2, ensure_ascii=False), encoding="utf-8")
    return len(entries)


def _of_reference(entry: dict[str, Any]) -> bool:
    return str(entry["href"]).startswith("reference/")


if __name__ == "__main__":
    chapters_first(Path(os.environ["QUARTO_PROJECT_OUTPUT_DIR"]))
