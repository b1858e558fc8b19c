import math
from dataclasses import replace

import pandas as pd
import pytest

from lab1.reporting.statistics import (
    METRICS,
    Estimate,
    estimate,
    holm,
    in_words,
    mean_of,
    summarize,
)

# Student's t at 97.5 %, from a printed table: degrees of freedom 2 and 4.
T_2, T_4 = 4.302653, 2.776445


def table(values, seeds=None, name="value"):
    seeds = range(len(values)) if seeds is None else seeds
    return pd.DataFrame({"seed": list(seeds), name: values})


@pytest.mark.parametrize(
    ("values", "mean", "half_width"),
    [
        ([], math.nan, math.nan),
        ([0.5], 0.5, math.nan),
        ([0.5, 0.7], 0.6, math.nan),
        ([1, 2, 3], 2, T_2 / math.sqrt(3)),  # a standard deviation of 1
        # Squared deviations of 8 over 4 degrees of freedom, so s = sqrt(2).
        ([2, 4, 4, 4, 6], 4, T_4 * math.sqrt(2) / math.sqrt(5)),
        ([0.5] * 4, 0.5, 0),
    ],
)
def test_an_estimate_by_hand_has_an_interval_from_three_seeds_on(values, mean, half_width):
    result = estimate(values)
    assert result.n == len(values)
    numbers = (result.mean, result.half_width, result.low, result.high)
    expected = (mean, half_width, mean - half_width, mean + half_width)
    assert numbers == pytest.approx(expected, rel=1e-6, nan_ok=True)


@pytest.mark.parametrize("missing", [None, math.nan])
def test_missing_values_are_left_out_and_not_counted(missing):
    assert estimate([1, missing, 2, 3]) == estimate([1, 2, 3])
    assert estimate([1, missing, 2]).n == 2
    assert math.isnan(estimate([1, missing, 2]).half_width)


# An interval that ends at zero does not exclude it.
@pytest.mark.parametrize(("half_width", "sign"), [(0.5, 1), (1.5, 0), (1.0, 0), (math.nan, 0)])
def test_the_sign_says_whether_the_interval_excludes_zero(half_width, sign):
    assert Estimate(1.0, half_width, 5).sign == sign
    assert Estimate(-1.0, half_width, 5).sign == -sign
    assert Estimate(0.0, 0.0, 5).sign == 0


@pytest.mark.parametrize(("count", "quantile"), [(3, T_2), (5, T_4)])
def test_where_an_interval_ends_at_zero_the_p_value_is_one_in_twenty(count, quantile):
    """The two say the same: the interval excludes zero where the p-value is below 0.05."""
    assert Estimate(1.0, 1.0, count).p_value == pytest.approx(0.05)
    assert Estimate(-1.0, 1.0, count).p_value == pytest.approx(0.05)
    for half_width in (0.999, 1.001):
        value = Estimate(1.0, half_width, count)
        assert (value.p_value < 0.05) == (value.sign != 0)


def test_a_p_value_by_hand():
    """With two degrees of freedom p = 1 - t / sqrt(t^2 + 2): for t = 2 that is 1 - 2 / sqrt(6)."""
    value = Estimate(2.0, T_2, 3)  # a standard error of one
    assert value.p_value == pytest.approx(1 - 2 / math.sqrt(6), rel=1e-6)
    # No spread leaves no doubt.
    assert (Estimate(0.5, 0.0, 3).p_value, Estimate(0.0, 0.0, 3).p_value) == (0, 1)
    assert math.isnan(Estimate(0.5, math.nan, 2).p_value)


@pytest.mark.parametrize(
    ("given", "corrected"),
    [
        ([], []),
        ([0.04], [0.04]),
        # Sorted 0.01, 0.02, 0.04: times 3, 2 and 1.
        ([0.02, 0.01, 0.04], [0.04, 0.03, 0.04]),
        # Times 4, 3, 2 and 1 that is 0.04, 0.09, 0.08, 0.05: none may lie below one before it.
        ([0.01, 0.03, 0.04, 0.05], [0.04, 0.09, 0.09, 0.09]),
        ([0.6, 0.5], [1.0, 1.0]),
        ([0.01, 0.01], [0.02, 0.02]),
    ],
)
def test_holms_correction_by_hand(given, corrected):
    assert holm(given) == pytest.approx(corrected)


