import json
import math
import os
import re
import shutil
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest

from lab1.core import files
from lab1.core import spec as config
from lab1.core.datasets import DATASETS
from lab1.core.files import write_text
from lab1.core.record import read_record
from lab1.core.record_rules import seal
from lab1.core.spec import RECIPE
from lab1.core.store import Replacement, Store
from lab1.errors import Lab1Error, ParameterError, RecordError


def strictly(text):
    """Parses JSON as the standard has it: without NaN and Infinity."""

    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(text, parse_constant=refuse)


def files_below(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def publish(store, record, name=None):
    """Puts a record into ``results/`` as ``promote`` would."""
    path = store.results / f"{name or record.name}.json"
    write_text(path, json.dumps(record.to_dict()))
    return path


# Writing and reading back


def test_a_record_survives_being_written(store, make_record):
    record = make_record(accuracy=0.1 + 0.2)  # a number whose text needs all its digits
    record.origin.update(note='é [ 1,\n 2 ] "{x}" [ ', notes={"[ {": "é"})
    assert store.find(record.spec) is None and store.path_of(record.spec) is None
    assert store.all() == ([], [])
    path = store.write(record)
    assert path == store.runs / record.name / "record.json"
    assert store.path_of(record.spec) == path
    assert store.find(record.spec) == record
    assert read_record(path) == record
    # It is plain JSON for everybody, with each series on a line.
    text = path.read_text()
    assert strictly(text)["spec"]["recipe"] == RECIPE["MLP"]
    assert text.endswith("}\n") and '"train_loss": [1.5, 0.8, 0.4]' in text
    assert path.stat().st_mode & 0o777 == 0o644


def test_what_diverged_is_written_as_null_and_reads_back(store, make_record):
    record = make_record(stopped="diverged")
    assert math.isnan(record.history["train_loss"][-1])
    body = strictly(store.write(record).read_text())
    assert body["history"]["train_loss"] == [1.5, 0.8, None]
    found = store.find(record.spec)
    assert found.history["train_loss"] == [1.5, 0.8, None]
    assert (found.stopped, found.test) == ("diverged", {})


# Whole or not at all


@pytest.mark.parametrize("error", [OSError("the disk is full"), KeyboardInterrupt()])
@pytest.mark.parametrize("broken", [(Path, "replace"), (os, "fsync")])
def test_a_record_is_written_whole_or_not_at_all(store, make_record, monkeypatch, broken, error):
    def fail(*_arguments):
        raise error

    def write(record):
        with monkeypatch.context() as patch, pytest.raises((OSError, KeyboardInterrupt)):
            patch.setattr(*broken, fail)
            store.write(record)

    old = make_record(accuracy=0.8)
    write(old)
    assert files_below(store.runs) == {} and store.find(old.spec) is None
    store.write(old)
    before = files_below(store.runs)
    write(make_record(accuracy=0.9))
    assert files_below(store.runs) == before
    assert store.find(old.spec) == old


# Damage


def damaged(path, pattern=""):
    return pytest.raises(RecordError, match=f"^{re.escape(str(path))}: .*{pattern}")


def edited(old, new):
    def edit(text):
        assert old in text
        return text.replace(old, new, 1)

    return edit


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        *((lambda text, end=end: text[:end], "not readable as a run") for end in (0, 1, 100, -2)),
        *((lambda text, new=new: new, "not readable as a run record") for new in (
            "\xff\xfe\0garbage", "\xef\xbb\xbf{}", "[" * 100_000, '{"a":' * 100_000,
            f'{{"schema": {"9" * 5000}}}', '{"schema": Infinity}',
        )),
        *((lambda text, new=new: new, "no JSON object") for new in ("[]", "null", '"text"', "3")),
        *((lambda text, new=new: new, "not a run record") for new in ("{}", '{"schema": 1}')),
        *((lambda _, spec=spec: f'{{"schema": 1, "spec": {spec}}}', "the checksum does not fit")
          for spec in ("null", "[" * 900 + "]" * 900)),
        (edited('"accuracy": 0.9', '"accuracy": 0.95'), "the checksum does not fit"),
        (edited('"seed": 0', '"seed": 1'), "the checksum does not fit"),
        (edited('"best_epoch": 3', '"best_epoch": NaN'), "NaN is no number in JSON"),
        (edited('"commit": "0', '"commit": "1'), "the checksum does not fit"),
        (edited("0.8, 0.4", "0.8, 0.3"), "the checksum does not fit"),
        (edited('"checksum": "', '"checksum": "0'), "the checksum does not fit"),
        (edited('"checksum"', '"check"'), "the checksum does not fit"),
    ],
)  # fmt: skip
def test_a_damaged_record_is_told(store, make_record, damage, complaint):
    path = store.write(make_record(accuracy=0.9))
    path.write_text(damage(path.read_text()), encoding="latin-1")
    with damaged(path, complaint):
        store.find(make_record().spec)


