"""The chart whose temperature a reader turns: what it starts from, and what it says without it."""

import math

import pytest

from lab1.reporting import softened

LOGITS = [[4.0, 2.0, 1.0, *[0.0] * 7], [0.5, 3.0, *[0.25] * 8]]


def softmax(logits, temperature):
    weights = [math.exp(each / temperature) for each in logits]
    return [weight / sum(weights) for weight in weights]


@pytest.fixture
def figure(make_record):
    record = make_record("ResidualCNN", 2, dataset="smoke-colour")
    temperatures = [1, 4, 16]
    probe = {
        "temperatures": temperatures,
        "images": [
            {
                "index": 7,
                "label": label,
                "png": "AAAA",
                "probabilities": [softmax(logits, t) for t in temperatures],
            }
            for label, logits in enumerate(LOGITS)
        ],
    }
    probe["confident"] = probe["images"][:1]
    return softened.turned(record, probe, 4)


def test_the_data_are_the_answers_at_one_and_one_image_per_row(figure):
    assert len(figure.data) == 30
    own = figure.data[figure.data["image"] == figure.data["image"].iloc[0]]
    assert own["probability"].tolist() == pytest.approx(softmax(LOGITS[0], 1))


def test_temperature_and_image_are_the_readers(figure):
    spec = figure.parts()["spec"]
    bound = {each["name"]: each for each in spec["params"] if "bind" in each}
    assert bound["T"]["value"] == 4
    assert bound["T"]["bind"]["input"] == "range"
    assert (bound["T"]["bind"]["min"], bound["T"]["bind"]["max"]) == (1, 20)
    assert bound["picture"]["bind"]["options"] == ["0, hesitant", "1, hesitant", "0, sure"]


def test_what_it_says_without_scripts_is_the_softmax_over_the_temperature(figure):
    """p^(1/T), normalised, is the softmax of the logits over T: so is the drawn picture."""
    at_one, at_four = softmax(LOGITS[0], 1), softmax(LOGITS[0], 4)
    assert f"0 {at_one[0]:.1%} and {at_four[0]:.1%}" in figure.alt
    assert f"{at_four[0]:.1%}" in figure.parts()["svg"]
    assert f"{at_four[1]:.1%}" in figure.parts()["svg"]
