import pytest
from benchmark_records import depths_record

from lab1.reporting.degradation import charts as degradation
from lab1.reporting.kit import frames, literature, timings

CIFAR = {"dataset": "cifar10-jpeg", "train_evaluation_size": 500}


@pytest.fixture
def both(experiment):
    """Twins of 20 and 56 layers, three seeds each; the training error is not the test error."""
    accuracies = {
        ("PlainNet", 20): [0.78, 0.79, 0.80],
        ("PlainNet", 56): [0.70, 0.71, 0.72],
        ("ResNet", 20): [0.81, 0.82, 0.83],
        ("ResNet", 56): [0.84, 0.85, 0.86],
    }
    fit = {cell: [each + 0.05 for each in values] for cell, values in accuracies.items()}
    return experiment(accuracies, fit=fit, **CIFAR)


@pytest.fixture
def layers(both):
    """As the probe ``layers`` gives them, for a network of three layers."""
    probe = {
        "names": ["stem.0", "blocks.0.conv1", "output"],
        "initial": {"gradient_norm": [0.1, 0.2, 0.3], "response": [1.0, 1.0, 0.5]},
        "trained": {"gradient_norm": [0.4, 0.5, 0.6], "response": [0.7, 0.8, 9.0]},
    }
    return frames.layers([(record, probe) for record in both])


def by(table, *columns):
    return table.set_index([*columns])["mean"]


def test_the_curves_are_of_training_and_validation_error(both):
    table = degradation.error_curves(frames.history(both)).data
    means = by(table, "family", "depth", "split", "epoch")
    assert means["PlainNet", 56, "training", 3] == pytest.approx(24)
    assert means["PlainNet", 56, "validation", 3] == pytest.approx(29)
    assert means["ResNet", 20, "validation", 1] == pytest.approx(38)
    assert set(table["n"]) == {3}


def test_a_deeper_network_has_the_thicker_line(both):
    svg = degradation.error_curves(frames.history(both)).parts()["svg"]
    for width in ("1.2", "3.8"):  # of each family in both panels
        assert svg.count(f'stroke-width="{width}"') == 2 * 2
    assert "from thin to thick: 20, 56 layers" in svg


def test_the_end_is_shown_beside_the_papers_values(both):
    table = degradation.error_by_depth(frames.runs(both)).data
    ours = by(table[table["source"] == "this laboratory"], "family", "depth", "split")
    assert ours["PlainNet", 56, "training"] == pytest.approx(24)
    assert ours["PlainNet", 56, "test"] == pytest.approx(29)
    papers = table[table["source"] == "He et al. (2016)"]
    assert dict(zip(papers["depth"], papers["mean"], strict=True)) == literature.RESNET_ERROR
    assert set(papers["split"]) == {"test"} and papers["n"].isna().all()


def test_the_papers_values_do_not_stand_beside_other_data(experiment):
    runs = frames.runs(experiment({("ResNet", 20): [0.8] * 3}, train_evaluation_size=250))
    table = degradation.error_by_depth(runs).data
    assert set(table["source"]) == {"this laboratory"}
    assert degradation.errors(runs).frame["Paper's test error"].isna().all()


def test_the_papers_values_are_those_of_its_table():
    """He et al. (2016), Table 6; its text gives ResNet-20 as 91.25 % right."""
    assert literature.RESNET_ERROR[20] == pytest.approx(100 - 91.25)
    errors = literature.resnet_errors().sort_values("depth")["error"]
    assert errors.is_monotonic_decreasing


def test_the_table_of_errors(both):
    table = degradation.errors(frames.runs(both))
    row = table.frame.set_index(["Model", "Layers"]).loc[("ResNet", 56)]
    assert row["Training error"] == pytest.approx(10)
    assert row["Test error"] == pytest.approx(15)
    assert (row["n"], row["Paper's test error"]) == (3, 6.97)
    assert "15.00 ± 2.48" in table.markup and "6.97" in table.markup
    plain = table.frame[table.frame["Model"] == "PlainNet"]
    assert plain["Paper's test error"].isna().all()
    groups = set(frames.runs(both)["group"])
    assert all(f'href="#runs-{group}"' in table.markup for group in groups)


def test_an_unknown_error_is_called_so(experiment):
    runs = frames.runs(experiment({("ResNet", 20): [0.8]}, dataset="cifar10-jpeg"))
    assert "unknown" in degradation.errors(runs).markup


