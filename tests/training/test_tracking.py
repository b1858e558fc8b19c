"""Trainings that report to Weights & Biases: by the real client, to a server of our own."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from importlib.util import find_spec
from types import SimpleNamespace

import pytest
from wandb_server import KEY, SilentServer, WandbServer, offline_run

from lab1.config import RuntimeOptions
from lab1.store import Store, read_record
from lab1.training import engine, tracking, wandb_client, wandb_runs

needs_wandb = pytest.mark.skipif(find_spec("wandb") is None, reason="needs the extra 'wandb'")

#: Trains the specs of its argument as `lab1 run --report-to wandb` does, with short limits.
TRAIN = """
import json, sys, time
from lab1.config import RunSpec, RuntimeOptions
from lab1.store import Store
from lab1.training import engine, tracking, wandb_client
from lab1.training.checkpoint import Checkpointer
wandb_client.INIT_SECONDS = wandb_client.FINISH_SECONDS = 2.0
tracking.CLOSE_SECONDS = 14.0
specs, stop_after = json.loads(sys.argv[1])
save = Checkpointer.save
def counted(self, state, count=[0]):
    save(self, state)
    count[0] += 1
    if count[0] == stop_after:
        raise KeyboardInterrupt("stopped")
Checkpointer.save = counted
options = RuntimeOptions(
    device="cpu", progress=False, report_to="wandb", checkpoint_seconds=0 if stop_after else 60
)
engine.train_all([RunSpec.from_dict(each) for each in specs], options, Store())
"""


@pytest.fixture(autouse=True)
def nobody(tmp_path, monkeypatch):
    """A user with an empty home and no login, whose network ends at this machine."""
    for name in [*os.environ]:
        if name.startswith("WANDB_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NETRC", str(tmp_path / "home" / ".netrc"))
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setattr(tracking, "_unreachable", threading.Event())
    monkeypatch.setattr(tracking, "_told_offline", threading.Event())


@pytest.fixture
def server(monkeypatch):
    """A W&B server whose user is logged in."""
    server = WandbServer()
    monkeypatch.setenv("WANDB_BASE_URL", server.url)
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    yield server
    server.close()


@pytest.fixture
def train(python, tmp_path, monkeypatch):
    """``train(*specs, stop_after=n)`` in a process of its own; gives status, complaints, seconds.

    With ``stop_after`` it is stopped right after its nth step.
    """
    laboratory = tmp_path / "laboratory"
    for name in ("params", "chapters"):
        (laboratory / name).mkdir(parents=True)
    monkeypatch.setenv("LAB1_HOME", str(laboratory))

    def run(*specs, stop_after=0):
        began = time.monotonic()
        process = python.start(TRAIN, json.dumps([[s.to_dict() for s in specs], stop_after]))
        output, complaints = process.communicate(timeout=120)
        assert output == ""
        assert KEY not in complaints
        return process.returncode, complaints, time.monotonic() - began

    return run


@pytest.fixture
def spec(make_spec):
    return make_spec("ResidualMLP", 2, seed=1, epochs=2, batch_size=512)


def outcome(record):
    """What does not depend on the machine's speed."""
    history = {k: v for k, v in record.history.items() if k not in ("seconds", "peak_memory_bytes")}
    return history, record.test, record.best_epoch, record.stopped


def record_of(spec):
    return read_record(Store().run_dir(spec) / "record.json")


def expected_outcome(spec):
    return outcome(engine.train_run(spec, RuntimeOptions(device="cpu", progress=False)))


def epochs_in(history):
    """The rows without what W&B adds to them."""
    return [{k: v for k, v in row.items() if not k.startswith("_")} for row in history]


def offline_files():
    return sorted((Store().runs / "wandb").glob("offline-run-*/*.wandb"))


def everything_in(folder):
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


# Offline


