"""Writes what publishing computes for the pages outside `chapters/`, and the site's scripts."""

import ast
import shlex
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Any

import vl_convert

from ..core import benchmarks, files, logged_runs
from ..core.escape import for_markdown
from ..core.files import write_if_changed
from ..core.record import Record
from ..core.store import Store
from ..errors import PublishError, RecordError
from ..planning import chapters, profiles
from ..planning.cost import duration
from . import exports
from .execution import say
from .frame import PublishedPage

_SITE = Path(__file__).parent

#: The pieces that `guide/training-step.qmd` shows: a file of the package, and a name in it.
EXCERPTS = (
    ("training/trainer.py", "StreamlinedTrainer._training_batches"),
    ("training/trainer.py", "StreamlinedTrainer._train_epoch"),
    ("training/trainer.py", "StreamlinedTrainer.compute_loss"),
    ("training/distillation.py", "distillation_loss"),
    ("training/distillation.py", "DistillationTrainer.compute_loss"),
)

#: What pages load beside the files that are made for them.
_SCRIPTS = ("charts.js", "draw.js", "folds.js", "predict.js", "runs.js", "tables.js", "watch.js")
SHIPPED = (*_SCRIPTS, "try-it.css")

#: What stands above the curves of logged runs.
_LOGGED = """## Logged to Weights & Biases {#logged}

Of each group that `wandb pull FOLDER` took over, the mean over its runs. No page compares them,
since their settings are not known here.

"""


def vega() -> str:
    """The script that draws charts, 0.9 MB."""
    # A module's names are its own, but a page opened from a file may not load modules.
    bundle = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    return f"(() => {{{bundle}\n}})();\n"


def write(
    report: Path, profile: str, pages: Sequence[PublishedPage], store: Store, drawn: exports.Folder
) -> set[Path]:
    """Writes the fragments that the pages outside `chapters/` include, and the scripts.

    Without a page there is nothing to write.  Returns the pictures of the front page, which go to
    the folder `drawn`.
    """
    from ..reporting import draw_a_digit, front_page
    from ..reporting.claims import NO_RUNS
    from ..reporting.figure import Piece
    from ..reporting.runs_page import RunsPage
    from . import try_it

    if not pages:
        return set()
    assets = report / "assets"
    records = {record.key: record for page in pages for record in page.records}
    plain, residual = front_page.layers(list(records.values()))
    of_records = {"chart": str(NO_RUNS), "runs": str(NO_RUNS)}
    pictures, scripts = set[Path](), dict[str, str]()
    if records:
        headline = front_page.chart(list(records.values()))
        addresses, pictures = exports.write_pictures(headline, "headline", drawn, drawn)
        published = {record.key for record in records.values() if store.is_published(record)}
        runs = RunsPage([*records.values()], published, profiles.shown_on(profile))
        runs_addresses, runs_pictures = exports.write_pictures(runs.figure, "runs", drawn, drawn)
        of_records = {
            "chart": front_page.figure(headline, addresses),
            "runs": runs.fragment(runs_addresses, f"{report.name}/assets"),
        }
        pictures, scripts = pictures | runs_pictures, runs.scripts()
    rounded, corrected = (
        measured(records.values(), store, name) for name in ("int8-weights", "bias-correction")
    )
    field = draw_a_digit.field(rounded, corrected, f"{report.name}/assets")
    fragments = {
        "draw": front_page.as_html(field.markup) if isinstance(field, Piece) else field,
        "headline": front_page.headline([claim for page in pages for claim in page.claims]),
        **of_records,
        "plain-layer": plain,
        "residual-layer": residual,
        "cards": front_page.cards(
            [(page.title, f"report/{page.page.name}.ipynb", page.claims) for page in pages]
        ),
        "chapters": "".join(
            f"- [{page.title}](report/{page.page.name}.ipynb): {page.description}\n"
            for page in pages
            if not page.page.variant
        ),
        "excerpts": excerpts(files.PACKAGE),
        "run-it": run_it(pages, benchmarks.published(benchmarks.CONTENDERS)),
    }
    fragments["logged"], of_logged = logged(store, drawn, f"{report.name}/assets")
    for name, text in (fragments | try_it.fragments(pages)).items():
        write_if_changed(report / f"{name}.md", text.encode())
    write_if_changed(assets / "vega.js", vega().encode())
    licence = (_SITE / "licenses" / "vega.txt").read_bytes()
    write_if_changed(assets / "vega.license.txt", licence)
    networks = {record.key: probe for record, probe in rounded}
    datasets = sorted({record.spec.dataset for record, _ in rounded})
    scripts |= draw_a_digit.scripts(networks, datasets) | try_it.script()
    for name, content in scripts.items():
        write_if_changed(assets / name, content.encode())
    for name in SHIPPED:
        write_if_changed(assets / name, (_SITE / name).read_bytes())
    # What a link to the site is shown with elsewhere, where only pixels are understood.
    card = vl_convert.svg_to_png((_SITE / "card.svg").read_text(encoding="utf-8"))
    write_if_changed(assets / "card.png", card)
    return pictures | of_logged