def test_a_file_too_large_to_be_a_record_is_not_read(tmp_path):
    path = tmp_path / "record.json"
    with path.open("wb") as stream:
        stream.truncate(10**12)  # no more than a size where the file system allows it
    with damaged(path, "has 1,000,000,000,000 bytes; allowed: up to 64,000,000"):
        read_record(path)


def rewritten(path, change):
    """Changes a record and gives it the right checksum, as another version of lab1 might."""
    body = json.loads(path.read_text())
    del body["checksum"]
    change(body)
    path.write_text(json.dumps(seal(body)))


ANOTHER_VERSION = "not a run record of this version"
ANOTHER_KEY = "is not the key of its spec"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda body: body.update(schema=2), "schema 2; this version reads 1"),
        (lambda body: body.update(invented=1), ANOTHER_VERSION),
        (lambda body: body.pop("history"), ANOTHER_VERSION),
        (lambda body: body["spec"]["model"].update(invented=1), ANOTHER_VERSION),
        (lambda body: body["spec"]["model"].update(family="Transformer"), ANOTHER_VERSION),
        (lambda body: body["spec"].pop("recipe"), ANOTHER_VERSION),
        (lambda body: body["spec"].pop("seed"), ANOTHER_VERSION),
        (lambda body: body["spec"]["training"].update(epochs=0), ANOTHER_VERSION),
        (lambda body: body.update(key="0" * 16), ANOTHER_KEY),
        (lambda body: body["spec"].update(seed=1), ANOTHER_KEY),
        (lambda body: body["spec"].update(recipe=99), ANOTHER_KEY),
    ],
)
def test_a_record_of_another_version_or_run_is_told(store, make_record, change, complaint):
    path = store.write(make_record())
    rewritten(path, change)
    with damaged(path, complaint):
        store.find(make_record().spec)


def test_a_record_under_the_name_of_another_run_is_told(store, make_record):
    one, other = make_record(seed=0), make_record(seed=1)
    own = store.write(one)
    own.write_text(json.dumps(other.to_dict()))
    with damaged(own, f"holds run {other.key}, not {one.key}"):
        store.find(one.spec)
    own.unlink()
    published = publish(store, other, name=one.name)
    with damaged(published, f"holds run {other.key}, not {one.key}"):
        store.find(one.spec)


def test_a_record_keeps_the_key_under_which_it_was_made(store, make_record, make_spec, monkeypatch):
    """After RECIPE is raised old records stay readable, and are no answer to the new question."""
    record = make_record()
    store.write(record)
    monkeypatch.setattr(config, "RECIPE", {**RECIPE, "MLP": RECIPE["MLP"] + 1})
    assert store.find(make_spec()) is None
    (found,), problems = store.all()
    assert problems == []
    assert (found.key, found.name, found.recipe) == (record.key, record.name, RECIPE["MLP"])
    assert read_record(store.write(found)).recipe == RECIPE["MLP"]


# Two folders


def test_a_run_that_was_trained_here_again_comes_before_the_published_one(store, make_record):
    own, published = make_record(accuracy=0.8), make_record(accuracy=0.9)
    publish(store, published)
    assert store.is_published(published)
    path = store.write(own)
    assert store.find(own.spec) == own
    assert store.path_of(own.spec) == path
    assert store.all() == ([own], [])
    assert (
        store.is_replaced(own.name)
        and store.has_unpublished_files(own)
        and not store.is_published(own)
    )


