"""What is said of degradation must follow from the records, and turn round with them."""

import re

import pytest

from lab1.reporting.degradation.verdicts import (
    degradation,
    gradients_at_start,
    schedule,
    shortcut_effect,
    untrained,
)
from lab1.reporting.kit import frames

#: What a difference between twins varies by.
JITTER = [0.001, 0.0, -0.001]
SEEDS = [0.80, 0.83, 0.86]
MEASURED = {"train_evaluation_size": 250}


def around(shift, jitter=JITTER):
    return [seed + shift + each for seed, each in zip(SEEDS, jitter, strict=True)]


#: Accuracies on training images: depth harms the plain net and helps the residual one.
AS_IN_THE_PAPER = {
    ("PlainNet", 20): SEEDS,
    ("PlainNet", 56): around(-0.05),
    ("ResNet", 20): around(0.02),
    ("ResNet", 56): around(0.06),
}


@pytest.fixture
def fitted(experiment):
    """Records with these accuracies on training images, and always the same ones on others."""

    def make(fit):
        return experiment({cell: [0.5] * len(v) for cell, v in fit.items()}, fit=fit, **MEASURED)

    return make


def claims(verdict):
    return re.findall(r"\*\*([^*]+)\*\*[^*]*\(the interval (?:ex|con)", verdict.text)


def test_a_plain_net_that_fits_worse_with_depth_degrades(fitted):
    verdict = degradation(frames.runs(fitted(AS_IN_THE_PAPER)), "PlainNet")
    assert claims(verdict) == ["worse"]
    assert "which is degradation" in verdict.text
    assert "+5.00 ± 0.25 points (n = 3)" in verdict.text
    assert "56 layers ends with 22.00 ±" in verdict.text
    assert "20 layers with 17.00 ±" in verdict.text


def test_the_verdicts_turn_round_with_the_families(fitted, swap_families):
    records = fitted(AS_IN_THE_PAPER)
    before, after = frames.runs(records), frames.runs(swap_families(records))
    assert claims(degradation(before, "PlainNet")) == ["worse"]
    assert claims(degradation(before, "ResNet")) == ["better"]
    assert claims(degradation(after, "PlainNet")) == ["better"]
    assert claims(degradation(after, "ResNet")) == ["worse"]
    assert claims(shortcut_effect(before)) == ["counteracts"]
    assert claims(shortcut_effect(after)) == ["worse"]


def test_the_verdicts_turn_round_with_the_depths(fitted, swap_depths):
    after = frames.runs(swap_depths(fitted(AS_IN_THE_PAPER), 20, 56))
    assert claims(degradation(after, "PlainNet")) == ["better"]
    assert claims(shortcut_effect(after)) == ["worse"]


def test_the_shortcut_is_judged_by_what_depth_does_to_each_twin(fitted):
    """The residual net is better at every depth, and gains as little from depth: no effect."""
    fit = {
        ("PlainNet", 20): SEEDS,
        ("PlainNet", 56): around(-0.05),
        ("ResNet", 20): around(0.1),
        ("ResNet", 56): around(0.05, [0.003, -0.002, 0.001]),
    }
    verdict = shortcut_effect(frames.runs(fitted(fit)))
    assert claims(verdict) == ["no measurable difference"]
    assert "moves by +5.00 ± 0.25 points" in verdict.text


def test_changes_are_paired_by_seed(fitted):
    """The second minus the first, seed by seed: 9 points each, whatever the seeds' own level."""
    assert (
        "−9.00 ± 0.00 points (n = 3)"
        in shortcut_effect(
            frames.runs(
                fitted(
                    {
                        ("PlainNet", 20): [0.5, 0.6, 0.7],
                        ("PlainNet", 56): [0.45, 0.50, 0.65],
                        ("ResNet", 20): [0.5, 0.6, 0.7],
                        ("ResNet", 56): [0.54, 0.59, 0.74],
                    }
                )
            )
        ).text
    )


def test_a_depth_with_too_few_seeds_does_not_hide_those_with_enough(fitted):
    fit = AS_IN_THE_PAPER | {("PlainNet", 110): [0.1], ("ResNet", 110): [0.99]}
    runs = frames.runs(fitted(fit))
    assert "56 layers" in degradation(runs, "PlainNet").text
    assert claims(degradation(runs, "PlainNet")) == ["worse"]
    assert "From 20 to 56 layers" in shortcut_effect(runs).text


def test_one_seed_carries_no_claim(fitted):
    runs = frames.runs(fitted({cell: values[:1] for cell, values in AS_IN_THE_PAPER.items()}))
    for verdict in (degradation(runs, "PlainNet"), shortcut_effect(runs)):
        assert "fewer than 3 common seeds" in verdict.text
        assert "**" not in verdict.text and "±" not in verdict.text
    assert "+4.90 points (n = 1)" in degradation(runs, "PlainNet").text


