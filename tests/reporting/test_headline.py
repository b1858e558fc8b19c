import json
import re

import pytest

from lab1.reporting import frames, headline, verdicts

CELLS = {
    ("MLP", 2): [0.90, 0.91, 0.92],
    ("MLP", 8): [0.80, 0.81, 0.82],
    ("ResidualMLP", 2): [0.90, 0.91, 0.92],
    ("ResidualMLP", 8): [0.95, 0.96, 0.97],
}


def test_the_front_page_has_an_answer_and_a_chart(experiment):
    assert headline.fragments(experiment(CELLS)).keys() == {"answer", "headline"}


def test_the_answer_is_the_verdict_on_depth_for_each_family_and_that_on_skips(experiment):
    records = experiment(CELLS)
    answer = headline.fragments(records)["answer"]
    runs = frames.runs(records)
    plain, residual, skip = answer.rstrip("\n").split("\n\n")
    assert plain == verdicts.depth_effect(runs, "MLP").text
    assert residual == verdicts.depth_effect(runs, "ResidualMLP").text
    assert skip == verdicts.skip_effect_at_deepest(runs).text
    assert "**hurt**" in plain and "**help**" in residual and "**help**" in skip


def test_the_answer_turns_round_with_the_families(experiment, swap_families):
    answer = headline.fragments(swap_families(experiment(CELLS)))["answer"]
    plain, residual, skip = answer.rstrip("\n").split("\n\n")
    assert "**help**" in plain and "**hurt**" in residual and "**hurt**" in skip


def test_one_family_answers_for_itself(experiment):
    cells = {cell: values for cell, values in CELLS.items() if cell[0] == "MLP"}
    answer = headline.fragments(experiment(cells))["answer"]
    assert "plain MLP" in answer and "residual" not in answer


def test_the_chart_is_a_figure_with_a_caption_that_can_be_referred_to(experiment):
    fragment = headline.fragments(experiment(CELLS))["headline"]
    assert fragment.startswith("::: {#fig-headline}\n```{=html}\n")
    markup, caption = fragment.split("\n```\n\n")
    assert caption.startswith("Test accuracy on built-in grey patterns against")
    assert caption.endswith("\n:::\n")
    # The page lies above report/, where the scripts are.
    assert re.findall(r'src="([^"]*)"', markup) == ["report/assets/charts.js"]
    assert 'data-assets="report/assets"' in markup
    (spec,) = re.findall(r'class="lab1-spec">(.*?)</script>', markup)
    assert "MLP from 91.00 % at 2 to 81.00 % at 8" in json.loads(spec)["description"]


def test_the_same_records_give_the_same_front_page(experiment):
    """In one process too: `site` publishes, and may be asked to twice."""
    records = experiment(CELLS)
    assert headline.fragments(records) == headline.fragments(records)


@pytest.mark.parametrize("change", [{"dataset": "mnist"}, {"width": 32}, {"epochs": 4}])
def test_a_further_page_with_other_parameters_is_not_mixed_in(experiment, change):
    """A profile may give a chapter several sets of parameters: several runs per depth and seed."""
    cells = {("MLP", 2): [0.5] * 3, ("MLP", 8): [0.6] * 3}
    records = experiment(CELLS) + experiment(cells, **change)
    fragments = headline.fragments(records)
    assert "72.5" not in fragments["answer"] and "70.5" not in fragments["answer"]
    assert "(n = 6)" not in fragments["answer"]
    assert "mean over 6 seeds" not in fragments["headline"]