def test_a_copy_of_a_published_record_changes_nothing(store, make_record):
    """A Ray cluster sees runs/ alone, so that its teachers are copied there."""
    record = make_record()
    path = publish(store, record)
    store.copy(record.spec)
    assert (store.run_dir(record.spec) / "record.json").read_bytes() == path.read_bytes()
    assert store.is_published(record) and not store.has_unpublished_files(record)
    store.copy(make_record(seed=1).spec)  # nothing to copy
    assert store.all() == ([record], [])


def test_all_reports_what_it_cannot_read_and_goes_on(store, make_record):
    good = make_record(seed=3)
    publish(store, good)
    truncated = store.write(make_record(seed=0))
    truncated.write_text(truncated.read_text()[:50])
    edited = store.write(make_record(seed=1))
    edited.write_text(edited.read_text().replace("0.9", "0.99"))
    misnamed = publish(store, make_record(seed=2), name="results-of-mine")
    nowhere = store.write(make_record(seed=4))
    nowhere.unlink()
    nowhere.symlink_to(nowhere.parent / "nowhere.json")
    records, problems = store.all()
    assert records == [good]
    paths = (misnamed, *sorted((truncated, edited, nowhere)))
    for path, problem in zip(paths, problems, strict=True):
        assert str(problem).startswith(f"{path}: ")
    with damaged(nowhere, "No such file"):
        store.find(make_record(seed=4).spec)


def test_probes_are_no_records_and_published_ones_come_first(store, make_record):
    record = make_record()
    store.write(record)
    store.write_probe(record.spec, "answers", {"from": "results"})
    store.promote(record)
    store.write(record)
    store.write_probe(record.spec, "answers", {"from": "runs"})
    store.write_probe(record.spec, "response", {"norms": [1]})
    assert store.all() == ([record], [])
    assert store.find_probe(record.spec, "answers") == {"from": "results"}


def test_every_published_record_can_be_read_and_followed_back(tmp_path):
    records, problems = Store(files.results_dir(), tmp_path / "none").all()
    assert problems == []
    for record in records:
        assert re.fullmatch("[0-9a-f]{40}", record.origin["commit"]), record.name
        fingerprint = DATASETS[record.spec.dataset].fingerprint
        assert record.origin["data_fingerprint"] == fingerprint, record.name


# Several processes

WRITE_MANY_TIMES = """
import json, sys, time
from pathlib import Path
from lab1.core.spec import RunSpec
from lab1.core.store import Record, Store
store = Store(Path(sys.argv[1]), Path(sys.argv[2]))
record = Record.from_dict(json.loads(sys.argv[3]))
print("ready", flush=True)
sys.stdin.readline()
for _ in range(20):
    store.write(record)
    assert store.find(record.spec) == record
"""


def test_processes_that_write_one_record_leave_one_valid_file(store, make_record, python):
    record = make_record()
    text = json.dumps(record.to_dict())
    processes = [python.start(WRITE_MANY_TIMES, store.results, store.runs, text) for _ in range(3)]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        _, complaints = process.communicate(timeout=120)
        assert process.returncode == 0, complaints
    assert list(files_below(store.runs)) == [f"{record.name}/record.json"]
    assert store.find(record.spec) == record


CLAIM = """
import json, sys
from pathlib import Path
from lab1.core.spec import RunSpec
from lab1.core.store import Store
store = Store(Path(sys.argv[1]), Path(sys.argv[2]))
with store.claim(RunSpec.from_dict(json.loads(sys.argv[3]))) as mine:
    print(mine, flush=True)
    sys.stdin.readline()
"""


def claimed(store, spec):
    with store.claim(spec) as mine:
        return mine


