import io
import json
import re

import pandas
import pytest

from lab1.reporting.pages import front

CELLS = {
    ("MLP", 2): [0.90, 0.91, 0.92],
    ("MLP", 8): [0.80, 0.81, 0.82],
    ("ResidualMLP", 2): [0.90, 0.91, 0.92],
    ("ResidualMLP", 8): [0.95, 0.96, 0.97],
}


ADDRESSES = dict.fromkeys(("wide", "narrow", "wide-dark", "narrow-dark"), "one.svg")


def test_the_chart_is_a_figure_with_a_caption_that_can_be_referred_to(experiment):
    parts, caption = front.headline(experiment(CELLS))
    fragment = front.chart(parts, ADDRESSES, caption)
    assert fragment.startswith("::: {#fig-headline}\n```{=html}\n")
    markup, caption = fragment.split("\n```\n\n")
    assert caption.startswith("Test accuracy on built-in grey patterns against")
    assert caption.endswith("\n:::\n")
    # The page lies above report/, where the scripts are.
    assert re.findall(r'<script src="([^"]*)"', markup) == ["report/assets/charts.js"]
    assert 'data-assets="report/assets"' in markup
    (spec,) = re.findall(r'class="lab1-spec">(.*?)</script>', markup)
    assert "MLP from 91.00 % at 2 to 81.00 % at 8" in json.loads(spec)["description"]
    # So are the runs behind its points.
    (rows,) = json.loads(spec)["datasets"].values()
    assert {row["runs"].split("#")[0] for row in rows} == {"runs.html"}


def test_the_same_records_give_the_same_front_page(experiment):
    """In one process too: `site` publishes, and may be asked to twice."""
    records = experiment(CELLS)
    assert front.headline(records) == front.headline(records)


@pytest.mark.parametrize("change", [{"dataset": "mnist"}, {"width": 32}, {"epochs": 4}])
def test_a_further_page_with_other_parameters_is_not_mixed_in(experiment, change):
    """A profile may give a chapter several sets of parameters: several runs per depth and seed."""
    cells = {("MLP", 2): [0.5] * 3, ("MLP", 8): [0.6] * 3}
    records = experiment(CELLS) + experiment(cells, **change)
    parts, _ = front.headline(records)
    table = pandas.read_csv(io.StringIO(parts["csv"]))
    assert {*table["n"]} == {3}
    assert sorted(table["mean"].round(6)) == [81.0, 91.0, 91.0, 96.0]


def test_the_drawing_is_of_twins_where_there_are_any(make_record):
    """The plain network first, and a caption below that can be referred to."""
    perceptrons = [make_record(family, 8) for family in ("ResidualMLP", "MLP")]
    drawn = front.block(perceptrons)
    assert drawn.startswith('::: {#fig-block}\n```{=html}\n<div class="lab1-drawing"')
    assert drawn.index(">MLP<") < drawn.index(">ResidualMLP<")
    twins = [make_record(family, 8, dataset="smoke-colour") for family in ("ResNet", "PlainNet")]
    assert ">PlainNet<" in front.block(perceptrons + twins)
    assert ">MLP<" not in front.block(perceptrons + twins)
    assert front.block(perceptrons[:1]) == ""
