"""The pages on perceptrons say what their records carry: other records, other sentences."""

import pytest
from claimed import claims

from lab1.reporting.comparison import changes
from lab1.reporting.comparison.perceptron_statements import skip_connections
from lab1.reporting.kit import frames
from lab1.reporting.kit.sentences import Verdict

#: Five seeds that differ by more than any effect, and what a difference between twins varies by.
SEEDS = [0.90, 0.92, 0.93, 0.95, 0.96]
JITTER = [0.0010, -0.0010, 0.0005, -0.0005, 0.0]
#: A difference that is there in some seeds and not in others.
NOISE = [0.03, -0.02, -0.01, 0.02, -0.02]
LOW, HIGH = ([base + step / 1000 for step in range(5)] for base in (0.01, 0.11))


def around(shift, jitter=JITTER):
    return [seed + shift + each for seed, each in zip(SEEDS, jitter, strict=True)]


# 1.2


@pytest.fixture
def design(experiment):
    """The records of 1.2 at 8 layers: how much better each network is than the plain one."""

    def make(residual=0.02, identity=0.02, normalised=0.0, without_factor=-0.05, jitter=JITTER):
        plain, twin = ("MLP", 8), ("ResidualMLP", 8)
        # Twins share what their seeds do; each of the others varies in its own way.
        return [
            *experiment(
                {plain: SEEDS, twin: around(residual)}, train_loss={plain: HIGH, twin: LOW}
            ),
            *experiment({plain: around(identity, jitter)}, initialisation="identity"),
            *experiment({plain: around(normalised, NOISE)}, normalization="layer"),
            *experiment({twin: around(without_factor)}, residual_factor="one"),
        ]

    return make


def test_what_the_start_brings_stands_beside_the_design(design):
    says = skip_connections(frames.runs(design(jitter=JITTER[::-1])))
    assert claims(says["answer"]) == ["ahead", "helps", "no measurable difference"]
    for name in ("answer", "discussion"):
        assert changes.SAME_NETWORK in says[name].text
    assert claims(says["factor"]) == ["helps"]
    assert claims(says["normalisation"]) == ["no measurable difference"]
    said = says["normalisation"].text
    assert said.endswith("the least accurate reaches 90.00 % and the most accurate 97.00 %.")


def test_the_page_on_skips_turns_round_with_the_families(experiment, swap_families):
    cells = {("MLP", 8): SEEDS, ("ResidualMLP", 8): around(0.02)}
    records = experiment(cells, train_loss=dict(zip(cells, (HIGH, LOW), strict=True)))
    before = skip_connections(frames.runs(records))
    after = skip_connections(frames.runs(swap_families(records)))
    for name, words in (
        ("answer", ("**ahead**", "**behind**")),
        ("design", ("**ahead**", "**behind**")),
        ("fit", ("**better**", "**worse**")),
    ):
        assert words[0] in before[name].text and words[1] not in before[name].text
        assert words[1] in after[name].text and words[0] not in after[name].text
    assert "*Is it capacity?* No." in before["discussion"].text
    assert "fits its training images worse than the plain one" in after["discussion"].text


@pytest.mark.parametrize(
    ("plain", "residual", "words"),
    [
        (-0.02, 0.0, "*Is it tuning?* No."),
        (0.02, 0.0, "*Is it tuning?* Yes."),
        (None, 0.0, "*Is it tuning?* Perhaps."),
    ],
)
def test_tuning_is_answered_by_the_sweep(runs, plain, residual, words):
    tuned = around(0, NOISE) if plain is None else around(plain)
    worst = around(-0.05)
    cells = {("MLP", 8): worst, ("MLP", 8, 0.003): tuned, ("MLP", 2): SEEDS}
    cells |= {("ResidualMLP", 8): around(residual), ("ResidualMLP", 8, 0.003): worst}
    assert words in skip_connections(runs(cells))["discussion"].text


def test_without_a_sweep_or_a_change_these_questions_stay_open(runs):
    says = skip_connections(runs({("MLP", 8): SEEDS, ("ResidualMLP", 8): around(0, NOISE)}))
    assert "*Is it tuning?* None of the depths" in says["discussion"].text
    assert f"*Is it the start?* {changes.NOT_CHANGED}" in says["discussion"].text
    assert "do not tell their training losses apart" in says["discussion"].text
    for name in ("start", "normalisation", "factor"):
        assert says[name].text == ""


# The single changes


def test_the_table_goes_from_the_plain_network_to_the_residual_one(design):
    table = changes.table(frames.runs(design()[::-1])).frame
    assert [*table["Model"]] == [
        "MLP", "MLP, layer normalisation", "MLP, identity start",
        "ResidualMLP, residual factor 1", "ResidualMLP",
    ]  # fmt: skip
    assert [*table["Minus plain"].round(3)][1:] == pytest.approx([0.0, 2.0, -5.0, 2.0])
    assert [*table["Residual minus it"].round(3)][:4] == pytest.approx([2.0, 2.0, 0.0, 7.0])
    assert table["Minus plain"].isna()[0] and table["Residual minus it"].isna()[4]
    assert set(table["n"]) == {5}


def test_the_changes_are_compared_where_they_were_trained(design, experiment):
    """Other depths, and other rates at that depth, are no part of the table."""
    more = {("MLP", 2): SEEDS, ("MLP", 32): SEEDS, ("MLP", 8, 0.003): SEEDS}
    more |= {("ResidualMLP", 2): SEEDS, ("ResidualMLP", 32): SEEDS}
    records = design()
    table = changes.table(frames.runs(records + experiment(more))).frame
    assert table.equals(changes.table(frames.runs(records)).frame)


def test_without_a_change_there_is_a_sentence_in_place_of_the_table(runs):
    frame = runs({("MLP", 8): SEEDS, ("ResidualMLP", 8): SEEDS})
    assert changes.table(frame) is changes.NOT_CHANGED
    assert isinstance(changes.NOT_CHANGED, Verdict) and "**" not in changes.NOT_CHANGED.text
