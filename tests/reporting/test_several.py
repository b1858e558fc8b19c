"""Several widths, feature maps or optimisers in one question: a line and a row for each."""

import pytest

from lab1.reporting.comparison import several
from lab1.reporting.kit import frames

ACCURACIES = {16: 0.80, 32: 0.90}


@pytest.fixture
def records(make_record):
    return [
        make_record(family, depth, seed, ACCURACIES[width] + depth / 100 + seed / 1000, width=width)
        for family in ("MLP", "ResidualMLP")
        for width in ACCURACIES
        for depth in (2, 4)
        for seed in range(3)
    ]


def test_each_value_is_a_row_with_its_gain_on_the_first(records):
    table = several.beside(frames.runs(records), {"width": (32, 16)})
    assert len(table.frame) == 8
    rows = table.frame.set_index(["Model", "Depth", "Width"])
    assert rows.loc[("MLP", 2, 32), "Gain on the first"] == ""
    assert rows.loc[("MLP", 2, 16), "Gain on the first"] == "−10.00 ± 0.00 points (n = 3)"
    assert rows.loc[("ResidualMLP", 4, 32), "Test accuracy"] == pytest.approx(94.1)
    assert "are about width 32, the first that was asked for" in table.markup
    assert "they differ in width and in what follows" in table.markup


def test_the_chart_has_a_line_for_each_value(records):
    markup = several.beside(frames.runs(records), {"width": (16, 32)}).markup
    assert '<img src="data:image/svg+xml;base64,' in markup
    for line in ("MLP, width 16: 84.10 %", "MLP, width 32: 94.10 %", "ResidualMLP, width 32: 94.1"):
        assert line in markup


def test_two_kinds_of_values_are_told_together(make_record):
    records = [
        make_record(depth=2, seed=seed, accuracy=0.9, width=width, optimizer=optimizer)
        for width in (8, 16)
        for optimizer in ("adam", "sgd")
        for seed in range(3)
    ]
    asked = {"width": (8, 16), "optimizer": ("sgd", "adam")}
    table = several.beside(frames.runs(records), asked)
    assert len(table.frame) == 4 and set(table.frame["Optimiser"]) == {"adam", "sgd"}
    assert "about width 8, optimiser sgd, the first" in table.markup
    assert "differ in width and optimiser and" in table.markup
    # With channels, a network of another size that the page has besides is no line of its own.
    convolutional = [
        make_record("SimpleCNN", 2, seed, 0.8, dataset="smoke-colour", channels=channels)
        for channels in (8, 16, 18)
        for seed in range(3)
    ]
    table = several.beside(frames.runs(convolutional), {"channels": (8, 16)})
    assert list(table.frame["Feature maps"]) == [8, 16]


def test_one_value_of_each_needs_no_such_table(records):
    assert several.beside(frames.runs(records), {}).text == ""
    assert several.beside(frames.runs([]), {"width": (16, 32)}).text == ""
