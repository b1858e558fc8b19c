"""What is published keeps to the rules of evidence: where bf16 may be used, and who chooses."""

from dataclasses import replace
from pathlib import Path

import pytest

from lab1.core.store import Store
from lab1.planning import profiles
from lab1.reporting.distillation.pairs import Setting, sweep
from lab1.reporting.kit import frames

ROOT = Path(__file__).resolve().parents[1]

#: The least cosine between the gradients of the first step in bf16 and in float32.
LEAST_AGREEMENT = 0.9

#: The page whose section on precision compares the two, and so has both.
COMPARES_PRECISIONS = "depth"


@pytest.fixture(scope="module")
def published():
    return Store(ROOT / "results", ROOT / "no-runs-of-ones-own")


def in_bf16():
    """The runs in bf16 that the report shows, by page, those that tell the same start once."""
    found = {}
    for page in profiles.pages("report"):
        for spec in page.plan():
            if spec.training.precision == "bf16" and page.name != COMPARES_PRECISIONS:
                # A teacher, a label's smoothing or a rate do not change the first gradient's
                # rounding; the probe is measured on the first seed.
                found[page.name, spec.model] = replace(spec, distillation=None, seed=0)
    return found


def test_bf16_is_used_only_where_the_first_gradient_survives_it(published):
    """Of each network on each page; a new page in bf16 needs the probe of its networks first."""
    checked = in_bf16()
    records = [record for record in published.all()[0] if record.spec.seed == 0]
    assert checked
    for (page, model), spec in checked.items():
        agreements = [
            probe["bf16"]
            for record in records
            if (record.spec.model, record.spec.dataset) == (model, spec.dataset)
            and (probe := published.find_probe(record.spec, "gradient-agreement")) is not None
        ]
        assert agreements, f"{page}: nobody measured how exact the gradient of {model} is"
        assert min(agreements) >= LEAST_AGREEMENT, f"{page}: {model}: {agreements}"


def test_the_chosen_temperature_and_weight_are_those_that_validation_chooses(published):
    """They are told on seeds of their own (`fresh_seeds`), so the profile states the choice."""
    page = profiles.page("2_2", "report", {})
    records = [record for spec in page.plan() if (record := published.find(spec)) is not None]
    setting = Setting.of(page.parameters)
    for name in ("temperature", "alpha"):
        swept = sweep(frames.runs(records), setting, name)
        chosen = swept.groupby(name)["validation_gain"].mean().idxmax()
        assert page.parameters[f"fresh_{name}"] == chosen
        assert not set(swept["seed"]) & set(page.parameters["fresh_seeds"])
