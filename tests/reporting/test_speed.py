import copy
from statistics import mean

import pytest
from benchmark_records import contenders_record

from lab1.reporting import speed


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
    assert "<svg" in figure.parts()["svg"]


def test_machines_are_told_apart(published):
    other = copy.deepcopy(published["cpu"])
    other["hardware"] = {**other["hardware"], "kind": "cuda", "name": "a GPU"}
    both = {**published, "gpu": other}
    assert "<td>a GPU, torch 2.14.1</td>" in speed.table(both).markup
    assert "a processor" not in speed.table(published).markup
    assert "a GPU" in speed.ratios(both).parts()["svg"]
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