def test_a_claim_excludes_other_processes_until_its_owner_is_killed(store, make_spec, python):
    arguments = (store.results, store.runs, json.dumps(make_spec().to_dict()))
    owner = python.start(CLAIM, *arguments)
    assert owner.stdout.readline() == "True\n"
    assert not claimed(store, make_spec())
    assert claimed(store, make_spec(seed=1))
    assert python.start(CLAIM, *arguments).stdout.readline() == "False\n"
    owner.send_signal(signal.SIGKILL)
    owner.wait(timeout=60)
    assert claimed(store, make_spec())


def test_a_claim_ends_with_its_block_however_it_ends(store, make_spec):
    with store.claim(make_spec()) as mine:
        assert mine
        assert not claimed(store, make_spec())
    assert claimed(store, make_spec())
    assert store.all() == ([], [])  # a claim is no record
    with pytest.raises(ZeroDivisionError), store.claim(make_spec()):
        raise ZeroDivisionError
    assert claimed(store, make_spec())


# Publishing


def with_everything(store, record):
    """A run as training leaves it: record, probes and weights."""
    store.write(record)
    store.write_probe(record.spec, "answers", {"counts": [[9, 1], [0, 10]]})
    store.write_probe(record.spec, "response", {"norms": [1.0, 0.5]})
    (store.run_dir(record.spec) / "weights.safetensors").write_bytes(b"weights")


def test_promote_moves_the_record_and_its_probes_but_not_the_weights(store, make_record):
    record = make_record()
    with_everything(store, record)
    before = files_below(store.runs)
    target = store.promote(record)
    assert target == store.results / f"{record.name}.json"
    assert files_below(store.runs) == {f"{record.name}/weights.safetensors": b"weights"}
    assert files_below(store.results) == {
        f"{record.name}.json": before[f"{record.name}/record.json"],
        f"{record.name}.answers.json": before[f"{record.name}/answers.json"],
        f"{record.name}.response.json": before[f"{record.name}/response.json"],
    }
    assert store.find(record.spec) == record
    assert store.find_probe(record.spec, "answers") == {"counts": [[9, 1], [0, 10]]}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"commit": "unknown"}, "trained from commit 'unknown'"),
        ({"commit": ""}, "trained from commit 'unknown'"),
        ({"commit": "0123456-dirty"}, "trained from commit '0123456-dirty'"),
        ({"commit": "HEAD"}, "trained from commit 'HEAD'.*40 hexadecimal digits"),
        ({"data_fingerprint": "0" * 64}, "undeclared fingerprint"),
        ({"data_fingerprint": None}, "undeclared fingerprint"),
    ],
)
def test_promote_refuses_what_could_not_be_followed_back(store, make_record, change, reason):
    record = make_record()
    record = replace(record, origin={**record.origin, **change})
    with_everything(store, record)
    before = files_below(store.runs)
    with pytest.raises(RecordError, match=reason) as caught:
        store.promote(record)
    assert str(store.run_dir(record.spec)) in str(caught.value)
    assert files_below(store.runs) == before
    assert not store.results.exists() or files_below(store.results) == {}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"sources": "b" * 64}, "2 processes had different sources"),
        ({"versions": {"torch": "2.0"}}, "2 processes had different versions"),
        ({"commit": "unknown", "sources": None, "versions": None}, "did not tell them all"),
    ],
)
def test_promote_takes_mixed_sources_only_when_told(store, make_record, segmented, change, reason):
    mixed = segmented(make_record(), **change)
    store.write(mixed)
    with pytest.raises(RecordError, match=f"{reason}.*--mixed-sources"):
        store.promote(mixed)
    store.promote(mixed, mixed_sources=True)
    assert store.is_published(mixed)
    # A commit between two processes may have changed a text; uncommitted sources stay out.
    dirty, committed = (segmented(make_record(), commit=c) for c in ("f" * 40 + "-dirty", "f" * 40))
    with pytest.raises(RecordError, match=r"f-dirty.*committed sources"):
        store.promote(dirty, mixed_sources=True)
    store.write(committed)
    store.promote(committed)
    assert store.is_published(committed)


