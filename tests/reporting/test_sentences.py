"""What a sentence may claim, alone and among the others of its page."""

import math
import re
from dataclasses import replace

import numpy as np
import pytest

from lab1.core.store import Store
from lab1.planning import profiles
from lab1.reporting.comparison.selection import base_rate, of_family
from lab1.reporting.kit import frames
from lab1.reporting.kit.sentences import (
    Judgement,
    Verdict,
    corrected,
    in_short,
    paragraph,
    points,
    signed,
)
from lab1.reporting.kit.statistics import Estimate, estimate, paired_difference

#: Differences whose p-values are about 0.0002, 0.019, 0.037 and 0.39.
SURE, LIKELY, WEAK, NONE = (Estimate(0.01, width, 3) for width in (0.0006, 0.006, 0.0085, 0.04))


def judgement(value, **keywords):
    return Judgement(value, "it **helps**", "it **hurts**", "no measurable difference",
                     **keywords)  # fmt: skip


# One judgement


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (SURE, "it **helps** (the interval excludes zero)."),
        (Estimate(-0.01, 0.006, 3), "it **hurts** (the interval excludes zero)."),
        (
            NONE,
            "no measurable difference (the interval contains zero; differences of up to 5.00 "
            "points are not excluded).",
        ),
        (
            Estimate(-0.5, math.nan, 5, at_chance=3),
            "with 3 of the 5 seeds a run ended no better than a guess, with the others none did, "
            "so this has no interval and carries no claim.",
        ),
        (Estimate(0.01, math.nan, 2), "with fewer than 3 common seeds this carries no claim."),
    ],
)
def test_a_claim_has_its_interval_as_its_reason(value, sentence):
    assert str(judgement(value)) == sentence


def test_a_difference_of_something_else_has_its_own_unit():
    said = str(judgement(NONE, size="{:.1g} of a loss".format))
    assert "up to 0.05 of a loss are not" in said


def test_after_correction_a_difference_is_a_finding_or_a_hint():
    assert str(judgement(LIKELY, adjusted=0.03)) == (
        "it **helps** (the interval excludes zero, also after correction)."
    )
    assert str(judgement(LIKELY, adjusted=0.05)) == (
        "it helps (the interval excludes zero, but not after correction: a hint, no finding)."
    )


@pytest.mark.parametrize(
    ("value", "adjusted", "survives"),
    [(SURE, None, True), (SURE, 0.049, True), (SURE, 0.05, False), (NONE, None, False)],
)
def test_a_finding_survives(value, adjusted, survives):
    assert judgement(value, adjusted=adjusted).survives is survives


# A page


def page(*values):
    """A page with a verdict for each difference."""
    return {f"{i}": Verdict("So: ", judgement(value)) for i, value in enumerate(values)}


def test_a_page_demands_more_of_each_of_several_comparisons():
    """0.019 is below 0.05, and so is it among two where the other is surer, but 0.057 is not."""
    alone = corrected(page(LIKELY))["0"]
    assert alone.text == "So: it **helps** (the interval excludes zero, also after correction)."
    among_two = corrected(page(LIKELY, SURE))["0"]
    assert "also after correction" in among_two.text
    among_more = corrected(page(LIKELY, WEAK, NONE))["0"]
    assert "a hint, no finding" in among_more.text


def test_a_page_says_how_many_comparisons_it_makes_and_how_many_remain():
    assert corrected(page(SURE, LIKELY, WEAK, NONE))["comparisons"].text == (
        "This page judges 4 comparisons. In 3 of them the interval excludes zero; after "
        "[correction](1_1.ipynb#many-comparisons) for the number of comparisons, 1 remains."
    )
    assert corrected(page(SURE, replace(SURE, mean=0.02)))["comparisons"].text.startswith(
        "This page judges 2 comparisons. In all of them the interval excludes zero; after"
    )
    assert corrected(page(SURE, replace(SURE, mean=0.02)))["comparisons"].text.endswith(
        "comparisons, all remain."
    )
    assert corrected(page(SURE, NONE))["comparisons"].text.endswith("comparisons, it remains.")
    assert corrected(page(WEAK, NONE))["comparisons"].text.endswith("comparisons, none remains.")
    assert corrected(page(NONE, replace(NONE, mean=0.001)))["comparisons"].text == (
        "This page judges 2 comparisons. The intervals of all contain zero."
    )
    assert corrected(page(SURE))["comparisons"].text == (
        "This page judges one comparison, whose interval excludes zero."
    )
    assert corrected({"a": Verdict("Nothing.")})["comparisons"].text == (
        "This page judges no comparison."
    )


