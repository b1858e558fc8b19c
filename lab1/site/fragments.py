"""What publishing writes beside the chapters: computed parts of other pages, and the scripts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import nbformat
import vl_convert
from nbformat import NotebookNode

from ..core import benchmarks, files
from ..core.files import write_if_changed
from ..core.record import Record
from ..core.store import Store
from ..errors import RecordError
from ..planning import profiles
from ..reporting.claims import MIME
from . import excerpts, exports, run_it
from .run_it import Shown

_SITE = Path(__file__).parent


def write(
    report: Path, profile: str, shown: Sequence[Shown], store: Store, drawn: exports.Folder
) -> set[Path]:
    """Writes the fragments that the pages outside `chapters/` include, and the scripts.

    `shown` are the pages that were prepared; without a record there is nothing to write.  Returns
    the pictures of the front page, which go to the folder `drawn`.
    """
    from ..reporting.distillation import draw_a_digit
    from ..reporting.pages import front
    from ..reporting.pages.runs import RunsPage

    records = {record.key: record for each in shown for record in each.records}
    if not records:
        return set()
    parts = front.chart(list(records.values()))
    plain, residual = front.layers(list(records.values()))
    addresses, pictures = exports.write_pictures(parts, "headline", drawn, drawn)
    published = {record.key for record in records.values() if store.is_published(record)}
    pages = [
        (
            each.title,
            f"report/{each.page.name}.ipynb",
            claims_of(report / f"{each.page.name}.ipynb"),
        )
        for each in shown
    ]
    runs = RunsPage([*records.values()], published, profiles.shown_on(profile))
    its_addresses, its_pictures = exports.write_pictures(runs.figure, "runs", drawn, drawn)
    fragments = {
        "headline": front.headline([claim for *_, claims in pages for claim in claims]),
        "chart": front.figure(parts, addresses),
        "plain-layer": plain,
        "residual-layer": residual,
        "cards": front.cards(pages),
        "chapters": _contents(shown),
        "runs": runs.fragment(its_addresses, f"{report.name}/assets"),
        "excerpts": excerpts.fragment(files.PACKAGE),
        "run-it": run_it.fragment(shown, benchmarks.published(benchmarks.CONTENDERS)),
    }
    for name, text in fragments.items():
        write_if_changed(report / f"{name}.md", text.encode())
    assets = report / "assets"
    # A module's names are its own, but a page opened from a file may not load modules.
    bundle = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    write_if_changed(assets / "vega.js", f"(() => {{{bundle}\n}})();\n".encode())
    rounded = rounded_networks(records, store)
    asked = {records[key].spec.dataset for key in rounded}
    scripts = runs.scripts() | draw_a_digit.scripts(rounded, sorted(asked))
    for name, content in scripts.items():
        write_if_changed(assets / name, content.encode())
    for name in ("charts.js", "draw.js", "folds.js", "runs.js", "tables.js"):
        write_if_changed(assets / name, (_SITE / name).read_bytes())
    # What a link to the site is shown with elsewhere, where only pixels are understood.
    card = vl_convert.svg_to_png((_SITE / "card.svg").read_text(encoding="utf-8"))
    write_if_changed(assets / "card.png", card)
    return pictures | its_pictures


def claims_of(page: Path | NotebookNode) -> list[dict[str, Any]]:
    """What each claim of an executed page says of itself, as `claims.MIME` has it."""
    notebook = nbformat.read(page, 4) if isinstance(page, Path) else page
    outputs = (output for cell in notebook.cells for output in cell.get("outputs", []))
    return [data[MIME] for output in outputs if MIME in (data := output.get("data", {}))]


def rounded_networks(records: Mapping[str, Record], store: Store) -> dict[str, Mapping[str, Any]]:
    """The probes `int8-weights` of these runs, by the runs' keys.

    One that cannot be read is left out: the page that shows it has said so, and has failed alone.
    """
    found = {}
    for key, record in records.items():
        with suppress(RecordError):
            probe = store.find_probe(record.spec, "int8-weights")
            if probe is not None:
                found[key] = probe
    return found


def _contents(shown: Sequence[Shown]) -> str:
    """The pages of the report with what each is about, in their order, as a list in Markdown."""
    return "".join(
        f"- [{each.title}](report/{each.page.name}.ipynb): {each.description}\n"
        for each in shown
        if not each.page.variant
    )