def test_signals_are_shown_layer_by_layer(layers):
    means = by(degradation.gradient_norms(layers).data, "family", "depth", "state", "layer")
    assert means["PlainNet", 20, "at the start", 3] == pytest.approx(0.3)
    assert means["ResNet", 56, "after training", 1] == pytest.approx(0.4)


def test_the_logits_are_no_response(layers):
    table = degradation.responses(layers).data
    assert set(table["layer"]) == {1, 2} and table["mean"].max() == 1.0


def test_cost_is_in_the_units_that_its_panels_name(both):
    for record in both:
        record.history["seconds"][:] = [30.0, 20.0, 10.0]
    table = degradation.cost_by_depth(frames.runs(both)).data
    means = by(table, "family", "depth", "cost")
    assert means["ResNet", 56, "seconds per epoch"] == 20
    assert means["ResNet", 56, "million FLOPs per image"] == both[-1].flops / 1e6
    assert means["ResNet", 56, "peak memory (MiB)"] == pytest.approx(3e8 / 2**20)


@pytest.fixture
def timed():
    """A record of ``bench --depths`` of three rounds; the last was twice as slow for everyone."""
    seconds = {
        ("PlainNet", 20): 1.0, ("ResNet", 20): 1.1, ("PlainNet", 32): 2.0, ("PlainNet", 56): 3.0,
        ("ResNet", 56): 3.6,
    }  # fmt: skip
    return depths_record({name: [each, each, 2 * each] for name, each in seconds.items()})


def test_the_time_that_depth_takes_is_a_benchmarks(both, timed):
    """Seconds of runs of different days do not compare."""
    runs = frames.runs(both)
    times = timings.times(runs, {"cpu": timed})
    assert set(times["depth"]) == {20, 56}  # those that the page shows
    figure = degradation.cost_by_depth(runs, times)
    means = by(figure.data, "family", "depth", "cost")
    assert means["ResNet", 56, "ms per training image"] == pytest.approx((3.6 + 3.6 + 7.2) / 3)
    assert "seconds per epoch" not in set(figure.data["cost"])
    assert "million FLOPs per image" in set(figure.data["cost"])


def test_benchmarks_have_panels_of_their_own(both, timed):
    runs = frames.runs(both)
    other = {**timed, "hardware": {**timed["hardware"], "name": "a GPU", "kind": "cuda"}}
    times = timings.times(runs, {"cpu": timed, "gpu": other, "again": timed})
    costs = set(degradation.cost_by_depth(runs, times).data["cost"])
    # Two of one machine are told apart by their names.
    machines = ("AMD EPYC, 2 cores (cpu)", "a GPU", "AMD EPYC, 2 cores (again)")
    assert {f"ms per training image, {each}" for each in machines} < costs


def test_times_for_images_of_another_shape_are_left_out(experiment, timed):
    records = experiment({("PlainNet", 20): [0.5]}, dataset="smoke-grey")
    runs = frames.runs(records)
    times = timings.times(runs, {"cpu": timed})
    assert times.empty
    assert "seconds per epoch" in set(degradation.cost_by_depth(runs, times).data["cost"])


CHARTS = {
    "error_curves": frames.history,
    "error_by_depth": frames.runs,
    "cost_by_depth": frames.runs,
    "gradient_norms": None,
    "responses": None,
}


@pytest.mark.parametrize("name", CHARTS)
def test_charts_are_valid_and_name_their_data(name, both, layers):
    figure = getattr(degradation, name)(CHARTS[name](both) if CHARTS[name] else layers)
    spec = figure.chart.to_dict(validate=True)
    assert spec["title"] == "CIFAR-10 (JPEG copy)"
    assert "CIFAR-10 (JPEG copy)" in figure.alt and "object at 0x" not in str(spec)
    svg = figure.parts()["svg"]
    assert ">PlainNet<" in svg and ">ResNet<" in svg


def test_our_points_lead_to_their_runs_and_the_papers_nowhere(experiment):
    evaluated = {"dataset": "cifar10-jpeg", "train_evaluation_size": 100}
    records = experiment({("ResNet", 20): [0.9] * 3}, **evaluated)
    figure = degradation.error_by_depth(frames.runs(records))
    (rows,) = figure.parts()["spec"]["datasets"].values()
    led = {(row["source"], row["split"]): row["runs"] for row in rows if row["depth"] == 20}
    assert led["this laboratory", "test"] == f"#runs-{frames.group_of(records[0])}"
    assert led["He et al. (2016)", "test"] == ""
