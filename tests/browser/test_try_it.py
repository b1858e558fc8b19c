"""The page "Try it": networks train in it as the package's do, by mouse, finger and keyboard."""

import re
from pathlib import Path

import pytest
import serving
import torch
from reader import NARROW, Reader
from torch import nn

from lab1.site import try_it
from lab1.site.try_it import SETTING
from lab1.training.models.mlp import MLP, ResidualMLP

pytestmark = [pytest.mark.slow, pytest.mark.preview("try-it.html")]

ROOT = Path(__file__).resolve().parents[2]
PAGE = "try-it.html"


def choose(page, networks, depth=2, seed=1):
    """Chooses what is trained, by the keyboard."""
    page.get_by_label("Networks").select_option(networks)
    layers = page.get_by_label("Layers")
    layers.focus()
    page.keyboard.press("Home")
    for _ in range(depth - 2):
        page.keyboard.press("ArrowRight")
    page.get_by_role("spinbutton", name="Seed").fill(str(seed))


def trained(page):
    """What the page says once all have ended."""
    page.get_by_text("Trained in").wait_for(timeout=120_000)
    return page.inner_text(".lab1-watch .lab1-said")


# As the package trains


@pytest.fixture(scope="module")
def bench(chromium, tmp_path_factory):
    """The networks on a page of their own."""
    home = tmp_path_factory.mktemp("bench")
    assets = home / "_site" / "report" / "assets"
    assets.mkdir(parents=True)
    watch = try_it.fragments([])["watch"]
    (home / "_site" / "page.html").write_text(f"<!doctype html><title>T</title>{watch}")
    for name, text in try_it.script().items():
        (assets / name).write_text(text)
    for name in ("watch.js", "try-it.css"):
        (assets / name).write_bytes((ROOT / "lab1" / "site" / name).read_bytes())
    with serving.served(home) as address, Reader(chromium, address) as reader:
        reader.open("page.html")
        reader.page.add_script_tag(url="report/assets/small-digits.js")
        yield reader.page


#: What the page computes: its first weights, its batches and its losses, in 32 bits or in 64.
STEPS = """async ([choice, steps, wide]) => {
  const digits = await lab1Watch.unpacked(lab1Digits, lab1Watch.setting);
  const tools = lab1Watch.trainer(wide ? Float64Array : Float32Array);
  const start = tools.network(choice).map(({ weights, bias }) =>
    [[...weights.values], [...bias.values]]);
  const batches = [];
  for (const step of tools.training(choice, digits)) {
    batches.push([[...step.space.acts[0]], [...step.space.labels], step.loss]);
    if (step.done === steps) break;
  }
  return { start, batches };
}"""


def built(kind, depth):
    """The package's network of a kind, at its own start."""
    torch.manual_seed(0)
    sizes = [SETTING["width"]] * depth
    if kind == "residual":
        return ResidualMLP(SETTING["inputs"], sizes)
    start = "identity" if kind == "identity" else "default"
    return MLP(SETTING["inputs"], sizes, initialisation=start)


def layers(model):
    return [*model.hidden, model.output]


@pytest.mark.parametrize("kind", ["plain", "residual", "identity"])
def test_a_page_trains_as_the_package_does(bench, kind):
    """From the same start, on the same batches, the losses of a dozen steps are the same."""
    choice = {**SETTING, "kind": kind, "depth": 32, "seed": 3}
    for wide, dtype, tolerance in ((True, torch.float64, 1e-9), (False, torch.float32, 1e-5)):
        page = bench.evaluate(STEPS, [choice, 12, wide])
        model = built(kind, 32).to(dtype)
        for layer, (weights, bias) in zip(layers(model), page["start"], strict=True):
            rows = torch.tensor(weights, dtype=dtype).reshape(layer.weight.T.shape).T
            # Drawn otherwise, from the same distribution: its spread, and what its diagonal holds.
            own = layer.weight.detach()
            assert float(rows.abs().median()) == pytest.approx(float(own.abs().median()), rel=0.2)
            assert float(rows.trace()) == pytest.approx(float(own.trace()), abs=5)
            layer.load_state_dict({"weight": rows, "bias": torch.tensor(bias, dtype=dtype)})
        optimizer = torch.optim.Adam(model.parameters(), lr=SETTING["rate"])
        steps = SETTING["epochs"] * SETTING["training"] // SETTING["batch"]
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps)
        for images, labels, loss in page["batches"]:
            logits = model(torch.tensor(images, dtype=dtype).reshape(len(labels), -1))
            expected = nn.functional.cross_entropy(logits, torch.tensor(labels))
            assert loss == pytest.approx(expected.item(), rel=tolerance)
            optimizer.zero_grad()
            expected.backward()
            optimizer.step()
            schedule.step()


