import csv
import io
import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

import pandas
import pytest
from built_site import ROOT
from distilled import several
from shipped_chapters import code

from lab1.reporting import comparison, frames, results_page, tables
from lab1.reporting.runs_page import RunsPage

CELLS = {("MLP", 2): [0.9, 0.8, 0.7], ("MLP", 8): [0.6, 0.5], ("ResidualMLP", 8): [0.9, 0.9, 0.9]}

SCRIPT = Path(tables.__file__).parents[1] / "site" / "tables.js"

PERCEPTRONS = {"family": {"MLP", "ResidualMLP"}, "depth": {2, 4, 8, 16, 32}}
PHOTOGRAPHS = {"family": {"SimpleCNN", "PlainCNN", "ResidualCNN"}, "depth": {2, 3, 4}}
BOTH_LOSSES = {"split": {"training", "validation"}}

#: What the chart of each item of the course's list must contain: columns, and values in them.
CONTENTS = {
    ("1_2", "fig-loss"): {**PERCEPTRONS, **BOTH_LOSSES, "epoch": {1, 20}},
    ("1_2", "fig-depth"): {**PERCEPTRONS, "outcome": {"test accuracy (%)"}, "low": set()},
    ("results", "fig-time"): {**PERCEPTRONS, "median": set(), "lower": set()},
    ("results", "fig-parameters"): {**PERCEPTRONS, "parameters": {118_282, 613_642}},
    ("1_3", "fig-validation"): {**PHOTOGRAPHS, "epoch": {1, 12}},
    ("1_3", "fig-loss"): {**PHOTOGRAPHS, **BOTH_LOSSES, "epoch": {1, 12}},
    ("1_3", "fig-accuracy"): {**PHOTOGRAPHS, "mean": set(), "low": set()},
    ("1_3", "fig-epochs"): {**PHOTOGRAPHS, "level": {40, 60}},
    ("2_2", "fig-paired"): {"student": {"alone", "with teacher"}, "seed": {0, 1, 2, 3, 4}},
    ("2_2", "fig-temperature"): {"value": {1, 2, 4, 8, 16}, "split": {"test"}},
    ("2_2", "fig-losses"): {
        "part": {"combined", "hard: cross-entropy with the labels"},
        "epoch": {1, 15},
    },
    ("2_2", "fig-size"): {"student": {"alone", "with teacher"}, "parameters": {47_255}},
    ("results", "fig-rates"): {
        "part": {"1.2", "1.3", "2.2", "depth"},
        "schedule": {"cosine", "one-cycle"},
        "step": {430, 8600},
        "rate": set(),
    },
    ("results", "fig-gradients"): {**PERCEPTRONS, "epoch": {1, 20}},
    ("results", "fig-stopping"): {"network": set(), "best_epoch": {1}, "epochs": {11, 19}},
    ("results", "fig-memory"): {
        "part": {"1.2", "1.3", "2.2", "depth"},
        "model": {"MLP 32", "SimpleCNN 4", "ResidualCNN 4", "PlainNet 56"},
        "parameters": {2.455},  # 613,642 of 4 bytes
        "gradients": {2.455},
        "optimiser state": {4.909},
        "activations": set(),
        "measured": {823.585},
    },
}


def test_the_list_has_sixteen_charts():
    places = [place for part in results_page.CHARTS.values() for place in part]
    assert places == [*CONTENTS] and len(places) == 16


@pytest.mark.parametrize(("page", "label"), CONTENTS)
def test_a_chart_of_the_list_is_there_with_its_data(page, label):
    labelled = any(f"#| label: {label}\n" in cell.source for cell in code(page))
    assert labelled, f"chapters/{page}.ipynb has no {label}; see results_page.CHARTS"
    data = pandas.read_csv(ROOT / "figures" / f"{page}-{label.removeprefix('fig-')}.csv")
    for column, values in CONTENTS[page, label].items():
        assert values <= {*data[column]}
        assert data[column].notna().any()


@pytest.mark.slow
def test_the_published_tables_are_those_of_the_course():
    names = {}
    parameters, opening, *others = (cell.source for cell in code("results"))
    exec(f"{parameters}\n{opening}", names)
    made = [eval(source, names) for source in others
            if "#| label: tbl-" in source and "findings" not in source]  # fmt: skip
    performance, distillation = (table.frame for table in made)
    assert {"Model", "Dataset", "Params", "Test accuracy", "Train time"} <= {*performance}
    assert {"Model", "Params", "Test accuracy", "Improvement"} <= {*distillation}
    expected = [
        *(f"{name}, {n} layers" for name in ("MLP", "ResidualMLP") for n in (2, 4, 8, 16, 32)),
        *(f"{name}, {n} stages" for name in sorted(PHOTOGRAPHS["family"]) for n in (2, 3, 4)),
        *(f"{name}, {n} layers" for name in ("PlainNet", "ResNet") for n in (20, 56)),
    ]
    assert [*performance["Model"]] == expected
    assert not performance[["Params", "Test accuracy", "Train time"]].isna().any(axis=None)
    assert [*distillation["Params"]] == [503_258, 47_255, 47_255]
    assert distillation["Improvement"].notna().tolist() == [False, False, True]


