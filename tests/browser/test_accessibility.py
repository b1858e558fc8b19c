"""WCAG 2.1 AA as far as axe-core can tell, light and dark, with everything unfolded.

Colours and contents are the same at every width, so that every page is looked at wide; what a
narrow screen changes is the frame, which all pages of a kind share.
"""

import pytest
from reader import KINDS, NARROW, WIDE

pytestmark = [pytest.mark.slow, pytest.mark.preview(*KINDS)]

LEVEL = {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]}
#: What depends on the theme.
COLOURS = {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}


@pytest.fixture
def violations():
    """Finds what axe-core objects to on a page, in words: in the light; in the dark to colours."""
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright",
        reason="axe-playwright-python is not installed: pip install -e '.[dev]'",
    ).Axe()

    def look(page, rules):
        found = axe.run(page, options={"runOnly": rules, "resultTypes": ["violations"]}).response
        assert len(found["passes"]) > (0 if rules is COLOURS else 5)  # it did look
        return [
            f"{rule['id']}: {node['target']} {node['failureSummary']}"
            for rule in found["violations"]
            for node in rule["nodes"]
        ]

    def find(reader):
        light = look(reader.page, LEVEL)
        reader.wear(dark=True)
        dark = [f"dark: {each}" for each in look(reader.page, COLOURS)]
        reader.wear(dark=False)
        return light + dark

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
def test_axe_finds_no_violation(seen, violations):
    check(seen, violations)


@pytest.mark.pages(*KINDS)
@pytest.mark.width(NARROW)
def test_axe_finds_no_violation_on_a_narrow_screen(seen, violations):
    check(seen, violations)


def check(seen, violations):
    """Unfolds a page, looks, and leaves it as it was."""
    seen.page.evaluate(UNFOLD)
    try:
        assert violations(seen) == []
    finally:
        seen.page.evaluate(FOLD)
        seen.wear(dark=False)


def test_axe_finds_no_violation_where_there_is_no_page(site, read, violations):
    assert violations(read("404.html")) == []


def test_axe_finds_no_violation_where_runs_are_picked(read, violations):
    reader = read("runs.html")
    reader.page.locator("td input").last.check()
    reader.page.locator(".lab1-live svg").wait_for()
    assert violations(reader) == []


def test_axe_finds_no_violation_where_a_digit_is_drawn(read, violations):
    reader = read("try-it.html")
    reader.page.locator(".lab1-draw").scroll_into_view_if_needed()
    reader.page.locator(".lab1-field > canvas").click()
    reader.page.locator(".lab1-likeliest").first.wait_for()
    assert violations(reader) == []


def test_axe_finds_no_violation_where_a_reader_predicts(read, violations):
    reader = read("report/1_2.html#predict")
    reader.page.locator("[name='0 1']").fill("98")
    assert violations(reader) == []
    reader.page.get_by_role("button", name="Show the truth").click()
    assert violations(reader) == []


def test_axe_would_find_one(read, violations):
    """A picture without an alternative and pale text are found, so the silence above says much."""
    reader = read("404.html")
    reader.page.evaluate(
        "document.querySelector('main').insertAdjacentHTML('beforeend', "
        '\'<img src="data:,"><p style="color:#bbb;background:#fff">pale</p>\')'
    )
    light, dark = " ".join(violations(reader)).split("dark: ", maxsplit=1)
    assert "image-alt" in light and "color-contrast" in light
    assert "color-contrast" in dark


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_theme_is_the_systems(read, dark):
    page = read("report/1_1.html", dark=dark).page
    colours = page.evaluate(
        "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
    )
    paper, ink = (sum(map(int, colour.strip("rgb()").split(", "))) for colour in colours)
    assert (paper < ink) == dark
