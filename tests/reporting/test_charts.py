"""The charts of accuracy and loss, and the forms that draw all charts."""

import json
import math
import re
from dataclasses import replace

import altair
import pandas
import pytest

from lab1.core import families
from lab1.core.spec import RECIPE
from lab1.reporting import cnns, comparison, frames, theme
from lab1.reporting.axes import Axis, Panels
from lab1.reporting.charts import draw_chart, linked

ACCURACY = Axis("mean", "accuracy (%)")
DEPTH = Axis("depth", "layers", log=True)


def table(family, depth, mean, **columns):
    """Rows of means with their intervals of ± 2."""
    frame = pandas.DataFrame({"family": family, "depth": depth, "mean": mean, **columns})
    return frame.assign(half_width=2.0, low=frame["mean"] - 2, high=frame["mean"] + 2, n=3)


BOTH = table(["MLP", "MLP", "ResidualMLP", "ResidualMLP"], [2, 8, 2, 8], [80.0, 90.0, 70.0, 89.0])


def spec_of(figure):
    return figure.chart.to_dict(validate=True)


def layers(figure):
    """The encodings of a chart's layers by their kind of mark; the last of each kind."""
    spec = spec_of(figure)
    return {layer["mark"]["type"]: layer for layer in spec.get("spec", spec)["layer"]}


def encodings(figure, mark):
    return layers(figure)[mark]["encoding"]


def rows_of(figure):
    """The rows of data in a chart."""
    (rows,) = spec_of(figure)["datasets"].values()
    return rows


def look(encoding):
    return dict(zip(encoding["scale"]["domain"], encoding["scale"]["range"], strict=True))


@pytest.mark.parametrize("names", [["MLP"], ["ResidualMLP"], ["MLP", "ResidualMLP"]])
@pytest.mark.parametrize("marks", ["lines", "curves"])
def test_a_family_has_its_colour_and_shape_whoever_stands_beside_it(names, marks):
    figure = draw_chart(BOTH[BOTH["family"].isin(names)], DEPTH, ACCURACY, marks=marks, text="")
    for layer in layers(figure).values():
        if "color" in layer["encoding"]:
            assert look(layer["encoding"]["color"]) == {n: theme.COLOURS[n] for n in names}
    if marks == "lines":
        assert look(encodings(figure, "point")["shape"]) == {n: theme.SHAPES[n] for n in names}
    svg = figure.parts()["svg"]
    assert all(theme.COLOURS[name] in svg and f">{name}<" in svg for name in names)


def test_all_families_in_one_chart_are_told_apart_by_colour_and_shape():
    names = list(families.FAMILIES)
    altair.Config.from_dict(theme.config(), validate=True)
    scales = [look(draw("family", names).to_dict()) for draw in (theme.colour, theme.shape)]
    assert len({tuple(scale[name] for scale in scales) for name in names}) == len(names) > 6
    assert theme.COLOURS.keys() == theme.SHAPES.keys() == set(RECIPE)
    # Those of the icon and the card of the site too.
    assert (theme.COLOURS["MLP"], theme.COLOURS["ResNet"]) == ("#d55e00", "#3d8fd1")
    for style in ("plain", "residual"):
        alike = [name for name in names if families.FAMILIES[name].style == style]
        assert len({theme.COLOURS[name] for name in alike}) == 1 < len(alike)


def test_lines_of_one_colour_differ_in_dashes_and_thickness():
    twice = pandas.concat([BOTH.assign(split=split) for split in ("training", "validation")])
    figure = draw_chart(
        twice, DEPTH, ACCURACY, dash="split", thickness="depth", detail="n", marks="curves", text=""
    )
    line = encodings(figure, "line")
    assert look(line["strokeDash"]) == {"training": [1, 0], "validation": [5, 4]}
    assert [part["field"] for part in line["detail"]] == ["split", "depth", "n"]
    assert line["size"]["scale"]["range"] == [1.2, 3.8]
    assert not {"strokeDash", "size"} & encodings(figure, "circle").keys()


def test_each_line_has_its_name_at_its_end_clear_of_the_others():
    figure = draw_chart(BOTH, DEPTH, ACCURACY, text="")
    assert layers(figure)["text"]["mark"]["dx"] > 0  # and of the line
    rows = {row["name"]: row for row in rows_of(figure)}
    assert rows.keys() == {None, "MLP", "ResidualMLP"}
    ends = [rows[name] for name in ("MLP", "ResidualMLP")]
    assert [(row["depth"], row["family"]) for row in ends] == [(8, "MLP"), (8, "ResidualMLP")]
    # 17 of 300 pixels apart, which show 68 to 92, around the mean of 89 and 90.
    apart = 17 * (92 - 68) / 300
    assert [row["end"] for row in ends] == pytest.approx([89.5 + apart / 2, 89.5 - apart / 2])


