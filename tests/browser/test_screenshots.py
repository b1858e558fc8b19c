"""Pictures of every page, light and dark, wide and narrow, kept in test-artifacts/ to be looked at.

`make screenshot` takes the README's from here.
"""

import struct

import pytest
from built_site import ROOT
from reader import WIDE

pytestmark = pytest.mark.slow

FOLDER = ROOT / "test-artifacts" / "screenshots"


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_page_has_its_picture(site, seen, name, width, dark):
    seen.wear(dark=dark)
    look = f"{'dark' if dark else 'light'}-{'wide' if width == WIDE else 'narrow'}"
    page = name.removesuffix(".html").replace("/", "-")
    path = FOLDER / site.kind / f"{page}-{look}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    seen.page.screenshot(path=path, full_page=True)
    seen.wear(dark=False)
    assert size(path.read_bytes())[0] == width


def test_the_readmes_picture(site, read):
    """The first view of the front page."""
    reader = read("index.html", width=1200, height=1050)
    reader.see_all()
    path = FOLDER / f"readme-{site.kind}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    reader.page.screenshot(path=path)
    assert size(path.read_bytes()) == (1200, 1050)


def size(png):
    """Width and height of a picture, from its header."""
    return struct.unpack(">II", png[16:24])
