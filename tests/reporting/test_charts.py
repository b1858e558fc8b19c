import json
import math
import re

import altair
import pytest

from lab1.core import families
from lab1.core.spec import RECIPE
from lab1.reporting.comparison import charts, verdicts
from lab1.reporting.kit import frames, theme, words
from lab1.reporting.kit.figure import Figure

FAMILIES = ["MLP", "ResidualMLP"]


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
    "accuracy_by_parameters": frames.runs,
    "learning_rate_sweep": frames.runs,
}
every_chart = pytest.mark.parametrize("name", CHARTS)


def draw(name, records):
    figure = getattr(charts, name)(CHARTS[name](records))
    assert isinstance(figure, Figure)
    return figure


@pytest.fixture(scope="module")
def _drawn():
    return {}


@pytest.fixture
def drawn(both, _drawn):
    """A chart of both families and its parts; drawn once, since that is what takes time."""

    def get(name):
        if name not in _drawn:
            figure = draw(name, both)
            _drawn[name] = figure, figure.parts()
        return _drawn[name]

    return get


def walk(value):
    """Every object inside a specification."""
    if isinstance(value, dict):
        yield value
    for each in value.values() if isinstance(value, dict) else value:
        if isinstance(each, (dict, list)):
            yield from walk(each)


def scales(spec, channel):
    found = [each[channel] for each in walk(spec) if isinstance(each.get(channel), dict)]
    return [each["scale"] for each in found if "scale" in each]


def shown(spec):
    """The rows of data in a specification."""
    (rows,) = spec["datasets"].values()
    return rows


def test_every_chart_is_tested():
    made = {name for name in vars(charts) if getattr(charts, name).__class__ is draw.__class__}
    own = {each for each in made if getattr(charts, each).__module__ == charts.__name__}
    assert {each for each in own if not each.startswith("_")} == set(CHARTS)


@every_chart
def test_a_chart_is_valid_vega_lite_with_the_themes_configuration(name, drawn):
    figure, parts = drawn(name)
    own = figure.chart.to_dict(validate=True)
    config = parts["spec"]["config"]
    assert config == theme.config()
    assert {**own, "config": config, "description": figure.alt} == parts["spec"]


def test_the_themes_configuration_is_valid():
    altair.Config.from_dict(theme.config(), validate=True)


@every_chart
def test_every_family_has_its_colour(name, drawn):
    _, parts = drawn(name)
    colours, shapes = (
        {family: each[family] for family in FAMILIES} for each in (theme.COLOURS, theme.SHAPES)
    )
    found = scales(parts["spec"], "color")
    assert found
    for scale in found:
        assert dict(zip(scale["domain"], scale["range"], strict=True)) == colours
    for scale in scales(parts["spec"], "shape"):
        assert dict(zip(scale["domain"], scale["range"], strict=True)) == shapes
    for family in FAMILIES:
        assert theme.COLOURS[family] in parts["svg"]
        assert f">{family}<" in parts["svg"]  # in the legend


@every_chart
@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_keeps_its_colour_when_alone(name, family, both):
    records = [each for each in both if each.spec.model.family == family]
    spec = draw(name, records).chart.to_dict()
    for scale in scales(spec, "color"):
        assert (scale["domain"], scale["range"]) == ([family], [theme.COLOURS[family]])


def test_the_colours_and_shapes_are_told_apart():
    assert theme.COLOURS.keys() == theme.SHAPES.keys() == words.NAMES.keys()
    for look in (theme.COLOURS, theme.SHAPES):
        plain, residual = (
            {look[name] for name, family in families.FAMILIES.items() if family.style == style}
            for style in ("plain", "residual")
        )
        assert len(plain) == len(residual) == 1
        assert plain != residual
    assert theme.COLOURS.keys() == set(RECIPE)


@every_chart
def test_a_chart_asks_no_other_host(name, drawn):
    _, parts = drawn(name)
    spec = {**parts["spec"]}
    assert spec.pop("$schema").startswith("https://vega.github.io/schema/vega-lite/")
    assert "//" not in json.dumps(spec)
    # A drawing names its XML namespaces, which nobody fetches.
    svg = re.sub(r'xmlns(:\w+)?="[^"]*"', "", parts["svg"])
    assert svg.startswith("<svg")
    assert "<script" not in svg and "//" not in svg
    assert not re.search(r'(href|src)="(?!#)', svg)
    assert "@import" not in svg and "url(" not in svg.replace("url(#", "")


