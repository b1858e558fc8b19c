"""The page "About this site" leads to the licence of everything of others that the site ships."""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
FONTS = ROOT / "lab1" / "site" / "fonts"


@pytest.mark.parametrize("font", sorted(FONTS.glob("*.woff*")), ids=lambda font: font.name)
def test_each_font_has_its_licence_beside_it(font):
    licence = font.with_suffix(".license.txt")
    text = licence.read_text() if licence.exists() else (FONTS / "OFL.txt").read_text()
    assert "SIL OPEN FONT LICENSE" in text
    assert licence.exists() or font.name in text


def test_the_licences_on_the_page_are_shipped():
    linked = set(re.findall(r"\]\((lab1/[^)]+)\)", (ROOT / "about.qmd").read_text()))
    resources = yaml.safe_load((ROOT / "_quarto.yml").read_text())["project"]["resources"]
    shipped = {path for pattern in resources for path in ROOT.glob(pattern)}
    shipped |= {file for folder in shipped if folder.is_dir() for file in folder.iterdir()}
    texts = [*FONTS.glob("*.txt"), *(ROOT / "lab1" / "site" / "licenses").iterdir()]
    assert {str(path.relative_to(ROOT)) for path in texts} == linked
    assert {*texts} <= shipped
