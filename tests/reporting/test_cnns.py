"""Convolutional networks: how fast they converge, and the mistakes of a trained one."""

import base64
from dataclasses import replace

import pytest

from lab1.reporting import cnns, frames
from lab1.reporting.theme import COLOURS


@pytest.fixture
def make_history(make_record):
    """The frame of runs with the given validation accuracies by epoch."""

    def make(curves, dataset="cifar10-jpeg"):
        records = []
        for (family, depth, seed), accuracies in curves.items():
            record = make_record(family, depth, seed, dataset=dataset)
            series = {
                name: [values[0]] * len(accuracies) for name, values in record.history.items()
            }
            series["validation_accuracy"] = list(accuracies)
            records.append(replace(record, history=series, best_epoch=len(accuracies)))
        return frames.history(records)

    return make


def curves(*accuracies, family="SimpleCNN", depth=2):
    return {(family, depth, seed): own for seed, own in enumerate(accuracies)}


def test_a_level_is_reached_at_the_first_epoch_that_has_it_or_not_at_all(make_history):
    reached = cnns.first_reached(make_history(curves([0.3, 0.55, 0.45, 0.62]))).set_index("level")
    assert reached["epoch"].to_dict() == {30: 1, 40: 2, 50: 2, 60: 4}
    show = cnns.epochs_to_accuracy
    assert "No run reached" in show(make_history(curves([0.1, 0.2])))
    assert "all seeds" in str(show(make_history(curves([0.35], [0.1]))))


def test_a_level_that_some_seed_missed_is_left_out(make_history):
    """The mean over the seeds that made it would favour the lucky ones."""
    history = make_history(curves([0.35, 0.45], [0.31, 0.39], [0.2, 0.41]))
    table = cnns.epochs_to_accuracy(history).data
    assert list(table["level"]) == [30]
    assert table["mean"].tolist() == [pytest.approx(4 / 3)]
    assert table["n"].tolist() == [3]


def test_families_keep_their_own_times(make_history):
    history = make_history(curves([0.1, 0.35]) | curves([0.35, 0.45], family="ResidualCNN"))
    figure = cnns.epochs_to_accuracy(history)
    table = figure.data.set_index(["family", "level"])["mean"]
    assert table.to_dict() == {("ResidualCNN", 30): 1, ("ResidualCNN", 40): 2, ("SimpleCNN", 30): 2}
    assert "ResidualCNN 2: 2 to 40 %" in figure.alt


def test_curves_are_drawn_as_far_as_all_seeds_went(make_history):
    history = make_history(curves([0.3, 0.4, 0.5], [0.3, 0.5]))
    table = cnns.validation_curves(history).data
    assert table["epoch"].tolist() == [1, 2]
    assert table["mean"].tolist() == pytest.approx([30, 45])


@pytest.mark.parametrize("draw", [cnns.validation_curves, cnns.epochs_to_accuracy])
def test_charts_name_the_data_and_the_unit_of_depth(make_history, draw):
    history = make_history(
        curves(*[[0.35, 0.45]] * 3) | curves(*[[0.45, 0.55]] * 3, family="ResidualCNN")
    )
    spec = draw(history).chart.to_dict(validate=True)
    assert spec["title"] == "CIFAR-10 (JPEG copy)" and spec["facet"]["title"] == "stages"
    layers = spec["spec"]["layer"]
    values = {layer["encoding"]["y"].get("field") for layer in layers if "y" in layer["encoding"]}
    assert "mean" in values
    x = layers[0]["encoding"]["x"]["title"]
    assert x in {row["title"] for row in layers[-1]["encoding"]["tooltip"]}


@pytest.fixture
def record(make_record):
    return make_record("ResidualCNN", 2, dataset="cifar10-jpeg")


@pytest.fixture
def counts():
    """Ten classes of ten images: all right but cats, of which four were taken for dogs."""
    rows = [[10 if i == j else 0 for j in range(10)] for i in range(10)]
    rows[3][3], rows[3][5] = 6, 4
    return {"counts": rows}


def test_the_confusion_has_classes_as_rows(record, counts):
    figure = cnns.confusion(record, counts)
    table = figure.data.set_index(["true", "predicted"])
    assert table.loc[("cat", "dog"), "images"] == 4
    assert table.loc[("cat", "dog"), "share"] == pytest.approx(0.4)
    assert table.loc[("dog", "cat"), "images"] == 0
    assert "cat taken for dog: 4" in figure.alt
    assert figure.chart.to_dict(validate=True)["title"] == "CIFAR-10 (JPEG copy), ResidualCNN"
    assert ">airplane<" in figure.parts()["svg"]


def test_the_hardest_class_stands_on_top(record, counts):
    figure = cnns.class_accuracy(record, counts)
    assert figure.data.iloc[0][["class", "accuracy", "images"]].tolist() == ["cat", 60, 10]
    (bar,) = figure.chart.to_dict(validate=True)["layer"]
    assert bar["encoding"]["y"]["sort"][0] == "cat"
    assert bar["encoding"]["color"] == {"value": COLOURS["ResidualCNN"]}


def test_the_hardest_images_say_what_they_are(record):
    png = base64.b64encode(b"no picture").decode()
    image = {"index": 17, "label": 3, "predicted": 5, "p_label": 0.001, "p_predicted": 0.98}
    table = cnns.hardest(record, {"images": [{**image, "png": png}]})
    assert table.frame.iloc[0]["class"] == "cat"
    assert "cat → dog" in table.markup
    assert "98%" in table.markup
    assert 'alt="test image 17: cat, taken for dog"' in table.markup
    assert f"data:image/png;base64,{png}" in table.markup


def test_classes_without_names_are_called_by_their_number(make_record, counts):
    record = make_record(dataset="smoke-grey")
    assert cnns.class_names(record) == tuple("0123456789")
    assert "3 taken for 5: 4" in cnns.confusion(record, counts).alt
