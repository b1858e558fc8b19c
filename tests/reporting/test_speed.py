import copy
from statistics import mean

import pytest
from benchmark_records import contenders_record, depths_record

from lab1.reporting import frames, speed
from lab1.reporting.selections import Selection


@pytest.fixture
def published():
    """A benchmark of one task."""
    record = contenders_record(
        lab1=[(200, 0.50), (200, 0.52), (200, 0.54)],
        lab1_bf16=[(300, 0.51), (330, 0.52), (360, 0.53)],
        reference=[(100, 0.5), (110, 0.5), (120, 0.5)],
        lightning=[(150, 0.5), (150, 0.5), (150, 0.5)],
    )
    record["hardware"]["name"] = "<a processor>"
    record["versions"]["lightning"] = "2.6.6"
    return {"cpu": {**record, "note": "It also baked a cake."}}


def test_rounds_are_compared_with_the_trainer_in_float32(published):
    """The faster precision of ours, bf16 here, is a contender like the others."""
    rounds = speed.rounds(published, "cpu")
    ours = rounds.at(contender="lab1, float32")
    reference = (rounds.at(contender="reference loop") - ours).in_("relative_time")
    expected = [200 / 100, 200 / 110, 200 / 120]
    assert [*reference.difference.one.runs["relative_time"]] == pytest.approx(expected)
    assert reference.value.mean == pytest.approx(mean(expected) - 1)
    assert (reference.n, str(reference.other)) == (3, "lab1, float32")
    assert reference.arms({}) == "reference loop \u2212 lab1, float32, <a processor>, 2 cores"
    assert rounds.at(contender="lab1, bf16").runs["test_accuracy"].tolist() == [0.51, 0.52, 0.53]
    assert speed.rounds(published, "gpu").runs.empty


def test_the_chart_shows_the_others_with_their_intervals(published):
    figure = speed.ratios(published)
    rows = figure.data.set_index("contender")
    assert [*rows.index] == ["lab1, bf16", "reference loop", "PyTorch Lightning"]
    assert rows.loc["reference loop", "mean"] == pytest.approx(mean([2, 200 / 110, 200 / 120]))
    assert rows.loc["PyTorch Lightning", "mean"] == pytest.approx(200 / 150)
    assert rows["n"].tolist() == [3, 3, 3] and rows["half_width"].notna().all()
    said = "ResNet-20, CIFAR-10 (JPEG copy), reference loop: 1.83 times"
    assert said in figure.alt
    figure.chart.to_dict(validate=True)


def test_machines_are_told_apart(published):
    other = copy.deepcopy(published["cpu"])
    other["hardware"] = {**other["hardware"], "kind": "cuda", "name": "a GPU"}
    both = {**published, "gpu": other}
    assert "<td>a GPU, torch 2.14.1</td>" in speed.table(both).markup
    assert "a processor" not in speed.table(published).markup
    assert "a GPU" in str(speed.ratios(both).chart.to_dict())
    assert set(speed.rounds(both, "gpu").runs["device"]) == {"cuda"}


def test_the_table_has_every_contender_and_no_markup_from_a_record(published):
    published["cpu"]["contenders"]["lightning"] = "<b>Lightning</b>"
    table = speed.table(published)
    assert len(table.frame) == 4
    assert "1.33 ± 0.00" in table.markup and ">1<" in table.markup
    assert "52.0 ± 2.5" in table.markup
    assert "CIFAR-10 (JPEG copy)" in table.markup
    assert "<b>" not in table.markup


@pytest.mark.parametrize("show", [speed.ratios, speed.table])
def test_without_a_benchmark_the_page_says_how_to_make_one(show):
    assert "python -m lab1 bench" in str(show({}))


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
    found = speed.times(runs, {"cpu": timed})
    assert set(zip(found["family"], found["depth"], strict=True)) == set(CELLS)
    grey = frames.runs(experiment({("MLP", 2): [0.9]}, dataset="smoke-grey"))
    assert speed.times(grey, {"cpu": timed}).empty


def test_times_are_in_the_precision_of_the_runs_where_a_benchmark_has_it(runs, timed):
    """Else in the benchmark's own, which the sentence names."""
    in_bf16 = depths_record(
        {("SimpleCNN", 2): [1.0] * 3, ("SimpleCNN", 4): [1.0] * 3}, precision="bf16"
    )
    in_both = copy.deepcopy(timed)
    in_both["contenders"] |= in_bf16["contenders"]
    for case in in_both["cases"]:
        case["rounds"]["lab1-bf16"] = [{"seconds": 1.0}] * 3
    found = speed.times(runs, {"both": in_both, "bf16": in_bf16})
    by_benchmark = found.groupby("benchmark")["precision"].unique()
    assert [*by_benchmark["both"]] == ["float32"] and [*by_benchmark["bf16"]] == ["bf16"]


def test_the_chart_has_medians_and_extremes_or_says_that_there_is_no_benchmark(runs, timed):
    figure = speed.time_by_depth(speed.times(runs, {"cpu": timed}))
    row = figure.data.set_index(["family", "depth"]).loc[("ResidualCNN", 4)]
    assert row[["median", "smallest", "largest", "rounds"]].tolist() == [3, 3, 6, 3]
    assert "CIFAR-10 by depth" in figure.alt and "ResidualCNN 4: 3 ms (AMD EPYC, " in figure.alt
    assert figure.chart.to_dict(validate=True)["title"] == "CIFAR-10"
    assert "No benchmark" in speed.time_by_depth(speed.times(runs, {}))


def test_times_of_one_machine_are_compared_by_round(runs, timed):
    found = speed.times(runs, {"cpu": timed, "again": {**timed, "note": "later"}})
    timings = Selection(speed.of_one_machine(found)).at(depth=4)
    difference = timings.at(family="ResidualCNN") - timings.at(family="SimpleCNN")
    compared = difference.beside("milliseconds").companion("milliseconds")
    assert compared.ratio == "1.5" and not compared.value.judged  # rounds are no seeds
    assert compared.clause == "residual CNN − simple CNN, 4 stages, time of a training image: " + (
        "+1.33\u00a0ms"
    )
