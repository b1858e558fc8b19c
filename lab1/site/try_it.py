"""The page "Try it": networks that train in the page, beside what the chapters measured."""

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from string import Template

from ..core.datasets import DATASETS
from ..core.escape import for_html
from ..core.files import project_root
from ..reporting import frames, front_page, tables
from .frame import PublishedPage

_SITE = Path(__file__).parent

#: How the page's networks train (`watch.js`), on images of `SIDE` x `SIDE` pixels.
SIDE = 14
SETTING = {"training": 2000, "test": 500, "inputs": SIDE**2, "classes": 10, "width": 32,
           "epochs": 12, "batch": 40, "rate": 0.001}  # fmt: skip

#: Where the page finds its scripts.
_ASSETS = "report/assets"


def fragments(pages: Sequence[PublishedPage]) -> dict[str, str]:
    """The page's parts as Markdown, by name; beside the toy stand the cards of its two chapters."""
    recorded = json.loads((_SITE / "watch.json").read_text(encoding="utf-8"))
    data = {
        "digits": f"{_ASSETS}/small-digits.js",
        "setting": SETTING,
        "recorded": recorded["runs"],
    }
    watch = Template((_SITE / "watch.html").read_text(encoding="utf-8")).substitute(
        recorded, data=for_html(json.dumps(data, separators=(",", ":"))), assets=_ASSETS
    )
    behind = {page.page.name: page for page in pages if page.page.name in ("1_1", "1_2")}
    return {
        "watch": front_page.as_html(watch),
        "try-it": front_page.as_html(
            f'<a class="lab1-panels" href="try-it.html" aria-label="Watch depth fail">'
            f'{recorded["picture"]}</a>\n<link rel="stylesheet" href="{_ASSETS}/try-it.css">'
        ),
        "toy": front_page.as_html(toy(behind["1_2"])) if "1_2" in behind else "",
        "behind": front_page.cards(
            [(page.title, f"report/{name}.ipynb", page.claims) for name, page in behind.items()]
        ),
    }


def toy(page: PublishedPage) -> str:
    """A table of how the networks here train, and those of the first question of a page."""
    runs = frames.of_one_question(page.records)
    model, training = runs[0].spec.model, runs[0].spec.training
    dataset = DATASETS[runs[0].spec.dataset]
    seen = training.train_size or dataset.train_size - training.validation_size
    _, height, width = dataset.image_shape
    rows = (
        ("training images", f"{SETTING['training']:,}", f"{seen:,}"),
        ("pixels of an image", f"{SIDE} × {SIDE}, four greys", f"{height} × {width}"),
        ("units in a layer", SETTING["width"], model.width),
        ("epochs", SETTING["epochs"], training.epochs),
        ("images in a batch", SETTING["batch"], training.batch_size),
        ("learning rate", SETTING["rate"], training.learning_rate),
        ("seeds", 1, len({run.spec.seed for run in runs})),
    )
    cells = [[tables.text(name), *map(tables.number, values)] for name, *values in rows]
    return tables.markup(["", "here", page.title], cells)


def script() -> dict[str, str]:
    """The small digits as a script, by name; nothing where they were not drawn.

    A page that is opened from a file may load nothing else.
    """
    picture = project_root() / "figures" / "data-mnist-small.png"
    if not picture.is_file():
        return {}
    content = base64.b64encode(picture.read_bytes()).decode()
    return {"small-digits.js": f'window.lab1Digits = "data:image/png;base64,{content}";\n'}
