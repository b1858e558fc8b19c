import base64

import pytest

from lab1.reporting import cnns
from lab1.reporting.figure import COLOURS


@pytest.fixture
def record(make_record):
    return make_record("ResidualCNN", 2, dataset="cifar10-jpeg")


@pytest.fixture
def counts():
    """Ten classes of ten images: all right but cats, of which four were taken for dogs."""
    rows = [[10 if i == j else 0 for j in range(10)] for i in range(10)]
    rows[3][3], rows[3][5] = 6, 4
    return {"counts": rows}


@pytest.fixture
def images():
    png = base64.b64encode(b"no picture").decode()
    return {
        "images": [
            {
                "index": 17,
                "label": 3,
                "predicted": 5,
                "p_label": 0.001,
                "p_predicted": 0.98,
                "png": png,
            }
        ]
    }


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


def test_the_hardest_images_say_what_they_are(record, images):
    table = cnns.hardest(record, images)
    assert table.frame.iloc[0]["class"] == "cat"
    assert "cat → dog" in table.markup
    assert "98%" in table.markup
    assert 'alt="test image 17: cat, taken for dog"' in table.markup
    assert f"data:image/png;base64,{images['images'][0]['png']}" in table.markup


def test_classes_without_names_are_called_by_their_number(make_record, counts):
    record = make_record(dataset="smoke-grey")
    assert cnns.class_names(record) == tuple("0123456789")
    assert "3 taken for 5: 4" in cnns.confusion(record, counts).alt
