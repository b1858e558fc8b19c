"""What is published keeps to the rules of evidence: bf16, who chooses, and what n counts."""

import re
from collections import defaultdict
from dataclasses import replace

import pytest
from built_site import ROOT
from shipped_chapters import code

from lab1.core.store import Store
from lab1.planning import profiles
from lab1.planning.chapters import CHAPTERS
from lab1.planning.ensure import is_out_of_reach
from lab1.reporting import frames, provenance
from lab1.reporting.twins import Setting, sweep

#: The least cosine between the gradients of the first step in bf16 and in float32.
LEAST_AGREEMENT = 0.9

#: The page whose section on precision compares the two, and so has both.
COMPARES_PRECISIONS = "depth"


@pytest.fixture(scope="module")
def published():
    return Store(ROOT / "results", ROOT / "no-runs-of-ones-own")


def of_any_seed(spec):
    """The arm that a run belongs to: all but its seed, its teacher's and the loss included."""
    return replace(spec, seed=0)


def test_bf16_is_used_only_where_the_first_gradient_survives_it(published):
    """In every arm, for the loss that is trained; a new one needs the probe of a run first."""
    agreements = defaultdict(list)
    for record in published.all()[0]:
        if probe := published.find_probe(record.spec, "gradient-agreement"):
            agreements[of_any_seed(record.spec)].append(probe["bf16"])
    arms = {
        of_any_seed(spec): f"{page.name}: {spec.title}"
        for page in profiles.pages("report")
        for spec in page.plan()
        if spec.training.precision == "bf16" and page.name != COMPARES_PRECISIONS
    }
    assert {bool(arm.distillation) for arm in arms} == {True, False}
    for arm, title in arms.items():
        assert agreements[arm], f"{title}: nobody measured how exact its gradient is"
        assert min(agreements[arm]) >= LEAST_AGREEMENT, f"{title}: {agreements[arm]}"


def test_what_can_be_measured_on_the_published_runs_is_published(published):
    """So that the site, which is built without torch, finds what a page asks for."""
    for page in profiles.pages("report"):
        for spec in page.plan():
            record = published.find(spec)
            for probe in () if record.diverged else CHAPTERS[page.chapter].probes(spec):
                found = published.find_probe(spec, probe)
                assert found or is_out_of_reach(record, probe, published), (spec.title, probe)


def test_the_chosen_temperature_and_weight_are_those_that_validation_chooses(published):
    """They are told on fresh seeds, so the profile states the choice."""
    page = profiles.page("2_2", "report", {})
    records = [record for spec in page.plan() if (record := published.find(spec)) is not None]
    runs = frames.runs(records)
    fresh = [spec for spec in runs["spec"] if spec.distillation and spec.role == "fresh"]
    for name in ("temperature", "alpha"):
        swept = sweep(runs, Setting.of(page.parameters), name)
        chosen = swept.groupby(name)["validation_gain"].mean().idxmax()
        assert {getattr(spec.distillation, name) for spec in fresh} == {chosen}
        assert not set(swept["seed"]) & {spec.seed for spec in fresh}


# What n counts, in the tables of all published pages

#: The columns of results, and of where runs took place: they do not say what a row is.
RESULTS = {
    "Test accuracy (%)", "Training error (%)", "Test error (%)", "He et al.: test (%)", "n",
    "Train time (s)", "Improvement (points)", "Minus plain", "Residual minus it", "Training loss",
    "Test loss", "Change of it", "Of the test loss", "Test errors",
    "Hinton et al. (2015)", "Cosine in bf16", "Cosine with jitter", "Seeds (runs)", "Device",
    "Versions", "Commit", "", "Difference", "p", "Corrected p", "Shows",
}  # fmt: skip


@pytest.fixture(scope="module")
def seeds():
    """The seeds of the published runs, by the group of their configuration."""
    by_group = defaultdict(list)
    for record in profiles.trained("report"):
        by_group[frames.group_of(record)].append(record.spec.seed)
    return by_group


def tables_of(page):
    """The tables of runs of a page of the report, by the call in its chapter that makes them."""
    _, setup, *others = (cell.source for cell in code(page.chapter))
    given = {name: "none" if value is None else value for name, value in page.parameters.items()}
    namespace = {"profile": "report", **given}
    exec(setup, namespace)
    for source in others:
        if "chapter.findings(" in source:
            exec(source, namespace)
    calls = [source for source in others if "#| label: tbl-" in source]
    made = {call.splitlines()[-1]: eval(call, namespace) for call in calls}
    return {call: table for call, table in made.items() if "<tr" in getattr(table, "markup", "")}


def cells_of(row):
    return re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row)


@pytest.mark.parametrize("page", profiles.pages("report"), ids=lambda page: page.name)
def test_n_is_that_of_the_seeds_and_each_row_has_a_label_of_its_own(page, seeds):
    for call, table in tables_of(page).items():
        header, *rows = map(cells_of, re.findall(r"<tr[^>]*>.*?</tr>", table.markup))
        grouped, above = [], None
        for row in rows:
            if len(row) == 1:  # the heading of the rows below it
                above = row[0]
            else:
                grouped.append((above, row))
        labels = [
            (above, *(c for h, c in zip(header, row, strict=True) if h not in RESULTS))
            for above, row in grouped
        ]
        assert len(set(labels)) == len(labels), f"{page.name}, {call}: rows that look alike"
        # A page that reads the others has their runs.
        of_page = page.plan() or [s for other in profiles.pages("report") for s in other.plan()]
        without_runs = {spec.seed for spec in of_page}
        for cell in [row[header.index("n")] for _, row in grouped] if "n" in header else ():
            led = re.search(r'title="seeds ([^"]*)"', cell)
            of_row = led[1].split(", ") if led else without_runs
            n = int(re.sub("<[^>]*>", "", cell) or 0)  # timings of a benchmark have no seeds
            assert n <= len(set(of_row)) == len(of_row), f"{page.name}, {call}"


def test_each_configuration_has_a_title_of_its_own(seeds):
    groups = provenance.by_configuration(profiles.trained("report"))
    titles = provenance.titles(groups)
    assert len(set(titles.values())) == len(titles) == len(seeds)
