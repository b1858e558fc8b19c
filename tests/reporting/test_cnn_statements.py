"""The chapter on convolutional networks: designs, equal sizes, twins."""

from dataclasses import replace

import pandas
import pytest

from lab1.reporting.comparison.cnn_statements import convolutional_networks, discussion
from lab1.reporting.comparison.equal_parameters import at_size, equal_size_effect
from lab1.reporting.kit import frames
from lab1.reporting.kit.sentences import Judgement, Verdict

#: By family and stages, the parameters.
SIZES = {
    ("SimpleCNN", 2): 1_000,
    ("SimpleCNN", 3): 10_000,
    ("SimpleCNN", 4): 100_000,
    ("PlainCNN", 3): 31_623,
    ("ResidualCNN", 2): 3_163,
    ("ResidualCNN", 3): 31_623,
    ("ResidualCNN", 4): 1_000_000,
}
#: On a straight line over the logarithm of the parameters: a tenth for a tenfold size.
ON_THE_LINE = {
    ("SimpleCNN", 2): 0.5,
    ("SimpleCNN", 3): 0.6,
    ("SimpleCNN", 4): 0.7,
    ("ResidualCNN", 2): 0.55,
    ("ResidualCNN", 3): 0.65,
}
SPREAD = [0.001, 0.0, -0.002]


@pytest.fixture
def networks(make_record):
    """The frame of runs with these mean accuracies, three seeds each that differ a little."""

    def make(accuracies, seeds=3, change=lambda records: records):
        records = [
            make_record(
                family, depth, seed, accuracy + seed / 100 + SPREAD[seed - depth % 3] / depth,
                "cifar10-jpeg", channels=16, parameters=SIZES[family, depth],
            )
            for (family, depth), accuracy in accuracies.items()
            for seed in range(seeds)
        ]  # fmt: skip
        return frames.runs(change(records))

    return make


def test_an_accuracy_is_read_off_the_line_between_the_two_nearest_sizes(make_record):
    runs = frames.runs(
        [
            make_record("SimpleCNN", depth, 0, accuracy, channels=16, parameters=parameters)
            for depth, accuracy, parameters in ((2, 0.5, 1000), (3, 0.7, 100_000), (4, 0.9, 10**6))
        ]
    )
    assert at_size(runs, 10_000)["test_accuracy"].tolist() == [pytest.approx(0.6)]
    assert at_size(runs, 100_000)["test_accuracy"].tolist() == [pytest.approx(0.7)]
    assert at_size(runs, 10**6)["test_accuracy"].tolist() == [pytest.approx(0.9)]
    assert at_size(runs, 999).empty and at_size(runs, 10**6 + 1).empty


def test_beyond_the_measured_sizes_there_is_no_comparison(networks):
    runs = networks(ON_THE_LINE | {("ResidualCNN", 4): 0.9})
    text = equal_size_effect(runs, "SimpleCNN").text
    assert "**2 stages, 3,163 parameters:**" in text
    assert (
        "1,000,000 parameters:** outside the sizes of the simple CNN here, 1,000 to 100,000" in text
    )


def test_designs_on_one_line_differ_at_equal_depth_and_not_at_equal_size(networks):
    says = convolutional_networks(networks(ON_THE_LINE))
    assert "the residual design is **ahead**" in says["design"].text
    assert "3.2 times the parameters" in says["design"].text
    assert "no measurable difference at equal size" in says["equal"].text
    assert "So size alone may account for the lead" in says["discussion"].text
    assert "no measurable difference at equal size" in says["answer"].text
    assert "needs a twin, which is not here" in says["discussion"].text
    assert "names no cause" in says["twins"].text
    assert "**help**" not in says["answer"].text and "JPEG copy" in says["answer"].text


def test_a_size_that_was_not_compared_carries_no_conclusion(networks):
    deeper = ON_THE_LINE | {("ResidualCNN", 4): 0.9}
    said = convolutional_networks(networks(deeper))["discussion"].text
    assert "that was compared with 3 stages at the most" in said
    assert "How much of the lead with 4 stages is size is not known here." in said
    assert "size alone" not in said


def test_a_design_that_is_ahead_at_equal_size_is_said_to_be(networks):
    better = ON_THE_LINE | {("ResidualCNN", 3): 0.75}
    says = convolutional_networks(networks(better))
    assert "the residual design is **ahead** at equal size" in says["equal"].text
    assert "better use of its parameters with 3 stages" in says["discussion"].text


