"""The frame of pages: menu, head, foot."""

import json
from xml.etree import ElementTree

import nbformat
import pytest
import yaml
from built_site import git

from lab1.core import weights_file
from lab1.errors import PublishError
from lab1.planning.profiles import Page, pages
from lab1.site.frame import (
    PublishedPage,
    add_frame,
    citation_head,
    expect_part,
    site_foot,
    write_feed,
    write_menu,
)

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

PAGE = Page("1_1", "1_1", "report", {})


def published(name, part, order):
    return PublishedPage(
        Page(name, name.split("-")[0], "report", {}), f"On {name}", [], "", order, part
    )


def test_pages_stand_in_their_parts_and_an_empty_part_is_left_out(tmp_path):
    pages = [
        published("1_1", "One", 1),
        published("2_2", "Two", 2),
        published("1_3-narrow", "One", 3.5),
    ]
    (tmp_path / "_quarto.yml").write_text(SETTINGS)
    write_menu(tmp_path, tmp_path / "report", pages)
    menu = yaml.safe_load((tmp_path / "report" / "menu.yml").read_text())["website"]["sidebar"]
    assert menu["contents"] == [
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


def test_programs_that_cite_are_told_what_the_citation_file_says(tmp_path):
    (tmp_path / "CITATION.cff").write_text(
        "{title: 'A & </script>', abstract: Of depth., authors: [{name: B}], version: 1.0.0,"
        " license: MIT, keywords: [depth]}"
    )
    (tmp_path / "_quarto.yml").write_text("website: {site-url: 'https://example.org/a/'}")
    head = citation_head(tmp_path)
    assert '<meta name="citation_title" content="A &amp; &lt;/script&gt;">' in head
    assert '<meta name="citation_author" content="B">' in head
    assert '<meta name="citation_public_url" content="https://example.org/a">' in head
    data = json.loads(head.partition('ld+json">')[2].removesuffix("</script>"))
    assert head.count("</script>") == 1 and data["name"] == "A & </script>"
    assert data["url"] == "https://example.org/a"


def test_claims_that_changed_are_a_feed_newest_first_and_a_changed_text_is_new(
    tmp_path, monkeypatch
):
    git(tmp_path, "init", "--quiet")
    log, ids = tmp_path / "CHANGELOG.md", []
    for year, first in ((2020, "It **rose**"), (2021, "It **fell** & rose")):
        log.write_text(
            f"- no claim\n\n### Published claims that changed\n\nWhat.\n\n- {first},\n  once.\n"
            "- Later.\n\n## 1.0\n\n- no claim\n"
        )
        monkeypatch.setenv("GIT_COMMITTER_DATE", f"{year}-01-02T00:00:00Z")
        git(tmp_path, "add", "--all")
        git(tmp_path, "commit", "--quiet", "--message", "A claim")
        write_feed(tmp_path, tmp_path)
        feed = ElementTree.parse(tmp_path / "assets" / "changes.xml")
        ids.append([each.text for each in feed.iterfind(".//{*}entry/{*}id")])
    texts = [each.text for each in feed.iterfind(".//{*}entry/{*}content")]
    assert texts == ["It fell & rose, once.", "Later."]
    dates = [each.text[:10] for each in feed.iterfind(".//{*}updated")]
    assert dates == ["2021-01-02", "2021-01-02", "2020-01-02"]
    assert ids[0][1] == ids[1][1] and ids[0][0] != ids[1][0]


@pytest.mark.parametrize("part", ["", "Three"])
def test_a_page_that_no_reader_would_find_is_refused(tmp_path, part):
    (tmp_path / "_quarto.yml").write_text(SETTINGS)
    expect_part(tmp_path, PAGE, "One")
    with pytest.raises(
        PublishError, match=rf"1_1\.ipynb: part = '{part}' is not allowed.*Two, One"
    ):
        expect_part(tmp_path, PAGE, part)


def test_without_a_site_there_is_no_menu(tmp_path):
    expect_part(tmp_path, PAGE, "Nowhere")
    write_menu(tmp_path, tmp_path / "report", [published("1_1", "Nowhere", 1)])
    assert not (tmp_path / "report").exists()


STATED = "lab1 0.1.0"


def test_the_foot_names_the_commit_of_the_project_and_no_other(tmp_path):
    assert site_foot(tmp_path, STATED) == STATED  # no repository
    git(tmp_path, "init", "--quiet")
    (tmp_path / "_quarto.yml").write_text("website: {}\n")
    git(tmp_path, "add", "--all")
    assert site_foot(tmp_path, STATED) == STATED  # no commit yet
    git(tmp_path, "commit", "--quiet", "--message", "The project")
    short = git(tmp_path, "log", "-1", "--format=%h").strip()
    assert site_foot(tmp_path, STATED).startswith(f"{STATED}, commit {short} of 20")
    # A copy that the repository around it does not know is of none of its commits.
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "_quarto.yml").write_text("website: {}\n")
    assert site_foot(tmp_path / "copy", STATED) == STATED


def test_the_head_shows_what_was_found_before_the_code_that_found_it(store, tmp_path):
    new = nbformat.v4
    shown = [new.new_output("display_data", {"text/markdown": "It hurts."})]
    cells = [
        new.new_raw_cell("---"),
        new.new_code_cell("parameters"),
        new.new_code_cell("answer", outputs=shown),
        new.new_code_cell("chart", outputs=shown),
        new.new_markdown_cell("## The question"),
        new.new_code_cell("later"),
        new.new_markdown_cell("## References"),
    ]
    page = pages("report")[0]
    framed_cells = add_frame(new.new_notebook(cells=cells), page, [], store, tmp_path).cells
    sources = [cell.source for cell in framed_cells]
    assert sources[:4] == ["---", "answer", "chart", "parameters"]
    assert "Some 1 minute to read" in sources[4] and "Source of this page" in sources[7]
    assert sources[5:7] == ["## The question", "later"] and sources[8] == "## References"


def test_the_head_offers_published_weights_and_where_to_open_the_chapter(
    store, make_record, tmp_path
):
    records = [make_record(seed=seed) for seed in range(3)]
    new = nbformat.v4
    texts = [new.new_markdown_cell(text) for text in ("Text.", "More.", "References")]
    notebook = new.new_notebook(cells=[new.new_raw_cell("---"), *texts])

    def head():
        page = pages("report")[0]
        return add_frame(notebook, page, records, store, tmp_path).cells[1].source

    assert "Weights" not in head() and "Colab" not in head()
    address = "website: {repo-url: 'https://github.com/a/b'}"
    (tmp_path / "_quarto.yml").write_text(address, encoding="utf-8")
    colab = "colab.research.google.com/github/a/b/blob/notebooks/notebooks/1_1.ipynb"
    assert f"[in Colab](https://{colab}), [in Codespaces](https://codespaces.new/a/b)." in head()
    for record in records[1:]:
        path = weights_file.published(record.spec, store)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    links = [
        f"[{record.key[:8]}](../results/{record.spec.name}.safetensors)"
        f'{{download="{record.spec.name}.safetensors"}}'
        for record in records[1:]
    ]
    assert f"Weights of the runs {', '.join(links)}, for `lab1.load_run`." in head()
