"""The page of all runs: its table, what it opens with, and the data that its script draws from."""

import gzip
import json
import math
import re
from dataclasses import replace

import pytest
from distilled import study

from lab1.core import files
from lab1.core.store import Store
from lab1.planning import profiles
from lab1.reporting import frames
from lab1.reporting.provenance import settings
from lab1.reporting.runs_page import RunsPage

ADDRESSES = {name: f"{name}.svg" for name in ("wide", "wide-dark", "narrow", "narrow-dark")}


def page_of(records, published=(), shown_on=None):
    return RunsPage(records, set(published), shown_on or {})


def fragment(*arguments, **keywords):
    return page_of(*arguments, **keywords).fragment(ADDRESSES, "report/assets")


def data_of(*arguments, **keywords):
    """What the scripts hold: of the runs, and of their curves."""
    scripts = page_of(*arguments, **keywords).scripts()
    assert [*scripts] == ["runs-data.js", "curves-data.js"]
    return [json.loads(re.fullmatch(r"window\.\w+ = (.*);\n", text, re.S)[1])
            for text in scripts.values()]  # fmt: skip


def row(text, record):
    """The row of a record's configuration."""
    return re.search(rf'<tr id="runs-{frames.group_of(record)}">.*?</tr>', text, re.S)[0]


def test_a_row_names_its_configuration_its_seeds_and_where_it_is_shown(records):
    on = {records[2].key: ("1_1", "1_2"), records[3].key: ("1_2-narrow",)}
    text = fragment(records, [records[2].key], on)
    # Markdown ends a raw block at the fence alone, so no line of the HTML may be one.
    assert text.count("```") == 2 and text.count('<tr id="runs-') == 2
    own = row(text, records[2])
    title = "ResidualMLP, 8 layers, width 16, built-in grey patterns, 3 epochs, learning rate 0.001"
    assert f"{title}</label>" in own
    assert '<td class="number">80.00 ± 24.84</td>' in own
    assert re.findall(r'href="(report/[^"]*)">([^<]*)', own) == [
        ("report/1_1.html", "1.1"),
        ("report/1_2.html", "1.2"),
        ("report/1_2-narrow.html", "1.2-narrow"),
    ]
    assert re.findall(r'title="(\w+)">(\d)<', own) == [
        (r.key, str(r.spec.seed)) for r in records[2:]
    ]
    assert re.findall(r'href="(results/[^"]*)"', text) == [f"results/{records[2].name}.json"]


def test_the_page_opens_with_plain_residual_and_identity_start(experiment):
    start = experiment({("MLP", 8): [0.9]}, initialisation="identity")
    records = experiment({("MLP", 2): [0.9], ("MLP", 8): [0.9], ("ResidualMLP", 8): [0.9]}) + start
    shown_on = {record.key: ("1_2",) for record in records}
    text = fragment(records, shown_on=shown_on)
    ticked = re.findall(r'<tr id="runs-(\w+)"><td><label data-letter="(.)".* checked>', text)
    assert ticked == [(frames.group_of(each), letter)
                      for each, letter in zip(records[1:], "ABC", strict=True)]  # fmt: skip
    assert text.index("checked>MLP, 8 layers") < text.index('"checkbox">MLP, 2 layers')
    alternative = re.search(r'role="img" aria-label="([^"]*)', text)[1]
    assert "C, seed 0, training loss: " in alternative and "gradient norm" in alternative
    # Of a run of its own page the address ticks the seeds, and of none it ticks nothing.
    links = dict(re.findall(r'href="runs.html#runs=([\w,]*)">([^<]*)</a>', text))
    assert {name: len(keys.split(",")) for keys, name in links.items() if keys} == {
        "to begin with": 3,
        "1.2": 3,
    }
    assert links[""] == "none"


def test_a_chapter_stands_for_its_kinds_at_the_ends_of_their_depths(experiment):
    depths = (2, 4, 8, 16)
    records = experiment({(family, depth): [0.9] for family in ("MLP", "ResidualMLP")
                          for depth in depths})  # fmt: skip
    faster = experiment({("MLP", 32): [0.9]}, learning_rate=0.01)
    page = page_of(records + faster, shown_on={r.key: ("1_2",) for r in records + faster})
    ends = [records[index] for index in (0, 3, 4, 7)]
    assert page.presets["1_2"] == [frames.group_of(record) for record in ends]
    one_kind = page_of(records[:4], shown_on={r.key: ("1_1",) for r in records})
    assert len(one_kind.presets["1_1"]) == 4


def test_taught_networks_are_a_kind_of_their_own(make_record):
    records = study(make_record, [(0.6, 0.7)])
    page = page_of(records, shown_on={record.key: ("2_2",) for record in records})
    assert {frames.group_of(records[-1]), frames.group_of(records[1])} <= {*page.presets["2_2"]}
    runs, _ = data_of(records)
    last = runs["configurations"][-1]
    assert f"({records[0].key})" in last["facts"]["Teacher"]
    assert last["title"].endswith("teacher of seed 0, T = 4, alpha = 0.9")


