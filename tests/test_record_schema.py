"""What no training can have left is refused where a record or a probe is read, by name.

The checksum fits: whoever wrote it was another version, another program, or meant harm.
"""

import copy
import json
import re
from collections import Counter

import fabricated_runs
import pytest
from declared_fields import BOUNDED
from hypothesis import given, settings
from hypothesis import strategies as st

from lab1.core.record import read_record
from lab1.core.record_rules import seal
from lab1.errors import Lab1Error, RecordError
from lab1.reporting import frames, results_page
from lab1.reporting.runs_page import RunsPage

#: What a file of JSON may hold in any place.
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 99) | st.floats(-2, 99) | st.text(max_size=3)
    | st.sampled_from([10**400, 1e308, "\ud800", "0" * 40, "2026-01-01T12:00:00+00:00"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=3,
)  # fmt: skip


def write(path, body):
    """The body with the checksum that fits it."""
    body = {name: value for name, value in body.items() if name != "checksum"}
    path.write_text(json.dumps(seal(body)))


@pytest.fixture
def refused(tmp_path, make_record):
    """Says why a record is refused once it was changed; the unchanged one is not."""

    def read(change, **overrides):
        path = tmp_path / "record.json"
        body = make_record(**overrides).to_dict()
        write(path, body)
        assert read_record(path).to_dict() == body
        changed = copy.deepcopy(body)
        change(changed)
        write(path, changed)
        with pytest.raises(RecordError) as caught:
            read_record(path)
        assert str(caught.value).startswith(f"{path}: ")
        return str(caught.value)

    return read


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda r: r.update(test="x"), "test = 'x'"),
        (lambda r: r.update(test={}), "test lacks loss, accuracy, errors, count"),
        (lambda r: r["test"].update(accuracy=2.0, errors=-1000), "test.accuracy = 2.0"),
        (lambda r: r["test"].update(errors=-1), "test.errors = -1"),
        (lambda r: r["test"].update(count=100, errors=10), "test.count = 100"),
        (lambda r: r["test"].update(accuracy=0.99), "does not follow from 100 errors"),
        (lambda r: r["test"].update(loss=-0.1), "test.loss = -0.1"),
        (lambda r: r["test"].update(calibration_error=1.1), "test.calibration_error = 1.1"),
        (lambda r: r["test"].update(teacher_agreement=0.5), "test has 'teacher_agreement'"),
        (lambda r: r["test"].update(praise=1), "test has 'praise'"),
        (lambda r: r["history"].pop("seconds"), "history lacks seconds"),
        (lambda r: r["history"].update(mood=[1, 2, 3]), "history has 'mood'"),
        (lambda r: r["history"].update(train_loss=[]), "history.train_loss has 0 entries"),
        (lambda r: r["history"]["train_loss"].pop(), "its history has 2 epochs and its spec 3"),
        (lambda r: r["history"]["seconds"].pop(), "history.seconds has 2 entries; allowed: 3"),
        (lambda r: [each.append(1) for each in r["history"].values()], "4 epochs and its spec 3"),
        (lambda r: r["history"]["train_accuracy"].__setitem__(1, 5.0), r"accuracy[1] = 5.0"),
        (lambda r: r["history"]["train_loss"].__setitem__(0, None), "train_loss[0] = None"),
        (lambda r: r["history"]["validation_loss"].__setitem__(0, None), "_loss[0] = None"),
        (lambda r: r["history"]["seconds"].__setitem__(2, -5), "seconds[2] = -5"),
        (lambda r: r["history"]["peak_memory_bytes"].__setitem__(0, 0.5), "bytes[0] = 0.5"),
        (lambda r: r["history"]["learning_rate"].__setitem__(0, True), "rate[0] = True"),
        (lambda r: r.update(best_epoch=0), "best_epoch = 0"),
        (lambda r: r.update(best_epoch=99), "best_epoch = 99"),
        (lambda r: r.update(best_epoch=None), "best_epoch = None"),
        (lambda r: r.update(seconds=-5), "seconds = -5"),
        (lambda r: r.update(seconds=10**400), "seconds = 1"),
        (lambda r: r.update(parameters=0), "parameters = 0"),
        (lambda r: r.update(flops=1.5), "flops = 1.5"),
        (lambda r: r.update(stopped="bored"), "stopped = 'bored' is not allowed; allowed: all"),
        (lambda r: r.update(stopped="early stopping"), "its spec has no patience"),
        (lambda r: r.update(stopped="diverged"), "test has 'loss'"),
        (lambda r: r.update(weights_sha256="abc"), "weights_sha256 = 'abc'"),
        (lambda r: r.update(origin={}), "origin lacks commit"),
        (lambda r: r["origin"]["device"].update(name=["x"]), "origin.device.name = ['x']"),
        (lambda r: r["origin"]["device"].update(threads=0), "origin.device.threads = 0"),
        (lambda r: r["origin"].update(versions=["torch"]), "origin.versions = ['torch']"),
        (lambda r: r["origin"].update(commit="x" * 501), "origin.commit = 'xxx"),
        (lambda r: r["origin"].update(data_source="a\0b"), "origin.data_source"),
        (lambda r: r["origin"].update(started="yesterday"), "origin.started = 'yesterday'"),
        (lambda r: r["origin"].update(ended="2020-01-01T00:00:00+00:00"), "origin.ended"),
        (lambda r: r["origin"].update(teacher_sha256="x"), "origin.teacher_sha256 = 'x'"),
        (lambda r: r["origin"].update(note=[1]), "origin.note = [1]"),
        (lambda r: r.update(schema=[1]), "schema [1]; this version reads 1"),
        (lambda r: r["spec"].update(distillation=[1]), "not a run"),
        (lambda r: r["spec"]["training"].update(epochs=10**400), "epochs"),
    ],
)  # fmt: skip
def test_a_record_that_no_training_can_have_left_is_refused_by_name(refused, change, complaint):
    assert complaint in refused(change)