def test_a_comparison_that_stands_twice_counts_once():
    """The box that opens a page repeats what the page judges."""
    said = page(LIKELY, SURE)
    said["answer"] = paragraph(said["0"], said["1"])
    result = corrected(said)
    assert "judges 2 comparisons" in result["comparisons"].text
    assert [each.adjusted for each in result["answer"].judgements] == [
        result[name].judgements[0].adjusted for name in ("0", "1")
    ]


def test_a_comparison_without_an_interval_is_none():
    result = corrected(page(LIKELY, Estimate(0.01, math.nan, 2)))
    assert "judges one comparison, whose interval " in result["comparisons"].text
    assert result["1"].text == "So: with fewer than 3 common seeds this carries no claim."


def test_a_page_keeps_its_words():
    said = {"a": Verdict("One ", "sentence."), "b": Verdict("Two: ", judgement(NONE))}
    result = corrected(said)
    assert result["a"] == said["a"]
    assert result["b"].text == said["b"].text


# Chance


@pytest.fixture(scope="module")
def spreads():
    """How far paired differences lie apart in the published records, by depth."""
    records = (Store().find(spec) for spec in profiles.page("1_2", "report", {}).plan())
    runs = base_rate(frames.as_designed(frames.runs([each for each in records if each])))
    plain, residual = (of_family(runs, family) for family in ("MLP", "ResidualMLP"))
    pairs = (
        paired_difference(
            plain[plain["depth"] == depth], residual[residual["depth"] == depth], "test_accuracy"
        )
        for depth in sorted(set(plain["depth"]))
    )
    # What the half-width of five differences is to their standard deviation.
    unit = estimate([-1.0, -1.0, 0.0, 1.0, 1.0]).half_width
    return [value.half_width / unit for value in pairs]


def chance(spreads, n, pages=1000):
    """Differences that are nothing but chance: a list of estimates for each page."""
    draws = np.random.default_rng(n).normal(0, 1, (pages, len(spreads), n))
    draws *= np.array(spreads)[:, None]
    unit = estimate(range(n)).half_width / np.std(range(n), ddof=1)
    means, widths = draws.mean(axis=2), unit * draws.std(axis=2, ddof=1)
    made = [
        [Estimate(float(mean), float(width), n) for mean, width in zip(*rows, strict=True)]
        for rows in zip(means, widths, strict=True)
    ]
    assert made[0][0].half_width == pytest.approx(estimate(draws[0, 0]).half_width)
    return made


@pytest.mark.parametrize("n", [3, 5])
def test_chance_alone_is_seldom_taken_for_an_effect(spreads, n):
    """Of each difference alone one in twenty, and of a whole page the same once it is corrected."""
    assert len(spreads) == 5 and min(spreads) > 0
    pages = chance(spreads, n)
    singly = [judgement(value).survives for values in pages for value in values]
    assert 0.035 * len(singly) <= sum(singly) <= 0.065 * len(singly)
    uncorrected = sum(any(value.sign for value in values) for values in pages)
    assert uncorrected > 0.15 * len(pages)
    claims = sum(
        any(each.survives for said in corrected(page(*values)).values() for each in said.judgements)
        for values in pages
    )
    assert 0.03 * len(pages) <= claims <= 0.065 * len(pages)


# Paragraphs and numbers


def test_a_paragraph_leaves_out_what_is_empty():
    parts = (Verdict("One."), Verdict(""), Verdict(), Verdict("Two."))
    assert paragraph(*parts).text == "One. Two."
    assert paragraph(*parts, between="\n\n").text == "One.\n\nTwo."
    assert paragraph().text == ""


def test_the_box_that_opens_a_page_keeps_its_judgements():
    box = in_short(Verdict("So: ", judgement(SURE)), Verdict("And more."))
    assert box.text.startswith("> **In short.** So: it **helps** (the interval excludes zero). And")
    assert [each.value for each in box.judgements] == [SURE]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Estimate(0.0042, 0.001, 5), "+0.42 ± 0.10 points (n = 5)"),
        (Estimate(-0.0042, 0.001, 5), "−0.42 ± 0.10 points (n = 5)"),
        (Estimate(-0.0042, math.nan, 2), "−0.42 points (n = 2)"),
        (Estimate(math.nan, math.nan, 0), "unknown, since of no pair both runs finished"),
    ],
)
def test_a_difference_has_its_sign_and_its_n(value, text):
    assert signed(value) == text


def test_an_accuracy_is_in_percent():
    assert points(Estimate(0.98213, 0.0008, 5)) == "98.21 ± 0.08 %"
    assert points(Estimate(0.98213, math.nan, 1)) == "98.21 %"


def test_a_verdict_is_what_it_says():
    verdict = Verdict("So: ", judgement(SURE))
    assert verdict == Verdict(verdict.text) and verdict != Verdict("So.")
    assert hash(verdict) == hash(Verdict(verdict.text))
    assert verdict._repr_markdown_() == verdict.text
    assert not re.search("0x", repr(verdict))
