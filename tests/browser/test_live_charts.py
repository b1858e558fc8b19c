"""The charts in a browser: live, with tooltips and a legend, and drawn where no script runs."""

import re

import pytest
from reader import CHARTED, NARROW, WIDE, Reader

#: The preview has the same charts and the same script, so that one of its pages says enough.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.pages(*CHARTED),
    pytest.mark.preview("report/1_3.html"),
]


def charts(page):
    found = page.locator(".lab1-chart")
    return [found.nth(index) for index in range(found.count())]


#: What a mark of data is in Vega's drawing, and how opaque each is.
MARKS = ".lab1-live .role-mark :is(path, rect, circle)"
LOOKS = "all => all.map(m => [m.getAttribute('opacity'), getComputedStyle(m).opacity].join())"


@pytest.mark.width(WIDE)
def test_every_chart_is_drawn_live(seen):
    assert charts(seen.page)
    for chart in charts(seen.page):
        assert chart.locator("svg").count() == 1  # the live one in the place of the drawn one
        assert chart.locator(".role-mark path, .role-mark line").count() > 1


def test_pointing_and_choosing(read, name):
    """A tooltip appears under the pointer, and choosing a legend entry changes the marks."""
    reader = read(name)
    reader.see_all()
    for chart in charts(reader.page):
        chart.scroll_into_view_if_needed()
        _point_at_a_mark(reader.page, chart)
        tooltip = reader.page.locator("#vg-tooltip-element.visible")
        tooltip.wait_for()
        assert tooltip.locator("td.value").count() >= 1
        assert re.search(r"\d", tooltip.inner_text()) and "null" not in tooltip.inner_text()
        reader.page.mouse.move(0, 0)
        assert _choosing_changes_marks(reader.page, chart)
    assert reader.complaints == []


def _point_at_a_mark(page, chart):
    """Moves the pointer to the last point, bar or cell that shows data."""
    x, y = _middle_of_a_mark(chart)
    page.mouse.move(x - 1, y - 1)
    page.mouse.move(x, y)


def _middle_of_a_mark(chart):
    mark = chart.locator(".role-mark.mark-symbol path, .role-mark.mark-rect path").last
    mark.scroll_into_view_if_needed()
    box = mark.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def _choosing_changes_marks(page, chart):
    """Whether a click on an entry of the legend dims marks; true where it has no two entries."""
    entries = chart.locator(".role-legend-symbol path").all()
    if len(entries) < 2:
        return True
    before = chart.locator(MARKS).evaluate_all(LOOKS)
    for number, entry in enumerate(entries, 1):
        box = entry.bounding_box()
        page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        tries = 250 if number == len(entries) else 10  # some are of no mark that is drawn
        if _changes(page, lambda: chart.locator(MARKS).evaluate_all(LOOKS), before, tries):
            return True
    return False


def _changes(page, look, before, tries=250):
    """Whether what ``look()`` gives differs from ``before``, now or within ten seconds."""
    for _ in range(tries):
        if look() != before:
            return True
        page.wait_for_timeout(40)
    return False


def test_a_chart_by_epoch_zooms_while_a_key_is_held_and_resets(read):
    """Without the key the wheel scrolls the page."""
    reader = read("report/1_1.html")
    page = reader.page
    reader.see_all()
    chart = page.locator(".lab1-figure:has(.lab1-zooming) .lab1-chart").first
    chart.scroll_into_view_if_needed()

    def ticks():
        return set(chart.locator(".role-axis-label text").all_text_contents())

    def pointed_at():
        panel = chart.locator(".role-mark.mark-line path").first.bounding_box()
        return panel["x"] + panel["width"] / 2, panel["y"] + panel["height"] / 2

    before = ticks()
    page.mouse.move(*pointed_at())
    page.keyboard.down("Control")
    page.mouse.wheel(0, -500)
    assert _changes(page, ticks, before)
    page.keyboard.up("Control")
    page.mouse.dblclick(*pointed_at())
    assert _changes(page, lambda: ticks() == before, False)
    above = page.evaluate("window.scrollY")
    page.mouse.wheel(0, 300)
    page.wait_for_function("above => window.scrollY > above", arg=above)
    page.wait_for_timeout(300)
    assert ticks() == before


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_without_scripts_the_drawing_is_there(read, dark):
    page = read("report/1_2.html", scripts=False, dark=dark).page
    assert charts(page)
    for chart in charts(page):
        _is_a_picture(page, chart)