@pytest.mark.parametrize(
    ("overrides", "change", "complaint"),
    [
        ({"validation_size": 0}, lambda r: r["history"].update(validation_loss=[1.0] * 3),
         "validation_loss[0] = 1.0 is not allowed; allowed: null"),
        ({"stopped": "diverged"}, lambda r: r["history"]["train_loss"].__setitem__(2, "nan"),
         "train_loss[2] = 'nan'"),
        ({"stopped": "diverged"}, lambda r: r["test"].update(loss=1.0), "test has 'loss'"),
        ({"stopped": "diverged"}, lambda r: r.update(stopped="all epochs"), "= None"),
    ],
)  # fmt: skip
def test_what_follows_from_how_it_was_trained_is_checked(refused, overrides, change, complaint):
    assert complaint in refused(change, **overrides)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda s: s.clear(), "origin.segments has 0 entries"),
        (lambda s: s[0].pop("sources"), "origin.segments[0] lacks sources"),
        (lambda s: s[1].update(mood=1), "origin.segments[1] has 'mood'"),
        (lambda s: s[1].update(sources="abc"), "segments[1].sources = 'abc'"),
        (lambda s: s[1]["device"].update(family=["x"]), "segments[1].device.family = ['x']"),
        (lambda s: s[0].update({"from": "2026-01-01T12:00:00"}), "segments[0].from = '2026"),
        (lambda s: s[0].update(to="2020-01-01T00:00:00+00:00"), "segments[0].to = '2020"),
        (lambda s: s[0].update(epochs=[1, 1, 1]), "segments[0].epochs has 3 entries"),
        (lambda s: s[0].update(epochs=[2, 1]), "segments[0].epochs = [2, 1]"),
        (lambda s: s[0].update(epochs=[2, 2]), "segments[0].epochs = [2, 2]"),
        (lambda s: s[1].update(epochs=[3, 3]), "segments[1].epochs = [3, 3]"),
        (lambda s: s[1].update(epochs=[2, 2]), "segments end with epoch 2, its history with 3"),
        (lambda s: s[1].update(epochs=None), "segments end with epoch 1, its history with 3"),
    ],
)  # fmt: skip
def test_processes_that_cannot_have_made_a_run_are_refused_by_name(
    refused, make_record, segmented, change, complaint
):
    origin = segmented(make_record()).origin
    assert complaint in refused(lambda body: change(body["origin"]["segments"]), origin=origin)


def places(value, place=()):
    """The paths of all values in a body."""
    entries = value.items() if isinstance(value, dict) else enumerate(value)
    for name, entry in entries:
        yield (*place, name)
        if isinstance(entry, (dict, list)):
            yield from places(entry, (*place, name))


def put(body, place, value):
    """A copy with another value at this place."""
    changed = copy.deepcopy(body)
    inner = changed
    for name in place[:-1]:
        inner = inner[name]
    inner[place[-1]] = value
    return changed


