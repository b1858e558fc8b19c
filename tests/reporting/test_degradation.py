import pytest
from benchmark_records import depths_record

from lab1.reporting import degradation, frames, speed
from lab1.reporting.selections import Selection

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


def test_the_curves_are_of_the_training_error_of_each_seed(both):
    figure = degradation.error_curves(frames.history(both))
    error = figure.data.set_index(["family", "depth", "seed", "epoch"])["error"]
    assert error["PlainNet", 56, 0, 3] == pytest.approx(25)
    assert error["ResNet", 20, 2, 3] == pytest.approx(12)
    assert "PlainNet 56: 24.00 %" in figure.alt
    svg = figure.parts()["svg"]
    ends = [svg.index(f">{name}<") for name in ("ResNet 56", "ResNet 20", "PlainNet 20")]
    assert len({*ends}) == 3 and ">PlainNet 56<" in svg


def test_without_a_training_error_there_are_no_curves_and_it_is_called_unknown(experiment):
    records = experiment({("ResNet", 20): [0.8]}, dataset="cifar10-jpeg")
    assert str(degradation.error_curves(frames.history(records))) == degradation.NOT_MEASURED
    assert "unknown" in degradation.errors(frames.runs(records)).markup


def test_the_test_error_stands_beside_that_of_papers(both):
    table = degradation.error_by_depth(frames.runs(both)).data
    ours = by(table[table["source"] == "this laboratory"], "family", "depth")
    assert ours["PlainNet", 56] == pytest.approx(29)
    papers = table[table["source"] != "this laboratory"].set_index(["family", "source"])
    for cell, reported in {
        ("ResNet", "He et al. (2016)"): degradation.RESNET_ERROR,
        ("PlainNet", "Li et al. (2018)"): degradation.PLAIN_ERROR,
    }.items():
        rows = papers.loc[[cell]]
        assert dict(zip(rows["depth"], rows["mean"], strict=True)) == reported
        assert rows["n"].isna().all()


def test_the_papers_values_do_not_stand_beside_other_data(experiment):
    runs = frames.runs(experiment({("ResNet", 20): [0.8] * 3}, train_evaluation_size=250))
    table = degradation.error_by_depth(runs).data
    assert set(table["source"]) == {"this laboratory"}
    assert degradation.errors(runs).frame["Paper's test error"].isna().all()


def test_the_papers_values_are_those_of_its_table():
    """He et al. (2016), Table 6; its text gives ResNet-20 as 91.25 % right."""
    assert degradation.RESNET_ERROR[20] == pytest.approx(100 - 91.25)
    errors = degradation.errors_of_papers().sort_values("depth").set_index("family")["error"]
    assert errors["ResNet"].is_monotonic_decreasing
    assert errors["PlainNet"].is_monotonic_increasing  # Li et al. (2018)


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


def test_the_cosines_are_those_of_the_runs_of_their_row(experiment):
    """Two devices may measure different ones."""
    cells = {("PlainNet", 20): [0.5] * 3}
    records = [
        record
        for precision in ("float32", "bf16")
        for record in experiment(cells, precision=precision, **CIFAR)
    ]
    probes = [(records[0], {"bf16": -0.19, "jittered": 1.0}),
              (records[3], {"bf16": 0.1, "jittered": 0.9})]  # fmt: skip
    table = degradation.precisions(frames.runs(records), probes)
    found = table.frame.set_index("Precision")["Cosine in bf16"]
    assert found.to_dict() == {"float32": -0.19, "bf16": 0.1}
    assert "\u22120.19" in table.markup


def test_arms_may_have_other_measurements_of_the_same_runs(both):
    runs = Selection(frames.runs(both)).at(family="PlainNet", depth=56)
    history = frames.history(both)
    ends = [
        degradation.at_epoch(runs, history, called).runs["train_error"].tolist()
        for called in ("two epochs earlier", "last epoch")
    ]
    fits = [record.history["train_evaluation_accuracy"] for record in both[3:6]]
    assert ends == [[1 - fit[0] for fit in fits], [1 - fit[2] for fit in fits]]
    probe = {"error": 0.3, "recomputed_error": 0.2}
    for called, error in (("running statistics", 0.3), ("fresh statistics", 0.2)):
        arm = degradation.with_statistics(runs, [(both[3], probe)], called)
        assert arm.runs["train_error"].tolist() == [error]


