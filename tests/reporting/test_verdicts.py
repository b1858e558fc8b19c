"""A claim must follow from the records: other records, another claim."""

import re
from dataclasses import replace

import pytest
from claimed import claims

from lab1.core.families import residual_of
from lab1.reporting.comparison import selection
from lab1.reporting.comparison.verdicts import (
    at_deepest,
    depth_effect,
    design_effect,
    skip_effect,
)
from lab1.reporting.kit import frames

#: Seeds differ by far more than any effect below, as they do in truth: only pairs can show it.
SEEDS = [0.90, 0.93, 0.96]
#: What a difference between twins varies by.
JITTER = [0.001, 0.0, -0.001]
#: A difference that is there in one seed and not in the others.
NOISE = [0.03, -0.02, -0.01]


def around(shift, jitter=JITTER, seeds=SEEDS):
    """One accuracy per seed, ``shift`` from that of the seed."""
    return [seed + shift + each for seed, each in zip(seeds, jitter, strict=True)]


# Depth


def test_a_deep_network_that_is_worse_is_hurt_by_depth(runs):
    verdict = depth_effect(runs({("MLP", 2): SEEDS, ("MLP", 32): around(-0.02)}), "MLP")
    assert claims(verdict) == ["hurt"]
    assert "The plain MLP with 32 layers" in verdict.text
    assert "−2.00 ± 0.25 points (n = 3)" in verdict.text
    assert "the interval excludes zero" in verdict.text


def test_a_deep_network_that_is_better_is_helped_by_depth(runs):
    verdict = depth_effect(runs({("MLP", 2): SEEDS, ("MLP", 32): around(0.02)}), "MLP")
    assert claims(verdict) == ["help"]
    assert "+2.00 ± 0.25 points (n = 3)" in verdict.text
    assert "the interval excludes zero" in verdict.text


def test_the_verdict_on_depth_turns_round_with_the_depths(experiment, swap_depths):
    records = experiment({("MLP", 2): SEEDS, ("MLP", 32): around(-0.02)})
    assert claims(depth_effect(frames.runs(records), "MLP")) == ["hurt"]
    swapped = frames.runs(swap_depths(records, 2, 32))
    assert claims(depth_effect(swapped, "MLP")) == ["help"]


def test_the_verdict_on_depth_is_that_of_the_family(experiment, swap_families):
    records = experiment(
        {
            ("MLP", 2): SEEDS,
            ("MLP", 32): around(-0.02),
            ("ResidualMLP", 2): SEEDS,
            ("ResidualMLP", 32): around(0.02),
        }
    )
    before, after = frames.runs(records), frames.runs(swap_families(records))
    assert claims(depth_effect(before, "MLP")) == ["hurt"]
    assert claims(depth_effect(before, "ResidualMLP")) == ["help"]
    assert claims(depth_effect(after, "MLP")) == ["help"]
    assert claims(depth_effect(after, "ResidualMLP")) == ["hurt"]
    assert "residual MLP" in depth_effect(before, "ResidualMLP").text


def test_noise_shows_no_effect_of_depth(runs):
    verdict = depth_effect(runs({("MLP", 2): SEEDS, ("MLP", 32): around(0, NOISE)}), "MLP")
    assert claims(verdict) == ["no measurable difference"]
    assert "between 2 and 32 layers" in verdict.text
    assert "the interval contains zero" in verdict.text


def test_two_seeds_carry_no_claim_on_depth(runs):
    verdict = depth_effect(runs({("MLP", 2): [0.9, 0.9], ("MLP", 32): [0.5, 0.5]}), "MLP")
    assert "fewer than 3 common seeds" in verdict.text
    assert "(n = 2)" in verdict.text
    assert "±" not in verdict.text
    assert "**" not in verdict.text


def test_seeds_that_are_not_common_carry_no_claim(runs):
    """Five runs each, of which two have the same seed: there is nothing to pair."""
    frame = runs({("MLP", 2): [0.9] * 5, ("MLP", 32): [0.5] * 5})
    frame.loc[frame["depth"] == 32, "seed"] += 3
    verdict = depth_effect(frame, "MLP")
    assert "fewer than 3 common seeds" in verdict.text
    assert "**" not in verdict.text


