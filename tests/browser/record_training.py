"""Trains the networks of the page "Try it" once, and writes what it shows before a reader does so.

`python tests/browser/record_training.py`, once `python -m lab1 site` has run, writes
`lab1/site/watch.json`: numbers that the page draws, a picture of them, and its sentence about them.
"""

import json
import re
from pathlib import Path

import serving
from playwright.sync_api import sync_playwright
from reader import Reader

ROOT = Path(__file__).resolve().parents[2]

#: Three digits of each number, and the gradients of the last line, which alone are shown.
RECORDED = """() => {
  const round = (value) => Number(value.toPrecision(3));
  const panels = [...document.querySelectorAll(".lab1-panel")];
  return {
    said: document.querySelector(".lab1-watch .lab1-said").textContent,
    picture: panels.map((panel) => `<div class="lab1-panel">${panel.innerHTML}</div>`).join(""),
    runs: lab1Watch.runs().map(({ choice: { kind, depth, seed }, lines }) => ({
      choice: { kind, depth, seed },
      lines: lines.map(({ epoch, loss, accuracy, gradient }, k) => ({
        epoch, loss: round(loss), accuracy: round(accuracy),
        ...(k === lines.length - 1 && { gradient: gradient.map(round) }),
      })),
    })),
  };
}"""

with (
    sync_playwright() as playwright,
    serving.chromium(playwright) as browser,
    serving.served(ROOT) as address,
    Reader(browser, address, width=375) as reader,
):
    reader.open("try-it.html")
    reader.page.click("[name=go]")
    reader.page.get_by_text("Trained in").wait_for(timeout=300_000)
    recorded = reader.page.evaluate(RECORDED)
recorded["picture"] = re.sub(r"\s+", " ", recorded["picture"])
text = json.dumps(recorded, separators=(",", ":"), ensure_ascii=False)
(ROOT / "lab1" / "site" / "watch.json").write_text(f"{text}\n", encoding="utf-8")
