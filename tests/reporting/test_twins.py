import pytest
from distilled import SETTING, bias_probe, digits, measured, several, study

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


def test_photographs_and_digits_are_told_apart(make_record):
    frame = frames.runs(study(make_record, [(0.7, 0.8)]) + digits(make_record, [(70, 150, 80)]))
    assert set(twins.photographs(frame)["family"]) == {"SimpleCNN", "ResidualCNN"}
    assert set(twins.digits(frame)["family"]) == {"MLP"}


def test_teachers_are_those_that_teach_and_their_other_seeds(make_record):
    frame = frames.runs(digits(make_record, [(70, 150, 80), (60, 140, 90)]))
    assert twins.teachers(frame)["errors"].tolist() == [70, 60]


def test_a_setting_is_one_configuration_and_a_sweep_varies_one_thing(make_record):
    records = several(
        make_record,
        [
            ([(0.70, 0.72)], {}),
            ([(0.70, 0.75)], {"temperature": 8.0}),
            ([(0.70, 0.74)], {"alpha": 0.5}),
            ([(0.80, 0.81)], {"channels": 16}),
        ],
    )
    frame = frames.runs(records)
    assert len(twins.pairs(frame)) == 4
    assert twins.of_setting(frame, SETTING)["gain"].tolist() == pytest.approx([0.02])
    for by, values in (("temperature", [4, 8]), ("alpha", [0.5, 0.9]), ("channels", [11, 16])):
        assert sorted(twins.sweep(frame, SETTING, by)[by]) == values


def test_a_sweep_has_the_seeds_that_every_value_has(make_record):
    """The main setting has more seeds than the others: their mean would be over other runs."""
    five = [(0.70, 0.72)] * 5
    frame = frames.runs(
        several(make_record, [(five, {}), ([(0.70, 0.75)] * 3, {"temperature": 8.0})])
    )
    swept = twins.sweep(frame, SETTING, "temperature")
    assert swept.groupby("temperature")["seed"].apply(sorted).tolist() == [[0, 1, 2]] * 2


def test_the_student_that_trained_longer(runs):
    frame = runs([(0.7, 0.8)] * 2, longer=[0.75, 0.76])
    found = twins.longer(frame, SETTING)
    assert found["test_accuracy"].tolist() == [0.75, 0.76]
    assert twins.longer(runs([(0.7, 0.8)]), SETTING).empty


def test_what_is_known_of_a_class_unseen(make_record):
    records = digits(make_record, [(70, 150, 80)], [(1200, 220)])
    alone, taught = bias_probe(1000, 1200, 900, 1100), bias_probe(150, 220, 20, 110)
    table = twins.unseen(measured(records, [alone], [taught])).set_index("taught")
    assert table.loc[False, "unseen_accuracy"] == 0
    row = table.loc[True]
    assert (row["unseen_accuracy"], row["corrected_accuracy"]) == pytest.approx((0.85, 0.98))
    assert (row["errors"], row["class_errors"]) == (220, 150)
    assert (row["corrected_errors"], row["corrected_class_errors"]) == (110, 20)