def test_the_picture_shows_the_mean_and_interval_of_three_seeds_and_each_of_fewer(records):
    spec = page_of(records, shown_on={r.key: ("1_2",) for r in records}).figure["spec"]
    drawn = spec["datasets"][spec["data"]["name"]]
    assert {(each["training"], each["run"]) for each in drawn} == {
        ("A", "seed 0"), ("A", "seed 1"), ("B", "mean of 3 seeds"),
    }  # fmt: skip
    (first,) = [each for each in drawn if each["training"] == "B" and each["epoch"] == 3
                and each["panel"] == "error (%)" and each["split"] == "validation"]  # fmt: skip
    values = [100 * (1 - r.history["validation_accuracy"][-1]) for r in records[2:]]
    assert first["value"] == pytest.approx(sum(values) / 3, rel=1e-3)
    assert first["low"] < first["value"] < first["high"]
    assert all(layer["encoding"]["y"]["scale"]["type"] == "log" for layer in spec["spec"]["layer"])


def test_what_the_script_knows_of_a_configuration_and_its_runs(records):
    pages = {records[0].key: ("1_1", "1_2"), records[2].key: ("1_2-narrow",)}
    runs, _ = data_of(records, [records[0].key], pages)
    first, second = runs["configurations"]
    assert first["filters"] == {
        "chapter": ["1.1", "1.2"],
        "data": ["built-in grey patterns"],
        "network": ["plain MLP"],
        "depth": ["2"],
    }
    assert first["settings"]["Depth"] == "2" and first["settings"]["Epochs"] == "3"
    assert [run["file"] for run in first["runs"]] == [f"results/{records[0].name}.json", ""]
    assert first["runs"][1]["results"]["Test accuracy (%)"] == "80.00"
    assert first["spread"] is None  # two seeds have no interval
    assert second["spread"] == pytest.approx(4.303 / math.sqrt(3), rel=1e-3)
    assert second["results"]["Test accuracy (%)"] == "80.00 ± 24.84"
    assert second["results"]["Seconds of a run"].endswith(", on a processor, 1 thread")
    assert "fingerprint" in second["facts"]["Data"] and "torch" in second["facts"]["Versions"]


def test_some_seeds_at_chance_have_no_interval(trained):
    records = [trained(seed=seed, accuracy=value) for seed, value in enumerate((0.1, 0.9, 0.9))]
    (configuration,) = data_of(records)[0]["configurations"]
    assert configuration["spread"] is None
    assert configuration["results"]["Test accuracy (%)"].endswith("(1 of 3 at chance)")


def test_a_curve_has_a_value_for_each_epoch_in_the_units_of_its_panel(records):
    _, data = data_of(records)
    curves = data["curves"][records[0].key]
    by_name = dict(zip([tuple(each.values()) for each in data["series"]], curves, strict=True))
    history = records[0].history
    for panel, split, expected in (
        ("loss", "training", history["train_loss"]),
        ("loss", "validation", history["validation_loss"]),
        ("error (%)", "validation", [100 * (1 - v) for v in history["validation_accuracy"]]),
        ("gradient norm", "training", history["gradient_norm"]),
    ):
        pairs = zip(by_name[panel, split], expected, strict=True)
        assert all(math.isclose(*pair, rel_tol=1e-3) for pair in pairs)


def test_a_diverged_run_says_so_and_its_curves_end(make_record):
    runs, data = data_of([make_record(stopped="diverged")])
    ((run,),) = [each["runs"] for each in runs["configurations"]]
    assert run["results"]["Test accuracy (%)"] == run["results"]["Test loss"] == "diverged"
    ((*curves,),) = data["curves"].values()
    assert [curve[-1] is None for curve in curves] == [True, True, False, False, True]


def test_the_start_and_the_commit_of_every_process_are_named(records, segmented):
    # An older record names the times of its last process alone.
    others = [replace(records[1], seconds=3600.0), *records[2:]]
    runs, _ = data_of([segmented(records[0], commit="f" * 40), *others])
    facts = runs["configurations"][0]["facts"]
    assert facts["Trained"] == "2026-01-01 / start unknown"
    assert facts["Commit"] == "0123456789 / ffffffffff"
    unknown, _ = data_of([replace(records[0], origin={})])
    assert "fingerprint unknown" in unknown["configurations"][0]["facts"]["Data"]


@pytest.mark.slow
def test_all_published_runs_are_one_light_page():
    store = Store(files.PACKAGE.parent / "results", files.PACKAGE.parent / "no-runs-of-ones-own")
    records = {r.key: r for page in profiles.pages("report") for r in page.records(store)}
    assert len(records) > 300
    page = page_of([*records.values()], records, profiles.shown_on("report"))
    text = page.fragment(ADDRESSES, "report/assets")
    assert len(text) < 200_000 and len(re.findall(r"<[a-z]", text)) < 3_000
    weights = [len(gzip.compress(script.encode())) for script in page.scripts().values()]
    assert weights[0] < 40_000 and weights[1] < 150_000


def test_what_an_optimiser_has_not_is_none_of_its_settings(make_record):
    by_name = [settings(make_record(optimizer=name)) for name in ("adam", "adamw", "sgd")]
    assert ["Momentum" in each for each in by_name] == [False, False, True]
    assert all(each["Learning rate"] for each in by_name)
