"""The whole site, built by Quarto from a copy of the project, with fabricated runs.

What a page loads, where its links lead and how it looks, tests/browser sees; here is what a browser
does not show.
"""

import json
import re
import shutil
from html import unescape

import pytest
from built_site import git
from elements import Elements
from fontTools.ttLib import TTFont
from shipped_chapters import read

from lab1.reporting import results_page

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("quarto") is None, reason="Quarto is not on the PATH"),
]


@pytest.fixture
def site(quarto_site):
    """The site of the profile `smoke`, rendered once."""
    return quarto_site


#: The elements that load something by themselves.
LOADING = ("script", "link", "img", "iframe", "source", "object", "embed", "video")

#: Some of the figures and tables of each chapter.
LABELS = {
    "1_1": "fig-depth fig-loss fig-sweep tbl-comparisons tbl-runs",
    "1_2": "fig-block fig-loss fig-depth fig-sweep tbl-runs",
    "1_3": "fig-block fig-networks fig-validation fig-confusion tbl-hardest tbl-runs",
    "2_2": "fig-networks fig-paired fig-unseen tbl-summary tbl-softened tbl-runs",
    "depth": "fig-block fig-networks fig-error fig-gradients tbl-errors tbl-precision tbl-runs",
    "results": "fig-time fig-rates fig-gradients fig-memory tbl-performance tbl-distillation",
    "speed": "fig-ratios tbl-speed",
}
CHAPTERS = tuple(LABELS)
REPORT = [f"report/{name}.html" for name in CHAPTERS]

#: Those that have runs of their own.
OF_RUNS = REPORT[:5]


def test_the_reference_loads_and_links_to_what_is_there(site):
    """Of its pages, which are made alike, a browser opens two."""
    pages = [page for page in site.pages() if page.parent.name == "reference"]
    assert len(pages) > 5
    for page in pages:
        elements = Elements(page.read_text())
        loads = elements.values(LOADING, "src", "href", "data", "srcset")
        for target in loads:
            assert not re.match(r"(?:[a-z]+:)?//", target), f"{page.name}: {target}"
        links = elements.values(("a",), "href")
        for link in [*loads, *(each for each in links if not re.match(r"[a-z]+:|#", each))]:
            if not link.startswith("data:"):
                target = page.parent / link.split("#")[0].split("?")[0]
                target = target / "index.html" if target.is_dir() else target
                assert target.exists(), f"{page.name}: {link}"


def test_no_style_sheet_loads_anything_from_another_host(site):
    sheets = [*site.root.glob("**/*.css")]
    assert sheets
    for sheet in sheets:
        text = sheet.read_text()
        assert not re.search(r"@import\s+(?:url\()?[\"']?(?:https?:)?//", text), sheet
        assert not re.search(r"url\(\s*[\"']?(?:https?:)?//", text), sheet


def test_maths_is_mathml(site):
    for name in OF_RUNS:
        text = site.text(name)
        assert "<math" in text
        assert not re.search("mathjax|katex", text, re.IGNORECASE)


def test_every_reference_is_resolved(site):
    for page in site.pages():
        text = page.read_text()
        assert "quarto-unresolved-ref" not in text and "?@" not in text
        assert not re.search(r"@(?:fig|tbl|eq|sec)-\w", re.sub(r"<script.*?</script>", "", text,
                                                              flags=re.DOTALL))  # fmt: skip
    assert not re.search("unable to resolve|not found", site.rendered.stderr, re.IGNORECASE)


def test_figures_and_tables_are_numbered_and_referred_to(site):
    for name, labels in LABELS.items():
        text = site.text(f"report/{name}.html")
        links = Elements(text).values(("a",), "href")
        for label in labels.split():
            assert f'id="{label}"' in text
            assert f"#{label}" in links
        kinds = {"fig": "Figure\xa01", "tbl": "Table\xa01"}
        first = {kinds[label.partition("-")[0]] for label in labels.split()}
        assert first <= set(re.findall(r"\w+\xa01\b", unescape(text)))


def test_every_row_leads_to_its_runs(site):
    """From the page of results at once, from a chapter by way of its own section of runs."""
    sections = set(re.findall(r'<tr id="(runs-\w+)"', site.text("runs.html")))
    led = {
        name: set(re.findall(r'"\.\./runs\.html#(runs-\w+)"', site.text(name))) for name in REPORT
    }
    for name in OF_RUNS:
        rows = set(re.findall(r'<tr [^>]*id="(runs-\w+)"', site.text(name)))
        assert led[name] == rows
        counts = set(re.findall(r'href="#(runs-\w+)"', site.text(name)))
        # The chapter on depth tells its runs at other peaks, and the deepest, in sentences alone.
        assert counts <= rows and len(rows - counts) == (5 if name == "report/depth.html" else 0)
    assert led["report/results.html"] < sections == set().union(*led.values())


