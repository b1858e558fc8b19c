import math
import re
from dataclasses import replace

import pytest

from lab1.errors import ParameterError
from lab1.reporting import frames, tables
from lab1.reporting.tables import Column

HEADER = (
    "Model,Dataset,Depth,Learning rate,Params,Test accuracy,95% half-width,n,Epochs,Precision,"
    "Train time,Device,Test loss,Test loss half-width,Augmentation,Optimiser"
)


@pytest.fixture
def table(runs):
    """The performance summary of a small experiment: two depths, one of them at two rates."""
    return tables.performance(
        runs(
            {
                ("ResidualMLP", 2): [0.9, 0.9, 0.9],
                ("MLP", 8): [0.70, 0.71, 0.72],
                ("MLP", 2): [0.812, 0.815, 0.818],
                ("MLP", 8, 0.003): [0.6, 0.7],
            }
        )
    )


def rows(markup):
    """The cells of each row as text."""
    body = markup.split("<tbody>", 1)[1]
    return [
        [re.sub(r"<[^>]*>", "", cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", row)]
        for row in re.findall(r"<tr[^>]*>(.*?)</tr>", body)
    ]


def test_one_row_per_configuration_in_order(table):
    identity = ["Model", "Depth", "Learning rate"]
    assert table.frame[identity].to_numpy().tolist() == [
        ["MLP", 2, 0.001],
        ["MLP", 8, 0.001],
        ["MLP", 8, 0.003],
        ["ResidualMLP", 2, 0.001],
    ]
    assert set(table.frame["Dataset"]) == {"built-in grey patterns"}


def test_means_in_percent_with_their_intervals(table):
    assert [*table.frame["Test accuracy"]] == pytest.approx([81.5, 71.0, 65.0, 90.0])
    # Values d apart: s = d, times t = 4.303, over sqrt(3); below three seeds there is none.
    assert [*table.frame["95% half-width"]] == pytest.approx(
        [0.745, 2.484, math.nan, 0.0], abs=0.001, nan_ok=True
    )
    assert [*table.frame["n"]] == [3, 3, 2, 3]
    assert [*table.frame["Train time"]] == pytest.approx([3.2] * 4, abs=0.06)


def test_the_csv_has_what_the_page_leaves_out(make_record):
    """The loss with its interval, in nats, and how a configuration was trained."""
    records = [make_record(seed=seed, precision="bf16", optimizer="sgd") for seed in range(3)]
    for record, loss in zip(records, (0.4, 0.5, 0.6), strict=True):
        record.test["loss"] = loss
    table = tables.performance(frames.runs(records))
    (row,) = table.frame.to_dict("records")
    assert (row["Test loss"], row["Test loss half-width"]) == pytest.approx((0.5, 0.2484))
    assert [row[name] for name in ("Precision", "Augmentation", "Optimiser")] == [
        "bf16", "none", "sgd",
    ]  # fmt: skip
    assert "sgd" not in table.markup and "Test loss" not in table.markup


def test_a_time_is_of_one_kind_of_device_which_is_named(trained):
    """Of that of most runs; times of several do not average."""
    records = [trained(seed=seed, seconds=seconds) for seed, seconds in enumerate((10, 20, 60))]
    device = {"kind": "cuda", "name": "a graphics processor"}
    records[0] = replace(records[0], origin={**records[0].origin, "device": device})
    (row,) = tables.performance(frames.runs(records)).frame.to_dict("records")
    assert (row["Train time"], row["n"], row["Params"]) == (40.0, 3, records[0].parameters)
    assert row["Device"] == "a processor, 1 thread (not in the time: a graphics processor)"


def test_the_csv_leaves_the_interval_of_two_seeds_empty(table):
    header, *_, line, _ = table.to_csv().splitlines()
    assert header == HEADER
    assert line.startswith("MLP,built-in grey patterns,8,0.003,")
    assert line.split(",")[5:8] == ["65.0", "", "2"]
    assert "\r" not in table.to_csv()


def test_the_page_shows_the_interval_where_there_is_one(table):
    shown = rows(table._repr_html_())
    # The result stands right after what names the row.
    assert shown[0][:3] == ["MLP", "2", "0.001"]
    assert [row[3] for row in shown] == ["81.50 ± 0.75", "71.00 ± 2.48", "65.00", "90.00 ± 0.00"]
    assert [row[4] for row in shown] == ["3", "3", "2", "3"]
    assert re.fullmatch(r"[\d,]+", shown[0][5])
    assert table.markup.count('<th scope="col"') == 6 and "Test accuracy (%)" in table.markup
    assert 'tabindex="0"' in table.markup  # it may scroll, and then by the keyboard too


def test_what_is_the_same_in_every_row_is_said_once(table, runs):
    assert (
        '<p class="lab1-common">The same in every row: Dataset: built-in grey patterns; Epochs: 3; '
        "Precision: float32; Train time (s): 3; Device: a processor, 1 thread.</p>" in table.markup
    )
    assert table.markup.count("built-in grey patterns") == 1
    assert set(table.frame["Dataset"]) == {"built-in grey patterns"}
    one = tables.performance(runs({("MLP", 2): [0.9]})).markup
    assert "every row" not in one and "<td>built-in grey patterns</td>" in one


def test_what_no_column_tells_a_setting_does(runs):
    equal = [tables.MODEL, tables.Column("Seed", "seed")]
    frame = runs({("MLP", 2): [0.9], ("MLP", 4): [0.8]})
    table = tables.table_of(frame, ["family", "depth"], equal)
    assert rows(table.markup) == [["2 layers"], ["4 layers"]]
    assert "every row: Model: MLP; Seed: 0.</p>" in table.markup
    assert [*table.frame["Setting"]] == ["2 layers", "4 layers"]
    told = tables.table_of(frame, ["family", "depth"], [*equal, tables.DEPTH])
    assert "Setting" not in told.markup and "Setting" not in told.frame


def test_a_column_tells_fields_that_there_are():
    with pytest.raises(
        ParameterError, match=r"column 'Width': tells = 'widht' .* width\b.*teacher"
    ):
        Column("Width", "width", tells=("widht",))


def test_diverged_runs_do_not_count(experiment, trained):
    records = experiment({("MLP", 2): [0.8, 0.9], ("MLP", 8): [0.7, 0.8, 0.9]})
    records += [trained("MLP", depth, 3, stopped="diverged") for depth in (2, 8, 16)]
    table = tables.performance(frames.runs(records))
    assert [*table.frame["n"]] == [2, 3, 0]
    accuracies = [*table.frame["Test accuracy"]]
    assert accuracies == pytest.approx([85.0, 80.0, math.nan], nan_ok=True)
    assert table.markup.count("±") == 1 and "nan" not in table.markup


def test_a_header_is_escaped_and_cells_are_not():
    markup = tables.markup(["a < b"], [["<td>&lt;</td>"]], ['row"1'.replace('"', "")])
    assert '<th scope="col">a &lt; b</th>' in markup
    assert '<tr id="row1"><td>&lt;</td></tr>' in markup


def test_a_network_that_was_changed_is_named_with_its_change(experiment):
    """Without it two rows would look the same and say something else."""
    records = [
        *experiment({("MLP", 8): [0.90, 0.91, 0.92]}),
        *experiment({("MLP", 8): [0.95, 0.96, 0.97]}, initialisation="identity"),
    ]
    table = tables.performance(frames.runs(records[::-1]))
    assert [*table.frame["Model"]] == ["MLP", "MLP, identity start"]
    assert [*table.frame["Test accuracy"]] == [91.0, 96.0]
