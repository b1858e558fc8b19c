"""Questions that several tests ask of a store."""

from built_site import ROOT

from lab1.core.store import Store
from lab1.planning import profiles


def without_record(specs, store):
    """Those of the runs that no record holds, in their order."""
    return [spec for spec in specs if store.find(spec) is None]


def published_students():
    """The published students that never saw a digit, by the probes that were measured on them.

    First those with the probe `int8-weights`, then those with `bias-correction`.
    """
    store = Store(ROOT / "results", ROOT / "runs")
    page = next(each for each in profiles.pages("report") if each.name == "2_2")
    plan = [spec for spec in page.plan() if spec.training.omitted_class is not None]
    students = [record for spec in plan if (record := store.find(spec)) is not None]

    def measured(name):
        found = ((student, store.find_probe(student.spec, name)) for student in students)
        return [(student, probe) for student, probe in found if probe is not None]

    return measured("int8-weights"), measured("bias-correction")
