import copy

import pytest
from benchmark_records import contenders_record

from lab1.reporting import speed


@pytest.fixture
def published():
    """A benchmark of one task, in which bf16 costs no accuracy."""
    record = contenders_record(
        lab1=[(200, 0.50), (200, 0.52), (200, 0.54)],
        lab1_bf16=[(300, 0.51), (330, 0.52), (360, 0.53)],
        reference=[(100, 0.5), (110, 0.5), (120, 0.5)],
        lightning=[(150, 0.5), (150, 0.5), (150, 0.5)],
    )
    record["hardware"]["name"] = "<a processor>"
    record["versions"]["lightning"] = "2.6.6"
    return {"cpu": {**record, "note": "It also baked a cake."}}


def changed(published, contender, rates=None, accuracies=None):
    """The same with other figures of one contender."""
    copied = copy.deepcopy(published)
    rounds = copied["cpu"]["cases"][0]["rounds"][contender]
    for index, each in enumerate(rounds):
        if rates:
            each["seconds"] = 200 / rates[index]
        if accuracies:
            each["accuracy"] = accuracies[index]
    return copied


def test_the_page_opens_with_the_ratios(published):
    text = str(speed.answer(published))
    assert text.startswith(
        "On \\<a processor\\>, 2 cores, torch 2.14.1, the trainer of this site is 3.0 times as "
        "fast as the reference loop"
    )
    assert "tutorials: 3.0 times for ResNet-20." in text
    text = str(speed.answer(changed(published, "reference", rates=[200, 220, 240])))
    assert "1.5 times for ResNet-20." in text


@pytest.mark.parametrize(
    ("rates", "claim"),
    [
        ([150, 150, 150], "On every task it is faster than PyTorch Lightning (2.2 times as fast)."),
        ([400, 400, 400], "On every task it is slower than PyTorch Lightning (0.8 times as fast)."),
        ([290, 340, 350], "It is not always faster than PyTorch Lightning (1.0 times as fast)."),
    ],
)
def test_a_contender_is_slower_only_where_every_round_says_so(published, rates, claim):
    assert claim in str(speed.answer(changed(published, "lightning", rates=rates)))


def test_contenders_of_one_claim_share_a_sentence(published):
    """And a ratio over several tasks is a range."""
    (case,) = published["cpu"]["cases"]
    published["cpu"]["contenders"]["hugging-face"] = "Hugging Face Trainer"
    slower = copy.deepcopy(case) | {"title": "MLP"}
    case["rounds"]["hugging-face"] = case["rounds"]["reference"]
    slower["rounds"]["hugging-face"] = case["rounds"]["lightning"]
    published["cpu"]["cases"].append(slower)
    assert (
        "On every task it is faster than PyTorch Lightning (2.2 times as fast) and Hugging Face "
        "Trainer (2.2 to 3.0 times as fast). These are"
    ) in str(speed.answer(published))


def test_the_page_opens_with_its_catch(published):
    text = str(speed.answer(published))
    assert (
        "These are medians of 3 rounds, with 2 threads and lightning 2.6.6. It also baked a cake. "
        "Another machine gives other ratios."
    ) in text


def test_the_verdict_follows_the_accuracies(published):
    assert "no measurable difference" in str(speed.precision(published))
    worse = changed(published, "lab1-bf16", accuracies=[0.40, 0.421, 0.44])
    assert "over 3 rounds: a loss" in str(speed.precision(worse))
    better = changed(published, "lab1-bf16", accuracies=[0.60, 0.621, 0.64])
    assert "over 3 rounds: a gain" in str(speed.precision(better))
    del better["cpu"]["cases"][0]["rounds"]["lab1-bf16"]
    assert str(speed.precision(better)) == ""


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
    assert "On a GPU, torch 2.14.1, the trainer" in str(speed.answer(both))
    assert "<td>a GPU, torch 2.14.1</td>" in speed.table(both).markup
    assert "a processor" not in speed.table(published).markup
    assert str(speed.precision(both)).count("\n\n") == 1
    assert "a GPU" in speed.ratios(both).parts()["svg"]


def test_the_table_has_every_contender_and_no_markup_from_a_record(published):
    published["cpu"]["contenders"]["lightning"] = "<b>Lightning</b>"
    table = speed.table(published)
    assert len(table.frame) == 4
    assert "3.00 (3.00–3.00)" in table.markup
    assert "52.0 (51.0–53.0)" in table.markup
    assert "CIFAR-10 (JPEG copy)" in table.markup
    assert "<b>" not in table.markup
    assert "<b>" not in str(speed.answer(published))


@pytest.mark.parametrize("show", [speed.answer, speed.ratios, speed.table, speed.precision])
def test_without_a_benchmark_the_page_says_how_to_make_one(show):
    assert "python -m lab1 bench" in str(show({}))