def logged(store: Store, drawn: exports.Folder, assets: str) -> tuple[str, set[Path]]:
    """The curves of one's own logged runs by project, as Markdown, and their pictures.

    Without such runs both are empty.
    """
    from ..reporting import curves
    from ..reporting.figure import render
    from ..reporting.theme import PALETTE

    runs, problems = logged_runs.read_all(store.runs)
    for problem in problems:
        say(f"not readable: {problem}")
    sections, pictures = "", set[Path]()
    for project in dict.fromkeys(run["project"] for run in runs):
        sections += f"### {for_markdown(project)}\n\n"
        groups = [*dict.fromkeys(run["group"] for run in runs if run["project"] == project)]
        for first in range(0, len(groups), len(PALETTE)):
            places = [f"{project}/{group}" for group in groups[first : first + len(PALETTE)]]
            parts = curves.logged(places, runs).parts()
            name = f"logged-{len(pictures)}"
            addresses, written = exports.write_pictures(parts, name, drawn, drawn)
            sections += f"```{{=html}}\n{render(parts, addresses, assets)}\n```\n\n"
            pictures |= written
    return sections and f"{_LOGGED}{sections}", pictures


def measured(
    records: Iterable[Record], store: Store, name: str
) -> list[tuple[Record, Mapping[str, Any]]]:
    """The runs on which a probe was measured, each with it.

    One that cannot be read is left out: the page that shows it has said so, and has failed alone.
    """
    found = []
    for record in records:
        with suppress(RecordError):
            probe = store.find_probe(record.spec, name)
            if probe is not None:
                found.append((record, probe))
    return found


# A training step, line by line


def excerpts(package: Path) -> str:
    """A section for each of `EXCERPTS`, headed by its name, as Markdown; read without importing."""
    return "".join(
        f"## {name}\n\n```python\n{source_of(package / file, name)}\n```\n\n"
        for file, name in EXCERPTS
    )


def source_of(path: Path, name: str) -> str:
    """The source of a function or method, its docstring included, without its indentation.

    Raises `PublishError` where the file has none of that name.
    """
    text = path.read_text(encoding="utf-8")
    node: ast.AST = ast.parse(text)
    for part in name.split("."):
        inner = [
            child
            for child in ast.iter_child_nodes(node)
            if isinstance(child, (ast.FunctionDef, ast.ClassDef)) and child.name == part
        ]
        if len(inner) != 1:
            raise PublishError(f"{path}: has no {name}, which a page shows")
        node = inner[0]
    segment = ast.get_source_segment(text, node, padded=True)
    assert segment is not None  # it was parsed from this text
    return textwrap.dedent(segment)


# Run it yourself


