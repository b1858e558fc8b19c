"""A piece of a page that is neither a chart nor a table."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Piece:
    """HTML for a page, whose files lie beside it, and `words` for where none can be shown."""

    markup: str
    words: str

    def _repr_html_(self) -> str:
        return self.markup

    def __repr__(self) -> str:
        return self.words
