import csv
import io
import json
import re
import shutil
import subprocess
from pathlib import Path
from urllib.parse import unquote

import pytest
from distilled import study

from lab1.reporting.kit import frames, tables
from lab1.reporting.pages import runs as runs_page
from lab1.reporting.pages import summary as summaries

CELLS = {("MLP", 2): [0.9, 0.8, 0.7], ("MLP", 8): [0.6, 0.5], ("ResidualMLP", 8): [0.9, 0.9, 0.9]}

SCRIPT = Path(tables.__file__).parents[2] / "site" / "tables.js"


def downloaded(markup):
    """The file that a table offers."""
    ((name, address),) = re.findall(
        r'<a download="([^"]*)" href="data:text/csv[^,]*,([^"]*)"', markup
    )
    return name, unquote(address)


def test_the_performance_summary_says_device_data_and_where_the_runs_are(experiment):
    records = experiment(CELLS)
    table = summaries.performance(frames.runs(records))
    assert [*table.frame.columns] == [
        "Model", "Dataset", "Depth", "Learning rate", "Params", "Test accuracy", "95% half-width",
        "n", "Epochs", "Precision", "Train time", "Device", "Test loss", "Test loss half-width",
        "Augmentation", "Optimiser",
    ]  # fmt: skip
    assert "Dataset: built-in grey patterns; Epochs: 3; Precision: float32; " in table.markup
    assert "Device: a processor, 1 thread.</p>" in table.markup
    # Every row leads to a section of the page of runs.
    shown = runs_page.fragment(records, profile="report", published=set(), shown_on={})
    sections = set(re.findall(r'id="(runs-\w+)"', shown))
    assert set(re.findall(r'href="\.\./runs\.html#([^"]*)"', table.markup)) == sections
    assert len(sections) == 3


def test_the_distillation_summary_has_the_same_and_its_own_columns(make_record):
    runs = frames.runs(study(make_record, [(0.6, 0.7)] * 3))
    table = summaries.distillation(runs)
    assert [*table.frame.columns] == [
        "Model", "Role", "Dataset", "Params", "Temperature", "Alpha", "Epochs", "Precision",
        "Learning rate", "Test accuracy", "95% half-width", "n", "Improvement",
        "Improvement half-width",
        "Test loss", "Test loss half-width", "Change of test loss", "Change half-width", "Pairs",
        "Device",
    ]  # fmt: skip
    assert table.markup.count('href="../runs.html#runs-') == 3


def test_a_teacher_that_other_pages_train_too_stands_once_with_all_its_seeds(make_record):
    asked = study(make_record, [(0.6, 0.7)] * 3)
    more = [
        make_record("ResidualCNN", 4, seed, 0.9, "cifar10-jpeg", channels=16) for seed in (1, 2)
    ]
    runs = frames.runs([*asked, *more])
    networks, distilled = summaries.parted(runs, frames.runs(asked))
    shown = summaries.distillation(distilled).frame
    assert networks.empty
    assert shown[shown["Role"] == "teacher"]["n"].tolist() == [3]
    assert len(shown) == 3


def test_a_table_offers_its_plain_numbers_as_a_file(experiment):
    table = summaries.performance(frames.runs(experiment(CELLS)))
    name, content = downloaded(table.markup)
    assert name == "performance-summary.csv"
    assert content == table.to_csv()
    rows = [*csv.DictReader(io.StringIO(content))]
    assert [row["Test accuracy"] for row in rows] == ["80.0", "55.0", "90.0"]


def test_without_the_script_the_table_is_the_plain_one(experiment):
    runs = frames.runs(experiment(CELLS))
    plain = tables.performance(runs, runs_page=tables.RUNS_PAGE).markup
    first = summaries.performance(runs).markup.split("\n<p class")[0]
    assert first == plain.replace('"lab1-table"', '"lab1-table lab1-sortable"')
    assert "<button" not in plain


def test_where_there_are_no_runs_a_sentence_says_so():
    none = frames.runs([])
    for shown in (summaries.performance, summaries.distillation, summaries.accuracy,
                  summaries.coverage_verdict):  # fmt: skip
        assert shown(none) == summaries.NO_RUNS


def test_a_point_of_the_chart_leads_to_its_runs(experiment):
    records = experiment(CELLS) + experiment({("SimpleCNN", 2): [0.5]}, dataset="smoke-colour")
    figure = summaries.accuracy(frames.runs(records))
    spec = figure.parts()["spec"]
    (data,) = spec["datasets"].values()
    assert {row["runs"] for row in data} == {
        f"../runs.html#runs-{frames.group_of(record)}" for record in records
    }
    assert any(layer["encoding"].get("href") == {"field": "runs", "type": "nominal"}
               for layer in spec["spec"]["layer"])  # fmt: skip
    assert "runs" not in figure.data.columns
    assert "built-in colour patterns: SimpleCNN 2, 50.00 %" in figure.alt


def test_the_verdict_counts_what_may_carry_a_claim(experiment, trained):
    few = frames.runs(experiment(CELLS))
    assert "8 runs of 3 configurations. 1 of them have fewer" in str(
        summaries.coverage_verdict(few)
    )
    whole = experiment({("MLP", 2): [0.9] * 3})
    assert "Every configuration" in str(summaries.coverage_verdict(frames.runs(whole)))
    assert "No configuration" in str(summaries.coverage_verdict(frames.runs(whole[:2])))
    diverged = [*whole[:2], trained("MLP", 2, 2, stopped="diverged")]
    said = str(summaries.coverage_verdict(frames.runs(diverged)))
    assert "No configuration" in said and "1 runs diverged" in said


# What the script sorts by

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
