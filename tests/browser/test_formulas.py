"""Formulas are set in the font that the site ships, which has all that they are made of."""

import html
import re
import unicodedata
from pathlib import Path

import pytest
from fontTools.ttLib import TTFont

import lab1.site

pytestmark = pytest.mark.slow

FONT = "fonts/stix-two-math.woff"
#: The letter that a browser shows for one that stands alone in a formula.
ITALIC = {
    chr(int(unicodedata.decomposition(chr(code)).split()[1], 16)): chr(code)
    for code in (0x210E, *range(0x1D434, 0x1D468), *range(0x1D6E2, 0x1D71C))
    if unicodedata.decomposition(chr(code))
}


def shown(formula):
    """The characters that a browser shows of one formula, in MathML."""
    texts = re.findall(r"<(m[iont]\w*)([^>]*)>([^<]*)<", formula)
    for tag, attributes, content in texts:
        text = html.unescape(content)
        alone = tag == "mi" and len(text) == 1 and "mathvariant" not in attributes
        yield from ITALIC.get(text, text) if alone else text


def test_the_font_has_every_character_of_every_formula(site):
    font = TTFont(Path(lab1.site.__file__).parent / FONT)
    assert "MATH" in font  # how brackets grow, and where a limit stands
    formulas = [
        formula
        for name in site.names()
        for formula in re.findall(r"<math.*?</math>", site.text(name), re.DOTALL)
    ]
    assert len(formulas) > 100
    needed = {character for formula in formulas for character in shown(formula)}
    assert {"𝜙", "∑", "ℒ"} <= needed
    drawn = {each for each in needed if unicodedata.category(each) != "Cf"}  # no invisible operator
    assert not {each for each in drawn if ord(each) not in font.getBestCmap()}


def test_a_page_with_formulas_loads_it_and_others_do_not(read):
    reader = read("report/1_2.html")
    loaded = """() => document.fonts.ready.then(
        faces => [...faces].filter(face => face.status === 'loaded').map(face => face.family)
    )"""
    assert any("STIX Two Math" in each for each in reader.page.evaluate(loaded))
    assert any(name.endswith(FONT) for name in reader.received)
    reader = read("runs.html")
    assert not any(name.endswith(FONT) for name in reader.received)