def test_one_depth_says_nothing_about_depth(runs):
    verdict = depth_effect(runs({("MLP", 8): SEEDS}), "MLP")
    assert "one depth" in verdict.text and "8 layers" in verdict.text
    assert "**" not in verdict.text and "%" not in verdict.text


def test_a_family_without_runs_says_nothing_about_depth(runs):
    verdict = depth_effect(runs({("MLP", 2): SEEDS, ("MLP", 32): SEEDS}), "ResidualMLP")
    assert "residual MLP" in verdict.text
    assert "**" not in verdict.text and "%" not in verdict.text


def test_the_best_shallower_depth_is_chosen_on_validation(runs):
    """Depth 2 has the better test accuracy and depth 8 the better validation accuracy."""
    verdict = depth_effect(
        runs(
            {
                ("MLP", 2): around(0.03),
                ("MLP", 8): around(0),
                ("MLP", 32): around(0.01, [0.0, 0.001, -0.001]),
            },
            validation={("MLP", 2): [0.5] * 3, ("MLP", 8): [0.6] * 3, ("MLP", 32): [0.7] * 3},
        ),
        "MLP",
    )
    # Against depth 2, chosen by its test accuracy, this would be a harm.
    assert "of 8 layers" in verdict.text
    assert claims(verdict) == ["help"]
    # The shallowest is named beside it, so that nothing is hidden.
    assert "Against the shallowest network, of 2 layers" in verdict.text
    assert "−2.00 ± " in verdict.text


def test_the_deepest_network_is_not_its_own_reference(runs):
    verdict = depth_effect(
        runs(
            {("MLP", 2): SEEDS, ("MLP", 8): around(0.01), ("MLP", 32): around(0.02)},
            validation={("MLP", 32): [0.99] * 3},
        ),
        "MLP",
    )
    assert "of 8 layers" in verdict.text


def test_the_sweep_is_left_out_of_the_verdict_on_depth(runs):
    """At another learning rate the deep network would be the better one."""
    verdict = depth_effect(
        runs({("MLP", 2): SEEDS, ("MLP", 32): around(-0.02), ("MLP", 32, 0.01): around(0.04)}),
        "MLP",
    )
    assert claims(verdict) == ["hurt"]
    assert "0.04" not in verdict.text and "n = 3" in verdict.text


# The residual design, depth by depth


def pairs_at(*shifts, depths=(2, 32), plain="MLP"):
    """Both families at some depths; the residual one by so much better."""
    cells = {(plain, depth): SEEDS for depth in depths}
    return cells | {
        (residual_of(plain), depth): values for depth, values in zip(depths, shifts, strict=True)
    }


def test_each_depth_has_its_difference_and_its_claim(runs):
    verdict = design_effect(runs(pairs_at(around(0, NOISE), around(0.02))), "MLP")
    at_2, at_32 = re.findall(r"^- .*$", verdict.text, re.MULTILINE)
    assert at_2.startswith("- **2 layers**: ") and at_32.startswith("- **32 layers**: ")
    assert "no measurable difference (the interval contains zero; differences of up" in at_2
    assert "+2.00 ± 0.25 points (n = 3)" in at_32
    assert "the residual design is **ahead** (the interval excludes zero)" in at_32


def test_the_verdict_on_the_design_turns_round_with_the_families(experiment, swap_families):
    records = experiment(pairs_at(around(0, NOISE), around(0.02)))
    before = design_effect(frames.runs(records), "MLP").text
    after = design_effect(frames.runs(swap_families(records)), "MLP").text
    assert "**ahead**" in before and "**behind**" not in before
    assert "**behind**" in after and "**ahead**" not in after
    assert "+2.00 ± " in before and "−2.00 ± " in after


