from dataclasses import replace

import pytest

from lab1.reporting.dynamics import charts as dynamics
from lab1.reporting.dynamics import verdicts as dynamics_verdicts
from lab1.reporting.kit import frames
from lab1.reporting.kit.words import NAMES
from lab1.reporting.pages import summary as summaries

CELLS = {
    ("MLP", 2): [0.9, 0.9, 0.9],
    ("MLP", 8): [0.8, 0.8, 0.8],
    ("ResidualMLP", 2): [0.9, 0.9, 0.9],
    ("ResidualMLP", 8): [0.9, 0.9, 0.9],
}


def with_gradients(records, norms):
    """The records with a gradient norm for the last epoch, by family and depth; seeds differ."""
    changed = []
    for record in records:
        model = record.spec.model
        norm = norms.get((model.family, model.depth), 1.0) + record.spec.seed / 100
        series = [*record.history["gradient_norm"][:-1], norm]
        changed.append(replace(record, history={**record.history, "gradient_norm": series}))
    return changed


@pytest.fixture
def shrinking(experiment):
    """At eight layers the plain network's gradient ends small, its twin's does not."""
    return with_gradients(experiment(CELLS), {("MLP", 8): 0.1, ("ResidualMLP", 8): 2.0})


def said_of(records, plain="MLP"):
    return str(
        dynamics_verdicts.last_gradients(frames.history(records), frames.runs(records), plain)
    )


def test_the_gradients_are_compared_at_the_deepest_common_depth(shrinking):
    said = said_of(shrinking)
    assert "With 8 layers" in said and "(n = 3)" in said
    assert "end **larger** (the interval excludes zero)" in said


def test_a_difference_below_zero_has_a_minus(shrinking, swap_families):
    said = said_of(swap_families(shrinking))
    assert "is −1.9 ±" in said and "is -" not in said


def test_the_verdict_on_gradients_turns_round_with_the_families(shrinking, swap_families):
    assert "end **smaller**" in said_of(swap_families(shrinking))


def test_gradients_that_do_not_differ_measurably_are_said_to(experiment):
    records = with_gradients(experiment(CELLS), {})
    assert "no measurable difference" in said_of(records)


def test_two_seeds_claim_nothing_of_the_gradients(shrinking):
    said = said_of([record for record in shrinking if record.spec.seed < 2])
    assert "fewer than 3 common seeds" in said and "**" not in said


def test_families_without_a_common_depth_are_not_compared(experiment):
    records = experiment({("MLP", 2): [0.9] * 3, ("ResidualMLP", 8): [0.9] * 3})
    assert "no depth in common" in said_of(records)


def stopped(trained, seed, epochs, best, **settings):
    """A run of ten epochs at most, stopped after some, with a patience of two."""
    settings = {"epochs": 10, "patience": 2, **settings}
    record = trained(seed=seed, length=epochs, **settings)
    reason = "early stopping" if epochs < 10 else "all epochs"
    return replace(record, stopped=reason, best_epoch=best)


@pytest.fixture
def patient(trained):
    """Two runs that were stopped early, one that was not, and one without a patience."""
    return [
        stopped(trained, 0, 4, 2),
        stopped(trained, 1, 6, 4),
        stopped(trained, 2, 10, 9),
        trained(seed=3),
    ]


def test_what_early_stopping_saved(patient):
    said = str(dynamics_verdicts.stopping(frames.runs(patient)))
    # Six epochs and four, of three times ten.
    assert "Of 3 runs with a patience, early stopping ended 2" in said
    assert "saved 10 of 30 epochs, 33.3 %" in said


def test_where_no_patience_ran_out_the_verdict_says_so(trained):
    runs = frames.runs([stopped(trained, seed, 10, 8) for seed in range(3)])
    assert "ended none" in str(dynamics_verdicts.stopping(runs))


def test_runs_without_a_patience_are_no_matter_of_early_stopping(experiment):
    runs = frames.runs(experiment(CELLS))
    assert dynamics_verdicts.stopping(runs) == dynamics_verdicts.NO_PATIENCE


def test_the_gradients_of_a_sweep_are_left_out(shrinking, experiment):
    records = [*shrinking, *experiment({("MLP", 8, 0.01): [0.5] * 3})]
    figure = dynamics.gradient_norms(frames.history(records))
    assert set(figure.data["n"]) == {3}
    assert "MLP 8: 0.11" in figure.alt and "ResidualMLP 8: 2.01" in figure.alt


def test_where_there_are_no_runs_a_sentence_says_so():
    runs, history = frames.runs([]), frames.history([])
    assert dynamics.gradient_norms(history) == summaries.NO_RUNS
    assert dynamics_verdicts.stopping(runs) == dynamics_verdicts.NO_PATIENCE
    said = str(dynamics_verdicts.last_gradients(history, runs, "PlainNet"))
    assert said == f"Of the {NAMES['PlainNet']} and the {NAMES['ResNet']} no run has a record yet."


def test_the_page_corrects_both_comparisons_and_its_box_says_all(shrinking, patient):
    says = dynamics_verdicts.trainings(shrinking, [], frames.runs(patient))
    assert says["perceptrons"].text in says["answer"].text
    assert "also after correction" in says["perceptrons"].text
    assert says["comparisons"].text == (
        "This page judges one comparison, whose interval excludes zero."
    )