def test_a_twin_names_the_cause_and_the_claim_turns_round(networks, swap_families):
    cells = ON_THE_LINE | {("PlainCNN", 3): 0.6}
    says = convolutional_networks(networks(cells))
    assert "the skip connections **help**" in says["twins"].text
    assert "they are a cause" in says["discussion"].text
    assert "the skip connections **help**" in says["answer"].text
    worse = convolutional_networks(networks(cells | {("PlainCNN", 3): 0.7}))
    assert "the skip connections **hurt**" in worse["answer"].text
    assert "the skip connections hurt" in worse["discussion"].text
    same = convolutional_networks(networks(cells | {("PlainCNN", 3): 0.65}))
    assert "they are not shown to make a difference" in same["discussion"].text


def test_a_hint_carries_no_conclusion(networks):
    """What the correction leaves no finding is not concluded from either."""
    runs = networks(ON_THE_LINE | {("PlainCNN", 3): 0.6})
    hints = {
        name: Verdict(
            *(replace(p, adjusted=0.2) if isinstance(p, Judgement) else p for p in says.parts)
        )
        for name, says in convolutional_networks(runs).items()
    }
    assert "a hint, no finding" in hints["twins"].text
    said = discussion(runs, hints).text
    assert "not shown to be ahead" in said and "are not shown to make a difference" in said


def test_the_design_that_is_behind_is_not_said_to_be_ahead(networks):
    says = convolutional_networks(networks(ON_THE_LINE | {("ResidualCNN", 3): 0.5}))
    assert "not shown to be ahead" in says["discussion"].text
    assert "the residual design is **behind**" in says["answer"].text


def test_two_seeds_carry_no_conclusion(networks):
    cells = ON_THE_LINE | {("PlainCNN", 3): 0.6}
    says = convolutional_networks(networks(cells, seeds=2))
    assert "nothing is concluded about them" in says["discussion"].text
    assert "too few seeds for a conclusion" in says["discussion"].text
    assert "2 seeds each" in says["training"].text
    assert says["comparisons"].text == "This page judges no comparison."


def test_sizes_that_were_added_are_compared_at_equal_size_alone(networks, make_record):
    runs = networks(ON_THE_LINE)
    added = [
        make_record("SimpleCNN", 4, seed, 0.99, "cifar10-jpeg", channels=37, parameters=10**6)
        for seed in range(3)
    ]
    both = frames.runs(added)
    joined = frames.pd.concat([runs, both], ignore_index=True)
    assert (
        convolutional_networks(joined)["plain"].text == convolutional_networks(runs)["plain"].text
    )


def test_where_the_deepest_twins_have_too_few_seeds_the_next_depth_speaks(networks, make_record):
    accuracies = ON_THE_LINE | {("ResidualCNN", 4): 0.8, ("PlainCNN", 3): 0.6}
    few = frames.runs(
        [make_record("PlainCNN", 4, 0, 0.5, "cifar10-jpeg", channels=16, parameters=1_000_000)]
    )
    runs = pandas.concat([networks(accuracies), few], ignore_index=True)
    says = convolutional_networks(runs)
    assert "With 3 stages, the residual CNN differs from the residual CNN without" in str(
        says["answer"]
    )
    assert (
        "Against their twin with 3 stages, which has the same layers, the skip connections help"
        in str(says["discussion"])
    )
    assert "**4 stages**" in str(says["twins"])  # with its n, and no claim


def test_seeds_of_several_kinds_of_device_are_named(networks):
    runs = networks(ON_THE_LINE)
    assert "Trained on" not in str(convolutional_networks(runs)["training"])
    runs.loc[runs["seed"] == 2, "device"] = "cuda"
    assert (
        "Trained on a CPU: seeds 0 and 1; on a GPU: seed 2. Every comparison is between runs of"
    ) in str(convolutional_networks(runs)["training"])
    runs.loc[(runs["seed"] == 1) & (runs["depth"] == 4), "device"] = "cuda"
    said = str(convolutional_networks(runs)["training"])
    assert "; on a GPU: seed 2 and seed 1 with 4 stages. Every comparison" in said
    assert "Trained on a CPU: seed 0 and seed 1 with " in said