def test_promote_replaces_a_run_that_was_trained_again(store, make_record):
    """With its probes and weights, which were of another training."""
    first, again, other = make_record(accuracy=0.8), make_record(accuracy=0.9), make_record(seed=1)
    for record in (first, other):
        with_everything(store, record)
        store.promote(record)
    weights = store.results / f"{first.name}.safetensors"
    weights.write_bytes(b"weights of the first training")
    store.write(again)
    store.write_probe(again.spec, "answers", {"counts": [[10, 0], [0, 10]]})
    assert store.find_probe(again.spec, "response") is None
    store.promote(again)
    assert store.find(again.spec) == again
    assert store.find_probe(again.spec, "answers") == {"counts": [[10, 0], [0, 10]]}
    assert store.find_probe(again.spec, "response") is None
    assert not weights.exists()
    assert store.find(other.spec) == other
    assert store.find_probe(other.spec, "response") is not None


def test_a_replacement_takes_the_place_together(store, make_record):
    first, again = make_record(accuracy=0.8), make_record(accuracy=0.9)
    with_everything(store, first)
    apart = Replacement(store, first.spec)
    assert apart.find(first.spec) is None
    assert apart.find_probe(first.spec, "response") is None
    apart.write(again)
    apart.write_probe(again.spec, "answers", {"counts": []})
    assert store.find(first.spec) == first
    assert store.find_probe(first.spec, "answers") == {"counts": [[9, 1], [0, 10]]}
    assert apart.find(again.spec) == again
    apart.replace_old_files()
    assert store.find(first.spec) == again
    assert store.find_probe(first.spec, "answers") == {"counts": []}
    assert store.find_probe(first.spec, "response") is None
    assert [path.name for path in store.runs.iterdir()] == [again.name]
    assert not (store.run_dir(again.spec) / "weights.safetensors").exists()


def cut_off_after(moves, error, monkeypatch, action):
    """Runs what moves files, and raises the error at the move after so many."""
    done, move = [], Path.replace

    def cut_off(self, target):
        if len(done) == moves:
            raise error
        done.append(target)
        return move(self, target)

    with monkeypatch.context() as patch, pytest.raises((OSError, KeyboardInterrupt)):
        patch.setattr(Path, "replace", cut_off)
        action()


@pytest.mark.parametrize("moves", range(3))
def test_a_replacement_that_is_cut_off_is_ended_by_the_same_call(
    store, make_record, monkeypatch, moves
):
    first, again = make_record(accuracy=0.8), make_record(accuracy=0.9)
    with_everything(store, first)
    apart = Replacement(store, first.spec)
    with_everything(apart, again)
    cut_off_after(moves, OSError("cut off"), monkeypatch, apart.replace_old_files)
    assert apart.find(again.spec) == again  # and not trained a third time
    apart.replace_old_files()
    assert store.find(first.spec) == again
    assert store.probes_of(again.spec) == ("answers", "response")


@pytest.mark.parametrize("name", ["{} (1)", "._{}", "Copy of {}", "{}.answers (1)"])
def test_a_copy_among_the_records_is_named(store, make_record, name):
    record = make_record()
    path = publish(store, record)
    copy = path.with_name(f"{name.format(record.name)}.json")
    shutil.copyfile(path, copy)
    records, (problem,) = store.all()
    assert records == [record] and str(copy) in str(problem) and "a copy" in str(problem)
    assert ("delete it" in str(problem)) == (")" in name)  # else it may be a record, misnamed


def test_a_record_is_found_by_the_beginning_of_its_key(store, make_record):
    one, other = make_record(seed=0), make_record(seed=1)
    store.write(one)
    publish(store, other)
    assert store.of_key(one.key[:6]) == one
    assert store.of_key(other.key) == other
    for key in ("", "zzz"):
        with pytest.raises(ParameterError, match=f"the key '{key}' is not allowed.*the key of one"):
            store.of_key(key)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError("the disk is full")])