def test_a_summary_has_a_row_per_group():
    frame = pd.DataFrame(
        {
            "family": ["B", "A", "A", "A", "B"],
            "depth": [2, 2, 2, 2, 2],
            "value": [5.0, 1.0, 2.0, 3.0, 7.0],
        }
    )
    result = summarize(frame, ["family", "depth"], "value")
    assert [*result.columns] == ["family", "depth", "mean", "half_width", "low", "high", "n"]
    assert [*result["family"]] == ["A", "B"]
    assert [*result["n"]] == [3, 2]
    assert [*result["mean"]] == pytest.approx([2, 6])
    half_width = T_2 / math.sqrt(3)
    assert result["half_width"][0] == pytest.approx(half_width, rel=1e-6)
    assert result["low"][0] == pytest.approx(2 - half_width, rel=1e-6)
    assert result["high"][0] == pytest.approx(2 + half_width, rel=1e-6)
    # Two seeds: no interval, where a chart or a table would show one.
    assert result.loc[1, ["half_width", "low", "high"]].isna().all()
    # Groups without any value stay, and of nothing there are the columns.
    frame = pd.DataFrame({"depth": [2, 8], "value": [1.0, math.nan]})
    unknown = summarize(frame, ["depth"], "value")
    assert ([*unknown["depth"]], [*unknown["n"]]) == ([2, 8], [1, 0])
    nothing = summarize(frame[:0], ["depth"], "value")
    assert [*nothing.columns] == [*unknown.columns] and nothing.empty


@pytest.mark.parametrize(
    ("mean", "half_width", "said"),
    [
        (0.000612, 0.0000587, "0.00061 ± 0.00006"),
        (0.0711, 0.0109, "0.071 ± 0.011"),
        (12.3, 1.26, "12 ± 1"),
        (0.0000061, 0.0000004, "0.0000061 ± 0.0000004"),
        (0.0000061, 0.0051, "0.0000 ± 0.0051"),
        (0.0000061, math.nan, "0.0000061"),
        (0.5, math.nan, "0.5"),
    ],
)
def test_a_half_width_has_the_decimals_of_its_mean(mean, half_width, said):
    assert in_words(Estimate(mean, half_width, 3), ".2g") == said


def test_a_mean_is_over_seeds_alone(make_record):
    spec = make_record().spec
    runs = table([1.0, 2.0, 3.0]).assign(group="a")
    assert mean_of(runs, "value") == estimate([1, 2, 3])
    parted = runs.assign(group=["a", "a", "b"])
    mixed = [(runs.assign(seed=[0, 0, 1]), ", or a seed stands twice"), (parted, ": a; b")]
    specs = [replace(spec, model=replace(spec.model, activation=name)) for name in ("relu", "gelu")]
    mixed.append((parted.assign(spec=[specs[0], *specs]), ": activation relu; activation gelu"))
    for table_of_both, told in mixed:
        message = f"the mean of value: these runs differ in more than their seed{told}$"
        with pytest.raises(ValueError, match=message):
            mean_of(table_of_both, "value")
        with pytest.raises(ValueError, match=message):
            summarize(table_of_both.assign(family="MLP"), ["family"], "value")


def test_runs_in_two_heaps_have_no_interval():
    """Three that learned and two that never left chance: no t interval describes them."""
    runs = table([0.97, 0.11, 0.12, 0.96, 0.10], name="test_accuracy")
    heaps = runs.assign(at_chance=runs["test_accuracy"] < 0.2)
    value = mean_of(heaps, "test_accuracy")
    assert (value.n, value.at_chance, value.judged, value.sign) == (5, 3, False, 0)
    assert in_words(value) == "0.45 (3 of 5 at chance)"


def test_a_count_has_all_its_digits_and_no_interval():
    count = METRICS["flops"].level(estimate([1_234_567] * 3))
    assert count == METRICS["parameters"].level(estimate([1_234_567] * 3)) == "1,234,567"