def test_what_is_shown_before_is_a_recording_of_this_page(bench):
    before = bench.evaluate("lab1Watch.runs()[0].lines.at(-1)")
    choose(bench, "plain")
    bench.click("[name=go]")
    trained(bench)
    after = bench.evaluate("lab1Watch.runs()[0].lines.at(-1)")
    for name in ("epoch", "loss", "accuracy"):
        assert after[name] == pytest.approx(before[name], rel=0.02)
    assert after["gradient"] == pytest.approx(before["gradient"], rel=0.05)


# On the site


def test_the_keyboard_alone_trains_and_the_address_says_what(read):
    reader = read(PAGE)
    page = reader.page
    assert not any("small-digits" in url for url in reader.received)
    choose(page, "plain", depth=3, seed=7)
    page.get_by_role("button", name="Train this one").focus()
    page.keyboard.press("Enter")
    assert re.fullmatch(r"3 plain layers: training loss \d\.\d\d\.", trained(page))
    assert page.locator(".lab1-watch tbody tr").all_inner_texts()[0].startswith("plain, 3 seed 7")
    assert page.locator(".lab1-panel .lab1-plain").count() == 2
    address = page.evaluate("location.hash")
    assert address == "#networks=plain&depth=3&seed=7"
    again = read(f"{PAGE}{address}").page
    stated = again.locator(".lab1-watch :is(select, input)").evaluate_all(
        "all => all.map((field) => field.value)"
    )
    assert stated == ["plain", "3", "7"]
    assert reader.complaints == [] and reader.foreign == []


#: Whether the first run has had no new line for half a second.
RESTS = """() => {
  const { length } = lab1Watch.runs()[0].lines;
  if (length !== window.rests?.length) window.rests = { length, since: performance.now() };
  return performance.now() - window.rests.since > 500;
}"""


def test_runs_stand_over_one_another_until_they_are_cleared(read):
    """It pauses and goes on, a second seed is drawn over the first, and one can be stopped."""
    page = read(PAGE).page
    choose(page, "residual", depth=32)
    page.click("[name=go]")
    page.wait_for_function("lab1Watch.runs()[0].id && lab1Watch.runs()[0].lines.length")
    page.get_by_role("button", name="Pause").click()
    page.wait_for_function(RESTS)
    assert not page.evaluate("lab1Watch.runs()[0].ended")
    page.get_by_role("button", name="Go on").click()
    assert "32 layers with skip connections: loss" in trained(page)
    page.get_by_role("spinbutton", name="Seed").fill("2")
    page.click("[name=go]")
    page.wait_for_function("lab1Watch.runs()[1]?.lines.length")
    page.get_by_role("button", name="Stop").click()
    assert "stopped" in page.locator(".lab1-watch tbody tr").nth(1).inner_text()
    assert page.locator(".lab1-panel .lab1-residual").count() == 4
    assert page.locator(".lab1-earlier").count() == 2
    page.get_by_role("button", name="Clear").first.click()
    assert page.locator(".lab1-watch tbody tr, .lab1-panel .lab1-residual").count() == 0


def test_a_finger_trains_on_a_telephone_and_on_a_page_from_a_file(chromium, site):
    with Reader(chromium, "file://", width=NARROW, touch=True) as reader:
        reader.page.goto((site.home / "_site" / PAGE).as_uri())
        choose(reader.page, "plain")
        reader.page.get_by_role("button", name="Train this one").tap()
        trained(reader.page)
        assert reader.page.evaluate("document.documentElement.scrollWidth") <= NARROW


def test_without_scripts_a_recorded_training_stands(read):
    page = read(PAGE, scripts=False).page
    assert page.locator(".lab1-watch svg:visible").count() == 2
    assert "32 plain layers learn worse than 2" in page.inner_text(".lab1-watch")
    front = read("index.html", scripts=False).page
    assert front.locator("a[href$='try-it.html'] svg:visible").count() == 2