def test_where_the_training_error_is_unknown_nothing_is_said(experiment):
    runs = frames.runs(experiment({("PlainNet", 20): SEEDS, ("PlainNet", 56): SEEDS}))
    assert "nothing can be said" in degradation(runs, "PlainNet").text
    assert "cannot be judged" in shortcut_effect(runs).text


def test_a_diverged_network_is_no_evidence(fitted, make_record):
    records = fitted({("PlainNet", 20): SEEDS})
    records += [make_record("PlainNet", 56, s, stopped="diverged", **MEASURED) for s in range(3)]
    assert "nothing can be said" in degradation(frames.runs(records), "PlainNet").text


def test_twins_without_a_depth_in_common_are_not_compared(fitted):
    runs = frames.runs(fitted({("PlainNet", 20): SEEDS, ("ResNet", 56): SEEDS}))
    assert "cannot be judged" in shortcut_effect(runs).text


def test_the_schedule_says_how_far_the_grid_has_got(fitted):
    text = schedule(frames.runs(fitted(AS_IN_THE_PAPER | {("ResNet", 110): [0.9]}))).text
    assert text == (
        "These are runs of 3 epochs: the plain net with 20 layers (n = 3), 56 layers (n = 3); the "
        "ResNet with 20 layers (n = 3), 56 layers (n = 3), 110 layers (n = 1)."
    )


def test_networks_that_did_not_come_to_learn_are_named(fitted):
    fit = AS_IN_THE_PAPER | {("PlainNet", 110): [0.105], ("ResNet", 110): [0.19, 0.7]}
    assert untrained(frames.runs(fitted(fit))).text == (
        "Not every network has learned. Where a guess has 90 % wrong, the plain net with 110 "
        "layers ends with 89.50 % of its training images wrong (1 of n = 1); the ResNet with 110 "
        "layers ends with 81.00 % of its training images wrong (1 of n = 2)."
    )


def test_where_all_networks_learn_that_is_said(fitted, experiment):
    assert "Every network here" in untrained(frames.runs(fitted(AS_IN_THE_PAPER))).text
    unknown = frames.runs(experiment({("PlainNet", 20): SEEDS}))
    assert "no network" in untrained(unknown).text


#: Norms of the first layer's gradient, seed by seed: with depth the plain net's grows a
#: hundredfold, the residual one's tenfold.
EXPLODING = {
    ("PlainNet", 20): [0.4, 0.5, 0.6],
    ("PlainNet", 56): [40.0, 51.0, 59.0],
    ("PlainNet", 110): [3e5],
    ("ResNet", 20): [0.3, 0.4, 0.5],
    ("ResNet", 56): [3.1, 3.9, 5.0],
}


@pytest.fixture
def signals(make_record):
    """What the probe ``layers`` finds, with these norms at the start of the first layer."""

    def make(norms, swap=lambda records: records):
        cells = [(cell, seed) for cell, own in norms.items() for seed in range(len(own))]
        records = swap([make_record(*cell, seed) for cell, seed in cells])
        found = []
        for record, (cell, seed) in zip(records, cells, strict=True):
            flat = {"gradient_norm": [7.0, 7.0], "response": [1.0, 1.0]}
            fresh = {**flat, "gradient_norm": [norms[cell][seed], 9.0]}
            probe = {"names": ["stem.0", "output"], "initial": fresh, "trained": flat}
            found.append((record, probe))
        return frames.layers(found)

    return make


def test_gradients_are_judged_by_their_order_of_magnitude(signals):
    verdict = gradients_at_start(signals(EXPLODING))
    assert (
        "gradient is, in the plain net, 0.5 with 20 layers (n = 3), 50 with 56 layers"
        in verdict.text
    )
    assert "300,000 with 110 layers (n = 1); in the ResNet, 0.4 with 20 layers" in verdict.text
    assert "From 20 to 56 layers it moves by +2.00 ±" in verdict.text
    assert "is −1.00 ±" in verdict.text
    assert claims(verdict) == ["less"]


def test_the_verdict_on_gradients_turns_round_with_the_families(signals, swap_families):
    verdict = gradients_at_start(signals(EXPLODING, swap_families))
    assert "is +1.00 ±" in verdict.text
    assert claims(verdict) == ["more"]


def test_gradients_of_one_seed_carry_no_claim(signals):
    verdict = gradients_at_start(signals({cell: own[:1] for cell, own in EXPLODING.items()}))
    assert "fewer than 3 common seeds" in verdict.text
    assert "**" not in verdict.text and "±" not in verdict.text


def test_gradients_of_one_depth_are_not_compared(signals):
    one = {cell: own for cell, own in EXPLODING.items() if cell[1] == 20}
    assert "do not have two depths" in gradients_at_start(signals(one)).text
