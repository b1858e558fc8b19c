"""The page of all runs: searched, filtered, ticked, drawn, and sent as an address."""

import pytest
from reader import NARROW, Reader

pytestmark = [pytest.mark.slow, pytest.mark.preview("runs.html")]

PAGE = "runs.html"
LINES = ".lab1-live .mark-line path"
SHOWN = ".lab1-runs .lab1-sortable tbody tr:not([hidden])"


def open_with(reader, hash):
    reader.page.goto("about:blank")
    reader.open(f"{PAGE}#{hash}")
    return reader.page


def runs_of(page, count, least=1):
    """The keys of the runs of the first configurations that have at least so many."""
    keys = page.evaluate("window.lab1Runs.configurations.map(c => c.runs.map(r => r.key))")
    return [own for own in keys if len(own) >= least][:count]


def preset(page, name):
    return page.locator(f".lab1-runs a[href*='runs.html#']:text-is('{name}')")


def boxes(page):
    return page.locator(f"{SHOWN} input")


def ticked(page):
    return page.locator(f"{SHOWN} input:checked").count()


def status(page):
    return page.inner_text(".lab1-runs [role=status]")


def wait_for_lines(page, count):
    page.wait_for_function(
        "([lines, n]) => document.querySelectorAll(lines).length === n", arg=[LINES, count]
    )


def test_it_opens_with_three_drawn_and_is_light(read):
    reader = read(PAGE)
    page = reader.page
    assert ticked(page) == 3 and "; 3 ticked." in status(page)
    assert page.locator(".lab1-chart picture:visible").count() == 1
    assert page.locator(".lab1-compared th[scope=col]").count() == 3
    assert not any(url.endswith(("vega.js", "curves-data.js")) for url in reader.received)
    assert page.evaluate("document.querySelectorAll('*').length") < 4000
    # The settings that differ come first, then what was found.
    names = page.locator(".lab1-compared th[scope=row]").all_text_contents()
    assert names[:3] == ["Family", "Initialisation", "Test accuracy (%)"]
    seconds = page.locator(".lab1-compared tr:has(th:text('Seconds of a run'))").inner_text()
    assert ", on " in seconds
    assert "The same in all: " in page.inner_text(".lab1-compared")


def test_what_is_ticked_is_drawn_and_stands_in_the_address(request, read):
    reader = read(PAGE)
    page = reader.page
    boxes(page).nth(3).check()
    # A mean for each: two of losses, two of errors, and a gradient norm.
    wait_for_lines(page, 4 * 5)
    assert ticked(page) == 4
    keys = page.url.partition("#runs=")[2].split(",")
    assert len(keys) == page.locator(".lab1-compared td div > div").count()
    assert "D, mean of" in page.get_attribute(".lab1-chart", "aria-label")
    # A record's free text is text; that of the published ones is not hostile.
    hostile = "<img class=hostile" in page.inner_text(".lab1-compared")
    assert hostile or request.config.getoption("--project")
    assert page.locator(".hostile").count() == 0
    # Another reader who gets the address sees the same.
    words = page.inner_text(".lab1-compared")
    open_with(reader, page.url.partition("#")[2])
    assert sorted(page.inner_text(".lab1-compared").split()) == sorted(words.split())
    boxes(page).first.uncheck()
    wait_for_lines(page, 3 * 5)
    assert reader.complaints == [] and reader.foreign == []


def test_the_table_is_searched_and_filtered_and_what_is_ticked_stays(read):
    page = read(PAGE).page
    all_of_them = boxes(page).count()
    page.get_by_label("Network").select_option(label="residual MLP")
    assert 3 < boxes(page).count() < all_of_them and ticked(page) == 3
    filtered = boxes(page).count()
    search = page.get_by_role("searchbox", name="Search")
    search.fill("residual factor 1")
    assert 3 < boxes(page).count() < filtered
    assert status(page).startswith(f"1 of {all_of_them} configurations fit; 3 ticked")
    assert "network=residual+MLP" in page.url and "search=residual+factor+1" in page.url
    # A run is found by its key.
    page.get_by_label("Network").select_option(label="all")
    ((key, *_),) = runs_of(page, 1)
    search.fill(key)
    assert status(page).startswith("1 of ")


def test_the_runs_of_a_chapter_are_one_click_away(read):
    page = read(PAGE).page
    preset(page, "1.1").click()
    page.locator(".lab1-live svg").wait_for()
    headings = page.locator(".lab1-compared th[scope=col]").all_text_contents()
    assert len(headings) > 1 and all(heading.startswith("MLP, ") for heading in headings)
    rows = page.locator(f"{SHOWN}").all_text_contents()
    assert all(row.startswith(heading) for row, heading in zip(rows, headings, strict=False))
    preset(page, "none").click()
    page.wait_for_function("document.querySelector('.lab1-figure').hidden")
    assert ticked(page) == 0 and page.inner_text(".lab1-compared") == ""
    preset(page, "to begin with").click()
    wait_for_lines(page, 3 * 5)