def test_a_single_line_has_no_name_and_panels_leave_room_for_names():
    alone = draw_chart(BOTH[BOTH["family"] == "MLP"], DEPTH, ACCURACY, text="")
    assert alone.parts()["svg"].count(">MLP<") == 1  # in the legend
    figure = draw_chart(BOTH.assign(part="a"), DEPTH, ACCURACY, panels=Panels("part"), text="")
    assert spec_of(figure)["spacing"]["column"] > 20 + 6 * len("ResidualMLP")
    assert figure.parts()["svg"].count(">ResidualMLP<") == 2


def test_dashed_lines_are_named_by_what_their_dash_says():
    mlp = BOTH["family"] == "MLP"
    sources = pandas.concat(
        [BOTH.assign(source="ours"), BOTH[mlp].assign(source="theirs", mean=50.0)],
        ignore_index=True,
    )
    for rows, names in (
        (sources, {"MLP", "ResidualMLP", "theirs"}),
        (sources[sources["family"] == "MLP"], {"ours", "theirs"}),
    ):
        figure = draw_chart(rows, DEPTH, ACCURACY, dash="source", text="")
        assert {row["name"] for row in rows_of(figure)} == {None, *names}


_SHARE = 2.5 / 560  # of the axis, half of what two lines are apart


@pytest.mark.parametrize(
    ("log", "places"),
    [(False, [2 - 6 * _SHARE, 2 + 6 * _SHARE]), (True, [2 / 4**_SHARE, 2 * 4**_SHARE])],
)
def test_intervals_of_two_lines_stand_side_by_side(log, places):
    """Each beneath its own point; on top of one another they could not be told apart."""
    figure = draw_chart(BOTH, replace(DEPTH, log=log), ACCURACY, text="")
    found = [row["place"] for row in rows_of(figure) if row["depth"] == 2]
    assert found == pytest.approx(places, rel=1e-5)  # the axis goes from 2 to 8
    marks = ("line", "rule", "point")
    assert {encodings(figure, mark)["x"]["field"] for mark in marks} == {"place"}
    told = [row["field"] for row in encodings(figure, "point")["tooltip"]]
    assert told == ["family", "depth", "mean", "half_width", "n"]


def test_an_interval_on_a_logarithmic_axis_is_cut_off_below_the_means_of_its_panel():
    rows = table("MLP", [2, 8, 32], [0.5, 1.0, 3.0], part=["a", "a", "b"])
    error = Axis("mean", log=True)
    figure = draw_chart(rows, DEPTH, error, panels=Panels("part"), marks="curves", text="")
    assert [row["low"] for row in rows_of(figure)] == [0.25, 0.25, 1.5]
    assert [*figure.data["low"]] == [-1.5, -1, 1]  # what a reader takes away is not cut off


@pytest.mark.parametrize("marks", ["lines", "curves"])
def test_every_legend_picks(marks):
    """It answers to a selection of the first marks that it explains, and to no other."""
    styled = BOTH.assign(source=["ours", "theirs"] * 2)
    spec = spec_of(draw_chart(styled, DEPTH, ACCURACY, dash="source", marks=marks, text=""))
    picks = {each["name"]: each for each in spec["params"] if each.get("bind") == "legend"}
    assert {name: each["select"]["fields"] for name, each in picks.items()} == {
        "pick_family": ["family"], "pick_source": ["source"],
    }  # fmt: skip
    for layer in spec["layer"]:
        tests = str(layer["encoding"]["opacity"])
        assert all(name in tests for name in picks) or layer["mark"]["type"] == "text"


def test_a_point_leads_to_its_runs():
    runs = pandas.DataFrame(
        {"family": ["MLP"] * 3, "depth": [2, 8, 8], "group": [*"abb"], "key": [*"123"]}
    )
    rows = linked(BOTH, runs, ["family", "depth"])
    assert [*rows["runs"]] == ["#runs-a", "#runs-b", "", ""]
    rows = linked(BOTH, runs, ["family", "depth"], "runs.html")
    assert [*rows["runs"]] == ["runs.html#runs=1", "runs.html#runs=2,3", "", ""]
    for marks in ("lines", "points"):
        figure = draw_chart(rows, DEPTH, ACCURACY, marks=marks, text="")
        assert encodings(figure, "point")["href"]["field"] == "runs"
        assert figure.data.equals(BOTH)
    assert "href" not in encodings(draw_chart(BOTH, DEPTH, ACCURACY, text=""), "point")


