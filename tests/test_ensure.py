"""From runs to their records and probes, and how long that takes."""

import importlib.util
from collections import defaultdict
from dataclasses import replace

import pytest
from small_profiles import GRID

from lab1.core import weights_file
from lab1.core.training_config import RuntimeOptions
from lab1.errors import MissingRunsError, RecordError
from lab1.planning import chapters, cost, profiles
from lab1.planning import ensure as ensuring
from lab1.planning.chapters import CHAPTERS, Chapter, plan, teachers_first
from lab1.planning.cost import costs, duration, estimate
from lab1.planning.ensure import ensure, with_teachers

# Getting the runs


def test_only_what_is_missing_is_trained(trained, store, make_record, make_spec):
    specs = [make_spec(seed=seed) for seed in range(4)]
    for seed in (0, 2):
        store.write(make_record(seed=seed, accuracy=0.5))
    options = RuntimeOptions(device="cpu")
    records = ensure(specs, options, store)
    assert trained == [([specs[1], specs[3]], options)]
    assert [each.spec for each in records] == specs
    assert [each.test["accuracy"] for each in records] == [0.5, 0.9, 0.5, 0.9]
    store.promote(records[0])
    assert ensure(specs[::-1], store=store) == records[::-1] and len(trained) == 1


def test_without_a_store_ones_own_folders_are_used(trained, laboratory, tmp_path, make_spec):
    (record,) = ensure([make_spec()])
    assert (tmp_path / "runs" / record.name / "record.json").exists()


def test_a_damaged_record_stops_everything(trained, store, make_record):
    path = store.write(make_record())
    path.write_text(path.read_text()[:99])
    with pytest.raises(RecordError, match=r"record\.json"):
        ensure([make_record().spec, make_record(seed=1).spec], store=store)
    assert trained == []


def test_without_torch_missing_runs_are_refused_with_the_remedy(
    store, make_record, make_spec, make_student, monkeypatch
):
    store.write(make_record(seed=0))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    specs = [make_spec(seed=seed) for seed in range(3)]
    with pytest.raises(MissingRunsError) as caught:
        ensure(specs, store=store)
    message = str(caught.value)
    assert "2 of 3 runs have no record" in message
    assert specs[1].title in message
    assert "pip install -e '.[train]'" in message
    # What is there is served all the same, and a teacher counts as missing, too.
    assert ensure(specs[:1], store=store) == [make_record(seed=0)]
    with pytest.raises(MissingRunsError, match=r"2 of 2 runs have no record.*seed 1\)"):
        ensure([make_student(specs[1])], store=store)


def test_progress_says_how_many_runs_and_what_came_of_each(trained, store, make_spec, capsys):
    ensure([make_spec(seed=seed) for seed in range(2)], store=store)
    printed, said = capsys.readouterr()
    assert printed == ""  # a chapter's output is no place for progress
    first, *lines = said.splitlines()
    assert first == "training 2 missing runs"
    assert [line[:5] for line in lines] == ["[1/2]", "[2/2]"]
    assert make_spec().title in lines[0]
    assert "90.00%" in lines[0]
    assert lines[0].endswith(" left")
    assert "left" not in lines[1]  # nothing is left after the last


def test_progress_tells_a_diverged_run_and_the_whole_time(make_record, make_spec, capsys):
    record = make_record(stopped="diverged")
    cost.GridProgress([record.spec], [None]).finished(record)
    assert "no test score, diverged after 3 epochs" in capsys.readouterr().err
    specs = [make_spec(seed=1), make_spec(depth=5)]
    cost.GridProgress(specs, estimate(specs, [make_record(seconds=20.0)]))
    assert capsys.readouterr().err == "training 2 missing runs, about 59 s on one core\n"


def test_progress_tells_the_time_left_at_the_pace_so_far(make_record, monkeypatch, capsys):
    seconds = iter([100.0, 105.0])
    monkeypatch.setattr(cost.time, "monotonic", lambda: next(seconds))
    records = [make_record(seed=seed) for seed in range(2)]
    told = cost.GridProgress([record.spec for record in records], [10.0, 60.0])
    told.finished(records[0])  # in 5 s instead of 10: the other takes 30 s instead of 60
    assert capsys.readouterr().err.endswith("; 30 s left\n")