@every_chart
def test_the_text_alternative_names_families_and_means(name, drawn):
    figure, parts = drawn(name)
    assert all(re.search(rf"\b{family}\b.* \d", figure.alt) for family in FAMILIES)
    assert "nan" not in figure.alt
    assert parts["spec"]["description"] == parts["alt"] == figure.alt


@every_chart
def test_the_csv_holds_the_means_with_their_n(name, drawn):
    figure, parts = drawn(name)
    header, *rows = parts["csv"].splitlines()
    assert header.split(",")[0] == "family"
    assert header.split(",")[-5:] == ["mean", "half_width", "low", "high", "n"]
    assert len(rows) == len(figure.data)
    assert set(figure.data["n"]) == {3}


@every_chart
def test_one_seed_is_shown_without_interval(name, both):
    figure = draw(name, [each for each in both if each.spec.seed == 0])
    assert figure.data[["half_width", "low", "high"]].isna().all(axis=None)
    assert set(figure.data["n"]) == {1}
    parts = figure.parts()
    assert "mean over 1 seed" in figure.alt or name == "loss_curves"
    assert all(row["low"] is None for row in shown(parts["spec"]))
    assert parts["svg"].startswith("<svg") and "NaN" not in parts["svg"]


@every_chart
def test_the_same_records_give_the_same_files(name, both, drawn):
    """Else the published files change with each build, or with the charts made before."""
    assert draw(name, both).parts() == drawn(name)[1]


# What each shows


def test_accuracy_by_depth_is_in_percent_and_without_the_sweep(drawn):
    figure, parts = drawn("accuracy_by_depth")
    table = figure.data.set_index(["family", "depth"])
    assert table["mean"].to_dict() == pytest.approx(
        {("MLP", 2): 81, ("MLP", 8): 71, ("ResidualMLP", 2): 84, ("ResidualMLP", 8): 74}
    )
    # Three values 1 point apart: s = 1, times t = 4.303, over sqrt(3).
    assert set(table["half_width"].round(3)) == {2.484}
    assert table["low"]["MLP", 2] == pytest.approx(81 - 2.484, abs=0.001)
    assert "test accuracy (%)" in json.dumps(parts["spec"])
    assert "MLP from 81.00 % at 2 to 71.00 % at 8" in figure.alt
    assert "ResidualMLP from 84.00 % at 2 to 74.00 % at 8" in figure.alt
    assert figure.alt.endswith("mean over 3 seeds.")


def test_the_rows_in_a_chart_are_those_in_its_file(drawn):
    figure, parts = drawn("accuracy_by_depth")
    for row, point in zip(figure.data.to_dict("records"), shown(parts["spec"]), strict=True):
        for column in ("mean", "half_width", "low", "high"):
            assert point[column] == pytest.approx(row[column], rel=1e-5)
        assert (point["family"], point["depth"], point["n"]) == (row["family"], row["depth"], 3)


def test_accuracy_by_parameters_is_in_percent(both, drawn):
    figure, _ = drawn("accuracy_by_parameters")
    assert [*figure.data["mean"].round(6)] == [81, 71, 84, 74]
    counts = {record.spec.model.depth: record.parameters for record in both}
    assert [*figure.data["parameters"]] == [counts[2], counts[8]] * 2
    assert f"81.00 % at {counts[2]:g}" in figure.alt


def test_the_sweep_shows_validation_accuracy_of_the_swept_depths(experiment):
    cells = {
        ("MLP", 2): [0.9] * 3,
        ("MLP", 8): [0.8] * 3,
        ("MLP", 8, 0.003): [0.7] * 3,
    }
    validation = {("MLP", 8): [0.55] * 3, ("MLP", 8, 0.003): [0.65] * 3}
    figure = charts.learning_rate_sweep(frames.runs(experiment(cells, validation)))
    assert set(figure.data["depth"]) == {8}
    assert dict(zip(figure.data["learning_rate"], figure.data["mean"], strict=True)) == (
        pytest.approx({0.001: 55, 0.003: 65})
    )
    assert "MLP from 55.00 % at 0.001 to 65.00 % at 0.003" in figure.alt


