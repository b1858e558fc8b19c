"""Every page of the site in a browser: it loads, its links lead somewhere, it is whole."""

import json
import re
from itertools import pairwise
from pathlib import PurePosixPath

import nbformat
import pytest
from reader import CHARTED, NARROW, PAGES, REPORT, WIDE

from lab1.site.frame import read_addresses

pytestmark = pytest.mark.slow

#: The most that a page may transfer before its reader turns to a chart, in bytes: on Quarto's site,
#: which has themes and a search, and on the preview.
FIRST_VIEW, PREVIEWED = 360_000, 200_000

#: The width of a sheet of paper between its margins, in pixels.
PAPER = 700


def test_the_pages_are_those_that_are_tested(site):
    others = set(site.names()) - set(PAGES)
    assert set(PAGES) < set(site.names())
    assert all(name.startswith("reference/") for name in others)
    assert (site.root / "404.html").is_file()


def test_a_page_loads_without_complaint_and_from_this_host_alone(seen):
    assert seen.complaints == []
    assert seen.foreign == []
    # Quarto would load these for widgets, of which there are none.
    assert not re.search(r"jquery|require(\.min)?\.js", " ".join(seen.received), re.IGNORECASE)


@pytest.mark.width(WIDE)
def test_no_text_of_a_record_comes_alive(request, site, seen):
    """The records' and benchmarks' free text is hostile; charts and tooltips stand by now."""
    if request.config.getoption("--project"):
        pytest.skip("published records are not hostile")
    assert seen.page.evaluate("window.hostile") is None
    assert seen.page.locator(".hostile").count() == 0
    links = "a[href^='javascript'], img[src='x'], [onerror]"
    assert seen.page.locator(f":is({links}):where(main *)").count() == 0
    assert site.text("report/assets/runs-data.js").count("<img class=hostile") > 50


@pytest.mark.width(WIDE)
def test_the_first_view_is_small(seen):
    by_quarto = seen.page.locator("#quarto-sidebar").count() > 0
    assert 5_000 < seen.first_view < (FIRST_VIEW if by_quarto else PREVIEWED)


@pytest.mark.width(WIDE)
def test_every_link_and_anchor_within_the_site_resolves(site, seen):
    """After all scripts have run, so that what they add is looked at too."""
    links = seen.page.eval_on_selector_all("a[href]", "all => all.map(a => a.href)")
    own = {link for link in links if link.startswith(seen.address)}
    assert len(own) > 15  # those of the menu at least
    for link in own:
        path, _, anchor = link.removeprefix(f"{seen.address}/").partition("#")
        path = path.partition("?")[0]
        if not path or path.endswith("/"):  # as Quarto's script shortens its links
            path += "index.html"
        assert (site.root / path).is_file(), link
        if path == "runs.html" and anchor.startswith("runs="):
            # Its script finds runs by their keys.
            keys = filter(None, anchor.removeprefix("runs=").split(","))
            known = site.text("report/assets/runs-data.js")
            assert all(f'"key":"{key}"' in known for key in keys), link
        elif anchor and PurePosixPath(path).suffix == ".html":
            assert re.search(rf'\bid="{re.escape(anchor)}"', site.text(path)), link


@pytest.mark.width(WIDE)
def test_headings_are_in_order(seen):
    """One title, and no level left out below it."""
    levels = seen.page.eval_on_selector_all(
        ":is(h1, h2, h3, h4, h5, h6):where(main *)", "all => all.map(h => Number(h.tagName[1]))"
    )
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


@pytest.mark.width(WIDE)
def test_no_placeholder_is_left(seen):
    text = seen.page.inner_text("body")
    assert len(text) > 500
    assert not re.search(r"\b(TODO|TBD|FIXME|XXX|lorem ipsum)\b|\?\?|\{dataset\}", text, re.I)


@pytest.mark.pages(*CHARTED, "runs.html")
@pytest.mark.width(WIDE)
def test_no_value_is_missing(seen):
    assert not re.search(r"\b(nan|NaN|undefined)\b", seen.page.inner_text("body"))


@pytest.mark.pages(*REPORT)
@pytest.mark.width(WIDE)
def test_a_page_leads_to_its_source(site, seen, name):
    chapter = PurePosixPath(name).with_suffix(".ipynb").name
    source = seen.page.locator(f".lab1-source a[download='{chapter}']")
    assert source.evaluate("link => link.href") == f"{seen.address}/chapters/{chapter}"
    assert (site.root / "chapters" / chapter).read_bytes() == (
        site.home / "chapters" / chapter
    ).read_bytes()