# Estimates


def test_a_run_is_estimated_by_its_like(make_record, make_spec):
    records = [
        make_record(seed=0, seconds=3.0),
        make_record(seed=1, seconds=5.0),
        make_record(seed=2, seconds=100.0),  # the median does not mind
        make_record(depth=32, seconds=77.0),
        make_record("ResidualMLP", seconds=1.0),
        make_record(dataset="smoke-colour", seconds=1.0),
        make_record(precision="bf16", seconds=1.0),
    ]
    assert estimate([make_spec()], records) == [pytest.approx(5.0)]
    assert estimate([make_spec(epochs=6)], records) == [pytest.approx(10.0)]  # twice the epochs
    # The nearest network counts: 32 layers for 31, 2 for 3.
    shallow, deep = estimate([make_spec(depth=3), make_spec(depth=31)], records)
    assert 5.0 < shallow < 5.0 * 2 and 70.0 < deep < 77.0


def test_a_network_of_another_size_is_estimated_by_its_products(make_record, make_spec):
    record = make_record(depth=2, width=1024, seconds=10.0)
    (wider,) = estimate([make_spec(depth=2, width=2048)], [record])
    products = [
        784 * width + width**2 + 10 * width + 3 * cost._STEP / 128 for width in (1024, 2048)
    ]
    assert wider == pytest.approx(10.0 * products[1] / products[0])


def test_other_families_and_data_serve_where_there_is_nothing_closer(make_record, make_spec):
    (other,) = estimate([make_spec("ResidualMLP")], [make_record(seconds=4.0)])
    assert other == pytest.approx(4.0)
    (coloured,) = estimate([make_spec(dataset="smoke-colour")], [make_record(seconds=4.0)])
    assert coloured > 4.0
    without_a_like = [make_spec(), make_spec("SimpleCNN")]
    assert estimate(without_a_like, [make_record(seconds=4.0)]) == [pytest.approx(4.0), None]
    assert estimate([], [make_record()]) == []
    # Runs on a GPU count only where there are no others.
    fast = make_record(seed=1, seconds=0.1)
    on_gpu = replace(fast, origin={**fast.origin, "device": {"kind": "cuda", "name": "a GPU"}})
    assert estimate([make_spec()], [on_gpu]) == [pytest.approx(0.1)]
    assert estimate([make_spec()], [on_gpu, make_record(seconds=4.0)]) == [pytest.approx(4.0)]
    # One that stopped early counts by its epochs: 3 of the 30 it might have had.
    history = make_record().history
    early = make_record(epochs=30, seconds=3.0, history=history, stopped="early stopping")
    assert estimate([make_spec(epochs=30)], [early]) == [pytest.approx(30.0)]


def test_costs_are_told_on_one_core_by_several_and_on_a_gpu(make_record, make_spec):
    """Three runs of 100, 100 and 300 s: no two workers share the longest."""
    specs = [make_spec(seed=0), make_spec(seed=1), make_spec(seed=2, epochs=9)]
    records = [make_record(seconds=100.0)]
    seconds = estimate(specs, records)
    assert costs(specs, seconds, 1, records) == "about 8 min on one core"
    assert costs(specs, seconds, 2, records).endswith(", 5 min with 2 runs at a time")
    gpu = {**make_record().origin, "device": {"kind": "cuda", "name": "some GPU"}}
    records.append(make_record(seconds=10.0, origin=gpu))
    assert costs(specs, seconds, 1, records).endswith("on one core, 50 s on a GPU (some GPU)")
    other = make_spec("ResidualMLP")  # of which the GPU's records tell nothing
    assert "GPU" not in costs([other], estimate([other], records), 1, records)
    assert costs([make_spec()], [None], 2, []) == ""


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (43.4, "43 s"), (89, "89 s"), (720, "12 min"), (5399, "90 min"), (12600, "3.5 h")],
)
def test_a_duration_reads_well(seconds, words):
    assert duration(seconds) == words


