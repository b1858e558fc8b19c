"""The menu: each page in the part that its front matter names, in the order of the pages."""

import pytest
import yaml

from lab1.errors import PublishError
from lab1.planning.profiles import Page
from lab1.site import menu
from lab1.site.run_it import Shown

SETTINGS = """\
site-menu:
  - href: index.qmd
    text: Overview
  - part: "Two"
  - part: "One"
    contents: [{href: runs.qmd, text: Runs}]
  - part: "Empty"
  - part: "Developers"
    contents: [{section: Reference, contents: "reference/*.qmd"}]
"""


def shown(name, part, order):
    return Shown(Page(name, name.split("-")[0], "report", {}), f"On {name}", [], "", order, part)


def written(tmp_path, pages, settings=SETTINGS):
    (tmp_path / "_quarto.yml").write_text(settings)
    menu.write(tmp_path, tmp_path / "report", pages)
    return yaml.safe_load((tmp_path / "report" / "menu.yml").read_text())["website"]["sidebar"]


def test_pages_stand_in_their_parts_and_an_empty_part_is_left_out(tmp_path):
    pages = [shown("1_1", "One", 1), shown("2_2", "Two", 2), shown("1_3-narrow", "One", 3.5)]
    assert written(tmp_path, pages)["contents"] == [
        {"href": "index.qmd", "text": "Overview"},
        {"section": "Two", "contents": [{"href": "report/2_2.ipynb", "text": "On 2_2"}]},
        {
            "section": "One",
            "contents": [
                {"href": "report/1_1.ipynb", "text": "On 1_1"},
                {"href": "report/1_3-narrow.ipynb", "text": "On 1_3-narrow"},
                {"href": "runs.qmd", "text": "Runs"},
            ],
        },
        {
            "section": "Developers",
            "contents": [{"section": "Reference", "contents": "reference/*.qmd"}],
        },
    ]


@pytest.mark.parametrize("part", ["", "Three"])
def test_a_page_that_no_reader_would_find_is_refused(tmp_path, part):
    (tmp_path / "_quarto.yml").write_text(SETTINGS)
    menu.expect_part(tmp_path, shown("1_1", "One", 1))
    with pytest.raises(
        PublishError, match=rf"1_1\.ipynb: part = '{part}' is not allowed.*Two, One"
    ):
        menu.expect_part(tmp_path, shown("1_1", part, 1))


def test_without_a_site_there_is_no_menu(tmp_path):
    menu.expect_part(tmp_path, shown("1_1", "Nowhere", 1))
    menu.write(tmp_path, tmp_path / "report", [shown("1_1", "Nowhere", 1)])
    assert not (tmp_path / "report").exists()
