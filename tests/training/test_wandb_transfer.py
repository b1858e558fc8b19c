"""``lab1 wandb push`` and ``pull``, to a fake of the client's public surface and back."""

import json
from dataclasses import replace
from importlib.util import find_spec

import pytest
from fake_wandb import KEY, PROJECT

from lab1.cli.main import main
from lab1.core.record import Record, read_record
from lab1.core.store import Store
from lab1.errors import RecordError, TrackingError
from lab1.training.wandb import client as wandb_client
from lab1.training.wandb import mapping as wandb_runs

needs_wandb = pytest.mark.skipif(find_spec("wandb") is None, reason="needs the extra 'wandb'")
pytestmark = pytest.mark.usefixtures("nobody", "laboratory")


@pytest.fixture
def lab1(capsys):
    """``lab1("push", ...)`` as from the command line; gives status, output and complaints."""

    def run(*arguments):
        status = main(["wandb", *arguments])
        said = capsys.readouterr()
        return status, said.out, said.err

    return run


def without(record, *names):
    """The record as written, without its checksum and these entries of its origin."""
    body = record.to_dict()
    body.pop("checksum")
    body["origin"] = {k: v for k, v in body["origin"].items() if k not in names}
    return body


def test_a_record_that_was_sent_twice_is_there_once_and_comes_back(
    wandb, lab1, make_record, monkeypatch, tmp_path
):
    record, other = make_record("MLP", 2, 0), make_record("ResidualMLP", 8, 1, stopped="diverged")
    store = Store()
    for each in (record, other):
        store.write(each)
    weights = store.run_dir(record.spec) / "weights.safetensors"
    weights.write_bytes(b"weights")
    for _ in range(2):
        status, out, err = lab1("push", record.key, other.key[:10])
        assert (status, err) == (0, "")
        assert out.endswith("2 records sent\n") and f"/runs/{record.key}" in out
    assert list(wandb.runs) == [(PROJECT, record.key), (PROJECT, other.key)]
    run = wandb.runs[PROJECT, record.key]
    assert len(run.rows) == 3 and run.state == "finished"
    assert run.arguments["group"] == "MLP depth 2"
    assert {told["mode"] for told in wandb.opened} == {"online"}
    assert [artifact.files for artifact in run.artifacts] == [{weights.name: str(weights)}]
    # Where the records are, nothing happens; where they are not, they come into being.
    status, out, err = lab1("pull", "--entity", "me", "--project", PROJECT)
    assert (status, err) == (0, "") and "0 pulled, 2 present, 0 skipped, 0 refused" in out
    assert read_record(store.path_of(record.spec)) == record
    monkeypatch.setenv("LAB1_RUNS", str(tmp_path / "elsewhere"))
    status, out, err = lab1("pull", "--entity", "me", "--project", PROJECT)
    assert (status, err) == (0, "") and "2 pulled, 0 present, 0 skipped, 0 refused" in out
    records, problems = Store().all()
    assert problems == []
    pulled = {each.key: each for each in records}
    for each in (record, other):
        back = pulled[each.key]
        assert back.origin["pulled_from"] == f"wandb: me/{PROJECT}/{each.key}"
        assert without(back, "pulled_from") == without(Record.from_dict(each.to_dict()))


def _times_out(**_):
    raise TimeoutError("no answer")


def test_pulling_says_what_it_leaves_and_goes_on(wandb, lab1, make_record):
    damaged, unfinished, cut, good = (make_record(seed=seed) for seed in range(4))
    foreign = _Run(good, config={"learning_rate": 0.1})
    foreign.id = "foreign"
    empty = _Run(good)
    empty.id, empty.config = "empty", None
    silent = _Run(good)
    silent.id, silent.history = "silent", _times_out
    runs = [
        empty,
        silent,
        _Run(damaged, spec=make_record(seed=9).spec.to_dict()),
        foreign,
        _Run(unfinished, state="running"),
        _Run(cut),
        _Run(good),
    ]
    del runs[5].rows[1]
    wandb.runs = {("P", run.id): run for run in runs}
    status, out, err = lab1("pull", "--entity", "me", "--project", "P")
    assert status == 1
    assert "1 pulled, 0 present, 3 skipped, 3 refused" in out
    assert "me/P/empty: skipped: it has no spec" in out
    assert "me/P/silent: refused: me/P/silent could not be read: Weights & Biases: " in err
    assert "me/P/foreign: skipped: it has no spec, so it is no run of lab1" in out
    assert f"me/P/{unfinished.key}: skipped: it is not finished (its state: running)" in out
    assert f"me/P/{damaged.key}: refused: its key" in err
    assert f"me/P/{cut.key}: refused: its history has 2 of 3 epochs" in err
    records, problems = Store().all()
    assert [record.spec.seed for record in records] == [3] and problems == []


