"""`lab1.plot`: the curves of trainings, whatever gave their history."""

from types import SimpleNamespace

import pytest

import lab1
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