def test_signals_are_of_the_ends_and_the_stages(both):
    """Two layers a stage behind the first convolution; the logits count for nothing."""
    norms = [80.0, 8.0, 4.0, 2.0, 1.0, 1.0, 0.8, 99.0]
    probe = {
        "names": [*"abcdefg", "output"],
        "initial": {"gradient_norm": norms, "response": [1.0] * 8},
        "trained": {"gradient_norm": norms, "response": [0.2] * 6 + [0.9, 9.0]},
    }
    layers = frames.layers([(record, probe) for record in both])
    runs = Selection(frames.runs(both)).at(family="PlainNet", depth=20)

    def at(place):
        return degradation.at_layers(runs, layers, place).runs.iloc[0]

    assert at("first layer")["gradient_norm"] == 80
    assert at("first layer")["log_gradient_norm"] == pytest.approx(1.90309)
    assert at("last convolution")["gradient_norm"] == 0.8
    assert at("first stage")["gradient_growth"] == 2
    assert at("last stage")["gradient_growth"] == pytest.approx(1 / 0.8)
    assert at("after training")["response"] == pytest.approx(0.3)


def test_signals_are_shown_layer_by_layer(layers):
    means = by(degradation.gradient_norms(layers).data, "family", "depth", "state", "layer")
    assert means["PlainNet", 20, "at the start", 3] == pytest.approx(0.3)
    assert means["ResNet", 56, "after training", 1] == pytest.approx(0.4)
    table = degradation.responses(layers).data
    assert set(table["layer"]) == {1, 2} and table["mean"].max() == 1.0  # the logits are none


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
    runs = frames.runs(both).assign(flops=100)  # as timed
    times = speed.times(runs, {"cpu": timed})
    assert set(times["depth"]) == {20, 56}  # those that the page shows
    figure = degradation.cost_by_depth(runs, times)
    means = by(figure.data, "family", "depth", "cost")
    assert means["ResNet", 56, "ms per training image"] == pytest.approx((3.6 + 3.6 + 7.2) / 3)
    assert "seconds per epoch" not in set(figure.data["cost"])
    assert "million FLOPs per image" in set(figure.data["cost"])
    untimed = degradation.cost_by_depth(runs, times[:0])
    assert "seconds per epoch" in set(untimed.data["cost"])


def test_benchmarks_have_panels_of_their_own(both, timed):
    runs = frames.runs(both).assign(flops=100)  # as timed
    other = {**timed, "hardware": {**timed["hardware"], "name": "a GPU", "kind": "cuda"}}
    times = speed.times(runs, {"cpu": timed, "gpu": other, "again": timed})
    costs = set(degradation.cost_by_depth(runs, times).data["cost"])
    # Two of one machine are told apart by their names.
    machines = ("AMD EPYC, 2 cores (cpu)", "a GPU", "AMD EPYC, 2 cores (again)")
    assert {f"ms per training image, {each}" for each in machines} < costs


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
    for family in ("PlainNet", "ResNet"):
        assert family in figure.alt and family in str(spec["datasets"])


def test_our_points_lead_to_their_runs_and_the_papers_nowhere(experiment):
    evaluated = {"dataset": "cifar10-jpeg", "train_evaluation_size": 100}
    records = experiment({("ResNet", 20): [0.9] * 3}, **evaluated)
    figure = degradation.error_by_depth(frames.runs(records))
    (rows,) = figure.parts()["spec"]["datasets"].values()
    led = {row["source"]: row["runs"] for row in rows if row["depth"] == 20}
    assert led["this laboratory"] == f"#runs-{frames.group_of(records[0])}"
    assert led["He et al. (2016)"] == led["Li et al. (2018)"] == ""