def test_a_sweep_of_nothing_is_a_sentence(experiment):
    frame = frames.runs(experiment({("MLP", 2): [0.9] * 3, ("MLP", 8): [0.8] * 3}))
    assert charts.learning_rate_sweep(frame) is verdicts.NOT_SWEPT


@pytest.mark.parametrize("name", sorted(CHARTS.keys() - {"learning_rate_sweep"}))
def test_no_runs_at_other_rates_are_averaged_in(name, both, drawn):
    """A sweep's runs are as many again; a mean over both would be one of two configurations."""
    without_sweep = [each for each in both if each.spec.training.learning_rate == 0.001]
    assert drawn(name)[0].data.equals(draw(name, without_sweep).data)


# The loss curves


def test_loss_curves_have_a_mean_per_family_depth_split_and_epoch(drawn):
    table = drawn("loss_curves")[0].data
    assert len(table) == 2 * 2 * 2 * 3
    assert set(table["split"]) == {"training", "validation"}
    own = table[(table["family"] == "MLP") & (table["depth"] == 2)]
    for split, losses in (("training", [1.5, 0.8, 0.4]), ("validation", [1.4, 0.9, 0.5])):
        assert [*own[own["split"] == split]["mean"]] == pytest.approx(losses)


def test_loss_curves_say_where_the_training_loss_ends(drawn):
    alt = drawn("loss_curves")[0].alt
    assert "MLP 2: 0.4" in alt and "ResidualMLP 8: 0.4" in alt


def test_a_mean_goes_as_far_as_all_seeds_went(trained):
    """Beyond that it would be one of other runs, and jump where the first of them ended."""
    records = [trained(seed=seed, length=length) for seed, length in enumerate((5, 3, 9))]
    table = charts.loss_curves(frames.history(records)).data
    assert set(table["epoch"]) == {1, 2, 3}
    assert set(table["n"]) == {3}


def test_each_family_and_depth_goes_as_far_as_its_own_seeds(trained):
    records = [trained("MLP", 2, seed, length=4) for seed in range(3)]
    records += [trained("MLP", 8, seed, length=2) for seed in range(3)]
    table = charts.loss_curves(frames.history(records)).data
    assert table.groupby("depth")["epoch"].max().to_dict() == {2: 4, 8: 2}


def test_a_diverged_run_ends_the_mean_and_not_the_chart(trained):
    records = [trained(seed=seed) for seed in range(3)]
    records.append(trained(seed=3, stopped="diverged"))
    figure = charts.loss_curves(frames.history(records))
    assert set(figure.data["n"]) == {4}
    assert figure.data["epoch"].max() == 2
    assert figure.data["mean"].notna().all()


def test_loss_curves_without_validation_show_the_training_alone(experiment):
    records = experiment({("MLP", 2): [0.9] * 3, ("MLP", 8): [0.8] * 3}, validation_size=0)
    figure = charts.loss_curves(frames.history(records))
    assert set(figure.data["split"]) == {"training"}


def test_an_interval_on_a_logarithmic_axis_stays_above_zero(trained):
    losses = [0.001, 0.5, 0.002]
    records = [trained(seed=seed, train_loss=loss) for seed, loss in enumerate(losses)]
    figure = charts.loss_curves(frames.history(records))
    (drawn,) = figure.parts()["spec"]["datasets"].values()
    assert 0 < min(row["low"] for row in drawn) < min(row["mean"] for row in drawn)
    assert figure.data["low"].min() < 0  # what a reader takes away is not cut off
    last = figure.data[(figure.data["split"] == "training") & (figure.data["epoch"] == 3)]
    assert last["half_width"].item() > last["mean"].item()


def test_an_interval_is_cut_off_below_the_curves_of_its_own_panel(experiment):
    losses = {("MLP", 2): [1e-6, 2e-6, 3e-6], ("MLP", 8): [0.001, 0.5, 0.002]}
    records = experiment({cell: [0.9] * 3 for cell in losses}, train_loss=losses)
    (drawn,) = charts.loss_curves(frames.history(records)).parts()["spec"]["datasets"].values()
    deep = [row for row in drawn if row["depth"] == 8]
    assert min(row["low"] for row in deep) > min(row["mean"] for row in deep) / 3 > 1e-3


