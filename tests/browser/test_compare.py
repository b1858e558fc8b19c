"""Runs side by side: picked, filtered, shown and sent as an address."""

import pytest
from reader import NARROW, Reader

pytestmark = [pytest.mark.slow, pytest.mark.preview("compare.html")]

PAGE = "compare.html"
LINES = ".lab1-live .mark-line path"


def open_with(reader, hash):
    reader.page.goto("about:blank")
    reader.open(f"{PAGE}#{hash}")
    return reader.page


def keys(page, count):
    """Of the first configurations, the keys of their runs."""
    return page.evaluate(
        "n => window.lab1Runs.configurations.slice(0, n).map(c => c.runs.map(r => r.key))", count
    )


def boxes(page):
    """The box of each configuration that the list shows."""
    return page.locator(".lab1-choice > li:not([hidden]) > label input")


def test_nothing_is_drawn_before_a_run_is_picked(read):
    reader = read(PAGE)
    assert reader.page.locator(".lab1-chart").count() == 0
    assert not any(url.endswith("vega.js") for url in reader.received)


def test_picked_runs_stand_together_and_in_the_address(read):
    reader = read(PAGE)
    page = reader.page
    (first, second) = keys(page, 2)
    for box in boxes(page).all()[:2]:
        box.check()
    page.wait_for_function(
        "([lines, n]) => document.querySelectorAll(lines).length >= n",
        arg=[LINES, 3 * (len(first) + len(second))],  # a loss, an accuracy and a gradient norm each
    )
    assert page.url.endswith(f"#runs={','.join([*first, *second])}")
    headings = page.locator(".lab1-compare th[scope=col] a")
    assert headings.count() == 2
    assert headings.first.get_attribute("href").startswith("runs.html#runs-")
    rows = page.locator(".lab1-compare th[scope=row]").all_text_contents()
    assert "Test accuracy (%)" in rows and "Depth" in rows
    assert "The same in all" in page.inner_text(".lab1-compare")
    assert "A, seed 0, training loss:" in page.get_attribute(".lab1-chart", "aria-label")
    # A record's free text, which is hostile here, is text.
    assert "<img class=hostile" in page.inner_text(".lab1-compare")
    assert page.locator(".hostile").count() == 0
    # Another reader who gets the address sees the same.
    words = page.inner_text(".lab1-compare table")
    open_with(reader, page.url.partition("#")[2])
    assert page.inner_text(".lab1-compare table") == words
    assert reader.complaints == [] and reader.foreign == []


def test_a_seed_is_taken_away_and_then_its_configuration(read):
    reader = read(PAGE)
    page = reader.page
    several = next(own for own in keys(page, 30) if len(own) > 1)
    page = open_with(reader, f"runs={several[0]}")
    seeds = page.locator(".lab1-seeds input")
    assert seeds.count() == len(several) and seeds.first.is_checked()
    assert not seeds.nth(1).is_checked()
    seeds.nth(1).check()
    assert page.url.endswith(f"#runs={several[0]},{several[1]}")
    seeds.first.uncheck()
    seeds.nth(1).uncheck()
    assert page.locator(".lab1-compare table").count() == 0
    assert "#" not in page.url


def test_the_list_is_filtered_and_what_is_picked_stays(read):
    page = read(PAGE).page
    all_of_them = boxes(page).count()
    boxes(page).first.check()
    network = page.get_by_label("Network")
    other = network.locator("option").last.get_attribute("value")
    network.select_option(other)
    assert 1 < boxes(page).count() < all_of_them
    assert boxes(page).first.is_checked()
    assert "network=" in page.url
    said = page.locator(".lab1-compare [role=status]").inner_text()
    assert said.startswith(f"{boxes(page).count() - 1} of {all_of_them} configurations fit; 1 ")


def test_no_more_than_can_be_told_apart(read):
    reader = read(PAGE)
    own = [each[0] for each in keys(reader.page, 7)]
    page = open_with(reader, f"runs={','.join(own)}")
    assert page.locator(".lab1-compare th[scope=col]").count() == 6
    assert f"Not on this site, or one too many: {own[6]}." in page.inner_text(".lab1-compare")
    assert page.locator(".lab1-choice > li > label input:not(:checked)").first.is_disabled()
    page.get_by_role("button", name="Take all away").click()
    assert page.locator(".lab1-compare th[scope=col]").count() == 0
    assert boxes(page).first.is_enabled()


def test_a_wrong_address_is_told(read):
    page = open_with(read(PAGE), "runs=0123456789abcdef,<b>x&network=none")
    said = page.locator(".lab1-compare [role=status]").inner_text()
    assert "Not on this site, or one too many: 0123456789abcdef, <b>x." in said
    assert page.locator("b:text('x')").count() == 0


def test_the_keyboard_suffices(read):
    page = read(PAGE).page
    page.get_by_label("Chapter").focus()
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.type") == "checkbox":
            break
    page.keyboard.press("Space")
    page.locator(".lab1-live svg").wait_for()
    assert "runs=" in page.url
    points = page.get_by_role("slider", name="Points of the chart")
    points.focus()
    page.keyboard.press("Home")
    assert "epoch: 1" in points.get_attribute("aria-valuetext")
    page.locator(".lab1-choice input:checked").first.focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Space")  # the first seed is taken away, and the focus stays
    assert page.evaluate("document.activeElement.type") == "checkbox"


def test_a_run_named_on_another_page_leads_here(read):
    page = read("report/1_2.html").page
    link = page.locator("a[href*='compare.html#runs=']").first
    key = link.get_attribute("title")
    link.evaluate("each => each.click()")  # it may stand in a fold
    page.wait_for_url(f"**/{PAGE}#runs={key}")
    page.locator(".lab1-live svg").wait_for()
    # Of a long list, what is picked is in sight.
    item, box = page.locator(".lab1-picked"), page.locator(".lab1-choice")
    top = item.bounding_box()["y"] - box.bounding_box()["y"]
    assert 0 <= top < box.bounding_box()["height"]


def test_it_works_from_a_file_and_on_a_telephone(chromium, site):
    with Reader(chromium, "file://", width=NARROW) as reader:
        reader.page.goto((site.home / "_site" / PAGE).as_uri())
        boxes(reader.page).first.check()
        reader.page.locator(".lab1-live svg").wait_for()
        assert reader.page.evaluate("document.documentElement.scrollWidth") <= NARROW
        # Quarto's own modules may not be loaded from a file.
        assert [said for said in reader.complaints if "assets" in said or "Error:" in said] == []


def test_without_scripts_it_leads_to_every_run(read):
    page = read(PAGE, scripts=False).page
    page.locator(".lab1-compare a[href='runs.html']").click()
    assert page.locator(".lab1-spark").count() > 5
