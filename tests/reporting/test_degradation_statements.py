"""The chapter on degradation: what is compared with what, and what its sentences make of it."""

import re

import pytest

from lab1.reporting.degradation import gradients, parts, responses, statements
from lab1.reporting.kit import frames

FITS = {
    ("PlainNet", 20): [0.80, 0.83, 0.86],
    ("PlainNet", 56): [0.70, 0.73, 0.76],
    ("ResNet", 20): [0.82, 0.85, 0.88],
    ("ResNet", 56): [0.86, 0.89, 0.92],
}
MEASURED = {"train_evaluation_size": 250}


@pytest.fixture
def trained_grid(experiment):
    """Records with these accuracies on training images."""

    def make(fits, **changes):
        cells = {cell: [0.5] * len(fit) for cell, fit in fits.items()}
        own = {(*cell, changes["learning_rate"]) if "learning_rate" in changes else cell: fit
               for cell, fit in fits.items()}  # fmt: skip
        rates = {key: cells[key[:2]] for key in own}
        rest = {name: value for name, value in changes.items() if name != "learning_rate"}
        return experiment(rates, fit=own, **MEASURED, **rest)

    return make


@pytest.fixture
def study(trained_grid):
    """The main comparison and all its controls."""
    return [
        *trained_grid(FITS),
        *trained_grid(FITS, precision="bf16"),
        *trained_grid({("PlainNet", 56): [0.71]}, learning_rate=0.02),
        *trained_grid({("PlainNet", 110): [0.1], ("ResNet", 110): [0.6]}, epochs=2),
    ]


#: Growth of the gradient by layer in the fresh networks, by family.
GROWTH = {"PlainNet": 1.2, "ResNet": 1.0}
#: Response of the layers of the trained networks, by family; with depth it falls a little.
RESPONSE = {"PlainNet": 0.9, "ResNet": 0.8}


def layers_of(records, growth=GROWTH, response=RESPONSE):
    measured = []
    for record in records:
        factor = growth[record.spec.model.family] + record.spec.seed / 100
        fresh = {"gradient_norm": [factor**2, factor, 1.0, 5.0], "response": [1.0] * 4}
        strength = response[record.spec.model.family] - record.spec.model.depth / 1e4
        answers = [strength, strength + record.spec.seed / 1e4, strength, 9.0]
        trained = fresh | {"response": answers}
        names = ["a", "b", "c", "output"]
        measured.append((record, {"names": names, "initial": fresh, "trained": trained}))
    return frames.layers(measured)


def probes_of(records, agreement=0.99, change=0.0):
    """What `measured` gives: the same agreement and change of error for all."""

    def measured(name):
        probe = {
            "gradient-agreement": {"bf16": agreement, "jittered": 1.0},
            "recomputed-statistics": {"error": 0.3, "recomputed_error": 0.3 + change},
        }[name]
        return [(record, probe) for record in records]

    return measured


def says_of(records, growth=GROWTH, response=RESPONSE, **probes):
    return statements.degradation(
        frames.runs(records),
        layers_of(records, growth, response),
        probes_of(records, **probes),
        NO_TIMES,
    )


NO_TIMES = frames.runs([]).reindex(columns=["benchmark", "precision"])


def test_the_controls_are_told_apart(study):
    runs = frames.runs(study)
    assert len(parts.main(runs)) == 12
    assert set(parts.main(runs)["precision"]) == {"float32"}
    assert set(parts.compared(runs)["precision"]) == {"bf16"}
    assert len(parts.in_both_precisions(runs)) == 24
    assert parts.gentler(runs)["learning_rate"].tolist() == [0.02]
    assert set(parts.shorter(runs)["depth"]) == {110}
    history = parts.among(frames.history(study), parts.main(runs))
    assert set(history["key"]) == set(parts.main(runs)["key"])


def test_the_page_rests_on_its_main_comparison(study):
    says = says_of(study)
    assert "in float32: the plain network with 20 layers (n = 3)" in says["schedule"].text
    assert "+10.00 ± 0.00 points (n = 3)" in says["plain"].text
    assert "more layers fit the training images **worse**" in says["plain"].text
    assert says["skip"].text in says["answer"].text
    assert "3 epochs" in says["answer"].text and "float32" in says["answer"].text
    assert "its training error falls. So the deep plain network" in says["discussion"].text
    assert "skip connections remove it here" in says["discussion"].text


def test_the_papers_word_on_gradients_is_judged_by_their_growth(study):
    assert "that is not what is found here" in says_of(study)["discussion"].text
    even = says_of(study, {"PlainNet": 0.99, "ResNet": 0.99})  # around one, seed by seed
    assert "no measurable growth" in even["growth"].text
    assert "healthy" not in even["discussion"].text


