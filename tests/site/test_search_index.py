"""The index of Quarto's search: chapters come before the reference of the modules."""

import json

from lab1.site.search import chapters_first

#: As Quarto writes it: an entry for each section of each page.
ENTRIES = [
    {"href": "reference/reporting.html#a", "section": "lab1.reporting.degradation", "text": "a"},
    {"href": "report/depth.html", "section": "", "text": "degradation"},
    {"href": "reference/index.html", "section": "", "text": "b"},
    {"href": "report/1_1.html#sec-method", "section": "Method", "text": "Größe"},
]


def test_chapters_come_first_and_names_of_modules_weigh_no_more_than_text(tmp_path):
    (tmp_path / "search.json").write_text(json.dumps(ENTRIES))
    assert chapters_first(tmp_path) == 4
    found = json.loads((tmp_path / "search.json").read_text(encoding="utf-8"))
    pages = ["report/depth", "report/1_1", "reference/reporting", "reference/index"]
    assert [each["href"].partition(".html")[0] for each in found] == pages
    assert [each["section"] for each in found] == ["", "Method", "", ""]
    assert sorted(each["text"] for each in found) == sorted(each["text"] for each in ENTRIES)


def test_a_site_without_a_search_stays_as_it_is(tmp_path):
    assert chapters_first(tmp_path) == 0 and not [*tmp_path.iterdir()]
