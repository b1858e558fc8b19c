import math
from dataclasses import replace

import pytest

from lab1.core import spec as config
from lab1.core.record import DISTILLATION_FIELDS, EVALUATION_FIELDS, HISTORY_FIELDS
from lab1.reporting import frames


def test_a_row_has_what_is_known_of_its_run(make_record):
    record = make_record("ResidualMLP", 8, 3, 0.912, "mnist", 0.003, width=32)
    frame = frames.runs([record, make_record("MLP", 2, 0)])
    assert {"train_loss", "validation_accuracy", "train_accuracy"} < {*frame.columns}
    expected = {
        "key": record.key, "name": record.name, "group": frames.group_of(record),
        "family": "ResidualMLP", "depth": 8, "width": 32, "dataset": "mnist",
        "dataset_title": "MNIST", "learning_rate": 0.003, "seed": 3,
        "parameters": record.parameters, "flops": record.flops, "epochs": 3, "best_epoch": 3,
        "stopped": "all epochs", "train_seconds": 3.25, "test_accuracy": 0.912, "test_loss": 0.5,
    }  # fmt: skip
    row = frame.iloc[0]
    assert {name: row[name] for name in expected} == expected


def test_accuracies_are_of_the_best_epoch_and_the_loss_of_the_last(make_record):
    record = make_record(
        best_epoch=2,
        history={
            **{name: [0.0] * 3 for name in HISTORY_FIELDS},
            "train_loss": [0.9, 0.6, 0.3],
            "train_accuracy": [0.1, 0.2, 0.3],
            "validation_accuracy": [0.4, 0.6, 0.5],
        },
    )
    row = frames.runs([record]).iloc[0]
    assert row["train_loss"] == 0.3
    assert row["train_accuracy"] == 0.2
    assert row["validation_accuracy"] == 0.6


def test_what_the_network_makes_of_its_training_images_in_the_end(make_record):
    """In evaluation mode, after the last epoch, whichever was the best on validation."""
    record = make_record(train_evaluation_size=250, best_epoch=1)
    record.history["train_evaluation_accuracy"][:] = [0.3, 0.5, 0.4]
    assert frames.runs([record]).iloc[0]["train_error"] == 1 - 0.4
    assert [*frames.history([record])["train_evaluation_accuracy"]] == [0.3, 0.5, 0.4]


@pytest.mark.parametrize("change", [{}, {"train_evaluation_size": 250, "stopped": "diverged"}])
def test_it_is_unknown_where_it_was_not_measured_or_proves_nothing(make_record, change):
    frame = frames.runs([make_record(**change)])
    assert frame["train_error"].dtype == float
    assert frame["train_error"].isna().all()


def test_cost_is_that_of_an_epoch_and_the_most_memory_or_unknown(make_record):
    record = make_record()
    record.history["seconds"][:] = [9.0, 2.0, 1.0]
    record.history["peak_memory_bytes"][:] = [10, 30, 20]
    row = frames.runs([record]).iloc[0]
    assert (row["epoch_seconds"], row["peak_memory_bytes"]) == (2.0, 30)
    # Unknown where no epoch measured it: on some systems, and where a run diverged at once.
    record = make_record(stopped="diverged", best_epoch=None)
    record.history["seconds"][:] = record.history["peak_memory_bytes"][:] = [None] * 3
    unknown = ["epoch_seconds", "peak_memory_bytes", "validation_accuracy", "train_accuracy"]
    assert frames.runs([record])[unknown].isna().all(axis=None)


def test_one_row_per_layer_and_state(make_record):
    probe = {
        "names": ["stem.0", "output"],
        "initial": {"gradient_norm": [1.0, 2.0], "response": [3.0, 4.0]},
        "trained": {"gradient_norm": [5.0, 6.0], "response": [7.0, 8.0]},
    }
    frame = frames.layers([(make_record(depth=2), probe), (make_record(depth=8), probe)])
    shown = frame[frame["depth"] == 8][["state", "layer", "module", "gradient_norm", "response"]]
    assert shown.to_numpy().tolist() == [
        ["at the start", 1, "stem.0", 1.0, 3.0],
        ["at the start", 2, "output", 2.0, 4.0],
        ["after training", 1, "stem.0", 5.0, 7.0],
        ["after training", 2, "output", 6.0, 8.0],
    ]
    assert len(frame) == 8


