"""Takes pictures of the built site, to be looked at: see `make pictures` and `make screenshot`.

`python tests/browser/pictures.py FOLDER` takes every page, light and dark, wide and narrow;
`python tests/browser/pictures.py --readme FILE` the first view of the front page.
"""

import argparse
from pathlib import Path

import serving
from playwright.sync_api import sync_playwright
from reader import NARROW, WIDE, Reader

ROOT = Path(__file__).resolve().parents[2]


def take_all(browser, address, folder):
    """One picture per page, width and theme: ``<page>-<theme>-<width>.png``."""
    folder.mkdir(parents=True, exist_ok=True)
    site = ROOT / "_site"
    for path in sorted(site.glob("**/*.html")):
        name = path.relative_to(site).as_posix()
        for width, called in ((WIDE, "wide"), (NARROW, "narrow")):
            with Reader(browser, address, width=width) as reader:
                reader.open(name)
                reader.see_all()
                for theme in ("light", "dark"):
                    reader.wear(dark=theme == "dark")
                    page = name.removesuffix(".html").replace("/", "-")
                    target = folder / f"{page}-{theme}-{called}.png"
                    reader.page.screenshot(path=target, full_page=True)


def take_readmes(browser, address, path):
    """The first view of the front page."""
    with Reader(browser, address, width=1200, height=1050) as reader:
        reader.open("index.html")
        reader.see_all()
        reader.page.screenshot(path=path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--readme", action="store_true", help="only the README's picture")
    parser.add_argument("target", type=Path, help="a folder, or with --readme a file")
    options = parser.parse_args()
    take = take_readmes if options.readme else take_all
    with (
        sync_playwright() as playwright,
        serving.chromium(playwright) as browser,
        serving.served(ROOT) as address,
    ):
        take(browser, address, options.target)


if __name__ == "__main__":
    main()
