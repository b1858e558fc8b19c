"""What is said of degradation must follow from the records, and turn round with them."""

import pytest
from claimed import claims

from lab1.reporting.degradation.verdicts import (
    degradation,
    schedule,
    skip_effect_on_degradation,
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
    assert claims(skip_effect_on_degradation(before)) == ["counteract"]
    assert claims(skip_effect_on_degradation(after)) == ["worse"]


def test_the_verdicts_turn_round_with_the_depths(fitted, swap_depths):
    after = frames.runs(swap_depths(fitted(AS_IN_THE_PAPER), 20, 56))
    assert claims(degradation(after, "PlainNet")) == ["better"]
    assert claims(skip_effect_on_degradation(after)) == ["worse"]


def test_skip_connections_are_judged_by_what_depth_does_to_each_twin(fitted):
    """The residual net is better at every depth, and gains as little from depth: no effect."""
    fit = {
        ("PlainNet", 20): SEEDS,
        ("PlainNet", 56): around(-0.05),
        ("ResNet", 20): around(0.1),
        ("ResNet", 56): around(0.05, [0.003, -0.002, 0.001]),
    }
    verdict = skip_effect_on_degradation(frames.runs(fitted(fit)))
    assert claims(verdict) == ["no measurable difference"]
    assert "changes by +5.00 ± 0.25 points" in verdict.text


def test_changes_are_paired_by_seed(fitted):
    """The second minus the first, seed by seed: 9 points each, whatever the seeds' own level."""
    assert (
        "−9.00 ± 0.00 points (n = 3)"
        in skip_effect_on_degradation(
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
    assert "From 20 to 56 layers" in skip_effect_on_degradation(runs).text


def test_one_seed_carries_no_claim(fitted):
    runs = frames.runs(fitted({cell: values[:1] for cell, values in AS_IN_THE_PAPER.items()}))
    for verdict in (degradation(runs, "PlainNet"), skip_effect_on_degradation(runs)):
        assert "fewer than 3 common seeds" in verdict.text
        assert "**" not in verdict.text and "±" not in verdict.text
    assert "+4.90 points (n = 1)" in degradation(runs, "PlainNet").text


def test_where_the_training_error_is_unknown_nothing_is_said(experiment):
    runs = frames.runs(experiment({("PlainNet", 20): SEEDS, ("PlainNet", 56): SEEDS}))
    assert "nothing can be said" in degradation(runs, "PlainNet").text
    assert "cannot be judged" in skip_effect_on_degradation(runs).text


def test_a_diverged_network_is_no_evidence(fitted, make_record):
    records = fitted({("PlainNet", 20): SEEDS})
    records += [make_record("PlainNet", 56, s, stopped="diverged", **MEASURED) for s in range(3)]
    assert "nothing can be said" in degradation(frames.runs(records), "PlainNet").text


def test_twins_without_a_depth_in_common_are_not_compared(fitted):
    runs = frames.runs(fitted({("PlainNet", 20): SEEDS, ("ResNet", 56): SEEDS}))
    assert "cannot be judged" in skip_effect_on_degradation(runs).text


def test_the_schedule_says_how_far_the_grid_has_got(fitted):
    text = schedule(frames.runs(fitted(AS_IN_THE_PAPER | {("ResNet", 110): [0.9]}))).text
    assert text == (
        "These are runs of 3 epochs in float32: the plain network with 20 layers (n = 3), "
        "56 layers (n = 3); the ResNet with 20 layers (n = 3), 56 layers (n = 3), "
        "110 layers (n = 1)."
    )


def test_networks_that_did_not_come_to_learn_are_named(fitted):
    fit = AS_IN_THE_PAPER | {("PlainNet", 110): [0.105], ("ResNet", 110): [0.19, 0.7]}
    assert untrained(frames.runs(fitted(fit))).text == (
        "Not every network has learned. Where a guess has 90 % wrong, the plain network "
        "with 110 layers ends with 89.50 % of its training images wrong (1 of n = 1); "
        "the ResNet with 110 layers ends with 81.00 % of its training images wrong (1 of n = 2)."
    )


def test_where_all_networks_learn_that_is_said(fitted, experiment):
    assert "Every network here" in untrained(frames.runs(fitted(AS_IN_THE_PAPER))).text
    unknown = frames.runs(experiment({("PlainNet", 20): SEEDS}))
    assert "no network" in untrained(unknown).text
