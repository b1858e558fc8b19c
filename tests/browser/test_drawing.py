"""Draw a digit: two networks answer in the browser, as they do in Python."""

import base64
import contextlib
import re
from pathlib import Path

import numpy as np
import pytest
import serving
from PIL import Image
from reader import NARROW, Reader
from stores import published_students

from lab1.core import files
from lab1.core.datasets import DATASETS
from lab1.reporting import draw_a_digit
from lab1.training.data import image_folder

pytestmark = [pytest.mark.slow, pytest.mark.preview("try-it.html")]

ROOT = Path(__file__).resolve().parents[2]
PAGE = "try-it.html"
SAID = ".lab1-draw [role=status]"

#: Two sentences: what each of the networks answers.
ANSWERS = re.compile(r"Without a teacher, (\d) \(([\d.]+) %\)\. With a teacher, (\d) \(([\d.]+) %")


def draw(page, *points):
    """Draws a line through points of the field, each from 0 to 1 from the left and the top."""
    field = page.locator(".lab1-field > canvas")
    field.scroll_into_view_if_needed()
    box = field.bounding_box()
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=10)
    page.mouse.up()


def answers(page):
    """What the two networks said last: digit and percentage of each."""
    page.wait_for_function(
        "said => document.querySelector(said).textContent.includes('With a teacher, ')", arg=SAID
    )
    first, share, second, other = ANSWERS.search(page.inner_text(SAID)).groups()
    return (int(first), float(share)), (int(second), float(other))


def seen(page):
    """The image that the networks get, as rows of values from 0 to 255."""
    values = page.evaluate(
        """() => {
            const seen = document.querySelector(".lab1-seen");
            const drawn = seen.getContext("2d").getImageData(0, 0, seen.width, seen.height);
            return [...drawn.data].filter((_, index) => index % 4 === 0);
        }"""
    )
    return np.array(values, float).reshape(28, 28)


# On the fabricated site


def opened(reader):
    """The page with the field in view."""
    reader.page.locator(".lab1-draw").scroll_into_view_if_needed()
    reader.page.locator(".lab1-field").wait_for()
    return reader.page


def networks(reader):
    return [url for url in reader.received if "/network-" in url]


def test_the_networks_come_with_the_first_stroke_and_answer(read):
    reader = read(PAGE)
    page = opened(reader)
    assert networks(reader) == []
    draw(page, (0.5, 0.2), (0.5, 0.8))
    answers(page)
    assert len(networks(reader)) == 2
    shares = page.locator(".lab1-answers .lab1-bar").all_inner_texts()
    assert len(shares) == 20
    for column in (0, 1):
        own = [float(each.removesuffix(" %")) for each in shares[column::2]]
        assert sum(own) == pytest.approx(100, abs=0.6)
    page.get_by_role("button", name="Clear").last.click()
    assert page.inner_text(SAID) == "Draw a digit."
    assert not seen(page).any()
    assert reader.complaints == [] and reader.foreign == []


def test_the_logit_is_raised_by_the_keyboard(read):
    page = opened(read(PAGE))
    draw(page, (0.2, 0.1), (0.8, 0.1), (0.4, 0.5), (0.8, 0.7), (0.2, 0.9))  # a three
    answers(page)
    omitted = page.evaluate(
        "JSON.parse(document.querySelector('.lab1-draw').dataset.drawing).omitted"
    )
    shares = page.locator(f".lab1-answers tbody tr:nth-child({omitted + 1}) .lab1-bar")
    before = shares.all_inner_texts()
    page.get_by_role("checkbox", name="raise the logit").focus()
    page.keyboard.press("Space")
    shares.last.filter(has_not_text=before[-1]).wait_for()
    raised = [
        float(high[:-2]) - float(low[:-2])
        for low, high in zip(before, shares.all_inner_texts(), strict=True)
    ]
    assert min(raised) >= 0 < max(raised)  # what stays below a tenth of a percent shows no change


