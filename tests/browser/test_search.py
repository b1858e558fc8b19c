"""What Quarto's site has and the preview has not: a search, and citations that open in place."""

import json
import re

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.sites("quarto")]


@pytest.mark.parametrize(
    "words, page", [("degradation", "depth"), ("Holm", "1_1"), ("install", "guide/commands")]
)
def test_the_search_finds_a_chapter_or_a_command_before_any_module(read, words, page):
    reader = read("index.html")
    reader.page.locator("#quarto-search input").fill(words)
    results = reader.page.locator(".search-result-container a, .aa-Panel a")
    results.first.wait_for()
    found = results.evaluate_all("all => all.map(a => a.href)")
    assert "/reference/" not in found[0] and any(f"{page}.html" in href for href in found[:4])


def test_the_search_index_holds_each_formula_once(site):
    """Without the sources of the formulas, which are not shown."""
    found = json.loads(site.text("search.json"))
    assert not [
        each["href"] for each in found if re.search(r"\\(frac|text|mathcal|phi)\b", each["text"])
    ]
    method = next(each for each in found if each["href"] == "report/1_2.html#the-network")
    assert method["text"].count("ϕ") > 2


def test_a_citation_opens_under_the_pointer(read):
    page = read("report/depth.html").page
    page.locator("main a[role=doc-biblioref]").first.hover()
    tip = page.locator(".tippy-box")
    tip.wait_for()
    assert "He" in tip.inner_text()


def test_the_search_index_knows_no_page_for_wrong_addresses(site):
    found = json.loads(site.text("search.json"))
    assert not any(each["href"].startswith("404") for each in found)