def test_a_configuration_that_always_diverged_is_named_without_nan(experiment, trained):
    records = experiment({("MLP", 2): [0.9] * 3})
    records += [trained("MLP", 8, seed, stopped="diverged") for seed in range(3)]
    figure = charts.accuracy_by_depth(frames.runs(records))
    assert "nan" not in figure.alt
    assert math.isnan(figure.data.set_index("depth")["mean"].astype(float)[8])
    assert "NaN" not in figure.parts()["svg"]


def test_every_chart_of_runs_names_its_data_set(make_record):
    """Above all where the images were re-encoded: such a chart is passed on without its page."""
    records = [
        make_record("SimpleCNN", depth, seed, dataset="cifar10-jpeg")
        for depth in (2, 3)
        for seed in range(3)
    ]
    runs, history = frames.runs(records), frames.history(records)
    for figure in (
        charts.loss_curves(history),
        charts.accuracy_by_depth(runs),
        charts.accuracy_by_parameters(runs),
    ):
        assert figure.chart.to_dict()["title"] == "CIFAR-10 (JPEG copy)"
    assert '"stages"' in charts.accuracy_by_depth(runs).chart.to_json()


@pytest.mark.parametrize("name", [name for name in CHARTS if name != "loss_curves"])
def test_a_point_leads_to_the_runs_of_its_configuration(both, name):
    figure = draw(name, both)
    (rows,) = figure.parts()["spec"]["datasets"].values()
    led = {(row["family"], row["depth"], row.get("learning_rate", 0.001)): row["runs"]
           for row in rows}  # fmt: skip
    expected = {
        (r.spec.model.family, r.spec.model.depth, r.spec.training.learning_rate): (
            f"#runs-{frames.group_of(r)}"
        )
        for r in both
    }
    assert led.items() <= expected.items() and led
    assert "runs" not in figure.data.columns


def test_a_point_of_several_configurations_leads_nowhere(both, experiment):
    other = experiment({("MLP", 2): [0.5] * 3}, width=32)
    (rows,) = draw("accuracy_by_depth", both + other).parts()["spec"]["datasets"].values()
    led = {(row["family"], row["depth"]): row["runs"] for row in rows}
    assert led["MLP", 2] == "" and led["MLP", 8].startswith("#runs-")


def test_all_families_in_one_chart_are_told_apart_by_colour_and_shape():
    names = list(families.FAMILIES)
    scales = [
        marked.to_dict()["scale"]
        for marked in (theme.family_colour(names), theme.family_shape(names))
    ]
    assert all(scale["domain"] == names for scale in scales)
    looks = list(zip(*(scale["range"] for scale in scales), strict=True))
    assert len(set(looks)) == len(names) > 6


def test_families_of_one_kind_keep_their_shapes():
    names = ["MLP", "ResidualMLP"]
    assert theme.family_shape(names).to_dict()["scale"]["range"] == ["circle", "square"]


def test_each_line_has_its_name_at_its_end_clear_of_the_others(experiment):
    records = experiment(
        {
            ("MLP", 2): [0.90, 0.91, 0.92],
            ("MLP", 8): [0.95, 0.95, 0.95],
            ("ResidualMLP", 2): [0.80, 0.81, 0.82],
            ("ResidualMLP", 8): [0.951, 0.951, 0.951],
        }
    )
    parts = draw("accuracy_by_depth", records).parts()
    (rows,) = parts["spec"]["datasets"].values()
    named = {row["family"]: row for row in rows if row["position"] is not None}
    assert {row["depth"] for row in named.values()} == {8}
    reached = max(row["high"] for row in rows) - min(row["low"] for row in rows)
    apart = named["ResidualMLP"]["position"] - named["MLP"]["position"]
    assert apart == pytest.approx(reached * 17 / 300, rel=1e-3)
    for name in named:
        assert parts["svg"].count(f">{name}<") == 2  # in the legend too
    alone = draw("accuracy_by_depth", [r for r in records if r.spec.model.family == "MLP"])
    assert alone.parts()["svg"].count(">MLP<") == 1
