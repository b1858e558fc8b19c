"""Several values in one question: a line and a row for each."""

import pytest
from distilled import several as studies

from lab1.reporting import comparison, figure, twins


@pytest.fixture(autouse=True)
def _undrawn(monkeypatch):
    """Drawing the chart beside the table is what takes the time."""
    monkeypatch.setattr(figure, "draw", lambda spec, width: '<svg width="700" height="300"/>')


@pytest.fixture
def records(make_record):
    """Of two widths, in the order of the question."""
    return {
        f"width {width}": [
            make_record(family, depth, seed, accuracy + depth / 100 + seed / 1000, width=width)
            for family in ("MLP", "ResidualMLP")
            for depth in (2, 4)
            for seed in range(3)
        ]
        for width, accuracy in ((32, 0.90), (16, 0.80))
    }


def test_each_value_is_a_row_with_its_gain_on_the_first(records):
    table = comparison.compare_values(records)
    assert len(table.frame) == 8
    rows = table.frame.set_index(["Model", "Depth", "Asked for"])
    assert rows.loc[("MLP", 2, "width 32"), "Gain on the first"] == ""
    assert (
        rows.loc[("MLP", 2, "width 16"), "Gain on the first"]
        == "−10.00\u00a0points (n = 3)"  # the same for every seed
    )
    assert rows.loc[("ResidualMLP", 4, "width 32"), "Test accuracy"] == pytest.approx(94.1)
    assert "are about: width 32. " in table.markup and "The gain on width 32 is" in table.markup


def test_the_chart_has_a_line_for_each_value(records):
    markup = comparison.compare_values(records).markup
    assert '<img src="data:image/svg+xml;base64,' in markup
    for line in ("MLP, width 16: 84.10 %", "MLP, width 32: 94.10 %", "ResidualMLP, width 32: 94.1"):
        assert line in markup


def test_the_main_runs_of_each_answer_are_compared(make_record, experiment):
    """Not a network of another size that the page has besides, nor a sweep or a single change."""
    answers = {
        f"{channels} channels": [
            make_record("SimpleCNN", 2, seed, 0.8, dataset="smoke-colour", channels=each)
            for each in (channels, 18)
            for seed in range(3)
        ]
        for channels in (8, 16)
    }
    table = comparison.compare_values(
        answers, lambda runs: runs[runs["channels"] == runs["channels"].iloc[0]]
    )
    assert [*table.frame["Asked for"]] == ["8 channels", "16 channels"]
    grid = {("MLP", depth): [0.8] * 3 for depth in (2, 8)}
    answers = {
        f"learning rate {rate}": [
            *experiment(grid, learning_rate=rate),
            *experiment({("MLP", 8): [0.7] * 3}, learning_rate=0.1),
            *experiment({("MLP", 8): [0.6] * 3}, learning_rate=rate, initialisation="identity"),
        ]
        for rate in (0.01, 0.02)
    }
    assert {*comparison.compare_values(answers).frame["Test accuracy"]} == {80.0}


def test_a_design_that_was_asked_for_is_no_change(experiment):
    """The page with that design alone would be without a network, and so the row."""
    grid = {("MLP", 2): [0.8] * 3}
    answers = {
        f"{name} normalisation": experiment(grid, normalization=name) for name in ("layer", "none")
    }
    table = comparison.compare_values(answers).frame
    assert [*table["Asked for"]] == [*answers] and {*table["Model"]} == {"MLP"}


def test_a_student_is_told_from_the_one_that_was_taught(make_record):
    sweep = ([(0.7, 0.75)] * 3, {"temperature": 16.0})
    answers = {
        f"T = {each:g}": studies(
            make_record, [([(0.7, each / 10)] * 3, {"temperature": each}), sweep]
        )
        for each in (8.0, 9.0)
    }
    table = comparison.compare_values(answers, twins.main).frame
    networks = {"ResidualCNN": (86, 86), "SimpleCNN": (70, 70)}
    networks["SimpleCNN, teacher of seed 0"] = (80, 90)
    assert [*zip(table["Model"], table["Asked for"], table["Test accuracy"], strict=True)] == [
        (network, answer, pytest.approx(accuracy))
        for network, accuracies in networks.items()
        for answer, accuracy in zip(answers, accuracies, strict=True)
    ]


def test_a_gain_without_an_interval_says_why(experiment):
    accuracies = {16: [0.9] * 3, 32: [0.1, 0.9, 0.9]}
    answers = {
        f"width {width}": experiment({("MLP", 2): values}, width=width)
        for width, values in accuracies.items()
    }
    gain = comparison.compare_values(answers).frame["Gain on the first"].iloc[1]
    assert gain == "−26.67\u00a0points (n = 3), 1 of 3 runs of width 32 ended at chance"


def test_values_that_change_nothing_are_told(records):
    (runs, _) = records.values()
    said = comparison.compare_values({"momentum 0.8": runs, "momentum 0.9": runs})
    assert said == "The runs of momentum 0.8 and momentum 0.9 are the same."
    assert comparison.compare_values({"": runs}) == ""
    assert comparison.compare_values({"width 16": [], "width 32": []}) == ""