@needs_wandb
@pytest.mark.slow
def test_without_a_key_the_run_is_kept_offline_and_nobody_is_asked(train, spec, tmp_path):
    status, complaints, _ = train(spec)
    assert status == 0
    assert complaints.splitlines() == [complaints.strip()]
    assert "kept offline" in complaints and "`wandb sync " in complaints
    record = record_of(spec)
    (file,) = offline_files()
    found = offline_run(file)
    assert found["config"]["key"] == spec.key == found["run"].run_id
    assert found["config"]["recipe"] == spec.recipe
    assert found["config"]["spec"] == json.loads(json.dumps(spec.to_dict()))
    assert found["config"]["origin"] == record.origin
    assert found["run"].project == "MLP_vs_ResidualMLP_Comparison"
    assert found["run"].run_group == "ResidualMLP depth 2"
    assert found["run"].display_name == "seed 1, built-in grey patterns, learning rate 0.001"
    assert "built-in grey patterns" in found["run"].tags
    assert epochs_in(found["history"]) == wandb_runs.rows(record.history)
    assert {"learning_rate", "gradient_norm", "peak_memory_bytes", "train_loss"} <= {
        *found["history"][0]
    }
    for name, value in wandb_runs.summary(record).items():
        assert found["summary"][name] == value
    assert found["exit"] == 0
    (artifact,) = found["artifacts"]
    (content,) = artifact.manifest.contents
    weights = Store().run_dir(spec) / "weights.safetensors"
    assert (artifact.type, content.path) == ("model", "weights.safetensors")
    assert content.size == weights.stat().st_size
    # Every file of W&B lies in runs/, where `wandb sync` still finds the weights.
    assert content.local_path.startswith(str(Store().runs / "wandb"))
    assert [*(tmp_path / "home").iterdir()] == []


@needs_wandb
@pytest.mark.slow
def test_no_question_is_asked_at_a_terminal(spec):
    """Even where WANDB_MODE=online asks for what needs a key."""
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", TRAIN, json.dumps([[spec.to_dict()], 0])],
        stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
        env={**os.environ, "WANDB_MODE": "online"},
    )  # fmt: skip
    try:
        assert process.wait(timeout=60) == 0
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        os.close(theirs)
    told = os.read(ours, 100_000).decode()
    os.close(ours)
    assert "kept offline" in told and len(told.splitlines()) == 1
    assert len(offline_files()) == 1


@needs_wandb
@pytest.mark.slow
@pytest.mark.parametrize(("mode", "files"), [("offline", 1), ("disabled", 0)])
def test_the_mode_that_was_asked_for_is_respected(server, train, spec, monkeypatch, mode, files):
    monkeypatch.setenv("WANDB_MODE", mode)
    assert train(spec)[0] == 0
    assert server.asked == []
    assert len(offline_files()) == files
    assert record_of(spec).epochs == 2


# Online


@needs_wandb
@pytest.mark.slow
def test_a_run_is_sent_while_it_is_trained(server, train, spec, tmp_path):
    status, complaints, _ = train(spec)
    assert (status, complaints) == (0, "")
    record = record_of(spec)
    run = server.runs["MLP_vs_ResidualMLP_Comparison", spec.key]
    assert run["state"] == "finished"
    assert run["config"]["spec"]["value"] == json.loads(json.dumps(spec.to_dict()))
    assert epochs_in(run["history"]) == wandb_runs.rows(record.history)
    assert run["summary"]["test/accuracy"] == record.test["accuracy"]
    weights = Store().run_dir(spec) / "weights.safetensors"
    assert server.uploads["artifact/weights.safetensors"] == weights.read_bytes()
    assert server.artifacts[0]["artifactTypeName"] == "model"
    # The key stands nowhere: not in a log of the client, not in a record.
    assert KEY.encode() not in everything_in(tmp_path)


@needs_wandb
@pytest.mark.slow
def test_a_login_in_netrc_is_a_key(server, train, spec, tmp_path, monkeypatch):
    monkeypatch.delenv("WANDB_API_KEY")
    host = server.url.removeprefix("http://")
    netrc = tmp_path / "home" / ".netrc"
    netrc.write_text(f"machine {host}\n  login user\n  password {KEY}\n")
    netrc.chmod(0o600)
    assert train(spec)[:2] == (0, "")
    assert server.runs["MLP_vs_ResidualMLP_Comparison", spec.key]["state"] == "finished"
    assert KEY.encode() not in everything_in(Store().runs)