def test_the_summaries_can_be_sorted_and_taken_away(site):
    text = site.text("report/results.html")
    assert text.count("lab1-table lab1-sortable") == 2
    assert text.count('src="assets/tables.js"') == 2
    names = re.findall(r'download="([^"]*)" href="data:text/csv', text)
    assert names == ["performance-summary.csv", "distillation-summary.csv"]


def test_the_search_knows_the_chapters(site):
    found = json.loads(site.text("search.json"))
    titles = " ".join(f"{each['title']} {each.get('section')}" for each in found)
    for name in CHAPTERS:
        assert re.match("# (.*)", read(name).cells[0].source)[1] in titles


def test_the_charts_are_on_the_pages(site):
    # No run of the profile has a patience, so none of its charts shows where one ran out.
    counts = (1, 3, 4, 8, 8, 5, 7, 1)
    for name, count in zip(["index.html", *REPORT], counts, strict=True):
        text = site.text(name)
        assert text.count('class="lab1-chart"') == count
        for kind in ("light", "dark"):
            # Small pictures of other pages' charts have one size alone.
            pictures = re.findall(rf'<picture class="lab1-{kind}">(<source.*?)</picture>', text)
            assert len(pictures) == count
            for address in re.findall(r'(?:src|srcset)="([^"]*)"', "".join(pictures)):
                assert ((site.root / name).parent / address).is_file()
        for spec in re.findall(r'class="lab1-spec">(.*?)</script>', text):
            assert json.loads(spec)["$schema"].endswith(".json")


def test_the_small_pictures_are_those_of_the_pages_they_lead_to(site):
    text = site.text("report/results.html")
    places = [place for part in results_page.CHARTS.values() for place in part]
    pages = [place for place in places if place[0] != "results"]
    for page, label in pages:
        assert f'href="{page}.html#{label}"' in text
        assert f'id="{label}"' in site.text(f"report/{page}.html")
    pictures = re.findall(r'src="(assets/figures/[^"]*)" alt="" loading', text)
    assert len(pictures) >= 2 * len(pages)
    assert all((site.root / "report" / picture).is_file() for picture in pictures)


def test_the_icon_font_has_the_icons_that_are_shown(site):
    folder = site.root / "site_libs" / "bootstrap"
    rules = (folder / "bootstrap-icons.css").read_text()
    shown = set()
    for path in site.root.glob("**/*.html"):
        shown |= set(re.findall(r'class="bi (bi-[\w-]+)"', path.read_text()))
    assert shown
    characters = {
        ord(character)
        for icon in shown
        for character in re.findall(rf'\.{icon}::before\s*{{\s*content: "(.)"', rules)
    }
    assert len(characters) == len(shown)
    font = folder / "bootstrap-icons.woff"
    assert characters <= set(TTFont(font).getBestCmap())
    assert font.stat().st_size < 20_000  # of 176 kB


def test_the_licences_of_all_that_quarto_ships_are_shipped(site):
    text = (site.root / "lab1" / "site" / "licenses" / "quarto.txt").read_text()
    shipped = [path.name for path in (site.root / "site_libs").rglob("*") if path.is_file()]
    assert shipped
    names = {re.sub("-[0-9a-f]{32}(?=[.])", "", name) for name in shipped}
    assert {name for name in names if name not in text} == set()


def test_the_front_page_answers_from_the_records(site):
    text = re.sub(r"<[^>]*>", "", site.text("index.html"))
    assert re.search(r"−3\.67\s+points\s+A plain network of 8 layers reads fewer", text)
    assert "{.fragment" not in text and ":::" not in text


def test_the_pages_are_of_the_profile(site):
    """The charts that are published are those of another one, and are not offered here."""
    for name in REPORT:
        assert "../figures/" not in site.text(name)
    for name in REPORT[:2]:
        assert "built-in grey patterns" in site.text(name)
    for name in ("1_3", "2_2", "depth"):
        assert "built-in colour patterns" in site.text(f"report/{name}.html")
    assert not (site.home / "figures").exists() or not any(
        path.name.startswith(("1_1", "1_2")) and "smoke" in path.read_text()
        for path in (site.home / "figures").iterdir()
    )


def test_building_leaves_the_repository_clean_and_writes_no_run_into_it(site):
    assert not (site.home / "runs").exists() and not (site.home / "data").exists()
    assert git(site.home, "status", "--porcelain") == ""


def test_publishing_again_executes_no_chapter_and_changes_nothing(site):
    """The step before Quarto's own: what Quarto is given, it typesets as before."""
    folders = ("report", "reference")
    files = [path for folder in folders for path in (site.home / folder).rglob("*")]
    before = {path: path.read_bytes() for path in files if path.is_file()}
    said = site.project.command("python", "-m", "lab1", "publish").stderr
    assert said.count("unchanged, from the cache") == len(REPORT)
    assert "executing" not in said and not re.search(r"training \d+ missing", said)
    assert {path: path.read_bytes() for path in before} == before
    assert git(site.home, "status", "--porcelain") == ""