# Probes


def test_a_probe_that_was_measured_is_read_without_torch(store, make_record, monkeypatch):
    record = make_record()
    store.write_probe(record.spec, "answers", {"counts": [1]})
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert ensuring.ensure_probe(record, "answers", store=store) == {"counts": [1]}
    with pytest.raises(MissingRunsError, match=r"probe 'hardest' of MLP, 2 layers.*'train'"):
        ensuring.ensure_probe(record, "hardest", store=store)


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="needs the extra 'train'")
def test_a_missing_probe_is_measured_once(store, make_record, monkeypatch):
    from lab1.training import probes

    measured = []

    def measure(spec, probe, options, store):
        measured.append(probe)
        store.write_probe(spec, probe, {"n": len(measured)})

    monkeypatch.setattr(probes, "measure", measure)
    record = make_record()
    for _ in range(2):
        assert ensuring.ensure_probe(record, "answers", store=store) == {"n": 1}
    assert measured == ["answers"]


def test_the_probes_of_a_run_are_measured_right_after_it(
    trained, store, monkeypatch, capsys, make_record
):
    """So that a grid that is interrupted loses none; a probe that fails does not end it."""
    happened = []

    def measure(record, probe, options, store):
        happened.append((probe, record.spec.seed, len(store.all()[0])))
        if record.spec.seed == 0:
            raise MissingRunsError("no weights")

    monkeypatch.setattr(ensuring, "ensure_probe", measure)
    specs = plan("1_1", **GRID | {"depth": 2, "seeds": [0, 1]})
    records = ensure(specs, RuntimeOptions(), store, lambda spec: ("confusion",))
    assert [record.spec for record in records] == specs
    assert happened == [("confusion", 0, 1), ("confusion", 1, 2)]
    assert "failed: the probe 'confusion': no weights" in capsys.readouterr().err


def test_each_probe_is_measured_on_the_runs_that_it_is_about():
    measured, planned, students = defaultdict(list), [], []
    for page in profiles.pages("report"):
        planned += page.plan()
        students += page.plan() if page.name == "2_2" else []
        for spec in page.plan():
            for probe in CHAPTERS[page.chapter].probes(spec):
                measured[probe].append(spec)
    assert measured["gradient-agreement"] == [s for s in planned if s.seed in range(0, 100, 5)]
    families = {spec.model.family for spec in measured["lesion"]}
    assert families == {"ResidualCNN", "PlainCNN", "ResNet", "PlainNet"}
    taught = [s for s in students if s.teacher and s.training.omitted_class is None]
    assert measured["teacher-agreement"] == taught
    assert {*taught} <= {*measured["temperature-scaling"]}
    rounded = measured["int8-weights"]  # those that never saw a class, whose weights a page holds
    assert [(s.seed, s.training.omitted_class) for s in rounded] == [(0, 3), (0, 3)]
    assert [s.distillation is None for s in rounded] == [True, False]


@pytest.fixture
def published_twins(make_record, make_student, store):
    """Records of a teacher, a student and its twin without the teacher, published."""
    teacher = make_record(seed=1)
    settings = make_student(teacher.spec).distillation
    records = teacher, make_record(distillation=settings), make_record()
    for record in records:
        store.write(record)
        store.promote(record)
    return records


@pytest.mark.parametrize(
    ("probe", "asked"),
    [
        ("confusion", ["student"]),
        ("gradient-agreement", ["teacher"]),
        ("teacher-agreement", ["teacher", "student", "twin"]),
    ],
)
def test_a_probe_is_out_of_reach_until_all_networks_that_it_asks_have_weights(
    published_twins, store, probe, asked
):
    _, student, _ = published_twins
    for name, record in zip(("teacher", "student", "twin"), published_twins, strict=True):
        if name in asked:
            assert ensuring.is_out_of_reach(student, probe, store)
            weights_file.published(record.spec, store).write_bytes(b"its weights")
    assert not ensuring.is_out_of_reach(student, probe, store)


