"""WCAG 2.1 AA as far as axe-core can tell, light and dark, with everything unfolded.

Colours and contents are the same at every width, so that every page is looked at wide; what a
narrow screen changes is the frame, which all pages of a kind share.
"""

import pytest
from reader import KINDS, NARROW, WIDE

pytestmark = [pytest.mark.slow, pytest.mark.preview(*KINDS)]

LEVEL = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]},
    "resultTypes": ["violations"],
}


@pytest.fixture
def violations():
    """Finds what axe-core objects to on a page, in words."""
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright",
        reason="axe-playwright-python is not installed: pip install -e '.[dev]'",
    ).Axe()

    def find(page):
        found = axe.run(page, options=LEVEL).response
        assert len(found["passes"]) > 5  # it did look
        return [
            f"{rule['id']}: {node['target']} {node['failureSummary']}"
            for rule in found["violations"]
            for node in rule["nodes"]
        ]

    return find


#: Unfolds everything; of a long table some rows, since those that follow are like them.
UNFOLD = """
() => {
  document.querySelectorAll('details').forEach(each => each.open = true);
  document.querySelectorAll('.lab1-data tbody tr:nth-child(n+4)').forEach(row => row.hidden = true);
}
"""
FOLD = """
() => {
  document.querySelectorAll('article details, .lab1-data, .code-fold').forEach(
    each => each.open = false);
  document.querySelectorAll('.lab1-data tbody tr').forEach(row => row.hidden = false);
}
"""


@pytest.mark.width(WIDE)
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_no_violation(seen, violations, dark):
    check(seen, violations, dark)


@pytest.mark.pages(*KINDS)
@pytest.mark.width(NARROW)
def test_axe_finds_no_violation_on_a_narrow_screen(seen, violations):
    check(seen, violations, dark=False)


def check(seen, violations, dark):
    """Unfolds a page, looks, and leaves it as it was."""
    seen.wear(dark=dark)
    seen.page.evaluate(UNFOLD)
    try:
        assert violations(seen.page) == []
    finally:
        seen.page.evaluate(FOLD)
        seen.wear(dark=False)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_no_violation_where_there_is_no_page(site, read, violations, dark):
    assert violations(read("404.html", dark=dark).page) == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_no_violation_where_runs_are_picked(read, violations, dark):
    page = read("runs.html", dark=dark).page
    page.locator("td input").last.check()
    page.locator(".lab1-live svg").wait_for()
    assert violations(page) == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_no_violation_where_a_digit_is_drawn(read, violations, dark):
    page = read("try-it.html", dark=dark).page
    page.locator(".lab1-draw").scroll_into_view_if_needed()
    page.locator(".lab1-field > canvas").click()
    page.locator(".lab1-likeliest").first.wait_for()
    assert violations(page) == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_no_violation_where_a_reader_predicts(read, violations, dark):
    page = read("report/1_2.html#predict", dark=dark).page
    page.locator("[name='0 1']").fill("98")
    assert violations(page) == []
    page.get_by_role("button", name="Show the truth").click()
    assert violations(page) == []


def test_axe_would_find_one(read, violations):
    """A picture without an alternative and pale text are found, so the silence above says much."""
    reader = read("404.html")
    reader.page.evaluate(
        "document.querySelector('main').insertAdjacentHTML('beforeend', "
        '\'<img src="data:,"><p style="color:#bbb;background:#fff">pale</p>\')'
    )
    found = " ".join(violations(reader.page))
    assert "image-alt" in found and "color-contrast" in found


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_theme_is_the_systems(read, dark):
    page = read("report/1_1.html", dark=dark).page
    colours = page.evaluate(
        "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
    )
    paper, ink = (sum(map(int, colour.strip("rgb()").split(", "))) for colour in colours)
    assert (paper < ink) == dark