def test_where_more_than_one_thing_differs_no_cause_is_named(runs):
    """The perceptrons differ in the size of what a layer adds too, and the page says so."""
    frame = runs(pairs_at(around(0.02), around(0.03)))
    assert "skip" not in design_effect(frame, "MLP").text
    with pytest.raises(ValueError, match="skip connections and the size of what a layer adds"):
        skip_effect(frame, "MLP")


def test_twins_that_differ_in_their_skips_alone_have_a_cause(experiment, swap_families):
    shifts = (around(-0.02), around(0, NOISE), around(0.02))
    records = experiment(pairs_at(*shifts, depths=(8, 14, 20), plain="PlainNet"))
    assert claims(skip_effect(frames.runs(records), "PlainNet")) == [
        "hurt", "no measurable difference", "help"
    ]  # fmt: skip
    assert claims(skip_effect(frames.runs(swap_families(records)), "PlainNet")) == [
        "help", "no measurable difference", "hurt"
    ]  # fmt: skip
    assert "the skip connections **help**" in skip_effect(frames.runs(records), "PlainNet").text


def test_a_pair_of_different_sizes_says_how_much_larger_one_is(runs):
    frame = runs(pairs_at(around(0.02), around(0.02)))
    larger = frame["family"].eq("ResidualMLP") & frame["depth"].eq(32)
    frame["parameters"] = [3000 if each else 1000 for each in larger]
    at_2, at_32 = re.findall(r"^- .*$", design_effect(frame, "MLP").text, re.MULTILINE)
    assert "parameters" not in at_2
    assert at_32.startswith("- **32 layers** (3.0 times the parameters): ")


def test_noise_shows_no_effect_of_the_design(runs):
    verdict = design_effect(runs(pairs_at(around(0, NOISE), around(0, NOISE[::-1]))), "MLP")
    assert claims(verdict) == ["no measurable difference"] * 2
    # The end of the interval that is farther from zero.
    assert verdict.text.count("differences of up to 6.57 points are not excluded") == 2


def test_pairs_show_what_means_would_hide(runs):
    """The two families overlap widely; every pair has the same sign."""
    frame = runs(pairs_at(around(0.005, [0.0, 0.0005, -0.0005]), depths=(8,)))
    assert claims(design_effect(frame, "MLP")) == ["ahead"]


def test_two_seeds_carry_no_claim_on_the_design(runs):
    verdict = design_effect(runs({("MLP", 8): [0.5, 0.5], ("ResidualMLP", 8): [0.9, 0.9]}), "MLP")
    assert "fewer than 3 common seeds" in verdict.text
    assert "±" not in verdict.text
    # Nor is it a claim of ours that there is no difference: nobody could have seen one.
    assert not re.search("ahead|behind|show a difference|measurable", verdict.text)


@pytest.mark.parametrize("family", ["MLP", "ResidualMLP"])
def test_one_family_is_not_compared(runs, family):
    verdict = design_effect(runs({(family, 2): SEEDS, (family, 32): SEEDS}), "MLP")
    assert "both families, plain MLP and residual MLP" in verdict.text
    assert not re.search("ahead|behind|%", verdict.text)


def test_depths_of_one_family_alone_are_left_out(runs):
    verdict = design_effect(
        runs({("MLP", 2): SEEDS, ("MLP", 8): SEEDS, ("ResidualMLP", 8): around(0.02)}), "MLP"
    )
    assert "8 layers**:" in verdict.text and "2 layers**:" not in verdict.text


def test_the_sweep_is_left_out_of_the_verdict_on_the_design(runs):
    cells = pairs_at(around(0.02), around(0.02))
    cells |= {("MLP", 32, 0.01): around(0.05), ("ResidualMLP", 32, 0.01): around(-0.05)}
    assert claims(design_effect(runs(cells), "MLP")) == ["ahead", "ahead"]


# The residual design at the greatest depth


def test_the_greatest_common_depth_speaks_for_the_design(runs):
    cells = pairs_at(around(-0.02), around(0.02)) | {("MLP", 64): SEEDS}
    verdict = at_deepest(runs(cells), "MLP")
    assert "With 32 layers" in verdict.text
    assert claims(verdict) == ["ahead"]
    assert "+2.00 ± 0.25 points (n = 3)" in verdict.text
    assert "the interval excludes zero" in verdict.text


