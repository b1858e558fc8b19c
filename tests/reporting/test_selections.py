"""Selections of runs: what they hold, what they are called, and what validation chooses."""

from dataclasses import replace
from math import log
from statistics import mean

import pandas as pd
import pytest
from distilled import study

from lab1.core.training_config import DistillationConfig
from lab1.errors import ClaimError, ParameterError
from lab1.planning.chapters import FurtherRuns, plan_page
from lab1.reporting import frames
from lab1.reporting.frames import base_rate, swept_depths
from lab1.reporting.selections import Selection


@pytest.fixture
def selected(runs):
    """The selection of all runs that ``experiment`` fabricates from the same arguments."""
    return lambda *arguments, **keywords: Selection(runs(*arguments, **keywords))


@pytest.fixture
def plain(selected):
    """Plain networks of three depths with two seeds, and a residual one."""
    cells = {("MLP", depth): [0.9, 0.92] for depth in (2, 4, 8)}
    return selected({**cells, ("ResidualMLP", 8): [0.95, 0.96]})


@pytest.mark.parametrize(
    ("values", "count", "label"),
    [
        ({"family": "MLP"}, 6, "plain MLP"),
        ({"depth": 8, "family": "MLP"}, 2, "plain MLP, 8 layers"),
        ({"depth": (2, 4), "seed": 1}, 2, "2 and 4 layers, seed 1"),
        ({"learning_rate": 0.001, "family": "ResidualMLP"}, 2, "residual MLP, learning rate 0.001"),
        ({"teacher_seed": None}, 8, "no teacher"),
        ({"change": "", "batch_size": 128, "normalization": "none"}, 8, "batch size 128"),
        ({"initialisation": "identity"}, 0, "identity start"),
        ({"depth": 64}, 0, "64 layers"),
    ],
)
def test_runs_are_selected_and_named_by_their_values(plain, values, count, label):
    selection = plain.at(**values)
    assert (len(selection.runs), str(selection)) == (count, label)


def test_a_name_that_is_no_column_is_refused(plain):
    with pytest.raises(ParameterError, match=r"unknown parameter 'dept'.*did you mean depth"):
        plain.at(dept=2)


def test_depths_are_named_by_their_order(plain):
    perceptron = plain.at(family="MLP").at_base_rate()
    assert perceptron.depths == [2, 4, 8]
    assert [perceptron.shallowest.depth, perceptron.deepest.depth] == ["2 layers", "8 layers"]
    assert perceptron.shallower.deepest.depth == "4 layers"
    assert perceptron.shallowest.shallower.missing == "one depth was trained"
    assert perceptron.deepest.test_accuracy == "91.00\u00a0%"  # two seeds have no interval
    with pytest.raises(
        AttributeError, match=r"unknown parameter 'learning_rte'.*did you mean learning_rate"
    ):
        _ = perceptron.learning_rte


def rates_of(selection):
    """The learning rate of each seed."""
    return dict(zip(selection.runs["seed"], selection.runs["learning_rate"], strict=True))


def test_the_other_seeds_choose(selected):
    """Seed 0 alone would take the higher rate, and so do the others for it; not the reverse."""
    validation = {("MLP", 8, 0.001): [0.80, 0.91, 0.92], ("MLP", 8, 0.003): [0.99, 0.90, 0.91]}
    swept = selected({cell: [0.9] * 3 for cell in validation}, validation=validation)
    assert rates_of(swept.tuned()) == {0: 0.001, 1: 0.003, 2: 0.003}
    assert str(swept.at(depth=8).tuned()) == "8 layers, best learning rate"
    assert rates_of(swept.at(seed=0).tuned()) == {0: 0.003}  # which chooses for itself
    assert str(swept.best("learning_rate").best("depth")) == "8 layers, best learning rate"


def test_seeds_without_every_value_do_not_choose_and_diverged_runs_recognise_nothing(experiment):
    records = experiment(
        {("MLP", 8, 0.001): [0.8] * 4, ("MLP", 8, 0.003): [0.9] * 3},
        validation={("MLP", 8, 0.001): [0.8] * 4, ("MLP", 8, 0.003): [0.9] * 3},
    )
    rates = rates_of(Selection(frames.runs(records)).tuned())
    assert rates == dict.fromkeys(range(3), 0.003)
    lost = [r.spec.training.learning_rate == 0.003 and r.spec.seed > 0 for r in records]
    records = [
        replace(record, test={}, stopped="diverged") if diverged else record
        for record, diverged in zip(records, lost, strict=True)
    ]
    assert rates_of(Selection(frames.runs(records)).tuned()) == {0: 0.001, 1: 0.001, 2: 0.001}


@pytest.mark.parametrize("validation_size", [0, 500])
def test_one_rate_leaves_nothing_to_tune(selected, validation_size):
    one = selected({("MLP", 2): [0.9] * 3}, validation_size=validation_size)
    assert one.tuned().runs.empty and one.tuned().missing == "one learning rate was tried"
    assert len(one.best("depth").runs) == 3
    assert one.tuned("depth").missing == "one depth was tried"


