"""The command line, in this process, in a laboratory of its own."""

import csv
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from declared_fields import PARAMETERS
from small_profiles import GRID, write_profile

from lab1.cli import commands
from lab1.cli.main import main
from lab1.core import spec as config
from lab1.core import weights_file
from lab1.core.datasets import DATASETS
from lab1.core.families import FAMILIES
from lab1.core.record import read_record
from lab1.core.store import Store
from lab1.errors import MissingRunsError
from lab1.planning import chapters, profiles
from lab1.planning import ensure as ensuring
from lab1.site import build as site_builder
from lab1.site import publish


@pytest.fixture
def home(laboratory, monkeypatch):
    """A laboratory whose profile `report` has both chapters, six and twelve runs."""
    monkeypatch.delenv("LAB1_PROFILE", raising=False)
    write_profile(laboratory, {"1_1": GRID, "1_2": GRID})
    return laboratory


@pytest.fixture
def lab1(home, capsys):
    """Runs a command: ``lab1("status", "--profile", "x")`` gives status, output and complaints."""

    def run(*arguments):
        capsys.readouterr()
        try:
            status = main([*arguments])
        except SystemExit as stop:  # argparse ends the process by itself
            status = stop.code
        return status, *capsys.readouterr()

    return run


@pytest.fixture
def refused(lab1):
    """The complaint of a command that must end with status 2."""

    def run(*arguments):
        status, _, complaint = lab1(*arguments)
        assert status == 2
        assert "Traceback" not in complaint
        return complaint

    return run


@pytest.fixture
def engine():
    """What trains; the tests that need it are left out where torch is not installed."""
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)  # more only slow networks this small down
    from lab1.training.engines import local as engine

    return engine


def write(*records):
    store = Store()
    for record in records:
        store.write(record)
    return store


def publish_record(record):
    store = write(record)
    return store.promote(record)


def files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


# run


def test_a_dry_run_lists_what_is_missing_and_trains_nothing(lab1, make_record):
    write(make_record(seed=0), make_record(seed=1))
    status, out, _ = lab1("run", "1_1", "--dry-run")
    first, *listed = out.splitlines()
    assert status == 0
    assert first.startswith("6 runs planned, 4 missing, about ")
    plan = profiles.page("1_1", "report", {}).plan()
    expected = [s for s in plan if not (s.model.depth == 2 and s.seed in (0, 1))]
    assert [line.split()[0] for line in listed] == [spec.key for spec in expected]
    assert "MLP, 8 layers, width 16, built-in grey patterns, 3 epochs, learning rate 0.001" in out
    assert len([*Store().runs.glob("*")]) == 2


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("run 1_1 -p depth=0", ("chapter 1_1", "depth", "an integer from 1 to 1024")),
        ("run 1_1 -p depht=4", ("chapter 1_1", "unknown parameter 'depht'", "depth")),
        ("run 1_1 -p depth", ("-p 'depth'", "-p name=value")),
        ("run 1_1 -p =4", ("-p '=4'", "-p name=value")),
        ("run 1_1 --profile nope", ("'nope'", "report")),
        ("run 1_1 --device tpu", ("tpu", "auto, cpu")),
        ("run 1_1 --report-to tensorboard", ("report_to = 'tensorboard'", "none, or 'wandb'")),
        ("run 9_9", ("chapter '9_9' is not allowed; allowed: 1_1, 1_2",)),
        ("run", ("run needs a chapter",)),
        ("run 1_1 --again 0123", ("not both",)),
        ("run --again zzz", ("the key 'zzz' is not allowed: 0 records",)),
        ("verify ffff", ("no record has a key that begins with 'ffff'",)),
        ("table performance", ("`python -m lab1 run CHAPTER`",)),
        ("polish", ("publish",)),
    ],
)
def test_what_is_not_allowed_is_told_and_nothing_is_written(refused, command, words):
    complaint = refused(*command.split())
    assert all(word in complaint for word in words)
    assert complaint.startswith(("lab1: ", "usage: "))
    assert not Store().runs.exists() or files(Store().runs) == []


def test_without_a_laboratory_every_command_says_what_is_missing(refused, tmp_path, monkeypatch):
    monkeypatch.setenv("LAB1_HOME", str(tmp_path))
    assert "no laboratory found" in refused("status")


