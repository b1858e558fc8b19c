"""What the guide's page "Run it yourself" says of each chapter: commands, parameters, costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from ..core.benchmarks import summary
from ..core.escape import for_markdown
from ..core.record import Record
from ..planning import chapters
from ..planning.profiles import Page
from ..planning.progress import duration


@dataclass(frozen=True)
class Shown:
    """A page of the site: its title, the records that it shows, its description and place.

    `part` is the part of the menu that it stands in, `order` its place among all pages.
    """

    page: Page
    title: str
    records: Sequence[Record]
    description: str = ""
    order: float = 0
    part: str = ""


def fragment(shown: Sequence[Shown], benchmarks: Mapping[str, Mapping[str, Any]]) -> str:
    """A section for each page that has runs of its own, as Markdown."""
    sections = [_section(each) for each in shown if each.page.plan()]
    quicker = gpu(benchmarks)
    return "\n".join([f"{quicker}\n"] * bool(quicker) + sections)


def _section(shown: Shown) -> str:
    page = shown.page
    chapter = chapters.chapter(page.chapter)
    values = chapter.values(page.parameters)
    rows = "\n".join(
        f"| `{name}` | {each.meaning} | {each.allowed} | {_value(values[name])} |"
        for name, each in chapter.parameters.items()
    )
    profile = "" if page.profile == "report" else f" --profile {page.profile}"
    name = "" if page.profile == "report" else f" -p profile {page.profile}"
    return f"""## {shown.title}

```bash
python -m lab1 run {page.chapter}{profile} --dry-run    # what is missing, and how long it takes
python -m lab1 run {page.chapter}{profile}              # trains it
papermill chapters/{page.chapter}.ipynb out.ipynb{name} -p seeds 0,1,2
```

{cost(shown)}

::: {{.callout-note collapse="true"}}
## Its parameters

The last column is the value that the profile `{page.profile}` gives, else the default. Of each,
several values (`-p learning_rate 0.001,0.003`) are compared.

| `-p` | meaning | allowed | here |
|---|---|---|---|
{rows}
:::
"""


def _value(value: Any) -> str:
    if value is None:
        return "none"
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def cost(shown: Shown) -> str:
    """What the runs of a page took, in a sentence, from their records."""
    planned = {spec.key for spec in shown.page.plan()}
    records = [record for record in shown.records if record.key in planned]
    if not records:
        return f"None of its {len(planned)} runs has a record, so what they cost is not known."
    seconds = [record.seconds for record in records]
    devices = sorted({str(r.origin.get("device", {}).get("name", "unknown")) for r in records})
    whole = len(records) == len(planned)
    whose = (
        f"Its {len(planned)} runs"
        if whole
        else (f"Of its {len(planned)} runs, the {len(records)} that have a record")
    )
    return (
        f"{whose} took {duration(sum(seconds))} one after the other on "
        f"{' and '.join(map(for_markdown, devices))}: {duration(median(seconds))} in the median, "
        f"{duration(max(seconds))} at most. On a laptop expect the same order of "
        "magnitude; a run that has a record costs nothing."
    )


def gpu(benchmarks: Mapping[str, Mapping[str, Any]]) -> str:
    """How much quicker a GPU is, where the published benchmarks tell; else nothing."""
    rates: dict[str, dict[str, float]] = {"cpu": {}, "cuda": {}}
    for benchmark in benchmarks.values():
        known = rates.setdefault(benchmark["hardware"]["kind"], {})
        for row in summary(benchmark):
            if row["precision"]:
                known[row["case"]] = max(row["images_per_second"], known.get(row["case"], 0.0))
    common = [title for title in rates["cpu"] if title in rates["cuda"]]
    if not common:
        return ""
    said = ", ".join(
        f"{rates['cuda'][title] / rates['cpu'][title]:.1f} times as fast for {title}"
        for title in common
    )
    return f"A GPU is quicker: in the [benchmarks](../report/speed.ipynb) it was {said}."
