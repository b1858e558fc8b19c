"""Trainings that report to Weights & Biases.

What is sent is seen by a fake of the client's public surface; that the real client takes it, keeps
it offline, asks nobody and gives up in time, by running it where nobody answers.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from dataclasses import replace
from importlib.util import find_spec
from types import SimpleNamespace

import pytest
from fake_wandb import KEY, PROJECT
from repeats import outcome, train_until_checkpoint

from lab1.core.record import read_record
from lab1.core.store import Store
from lab1.core.training_config import RuntimeOptions
from lab1.training import run as running
from lab1.training.trainer import StreamlinedTrainer
from lab1.training.wandb import client as wandb_client
from lab1.training.wandb import mapping as wandb_runs
from lab1.training.wandb import offline
from lab1.training.wandb import tracker as tracking

needs_wandb = pytest.mark.skipif(find_spec("wandb") is None, reason="needs the extra 'wandb'")

#: Trains the specs of its argument as `lab1 run --report-to wandb` does, with short limits.
TRAIN = """
import json, sys
from lab1.core.training_config import RuntimeOptions
from lab1.core.spec import RunSpec
from lab1.core.store import Store
from lab1.training.engines import local as engine
from lab1.training.wandb import client as wandb_client
from lab1.training.wandb import tracker as tracking
wandb_client.INIT_SECONDS = wandb_client.FINISH_SECONDS = 2.0
tracking.CLOSE_SECONDS = 14.0
options = RuntimeOptions(device="cpu", progress=False, report_to="wandb")
specs = [RunSpec.from_dict(each) for each in json.loads(sys.argv[1])]
engine.train_all(engine.Grid(specs), options, Store())
"""

OPTIONS = RuntimeOptions(device="cpu", progress=False, report_to="wandb")


@pytest.fixture(autouse=True)
def _no_answer_yet(nobody, monkeypatch):
    """A user without a login, of whom no test before this one has learnt anything."""
    monkeypatch.setattr(tracking, "_unreachable", threading.Event())
    monkeypatch.setattr(tracking, "_told_offline", threading.Event())


@pytest.fixture
def train(python, laboratory, tmp_path):
    """``train(*specs)`` in a process of its own, with the real client; gives its complaints."""

    def run(*specs):
        process = python.start(TRAIN, json.dumps([spec.to_dict() for spec in specs]))
        output, complaints = process.communicate(timeout=120)
        assert (process.returncode, output) == (0, ""), complaints
        return complaints

    yield run
    # The key stands nowhere: not in a log of the client, not in a record.
    assert KEY.encode() not in everything_in(tmp_path, besides=".netrc")


@pytest.fixture
def spec(make_spec):
    return make_spec("ResidualMLP", 2, seed=1, epochs=2, batch_size=512)


def record_of(spec):
    return read_record(Store().run_dir(spec) / "record.json")


def expected_outcome(spec):
    return outcome(running.train_run(spec, RuntimeOptions(device="cpu", progress=False)))


def rows_of(run):
    """What was logged, without what W&B adds."""
    return [{k: v for k, v in row.items() if not k.startswith("_")} for row in run.rows]


def offline_files():
    return sorted((Store().runs / "wandb").glob("offline-run-*/*.wandb"))


def everything_in(folder, besides=None):
    """All bytes of all files in a folder, but for those of one name."""
    paths = [path for path in folder.rglob("*") if path.is_file() and path.name != besides]
    return b"".join(path.read_bytes() for path in paths)


# The real client


@needs_wandb
@pytest.mark.slow
def test_without_a_key_the_run_is_kept_offline_and_nobody_is_asked(spec, tmp_path):
    """At a terminal, and though WANDB_MODE=online asks for what needs a key."""
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", TRAIN, json.dumps([spec.to_dict()])],
        stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
        env={**os.environ, "WANDB_MODE": "online"},
    )  # fmt: skip
    try:
        assert process.wait(timeout=120) == 0
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        os.close(theirs)
    told = os.read(ours, 100_000).decode()
    os.close(ours)
    assert "kept offline" in told and "`wandb sync " in told and len(told.splitlines()) == 1
    record = record_of(spec)
    (file,) = offline_files()
    content = file.read_bytes()
    for words in (
        PROJECT,
        "ResidualMLP depth 2",
        "seed 1, built-in grey patterns, learning rate 0.001",
        "weights.safetensors",
    ):
        assert words.encode() in content, words
    # W&B's own reader brings the whole record back.
    elsewhere = Store(tmp_path / "results", tmp_path / "elsewhere")
    assert [pulled.outcome for pulled in offline.pull(Store().runs, elsewhere)] == ["pulled"]
    origin = {**record.origin, "pulled_from": f"wandb: {PROJECT}/{spec.key}, offline"}
    assert elsewhere.find(spec) == replace(record, origin=origin)
    # Every file of W&B lies in runs/, where `wandb sync` still finds the weights.
    weights = (Store().run_dir(spec) / "weights.safetensors").read_bytes()
    kept = [path for path in (Store().runs / "wandb").rglob("*") if path.is_file()]
    assert any(path.read_bytes() == weights for path in kept)
    assert [*(tmp_path / "home").iterdir()] == []


@needs_wandb
@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize(("mode", "files"), [("offline", 1), ("disabled", 0)])
def test_the_mode_that_was_asked_for_is_respected(only_long, train, spec, monkeypatch, mode, files):
    """Though there is a key: whoever asked the address, at which nobody answers, would say so."""
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setenv("WANDB_MODE", mode)
    complaints = train(spec)
    assert "wandb push" not in complaints and complaints.count("\n") == files
    assert len(offline_files()) == files
    assert record_of(spec).epochs == 2


@pytest.fixture(params=["refused", pytest.param("silent", marks=pytest.mark.long)])
def unreachable(request, monkeypatch):
    """A key, and an address at which nobody listens, or at which nobody ever says a word.

    The silent one is waited for up to every limit, and so is asked with ``--long`` alone.
    """
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    if request.param == "refused":
        yield
        return
    if not request.config.getoption("--long"):
        pytest.skip("waits up to every limit; see `make test-long`")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{listening.getsockname()[1]}")
        yield


@needs_wandb
@pytest.mark.slow
def test_a_wandb_that_cannot_be_reached_changes_nothing_but_a_line(unreachable, train, make_spec):
    """The second run does not wait for it again, and both are kept offline."""
    specs = [make_spec(seed=seed, epochs=2, batch_size=512) for seed in (0, 1)]
    complaints = train(*specs)
    for spec in specs:
        assert outcome(record_of(spec)) == expected_outcome(spec)
    warnings = [line for line in complaints.splitlines() if "wandb push" in line]
    assert len(warnings) == 1 and specs[0].key in warnings[0]
    assert len(complaints.splitlines()) <= 2  # and where the runs are kept
    kept = b"".join(file.read_bytes() for file in offline_files())
    assert len(offline_files()) == 2 and all(spec.key.encode() in kept for spec in specs)


# What is sent


def test_a_run_is_sent_while_it_is_trained(wandb, spec, store):
    sent = []
    wandb.act = lambda: sent.append(store.find(spec) is None)
    record = running.train_run(spec, OPTIONS, store)
    ((place, run),) = wandb.runs.items()
    assert place == (PROJECT, spec.key)
    assert sent == [True] * 3  # two epochs and the end, before there was a record
    assert run.state == "finished"
    assert (run.config["key"], run.config["recipe"]) == (spec.key, spec.recipe)
    assert run.config["spec"] == spec.to_dict() and run.config["origin"] == record.origin
    assert rows_of(run) == wandb_runs.rows(record.history)
    assert run.summary == wandb_runs.summary(record)
    (artifact,) = run.artifacts
    weights = store.run_dir(spec) / "weights.safetensors"
    assert artifact.type == "model" and artifact.files == {weights.name: str(weights)}


def test_a_run_goes_to_the_project_that_was_asked_for(wandb, spec, store):
    running.train_run(spec, replace(OPTIONS, wandb_project="mine"), store)
    assert [project for project, _ in wandb.runs] == ["mine"]


def test_a_run_that_was_stopped_loses_no_epoch(wandb, make_spec, store):
    """Four steps an epoch, and a save after each step and epoch: it ends in the third epoch."""
    spec, options = make_spec(epochs=4, batch_size=1024), replace(OPTIONS, checkpoint_seconds=0)
    train_until_checkpoint(11, spec, options, store)
    first = wandb.runs[PROJECT, spec.key]
    assert first.state == "failed" and len(first.rows) == 2
    record = running.train_run(spec, options, store)
    assert list(wandb.runs) == [(PROJECT, spec.key)]  # written anew in its place
    again = wandb.runs[PROJECT, spec.key]
    assert again is not first and again.state == "finished"
    assert rows_of(again) == wandb_runs.rows(record.history) and len(again.rows) == 4


def test_a_run_that_diverged_is_sent_with_its_last_epoch(wandb, make_spec, store):
    spec = make_spec(optimizer="sgd", learning_rate=100.0, epochs=3)
    record = running.train_run(spec, OPTIONS, store)
    assert record.stopped == "diverged"
    run = wandb.runs[PROJECT, spec.key]
    assert run.summary["stopped"] == "diverged" and "test/accuracy" not in run.summary
    assert rows_of(run) == wandb_runs.rows(record.history)


# A W&B that does not work


def raising(error):
    def act(**_):
        raise error

    return act


@pytest.mark.parametrize("error", [TimeoutError("no answer"), RuntimeError("status 400")])
def test_a_run_that_cannot_be_opened_is_kept_offline_and_so_is_the_next(
    wandb, make_spec, store, capsys, error
):
    wandb.opens = raising(error)
    specs = [make_spec(seed=seed, batch_size=1024) for seed in (0, 1)]
    records = [running.train_run(spec, OPTIONS, store) for spec in specs]
    assert [told["mode"] for told in wandb.opened] == [None, "offline", "offline"]
    for run, record in zip(wandb.offline, records, strict=True):
        assert rows_of(run) == wandb_runs.rows(record.history) and run.state == "finished"
    failed, kept = capsys.readouterr().err.splitlines()
    assert str(error) in failed and f"lab1 wandb push {specs[0].key}" in failed
    assert "kept offline" in kept


def test_a_wandb_that_falls_silent_is_left_with_what_it_has(wandb, make_spec, store, capsys):
    """It takes the run, and then nothing any more."""
    wandb.act = raising(TimeoutError("no answer"))
    first, second = (make_spec(seed=seed, batch_size=1024) for seed in (0, 1))
    record = running.train_run(first, OPTIONS, store)
    assert outcome(record) == expected_outcome(first)
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and f"wandb push {first.key}" in told
    wandb.act = lambda: None
    running.train_run(second, OPTIONS, store)
    assert [run.id for run in wandb.offline] == [second.key]


def test_without_a_login_whoever_disabled_wandb_is_not_kept_offline(wandb, spec, monkeypatch):
    monkeypatch.setattr(wandb_client, "has_credentials", lambda wandb: False)
    monkeypatch.setenv("WANDB_MODE", "disabled")
    running.train_run(spec, OPTIONS)
    assert [told["mode"] for told in wandb.opened] == [None]  # the client then asks the variable


def test_what_the_client_is_told_keeps_it_out_of_the_way(make_spec, tmp_path):
    """A click on "stop run", for one, would else interrupt the training."""
    told = {}
    wandb = SimpleNamespace(
        init=lambda **arguments: told.update(arguments), Settings=lambda **settings: settings
    )
    spec = make_spec("ResNet", 8)
    wandb_client.start_run(wandb, spec, spec.recipes, tmp_path / "runs")
    assert (told["project"], told["id"]) == ("CNN_Comparison_CIFAR10", spec.key)
    assert told["reinit"] == "create_new"  # not a run that is open here already
    assert told["dir"] == tmp_path / "runs" and told["dir"].is_dir()
    assert told["settings"]["stop_fn"]() is None
    assert told["settings"]["init_timeout"] == wandb_client.INIT_SECONDS
    assert told["settings"]["finish_timeout"] == wandb_client.FINISH_SECONDS
    assert told["settings"]["console"] == "off"


@pytest.mark.parametrize(("open_run", "ended"), [(None, 1), ("somebody's", 0)])
def test_a_start_that_failed_ends_nobody_elses_run(open_run, ended):
    calls = []
    wandb_client.forget_failed_start(
        SimpleNamespace(run=open_run, teardown=lambda: calls.append(1))
    )
    assert len(calls) == ended


def test_a_training_waits_for_wandb_once_and_only_at_its_end(
    wandb, make_spec, monkeypatch, capsys, store
):
    """Its client is stuck for ever; the training sees one wait, of the limit."""
    stuck = threading.Event()
    wandb.opens = stuck.wait
    waits = []
    join = threading.Thread.join

    def waited(thread, timeout=None):
        if thread.name == "wandb":
            waits.append(timeout)
            timeout = 0.01
        join(thread, timeout)

    monkeypatch.setattr(threading.Thread, "join", waited)
    monkeypatch.setattr(tracking, "_QUEUE_SIZE", 1)  # so that it is full, too
    spec = make_spec(batch_size=1024)
    record = running.train_run(spec, OPTIONS, store)
    assert outcome(record) == expected_outcome(spec)
    assert waits == [tracking.CLOSE_SECONDS]
    told = capsys.readouterr().err
    assert len(told.splitlines()) == 1 and f"lab1 wandb push {spec.key}" in told
    assert tracking._unreachable.is_set()
    stuck.set()


@pytest.mark.parametrize(
    ("fails", "error", "words"),
    [
        ("act", RuntimeError(f"no {KEY}\nand a traceback"), "no ***."),
        ("init", OSError("no space left on device"), "no space left on device"),  # nor offline
    ],
)
def test_whatever_fails_in_the_client_is_one_line(
    wandb, make_spec, capsys, store, fails, error, words
):
    setattr(wandb, fails, raising(error))
    spec = make_spec(batch_size=1024)
    record = running.train_run(spec, OPTIONS, store)
    assert outcome(record) == expected_outcome(spec)
    told = capsys.readouterr().err
    assert len(told.splitlines()) == 1 and words in told


def test_a_training_that_fails_ends_its_run_as_failed(wandb, make_spec, store, monkeypatch):
    monkeypatch.setattr(StreamlinedTrainer, "evaluate", lambda *arguments: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        running.train_run(make_spec(batch_size=1024), OPTIONS, store)
    assert [run.state for run in wandb.runs.values()] == ["failed"]


def test_nothing_is_reported_unasked(wandb, make_spec, store):
    before = set(threading.enumerate())
    running.train_run(make_spec(batch_size=1024), RuntimeOptions("cpu", progress=False), store)
    assert wandb.opened == [] and set(threading.enumerate()) <= before