@needs_wandb
@pytest.mark.slow
def test_a_run_that_was_stopped_loses_no_epoch(server, train, make_spec):
    spec = make_spec(epochs=4, batch_size=1024)  # four steps, and a save after each epoch
    status, _, _ = train(spec, stop_after=11)
    assert status != 0
    project = "MLP_vs_ResidualMLP_Comparison"
    run = server.runs[project, spec.key]
    assert run["state"] == "failed" and len(run["history"]) == 2
    assert train(spec)[:2] == (0, "")
    assert list(server.runs) == [(project, spec.key)]
    assert epochs_in(run["history"]) == wandb_runs.rows(record_of(spec).history)
    assert run["state"] == "finished"


@needs_wandb
@pytest.mark.slow
def test_a_run_that_diverged_is_sent_with_its_last_epoch(server, train, make_spec):
    spec = make_spec(optimizer="sgd", learning_rate=100.0, epochs=3)
    assert train(spec)[0] == 0
    record = record_of(spec)
    assert record.stopped == "diverged"
    run = server.runs["MLP_vs_ResidualMLP_Comparison", spec.key]
    assert run["summary"]["stopped"] == "diverged" and "test/accuracy" not in run["summary"]
    assert epochs_in(run["history"]) == wandb_runs.rows(record.history)


# A W&B that does not work


@pytest.fixture(params=["silent", "refused", "fails"])
def broken(request, monkeypatch):
    """The address of a server that never answers, of none, and of one that answers with errors."""
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    if request.param == "refused":
        yield None
        return
    server = SilentServer() if request.param == "silent" else WandbServer(fails=True)
    monkeypatch.setenv("WANDB_BASE_URL", server.url)
    yield server
    server.close()


@needs_wandb
@pytest.mark.slow
def test_a_broken_wandb_changes_nothing_but_a_line(broken, train, make_spec, tmp_path):
    """The second run does not wait for it again."""
    specs = [make_spec(seed=seed, epochs=2, batch_size=512) for seed in (0, 1)]
    status, complaints, seconds = train(*specs)
    assert status == 0
    for spec in specs:
        assert outcome(record_of(spec)) == expected_outcome(spec)
    warnings = [line for line in complaints.splitlines() if "wandb push" in line]
    assert len(warnings) == 1 and specs[0].key in warnings[0]
    assert len(complaints.splitlines()) <= 2  # and where the runs are kept
    assert {offline_run(file)["config"]["key"] for file in offline_files()} == {
        spec.key for spec in specs
    }
    assert seconds < 60
    if isinstance(broken, SilentServer):
        assert broken.connections <= 3
    assert KEY.encode() not in everything_in(tmp_path)


@needs_wandb
@pytest.mark.slow
def test_a_wandb_that_falls_silent_is_left_with_what_it_has(monkeypatch, train, spec):
    """It takes the run, and then nothing any more."""
    server = WandbServer(answers=1)
    monkeypatch.setenv("WANDB_BASE_URL", server.url)
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    status, complaints, seconds = train(spec)
    server.close()
    assert (status, server.asked[:1]) == (0, ["UpsertBucket"])
    assert outcome(record_of(spec)) == expected_outcome(spec)
    assert len(complaints.splitlines()) == 1 and f"wandb push {spec.key}" in complaints
    assert seconds < 60


def test_what_the_client_is_told_keeps_it_out_of_the_way(make_spec, tmp_path):
    """A click on "stop run", for one, would else interrupt the training."""
    told = {}
    wandb = SimpleNamespace(
        init=lambda **arguments: told.update(arguments), Settings=lambda **settings: settings
    )
    spec = make_spec("ResNet", 8)
    config = wandb_runs.config_of(spec, spec.recipes)
    wandb_client.start_run(wandb, spec, config, tmp_path / "runs")
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