def _is_a_picture(page, chart):
    """One picture is seen, that for the page's theme."""
    # Quarto's pages know no dark theme where no script runs.
    page_colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    dark = sum(map(int, re.findall(r"\d+", page_colour)[:3])) < 3 * 128
    chart.scroll_into_view_if_needed()
    shown = chart.locator("img:visible")
    assert shown.count() == 1
    assert shown.evaluate("e => e.decode().then(() => true)")
    assert shown.evaluate("e => e.currentSrc").endswith(".dark.svg") == dark
    assert shown.bounding_box()["width"] > 200


@pytest.mark.pages("index.html", "report/1_2.html")
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_chart_is_a_picture_until_a_reader_turns_to_it(read, name, dark):
    """What draws it weighs more than the page; and the page does not grow as it comes alive."""
    reader = read(name, dark=dark)
    page = reader.page
    for chart in charts(page):
        if chart.locator("xpath=ancestor::*[@id='fig-softened']").count():
            continue  # it has something to turn, which is to be seen
        page.mouse.move(0, 0)  # else the next chart may come to lie below the pointer
        _is_a_picture(page, chart)
        assert chart.locator(".lab1-live").count() == 0
        # The other picture is not asked for (without scripts a browser loads nothing lazily).
        assert chart.locator("img:not(:visible)").evaluate("e => e.currentSrc") == ""
        before = page.evaluate("document.documentElement.scrollHeight")
        reader.wake(chart)
        # Less than a line.
        assert page.evaluate("document.documentElement.scrollHeight") <= before + 16
    assert reader.complaints == []


def test_a_chart_comes_alive_by_keyboard_and_by_finger(read):
    reader = read("report/1_1.html")
    first, second = (reader.page.locator(".lab1-figure").nth(index) for index in (0, 1))
    first.locator("summary").focus()
    reader.wait_until_live(first)
    second.locator(".lab1-chart").scroll_into_view_if_needed()
    second.dispatch_event("pointerenter", {"pointerType": "touch"})  # a finger that scrolls
    reader.page.wait_for_timeout(300)
    assert second.locator(".lab1-live").count() == 0
    second.locator(".lab1-chart").dispatch_event("click")
    reader.wait_until_live(second)
    assert reader.complaints == []


@pytest.mark.pages("report/1_3.html", "report/2_2.html")
@pytest.mark.preview("report/1_3.html", "report/2_2.html")
def test_a_tap_on_a_mark_shows_what_it_says_and_never_leads_away(chromium, address, name):
    """Lines, points, bars and cells; on a picture too, and the runs of a point are one tap more."""
    with Reader(chromium, address, width=NARROW, touch=True) as reader:
        reader.open(name)
        page = reader.page
        tip, links = page.locator(".lab1-tip"), []
        for chart in charts(page):
            chart.scroll_into_view_if_needed()
            chart.tap()
            reader.wait_until_live(chart)
            x, y = _middle_of_a_mark(chart)
            page.touchscreen.tap(x + 4, y)  # beside it: a mark is smaller than a finger
            tip.wait_for()
            assert re.search(r"\d", " ".join(tip.locator("dd").all_inner_texts()))
            box = tip.bounding_box()
            assert box["x"] >= 0 and box["x"] + box["width"] <= NARROW
            links += [link.get_attribute("href") for link in tip.locator("a").all()]
            page.keyboard.press("Escape")
            assert tip.count() == 0
            page.mouse.click(x, y)
            tip.wait_for()
        assert page.url == f"{address}/{name}"
        assert all(re.search("#runs[-=]", link) for link in links)
        assert links or name != "report/1_3.html"
        assert reader.complaints == []


def test_the_keyboard_goes_through_the_points(read):
    """What each says is shown and told, and one leads to its runs."""
    reader = read("report/1_1.html")
    page = reader.page
    figure = page.locator(".lab1-figure").first
    points = figure.get_by_role("slider", name="Points of the chart")
    tip = page.locator("#vg-tooltip-element.visible")
    points.focus()
    reader.wait_until_live(figure)
    assert points.inner_text() == "Arrow keys: from point to point. Enter: to a point's runs."
    told = []
    for key in ("Home", "ArrowRight", "ArrowLeft", "End", "ArrowRight"):
        page.keyboard.press(key)
        rows = tip.locator("tr").evaluate_all(
            "all => all.map(row => [...row.cells].map(cell => cell.innerText).join(': '))"
        )
        told.append(points.get_attribute("aria-valuetext"))
        assert told[-1] == ", ".join(rows)
    assert told[0] == told[2] != told[1]
    assert told[3] == told[4] != told[0]
    assert points.get_attribute("aria-valuenow") == points.get_attribute("aria-valuemax")
    page.keyboard.press("Escape")
    assert tip.count() == 0
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("#runs-"))
    assert reader.complaints == []


