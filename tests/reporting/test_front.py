import json
import re

from lab1.reporting import front_page

CELLS = {
    ("MLP", 2): [0.90, 0.91, 0.92],
    ("MLP", 8): [0.80, 0.81, 0.82],
    ("ResidualMLP", 2): [0.90, 0.91, 0.92],
    ("ResidualMLP", 8): [0.95, 0.96, 0.97],
}
ADDRESSES = dict.fromkeys(("wide", "narrow", "wide-dark", "narrow-dark"), "one.svg")
CARD = {
    "text": "Depth **hurts**.", "doubt": "Three seeds.", "number": "−1.20", "unit": "points",
    "style": "plain", "mark": "<span>✓</span>", "pairs": [-1.0, -1.2, -1.4], "mean": -1.2,
    "half_width": 0.5,
}  # fmt: skip


def claim(text="So it is.", **about):
    return {"text": text, "name": "", "box": False, "card": None, "failed": [], **about}


def test_the_chart_finds_its_scripts_and_its_runs_from_the_front_page(experiment):
    markup = front_page.figure(front_page.chart(experiment(CELLS)), ADDRESSES)
    assert re.findall(r'<script src="([^"]*)"', markup) == ["report/assets/charts.js"]
    assert 'data-assets="report/assets"' in markup
    (spec,) = re.findall(r'class="lab1-spec">(.*?)</script>', markup)
    assert "MLP from 91.00 % at 2 to 81.00 % at 8" in json.loads(spec)["description"]
    (rows,) = json.loads(spec)["datasets"].values()
    assert {row["runs"].split("#")[0] for row in rows} == {"runs.html"}


def test_further_pages_with_other_parameters_are_not_mixed_in(experiment):
    """A profile may give a chapter several sets of parameters: several runs per depth and seed."""
    cells = {("MLP", 2): [0.5] * 3, ("MLP", 8): [0.6] * 3}
    records = experiment(CELLS)
    for change in ({"dataset": "mnist"}, {"width": 32}, {"epochs": 4}):
        records += experiment(cells, **change)
    rows = front_page.chart(records)["csv"].splitlines()
    means = {line.split(",")[rows[0].split(",").index("mean")] for line in rows[1:]}
    assert sorted(round(float(mean), 6) for mean in means) == [81.0, 91.0, 96.0]


def test_the_headline_is_a_claim_of_a_chapter_and_only_one_that_is_carried():
    deck = claim("By 1.2 points.", name="deck")
    found = front_page.headline([claim(), claim("Depth hurts.", name="headline"), deck])
    assert found.startswith('<h1 class="lab1-headline">Depth hurts.</h1>')
    assert "By 1.2 points." in found and "So it is." not in found
    failed = claim("It hurts.", name="headline", failed=["depth needs below"])
    assert front_page.headline([failed]) == ""
    assert front_page.headline([deck]) == ""


def test_the_layers_are_those_of_a_plain_network_and_of_its_residual_one(make_record):
    pair = [make_record(family, depth) for family in ("ResidualMLP", "MLP") for depth in (4, 8)]
    plain, residual = front_page.layers(pair)
    assert ">MLP<" in plain and ">ResidualMLP<" not in plain and "lab1-addition" not in plain
    assert ">ResidualMLP<" in residual and "lab1-addition" in residual
    assert front_page.layers(pair[:1]) == ("", "")


def test_a_card_shows_its_number_every_seed_and_the_interval():
    made = front_page.cards([("1.1 Depth", "report/1_1.ipynb", [claim(), claim(card=CARD)])])
    assert made.startswith("::: {.lab1-card .lab1-plain}\n### [1.1 Depth](report/1_1.ipynb)")
    assert "−1.20 <small>points</small>" in made and "Depth **hurts**." in made
    assert "✓</span> Three seeds." in made
    seeds = [float(x) for x in re.findall(r'<circle cx="([^"]*)"', made)]
    ((x, width),) = re.findall(r'<rect x="([^"]*)".*? width="([^"]*)"', made)
    (zero,) = re.findall(r'd="M([\d.]+) 2V', made)
    # From the end of the interval, −1.7, to zero: 170 pixels, so 100 for a point.
    assert (float(zero), float(x), float(width)) == (180, 10, 100)
    assert seeds == [80, 60, 40]
    assert 'aria-label="3 seeds, all on one side of zero"' in made
    assert front_page.cards([("1.1 Depth", "report/1_1.ipynb", [claim()])]) == ""


def test_a_card_without_an_interval_shows_its_seeds_alone():
    few = {**CARD, "half_width": None, "pairs": [-1.0, 0.5], "mean": -0.25, "doubt": ""}
    made = front_page.cards([("1.1 Depth", "report/1_1.ipynb", [claim(card=few)])])
    assert 'aria-label="2 seeds, on both sides of zero"' in made and "lab1-doubt" not in made
    assert re.findall(r'<rect .*? width="([^"]*)"', made) == ["0.0"]