@pytest.mark.parametrize("apart", ["", "y", "xy"])
def test_panels_zoom_together_unless_their_scales_differ(apart):
    figure = draw_chart(
        BOTH, DEPTH, ACCURACY, panels=Panels("depth", apart=apart), marks="curves", text=""
    )
    spec = spec_of(figure)
    assert spec.get("resolve", {}).get("scale", {}) == dict.fromkeys(apart, "independent")
    assert ('"scales"' in json.dumps(spec)) == (not apart)
    assert spec["facet"]["title"] == "hidden layers" and spec["facet"]["sort"] == [2, 8]


def test_a_level_is_a_rule_of_no_legend():
    figure = draw_chart(BOTH, DEPTH, ACCURACY, level=75, text="")
    rule = spec_of(figure)["layer"][0]
    assert rule["encoding"] == {"y": {"datum": 75}}
    assert figure.parts()["svg"].count(f'stroke="{theme.NEUTRAL}"') > 1


def test_points_stand_beside_names_too():
    frame = pandas.DataFrame(
        {"who": ["a", "b"], "times": [2.0, 3.0], "least": [1.0, 2.5], "most": [4.0, 3.5]}
    )
    times = Axis("times", "times as fast", domain=(0, 5), interval=("least", "most"))
    who = Axis("who", order=["b", "a"])
    figure = draw_chart(frame, times, who, marks="points", colour="#123456", text="")
    rule = encodings(figure, "rule")
    assert (rule["x"]["field"], rule["x2"]["field"]) == ("least", "most")
    assert rule["color"] == {"value": "#123456"} and rule["y"]["sort"] == ["b", "a"]
    told = [row["field"] for row in encodings(figure, "point")["tooltip"]]
    assert told == ["who", "times", "least", "most"]


def test_a_bar_may_have_its_value_behind_it():
    frame = pandas.DataFrame({"class": ["cat", "dog"], "share": [0.25, 0.75], "images": [1, 3]})
    share = Axis("share", domain=(0, 1))
    figure = draw_chart(
        frame, share, Axis("class", order=["dog", "cat"]), marks="bars", colour="#123456",
        number=".0%", also={"images": ""}, text="",
    )  # fmt: skip
    assert ">75%<" in figure.parts()["svg"]
    assert [row["field"] for row in encodings(figure, "bar")["tooltip"]] == [
        "class", "share", "images",
    ]  # fmt: skip


@pytest.fixture
def both(experiment):
    """Both families at 2 and 8 layers, the deeper ones with a sweep; three seeds each."""
    cells = {}
    for family, plus in (("MLP", 0.0), ("ResidualMLP", 0.03)):
        cells[family, 2] = [0.80 + plus, 0.81 + plus, 0.82 + plus]
        cells[family, 8] = [0.70 + plus, 0.71 + plus, 0.72 + plus]
        cells[family, 8, 0.003] = [0.60 + plus, 0.61 + plus, 0.62 + plus]
    return experiment(cells)


#: Each chart, and which frame it takes.
CHARTS = {
    "loss_curves": frames.history,
    "accuracy_by_depth": frames.runs,
    "outcomes_by_depth": frames.runs,
    "fit_by_network": frames.runs,
    "accuracy_by_parameters": frames.runs,
    "learning_rate_sweep": frames.runs,
}
every_chart = pytest.mark.parametrize("name", CHARTS)


def draw(name, records):
    module = cnns if name in vars(cnns) else comparison
    return getattr(module, name)(CHARTS[name](records))


@every_chart
def test_a_chart_says_and_holds_its_means_and_asks_no_other_host(name, both):
    figure = draw(name, both)
    parts = figure.parts()
    assert parts["spec"] == {
        **spec_of(figure), "config": theme.config(), "description": figure.alt,
    }  # fmt: skip
    for family in ("MLP", "ResidualMLP"):
        assert re.search(rf"\b{family}\b.* \d", figure.alt)
    assert parts["csv"].partition("\n")[0].endswith(",mean,half_width,low,high,n")
    assert set(figure.data["n"]) == {3} and "runs" not in figure.data.columns
    spec = {**parts["spec"]}
    assert spec.pop("$schema").startswith("https://vega.github.io/schema/vega-lite/")
    assert "//" not in json.dumps(spec)
    # A drawing names its XML namespaces, which nobody fetches, and carries its face.
    svg = re.sub(r'xmlns(:\w+)?="[^"]*"|url\(data:font/woff;base64,[^)]*\)', "", parts["svg"])
    assert svg.startswith("<svg") and "<script" not in svg and "//" not in svg
    assert not re.search(r'(href|src)="(?!#)|@import|url\((?!#)', svg)