def test_a_probe_of_ones_own_run_or_with_a_record_is_within_reach(
    published_twins, store, make_record
):
    """What one's own run lacks is told, and not passed over."""
    _, student, _ = published_twins
    store.write_probe(student.spec, "teacher-agreement", {"alone": 0.7, "taught": 0.8})
    assert not ensuring.is_out_of_reach(student, "teacher-agreement", store)
    store.write(make_record(seed=9))
    assert not ensuring.is_out_of_reach(make_record(seed=9), "confusion", store)


# Teachers come before their students


@pytest.fixture
def family(make_spec, make_student):
    """Teacher, student, and the student's student."""
    teacher = make_spec(seed=1)
    student = make_student(teacher)
    return teacher, student, make_student(student, family="ResidualMLP")


def weights_for(store, spec):
    path = store.run_dir(spec) / "weights.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"weights")


def test_teachers_come_first_and_nothing_else_moves(family, make_spec, monkeypatch):
    teacher, student, grandchild = family
    one, other = make_spec(seed=8), make_spec(seed=9)
    assert teachers_first([one, grandchild, other, student, teacher]) == [
        one, teacher, student, grandchild, other,
    ]  # fmt: skip
    assert teachers_first([other, one]) == [other, one]
    # Who is not listed is not added.
    assert teachers_first([grandchild, teacher, one]) == [teacher, grandchild, one]
    monkeypatch.setattr(chapters, "CHAPTERS", {"made-up": Chapter(lambda: [*reversed(family)])})
    assert plan("made-up") == [*family]


def test_a_teacher_whose_training_has_not_ended_is_added(family, store, make_spec):
    teacher, student, grandchild = family
    one = make_spec(seed=8)
    assert with_teachers([one, grandchild], store) == [one, teacher, student, grandchild]
    assert with_teachers([grandchild, teacher], store) == [teacher, student, grandchild]
    teacher, student, _ = family
    weights_for(store, teacher)  # of its best epoch so far
    assert with_teachers([student], store) == [teacher, student]


def test_a_trained_teacher_is_not_added(family, store, make_record):
    teacher, student, _ = family
    store.write(make_record(seed=1))
    weights_for(store, teacher)
    assert with_teachers([student], store) == [student]
    # Nor is its own teacher asked for.
    taught = make_record(distillation=student.distillation)
    store.write(taught)
    weights_for(store, taught.spec)
    assert with_teachers([family[2]], store) == [family[2]]


def test_a_trained_teacher_without_weights_is_told(family, store, make_record):
    _, student, grandchild = family
    store.write(make_record(seed=1))
    for wanted in (student, grandchild):
        with pytest.raises(MissingRunsError) as caught:
            with_teachers([wanted], store)
        assert "weights.safetensors: the weights of MLP, 2 layers" in str(caught.value)
        assert f"{student.title} learns from them; copy them" in str(caught.value)
        assert f"python -m lab1 run --again {student.teacher.key}" in str(caught.value)


def test_ensure_trains_teachers_and_returns_what_was_asked_for(family, trained, store, capsys):
    (record,) = ensure([family[2]], store=store)
    assert record.spec == family[2]
    assert "training 3 missing runs" in capsys.readouterr().err
    records = ensure([*reversed(family)], store=store)
    assert [record.spec for record in records] == [*reversed(family)] and records[0] == record
    assert [specs for specs, _ in trained] == [[*family]]


def test_the_weights_of_a_teacher_are_kept_whatever_the_options_say(
    family, trained, store, make_spec
):
    options = RuntimeOptions(save_weights=False)
    ensure([make_spec(seed=7)], options, store)
    ensure([family[1]], options, store)
    assert [asked.save_weights for _, asked in trained] == [False, True]


def test_distilled_runs_are_estimated_by_their_like(family, make_record):
    _, student, _ = family
    usual = make_record(seconds=3.0)
    taught = make_record(distillation=student.distillation, seconds=9.0)
    assert estimate([usual.spec, student], [usual, taught]) == [
        pytest.approx(3.0), pytest.approx(9.0),
    ]  # fmt: skip
    # Without one, a run of the same network that had no teacher is the nearest.
    assert estimate([student], [usual]) == [pytest.approx(3.0)]