@pytest.mark.parametrize("moves", range(3))
def test_a_promotion_that_is_cut_off_loses_nothing_and_copies_nothing(
    store, make_record, monkeypatch, moves, error
):
    record = make_record()
    with_everything(store, record)
    before = files_below(store.runs)
    cut_off_after(moves, error, monkeypatch, lambda: store.promote(record))
    names = {path.name for path in store.runs.glob("*/*.json")}
    published = {path.name.removeprefix(f"{record.name}.") for path in store.results.iterdir()}
    published = {"record.json" if name == "json" else name for name in published}
    assert not published & names and len(published) == moves
    assert store.find(record.spec) == record and store.probes_of(record.spec)
    assert (files_below(store.runs) == before) == (moves == 0)
    store.promote(record)
    assert store.find(record.spec) == record and store.is_published(record)


def test_a_file_is_moved_in_one_step_within_a_disk(tmp_path):
    """A copy that is then deleted would be there twice where it is cut off between the two."""
    (tmp_path / "one").touch()
    number = (tmp_path / "one").stat().st_ino
    files.move(tmp_path / "one", tmp_path / "deep" / "two")
    assert (tmp_path / "deep" / "two").stat().st_ino == number


# Probes


def test_a_probe_survives_being_written(store, make_spec):
    content = {"counts": [[1, 2], [3, 4]], "norm": 0.1 + 0.2, "nested": {"label": "a", "no": None}}
    unknown = {"infinite": [math.inf, math.nan]}  # which JSON does not know
    path = store.write_probe(make_spec(), "confusion-matrix", content | unknown)
    assert path == store.runs / make_spec().name / "confusion-matrix.json"
    content["infinite"] = [None, None]
    assert store.find_probe(make_spec(), "confusion-matrix") == content
    assert store.find_probe(make_spec(), "response") is None
    assert store.find_probe(make_spec(seed=1), "confusion-matrix") is None
    strictly(path.read_text())


@pytest.mark.parametrize(
    "content", [{1: "a number for a name"}, {"deep": {None: 1}}, {"set": {1}}, {"path": Path()}]
)
def test_a_probe_that_is_no_plain_json_is_refused_when_it_is_written(store, make_spec, content):
    """And not when it is read, with the model that it was measured on long gone."""
    with pytest.raises((TypeError, Lab1Error)):
        store.write_probe(make_spec(), "response", content)
    assert store.find_probe(make_spec(), "response") is None


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[:40],
        lambda text: "{}",
        lambda text: text.replace("0.25", "0.5"),
        lambda text: text.replace('"norm": 0.25', '"norm": 0.25, "norm": 0.25'),
        lambda text: text.replace('"checksum": "', '"checksum": "0'),
    ],
)
def test_a_damaged_probe_is_told(store, make_spec, damage):
    path = store.write_probe(make_spec(), "response", {"norm": 0.25})
    path.write_text(damage(path.read_text()))
    with pytest.raises(RecordError, match=re.escape(str(path))):
        store.find_probe(make_spec(), "response")


def test_the_probe_of_another_run_or_name_is_told(store, make_spec):
    foreign = store.write_probe(make_spec(seed=1), "response", {"norm": 0.25})
    own = store.write_probe(make_spec(seed=0), "response", {"norm": 0.5})
    own.write_bytes(foreign.read_bytes())
    with pytest.raises(RecordError, match="the probe of another run"):
        store.find_probe(make_spec(seed=0), "response")
    renamed = foreign.with_name("confusion.json")
    renamed.write_bytes(foreign.read_bytes())
    with pytest.raises(RecordError, match=re.escape(str(renamed))):
        store.find_probe(make_spec(seed=1), "confusion")


@pytest.mark.parametrize(
    "name", ["record", "", "Response", "1st", "a b", "../escape", "a/b", "a.b", "-a", "a\n"]
)
def test_a_probe_name_that_makes_no_file_name_is_refused(store, make_spec, name):
    with pytest.raises(Lab1Error, match="is not allowed; allowed: small letters"):
        store.write_probe(make_spec(), name, {})
    with pytest.raises(Lab1Error, match="is not allowed; allowed: small letters"):
        store.find_probe(make_spec(), name)
    assert not store.runs.exists()


# While another process promotes, and in folders that are closed to us


