"""``lab1 wandb pull FOLDER``: W&B's own reader on a file, and what becomes of what it says.

``wide.wandb`` is a run of other code: four epochs, the last loss NaN, a text beside the numbers.
"""

import json
import re
from importlib.util import find_spec
from pathlib import Path

import pytest

from lab1.cli.main import main
from lab1.core import logged_runs
from lab1.core.store import Store
from lab1.training.wandb import mapping, offline

WIDE = (Path(__file__).parent / "wide.wandb").read_bytes()
CURVES = {
    "train_loss": [[0, 2.0], [1, 1.0], [2, 2 / 3]],
    "validation_accuracy": [[0, 0], [1, 0.25], [2, 0.5], [3, 0.75]],
}


@pytest.fixture(autouse=True)
def home(laboratory):
    """An empty laboratory."""


@pytest.mark.slow
@pytest.mark.skipif(find_spec("wandb") is None, reason="needs the extra 'wandb'")
def test_a_folder_is_read_to_its_end_and_each_bad_file_is_named(tmp_path, capsys):
    damaged, newer = bytearray(WIDE), bytearray(WIDE)
    damaged[900] ^= 0xFF
    newer[6] = 9  # the version of the file's form
    files = {
        "a-whole": WIDE, "cut": WIDE[:1500], "damaged": damaged, "empty": b"",
        "foreign": b"a text of mine", "newer": newer,
    }  # fmt: skip
    folder = tmp_path / "wandb"
    for name, content in files.items():
        (folder / name).mkdir(parents=True)
        (folder / name / "run-x.wandb").write_bytes(content)
    (folder / "latest-run").symlink_to("a-whole")  # the same run once more
    assert main(["wandb", "pull", str(folder)]) == 1
    out, err = capsys.readouterr()
    pattern = re.compile(rf"{re.escape(str(folder))}/(.*)/run-x.wandb: (.*)")
    told = dict(pattern.findall(out + err))
    curves = "2 curves of CNN_Comparison_CIFAR10/wide"
    assert told.pop("a-whole") == f"pulled: {curves}"
    assert told.pop("cut").startswith(f"present: {curves}; it ends early")
    assert told.pop("damaged").startswith("refused: it is no file of W&B's, or damaged (")
    assert told.pop("empty") == "refused: it is empty: no number was logged"
    assert "invalid W&B identifier" in told.pop("foreign")
    assert told.pop("newer") == "refused: a newer wandb wrote it: pip install -U wandb"
    assert told == {} and "1 pulled, 1 present, 0 skipped, 4 refused" in out
    (run,), problems = logged_runs.read_all(Store().runs)
    assert problems == [] and [path.name for path in Store().runs.iterdir()] == ["curves"]
    assert (run["project"], run["group"], run["name"]) == (
        "CNN_Comparison_CIFAR10", "wide", "wide, seed 0"
    )  # fmt: skip
    assert (run["config"]["depth"], run["series"]) == (4, CURVES)


# What becomes of what the reader says


def entries(**changes):
    """The lines of the reader on a run of two epochs, some entries of its run changed."""
    run = {"run_id": "r1", "project": "P", "display_name": "one", **changes}
    rows = [{"_step": step, "loss": 1 / (step + 1)} for step in range(2)]
    said = [("run", run), *(("history", {"item": row}) for row in rows), ("exit", {})]
    return [json.dumps({"type": kind, kind: content}) for kind, content in said]


@pytest.fixture
def pulled(tmp_path, store, monkeypatch):
    """``pulled(lines, cut=False)``: the outcome of a run of which the reader says so, and why."""

    def pull(lines, cut=False):
        monkeypatch.setattr(offline, "check_installed", lambda: None)
        monkeypatch.setattr(offline, "_read", lambda path: (offline._parse(lines), cut))
        (tmp_path / "run-x.wandb").touch()
        (result,) = offline.pull(tmp_path / "run-x.wandb", store)
        return result.outcome, result.why

    return pull


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        (entries(project="../../elsewhere"), "project = '../../elsewhere' is not allowed"),
        (entries(run_id="a/b"), "id = 'a/b' is not allowed"),
        (entries(run_id=None), "id = None is not allowed"),
        (entries()[1:], "what W&B's reader says is not understood: KeyError('run_id')"),
        (["[]"], "what W&B's reader says is not understood: TypeError"),
        (
            [entries()[0], '{"type": "history", "history": {"item": {"loss": 1%s}}}' % ("0" * 400)],
            "it is empty: no number was logged",
        ),
        (["no json"], "what W&B's reader says is not understood: JSONDecodeError"),
        (entries()[:1], "it is empty: no number was logged"),
    ],
)
def test_what_is_not_understood_is_refused_and_nothing_is_written(pulled, store, lines, complaint):
    outcome, why = pulled(lines)
    assert outcome == "refused" and complaint in why
    assert not store.runs.exists()


def test_a_long_curve_is_thinned_and_a_run_without_a_group_has_its_name(pulled, store):
    row = '{"type":"history","history":{"item":{"loss":%d},"step":{"num":%d}}}'
    lines = [entries()[0], *(row % (step, step) for step in range(2500))]
    # One that is not complete is replaced, and replaces none.
    assert pulled(lines[:9], cut=True) == ("pulled", f"1 curves of P/one; {offline._CUT}")
    assert pulled(lines) == ("pulled", "1 curves of P/one")
    (run,), _ = logged_runs.read_all(store.runs)
    assert run["series"]["loss"] == [[step, step] for step in range(0, 2500, 3)]
    assert pulled(lines)[0] == pulled(lines[:9], cut=True)[0] == "present"


def test_a_run_of_lab1_that_is_not_whole_makes_no_record(pulled, store, make_record):
    record = make_record()
    config = {**mapping.config_of(record.spec, record.recipes), "origin": dict(record.origin)}
    lines = entries(config={"update": config})
    failed = json.dumps({"type": "exit", "exit": {"exit_code": 1}})
    assert pulled([*lines[:-1], failed]) == ("skipped", "it is not finished")
    assert pulled(lines, cut=True) == ("refused", offline._CUT)
    assert pulled(lines)[0] == "refused"  # its summary is missing
    assert not store.runs.exists()


def test_a_damaged_file_of_curves_is_named_and_a_copy_counts_once(pulled, store):
    pulled(entries())
    folder = store.runs / "curves" / "P"
    (folder / "copy.json").write_bytes((folder / "r1.json").read_bytes())
    damaged = (folder / "r1.json").read_text().replace('"one"', '"two"')
    (folder / "z.json").write_text(damaged)
    runs, problems = logged_runs.read_all(store.runs)
    assert [run["name"] for run in runs] == ["one"]
    assert [str(problem).split(": ")[0] for problem in problems] == [str(folder / "z.json")]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ((), "pull needs a folder, or --entity and --project"),
        (("--entity", "E"), "pull needs a folder, or --entity and --project"),
        (("there", "--project", "P"), "pull takes a folder, or --entity and --project, not both"),
        (("nowhere",), "nowhere is not allowed; allowed: a folder wandb/"),
    ],
)
def test_what_names_no_runs_is_refused(capsys, monkeypatch, arguments, complaint):
    monkeypatch.setattr(offline, "check_installed", lambda: None)
    assert main(["wandb", "pull", *arguments]) == 2
    assert complaint in capsys.readouterr().err