def test_a_project_that_is_not_there_is_told(wandb, lab1):
    status, _, err = lab1("pull", "--entity", "me", "--project", "nowhere")
    assert status == 2
    assert err.startswith("lab1: me/nowhere could not be read: Weights & Biases: ")


def test_a_server_that_cannot_be_reached_is_told_without_the_key(wandb, lab1, make_record):
    def refused():
        raise ConnectionError(f"nobody listens to {KEY}")

    wandb.opens = refused
    record = make_record()
    Store().write(record)
    status, _, err = lab1("push", record.key)
    assert status == 2
    assert err == f"lab1: {record.name} was not sent: Weights & Biases: nobody listens to ***\n"


# The real client, before anything is sent

#: Without a login, with one of the file `.netrc`, and with a key in the environment; and that what
#: lab1 calls exists under these names and takes these arguments, in the fakes' place.
ASK = """
import inspect, os, sys, wandb
from pathlib import Path
from lab1.cli.main import main
from lab1.core.spec import ModelSpec, RunSpec, TrainingConfig
from lab1.training.wandb import client

print(main(["wandb", "push", ""]))
runs, netrc = Path(sys.argv[1]), Path(os.environ["NETRC"])
print(client.has_credentials(client.client(runs)))
netrc.write_text(f"machine 127.0.0.1:9\\n  login user\\n  password {sys.argv[2]}\\n")
netrc.chmod(0o600)
print(client.has_credentials(client.client(runs)))
netrc.unlink()
os.environ["WANDB_API_KEY"] = sys.argv[2]
print(client.has_credentials(client.client(runs)))

def check(function, *arguments, **keywords):
    inspect.signature(function).bind(*arguments, **keywords)

class Surface:
    Settings = wandb.Settings
    @staticmethod
    def init(**arguments):
        check(wandb.init, **arguments)

spec = RunSpec(ModelSpec("MLP", 2, 8), "smoke-grey", TrainingConfig(validation_size=500), 0)
client.start_run(Surface, spec, spec.recipes, runs, mode="offline")
check(wandb.Run.log, None, {}, step=1, commit=True)
check(wandb.Run.finish, None, exit_code=1)
check(wandb.Run.log_artifact, None, None)
check(wandb.Artifact, "name", type="model")
check(wandb.Artifact.add_file, None, "path", name="name")
check(wandb.Api, timeout=1)
check(wandb.Api.runs, None, "me/project")
check(wandb.apis.public.Run.history, None, samples=1, pandas=False)
check(wandb.teardown)
"""


@needs_wandb
@pytest.mark.slow
def test_a_login_is_found_without_asking_and_the_fakes_are_as_the_client(
    python, make_record, tmp_path
):
    Store().write(make_record())
    process = python.start(ASK, tmp_path / "runs", KEY)
    output, complaints = process.communicate(timeout=120)
    assert (process.returncode, output) == (0, "2\nFalse\nTrue\nTrue\n"), complaints
    assert complaints == (
        "lab1: no API key: set WANDB_API_KEY, or log in once with `wandb login`\n"
    )


@needs_wandb
@pytest.mark.parametrize("command", [("push", ""), ("pull", "--entity", "e", "--project", "p")])
def test_offline_nothing_is_exchanged(lab1, make_record, monkeypatch, command):
    monkeypatch.setenv("WANDB_MODE", "offline")
    Store().write(make_record())
    complaint = "lab1: WANDB_MODE is 'offline', so nothing is exchanged; unset it\n"
    assert lab1(*command) == (2, "", complaint)


# Runs that others have sent


class _Run:
    """A run that somebody else has sent, as `wandb.Api` gives it, with changes to what it says."""

    def __init__(self, record, state="finished", config=None, **changes):
        sent = wandb_runs.config_of(record.spec, record.recipes)
        self.config = config or {**sent, "origin": dict(record.origin), **changes}
        self.id, self.state, self.summary = record.key, state, wandb_runs.summary(record)
        self.rows = [{**row, "_step": row["epoch"]} for row in wandb_runs.rows(record.history)]

    def history(self, samples, pandas):
        return self.rows


