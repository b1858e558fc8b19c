import copy

import pytest

from lab1.reporting import speed


@pytest.fixture
def published():
    """A benchmark whose one task reaches its aim of 2, in which bf16 costs nothing."""

    def rounds(rates, accuracies):
        return [
            {"seconds": 1.0, "images_per_second": rate, "accuracy": accuracy}
            for rate, accuracy in zip(rates, accuracies, strict=True)
        ]

    return {
        "cpu": {
            "schema": 1,
            "hardware": {
                "kind": "cpu",
                "name": "<a processor>",
                "cores": 2,
                "matrix_product_flops": 1e6,
            },
            "versions": {"torch": "2.14.1"},
            "reference": "reference",
            "skipped": [],
            "titles": {
                "lab1": "lab1, float32",
                "lab1-bf16": "lab1, bf16",
                "reference": "reference loop",
                "lightning": "PyTorch Lightning",
            },
            "cases": [
                {
                    "title": "ResNet-20",
                    "dataset": "cifar10-jpeg",
                    "target": 2.0,
                    "flops": 100,
                    "rounds": {
                        "lab1": rounds([200, 200, 200], [0.50, 0.52, 0.54]),
                        "lab1-bf16": rounds([300, 330, 360], [0.51, 0.52, 0.53]),
                        "reference": rounds([100, 110, 120], [0.5, 0.5, 0.5]),
                        "lightning": rounds([150, 150, 150], [0.5, 0.5, 0.5]),
                    },
                }
            ],
        }
    }


def changed(published, contender, rates=None, accuracies=None):
    """The same with other figures of one contender."""
    copied = copy.deepcopy(published)
    rounds = copied["cpu"]["cases"][0]["rounds"][contender]
    for index, each in enumerate(rounds):
        if rates:
            each["images_per_second"] = rates[index]
        if accuracies:
            each["accuracy"] = accuracies[index]
    return copied


def test_the_verdict_follows_the_ratios(published):
    text = str(speed.verdict(published))
    assert "reaches the aim with 3.00 times for ResNet-20 (the aim: 2)" in text
    assert "slower than none" in text
    text = str(speed.verdict(changed(published, "reference", rates=[200, 220, 240])))
    assert "misses it with 1.50 times" in text and "reaches" not in text
    text = str(speed.verdict(changed(published, "lightning", rates=[400, 400, 400])))
    assert "It is slower than PyTorch Lightning on ResNet-20." in text


def test_the_verdict_follows_the_accuracies(published):
    assert "no measurable difference" in str(speed.verdict(published))
    worse = changed(published, "lab1-bf16", accuracies=[0.40, 0.421, 0.44])
    assert "over 3 rounds: a loss" in str(speed.verdict(worse))
    better = changed(published, "lab1-bf16", accuracies=[0.60, 0.621, 0.64])
    assert "over 3 rounds: a gain" in str(speed.verdict(better))


def test_the_chart_shows_the_others_with_their_spread(published):
    figure = speed.ratios(published)
    rows = figure.data.set_index("contender")
    assert list(rows.index) == ["reference loop", "PyTorch Lightning"]
    assert rows.loc["reference loop", "ratio"] == 3
    lightning = rows.loc["PyTorch Lightning", ["minimum", "ratio", "maximum"]]
    assert list(lightning) == pytest.approx([2, 2.2, 2.4])
    assert "ResNet-20, CIFAR-10 (JPEG copy): 3.00 times as fast as reference loop" in figure.alt
    assert "<svg" in figure.parts()["svg"]


def test_machines_are_told_apart(published):
    other = copy.deepcopy(published["cpu"])
    other["hardware"] = {**other["hardware"], "kind": "cuda", "name": "a GPU"}
    both = {**published, "gpu": other}
    assert set(speed.frame(both)["hardware"]) == {
        "<a processor>, 2 cores, torch 2.14.1",
        "a GPU, torch 2.14.1",
    }
    assert "a GPU" in str(speed.verdict(both))
    assert "a GPU" in speed.ratios(both).parts()["svg"]


def test_the_table_has_every_contender_and_no_markup_from_a_record(published):
    published["cpu"]["titles"]["lightning"] = "<b>Lightning</b>"
    table = speed.table(published)
    assert len(table.frame) == 4
    assert "3.00 (3.00–3.00)" in table.markup
    assert "52.0 (51.0–53.0)" in table.markup
    assert "CIFAR-10 (JPEG copy)" in table.markup
    assert "<b>" not in table.markup
    assert "&lt;a processor&gt;" in str(speed.verdict(published))


@pytest.mark.parametrize("show", [speed.ratios, speed.table, speed.verdict])
def test_without_a_benchmark_the_page_says_how_to_make_one(show):
    assert "python -m lab1 bench" in str(show({}))