def test_an_interruption_says_how_to_go_on(lab1, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(commands, "ensure", interrupt)
    status, _, complaint = lab1("run", "1_1")
    assert status == 130 and "the same command continues" in complaint


def printed_to(output):
    """The status and the complaints of `status`, in a process that prints into a file."""
    arguments = [sys.executable, "-m", "lab1", "status"]
    done = subprocess.run(arguments, stdout=output, stderr=subprocess.PIPE, text=True, check=False)
    return done.returncode, done.stderr


@pytest.mark.usefixtures("home")
def test_an_output_that_cannot_be_written_is_told_in_a_line_and_a_reader_may_leave():
    reader, writer = os.pipe()
    os.close(reader)
    assert printed_to(writer) == (141, "")
    os.close(writer)
    if Path("/dev/full").exists():
        with Path("/dev/full").open("w") as full:
            assert printed_to(full) == (2, "lab1: the output: No space left on device\n")


# status


def counts(out, page):
    (line,) = (line for line in out.splitlines() if line.split()[0] == page)
    return dict(
        zip(("planned", "present", "missing", "stale"), map(int, line.split()[1:]), strict=True)
    )


def test_status_counts_the_runs_of_each_page(lab1, make_record):
    publish_record(make_record("MLP", 2, 0))
    write(make_record("MLP", 2, 1), make_record("ResidualMLP", 8, 2), make_record("MLP", 32, 0))
    status, out, err = lab1("status")
    assert (status, err) == (0, "")
    assert out.splitlines()[0].split() == ["page", "planned", "present", "missing", "stale"]
    assert counts(out, "1_1") == {"planned": 6, "present": 2, "missing": 4, "stale": 0}
    assert counts(out, "1_2") == {"planned": 12, "present": 3, "missing": 9, "stale": 0}
    assert "on no page of the profile 'report': 1 further record\n" in out


def test_status_names_records_of_an_older_recipe(lab1, make_record, monkeypatch):
    old = make_record("MLP", 2, 0)
    write(old, make_record("ResidualMLP", 2, 0))
    monkeypatch.setattr(config, "RECIPE", {**config.RECIPE, "MLP": old.recipe + 1})
    status, out, _ = lab1("status")
    assert status == 0
    assert counts(out, "1_1") == {"planned": 6, "present": 0, "missing": 6, "stale": 1}
    assert counts(out, "1_2") == {"planned": 12, "present": 1, "missing": 11, "stale": 1}
    assert f"stale: {old.name} (recipe {old.recipe}, now {old.recipe + 1})" in out
    assert "0 further records" in out


def test_a_record_whose_teacher_has_an_older_recipe_is_no_further_one(
    lab1, make_spec, make_student, make_record, monkeypatch
):
    write(make_record(distillation=make_student(make_spec("ResidualMLP")).distillation))
    assert "1 further record\n" in lab1("status")[1]
    monkeypatch.setattr(config, "RECIPE", {**config.RECIPE, "ResidualMLP": 99})
    assert "0 further records" in lab1("status")[1]


def test_a_damaged_file_is_told_by_status_and_promote_which_go_on(lab1, make_record):
    store = write(make_record(seed=0), make_record(seed=1))
    path = store.run_dir(make_record(seed=1).spec) / "record.json"
    path.write_text(path.read_text()[:-20])
    status, out, err = lab1("status")
    assert status == 1
    assert err.startswith("not readable: ") and str(path) in err
    assert counts(out, "1_1")["present"] == 1
    status, out, err = lab1("promote")
    assert status == 1
    assert "1 record promoted" in out and "not readable: " in err


def test_the_profile_of_the_environment_is_the_default(home, lab1, monkeypatch):
    write_profile(home, {"1_1": {**GRID, "seeds": [0]}}, "mine")
    assert counts(lab1("status")[1], "1_1")["planned"] == 6
    monkeypatch.setenv("LAB1_PROFILE", "mine")
    assert counts(lab1("status")[1], "1_1")["planned"] == 2
    # What is said on the command line comes first.
    assert counts(lab1("status", "--profile", "report")[1], "1_1")["planned"] == 6


# promote


@pytest.mark.parametrize(
    ("arguments", "depths"), [((), [2]), (("--all",), [2, 32]), (("--profile", "deep"), [32])]
)
def test_promote_goes_by_the_profile_and_moves_once(home, lab1, make_record, arguments, depths):
    write_profile(home, {"1_1": {**GRID, "depth": [32]}}, "deep")
    records = {depth: make_record("MLP", depth, 0) for depth in (2, 32)}
    store = write(*records.values())
    (store.run_dir(records[32].spec) / "weights.safetensors").write_bytes(b"weights")
    left = 2 - len(depths)
    others = "; no page plans 1 more in runs/ (--all)" if left else ""
    said = {1: "1 record promoted", 2: "2 records promoted"}[len(depths)] + others
    assert said in lab1("promote", *arguments)[1]
    assert files(store.results) == sorted(f"{records[depth].name}.json" for depth in depths)
    assert lab1("promote", *arguments) == (0, f"0 records promoted{others}\n", "")
    assert (store.run_dir(records[32].spec) / "weights.safetensors").exists()


def test_promote_says_where_git_does_not_track_a_users_network(
    home, lab1, make_record, monkeypatch
):
    write_profile(home, {"1_1": {**GRID, "seeds": [0]}}, "mine")
    file = home / "nets" / "mine.py"
    file.parent.mkdir()
    file.write_text("# a network")
    monkeypatch.setitem(FAMILIES, "MLP", replace(FAMILIES["MLP"], file=file))
    subprocess.run(["git", "init", "-q", file.parent], check=True)
    write(make_record("MLP", 2, 0))
    assert f"network MLP is declared in {file}, which others do not" in lab1("promote")[2]
    note = f"note: git does not track {file}, which made some of the records\n"
    for depth, expected in ((2, note), (8, "")):
        write(make_record("MLP", depth, 0))
        status, out, err = lab1("promote", "--profile", "mine")
        assert (status, out.splitlines()[-1], err) == (0, "1 record promoted", expected)
        subprocess.run(["git", "-C", file.parent, "add", file.name], check=True)


def test_a_run_of_processes_with_different_sources_is_promoted_when_told(
    lab1, refused, make_record, segmented
):
    record = segmented(make_record(), sources="b" * 64)
    store = write(record)
    assert record.name in (complaint := refused("promote")) and "--mixed-sources" in complaint
    assert lab1("promote", "--mixed-sources")[0] == 0
    assert read_record(store.results / f"{record.name}.json") == record


# promote and verify: the weights of teachers


@pytest.fixture
def taught(home, engine, make_record, make_student):
    """A student's record in ``runs/``, with the record and the weights of its teacher."""
    from lab1.training import models
    from lab1.training.checkpoint import digest, save_weights

    teacher = make_record("ResidualMLP", 2, 0)
    store = write(teacher)
    model = models.build(teacher.spec.model, DATASETS[teacher.spec.dataset], 5)
    save_weights(store.run_dir(teacher.spec) / "weights.safetensors", model.state_dict())
    record = make_record(distillation=make_student(teacher.spec).distillation)
    sha256 = digest(model.state_dict())
    record = replace(
        record,
        parameters=models.count_parameters(model),
        origin={**record.origin, "teacher_sha256": sha256},
    )
    store.write(record)
    return teacher, record


@pytest.fixture
def plans(monkeypatch):
    """Has the pages of the profile plan these runs."""

    def make(*specs):
        page = SimpleNamespace(name="made-up", chapter="1_1", plan=lambda: [*specs])
        monkeypatch.setattr(profiles, "pages", lambda profile: [page])

    return make


def test_promote_takes_a_teacher_and_its_weights_along(lab1, taught, plans):
    """Though the page plans the student alone, to which its teacher belongs."""
    teacher, record = taught
    plans(record.spec)
    out = lab1("status")[1]
    assert counts(out, "made-up") == {"planned": 1, "present": 1, "missing": 0, "stale": 0}
    assert "0 further records" in out
    status, out, err = lab1("promote")
    assert (status, err) == (0, "")
    assert "2 records promoted\n" in out
    store = Store()
    assert files(store.results) == sorted(
        [f"{teacher.name}.json", f"{teacher.name}.safetensors", f"{record.name}.json"]
    )
    assert f"{teacher.name}.safetensors\n" in out
    # One's own weights stay, and what was published is left alone.
    assert (store.run_dir(teacher.spec) / "weights.safetensors").exists()
    before = (store.results / f"{teacher.name}.safetensors").stat()
    store.write(replace(record, seconds=99.0))
    (store.results / f"{record.name}.json").unlink()
    assert lab1("promote")[0] == 0
    assert (store.results / f"{teacher.name}.safetensors").stat() == before


def test_promote_without_torch_says_what_it_needs(refused, taught, plans, monkeypatch):
    _, record = taught
    plans(record.spec)
    monkeypatch.setattr(ensuring.importlib.util, "find_spec", lambda name: None)
    complaint = refused("promote")
    assert ".safetensors: the weights of the teacher of MLP, 2 layers" in complaint
    assert "pip install -e '.[train]'" in complaint
    assert (Store().run_dir(record.spec) / "record.json").exists()


@pytest.mark.parametrize("published", [False, True])
def test_a_student_of_other_weights_or_unknown_sources_is_not_promoted(
    lab1, refused, taught, plans, published
):
    _, record = taught
    plans(record.spec)
    write(replace(record, origin={**record.origin, "commit": "0123456-dirty"}))
    assert "only a run from committed sources" in refused("promote")
    assert not list(Store().results.glob("*.safetensors"))  # its teacher's
    if published:
        write(record)
        lab1("promote")
        (Store().results / f"{record.name}.json").unlink()
    write(replace(record, origin={**record.origin, "teacher_sha256": "0" * 64}))
    complaint = refused("promote")
    assert "learnt from" in complaint and "0" * 64 in complaint
    assert (Store().run_dir(record.spec) / "record.json").exists()


def test_verify_checks_weights(lab1, taught, plans, monkeypatch):
    """One's own and published ones, with their record and those of their students."""
    teacher, record = taught
    plans(record.spec)
    write(replace(teacher, weights_sha256="f" * 64))
    status, _, err = lab1("verify")
    assert status == 1 and "and the record of its run says ffff" in err
    assert str(weights_file.in_runs(teacher.spec, Store())) in err
    write(replace(teacher, weights_sha256=record.origin["teacher_sha256"]))
    lab1("promote")
    monkeypatch.setattr(ensuring.importlib.util, "find_spec", lambda name: None)
    status, out, err = lab1("verify")
    assert (status, err) == (0, "")
    assert out.startswith("2 records verified, 0 findings\n")
    path = Store().results / f"{teacher.name}.safetensors"
    whole = path.read_bytes()

    def finding():
        status, _, err = lab1("verify")
        assert status == 1
        return err

    path.write_bytes(whole[:-4] + b"\0\0\0\0")
    assert f"{path}: is damaged" in finding()
    path.write_bytes(whole)
    other = path.with_name(f"MLP-d2-smoke-grey-s0.{'f' * 16}.safetensors")
    path.rename(other)
    assert f"{other}: has the weights of run {teacher.key}" in finding()
    other.rename(path)
    record_path = path.with_suffix(".json")
    text = record_path.read_bytes()
    record_path.unlink()
    assert f"{path}: weights without a published record" in finding()
    record_path.write_bytes(text)
    assert lab1("verify")[0] == 0
    (Store().results / f"{record.name}.json").unlink()
    write(replace(record, origin={**record.origin, "teacher_sha256": "0" * 64}))
    assert f"{record.name}: learnt from weights with the SHA-256 {'0' * 64}" in finding()


# verify


@pytest.fixture
def genuine(make_record, engine):
    """A fabricated record whose parameter count is that of its model."""
    from lab1.training import models

    def make(*arguments, **keywords):
        record = make_record(*arguments, **keywords)
        model = models.build(record.spec.model, DATASETS[record.spec.dataset], record.spec.seed)
        return replace(record, parameters=models.count_parameters(model))

    return make


def test_verify_lists_claims_that_are_not_carried(lab1, monkeypatch):
    found = [(3, []), (3, ["1_1: “It hurts.”: depth needs below"])]
    monkeypatch.setattr(publish, "check_claims", lambda: found.pop(0))
    assert lab1("verify", "--claims") == (0, "3 claims verified, 0 findings\n", "")
    status, out, err = lab1("verify", "--claims")
    assert (status, err) == (1, "1_1: “It hurts.”: depth needs below\n") and "1 finding\n" in out


@pytest.mark.parametrize(
    ("tampered", "finding"),
    [
        (lambda r: {"parameters": r.parameters + 1}, "parameters, its model"),
        (lambda r: {"origin": {**r.origin, "data_fingerprint": "0" * 64}},
         "another fingerprint than the declared one"),
    ],
)  # fmt: skip
def test_verify_finds_what_was_tampered_with(lab1, genuine, tampered, finding):
    """Even where the checksum was made to fit, as `write` does."""
    record = genuine()
    write(record, genuine("ResidualMLP", 8, 1), genuine(seed=1, stopped="diverged"))
    assert lab1("verify") == (0, "3 records verified, 0 findings\n", "")
    write(replace(record, **tampered(record)))
    status, out, err = lab1("verify")
    assert (status, out) == (1, "3 records verified, 1 finding\n")
    assert err.startswith(record.name) and finding in err
    # The other records are found in order by themselves, for which a key's beginning is enough.
    assert lab1("verify", genuine(seed=1).key[:8])[1] == "1 record verified, 0 findings\n"
    assert lab1("verify", record.key)[0] == 1


def test_verify_names_every_file_that_holds_what_no_run_can_have_left(lab1, genuine):
    record, probed = genuine(), genuine(seed=1)
    store = write(replace(record, test={**record.test, "accuracy": 0.99}), probed)
    probe = store.write_probe(probed.spec, "confusion", {"counts": [[-1]]})
    benchmark = store.results / "benchmarks" / "cpu.json"
    benchmark.parent.mkdir(parents=True)
    benchmark.write_text("{}")
    status, out, err = lab1("verify")
    assert status == 1
    assert out == "1 record verified, 3 findings\n"
    for path in (store.run_dir(record.spec) / "record.json", probe, benchmark):
        assert f"{path}: " in err


@pytest.mark.parametrize("key", [[], [""]])
def test_retraining_takes_one_record(refused, genuine, key):
    write(genuine(seed=0), genuine(seed=1))
    assert "--retrain needs the key of one run; 2 match" in refused("verify", "--retrain", *key)


@pytest.fixture
def retrained(lab1, genuine, engine, monkeypatch):
    """The status and words of ``verify --retrain`` where a record, trained again, is another."""

    def verify(record, again, *arguments):
        write(record)
        monkeypatch.setattr("lab1.training.run.train_run", lambda spec, options: again)
        status, out, err = lab1("verify", record.key, "--retrain", *arguments)
        return status, out + err

    return verify


def with_loss(record, loss):
    """A record whose first epoch had another training loss."""
    return replace(record, history={**record.history, "train_loss": [loss, 0.7, 0.3]})


@pytest.mark.parametrize(
    ("family", "changes", "arguments", "status", "words"),
    [
        (None, {"accuracy": 0.895, "loss": 1.6}, (), 0,
         "test accuracy 0.9000, trained again 0.8950: within 0.01"),
        (None, {"accuracy": 0.895, "loss": 1.6}, ("--tolerance", "0.001"), 1,
         "further apart than 0.001 (--tolerance, for want of"),
        ("a family", {"loss": 1.501}, (), 0, "trained again 1.501: within 0.1%"),
        ("a family", {"loss": 1.502}, (), 1, "trained again 1.502: further apart than 0.1%"),
        ("another", {"loss": 1.6}, (), 0,
         "not judged, since its processor was another and is here a family"),
        (None, {"loss": 1.6}, (), 0,
         "not judged, since its processor was unknown and is here a family"),
        # The machine's pace does not matter.
        ("a family", {"pace": 33.0}, (), 0, "every loss, metric and score is equal"),
        ("a family", {"stopped": "diverged"}, (), 1, "trained again: diverged"),
    ],
)  # fmt: skip
def test_retraining_compares_the_first_loss_and_the_accuracy(
    retrained, genuine, segmented, family, changes, arguments, status, words
):
    """The loss on processors of one family, the accuracy within the tolerance."""
    record = genuine() if family is None else segmented(genuine())
    if family is not None:
        record.origin["segments"][0]["device"]["family"] = family
    changes = dict(changes)
    loss, pace = changes.pop("loss", None), changes.pop("pace", 1.0)
    again = segmented(genuine(**changes))
    again = replace(again, history={**again.history, "seconds": [pace] * 3})
    found, said = retrained(record, with_loss(again, loss) if loss else again, *arguments)
    assert found == status and words in said
    assert "of the first epoch" not in said or said.count("trained again") == 2, "in one line"


def test_a_run_that_diverges_again_repeats(retrained, genuine):
    """Its last losses are NaN in memory, and null in the file."""
    found, said = retrained(genuine(stopped="diverged"), genuine(stopped="diverged"))
    assert found == 0 and "score is equal" in said


@pytest.mark.parametrize(("accuracy", "status"), [(0.86, 0), (0.98, 0), (0.85, 1), (0.99, 1)])
def test_retraining_is_held_against_the_spread_over_seeds(retrained, genuine, accuracy, status):
    """Of standard deviation 0.01: two of three seeds lie 4.31 x sqrt 2 x 0.01 apart at most."""
    record, *others = (genuine(seed=seed, accuracy=0.92 - seed / 100) for seed in range(3))
    # Neither another configuration nor what has no score belongs to them.
    write(*others, genuine(seed=3, accuracy=0.5, width=8), genuine(seed=4, stopped="diverged"))
    found, said = retrained(record, with_loss(genuine(accuracy=accuracy), 1.4))
    assert found == status
    judged = "within" if status == 0 else "further apart than"
    assert f"{judged} 0.061 (so far apart are 95 % of all pairs of its 3 seeds)" in said


def test_the_table_in_its_three_forms(lab1, make_record):
    """Of the runs that the profile plans, published or one's own; two seeds have no interval."""
    publish_record(make_record(seed=0, accuracy=0.9))
    write(make_record(seed=1, accuracy=0.8), make_record("MLP", 32, 0))
    status, out, err = lab1("table", "performance", "--format", "csv")
    (row,) = csv.DictReader(out.splitlines())
    assert (status, err) == (0, "") and out.startswith("Model,Dataset,Depth,Learning rate,Params,")
    assert (row["Test accuracy"], row["95% half-width"], row["n"]) == ("85.0", "", "2")
    (read,) = json.loads(lab1("table", "performance", "--format", "json")[1])
    assert [*read] == [*row] and (read["Test accuracy"], read["95% half-width"]) == (85.0, None)
    first, line = lab1("table", "performance")[1].splitlines()
    assert all(column in first for column in row) and "85.0" in line


def test_the_table_on_distillation_has_the_runs_of_its_chapter_alone(home, lab1, make_record):
    study = {
        "dataset": "smoke-colour", "seeds": 0, "student_channels": 16, "student_depth": 2,
        "teacher_channels": 16, "teacher_depth": 2, "teacher_epochs": 3, "teacher_seed": 0,
        "temperature": 4, "alpha": 0.9, "epochs": 3, "validation_size": 500,
    }  # fmt: skip
    write_profile(home, {"1_1": GRID, "2_2": study})
    *_, taught = profiles.page("2_2", "report", {}).plan()
    colour = {"dataset": "smoke-colour"}
    write(
        make_record(),
        make_record("ResidualCNN", accuracy=0.9, **colour),
        make_record("SimpleCNN", accuracy=0.6, **colour),
        make_record("SimpleCNN", accuracy=0.7, distillation=taught.distillation, **colour),
    )
    out = lab1("table", "distillation", "--format", "csv")[1]
    rows = {row["Role"]: row for row in csv.DictReader(out.splitlines())}
    assert [*rows] == ["teacher", "student alone", "student with teacher"]
    assert rows["student with teacher"]["Improvement"] == "10.0"
    performance = lab1("table", "performance", "--format", "csv")[1]
    assert "CNN" not in performance and "MLP" in performance


def test_publish_and_site_hand_on_what_they_were_told_and_the_status(lab1, monkeypatch):
    calls = []

    def build(profile, preview, draft):
        calls.append((profile, preview, draft))
        return 3

    monkeypatch.setattr(publish, "publish", calls.append)
    monkeypatch.setattr(site_builder, "build", build)
    assert lab1("publish")[0] == lab1("publish", "--profile", "x")[0] == 0
    assert lab1("site", "--preview", "--draft", "--profile", "quick")[0] == 3
    monkeypatch.setenv("LAB1_PROFILE", "smoke")
    assert lab1("site")[0] == 3
    assert calls == ["report", "x", ("quick", True, True), ("smoke", False, False)]


@pytest.mark.parametrize(
    ("module", "extra"), [("papermill", "site"), ("torch", "train"), ("torchvision", "train")]
)
def test_a_missing_package_is_told_with_its_extra(refused, monkeypatch, module, extra):
    def fail(profile):
        raise ModuleNotFoundError(f"No module named {module!r}", name=module)

    monkeypatch.setattr(publish, "publish", fail)
    complaint = refused("publish")
    assert f"{module} is not installed" in complaint and f"'.[{extra}]'" in complaint


def test_what_a_finished_run_lacks_is_measured_where_it_can_be(
    home, lab1, monkeypatch, make_record
):
    """Nothing of one that diverged, or was published without weights; one that fails ends none."""
    write_profile(home, {"1_1": {**GRID, "depth": 2}})
    records = [make_record(seed=seed) for seed in range(4)]
    records.append(make_record(seed=4, stopped="diverged"))
    for record in records[:2]:
        publish_record(record)
    weights_file.published(records[1].spec, Store()).write_bytes(b"its weights")
    asked, measured = [], []

    def ensure(todo, options, store, probes):
        asked.append(options.report_to)
        return records

    def measure(record, probe, options, store):
        if record.spec.seed == 2:
            raise MissingRunsError("the weights are not here")
        measured.append((record.spec.seed, probe))

    monkeypatch.setattr(commands, "chapter", lambda _: SimpleNamespace(probes=lambda _: ["layers"]))
    monkeypatch.setattr(commands, "ensure", ensure)
    monkeypatch.setattr(ensuring, "ensure_probe", measure)
    status, _, complaints = lab1("run", "1_1")
    assert (status, complaints) == (2, "lab1: the probe 'layers': the weights are not here\n")
    assert measured == [(1, "layers"), (3, "layers")]
    lab1("run", "1_1", "--report-to", "wandb")
    assert asked == [None, "wandb"]


def test_reporting_without_its_package_trains_nothing(engine, refused, monkeypatch):
    from lab1.training.wandb import client as wandb_client

    found = wandb_client.importlib.util.find_spec
    monkeypatch.setattr(
        wandb_client.importlib.util,
        "find_spec",
        lambda name: None if name == "wandb" else found(name),
    )
    complaint = refused("run", "1_1", "--report-to", "wandb")
    assert "pip install -e '.[wandb]'" in complaint
    assert not Store().runs.exists()


# Real trainings


@pytest.fixture(scope="module")
def _once():
    return {}


@pytest.fixture
def tiny(home, lab1, engine, monkeypatch, tmp_path_factory, _once):
    """A laboratory of two tiny runs, trained once for this file."""
    write_profile(home, {"1_1": {**GRID, "depth": [1], "seeds": [0, 1], "epochs": 1}}, "tiny")
    monkeypatch.setenv("LAB1_PROFILE", "tiny")
    monkeypatch.setenv("LAB1_COMMIT", "0123456789abcdef")
    if not _once:
        runs = tmp_path_factory.mktemp("trained")
        monkeypatch.setenv("LAB1_RUNS", str(runs))
        _once["said"] = lab1("run", "1_1", "--device", "cpu", "--workers", "1")
        _once["runs"] = runs
    monkeypatch.setenv("LAB1_RUNS", str(_once["runs"]))
    return _once["said"]


@pytest.mark.slow
def test_run_trains_what_is_missing(tiny, lab1):
    status, out, err = tiny
    assert status == 0
    assert out.startswith("2 runs planned, 2 missing")
    assert "training 2 missing runs" in err and "[2/2] MLP, 1 layer," in err
    records, problems = Store().all()
    assert problems == []
    assert [(r.spec.seed, r.epochs, r.test["count"]) for r in records] == [
        (0, 1, 1000),
        (1, 1, 1000),
    ]
    assert lab1("run", "1_1")[1] == "2 runs planned, 0 missing\n"


@pytest.mark.slow
def test_a_trained_run_is_verified_and_trained_again_to_the_same(tiny, lab1):
    first = Store().all()[0][0]
    status, out, err = lab1("verify", first.key, "--retrain", "--device", "cpu")
    assert (status, err) == (0, "")
    assert "every loss, metric and score is equal" in out
    assert "1 record verified, 0 findings" in out


@pytest.mark.slow
def test_training_again_finds_a_number_that_was_never_measured(tiny, lab1, tmp_path, monkeypatch):
    """Consistent in itself, with a checksum that fits: only training again can tell."""
    first = Store().all()[0][0]
    errors = 10
    monkeypatch.setenv("LAB1_RUNS", str(tmp_path / "forged"))
    forged = replace(
        first, test={**first.test, "errors": errors, "accuracy": 1 - errors / first.test["count"]}
    )
    write(forged)
    assert lab1("verify")[0] == 0
    status, _, err = lab1("verify", first.key, "--retrain", "--device", "cpu")
    assert status == 1
    assert "test accuracy 0.9900, trained again" in err and "further apart than 0.01" in err


def test_a_further_page_is_listed_and_can_be_asked_for(home, lab1, monkeypatch):
    write_profile(home, {"1_1": [GRID, {**GRID, "page": "narrow", "width": 8}]})
    out = lab1("report", "1_1-narrow", "--help")[1]
    assert "  --profile report: 1_1, 1_1-narrow\n\nparameters of 1_1 that" in out
    status, out, _ = lab1("run", "1_1-narrow", "--dry-run", "-p", "seeds=0")
    assert status == 0 and "2 runs planned" in out and "width 8" in out
    monkeypatch.setenv("LAB1_PROFILE", "%s %(prog)s 100%")  # any name of a profile
    status, out, _ = lab1("run", "--help")
    assert status == 0 and "else %s %(prog)s 100%)" in " ".join(out.split())


def test_help_tells_every_parameter_with_its_range_whatever_profiles_there_are(lab1, home):
    out = lab1("run", "--help")[1]
    for chapter in chapters.CHAPTERS.values():
        for name in chapter.parameters:
            assert f"{name}: {PARAMETERS[name].meaning}\n      {PARAMETERS[name].allowed}" in out
    write_profile(home, {"1_1": {**GRID, "families": "NotNamedNow"}}, "mine")
    assert lab1("run", "--help")[0] == 0


@pytest.mark.parametrize("words", [["1_3", "--help"], ["--profile", "quick", "1_3", "--help"]])
def test_help_of_a_chapter_tells_its_own_parameters(lab1, words):
    parameters = lab1("run", *words)[1].partition("parameters of 1_3 that -p can change")[2]
    listed = re.findall(r"^  (\w+): ", parameters, re.M)
    assert listed == sorted(chapters.CHAPTERS["1_3"].parameters)


@pytest.fixture
def trainable(home, engine):
    """Trains the one run of the profile by the command line, and gives its spec."""
    write_profile(
        home, {"1_1": {**GRID, "depth": 2, "seeds": 0, "epochs": 1, "validation_size": 3500}}
    )
    (spec,) = next(iter(profiles.pages("report"))).plan()
    return spec


def test_run_again_replaces_record_probes_and_weights_together(trainable, lab1):
    assert lab1("run", "1_1")[0] == 0
    store, spec = Store(), trainable
    first = store.find(spec)
    left = files(store.runs)
    weights = (store.run_dir(spec) / "weights.safetensors").read_bytes()
    store.write(replace(first, seconds=99.0))
    store.write_probe(spec, "layers", {"of": "old weights"})
    (store.run_dir(spec) / "gradient-agreement.json").unlink()
    (store.run_dir(spec) / "weights.safetensors").write_bytes(b"damaged")
    status, out, err = lab1("run", "--again", spec.key[:8])
    assert (status, out) == (0, f"{spec.name}: trained again, in {store.run_dir(spec)}\n")
    assert "[1/1]" in err
    again = store.find(spec)
    assert again.seconds != 99.0
    assert (again.test, again.weights_sha256) == (first.test, first.weights_sha256)
    assert store.find_probe(spec, "gradient-agreement")["bf16"] < 1
    assert (store.run_dir(spec) / "weights.safetensors").read_bytes() == weights
    assert store.find_probe(spec, "layers").keys() >= {"initial", "trained"}
    assert files(store.runs) == sorted([*left, f"{spec.name}/layers.json"])
    assert lab1("verify")[0] == 0


def test_run_again_replaces_a_published_run_once_it_is_promoted(trainable, lab1, monkeypatch):
    from lab1.training import origin

    monkeypatch.setattr(origin, "commit", lambda: "0123abcd" * 5)
    store, spec = Store(), trainable
    lab1("run", "1_1")
    own = store.find(spec)
    assert lab1("promote", "--weights", spec.key)[0] == 0
    published = store.results / f"{spec.name}.safetensors"
    assert published.exists()
    # As if it had been trained on another processor.
    other = store.results / f"{spec.name}.json"
    other.unlink()
    store.write(replace(own, seconds=99.0, weights_sha256=None))
    lab1("promote")
    assert store.find(spec).seconds == 99.0
    assert lab1("run", "--again", spec.key)[0] == 0
    assert store.is_replaced(spec.name)
    status, out, _ = lab1("promote")
    assert status == 0 and f"{spec.name}.safetensors" in out
    assert not store.is_replaced(spec.name)
    again = store.find(spec)
    assert again.seconds != 99.0 and store.is_published(again)
    assert again.weights_sha256 == own.weights_sha256
    assert lab1("verify")[0] == 0


def test_a_teacher_that_was_trained_again_is_not_published_without_its_students(
    lab1, refused, taught, plans
):
    teacher, record = taught
    plans(record.spec)
    lab1("promote")
    write(replace(teacher, seconds=99.0, weights_sha256="f" * 64))
    complaint = refused("promote")
    assert f"{record.name} learnt from weights that are gone" in complaint
    assert f"python -m lab1 run --again {record.key}" in complaint
    assert Store().is_replaced(teacher.name)
