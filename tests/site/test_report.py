"""A reader's question as one HTML file: her runs beside the published ones, and nothing outside."""

import re
import shutil
from pathlib import Path

import nbformat
import pytest
from built_site import ROOT
from small_profiles import GRID, write_profile

from lab1.cli.main import main
from lab1.core.store import Store
from lab1.planning import profiles
from lab1.site import report

pytest.importorskip("pypandoc", reason="the page needs pandoc")

FURTHER = [{"name": "smooth", "activation": "gelu"}, {"name": "slow", "learning_rate": 0.0001}]
CELLS = [
    'profile = "report"\nwidth = None',
    'from lab1.chapter import open_chapter\nfrom lab1.reporting import comparison\n\n'
    'chapter = open_chapter("1_1", globals())\nruns = chapter.without_further(chapter.runs)',
    '#| label: fig-depth\n#| fig-cap: "Accuracy."\n\ncomparison.accuracy_by_depth(runs)',
    "#| echo: false\n\ncomparison.compare_values(chapter.compared, chapter.without_further)",
]  # fmt: skip


@pytest.fixture
def asked(laboratory, make_record):
    """A laboratory with the published runs, those of a question, and one of its further runs."""
    write_profile(laboratory, {"1_1": GRID | {"depth": [2, 4], "further": FURTHER}})
    shutil.copy(ROOT / "_quarto.yml", laboratory)
    shutil.copy(ROOT / "glossary.qmd", laboratory)
    shutil.copy(ROOT / "chapters" / "references.bib", laboratory / "chapters")
    new = nbformat.v4
    text = "## What it is\n\nAs [the chart](#fig-depth) and [a page](../glossary.qmd) say."
    cells = [new.new_markdown_cell("# One\n\nSmall.\n\n<!--\norder: 1\n-->")]
    cells += [new.new_code_cell(source) for source in CELLS] + [new.new_markdown_cell(text)]
    cells[1].metadata["tags"] = ["parameters"]
    nbformat.write(new.new_notebook(cells=cells), laboratory / "chapters" / "1_1.ipynb")
    store = Store()
    for width, accuracy in ((16, 0.8), (8, 0.7)):
        for depth in (2, 4):
            for seed in (0, 1, 2):
                changed = {"width": width}
                record = make_record("MLP", depth, seed, accuracy, **changed)
                store.write(record)
                store.write(make_record("MLP", depth, seed, 0.5, activation="gelu", **changed))
                if width == 16:
                    store.promote(record)
                    store.write(
                        make_record("MLP", depth, seed, 0.4, learning_rate=0.0001, **changed)
                    )
    return laboratory


@pytest.mark.slow
def test_a_question_is_one_file_with_yours_and_published(asked, capsys, monkeypatch):
    opened = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    monkeypatch.setattr(report, "can_be_opened", lambda: True)
    assert main(["report", "1_1", "-p", "width=8"]) == 0
    out = capsys.readouterr().out
    # What is not trained for the page's sweep is said, and what has its records stays.
    assert "left out, for they would be trained anew: slow;" in out
    assert "12 runs planned, 0 missing" in out
    path = Path(out.splitlines()[-1])
    assert path == asked / "report" / "1_1-width-8.html" and opened == [path.as_uri()]
    text, _, scripts = path.read_text().rpartition("<script>/*! ")
    assert "window.vegaEmbed=" in scripts and "window.lab1Charts = " in scripts
    specs = re.findall(r'class="lab1-spec">(.*?)</script>', text)
    assert [{"yours", "published"} <= {*re.findall(r'"(\w+)"', each)} for each in specs] == [
        False, False, True, True
    ]  # fmt: skip
    folded = text.partition("From the published runs")[2].partition("compare_values")[0]
    assert specs[1] in folded and "to 80.00 % at 4" in folded and "to 70.00 % at 4" not in folded
    names = re.findall(r' id="([^"]*)"', text)
    assert len(names) == len({*names})
    assert not re.findall(r'\b(?:src|href)="(?!#|data:|https://)[^"]*"', text)
    assert "<script src" not in text and "url(http" not in text
    assert "a page say" in text and '<a href="#fig-depth">the chart</a>' in text
    assert "<h1>One</h1>" in text and "Figure\u00a01: </span>Accuracy." in text
    assert 'for which the text was written: width 8. <a href="#compared">' in text
    rows = re.findall(r"<tr>(.*?)</tr>", text.partition('id="compared"')[2], re.DOTALL)
    told = [re.sub("<[^>]*>", " ", row).split() for row in rows]
    assert [("published" in row, "yours" in row) for row in told[-4:]] == [
        (True, False), (False, True), (True, False), (False, True)
    ]  # fmt: skip


def test_what_is_missing_is_said_and_a_dry_run_writes_nothing(asked, capsys):
    assert main(["report", "1_1", "-p", "width=4", "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "trained anew: smooth, slow;" in out and "6 runs planned, 6 missing" in out
    assert main(["report", "1_1", "-p", "width=4", "-p", "further=slow", "--dry-run"]) == 0
    assert "12 runs planned, 12 missing" in capsys.readouterr().out
    assert not (asked / "report").exists()


@pytest.mark.usefixtures("asked")
def test_published_runs_stand_beside_another_setting_alone():
    def beside(**asked):
        return profiles.page("1_1", "report", asked).beside

    assert [len(beside(width=8).plan()), beside(width=8).further_names] == [6, ()]
    assert beside(seeds="0,1") is not None and beside(width="8,16") is None and beside() is None
