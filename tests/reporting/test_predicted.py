"""What a reader may predict of a chart, computed by hand."""

import pandas as pd
import pytest

from lab1.reporting import predictions


def runs(*means):
    """Three runs for each mean, one less, one more and one equal to it."""
    return pd.DataFrame(
        {"family": family, "depth": depth, "accuracy": mean + change}
        for family, depth, mean in means
        for change in (-1, 0, 1)
    )


def test_a_line_has_its_means_their_intervals_and_an_axis_that_betrays_nothing():
    found = predictions.of(runs(("MLP", 2, 80), ("MLP", 32, 70)), "depth", "accuracy", "layers")
    (line,) = found["series"]
    assert (found["at"], line["style"], line["values"]) == (["2", "32"], "plain", [80, 70])
    # Student's t for three values, 4.303, times 1 / sqrt(3)
    assert line["halves"] == pytest.approx([2.484, 2.484])
    # 1.6 times the change of 10 points lies on both sides of 80.
    assert found["ticks"] == [60, 70, 80, 90, 100]


def test_two_runs_have_no_interval_and_one_depth_is_nothing_to_predict():
    few = runs(("MLP", 2, 80), ("MLP", 32, 70)).query("accuracy % 10 != 0")
    assert predictions.of(few, "depth", "accuracy", "layers")["series"][0]["halves"] == [0, 0]
    assert predictions.of(runs(("MLP", 2, 80)), "depth", "accuracy", "layers") is None
