import json
import re

import pytest
from distilled import SETTING, study

from lab1.reporting.comparison import verdicts
from lab1.reporting.degradation import verdicts as degradation_verdicts
from lab1.reporting.distillation import verdicts as distillation_verdicts
from lab1.reporting.kit import frames
from lab1.reporting.pages import front as headline

CELLS = {
    ("MLP", 2): [0.90, 0.91, 0.92],
    ("MLP", 8): [0.80, 0.81, 0.82],
    ("ResidualMLP", 2): [0.90, 0.91, 0.92],
    ("ResidualMLP", 8): [0.95, 0.96, 0.97],
}


def test_the_front_page_has_an_answer_and_a_chart(experiment):
    fragments = headline.fragments(experiment(CELLS))
    assert fragments.keys() == {"answer", "headline", "details"}


def test_the_answer_is_the_verdict_on_skips_and_the_details_are_those_on_depth(experiment):
    records = experiment(CELLS)
    fragments = headline.fragments(records)
    runs = frames.runs(records)
    plain, residual = fragments["details"].rstrip("\n").split("\n\n")
    assert plain == verdicts.depth_effect(runs, "MLP").text
    assert residual == verdicts.depth_effect(runs, "ResidualMLP").text
    skip = verdicts.skip_effect_at_deepest(runs).text
    assert fragments["answer"] == f"**Skip connections.** {skip}\n"
    assert "**hurt**" in plain and "**help**" in residual and "**help**" in skip


def test_the_answer_turns_round_with_the_families(experiment, swap_families):
    fragments = headline.fragments(swap_families(experiment(CELLS)))
    plain, residual = fragments["details"].rstrip("\n").split("\n\n")
    assert "**help**" in plain and "**hurt**" in residual
    assert "**hurt**" in fragments["answer"]


def deep_nets(experiment, depths=(20, 56)):
    """The plain net gets worse with depth on its own training images, its twin better."""
    fit = {("PlainNet", 20): 0.9, ("PlainNet", 56): 0.8, ("ResNet", 20): 0.9, ("ResNet", 56): 0.95}
    cells = {cell: [0.8, 0.81, 0.82] for cell in fit if cell[1] in depths}
    fits = {cell: [fit[cell] + seed / 1000 for seed in range(3)] for cell in cells}
    return experiment(cells, fit=fits, dataset="smoke-colour", train_evaluation_size=100)


def test_the_answer_tells_of_degradation_where_there_are_records(experiment, swap_families):
    for change, claim in ((list, "**counteracts**"), (swap_families, "**worse**")):
        records = change(deep_nets(experiment))
        answer = headline.fragments(experiment(CELLS), degradation=records)["answer"]
        verdict = degradation_verdicts.shortcut_effect(frames.runs(records)).text
        assert answer.endswith(f"\n\n**Deep networks.** {verdict}\n") and claim in verdict


def test_one_depth_says_nothing_of_degradation(experiment):
    records = deep_nets(experiment, depths=(20,))
    assert "Deep" not in headline.fragments(experiment(CELLS), degradation=records)["answer"]


def test_the_answer_tells_of_distillation_where_there_are_records(experiment, make_record):
    pairs = [(0.6, 0.7), (0.61, 0.71), (0.62, 0.73)]
    for swapped, claim in ((False, "**helps**"), (True, "**hurts**")):
        own = [pair[::-1] for pair in pairs] if swapped else pairs
        records = study(make_record, own)
        fragments = headline.fragments(experiment(CELLS), distillation=records, setting=SETTING)
        verdict = distillation_verdicts.improvement(frames.runs(records), SETTING).text
        assert fragments["answer"].endswith(f"\n\n**A teacher.** {verdict}\n")
        assert claim in verdict


def test_a_teacher_without_students_says_nothing_of_distillation(experiment, make_record):
    records = study(make_record, [])
    answer = headline.fragments(experiment(CELLS), distillation=records, setting=SETTING)["answer"]
    assert "teacher" not in answer


def test_one_family_answers_for_itself(experiment):
    cells = {cell: values for cell, values in CELLS.items() if cell[0] == "MLP"}
    fragments = headline.fragments(experiment(cells))
    assert "plain MLP" in fragments["details"] and "residual" not in fragments["details"]
    assert fragments["answer"] == "\n"


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
    # So are the runs behind its points.
    (rows,) = json.loads(spec)["datasets"].values()
    assert {row["runs"].split("#")[0] for row in rows} == {"runs.html"}


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
    said = fragments["answer"] + fragments["details"]
    assert "72.5" not in said and "70.5" not in said
    assert "(n = 6)" not in said
    assert "mean over 6 seeds" not in fragments["headline"]