@pytest.mark.parametrize("published_before", [False, True])
def test_no_moment_of_a_promotion_hides_a_run(store, make_record, monkeypatch, published_before):
    """Whatever a reader has seen when the promotion happens, it finds the record and its probe."""
    record = make_record(accuracy=0.9)

    def prepare():
        shutil.rmtree(store.runs, ignore_errors=True)
        shutil.rmtree(store.results, ignore_errors=True)
        if published_before:
            with_everything(store, make_record(accuracy=0.8))
            store.promote(record)
        with_everything(store, record)

    def readers():
        yield lambda: [each.key for each in store.all()[0]] == [record.key] and not store.all()[1]
        yield lambda: store.find(record.spec) == record
        yield lambda: store.find_probe(record.spec, "answers") is not None

    def promoting_before(look, patch):
        """Promotes before the reader's look of this number; returns how many it took."""
        looks = []

        def looking(original):
            def call(self, *arguments, **keywords):
                looks.append(self)
                if len(looks) == look:
                    store.promote(record)
                return original(self, *arguments, **keywords)

            return call

        for name in ("lstat", "exists", "glob", "iterdir", "read_text", "read_bytes"):
            patch.setattr(Path, name, looking(getattr(Path, name)))
        return looks

    for read in readers():
        look, looks = 1, [None]
        while look <= len(looks):
            prepare()
            with monkeypatch.context() as patch:
                looks = promoting_before(look, patch)
                assert read(), f"promoted before look {look}"
            look += 1
        assert look > 2


def closed(monkeypatch, folder):
    """As the system has it for a folder of another user (which a test that runs as root cannot)."""

    def deny(original):
        def call(self, *arguments, **keywords):
            if folder in self.parents:
                raise PermissionError(13, "Permission denied", str(self))
            return original(self, *arguments, **keywords)

        return call

    for name in ("stat", "lstat", "open", "read_text", "read_bytes", "mkdir"):
        monkeypatch.setattr(Path, name, deny(getattr(Path, name)))


def test_a_folder_of_another_user_is_named_and_the_others_are_read(store, make_record, monkeypatch):
    theirs, ours = make_record(seed=0), make_record(seed=1)
    for record in (theirs, ours):
        store.write(record)
    closed(monkeypatch, store.run_dir(theirs.spec))
    records, problems = store.all()
    assert records == [ours]
    (problem,) = map(str, problems)
    path = store.run_dir(theirs.spec) / "record.json"
    assert problem.startswith(f"{path}: ") and "Permission denied" in problem
    with pytest.raises(RecordError, match=f"^{re.escape(str(path))}: .*Permission denied"):
        store.find(theirs.spec)


def test_what_a_killed_writer_left_is_swept_once_its_owner_is_gone(store, make_record, python):
    """Not what another process is just writing, however long that takes."""
    folder = store.run_dir(make_record().spec)
    folder.mkdir(parents=True)
    left, busy, young = (folder / f".{name}.part" for name in ("left", "busy", "young"))
    for path in (left, busy, young):
        path.write_bytes(b"begun")
    hour_ago = time.time() - 3600
    for path in (left, busy):
        os.utime(path, (hour_ago, hour_ago))
    owner = python.start(
        "import sys; from lab1.core import files; stream = open(sys.argv[1], 'rb');"
        "print(files.try_lock(stream), flush=True); sys.stdin.read()",
        busy,
    )
    assert owner.stdout.readline() == "True\n"
    store.write(make_record())
    assert {path.name for path in folder.iterdir()} == {"record.json", busy.name, young.name}
    owner.kill()
    owner.wait()
    os.utime(busy, (hour_ago, hour_ago))
    store.write(make_record())
    assert {path.name for path in folder.iterdir()} == {"record.json", young.name}


def test_runs_that_are_no_folder_are_told(tmp_path, monkeypatch):
    file = tmp_path / "file"
    file.write_text("")
    monkeypatch.setenv("LAB1_RUNS", str(file))
    with pytest.raises(Lab1Error, match=f"LAB1_RUNS = '{file}' is not allowed; allowed: a folder"):
        Store()