@pytest.fixture
def pulled(wandb, store):
    """What became of these runs: ``pulled(run, ...)``."""

    def pull(*runs):
        wandb.runs = {("P", index): run for index, run in enumerate(runs)}
        return [(each.outcome, each.why) for each in wandb_client.pull("E", "P", store)]

    return pull


def test_a_run_that_is_being_trained_is_left_to_its_process(pulled, store, make_record):
    with store.claim(make_record().spec):
        assert pulled(_Run(make_record())) == [("skipped", "another process is training it")]
    assert store.find(make_record().spec) is None


def test_a_run_of_an_older_recipe_is_skipped(pulled, store, make_record, monkeypatch):
    run = _Run(make_record())
    monkeypatch.setattr("lab1.core.spec.RECIPE", {"MLP": 2})
    assert pulled(run) == [("skipped", "it was made under recipe 1, now 2")]
    assert not store.runs.exists()


def test_a_published_record_is_present(pulled, store, make_record):
    store.write(make_record())
    store.promote(make_record())
    assert pulled(_Run(make_record()))[0][0] == "present"
    assert [*store.runs.glob("*/record.json")] == []


def test_a_pulled_record_is_promoted_like_any_other(pulled, store, make_record, segmented):
    """Only from committed sources and the declared data; it keeps saying where it came from."""
    good, dirty, other = (segmented(make_record(seed=seed)) for seed in range(3))
    dirty = replace(dirty, origin={**dirty.origin, "commit": "0123-dirty"})
    other = replace(other, origin={**other.origin, "data_fingerprint": "0" * 64})
    assert [what for what, _ in pulled(_Run(good), _Run(dirty), _Run(other))] == ["pulled"] * 3
    path = store.promote(store.find(good.spec))
    assert read_record(path).origin == {**good.origin, "pulled_from": f"wandb: E/P/{good.key}"}
    for bad, why in ((dirty, "committed sources"), (other, "undeclared fingerprint")):
        with pytest.raises(RecordError, match=why):
            store.promote(store.find(bad.spec))


@pytest.fixture
def pushed(monkeypatch):
    """The records that `push` would have sent."""
    sent = []

    def push(record, store, project, entity):
        sent.append((record.spec.seed, project, entity))
        return "an address"

    monkeypatch.setattr(wandb_client, "push", push)
    return sent


def test_the_records_of_a_profile_are_pushed(laboratory, pushed, make_record, capsys):
    grid = {"dataset": "smoke-grey", "depth": 2, "seeds": [0, 1], "width": 16, "epochs": 3}
    text = json.dumps({"chapters": {"1_1": {**grid, "validation_size": 500}}})
    (laboratory / "params" / "tiny.yml").write_text(text)
    for seed in (1, 7):
        Store().write(make_record(seed=seed))
    assert main(["wandb", "push", "--profile", "tiny", "--project", "P", "--entity", "E"]) == 0
    assert pushed == [(1, "P", "E")]
    assert "an address\n1 record sent\n" in capsys.readouterr().out


def test_what_cannot_be_pushed_is_told(laboratory, pushed, make_record, capsys):
    (laboratory / "params" / "tiny.yml").write_text("chapters: {results: {}}")
    Store().write(make_record())
    assert main(["wandb", "push", "ffff"]) == 2
    assert "no record has a key that begins with 'ffff'" in capsys.readouterr().err
    assert main(["wandb", "push", "--profile", "tiny"]) == 2
    assert "no run of the profile 'tiny' has a record yet" in capsys.readouterr().err
    assert pushed == []


def test_a_damaged_record_is_told_and_the_others_are_pushed(pushed, make_record, capsys):
    store = Store()
    for seed in (0, 1):
        store.write(make_record(seed=seed))
    (store.run_dir(make_record(seed=0).spec) / "record.json").write_text("{}")
    assert main(["wandb", "push", make_record(seed=1).key]) == 1
    assert pushed == [(1, None, None)]
    assert "not readable: " in capsys.readouterr().err


def test_the_missing_package_is_told(monkeypatch, store, make_record):
    monkeypatch.setattr(wandb_client.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(TrackingError, match=r"'\.\[wandb\]'"):
        wandb_client.push(make_record(), store, None, None)
    with pytest.raises(TrackingError, match=r"'\.\[wandb\]'"):
        next(wandb_client.pull("E", "P", store))