@pytest.mark.width(WIDE)
def test_a_link_to_the_page_is_shown_with_a_card(site, seen, name):
    """Its picture has an address where the site does."""
    published = read_addresses(site.home).site
    said = seen.page.eval_on_selector_all(
        "meta[property], meta[name]",
        "all => all.map(m => [m.getAttribute('property') || m.name, m.content])",
    )
    said = dict(said)
    assert said["citation_title"].startswith("lab1")
    # Quarto leaves out the site's name where a page has no title of its own.
    assert seen.page.title().startswith(said["og:title"])
    assert len(said["og:description"]) > 30
    assert said["twitter:card"] == "summary_large_image"
    if published:
        assert said["og:image"] == f"{published}/report/assets/card.png"
    if published and site.kind == "quarto":
        assert said["twitter:image"] == said["og:image"]
        assert f"{published}/{name}" in (site.root / "sitemap.xml").read_text()
    picture = (site.root / "report" / "assets" / "card.png").read_bytes()
    assert picture.startswith(b"\x89PNG") and len(picture) < 150_000


@pytest.mark.width(WIDE)
def test_a_page_has_an_icon_of_its_own(site, seen, name):
    icon = seen.page.locator("link[rel~=icon]").evaluate("link => link.href")
    path = icon.removeprefix(f"{seen.address}/")
    assert (site.root / path).read_text().startswith("<svg")


@pytest.mark.pages(*REPORT)
@pytest.mark.width(WIDE)
def test_code_is_folded(seen):
    folded = seen.page.locator("details:has(.sourceCode)")
    assert folded.count() > 2
    assert all(not each.evaluate("e => e.open") for each in folded.all())


@pytest.mark.width(NARROW)
def test_no_page_is_wider_than_a_narrow_screen(seen):
    """What is wide scrolls by itself."""
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= NARROW


@pytest.mark.pages("guide/commands.html")
@pytest.mark.width(NARROW)
def test_a_command_breaks_between_its_words_on_a_narrow_screen(seen):
    options = seen.page.locator("code > .lab1-option")
    assert options.count() > 20
    assert options.evaluate_all("all => all.every(each => each.getClientRects().length <= 1)")
    words = seen.page.locator(".lab1-commands td:nth-child(2) code")
    narrowest = min(word.bounding_box()["width"] for word in words.all())
    assert narrowest > 40


def test_what_scrolls_sideways_is_reached_by_the_keyboard(read):
    """Also what begins to when the window is made narrow."""
    page = read("reference/training.html").page
    page.set_viewport_size({"width": NARROW, "height": 900})
    page.wait_for_function(
        """() => {
            const scrolls = (pre) => pre.scrollWidth > pre.clientWidth;
            const wide = [...document.querySelectorAll("main pre")].filter(scrolls);
            return wide.length > 2 && wide.every((pre) => pre.tabIndex === 0);
        }"""
    )


@pytest.mark.pages("report/1_1.html")
@pytest.mark.preview("report/1_1.html")
def test_the_keyboard_reaches_the_text_in_two_steps(read, name):
    page = read(name).page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    assert page.locator("a:focus").bounding_box()["y"] >= 0
    page.keyboard.press("Enter")
    target = page.evaluate("location.hash.slice(1)")
    assert page.locator(f"#{target} h2").count() > 0


@pytest.mark.pages("report/1_2.html")
@pytest.mark.preview("report/1_2.html")
def test_a_term_says_what_it_means_to_pointer_and_keyboard(read, name):
    page = read(name).page
    term = page.locator(".lab1-term").first
    meaning = term.get_attribute("data-meaning")
    shown = "each => getComputedStyle(each, '::after').content"
    assert term.evaluate(shown) == "none"
    term.hover()
    assert term.evaluate(shown) == f'"{meaning}"'
    page.mouse.move(0, 0)
    assert term.evaluate(shown) == "none"
    page.keyboard.press("Tab")  # now the focus that a script gives is shown, too
    term.focus()
    assert term.evaluate(shown) == f'"{meaning}"'
    page.keyboard.press("Enter")
    page.wait_for_url("**/glossary.html#*")
    assert page.evaluate("document.getElementById(location.hash.slice(1)) !== null")


@pytest.mark.pages("report/1_2.html")
@pytest.mark.preview("report/1_2.html")
def test_a_number_leads_to_its_runs_in_their_fold(read, name):
    page = read(name).page
    row = page.locator("tr[id^='runs-']").first
    assert not row.is_visible()
    page.locator(f"a[href$='#{row.get_attribute('id')}']").first.click()
    in_sight = "row => row.checkVisibility() && row.getBoundingClientRect().y < innerHeight"
    page.wait_for_function(in_sight, arg=row.element_handle())
    # Some browsers do not open the fold themselves; then the page does.
    fold = page.locator("details:has(tr[id^='runs-'])")
    fold.evaluate("each => each.open = false")
    page.evaluate("window.dispatchEvent(new HashChangeEvent('hashchange'))")
    assert row.is_visible()


