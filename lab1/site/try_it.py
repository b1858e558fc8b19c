"""The parts of the page "Try it": networks that train in the page, and a field to draw in."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from string import Template
from typing import Any

from ..core.escape import for_html
from ..core.files import project_root
from ..core.record import Record
from ..core.store import Store
from ..errors import RecordError
from ..reporting import draw_a_digit, front_page, try_it
from ..reporting import figure as figures
from ..reporting.frames import Measured
from . import exports
from .frame import PublishedPage

_SITE = Path(__file__).parent

#: Where the page finds its scripts, and the pages behind it: their cards stand beside the toy.
_ASSETS, _CHAPTERS = "report/assets", ("1_2", "1_1")


def fragments(
    pages: Sequence[PublishedPage], store: Store, drawn: exports.Folder
) -> tuple[dict[str, str], set[Path]]:
    """The page's parts as Markdown, by name, and the pictures that were written to `drawn`."""
    recorded = json.loads((_SITE / "watch.json").read_text(encoding="utf-8"))
    parts = try_it.picture(recorded["runs"]).parts()
    addresses, pictures = exports.write_pictures(parts, "watch", drawn, drawn)
    data = {
        "digits": f"{_ASSETS}/small-digits.js",
        "setting": try_it.SETTING,
        "recorded": recorded["runs"],
    }
    watch = Template((_SITE / "watch.html").read_text(encoding="utf-8")).substitute(
        data=for_html(json.dumps(data, separators=(",", ":"))),
        picture=figures.render(parts, addresses, _ASSETS),
        said=recorded["said"],
    )
    records = {record.key: record for page in pages for record in page.records}
    rounded, corrected = (
        _measured(records.values(), probe, store) for probe in ("int8-weights", "bias-correction")
    )
    field = draw_a_digit.field(rounded, corrected, _ASSETS)
    behind = [page for page in pages if page.page.name in _CHAPTERS]
    return {
        "watch": front_page.as_html(watch),
        "toy": "".join(
            front_page.as_html(try_it.toy(page.records, page.title))
            for page in behind
            if page.page.name == _CHAPTERS[0]
        ),
        "behind": front_page.cards(
            [(page.title, f"report/{page.page.name}.ipynb", page.claims) for page in behind]
        ),
        "draw": front_page.as_html(field.markup) if isinstance(field, figures.Piece) else field,
    }, pictures


def _measured(records: Iterable[Record], probe: str, store: Store) -> Measured:
    """The records that have a probe, each with it; without those that cannot be read."""
    pairs: list[tuple[Record, Mapping[str, Any]]] = []
    for record in records:
        with suppress(RecordError):
            if (values := store.find_probe(record.spec, probe)) is not None:
                pairs.append((record, values))
    return pairs


def script() -> dict[str, str]:
    """The small digits as a script, by name; nothing where they were not drawn.

    A page that is opened from a file may load nothing else.
    """
    picture = project_root() / "figures" / "data-mnist-small.png"
    if not picture.is_file():
        return {}
    content = base64.b64encode(picture.read_bytes()).decode()
    return {"small-digits.js": f'window.lab1Digits = "data:image/png;base64,{content}";\n'}