def test_the_verdict_at_the_greatest_depth_turns_round(experiment, swap_families, swap_depths):
    records = experiment(pairs_at(around(-0.02), around(0.02)))
    for swapped in (swap_families(records), swap_depths(records, 2, 32)):
        verdict = at_deepest(frames.runs(swapped), "MLP")
        assert claims(verdict) == ["behind"]
        assert "−2.00 ± 0.25 points" in verdict.text


def test_noise_shows_no_effect_at_the_greatest_depth(runs):
    verdict = at_deepest(runs(pairs_at(around(0.02), around(0, NOISE))), "MLP")
    assert claims(verdict) == ["no measurable difference"]
    assert "the interval contains zero" in verdict.text


def test_two_seeds_carry_no_claim_at_the_greatest_depth(runs):
    cells = {("MLP", 8): [0.5, 0.5], ("ResidualMLP", 8): [0.9, 0.9]}
    verdict = at_deepest(runs(cells), "MLP")
    assert "fewer than 3 common seeds" in verdict.text
    assert "±" not in verdict.text and "**" not in verdict.text


def test_families_without_a_common_depth_are_not_compared(runs):
    for cells in ({("MLP", 2): SEEDS}, {("MLP", 2): SEEDS, ("ResidualMLP", 8): SEEDS}):
        assert at_deepest(runs(cells), "MLP").text == ""


def test_at_the_greatest_depth_twins_have_a_cause(runs):
    cells = pairs_at(around(0, NOISE), around(0.02), depths=(8, 14), plain="PlainNet")
    assert "the skip connections **help**" in at_deepest(runs(cells), "PlainNet").text


# The shared learning rate


PLACES = (("MLP", 2), ("MLP", 32))


def test_the_base_rate_is_the_one_that_all_depths_share(runs):
    frame = runs(dict.fromkeys((*PLACES, ("MLP", 32, 0.003), ("MLP", 32, 0.0003)), SEEDS))
    base = selection.base_rate(frame)
    assert set(base["learning_rate"]) == {0.001}
    assert set(base["depth"]) == {2, 32}
    assert len(base) == 6


def test_the_swept_depths_are_those_with_several_rates(runs):
    frame = runs(dict.fromkeys((*PLACES, ("MLP", 8), ("MLP", 8, 0.003)), SEEDS))
    assert selection.swept_depths(frame) == [8]


def test_no_runs_have_no_base_rate(runs):
    assert selection.base_rate(frames.runs([])).empty


@pytest.mark.parametrize("rates", [[0.001, 0.003], [0.0001, 0.001], [0.0001, 0.001, 0.003]])
def test_the_base_rate_is_the_profiles_even_where_every_depth_is_swept(trained, rates):
    """Then all rates are used at as many depths, and only the order of the plan tells."""
    from lab1.planning.further_runs import FurtherRuns, plan_page

    page = {"dataset": "smoke-grey", "width": 16, "depth": (8, 32), "seeds": (0, 1, 2)}
    page |= {"learning_rate": 0.001, "validation_size": 500}
    specs = plan_page("1_2", page, [FurtherRuns("rates", {"learning_rate": tuple(rates)})])
    records = [
        trained(each.model.family, each.model.depth, each.seed, 0.9, each.training.learning_rate)
        for each in specs
    ]
    assert set(selection.base_rate(frames.runs(records))["learning_rate"]) == {0.001}


# Runs that diverged, and runs without validation


@pytest.fixture
def diverged(trained):
    """Three runs that diverged, after an epoch with the best validation accuracy of all."""

    def make(depth=32, learning_rate=0.001, family="MLP"):
        return [
            trained(family, depth, seed, 0.9, learning_rate, validation=0.99, stopped="diverged")
            for seed in range(3)
        ]

    return make


