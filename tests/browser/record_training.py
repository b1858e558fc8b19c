"""Trains the networks of the page "Try it" once, and writes what it shows before a reader does so.

`python tests/browser/record_training.py` after `python -m lab1 site` writes `lab1/site/watch.json`:
numbers that the page draws, and its sentence about them.
"""

import json
from pathlib import Path

import serving
from playwright.sync_api import sync_playwright
from reader import Reader

ROOT = Path(__file__).resolve().parents[2]

#: Three digits of each number, and the gradients of the last line, which alone are shown.
NUMBERS = """() => {
  const round = (value) => Number(value.toPrecision(3));
  return lab1Watch.runs().map(({ choice: { kind, depth, seed }, lines }) => ({
    choice: { kind, depth, seed },
    lines: lines.map(({ epoch, loss, accuracy, gradient }, k) => ({
      epoch, loss: round(loss), accuracy: round(accuracy),
      ...(k === lines.length - 1 && { gradient: gradient.map(round) }),
    })),
  }));
}"""


def main():
    with (
        sync_playwright() as playwright,
        serving.chromium(playwright) as browser,
        serving.served(ROOT) as address,
        Reader(browser, address) as reader,
    ):
        reader.open("try-it.html")
        reader.page.click("[name=go]")
        reader.page.get_by_text("Trained in").wait_for(timeout=300_000)
        runs = reader.page.evaluate(NUMBERS)
        recorded = {"said": reader.page.inner_text(".lab1-watch .lab1-said"), "runs": runs}
    text = json.dumps(recorded, separators=(",", ":"))
    (ROOT / "lab1" / "site" / "watch.json").write_text(f"{text}\n")


if __name__ == "__main__":
    main()
