"""The fabricated records and probes have the form of real ones, so that sites can be built of them.

Everything that a training or a probe writes is compared by its names, its types and the lengths of
its lists; the numbers are made up.
"""

import fabricated_runs
import pytest

from lab1.core import probe_schema
from lab1.core.datasets import DATASETS
from lab1.core.store import Store
from lab1.core.training_config import RuntimeOptions
from lab1.planning import chapters, profiles
from lab1.training import probes
from lab1.training.engines import local as engine

OPTIONS = RuntimeOptions(device="cpu", progress=False)


def form(value):
    """What is left of a value without its numbers and words."""
    if isinstance(value, dict):
        return {name: form(entry) for name, entry in value.items()}
    if isinstance(value, list):
        # A long list is of one kind throughout.
        return [form(entry) for entry in value] if len(value) < 20 else [form(value[0])]
    return "number" if isinstance(value, (int, float)) else type(value).__name__


@pytest.fixture(scope="module")
def planned():
    """The runs of the profile `smoke`, each with the probes that its chapters show."""
    found = {}
    for page in profiles.pages("smoke"):
        for spec in page.plan():
            found.setdefault(spec, set()).update(chapters.chapter(page.chapter).probes(spec))
    return found


@pytest.mark.slow
def test_a_record_has_the_form_of_a_trained_one(planned, tmp_path):
    """That of the cheapest run with a teacher, and so of one without, too."""
    students = [spec for spec in planned if spec.teacher and spec.dataset == "smoke-grey"]
    student = next(spec for spec in students if spec.training.omitted_class is not None)
    store = Store(tmp_path / "results", tmp_path / "runs")
    for spec in (student.teacher, student):
        engine.train_all(engine.Grid([spec]), OPTIONS, store)
        trained, fabricated = store.find(spec), fabricated_runs.record(spec)
        assert form(fabricated.to_dict()) == form(trained.to_dict())
        assert (fabricated.parameters, fabricated.flops) == (trained.parameters, trained.flops)


def test_every_probe_that_a_chapter_shows_is_fabricated(planned):
    assert set().union(*planned.values()) <= fabricated_runs.PROBES.keys()


@pytest.mark.slow
@pytest.mark.parametrize("name", fabricated_runs.PROBES)
def test_a_probe_has_the_form_of_a_measured_one(name, planned, monkeypatch):
    monkeypatch.setattr(probes.internals, "_SAMPLE", 40)
    spec = next(spec for spec, names in planned.items() if name in names)
    loaded = engine.data.load_once(spec.dataset, None)
    asked = {"model": spec, **probe_schema.networks(name, spec)}
    networks = {role: fabricated_runs.network(each).eval() for role, each in asked.items()}
    measured = probes.PROBES[name](spec=spec, loaded=loaded, **networks)
    fabricated = fabricated_runs.PROBES[name](fabricated_runs.record(spec))
    if name == "softened":  # an untrained network is right about fewer classes
        assert measured["images"]
        for probe in (measured, fabricated):
            for kind in ("images", "confident"):
                probe[kind] = probe[kind][:1]
    assert form(fabricated) == form(measured)


def test_a_confusion_has_the_errors_of_its_record(planned):
    spec = next(spec for spec, names in planned.items() if "confusion" in names)
    record = fabricated_runs.record(spec)
    counts = fabricated_runs.confusion(record)["counts"]
    total = DATASETS[spec.dataset].test_size
    assert sum(map(sum, counts)) == total
    assert total - sum(row[i] for i, row in enumerate(counts)) == record.test["errors"]