#: A place at which every run diverged, and the runs that did not.
DIVERGED = {
    "deepest": ((32, 0.001, "MLP"), {("MLP", 2): SEEDS}),
    "shallowest": ((2, 0.001, "MLP"), {("MLP", 32): SEEDS}),
    "one of three": ((8, 0.001, "MLP"), {("MLP", 2): SEEDS, ("MLP", 32): SEEDS}),
    "a twin": ((32, 0.001, "MLP"), {("MLP", 2): SEEDS, ("ResidualMLP", 32): SEEDS}),
    "a rate": ((32, 0.01, "MLP"), {("MLP", 2): SEEDS, ("MLP", 32): SEEDS}),
    "both rates": (
        (32, 0.001, "MLP"),
        {("MLP", 2): SEEDS, ("ResidualMLP", 32): SEEDS, ("ResidualMLP", 32, 0.01): SEEDS},
    ),
    "the reference": (
        (2, 0.001, "MLP"),
        {("MLP", 32): SEEDS, ("MLP", 32, 0.01): SEEDS},
    ),
}


@pytest.mark.parametrize("where", DIVERGED)
def test_where_all_runs_diverged_no_number_is_made_up(experiment, diverged, where):
    place, others = DIVERGED[where]
    records = diverged(*place) + experiment(others)
    # As in a plan, where the rate that all depths share comes before those of the sweep.
    frame = frames.runs(sorted(records, key=lambda each: each.spec.training.learning_rate))
    verdicts_here = [of(frame, "MLP") for of in (depth_effect, design_effect, at_deepest)]
    assert [each.text for each in verdicts_here if "nan" in each.text] == []


def test_a_network_that_always_diverged_carries_no_claim(experiment, diverged):
    frame = frames.runs(experiment({("MLP", 2): SEEDS}) + diverged(32))
    verdict = depth_effect(frame, "MLP")
    assert "32 layers" in verdict.text
    assert "**" not in verdict.text


def test_a_diverged_seed_is_no_common_seed(experiment, trained):
    records = experiment({("MLP", 8): SEEDS, ("ResidualMLP", 8): around(0.02)})
    records[0] = trained("MLP", 8, 0, stopped="diverged")
    verdict = design_effect(frames.runs(records), "MLP")
    assert "(n = 2)" in verdict.text and "fewer than 3 common seeds" in verdict.text


def test_without_validation_there_are_verdicts_or_reasons(runs):
    """``-p validation_size 0`` is allowed: nothing to select on, but depths can be compared."""
    cells = {(family, depth): SEEDS for family in ("MLP", "ResidualMLP") for depth in (2, 32)}
    frame = runs(cells, validation_size=0)
    for family in ("MLP", "ResidualMLP"):
        assert "32 layers" in depth_effect(frame, family).text
    assert "32 layers" in design_effect(frame, "MLP").text


# Runs of different devices


def test_runs_of_different_devices_are_not_taken_for_twins(experiment):
    """They differ in more than the one thing that is asked about."""
    gpu = {"kind": "cuda", "name": "a GPU"}
    records = experiment({("MLP", 8): SEEDS}) + experiment({("ResidualMLP", 8): around(0.02)})
    records = [
        replace(r, origin={**r.origin, "device": gpu}) if r.spec.model.family == "MLP" else r
        for r in records
    ]
    verdict = design_effect(frames.runs(records), "MLP")
    assert not re.search("ahead|behind", verdict.text)


# How it is shown


def test_a_verdict_is_shown_as_markdown(runs):
    verdict = depth_effect(runs({("MLP", 2): SEEDS, ("MLP", 32): SEEDS}), "MLP")
    assert verdict._repr_markdown_() == verdict.text == str(verdict)


def test_accuracies_are_given_in_percent_with_their_n(runs):
    verdict = depth_effect(
        runs({("MLP", 1): [0.9, 0.91, 0.92], ("MLP", 2): [0.8, 0.8, 0.8]}), "MLP"
    )
    # Three values 1 point apart: s = 1 and t = 4.303, over sqrt(3).
    assert "91.00 ± 2.48 % (n = 3)" in verdict.text
    assert "80.00 ± 0.00 % (n = 3)" in verdict.text
    assert "of 1 layer, reaches" in verdict.text
