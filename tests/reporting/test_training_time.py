import copy

import pytest
from benchmark_records import depths_record

from lab1.reporting.comparison import training_time
from lab1.reporting.kit import frames
from lab1.reporting.kit.timings import times

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
    figure = training_time.time_by_depth(times(runs, {"cpu": timed}))
    row = figure.data.set_index(["family", "depth"]).loc[("ResidualCNN", 4)]
    assert row[["median", "smallest", "largest", "rounds"]].tolist() == [3, 3, 6, 3]
    assert "CIFAR-10 by depth" in figure.alt and "ResidualCNN 4: 3 ms (AMD EPYC, " in figure.alt
    assert figure.chart.to_dict(validate=True)["title"] == "CIFAR-10"


def test_ratios_of_time_are_taken_within_a_round(runs, timed):
    # Of the plain network alone a further round was slow: its median moves, the ratio stays.
    plain = timed["cases"][1]["rounds"]["lab1"]
    plain[0]["seconds"], timed["cases"][3]["rounds"]["lab1"][0]["seconds"] = 5.0, 7.5
    text = training_time.cost_of_depth(times(runs, {"cpu": timed}), runs, "SimpleCNN").text
    assert "On AMD EPYC, 2 cores, torch 2.14.1 (float32, median of 3 rounds)" in text
    assert "1.00 ms with 2 stages and 4.00 ms with 4 stages: 2.0 times as much" in text
    assert "The residual CNN of that depth takes 1.50 times that." in text


def test_only_of_twins_it_is_the_skip_connections_that_cost(runs, timed):
    text = training_time.cost_of_depth(times(runs, {"cpu": timed}), runs, "PlainCNN").text
    assert "With skip connections it is 1.03 times that." in text


def test_each_benchmark_has_sentences_of_its_own_and_its_note(runs, timed):
    other = {
        **timed,
        "hardware": {**timed["hardware"], "kind": "cuda", "name": "NVIDIA H200"},
        "note": "It also baked a cake.",
    }
    found = times(runs, {"cpu": timed, "gpu": other, "again": timed})
    text = training_time.cost_of_depth(found, runs, "SimpleCNN").text
    assert text.count("On NVIDIA H200, torch 2.14.1") == 1 and text.count("On AMD EPYC") == 2
    assert text.count("It also baked a cake.") == 1


def test_a_note_on_other_networks_is_left_out(runs, timed):
    timed = {**timed, "note": "ResNet was timed twice."}
    text = training_time.cost_of_depth(times(runs, {"cpu": timed}), runs, "SimpleCNN").text
    assert "timed twice" not in text
    timed["note"] = "ResNet and ResidualCNN were timed twice."
    text = training_time.cost_of_depth(times(runs, {"cpu": timed}), runs, "SimpleCNN").text
    assert text.count("ResNet and ResidualCNN were timed twice.") == 1


def test_without_a_benchmark_a_sentence_says_so(runs):
    found = times(runs, {})
    assert "No benchmark" in str(training_time.time_by_depth(found))
    assert "No benchmark" in training_time.cost_of_depth(found, runs, "SimpleCNN").text