def test_the_performance_summary_says_device_data_and_where_the_runs_are(experiment):
    records = experiment({**CELLS, ("MLP", 8, 0.01): [0.5] * 3})
    table = results_page.performance(frames.runs([]), frames.runs(records))
    assert [*table.frame.columns] == [
        "Model", "Dataset", "Params", "Test accuracy", "95% half-width", "Train time", "n",
        "Timed on",
    ]  # fmt: skip
    assert "Dataset: built-in grey patterns; " in table.markup
    assert "Timed on: a processor, 1 thread.</p>" in table.markup
    # Every row leads to its runs alone on the page of runs; those of the sweep are left out.
    rows = RunsPage(records, set(), {}).groups.values()
    led = re.findall(r'href="\.\./runs\.html#runs=([^"]*)"', table.markup)
    assert {*led} < {",".join(run.key for run in runs) for runs in rows} and len(led) == 3


def test_the_distillation_summary_has_the_teacher_and_its_student_twice(make_record):
    pairs = [(0.6, 0.7), (0.6, 0.72), (0.6, 0.74)]
    runs = frames.runs(several(make_record, [(pairs, {}), (pairs, {"channels": 5})]))
    main = results_page.main_experiment(runs)
    frame = results_page.distillation(main).frame
    assert [*frame["Model"]] == [
        "ResidualCNN, teacher", "SimpleCNN, student, alone", "SimpleCNN, student, with the teacher",
    ]  # fmt: skip
    assert frame["Improvement"].fillna(0).tolist() == [0, 0, 12]
    led = re.findall(r'href="../runs.html#runs=([^"]*)"', results_page.distillation(main).markup)
    assert sorted(",".join(led).split(",")) == sorted(main["key"])


def test_a_table_offers_its_plain_numbers_as_a_file(experiment):
    table = results_page.performance(frames.runs(experiment(CELLS)))
    ((name, address),) = re.findall(
        r'<a download="([^"]*)" href="data:text/csv[^,]*,([^"]*)"', table.markup
    )
    assert name == "performance-summary.csv"
    assert unquote(address) == table.to_csv()
    rows = [*csv.DictReader(io.StringIO(table.to_csv()))]
    assert [row["Test accuracy"] for row in rows] == ["80.0", "55.0", "90.0"]


def test_where_there_are_no_runs_a_sentence_says_so():
    runs, history = frames.runs([]), frames.history([])
    assert results_page.main_experiment(runs).empty
    for shown in (
        results_page.performance(runs), results_page.distillation(runs),
        results_page.training_time(runs),
        results_page.learning_rates({"1.2": runs}, history), results_page.gradient_norms(history),
        results_page.early_stopping(runs), results_page.memory({"1.2": runs}),
        comparison.accuracy_by_parameters(runs),
    ):  # fmt: skip
        assert "run" in shown._repr_markdown_()
    assert results_page.stopping(runs) == dict.fromkeys(["patient", "ended", "saved", "allowed"], 0)


class Chapter:
    """What the small pictures need of an open chapter."""

    def __init__(self, published):
        self.published, self.pages = published, {"key": ("1_2", "1_2-other")}


@pytest.mark.parametrize("published", [True, False])
def test_a_small_picture_leads_to_its_chart(published):
    shown = results_page.thumbnails("perceptrons", Chapter(published))
    wide = "../figures" if published else "assets/figures"
    for label, name in (("loss", "for each depth (1.2)"), ("depth", "Test accuracy by depth")):
        assert f'<a href="1_2.html#fig-{label}">' in shown.markup and name in shown.markup
        assert f'src="{wide}/1_2-{label}.svg" alt=""' in shown.markup
        assert f'src="assets/figures/1_2-{label}.dark.svg" alt=""' in shown.markup
    assert shown.markup.count("<a ") == shown.links.count('<a href="1_2.ipynb">') == 2


def test_of_chapters_that_are_not_there_no_picture_is_shown():
    assert "<a " not in results_page.thumbnails("distillation", Chapter(True)).markup


def on(record, name, seconds):
    device = {**record.origin["device"], "name": name}
    return replace(record, origin={**record.origin, "device": device}, seconds=seconds)


