"""The preview: the site made from the executed chapters with pandoc alone.

It reads what Quarto reads (``_quarto.yml``, the pages, the fragments) and makes a plainer site of
it: without search, but with the same figures, tables, cross-references, citations and maths.  What
it would show broken (an unresolved reference, a dead link, a cell that failed) stops it.
"""

from .build import build

__all__ = ["build"]