@every_chart
def test_one_seed_is_shown_without_interval(name, both):
    figure = draw(name, [record for record in both if record.spec.seed == 0])
    assert figure.data[["half_width", "low", "high"]].isna().all(axis=None)
    assert "mean over 1 seed" in figure.alt or name == "loss_curves"
    assert all(row["low"] is None for row in rows_of(figure))


def test_accuracy_by_depth_is_in_percent_and_without_the_sweep(both):
    figure = draw("accuracy_by_depth", both)
    means = figure.data.set_index(["family", "depth"])
    assert means["mean"].to_dict() == pytest.approx(
        {("MLP", 2): 81, ("MLP", 8): 71, ("ResidualMLP", 2): 84, ("ResidualMLP", 8): 74}
    )
    # Three values 1 point apart: s = 1, times t = 4.303, over sqrt(3).
    assert set(means["half_width"].round(3)) == {2.484}
    assert means["low"]["MLP", 2] == pytest.approx(81 - 2.484, abs=0.001)
    assert figure.alt == (
        "Test accuracy on built-in grey patterns by hidden layers: MLP from 81.00 % at 2 to 71.00 "
        "% at 8; ResidualMLP from 84.00 % at 2 to 74.00 % at 8; mean over 3 seeds."
    )
    assert encodings(figure, "point")["y"]["title"] == "test accuracy (%)"


def test_the_fit_of_changed_networks_stands_beside_that_of_the_usual_ones(experiment):
    """At the greatest depth, in the order of the loss, without runs in two heaps."""
    names = {"MLP": 0.04, "ResidualMLP": 0.01}
    records = []
    for family, loss in names.items():
        cells = {(family, depth): [0.9] * 3 for depth in (2, 8)}
        records += experiment(cells, train_loss={(family, 8): [loss, loss, 2 * loss]})
    changed = {("MLP", 8): [0.9] * 3}
    records += experiment(changed, train_loss={("MLP", 8): [0.02] * 3}, initialisation="identity")
    heaps = experiment(changed, normalization="layer")
    heaps[0] = replace(heaps[0], history=heaps[0].history | {"train_accuracy": [0.1] * 3})
    figure = comparison.fit_by_network(frames.runs(records + heaps))
    assert [*figure.data["network"]] == ["ResidualMLP", "identity start", "MLP"]
    assert [*figure.data["mean"].round(4)] == [0.0133, 0.02, 0.0533]
    # The interval of a loss may reach zero, which a logarithmic axis does not have.
    (rules,) = (part for part in spec_of(figure)["layer"] if part["mark"]["type"] == "rule")
    shown = rules["encoding"]
    assert min(row["low"] for row in rows_of(figure)) > 0 and shown["x"]["scale"]["type"] == "log"


def test_accuracy_by_parameters_has_those_of_each_network(both):
    figure = draw("accuracy_by_parameters", both)
    counts = {record.spec.model.depth: record.parameters for record in both}
    assert [*figure.data["parameters"]] == [counts[2], counts[8]] * 2
    assert f"81.00 % at {counts[2]:g}" in figure.alt


def test_the_sweep_shows_validation_accuracy_of_the_swept_depths(experiment):
    cells = {("MLP", 2): [0.9] * 3, ("MLP", 8): [0.8] * 3, ("MLP", 8, 0.003): [0.7] * 3}
    validation = {("MLP", 8): [0.55] * 3, ("MLP", 8, 0.003): [0.65] * 3}
    figure = comparison.learning_rate_sweep(frames.runs(experiment(cells, validation)))
    assert set(figure.data["depth"]) == {8}
    assert dict(zip(figure.data["learning_rate"], figure.data["mean"], strict=True)) == (
        pytest.approx({0.001: 55, 0.003: 65})
    )
    assert "MLP 8 from 55.00 % at 0.001 to 65.00 % at 0.003" in figure.alt
    unswept = frames.runs(experiment({("MLP", 2): [0.9] * 3, ("MLP", 8): [0.8] * 3}))
    assert "several learning rates" in comparison.learning_rate_sweep(unswept)