def test_how_strongly_layers_answer_stands_beside_the_papers_word(study):
    """The logits, which are on a scale of their own, do not count; nothing is judged."""
    says = says_of(study)
    text = says["responses"].text
    assert "with 56 layers has a standard deviation of 0.894 ± 0.000 (n = 3), mean over" in text
    assert "in the ResNet it is 0.794 ± 0.000 with 56 layers and 0.798 ± 0.000 with 20" in text
    assert "These means lie in that order; the page does not judge them." in text
    assert says["responses"].judgements == []
    turned = says_of(study, response={"PlainNet": 0.8, "ResNet": 0.9})["responses"].text
    assert "These means do not lie in that order" in turned
    nothing = responses.described(layers_of(study)[:0]).text
    assert nothing.endswith("have no depth in common here whose answers were measured.")


def test_the_answer_and_the_discussion_turn_round_with_the_families(study, swap_families):
    says = says_of(swap_families(study), {"PlainNet": 1.0, "ResNet": 1.2})
    assert "make degradation **worse**" in says["answer"].text
    assert "it does not degrade" in says["discussion"].text
    assert "the gradient grows **more**" in says["growth"].text


def test_two_families_that_degrade_and_none_that_can_be_judged(trained_grid):
    both = FITS | {("ResNet", 56): FITS["PlainNet", 56]}
    assert "Both degrade" in says_of(trained_grid(both))["discussion"].text
    few = {cell: fit[:2] for cell, fit in FITS.items()}
    assert "cannot be said" in says_of(trained_grid(few))["discussion"].text


def test_in_bf16_whose_gradient_is_noise_no_cause_is_named(trained_grid):
    records = trained_grid(FITS, precision="bf16")
    says = says_of(records, agreement=0.1)
    assert "cannot tell the skip connections from the precision" in says["discussion"].text
    assert "mostly rounding" in says["answer"].text
    assert "mostly rounding" not in says_of(records)["answer"].text


def test_which_networks_may_not_be_trained_in_bf16(study):
    assert "Every network here meets it." in says_of(study)["exactness"].text
    assert (
        "the plain network with 20 layers has −0.20"
        in says_of(study, agreement=-0.2)["exactness"].text
    )


@pytest.mark.parametrize(
    ("shift", "said"),
    [(0.0, "does not rest on rounding"), (0.12, "The two precisions do not agree")],
)
def test_whether_it_rests_on_the_precision(trained_grid, shift, said):
    other = FITS | {("PlainNet", 56): [fit + shift for fit in FITS["PlainNet", 56]]}
    records = [*trained_grid(FITS), *trained_grid(other, precision="bf16")]
    assert said in says_of(records)["precision"].text


def test_without_controls_the_page_says_that_there_are_none(trained_grid):
    says = says_of(trained_grid(FITS))
    assert "one precision alone" in says["precision"].text
    assert "No run here was trained at another learning rate." in says["gentler"].text
    assert "No deeper network was tried" in says["deepest"].text


def test_single_runs_are_told_without_a_claim(study):
    says = says_of(study)
    assert "At a peak of 0.02 in place of 0.001" in says["gentler"].text
    assert "29.00 % of its training images wrong, in place of 30.00 %" in says["gentler"].text
    text = says["deepest"].text
    assert "After 2 epochs the plain network with 110 layers has 90.0 %" in text
    assert "so the plain network did not come to learn" in text
    assert "The paper says" in text and "carries no claim" in text
    for name in ("gentler", "deepest"):
        assert says[name].judgements == [] and "**" not in says[name].text


def test_the_growth_is_the_geometric_mean_over_the_convolutions(study):
    rows = gradients.growth(layers_of(study[:12]))
    factors = rows.groupby("family")["growth"].mean()
    assert factors["PlainNet"] == pytest.approx(1.21)
    assert factors["ResNet"] == pytest.approx(1.01)
    text = says_of(study)["growth"].text
    assert "by a factor of 1.210 ± 0.025 (n = 3)" in text
    assert "it **grows** on its way back" in text
    assert "−0.200 ± 0.000 (n = 3): with skip connections the gradient grows **less**" in text


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (0.0, "no measurable part"),
        (0.05, "are **not** what makes the error high"),
        (-0.05, "part of the error comes from the running statistics"),
    ],
)
def test_whether_the_running_statistics_are_to_blame(study, change, said):
    assert said in says_of(study, change=change)["statistics"].text


def test_the_table_of_precisions_has_both_and_the_cosines(study):
    runs = parts.in_both_precisions(frames.runs(study))
    table = gradients.precisions(runs, probes_of(study, agreement=-0.19)("gradient-agreement"))
    assert table.frame["Precision"].tolist() == ["bf16", "float32"] * 4
    assert set(table.frame["Cosine in bf16"]) == {-0.19}
    assert "−0.19" in table.markup
    assert len(re.findall("#runs-", table.markup)) == 8
