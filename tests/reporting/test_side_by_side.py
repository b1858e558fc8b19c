"""The data of the page on which runs are put side by side."""

import gzip
import json
import math
import re

import pytest
import vl_convert

from lab1.core import paths
from lab1.core.store import Store
from lab1.planning import profiles
from lab1.reporting.kit import frames
from lab1.reporting.pages import side_by_side
from lab1.reporting.pages.configurations import settings


def data_of(records, published=(), shown_on=None):
    text = side_by_side.script(records, published=set(published), shown_on=shown_on or {})
    return json.loads(re.fullmatch(r"window\.lab1Runs = (.*);\n", text, re.S)[1])


@pytest.fixture
def records(experiment):
    return experiment({("MLP", 2): [0.9, 0.8], ("ResidualMLP", 8): [0.9, 0.8, 0.7]})


def test_the_runs_of_a_configuration_are_together(records):
    found = data_of(records, published=[records[0].key])["configurations"]
    assert [each["group"] for each in found] == [
        frames.group_of(record) for record in (records[0], records[2])
    ]
    assert [[run["seed"] for run in each["runs"]] for each in found] == [[0, 1], [0, 1, 2]]
    assert found[0]["title"].startswith("MLP, 2 layers") and "seed" not in found[0]["title"]
    files = [run["file"] for each in found for run in each["runs"]]
    assert files == [f"results/{records[0].name}.json", "", "", "", ""]
    assert found[0]["runs"][1]["results"]["Test accuracy (%)"] == "80.00"


def test_a_configuration_is_found_by_each_chapter_that_shows_it(records):
    pages = {records[0].key: ("1_1", "1_2"), records[1].key: ("1_2-narrow",)}
    first, second = data_of(records, shown_on=pages)["configurations"]
    assert first["filters"] == {
        "chapter": ["1.1", "1.2"],
        "data": ["built-in grey patterns"],
        "network": ["plain MLP"],
        "depth": ["2"],
    }
    assert second["filters"]["chapter"] == []


def test_a_curve_has_a_value_for_each_epoch_in_the_units_of_its_panel(records):
    data = data_of(records)
    curves = data["configurations"][0]["runs"][0]["curves"]
    by_name = dict(zip([tuple(each.values()) for each in data["series"]], curves, strict=True))
    history = records[0].history
    for panel, split, name, scale in (
        ("loss", "training", "train_loss", 1),
        ("loss", "validation", "validation_loss", 1),
        ("accuracy (%)", "validation", "validation_accuracy", 100),
        ("gradient norm", "training", "gradient_norm", 1),
    ):
        expected = [scale * value for value in history[name]]
        pairs = zip(by_name[panel, split], expected, strict=True)
        assert all(math.isclose(*pair, rel_tol=1e-3) for pair in pairs)


def test_titles_that_would_be_the_same_say_what_differs(experiment):
    records = [
        *experiment({("MLP", 8): [0.9]}),
        *experiment({("MLP", 8): [0.9]}, weight_decay=0.01),
    ]
    titles = [each["title"] for each in data_of(records)["configurations"]]
    assert [title.rpartition(", ")[2] for title in titles] == [
        "learning rate 0.001",
        "weight decay 0.01",
    ]


def test_a_diverged_run_says_so_and_its_curves_end(make_record):
    (configuration,) = data_of([make_record(stopped="diverged")])["configurations"]
    (run,) = configuration["runs"]
    assert run["results"]["Test accuracy (%)"] == run["results"]["Test loss"] == "diverged"
    assert [curve[-1] is None for curve in run["curves"]] == [True, True, False, False, True]


def test_the_chart_draws_what_the_script_puts_into_it(records):
    data = data_of(records)
    spec, (run, *_) = data["chart"], data["configurations"][0]["runs"]
    rows = [
        {**series, "training": "A", "run": run["key"], "epoch": epoch, "value": value}
        for series, curve in zip(data["series"], run["curves"], strict=True)
        for epoch, value in enumerate(curve, 1)
    ]
    spec["datasets"] = {spec["data"]["name"]: rows}
    drawn = vl_convert.vegalite_to_svg(json.dumps(spec))
    assert drawn.count('aria-roledescription="line mark container"') == len(rows) / 3
    assert ">gradient norm</text>" in drawn and ">A</text>" in drawn


def test_all_published_runs_weigh_less_than_200_kb():
    store = Store(paths.PACKAGE.parent / "results", paths.PACKAGE.parent / "no-runs-of-ones-own")
    records = {r.key: r for page in profiles.pages("report") for r in page.records(store)}
    assert len(records) > 300
    text = side_by_side.script(
        list(records.values()), published={*records}, shown_on=profiles.shown_on("report")
    )
    assert len(gzip.compress(text.encode())) < 200_000


def test_what_an_optimiser_has_not_is_none_of_its_settings(make_record):
    by_name = [
        settings(make_record(optimizer=name), "training") for name in ("adam", "adamw", "sgd")
    ]
    assert ["momentum" in each for each in by_name] == [False, False, True]
    assert all(each["learning rate"] for each in by_name)
