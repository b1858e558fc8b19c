"""The chapters as they are shipped, each read once."""

from functools import cache

import nbformat
from built_site import ROOT

NAMES = sorted(path.stem for path in (ROOT / "chapters").glob("*.ipynb"))


@cache
def read(name):
    return nbformat.read(ROOT / "chapters" / f"{name}.ipynb", 4)


def code(name):
    """The cells of code."""
    return [cell for cell in read(name).cells if cell.cell_type == "code"]
