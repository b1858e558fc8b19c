"""Predict before you see: a reader draws or types, then the truth appears with the difference."""

import json
import re

import pytest
from reader import Reader

CHARTED = ("report/1_1.html", "report/1_2.html", "report/depth.html", "report/2_2.html")

pytestmark = [pytest.mark.slow, pytest.mark.pages(*CHARTED), pytest.mark.preview(CHARTED[1])]


def predicted(page):
    return json.loads(page.locator(".lab1-predict").get_attribute("data-predict"))


def told(page):
    return page.inner_text(".lab1-predict .lab1-said")


def test_what_would_tell_is_hidden_until_the_truth_is_shown(read, name):
    """One types by the keyboard; the sentence has the largest difference."""
    reader = read(name)
    page = reader.page
    chart = page.locator(".lab1-predict ~ .lab1-figure .lab1-chart")
    box = page.locator(".lab1-answer")
    assert chart.is_visible() and box.is_visible()
    page.get_by_role("button", name="Predict first").focus()
    received = len(reader.received)
    page.keyboard.press("Enter")
    assert not chart.is_visible() and not box.is_visible()
    asked = predicted(page)
    line, last = asked["series"][0], len(asked["at"]) - 1
    drawn = page.locator(".lab1-predict svg").text_content()
    assert f"{line['name']}?" not in drawn and f"{line['values'][last]:.1f}" not in drawn
    gap = line["halves"][last] + 3
    for place in range(1, last + 1):
        expected = line["values"][place] - (gap if place == last else 0)
        page.locator(f"[name='0 {place}']").fill(str(expected))
    page.get_by_role("button", name="Show the truth").focus()
    page.keyboard.press("Enter")
    assert chart.is_visible() and box.is_visible()
    truth = f"{line['values'][last]:.1f} {asked['unit']}, {gap:.1f} points more than you expected."
    assert told(page).endswith(truth) and told(page).startswith(f"{line['name']}, ")
    assert page.locator(".lab1-truth").count() == len(asked["series"])
    # The browser asks for the page's icon when it likes.
    later = [url for url in [*reader.received][received:] if not url.endswith("/favicon.svg")]
    assert later == [] and reader.complaints == []


@pytest.mark.parametrize("touch", [False, True], ids=["mouse", "finger"])
def test_a_line_is_drawn_by_mouse_and_by_finger(chromium, address, touch):
    with Reader(chromium, address, touch=touch, width=375) as reader:
        reader.open(f"{CHARTED[1]}#predict")
        page = reader.page
        panel = page.locator(".lab1-predict .lab1-panel")
        panel.scroll_into_view_if_needed()
        above = page.evaluate("scrollY")
        box = panel.bounding_box()
        y = box["y"] + box["height"] / 2
        xs = [box["x"] + share * box["width"] for share in (0.3, 0.5, 0.7)]
        if touch:
            session = page.context.new_cdp_session(page)
            for kind, x in zip(["touchStart", "touchMove", "touchMove"], xs, strict=True):
                points = [{"x": x, "y": y + xs.index(x) * 20}]
                session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
            session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        else:
            page.mouse.move(xs[0], y)
            page.mouse.down()
            page.mouse.move(xs[-1], y, steps=5)
            page.mouse.up()
        assert page.evaluate("scrollY") == above
        values = page.locator("[name^='0 ']").evaluate_all("all => all.map((each) => each.value)")
        assert any(values)
        page.get_by_role("button", name="Show the truth").click()
        assert re.search("than you expected|as you expected", told(page))


def test_one_click_turns_it_off_for_good_and_another_on(read):
    page = read(CHARTED[0]).page
    page.get_by_role("button", name="Never offer this").click()
    page.goto(page.url.replace("1_1", "1_2"))
    offer = page.get_by_role("button", name="Offer predictions")
    offer.wait_for()
    assert page.get_by_role("button", name="Predict first").count() == 0
    assert page.evaluate("Object.keys(localStorage).includes('lab1-predict')")
    offer.click()
    page.get_by_role("button", name="Predict first").wait_for()


def test_without_scripts_nothing_is_asked(read):
    page = read(CHARTED[0], scripts=False).page
    assert not page.locator(".lab1-predict").is_visible()
    assert page.locator(".lab1-predict ~ .lab1-figure .lab1-chart").is_visible()
