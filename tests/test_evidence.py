"""What is published keeps to the rules of evidence: bf16, who chooses, and what n counts."""

from collections import defaultdict
from dataclasses import replace

import pytest
from built_site import ROOT

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


@pytest.mark.slow
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


def test_each_configuration_has_a_title_of_its_own():
    groups = provenance.by_configuration(profiles.trained("report"))
    titles = provenance.titles(groups)
    assert len(set(titles.values())) == len(titles) == len(groups)