class _Run:
    """A W&B run that keeps what it is told, or does worse."""

    offline = False

    def __init__(self, act=lambda: None):
        self.rows = []
        self.ended = None
        self._act = act

    def log(self, row, step, commit):
        self._act()
        self.rows.append(row)

    def finish(self, exit_code):
        self._act()
        self.ended = exit_code


@pytest.fixture
def fake(monkeypatch):
    """Puts a run in the place of what the client opens: ``fake(run)``, or ``fake(opens=f)``."""

    def put(run=None, opens=None):
        monkeypatch.setattr(wandb_client, "check_installed", lambda: None)
        monkeypatch.setattr(wandb_client, "client", lambda runs: None)
        monkeypatch.setattr(wandb_client, "has_credentials", lambda wandb: True)
        monkeypatch.setattr(wandb_client, "log_outcome", lambda *arguments: None)
        monkeypatch.setattr(wandb_client, "forget_failed_start", lambda wandb: None)
        monkeypatch.setattr(wandb_client, "start_run", opens or (lambda *a, **k: run))

    return put


OPTIONS = RuntimeOptions(device="cpu", progress=False, report_to="wandb")


def test_a_training_waits_for_wandb_once_and_only_at_its_end(
    fake, make_spec, monkeypatch, capsys, store
):
    """Its client is stuck for ever; the training sees one wait, of the limit."""
    stuck = threading.Event()
    fake(opens=lambda *arguments, **keywords: stuck.wait())
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
    record = engine.train_run(spec, OPTIONS, store)
    assert outcome(record) == expected_outcome(spec)
    assert waits == [tracking.CLOSE_SECONDS]
    told = capsys.readouterr().err
    assert len(told.splitlines()) == 1 and f"lab1 wandb push {spec.key}" in told
    assert tracking._unreachable.is_set()
    stuck.set()


def test_whatever_fails_in_the_client_is_one_line(fake, make_spec, capsys, store):
    def fail():
        raise RuntimeError(f"no {KEY}\nand a traceback")

    fake(_Run(fail))
    spec = make_spec(batch_size=1024)
    record = engine.train_run(spec, OPTIONS, store)
    assert outcome(record) == expected_outcome(spec)
    told = capsys.readouterr().err
    assert len(told.splitlines()) == 1 and "no ***." in told


def test_no_client_at_all_is_one_line(fake, make_spec, capsys, store):
    def fail(*arguments, **keywords):
        raise OSError("no space left on device")

    fake(opens=fail)
    assert engine.train_run(make_spec(batch_size=1024), OPTIONS, store).epochs == 3
    assert capsys.readouterr().err.count("\n") == 1


def test_every_epoch_is_reported_once_and_the_run_is_ended(fake, make_spec, store):
    run = _Run()
    fake(run)
    record = engine.train_run(make_spec(batch_size=1024), OPTIONS, store)
    assert run.rows == wandb_runs.rows(record.history)
    assert run.ended == 0


def test_the_epochs_of_a_checkpoint_are_reported_at_the_start(fake, make_record, store):
    run, record = _Run(), make_record()
    fake(run)
    tracker = tracking.Tracker(record.spec, store.runs)
    tracker.on_train_begin(SimpleNamespace(history=record.history))
    tracker.close()
    assert run.rows == wandb_runs.rows(record.history)


def test_a_training_that_fails_ends_its_run_as_failed(fake, make_spec, store, monkeypatch):
    run = _Run()
    fake(run)
    monkeypatch.setattr(engine.StreamlinedTrainer, "evaluate", lambda *arguments: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        engine.train_run(make_spec(batch_size=1024), OPTIONS, store)
    assert run.ended == 1


def test_nothing_is_reported_unasked(fake, make_spec, store):
    fake(opens=lambda *arguments, **keywords: pytest.fail("reported"))
    engine.train_run(make_spec(batch_size=1024), RuntimeOptions("cpu", progress=False), store)
    assert "wandb" not in [thread.name for thread in threading.enumerate()]
