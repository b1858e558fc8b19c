import re
from dataclasses import replace

from distilled import study
from small_profiles import GRID, write_profile

from lab1 import chapter as chapters
from lab1.core.store import Store
from lab1.reporting import frames, tables
from lab1.reporting.provenance import runs_table


def links(markup):
    return re.findall(r'href="([^"]*)"', markup)


def test_a_count_leads_to_the_row_of_its_own_configuration(records):
    summary = tables.performance(frames.runs(records)).markup
    target = re.search(r'ResidualMLP</td>.*?href="#([^"]*)"', summary)[1]
    row = re.search(rf'<tr id="{target}">.*?</tr>', runs_table(records, set()).markup)[0]
    assert "<td>ResidualMLP</td>" in row
    for record in records:
        assert (record.key in row) == (record.spec.model.family == "ResidualMLP")


def test_published_records_are_linked_and_others_are_named(records):
    published = {records[0].key, records[3].key}
    table = runs_table(records, published)
    assert links(table.markup) == [
        f"../results/{record.name}.json" for record in records if record.key in published
    ]
    for record in records:
        assert f'title="{record.key}">{record.spec.seed}<' in table.markup


def test_where_all_runs_took_place_is_said_once(records):
    markup = runs_table(records, set()).markup
    said = re.search(r'<p class="lab1-common">(.*?)</p>', markup)[1]
    assert said == (
        "Runs: 5; configurations: 2. The same for all: Dataset: built-in grey patterns; "
        "Device: a processor, 1 thread; Versions: torch 2.11.0, Python 3.11.0; Commit: 0123456789."
    )
    assert markup.count("torch 2.11.0") == 1


def test_what_differs_is_a_column(records):
    origin = {**records[0].origin, "commit": "f" * 40}
    elsewhere = [replace(record, origin=origin) for record in records[:2]]
    markup = runs_table([*elsewhere, *records[2:]], set()).markup
    assert "Commit:" not in markup and '<th scope="col">Commit</th>' in markup
    assert markup.count("<td>ffffffffff</td>") == markup.count("<td>0123456789</td>") == 1


def test_the_rows_lie_in_a_fold_that_an_address_opens(records):
    markup = runs_table(records, set()).markup
    before, _, folded = markup.partition("<details>")
    assert '<tr id="' not in before and folded.count('<tr id="') == 2
    assert '<script src="assets/folds.js" defer></script>' in folded


def test_runs_from_several_places_name_them_all(records):
    origin = {**records[0].origin, "device": {"kind": "cuda", "name": "H100 <80>", "threads": 8}}
    markup = runs_table([replace(records[0], origin=origin), records[1]], set()).markup
    assert "H100 &lt;80&gt;, 8 threads / a processor, 1 thread" in markup
    assert "unknown" in runs_table([replace(records[0], origin={})], set()).markup


def test_what_model_and_depth_do_not_tell_apart_a_setting_does(records, make_record):
    assert "Setting" not in runs_table(records, set()).markup
    more = [make_record(seed=seed, epochs=30) for seed in (0, 1)]
    markup = runs_table([*records, *more], set()).markup
    rows = re.findall(r'<tr id="[^"]*">.*?</tr>', markup)
    assert [("<td>30 epochs</td>" in row, "<td>3 epochs</td>" in row) for row in rows] == [
        (False, True),
        (False, False),
        (True, False),
    ]
    assert "width" not in markup  # they share it


def test_twins_are_told_apart_by_their_teacher(make_record):
    markup = runs_table(study(make_record, [(0.7, 0.8)]), set()).markup
    rows = re.findall(r"<td>(ResidualCNN|SimpleCNN)</td>.*?<td>([^<]*)</td>", markup)
    assert rows == [("ResidualCNN", ""), ("SimpleCNN", ""), ("SimpleCNN", "teacher of seed 0")]


def test_the_frame_has_a_row_per_run(records):
    frame = runs_table(records, set()).frame
    assert [*frame["key"]] == [record.key for record in records]
    assert [*frame["group"]] == [frames.group_of(record) for record in records]
    assert set(frame["data_fingerprint"]) == {records[0].origin["data_fingerprint"]}


def test_a_seed_leads_to_its_run_on_the_site_or_else_to_its_record(laboratory, make_record):
    """One that only its reader has, of a question that the site does not ask, leads nowhere."""
    write_profile(laboratory, {"1_1": GRID | {"depth": [2], "seeds": [0, 1]}}, "mine")
    store = Store()
    published, own = (make_record(seed=seed) for seed in (0, 1))
    store.write(published)
    store.promote(published)
    store.write(own)
    page = chapters.open_chapter("1_1", {"profile": "mine"})
    assert [record.key for record in page.records] == [published.key, own.key]
    assert links(page.provenance().markup) == [
        f"../runs.html#runs-{frames.group_of(own)}",
        f"../runs.html#runs={published.key}",
        f"../runs.html#runs={own.key}",
    ]
    assert links(runs_table([published], {published.key}).markup) == [
        f"../results/{published.name}.json"
    ]
    # What she asks for beyond the profile is on no page of the site.
    store.write(make_record(seed=7))
    other = chapters.open_chapter("1_1", {"profile": "mine", "seeds": 7})
    assert links(other.provenance().markup) == []