@pytest.mark.slow
def test_whatever_stands_anywhere_in_a_record_is_read_or_refused(tmp_path, make_record, segmented):
    """Never with another error; what is read can be written again, and every report takes it."""
    path, outcomes = tmp_path / "record.json", Counter()
    body = segmented(make_record("ResidualMLP", 8)).to_dict()

    @settings(BOUNDED, max_examples=250)
    @given(place=st.sampled_from([*places(body)]), value=JSON)
    def read(place, value):
        write(path, put(body, place, value))
        try:
            record = read_record(path)
        except RecordError as error:
            outcomes["refused"] += 1
            assert len(str(error)) < 2000
            return
        outcomes["read"] += 1
        json.dumps(record.to_dict(), ensure_ascii=False).encode()
        assert record.started is None or record.started.startswith("20")
        runs = frames.runs([record])
        results_page.performance(runs)._repr_html_()
        RunsPage([record], {record.key}, {}).scripts()

    read()
    assert outcomes["read"] > 5 and outcomes["refused"] > 75


@pytest.fixture
def probed(make_spec, make_student):
    """Fabricates a run, and what one of its probes found, by the probe's name."""
    pytest.importorskip("torch", reason="the fabricated probes have the layers of real networks")
    teacher = make_spec("MLP", 2, validation_size=500)
    digits = {"omitted_class": 3, "train_evaluation_size": 500}
    specs = {
        "bias-correction": make_student(teacher, **digits),
        "teacher-agreement": make_student(teacher),
        "lesion": make_spec("ResidualCNN", 2),
        "recomputed-statistics": make_spec(**digits),
        **dict.fromkeys(("confusion", "hardest", "softened"), make_spec("SimpleCNN", 2)),
        **dict.fromkeys(
            ("layers", "gradient-agreement", "int8-weights", "temperature-scaling"), make_spec()
        ),
    }
    return lambda name: (
        specs[name], fabricated_runs.PROBES[name](fabricated_runs.record(specs[name]))
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("probe", fabricated_runs.PROBES)
def test_whatever_stands_anywhere_in_a_probe_is_read_or_refused(store, probed, probe):
    spec, content = probed(probe)
    path = store.write_probe(spec, probe, content)
    assert store.find_probe(spec, probe) == content
    body, outcomes = json.loads(path.read_text()), Counter()
    found = [place for place in places(body) if place[0] == "content"]

    @settings(BOUNDED, max_examples=100)
    @given(place=st.sampled_from(found), value=JSON)
    def read(place, value):
        write(path, put(body, place, value))
        outcomes["tried"] += 1
        try:
            store.find_probe(spec, probe)
        except Lab1Error as error:
            outcomes["refused"] += 1
            assert str(path) in str(error)

    read()
    assert outcomes["refused"] > outcomes["tried"] / 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("probe", "change", "complaint"),
    [
        ("confusion", lambda c: c["counts"].pop(), "content.counts has 9 entries; allowed: 10"),
        ("confusion", lambda c: c["counts"][0].__setitem__(0, 0), "images; allowed: "),
        ("hardest", lambda c: c["images"][0].update(label=10), "images[0].label = 10"),
        ("hardest", lambda c: c["images"][0].update(png='"><script>'), "images[0].png"),
        ("softened", lambda c: c["temperatures"].pop(), "probabilities has 3 entries; allowed: 2"),
        ("bias-correction", lambda c: c.update(omitted_class=4), "omitted_class = 4"),
        ("bias-correction", lambda c: c["errors_of_class"].update(after=999), "after = 999"),
        ("layers", lambda c: c["trained"]["response"].pop(), "content.trained.response has"),
        ("gradient-agreement", lambda c: c.update(bf16=1.1), "content.bf16 = 1.1"),
        ("recomputed-statistics", lambda c: c.update(error=-0.1), "content.error = -0.1"),
        ("int8-weights", lambda c: c["layers"][0]["scales"].pop(), "15 scales"),
        ("lesion", lambda c: c["blocks"].clear(), "content.blocks has 0 entries"),
        ("lesion", lambda c: c["blocks"][1].update(kept="half"), "content.blocks[1].kept = 'half'"),
        ("teacher-agreement", lambda c: c.update(alone=1.1), "content.alone = 1.1"),
        ("temperature-scaling", lambda c: c.update(temperature=0), "content.temperature = 0"),
    ],
)
def test_what_a_probe_cannot_have_found_is_named(store, probed, probe, change, complaint):
    spec, content = probed(probe)
    change(content)
    path = store.write_probe(spec, probe, content)
    with pytest.raises(RecordError, match=f"^{re.escape(str(path))}: .*{re.escape(complaint)}"):
        store.find_probe(spec, probe)
