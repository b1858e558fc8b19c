"""The field to draw a digit in: what it says and loads, from the published records."""

import html
import json
import re

import pytest
from stores import published_students

from lab1.reporting import draw_a_digit
from lab1.reporting.claims import Prose


@pytest.fixture(scope="module")
def students():
    return published_students()


def test_the_field_names_two_twins_and_what_each_logit_is_raised_by(students):
    markup = draw_a_digit.field(*students, "assets").markup
    data = json.loads(html.unescape(re.search(r'data-drawing="([^"]*)"', markup)[1]))
    records = {record.key: record.spec for record, _ in students[0]}
    alone, taught = (records[each["key"]] for each in data["networks"])
    assert alone.distillation is None and taught.distillation is not None
    assert alone.seed == taught.seed and alone.training == taught.training
    offsets = {record.key: probe["offset"] for record, probe in students[1]}
    assert [each["offset"] for each in data["networks"]] == [
        offsets[each["key"]] for each in data["networks"]
    ]
    assert (data["dataset"], data["side"], data["omitted"]) == ("mnist", 28, 3)


def test_the_table_has_the_measured_rates_and_what_rounding_changes(students):
    rounded, corrected = students
    table = draw_a_digit.table(rounded, corrected)
    corrections = {record.key: probe for record, probe in corrected}
    by_teacher = {r.spec.distillation is not None: (corrections[r.key], p) for r, p in rounded}
    for row, (correction, probe) in zip(
        table.frame.to_dict("records"), (by_teacher[False], by_teacher[True]), strict=True
    ):
        missed, images = correction["errors_of_class"], correction["count_of_class"]
        assert row["Recognised (%)"] == pytest.approx(100 * (images - missed["before"]) / images)
        assert row["Recognised then (%)"] == pytest.approx(
            100 * (images - missed["after"]) / images
        )
        assert (row["Errors"], row["Errors in eight bits"]) == (
            probe["errors"]["float32"],
            probe["errors"]["int8"],
        )
        assert f"{row['Errors in eight bits']:,}" in table.markup


def test_the_scripts_hold_the_weights_and_the_test_images(students):
    rounded = {record.key: probe for record, probe in students[0]}
    scripts = draw_a_digit.scripts(rounded, ["mnist", "smoke-grey"])
    assert {*scripts} == {f"network-{key}.js" for key in rounded} | {"test-images-mnist.js"}
    for key, probe in rounded.items():
        script = scripts[f"network-{key}.js"]
        assert json.loads(script.partition(" = ")[2].rstrip(";\n")) == probe["layers"]


def test_for_images_that_cannot_be_drawn_there_is_no_field(students):
    rounded, corrected = students
    colour = [
        (record, {**probe, "layers": [{**probe["layers"][0], "shape": [800, 3 * 28 * 28]}]})
        for record, probe in rounded
    ]
    shown = draw_a_digit.field(colour, corrected, "assets")
    assert isinstance(shown, Prose) and "grey and square" in str(shown)


def test_without_two_such_students_it_says_so(students):
    rounded, corrected = students
    for some in (rounded[:1], rounded[1:], []):
        field = draw_a_digit.field(some, corrected, "assets")
        for shown in (field, draw_a_digit.table(some, corrected)):
            assert isinstance(shown, Prose) and "No two students" in str(shown)
    assert isinstance(draw_a_digit.field(rounded, [], "assets"), Prose)