def test_a_mean_over_teachers_counts_the_seeds_of_the_student(make_record):
    """Three teachers of each of three students are three students, and only scores are averaged."""
    alone = study(make_record, [(0.7, 0.75), (0.7, 0.76), (0.7, 0.77)])
    teacher = alone[0]
    records = [*alone]
    for seed in (1, 2):
        other = DistillationConfig(replace(teacher.spec, seed=seed), 4.0, 0.9)
        for record in alone:
            if record.spec.distillation and record.spec.seed != 2 * (seed == 2):
                spec = replace(record.spec, distillation=other)
                test = record.test | {"accuracy": record.test["accuracy"] - 0.01 * seed}
                records.append(replace(record, spec=spec, key="", test=test))
    whole = Selection(frames.runs(records)).at(family="SimpleCNN", alpha=0.9)
    taught = whole.averaged_over("teacher_seed")
    expected = mean([0.76, 0.75, 0.74])
    assert dict(zip(taught.runs["seed"], taught.runs["test_accuracy"], strict=True)) == (
        pytest.approx({1: expected})  # seeds 0 and 2 lack a teacher
    )
    (row,) = taught.runs.to_dict("records")
    assert row["temperature"] == 4 and row["parameters"] == 400 * 121 and row["seed"] == 1
    assert row["teacher_seed"] != row["teacher_seed"]  # no mean of settings
    assert str(taught.at(seed=1)) == "simple CNN, alpha = 0.9, mean over 3 teachers, seed 1"
    of_one = whole.at(teacher_seed=0)
    assert of_one.averaged_over("teacher_seed") is of_one


def test_the_same_runs_may_have_other_measurements(plain):
    shallow = plain.at(family="MLP", depth=2)
    key = shallow.runs["key"].iloc[0]
    measured = pd.DataFrame({"test_loss": [0.5]}, index=[key])
    probed = shallow.with_measured("first layer", measured)
    assert dict(zip(probed.runs["key"], probed.runs["test_loss"], strict=True)) == {
        f"{key}.first layer": 0.5
    }
    assert str(probed) == "plain MLP, 2 layers, first layer"
    assert (shallow - probed).in_("test_loss").is_pair
    nothing = plain.at(family="MLP", depth=64).with_measured("first layer", measured)
    assert nothing.runs.empty and probed.with_measured("earlier", measured).runs.empty


def test_a_network_of_equal_size_is_read_off_between_two(runs, make_record):
    records = [
        make_record("SimpleCNN", 2, seed, accuracy, "cifar10-jpeg", channels=channels,
                    parameters=parameters)
        for seed in range(2)
        for channels, parameters, accuracy in ((8, 1000, 0.6), (16, 4000, 0.7 + 0.01 * seed))
    ]  # fmt: skip
    records += [make_record("ResidualCNN", 2, 0, 0.8, "cifar10-jpeg", parameters=2000)]
    frame = frames.runs(records)
    plain, residual = (Selection(frame).at(family=f) for f in ("SimpleCNN", "ResidualCNN"))
    equal = plain.at_size_of(residual)
    half = log(2) / log(4)
    flops = [run.flops for run in records[:2]]
    assert equal.runs["flops"].iloc[0] == pytest.approx(flops[0] + half * (flops[1] - flops[0]))
    assert [*equal.runs["test_accuracy"]] == pytest.approx([0.6 + half * 0.1, 0.6 + half * 0.11])
    assert str(equal) == "simple CNN, at equal size"
    assert residual.at_size_of(plain.at(channels=8)).runs.empty
    beyond = residual.at_size_of(plain.at(channels=16)).missing
    assert beyond == "4,000 parameters are outside 2,000 to 2,000, the sizes here"
    with pytest.raises(ClaimError, match="it has 2 sizes, needs one"):
        residual.at_size_of(plain)


def test_the_base_rate_is_the_one_that_all_depths_share_and_swept_are_those_with_several(runs):
    cells = ("MLP", 2), ("MLP", 32), ("MLP", 32, 0.003), ("MLP", 32, 0.0003)
    frame = runs(dict.fromkeys(cells, (0.90, 0.93, 0.96)))
    assert swept_depths(frame) == [32]
    base = base_rate(frame)
    assert set(base["learning_rate"]) == {0.001}
    assert set(base["depth"]) == {2, 32}
    assert len(base) == 6
    assert base_rate(frames.runs([])).empty


@pytest.mark.parametrize("rates", [[0.001, 0.003], [0.0001, 0.001], [0.0001, 0.001, 0.003]])
def test_the_base_rate_is_the_profiles_even_where_every_depth_is_swept(trained, rates):
    """Then all rates are used at as many depths, and only the order of the plan tells."""
    page = {"dataset": "smoke-grey", "width": 16, "depth": (8, 32), "seeds": (0, 1, 2)}
    page |= {"learning_rate": 0.001, "validation_size": 500}
    specs = plan_page("1_2", page, [FurtherRuns("rates", {"learning_rate": tuple(rates)})])
    records = [
        trained(each.model.family, each.model.depth, each.seed, 0.9, each.training.learning_rate)
        for each in specs
    ]
    assert set(base_rate(frames.runs(records))["learning_rate"]) == {0.001}