def run_it(pages: Sequence[PublishedPage], published: Mapping[str, Mapping[str, Any]]) -> str:
    """Commands, parameters and costs of each page that has runs of its own, as Markdown."""
    sections = [_run_section(page) for page in pages if page.page.plan()]
    speedup = gpu_speedup(published)
    return "\n".join([f"{speedup}\n"] * bool(speedup) + sections)


def _run_section(published: PublishedPage) -> str:
    page = published.page
    chapter = chapters.chapter(page.chapter)
    values = chapter.values(page.parameters)
    rows = "\n".join(
        f"| `{name}` | {parameter.meaning} | {parameter.allowed} | {_value(values[name])} |"
        for name, parameter in chapter.parameters.items()
    )
    profile = "" if page.profile == "report" else f" --profile {page.profile}"
    return f"""## {published.title}

```bash
python -m lab1 run {page.name}{profile} --dry-run    # what is missing, and how long it takes
python -m lab1 run {page.name}{profile}              # trains it
python -m lab1 report {page.name}{profile} -p seeds=0,1,2    # one page, yours beside the published
papermill chapters/{page.chapter}.ipynb out.ipynb{_papermill_options(page)}
```

{cost(published)}

::: {{.callout-note collapse="true"}}
## Its parameters

The last column is the value that the profile `{page.profile}` gives, else the default. Of each,
several values (`-p learning_rate 0.001,0.003`) are compared.

| `-p` | meaning | allowed | here |
|---|---|---|---|
{rows}
:::
"""


def _papermill_options(page: profiles.Page) -> str:
    """What makes a chapter's notebook ask for the runs of a page, with other seeds."""
    profile = {} if page.profile == profiles.REPORT else {"profile": page.profile}
    first = next(one for one in profiles.pages(page.profile) if one.chapter == page.chapter)
    changed = {n: v for n, v in page.parameters.items() if v != first.parameters.get(n)}
    if "further" in changed:  # which are told by name, and by those of the first page alone
        changed["further"] = None
    values = {**profile, **changed, "seeds": (0, 1, 2)}
    return "".join(
        f" -p {name} {shlex.quote(_value(value).replace(', ', ','))}"
        for name, value in values.items()
    )


def _value(value: Any) -> str:
    if value is None:
        return "none"
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def cost(published: PublishedPage) -> str:
    """What the runs of a page took, in a sentence, from their records."""
    planned = {spec.key for spec in published.page.plan()}
    records = [record for record in published.records if record.key in planned]
    if not records:
        return f"None of its {len(planned)} runs has a record, so what they cost is not known."
    seconds = [record.seconds for record in records]
    devices = sorted({str(r.origin.get("device", {}).get("name", "unknown")) for r in records})
    runs = f"Its {len(planned)} runs"
    if len(records) < len(planned):
        runs = f"Of its {len(planned)} runs, the {len(records)} that have a record"
    return (
        f"{runs} took {duration(sum(seconds))} one after the other on "
        f"{' and '.join(map(for_markdown, devices))}: {duration(median(seconds))} in the median, "
        f"{duration(max(seconds))} at most. On a laptop expect the same order of "
        "magnitude; a run that has a record costs nothing."
    )


def gpu_speedup(published: Mapping[str, Mapping[str, Any]]) -> str:
    """How much quicker a GPU is, where the published benchmarks tell; else nothing."""
    rates: dict[str, dict[str, float]] = {"cpu": {}, "cuda": {}}
    for benchmark in published.values():
        known = rates.setdefault(benchmark["hardware"]["kind"], {})
        for row in benchmarks.summary(benchmark):
            if row["precision"]:
                known[row["case"]] = max(row["images_per_second"], known.get(row["case"], 0.0))
    common = [title for title in rates["cpu"] if title in rates["cuda"]]
    if not common:
        return ""
    speedups = ", ".join(
        f"{rates['cuda'][title] / rates['cpu'][title]:.1f} times as fast for {title}"
        for title in common
    )
    return f"A GPU is quicker: in the [benchmarks](../report/speed.ipynb) it was {speedups}."
