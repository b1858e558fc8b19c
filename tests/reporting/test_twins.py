from dataclasses import replace

import pytest
from distilled import SETTING, digits, several, study

from lab1.reporting import frames, twins


@pytest.fixture
def runs(make_record):
    def make(*arguments, **keywords):
        return frames.runs(study(make_record, *arguments, **keywords))

    return make


def test_a_distilled_run_is_set_beside_its_twin(runs):
    pairs = twins.pairs(runs([(0.70, 0.72), (0.60, 0.61)]))
    assert pairs["seed"].tolist() == [0, 1]
    assert pairs["alone"].tolist() == [0.70, 0.60]
    assert pairs["gain"].tolist() == pytest.approx([0.02, 0.01])
    assert pairs["validation_gain"].tolist() == pytest.approx([0.02, 0.01])
    # The JPEG copy has 10,000 test images.
    assert pairs["fewer_errors"].tolist() == [200, 100]


def test_a_twin_differs_in_the_loss_alone(runs, make_record):
    """Another width, another seed or another number of epochs makes no twin."""
    records = study(make_record, [(0.7, 0.8)])
    taught = records[-1]
    others = [
        make_record("SimpleCNN", 4, 1, 0.7, "cifar10-jpeg", channels=11),
        make_record("SimpleCNN", 4, 0, 0.7, "cifar10-jpeg", channels=8),
        make_record("SimpleCNN", 4, 0, 0.7, "cifar10-jpeg", channels=11, epochs=4),
    ]
    assert twins.pairs(frames.runs([records[0], taught, *others])).empty


@pytest.mark.parametrize("column", ["device", "versions"])
def test_runs_of_another_machine_are_no_twins(runs, column):
    frame = runs([(0.7, 0.8)])
    frame.loc[frame["twin"].notna(), column] = "another"
    assert twins.pairs(frame).empty


def test_a_diverged_twin_leaves_the_gain_unknown(make_record):
    records = study(make_record, [(0.7, 0.8)])
    alone = make_record("SimpleCNN", 4, 0, 0.7, "cifar10-jpeg", channels=11, stopped="diverged")
    assert twins.pairs(frames.runs([records[0], alone, records[2]]))["gain"].isna().all()


def test_a_taught_perceptron_is_no_student_of_another_size(make_record):
    frame = frames.runs(study(make_record, [(0.7, 0.8)]) + digits(make_record, [(70, 150, 80)]))
    as_digits = replace(SETTING, temperature=20.0)
    assert twins.sweep(frame, as_digits, "channels").empty and len(twins.pairs(frame)) == 2


def test_a_sweep_has_the_seeds_that_every_value_has(make_record):
    """The main setting has more seeds than the others: their mean would be over other runs."""
    five = [(0.70, 0.72)] * 5
    frame = frames.runs(
        several(make_record, [(five, {}), ([(0.70, 0.75)] * 3, {"temperature": 8.0})])
    )
    swept = twins.sweep(frame, SETTING, "temperature")
    assert swept.groupby("temperature")["seed"].apply(sorted).tolist() == [[0, 1, 2]] * 2