def test_loss_curves_have_a_mean_per_family_depth_split_and_epoch(both):
    figure = draw("loss_curves", both)
    assert len(figure.data) == 2 * 2 * 2 * 3
    means = figure.data.set_index(["family", "depth", "split", "epoch"])["mean"]
    for split, losses in (("training", [1.5, 0.8, 0.4]), ("validation", [1.4, 0.9, 0.5])):
        assert [*means["MLP", 2, split]] == pytest.approx(losses)
    assert "MLP 2, training: 0.4" in figure.alt
    assert figure.alt.endswith("; ResidualMLP 8, validation: 0.5.")


def test_in_a_panel_of_one_loss_a_line_has_its_depth_at_its_end_clear_of_the_others(trained):
    history = frames.history([trained("MLP", depth, 0, length=2) for depth in (2, 8)])
    figure = comparison.loss_curves(history, panels="split")
    assert figure.data.equals(comparison.loss_curves(history).data)
    ends = {
        row["name"]: row["end"]
        for row in rows_of(figure)
        if row["split"] == "training" and row["name"]
    }
    assert [*ends] == ["2", "8"]
    # The two lines are one; on the logarithmic axis their names stand around their common end.
    last = figure.data.query("split == 'training'")["mean"].iloc[-1]
    assert ends["2"] * ends["8"] == pytest.approx(last**2, rel=1e-4) and ends["2"] < ends["8"]


def test_each_family_and_depth_goes_as_far_as_all_its_seeds(trained):
    """Beyond that a mean would be one of other runs, and jump where the first of them ended."""
    records = [trained("MLP", 2, seed, length=length) for seed, length in enumerate((5, 4, 9))]
    records += [trained("MLP", 8, seed, length=2) for seed in range(3)]
    means = comparison.loss_curves(frames.history(records)).data
    assert means.groupby("depth")["epoch"].max().to_dict() == {2: 4, 8: 2}
    assert set(means["n"]) == {3}


def test_a_diverged_run_ends_the_mean_and_not_the_chart(trained):
    records = [trained(seed=seed) for seed in range(3)]
    records.append(trained(seed=3, stopped="diverged"))
    means = comparison.loss_curves(frames.history(records)).data
    assert (set(means["n"]), means["epoch"].max()) == ({4}, 2)
    assert means["mean"].notna().all()
    unvalidated = [trained(seed=seed, validation_size=0) for seed in range(3)]
    drawn = comparison.loss_curves(frames.history(unvalidated)).data
    assert set(drawn["split"]) == {"training"}


def test_a_configuration_that_always_diverged_is_named_without_nan(experiment, trained):
    records = experiment({("MLP", 2): [0.9] * 3})
    records += [trained("ResidualMLP", 8, seed, stopped="diverged") for seed in range(3)]
    figure = comparison.accuracy_by_depth(frames.runs(records))
    assert "ResidualMLP diverged" in figure.alt and "nan" not in figure.alt
    means = figure.data.set_index(["family", "depth"])["mean"].astype(float)
    assert math.isnan(means["ResidualMLP", 8])
    assert "NaN" not in figure.parts()["svg"]


def test_every_chart_of_runs_names_its_data_set(make_record):
    """Above all where the images were re-encoded: such a chart is passed on without its page."""
    records = [
        make_record("SimpleCNN", depth, seed, dataset="cifar10-jpeg")
        for depth in (2, 3)
        for seed in range(3)
    ]
    for name in sorted(CHARTS.keys() - {"learning_rate_sweep"}):
        figure = draw(name, records)
        assert spec_of(figure)["title"] == "CIFAR-10 (JPEG copy)"
        assert "on CIFAR-10 (JPEG copy) by " in figure.alt
    assert encodings(draw("accuracy_by_depth", records), "point")["x"]["title"] == "stages"


@pytest.mark.parametrize("name", sorted(CHARTS.keys() - {"loss_curves"}))
def test_a_point_leads_to_the_runs_of_its_configuration(both, name):
    led = {(row["family"], row["depth"], row.get("learning_rate", 0.001)): row["runs"]
           for row in rows_of(draw(name, both))}  # fmt: skip
    expected = {
        (r.spec.model.family, r.spec.model.depth, r.spec.training.learning_rate): (
            f"#runs-{frames.group_of(r)}"
        )
        for r in both
    }
    assert led.items() <= expected.items() and led