def test_each_seed_and_linear_axes_are_a_choice(read):
    page = read(PAGE).page
    page.get_by_role("checkbox", name="Each seed").check()
    seeds = page.evaluate(
        "window.lab1Runs.configurations.filter(c => document.querySelector("
        "`#runs-${c.group} input:checked`)).flatMap(c => c.runs).length"
    )
    wait_for_lines(page, 5 * seeds)
    assert page.locator(".lab1-live [aria-label*='log scale']").count() > 0
    page.get_by_role("checkbox", name="Linear axes").check()
    page.wait_for_function("!document.querySelector(\".lab1-live [aria-label*='log scale']\")")
    assert "seeds=each" in page.url and "axes=linear" in page.url
    points = page.get_by_role("slider", name="Points of the chart")
    points.focus()
    page.keyboard.press("Home")
    said = points.get_attribute("aria-valuetext")
    assert "epoch: 1," in said and "95 % interval: none" in said


def test_no_more_than_can_be_told_apart(read):
    reader = read(PAGE)
    (*six, seventh) = [own[0] for own in runs_of(reader.page, 7, least=2)]
    page = open_with(reader, f"runs={','.join([*six, seventh])}")
    assert page.locator(".lab1-compared th[scope=col]").count() == 6
    assert "six at most. Not on this site, or one too many: " in status(page)
    assert page.locator(f"{SHOWN} input:not(:checked, :indeterminate)").first.is_disabled()
    # Of each one seed alone was asked for, and a click takes it away.
    first = boxes(page).first
    assert first.evaluate("box => box.indeterminate")
    first.click()
    assert page.locator(".lab1-compared th[scope=col]").count() == 5


def test_a_wrong_address_is_told(read):
    page = open_with(read(PAGE), "runs=0123456789abcdef,<b>x&network=none")
    assert "Not on this site, or one too many: 0123456789abcdef, <b>x." in status(page)
    assert page.locator("b:text('x')").count() == 0
    assert page.get_by_label("Network").input_value() == ""


def test_the_keyboard_suffices(read):
    page = read(PAGE).page
    page.get_by_role("searchbox", name="Search").focus()
    page.keyboard.type("normalisation")
    for _ in range(200):  # past the links of those that are ticked
        page.keyboard.press("Tab")
        box = page.evaluate_handle("document.activeElement")
        if box.evaluate("each => each.matches('td input:not(:checked)')"):
            break
    page.keyboard.press("Space")
    # More than three means: of a network that was at chance each seed is drawn.
    page.locator(LINES).nth(4 * 5 - 1).wait_for(state="attached")
    assert page.evaluate("document.activeElement.checked")


def test_what_a_finger_taps_is_ticked_and_drawn(chromium, address):
    with Reader(chromium, address, width=NARROW, touch=True) as reader:
        reader.open(PAGE)
        page = reader.page
        before = page.evaluate("scrollY")
        page.locator(f"{SHOWN} label").first.tap()
        wait_for_lines(page, 2 * 5)
        assert ticked(page) == 2 and page.evaluate("scrollY") == before
        preset(page, "1.2").tap()
        page.wait_for_function("document.querySelectorAll('.lab1-compared thead th').length === 4")
        assert page.evaluate("document.documentElement.scrollWidth") <= NARROW


def test_a_run_named_on_another_page_leads_here_and_so_does_the_old_address(read):
    reader = read("report/1_2.html")
    page = reader.page
    link = page.locator("a[href*='runs.html#runs=']").first
    key = link.get_attribute("title")
    link.evaluate("each => each.click()")  # it may stand in a fold
    page.wait_for_url(f"**/{PAGE}#runs={key}")
    wait_for_lines(page, 5)
    assert boxes(page).first.is_checked()
    page.goto(f"{reader.address}/compare.html#runs={key}")
    page.wait_for_url(f"**/{PAGE}#runs={key}")


def test_a_configuration_named_on_another_page_is_ticked_and_in_sight(read):
    reader = read(PAGE)
    group = reader.page.evaluate("window.lab1Runs.configurations.at(-1).group")
    page = open_with(reader, f"runs-{group}")
    page.locator(".lab1-live svg").wait_for()
    assert ticked(page) == 1
    row = page.locator(f"#runs-{group}")
    assert row.locator("input").is_checked()
    assert 0 <= row.bounding_box()["y"] < 900


def test_it_works_from_a_file(chromium, site):
    with Reader(chromium, "file://", width=NARROW) as reader:
        reader.page.goto((site.home / "_site" / PAGE).as_uri())
        boxes(reader.page).nth(3).check()
        reader.page.locator(".lab1-live svg").wait_for()
        # Quarto's own modules may not be loaded from a file.
        assert [said for said in reader.complaints if "assets" in said or "Error:" in said] == []


def test_without_scripts_it_is_a_table_and_a_picture(read):
    page = read(PAGE, scripts=False).page
    assert page.locator(f"{SHOWN} a[title]").count() + page.locator(f"{SHOWN} span[title]").count()
    assert page.locator(".lab1-chart picture:visible").count() == 1
    assert not page.locator(".lab1-runs form").is_visible()
    assert not boxes(page).first.is_visible()