def test_a_diverged_run_has_no_test_score(make_record):
    frame = frames.runs([make_record(seed=0), make_record(seed=1, stopped="diverged")])
    assert frame["test_accuracy"].dtype == frame["test_loss"].dtype == float
    row = frame.iloc[1]
    assert row["stopped"] == "diverged"
    assert math.isnan(row["test_accuracy"]) and math.isnan(row["test_loss"])
    assert math.isnan(row["train_loss"])
    assert not math.isnan(row["validation_accuracy"])


def test_a_diverged_run_read_back_from_its_file_is_the_same(make_record, store):
    """A file holds null where the record in memory holds NaN."""
    record = make_record(stopped="diverged")
    store.write(record)
    read = store.find(record.spec)
    assert frames.runs([read]).equals(frames.runs([record]))
    assert frames.history([read]).equals(frames.history([record]))


@pytest.mark.parametrize(
    ("accuracy", "at_chance"), [(0.1, True), (0.14, True), (0.15, False), (0.9, False)]
)
def test_a_network_that_ends_no_better_than_a_guess_is_at_chance(make_record, accuracy, at_chance):
    record = make_record()
    record.history["train_accuracy"][-1] = accuracy
    assert frames.runs([record])["at_chance"].tolist() == [at_chance]


def test_a_run_without_validation_has_unknown_numbers_in_its_place(make_record):
    record = make_record(validation_size=0, accuracy=0.9)
    frame, history = frames.runs([record]), frames.history([record])
    assert [*frame["train_accuracy"]] == [*frame["test_accuracy"]] == [0.9]
    for unknown in (frame["validation_accuracy"], history["validation_loss"]):
        assert unknown.dtype == float and unknown.isna().all()


def test_a_group_differs_in_the_seed_alone(make_record):
    changes = ({"seed": 1}, {"depth": 8}, {"dataset": "smoke-colour"}, {"epochs": 4})
    groups = [frames.group_of(make_record(**change)) for change in changes]
    first = frames.group_of(make_record())
    assert [group == first for group in groups] == [True, False, False, False]


def test_another_teacher_and_another_role_make_another_group(make_spec, make_student, make_record):
    """A student's seed does not: neither the teacher's, which makes another teacher."""
    students = [
        make_student(make_spec(seed=teacher), seed=seed)
        for teacher, seed in ((0, 0), (0, 1), (1, 0))
    ]
    students.append(replace(students[0], role="fresh"))
    first, *others = (
        frames.group_of(replace(make_record(), spec=spec, key="", teacher_recipes=()))
        for spec in students
    )
    assert [group == first for group in others] == [True, False, False]


def test_another_recipe_makes_another_group(make_record, monkeypatch):
    old = make_record()
    group = frames.group_of(old)
    monkeypatch.setattr(config, "RECIPE", {**config.RECIPE, "MLP": old.recipe + 1})
    assert frames.group_of(make_record()) != group
    # The old record stays in its own group, whatever the sources say by now.
    assert frames.group_of(old) == group


def test_the_series_stand_beside_their_epoch_and_the_rate_that_the_run_was_given(make_record):
    """A schedule lowers the rate; the charts must still find the run by the rate it was given."""
    records = [make_record(seed=seed, learning_rate=0.003) for seed in (0, 1)]
    records[0].history["learning_rate"][:] = [0.003, 0.0015, 0.0001]
    frame = frames.history(records)
    assert [*frame.columns] == [
        *("key", "group", "family", "depth", "width", "dataset", "learning_rate", "seed", "change"),
        "epoch",
        *("scheduled_learning_rate" if n == "learning_rate" else n for n in HISTORY_FIELDS),
        *EVALUATION_FIELDS,
        *DISTILLATION_FIELDS,
    ]
    assert [*frame["epoch"]] == [1, 2, 3] * 2 and [*frame["seed"]] == [0] * 3 + [1] * 3
    first = frame[frame["seed"] == 0]
    for name in set(HISTORY_FIELDS) - {"learning_rate"}:
        assert [*first[name]] == records[0].history[name]
    assert [*first["learning_rate"]] == [0.003] * 3
    assert [*first["scheduled_learning_rate"]] == [0.003, 0.0015, 0.0001]
