import re
from dataclasses import replace

import pytest
from distilled import study

from lab1.reporting.kit import frames
from lab1.reporting.pages.runs import fragment


@pytest.fixture
def records(experiment):
    """Two configurations of two and three seeds."""
    return experiment({("MLP", 2): [0.9, 0.8], ("ResidualMLP", 8): [0.9, 0.8, 0.7]})


def shown(records, published=(), shown_on=None, profile="report"):
    return fragment(records, profile=profile, published=set(published), shown_on=shown_on or {})


def section(text, record):
    """What stands of a record's configuration."""
    anchor = f'id="runs-{frames.group_of(record)}"'
    (found,) = (each for each in re.findall(r"<section.*?</section>", text, re.S) if anchor in each)
    return found


def test_there_is_a_section_per_configuration_below_a_heading_per_kind(records):
    text = shown(records)
    assert re.findall(r"^## (.*)$", text, re.M) == [
        "Plain MLP on built-in grey patterns",
        "Residual MLP on built-in grey patterns",
    ]
    assert text.count("<section") == text.count("```{=html}") == 2
    # Markdown ends a raw block at the fence alone, so no line of the HTML may be one.
    assert text.count("```") == 4


def test_a_section_names_its_configuration_and_all_of_its_seeds(records):
    own = section(shown(records), records[2])
    leads, title = re.search(r'<h3 data-anchor-id="(.*)">(.*)</h3>', own).groups()
    assert title == (
        "ResidualMLP, 8 layers, width 16, built-in grey patterns, 3 epochs, learning rate 0.001"
    )
    assert f'<section class="lab1-run" id="{leads}">' in own
    for record in records:
        assert (record.key in own) == (record.spec.model.family == "ResidualMLP")
    assert '<td class="number">70.00</td>' in own


def test_a_section_says_where_its_runs_come_from(records):
    own = section(shown(records), records[0])
    for words in (
        "family MLP, depth 2, width 16",
        "epochs 3, batch size 128, learning rate 0.001",
        f"{records[0].parameters:,} parameters",
        f"built in, fingerprint {records[0].origin['data_fingerprint'][:16]}",
        "a processor, 1 thread",
        "torch 2.11.0, Python 3.11.0",
        "0123456789<",
    ):
        assert words in own


def test_a_section_says_when_its_runs_began_and_where_that_is_unknown(records):
    # An older record names the times of its last process alone.
    resumed = replace(records[1], seconds=3600.0)
    own = section(shown([records[0], resumed, *records[2:]]), records[0])
    assert "<dt>Trained</dt><dd>2026-01-01 / start unknown</dd>" in own


def test_the_commit_of_every_process_is_named(records, segmented):
    own = section(shown([segmented(records[0], commit="f" * 40), *records[1:]]), records[0])
    assert "<dt>Commit</dt><dd>0123456789 / ffffffffff</dd>" in own


def test_the_commands_train_these_runs_again(records):
    on = {record.key: ("1_1", "1_2") for record in records[:2]}
    on |= {record.key: ("1_2-narrow",) for record in records[2:]}
    text = shown(records, shown_on=on, profile="smoke")
    first, second = section(text, records[0]), section(text, records[2])
    assert f"<code>python -m lab1 verify {records[0].key} --retrain</code>" in first
    assert "<code>python -m lab1 run 1_1 --profile smoke</code>" in first
    assert '<a href="report/1_1.html">1.1</a>, <a href="report/1_2.html">1.2</a>' in first
    assert "<code>python -m lab1 run 1_2 --profile smoke</code>" in second
    assert "--profile" not in section(shown(records), records[0])  # on no page: the key alone


def test_each_run_and_all_of_a_configuration_lead_to_their_curves(records):
    own = section(shown(records), records[0])
    first, second = (record.key for record in records[:2])
    assert re.findall(r'href="compare.html#runs=([^"]*)"', own) == [
        first,
        second,
        f"{first},{second}",
    ]


def test_published_records_are_linked_and_others_are_named(records):
    text = shown(records, published=[records[0].key])
    links = re.findall(r'href="(results/[^"]*)"', text)
    assert links == [f"results/{records[0].name}.json"]
    assert f"<code>{records[1].key}</code>" in text


def test_each_seed_has_a_curve(records, trained):
    assert section(shown(records), records[2]).count("<polyline") == 3
    own = section(shown([trained(accuracy=0.9)]), trained())
    assert "Validation accuracy by epoch, a line per seed: from 70.0 to 90.0 %" in own
    # Three epochs across, the best at the top and the worst at the bottom.
    (points,) = re.findall(r'points="([^"]*)"', own)
    assert points == "2.0,58.0 110.0,30.0 218.0,2.0"


def test_without_validation_the_curve_is_that_of_the_training_images(trained):
    assert "Training accuracy by epoch" in shown([trained(validation_size=0)])


def test_a_run_of_one_epoch_and_one_that_diverged_are_shown(trained):
    assert "<polyline" in shown([trained(length=1)])
    text = shown([trained(stopped="diverged")])
    assert "<td>diverged</td>" in text and "nan" not in text


def test_a_record_of_unknown_origin_is_shown(records):
    assert "fingerprint unknown" in shown([replace(records[0], origin={})])


def test_a_student_names_its_teacher(make_record):
    records = study(make_record, [(0.6, 0.7)])
    own = section(shown(records), records[-1])
    assert f"({records[0].key})" in own and "teacher of seed 0, T = 4, alpha = 0.9</h3>" in own
    assert "<dt>Teacher</dt>" not in section(shown(records), records[0])