def test_a_time_is_that_of_one_kind_of_device(experiment):
    records = experiment({("MLP", 2): [0.9] * 3, ("MLP", 4): [0.9] * 3})
    times = [10, 11, 12, 20, 21, 999]
    devices = ["CPU"] * 5 + ["GPU"]
    timed = [on(*each) for each in zip(records, devices, times, strict=True)]
    figure = results_page.training_time(frames.runs(timed))
    assert figure.data["median"].tolist() == [11, 20.5]
    assert "on CPU, 1 thread" in figure.alt
    table = results_page.performance(frames.runs(timed)).frame
    assert table["Timed on"].tolist() == ["CPU, 1 thread", "CPU, 1 thread (2 of 3 runs)"]


def test_the_gradients_of_a_sweep_are_left_out(experiment):
    records = experiment(
        {("MLP", 2): [0.9] * 3, ("MLP", 8): [0.9] * 3, ("MLP", 8, 0.01): [0.5] * 3}
    )
    figure = results_page.gradient_norms(frames.history(records))
    assert set(figure.data["n"]) == {3} and "MLP 8: " in figure.alt


def test_a_course_of_the_learning_rate_stands_once_and_at_its_steps(trained):
    records = [trained(seed=seed) for seed in range(2)]
    figure = results_page.learning_rates({"1.2": frames.runs(records)}, frames.history(records))
    spec = records[0].spec
    steps = -(-spec.training_images // spec.training.batch_size)
    assert figure.data["step"].tolist() == [steps, 2 * steps, 3 * steps]
    assert figure.data["rate"].tolist() == records[0].history["learning_rate"]


def stopped(trained, seed, epochs, best, **settings):
    """A run of ten epochs at most, stopped after some, with a patience of two."""
    settings = {"epochs": 10, "patience": 2, **settings}
    record = trained(seed=seed, length=epochs, **settings)
    reason = "early stopping" if epochs < 10 else "all epochs"
    return replace(record, stopped=reason, best_epoch=best)


def test_the_runs_that_early_stopping_ended_are_shown_and_counted(trained):
    """Two runs that were stopped early, one that was not, and one without a patience."""
    ended = [stopped(trained, seed, *epochs) for seed, epochs in enumerate([(4, 2), (6, 4)])]
    runs = frames.runs([*ended, stopped(trained, 2, 10, 9), trained(seed=3)])
    figure = results_page.early_stopping(runs)
    columns = ["run", "best_epoch", "epochs"]
    assert figure.data[columns].values.tolist() == [["seed 0", 2, 4], ["seed 1", 4, 6]]
    # Six epochs and four, of three times ten.
    counts = {"patient": 3, "ended": 2, "saved": 10, "allowed": 30}
    assert results_page.stopping(runs) == counts
    figure.parts()


def test_memory_stands_in_parts_beside_what_a_gpu_measured(experiment):
    records = experiment({("MLP", 2): [0.9] * 2, ("MLP", 4): [0.9]})
    gpu = {**records[0].origin["device"], "kind": "cuda"}
    records[0] = replace(records[0], origin={**records[0].origin, "device": gpu})
    figure = results_page.memory({"1.2": frames.runs(records)})
    assert figure.data["model"].tolist() == ["MLP 2", "MLP 4"]
    assert figure.data["measured"].notna().tolist() == [True, False]
    layer = figure.parts()["spec"]["spec"]["layer"][0]["encoding"]
    assert layer["color"]["scale"]["domain"] == [
        "parameters", "gradients", "optimiser state", "activations"
    ]  # fmt: skip


SORT = """
globalThis.window = {};
globalThis.document = { readyState: "complete", querySelectorAll: () => [] };
require(process.argv[1]);
const { compare, value } = window.lab1Tables;
const [texts, numeric, descending] = JSON.parse(process.argv[2]);
const rows = texts.map((text) => [value({ textContent: text }, numeric), text]);
rows.sort(([first], [second]) => compare(first, second, descending));
console.log(JSON.stringify(rows.map(([, text]) => text)));
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="Node.js is not on the PATH")
@pytest.mark.parametrize(
    ("texts", "numeric", "descending", "expected"),
    [
        (["98.21 ± 0.10", "9.5", "diverged", "1,024"], True, False,
         ["9.5", "98.21 ± 0.10", "1,024", "diverged"]),
        (["98.21 ± 0.10", "9.5", "diverged", "1,024"], True, True,
         ["1,024", "98.21 ± 0.10", "9.5", "diverged"]),
        (["+0.42 ± 0.1", "-1.5", "", "0"], True, False, ["-1.5", "0", "+0.42 ± 0.1", ""]),
        (["ResNet", "MLP", "PlainNet"], False, False, ["MLP", "PlainNet", "ResNet"]),
        (["ResNet", "MLP", "PlainNet"], False, True, ["ResNet", "PlainNet", "MLP"]),
    ],
)  # fmt: skip
def test_numbers_are_sorted_as_numbers_and_gaps_stand_last(texts, numeric, descending, expected):
    asked = json.dumps([texts, numeric, descending])
    command = ["node", "-e", SORT, str(SCRIPT), asked]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(result.stdout) == expected
