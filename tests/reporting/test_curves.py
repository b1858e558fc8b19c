"""`lab1.plot`: the curves of trainings, whatever gave their history."""

import re
from types import SimpleNamespace

import pytest
from built_site import ROOT

import lab1
from lab1.core import files, logged_runs
from lab1.errors import ParameterError

HISTORY = {
    "train_loss": [2.0, 1.0, None],
    "validation_loss": [2.5, 1.5, 1.25],
    "train_accuracy": [0.25, 0.5, 0.75],
    "validation_accuracy": [None, None, None],
    "learning_rate": [0.1, 0.1, 0.1],
}


def test_each_value_is_a_row_and_what_is_missing_none():
    table = lab1.plot(HISTORY).data
    assert set(table["training"]) == {"training 1"}
    values = {
        (panel, split): part["value"].tolist()
        for (panel, split), part in table.groupby(["panel", "split"])
    }
    assert values == {
        ("loss", "training"): [2, 1],
        ("loss", "validation"): [2.5, 1.5, 1.25],
        ("accuracy (%)", "training"): [25, 50, 75],
    }


def test_all_that_has_a_history_is_drawn_alike(make_record):
    record = make_record()
    of_trainer = SimpleNamespace(history=record.history, stopped="all epochs")
    loaded = SimpleNamespace(record=record)
    for result in (record, loaded):
        assert set(lab1.plot(result).data["training"]) == {record.spec.title}
    tables = [lab1.plot(each, names=["one"]).data for each in (record, of_trainer, loaded)]
    assert all(table.equals(tables[0]) for table in tables) and len(tables[0])
    both = lab1.plot(record, of_trainer, names=["first", "second"])
    assert "<svg" in both.parts()["svg"]
    assert "first, training loss:" in both.alt and "second, training loss:" in both.alt


@pytest.mark.parametrize(
    ("results", "names", "complaint"),
    [
        ([], None, "0 results; allowed: 1 to 6"),
        ([HISTORY] * 7, None, "7 results; allowed: 1 to 6"),
        ([3], None, "3 is not allowed; allowed: what a trainer"),
        ([{"loss": [1]}], None, "is not allowed; allowed: what a trainer"),
        ([HISTORY, HISTORY], ["one"], r"names = \['one'\] is not allowed; allowed: 2 different"),
        ([HISTORY, HISTORY], ["one", "one"], "allowed: 2 different"),
        ([{"train_loss": [None]}], None, "no epoch of these trainings has a finite loss"),
    ],
)
def test_what_cannot_be_drawn_is_told(results, names, complaint):
    with pytest.raises(ParameterError, match=complaint):
        lab1.plot(*results, names=names)


@pytest.fixture
def log():
    """``log("PROJECT/GROUP", id, metric=[[step, value], ...])`` as `wandb pull` leaves it."""

    def write(place, run, **series):
        project, group = place.split("/")
        named = {"project": project, "group": group, "id": run, "name": run, "config": {}}
        logged_runs.write({**named, "series": series}, files.runs_dir())

    return write


def curves(figure):
    parts = figure.data.groupby(["training", "panel", "run"], sort=False)
    return {name: part[["step", "value"]].values.tolist() for name, part in parts}


def test_a_group_is_the_mean_where_the_steps_of_its_runs_agree(log):
    log("P/wide", "a", loss=[[0, 4], [1, 2], [2, 1]], lr=[[0, 1]])
    log("P/wide", "b", loss=[[0, 2], [1, 1]], val_acc=[[7, 0.5]])
    log("P/deep", "c", loss=[[0, 3]])
    log("P/deep", "d", loss=[[1, 3], [2, 2]])
    log("Q/wide", "a", loss=[[0, 9]])
    deep = {("deep", "loss", "c (c)"): [[0, 3]], ("deep", "loss", "d (d)"): [[1, 3], [2, 2]]}
    wide = {("wide", "loss", "mean of 2 runs"): [[0, 3], [1, 1.5]]}
    accuracy = {("wide", "val_acc", "b (b)"): [[7, 0.5]]}
    assert curves(lab1.plot("P")) == {**deep, **wide, **accuracy}
    assert curves(lab1.plot("P/deep", metrics=["loss"])) == deep
    assert curves(lab1.plot("P/wide", "P", metrics=["lr"])) == {("wide", "lr", "a (a)"): [[0, 1]]}
    assert [name for name, *_ in curves(lab1.plot("P/deep", "Q"))] == ["P/deep"] * 2 + ["Q/wide"]


def test_the_guide_leads_from_logged_runs_to_their_chart(log):
    log("CNN_Comparison_CIFAR10/wide", "a", train_loss=[[0, 2], [1, 1]])
    log("MLP_vs_ResidualMLP_Comparison/deep", "b", train_loss=[[0, 2], [1, 1]])
    guide = (ROOT / "guide" / "wandb.qmd").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(import lab1\n.*?)```", guide, re.S)
    last = code.strip().splitlines()[-1]
    exec(code, names := {})
    assert "2 runs" not in eval(last, names).alt and "<svg" in eval(last, names).parts()["svg"]


@pytest.mark.parametrize(
    ("places", "keywords", "complaint"),
    [
        (["P/wid"], {}, r"'P/wid' is not allowed; .*: P/a0, .*; did you mean P/wide\?"),
        (["P"], {}, "7 groups with .* allowed: 1 to 6 of the groups a0, a1"),
        (["P/wide"], {"metrics": ["los"]}, r"metrics = \['los'\] are not .* of the metrics loss"),
        (["P", HISTORY], {}, "'P' is not allowed; allowed: what a trainer"),
        ([HISTORY], {"metrics": ["loss"]}, "metrics are of logged runs"),
    ],
)
def test_what_cannot_be_drawn_of_logged_runs_is_told(log, places, keywords, complaint):
    for run in ("wide", *(f"a{number}" for number in range(6))):
        log(f"P/{run}", run, loss=[[0, 1]])
    with pytest.raises(ParameterError, match=complaint):
        lab1.plot(*places, **keywords)


def test_a_damaged_file_is_told_and_the_others_are_drawn(log):
    log("P/wide", "a", loss=[[0, 1]])
    (files.runs_dir() / "curves" / "P" / "b.json").write_text("{}")
    with pytest.warns(UserWarning, match=r"b\.json"):
        assert len(lab1.plot("P").data) == 1