@pytest.mark.pages("report/1_2.html", "report/1_3.html", "report/2_2.html", "report/results.html")
@pytest.mark.preview("report/1_3.html")
def test_a_result_is_in_sight_beside_what_names_it(seen):
    """Without scrolling its table, on a telephone too."""
    headings = seen.page.locator(".lab1-table:visible th:has-text('Test accuracy (%)')")
    assert headings.count() > 0
    for heading in headings.all():
        right, room = heading.evaluate(
            "e => [e, e.closest('.lab1-table')].map(each => each.getBoundingClientRect().right)"
        )
        assert right <= room + 1


@pytest.mark.pages("index.html", "report/1_2.html", "runs.html")
@pytest.mark.preview("index.html")
def test_a_page_does_not_jump_as_it_loads(read, name):
    """Its shifts, as browsers measure them, are small, though its faces come after its text."""
    moved = read(name, width=NARROW).page.evaluate(
        """() => new Promise(resolve => {
          let sum = 0;
          new PerformanceObserver(list => {
            for (const entry of list.getEntries()) sum += entry.value;
          }).observe({type: 'layout-shift', buffered: true});
          setTimeout(() => resolve(sum), 300);
        })"""
    )
    assert moved < 0.1


#: Words come and go at the end of a page's text, as they do when a chart tells something.
LATER = """() => {
    const words = document.querySelector("main").appendChild(document.createElement("p"));
    words.textContent = "later";
    words.getBoundingClientRect();
    words.remove();
    document.body.getBoundingClientRect();
}"""


@pytest.mark.pages("index.html", "report/2_2.html", "try-it.html")
@pytest.mark.preview("report/2_2.html")
def test_what_comes_later_has_few_elements_styled_anew(chromium, read, name):
    """A selector such as `main:has(…) > *` would have each of thousands matched again."""
    page = read(name).page
    chromium.start_tracing(page=page, categories=["devtools.timeline"])
    page.evaluate(LATER)
    events = json.loads(chromium.stop_tracing())["traceEvents"]
    styled = [each["args"] for each in events if each["name"] == "UpdateLayoutTree"]
    assert 0 < max(args.get("elementCount", 0) for args in styled) < 20


@pytest.mark.pages("report/1_2.html")
@pytest.mark.preview("report/1_2.html")
def test_a_heading_leads_to_its_section(read, name):
    page = read(name).page
    heading = page.get_by_role("heading", name="The question").first
    link = heading.get_by_role("link")
    assert link.evaluate("link => getComputedStyle(link).opacity") == "0"
    heading.hover()
    assert link.evaluate("link => getComputedStyle(link).opacity") == "1"
    link.click()
    assert page.url.endswith("#the-question")
    assert abs(page.locator("#the-question").bounding_box()["y"]) < 100
    # The contents of the page have the heading's words alone.
    assert page.locator("nav a a, nav .lab1-anchor").count() == 0


@pytest.mark.preview("index.html")
def test_a_wrong_address_shows_the_sites_own_page(read):
    """At any depth below the site, since its links begin at the root."""
    reader = read("no/such/page.html")
    page = reader.page
    assert page.locator("h1").inner_text() == "There is no such page"
    assert page.locator(":is(#quarto-sidebar, .sidebar)").bounding_box()["width"] < 400  # styled
    assert reader.complaints == ["Failed to load resource: the server responded with a status of "
                                 "404 (Not Found)"]  # fmt: skip
    page.get_by_role("link", name="overview", exact=True).click()
    page.wait_for_url(re.compile(rf"{re.escape(reader.address)}/(index\.html)?$"))


@pytest.mark.pages(*REPORT)
@pytest.mark.width(WIDE)
def test_the_head_offers_the_notebook_with_its_results(site, seen, name):
    head = seen.page.locator(".lab1-head")
    assert re.search(r"Some \d+ minutes? to read", head.inner_text())
    for link in head.locator("a[download$='.ipynb']").all():
        address = link.evaluate("each => each.href").removeprefix(f"{seen.address}/")
        notebook = nbformat.read(site.root / address, 4)
        nbformat.validate(notebook)
    # The second is the one with results.
    assert any(cell.get("outputs") for cell in notebook.cells)


@pytest.mark.pages(*REPORT, "runs.html")
@pytest.mark.preview("report/2_2.html")
def test_on_paper_tables_are_whole(read, name):
    page = read(name, width=PAPER).page
    page.emulate_media(media="print")
    for table in page.locator(".lab1-table:visible").all():
        wide, room = table.evaluate("e => [e.firstElementChild.scrollWidth, e.clientWidth]")
        assert wide <= room, table.inner_text()[:80]