#: Whether the drawing of each chart fills its place, and no more.
FITTED = """() => [...document.querySelectorAll('.lab1-chart')].every((chart) => {
  const share = chart.querySelector('svg')?.getBoundingClientRect().width / chart.clientWidth;
  return share > 0.75 && share < 1.01;
})"""


def test_panels_are_fitted_again_when_the_window_changes(read):
    reader = read("report/1_1.html")
    reader.see_all()
    for width in (420, WIDE):
        reader.page.set_viewport_size({"width": width, "height": 900})
        reader.page.wait_for_function(FITTED)
    assert reader.complaints == []


@pytest.mark.width(NARROW)
def test_on_a_narrow_screen_a_chart_fits_and_can_be_read(seen):
    for chart in charts(seen.page):
        box, drawing = chart.bounding_box(), chart.locator("svg").bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= NARROW
        assert drawing["width"] <= box["width"] + 1
        sizes = chart.locator("svg text").evaluate_all(
            "all => all.map(t => t.getBoundingClientRect().height)"
        )
        assert min(size for size in sizes if size) >= 9


@pytest.mark.width(WIDE)
def test_every_chart_has_an_alternative_and_its_data(seen):
    for chart in charts(seen.page):
        assert len(chart.get_attribute("aria-label")) > 40
    figures = seen.page.locator(".lab1-figure")
    assert figures.count() == len(charts(seen.page))
    for figure in figures.all():
        data = figure.locator("details.lab1-data")
        rows = data.locator("tbody tr").count()
        assert rows <= 200
        if rows:
            assert data.locator("th[scope=col]").count() > 1
            assert re.search(r"\d", data.locator("tbody").text_content())
        else:
            assert data.locator("a[href$='.csv']").count() == 1


@pytest.mark.width(WIDE)
def test_on_paper_charts_are_whole_and_code_is_folded_away(seen):
    page = seen.page
    page.emulate_media(media="print")
    try:
        paper = page.evaluate("document.documentElement.clientWidth")
        for chart in charts(page):
            box = chart.locator("svg").bounding_box()
            assert box["x"] >= 0 and box["x"] + box["width"] <= paper
            look = chart.evaluate("e => getComputedStyle(e.closest('.lab1-figure')).breakInside")
            assert look == "avoid"
        for folded in page.locator("details:has(.sourceCode), details.lab1-data").all():
            assert not folded.is_visible()
        assert len(page.pdf()) > 10_000
    finally:
        page.emulate_media(media="screen")


@pytest.mark.pages("report/2_2.html")
@pytest.mark.preview("report/2_2.html")
@pytest.mark.width(WIDE)
def test_the_temperature_can_be_turned_by_the_keyboard(read, name):
    """The answers become more even as it rises, and the chart of another image is another one."""
    reader = read(name)
    chart = reader.page.locator("#fig-softened .lab1-chart")
    reader.wake(chart)
    turn = reader.page.get_by_label("temperature T")
    numbers = chart.locator(".lab1-live .mark-text.role-mark text")

    def largest():
        return max(float(each.rstrip("%")) for each in numbers.all_text_contents())

    before = largest()
    turn.focus()
    for _ in range(12):
        reader.page.keyboard.press("ArrowRight")
    assert turn.input_value() == "10"
    assert _changes(reader.page, lambda: largest() < before, False)
    for _ in range(18):
        reader.page.keyboard.press("ArrowLeft")
    assert turn.input_value() == "1"
    assert _changes(reader.page, lambda: largest() > before, False)
    picture = chart.locator(".lab1-live image")
    answers, before = numbers.all_text_contents(), picture.get_attribute("href")
    reader.page.locator(".lab1-controls").get_by_role("radio").nth(3).check()
    assert _changes(reader.page, numbers.all_text_contents, answers)
    assert _changes(reader.page, lambda: picture.get_attribute("href"), before)
    downwards = sorted(numbers.all(), key=lambda number: number.bounding_box()["y"])
    shares = [float(number.text_content().rstrip("%")) for number in downwards]
    assert shares == sorted(shares, reverse=True)
    assert reader.complaints == []
