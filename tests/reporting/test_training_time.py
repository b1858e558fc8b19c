import copy

import pytest
from benchmark_records import depths_record

from lab1.reporting import frames, speed
from lab1.reporting.selections import Selection
from lab1.reporting.speed import of_one_machine, times

CELLS = {("SimpleCNN", 2): [0.6], ("SimpleCNN", 4): [0.6], ("PlainCNN", 4): [0.6]} | {
    ("ResidualCNN", 4): [0.7]
}


@pytest.fixture
def runs(experiment):
    return frames.runs(experiment(CELLS, dataset="cifar10-jpeg")).assign(flops=100)  # as timed


@pytest.fixture
def timed():
    """Three rounds; the last was twice as slow for everyone."""
    seconds = {
        ("SimpleCNN", 2): 1.0, ("SimpleCNN", 4): 2.0, ("PlainCNN", 4): 2.9, ("ResidualCNN", 4): 3.0,
        ("ResidualCNN", 5): 9.0,
    }  # fmt: skip
    return depths_record({name: [each, each, 2 * each] for name, each in seconds.items()})


def test_times_are_of_the_networks_of_the_runs(runs, timed, experiment):
    found = times(runs, {"cpu": timed})
    assert set(zip(found["family"], found["depth"], strict=True)) == set(CELLS)
    grey = frames.runs(experiment({("MLP", 2): [0.9]}, dataset="smoke-grey"))
    assert times(grey, {"cpu": timed}).empty


def test_times_are_in_the_precision_of_the_runs_where_a_benchmark_has_it(runs, timed):
    """Else in the benchmark's own, which the sentence names."""
    in_bf16 = depths_record(
        {("SimpleCNN", 2): [1.0] * 3, ("SimpleCNN", 4): [1.0] * 3}, precision="bf16"
    )
    in_both = copy.deepcopy(timed)
    in_both["contenders"] |= in_bf16["contenders"]
    for case in in_both["cases"]:
        case["rounds"]["lab1-bf16"] = [{"seconds": 1.0}] * 3
    found = times(runs, {"both": in_both, "bf16": in_bf16})
    by_benchmark = found.groupby("benchmark")["precision"].unique()
    assert [*by_benchmark["both"]] == ["float32"] and [*by_benchmark["bf16"]] == ["bf16"]


def test_the_chart_has_medians_and_extremes(runs, timed):
    figure = speed.time_by_depth(times(runs, {"cpu": timed}))
    row = figure.data.set_index(["family", "depth"]).loc[("ResidualCNN", 4)]
    assert row[["median", "smallest", "largest", "rounds"]].tolist() == [3, 3, 6, 3]
    assert "CIFAR-10 by depth" in figure.alt and "ResidualCNN 4: 3 ms (AMD EPYC, " in figure.alt
    assert figure.chart.to_dict(validate=True)["title"] == "CIFAR-10"


def test_times_of_one_machine_are_compared_by_round(runs, timed):
    found = times(runs, {"cpu": timed, "again": {**timed, "note": "later"}})
    timings = Selection(of_one_machine(found)).at(depth=4)
    difference = timings.at(family="ResidualCNN") - timings.at(family="SimpleCNN")
    compared = difference.beside("milliseconds").companion("milliseconds")
    assert compared.ratio == "1.5" and not compared.value.judged  # rounds are no seeds
    assert compared.clause == "residual CNN − simple CNN, 4 stages, time of a training image: " + (
        "+1.33\u00a0ms"
    )


def test_without_a_benchmark_a_clause_says_so(runs):
    assert "No benchmark" in speed.time_by_depth(times(runs, {}))