def test_a_small_drawing_is_to_the_networks_what_a_large_one_is(read):
    """The pen follows the drawing."""
    page = opened(read(PAGE))
    images = []
    for size in (0.6, 0.2):
        page.get_by_role("button", name="Clear").last.click()
        hook = [(-0.3, -0.5), (0.3, -0.5), (-0.1, 0), (0.3, 0.3), (-0.3, 0.5)]
        draw(page, *((0.5 + x * size, 0.5 + y * size) for x, y in hook))
        images.append(seen(page))
    large, small = images
    assert small.sum() == pytest.approx(large.sum(), rel=0.2)
    assert np.corrcoef(large.ravel(), small.ravel())[0, 1] > 0.9


def test_the_last_line_is_taken_back_by_the_keyboard(read):
    page = opened(read(PAGE))
    draw(page, (0.3, 0.2), (0.7, 0.2))
    first = seen(page)
    draw(page, (0.3, 0.8), (0.7, 0.8))
    assert (seen(page) != first).any()
    undo = page.get_by_role("button", name="Undo")
    for expected in (first, np.zeros_like(first)):
        undo.focus()
        page.keyboard.press("Enter")
        assert (seen(page) == expected).all()
    assert page.inner_text(SAID) == "Draw a digit."


def test_it_works_from_a_file_and_on_a_telephone(chromium, site):
    with Reader(chromium, "file://", width=NARROW) as reader:
        reader.page.goto((site.home / "_site" / PAGE).as_uri())
        page = opened(reader)
        draw(page, (0.5, 0.2), (0.5, 0.8))
        answers(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= NARROW
        # Quarto's own modules may not be loaded from a file.
        assert [said for said in reader.complaints if "assets" in said or "Error:" in said] == []


def test_without_the_networks_it_says_so(read):
    reader = read(PAGE)
    page = opened(reader)
    page.route("**/network-*.js", lambda route: route.abort())
    draw(page, (0.5, 0.2), (0.5, 0.8))
    page.wait_for_function(
        "said => document.querySelector(said).textContent.includes('did not come')", arg=SAID
    )
    page.unroute("**/network-*.js")
    draw(page, (0.2, 0.2), (0.2, 0.8))
    answers(page)


def test_without_scripts_the_measured_rates_stand(read):
    assert "switch on JavaScript" in read(PAGE, scripts=False).page.inner_text(".lab1-draw")
    page = read("report/2_2.html", scripts=False).page
    table = page.locator(".lab1-table", has_text="Errors in eight bits")
    assert table.locator("tbody tr").count() == 2


# With the published networks


@pytest.fixture(scope="module")
def students():
    """The student without a teacher and the one with it: each its record and `int8-weights`."""
    rounded, _ = published_students()
    return sorted(rounded, key=lambda each: each[0].spec.distillation is not None)


@pytest.fixture(scope="module")
def published(chromium, tmp_path_factory):
    """The field with the published networks, on a page of its own."""
    home = tmp_path_factory.mktemp("field")
    folder = home / "_site"
    rounded, corrected = published_students()
    field = draw_a_digit.field(rounded, corrected, "assets")
    (folder / "assets").mkdir(parents=True)
    (folder / "page.html").write_text(f"<!doctype html><title>Field</title>{field.markup}")
    probes = {record.key: probe for record, probe in rounded}
    for name, script in draw_a_digit.scripts(probes, ["mnist"]).items():
        (folder / "assets" / name).write_text(script)
    script = (files.PACKAGE / "site" / "draw.js").read_bytes()
    (folder / "assets" / "draw.js").write_bytes(script)
    with contextlib.ExitStack() as stack:
        address = stack.enter_context(serving.served(home))
        yield lambda: stack.enter_context(Reader(chromium, address))


def test_script_and_python_agree_on_a_hundred_test_images(published, students):
    reader = published()
    reader.open("page.html")
    page = opened(reader)
    page.get_by_role("button", name="test image of a 3").press("Enter")  # by keyboard
    answers(page)
    found = page.evaluate(
        """async () => {
            const buttons = [...document.querySelectorAll(".lab1-test-images button")];
            const others = buttons.pop();
            const bars = [...document.querySelectorAll(".lab1-answers .lab1-bar")];
            const found = [];
            for (let set = 0; set < 10; set++) {
                for (const button of buttons) {
                    button.click();
                    await new Promise((done) => setTimeout(done));
                    const shown = bars.map((bar) => bar.style.getPropertyValue("--share"));
                    found.push(shown.map(parseFloat));
                }
                others.click();
            }
            return found;
        }"""
    )
    found = np.array(found).reshape(100, 10, 2) / 100
    sheet = np.asarray(Image.open(ROOT / "figures" / "data-mnist-test.png"), float)
    images = sheet.reshape(10, 28, 10, 28).swapaxes(1, 2).reshape(100, 784)
    mnist = DATASETS["mnist"]
    right = []
    for index, (_, probe) in enumerate(students):
        values = (images / 255 - mnist.mean[0]) / mnist.std[0]
        for place, layer in enumerate(probe["layers"]):
            integers = np.frombuffer(base64.b64decode(layer["int8"]), np.int8)
            weights = integers.reshape(layer["shape"]) * np.array(layer["scales"])[:, None]
            values = (values if place == 0 else np.maximum(values, 0)) @ weights.T + layer["bias"]
        powers = np.exp(values - values.max(1, keepdims=True))
        assert found[:, :, index] == pytest.approx(powers / powers.sum(1, keepdims=True), abs=1e-6)
        right.append((values.argmax(1) == np.tile(np.arange(10), 10)).sum())
    # They are these networks, and the images are in the order of their classes.
    alone, taught = right
    assert alone <= 90 < taught


def as_mnist(ink):
    """A drawing prepared as MNIST's images were: 20 pixels, the centre of mass in the middle."""
    rows, columns = (np.nonzero(ink.any(axis))[0] for axis in (1, 0))
    box = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    scale = max(box.shape) / 20
    starts = np.arange(28)[:, None] * scale
    down, right = (  # which share of each of its pixels lies on each of the image
        np.clip(np.minimum(starts + scale, x + 1) - np.maximum(starts, x), 0, None) / scale
        for x in map(np.arange, box.shape)
    )
    image = down @ box @ right.T
    centres = np.arange(28) + 0.5
    shift = [round(14 - (image.sum(axis) @ centres) / image.sum()) for axis in (1, 0)]
    return np.roll(image, shift, (0, 1)).round()


def test_a_drawing_is_prepared_as_the_images_of_mnist_are(published):
    """Wherever it is drawn; what the networks get, Python takes as it is.

    A drawing is as large as it must be for the widest pen: then it is not enlarged before.
    """
    reader = published()
    reader.open("page.html")
    page = opened(reader)
    for points in (
        [(0.1, 0.1), (0.1, 0.8)],
        [(0.2, 0.9), (0.9, 0.5), (0.9, 0.9)],
    ):
        draw(page, *points)
        ink = page.evaluate(
            """() => {
                const field = document.querySelector(".lab1-field > canvas");
                const { data } = field.getContext("2d").getImageData(0, 0, 280, 280);
                return [...data].filter((_, index) => index % 4 === 3);
            }"""
        )
        image = seen(page)
        assert image.max() > 200
        assert image == pytest.approx(as_mnist(np.array(ink, float).reshape(280, 280)), abs=1)
        picture = Image.fromarray(image.astype(np.uint8))
        assert (image_folder.prepare(picture, (1, 28, 28))[:, :, 0] == image).all()
        page.get_by_role("button", name="Clear").last.click()


def test_a_drawn_digit_is_recognised(published):
    reader = published()
    reader.open("page.html")
    page = opened(reader)
    draw(page, (0.5, 0.2), (0.5, 0.8))
    assert [digit for digit, _ in answers(page)] == [1, 1]
    page.get_by_role("button", name="Clear").last.click()
    ring = [(0.5 + 0.2 * np.sin(a), 0.5 - 0.3 * np.cos(a)) for a in np.linspace(0, 6.28, 20)]
    draw(page, *ring)
    assert [digit for digit, _ in answers(page)] == [0, 0]
