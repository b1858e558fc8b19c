"""Quarto's site keeps every rule that a page can use, and no other, and finds chapters first."""

import json

import pytest

from lab1.site.post_render import (
    defer_scripts,
    drop_sitemap_without_address,
    prune_css,
    rank_chapters_first,
)

PAGE = '<body class="floating"><p class="note first sm:note" id="top">A <b>word</b>.</p></body>'
SCRIPT = "element.classList.add('shown'); tip.className = `tip-${side}`; f('--wide')"


@pytest.fixture
def left(tmp_path):
    """What is left of a stylesheet beside that page and that script."""

    def left(style):
        (tmp_path / "site_libs" / "quarto").mkdir(parents=True)
        (tmp_path / "index.html").write_text(PAGE)
        (tmp_path / "site_libs" / "a.js").write_text(SCRIPT)
        sheet = tmp_path / "site_libs" / "quarto" / "a.min.css"
        sheet.write_text(style)
        fewer = prune_css(tmp_path)
        assert fewer == len(style) - len(sheet.read_text())
        return sheet.read_text()

    return left


@pytest.mark.parametrize(
    "rule",
    [
        "p{color:red}", ":root{--a:1}p{color:var(--a)}", "p{b{color:red}}", "#top{color:red}",
        ".note b>i::before{content:'.card{'}", "p.note.first:hover{color:red}",
        # The script reads the first and the second, and puts the third together.
        ":root{--wide:1}", ".shown{color:red}", ".tip-left{color:red}",
        "body:not(.docked):not(.floating .card) p{color:red}",  # what is excluded need not be there
        "p:is(.note,.card){color:red}", 'a[href$=".card"]{color:red}', r".sm\:note{color:red}",
        "@media (max-width:9px){.note{color:red}}",
        "@supports (display:grid){@media print{.note{color:red}}}",
        "@font-face{font-family:A;src:url(a.woff)}", "@keyframes card{to{opacity:0}}",
        '@charset "UTF-8";',
    ],
)  # fmt: skip
def test_a_rule_that_can_apply_stays_as_it_is(left, rule):
    assert left(rule) == rule


@pytest.mark.parametrize(
    ("style", "rest"),
    [
        (".card{color:red}p{color:red}", "p{color:red}"),
        (".card,.note{color:red}", ".note{color:red}"),
        (".note .card>b{color:red}", ""),
        ("#bottom{color:red}", ""),
        ("@media print{.card{color:red}}b{color:red}", "b{color:red}"),
        (":root{--a:url(a;b);--c:1}p{width:var(--c)}", ":root{--c:1}p{width:var(--c)}"),
        ("p{--a:1}", ""),
        (":root{--a:1}.card{width:var(--a)}b{color:red}", "b{color:red}"),
        ("@media print{.card{color:red}.note{color:red}}", "@media print{.note{color:red}}"),
    ],
)
def test_a_rule_for_what_no_page_has_goes(left, style, rest):
    assert left(style) == rest


def test_what_an_escape_stands_for_is_read_as_such(left):
    rest = '@charset "UTF-8";p::before{content:"\uf12c"}'
    assert left(r'p::before{content:"\f12c"}' + ".card{color:red}" * 3) == rest


def test_a_site_without_quartos_folder_and_search_stays_as_it_is(tmp_path):
    assert prune_css(tmp_path) == 0
    assert rank_chapters_first(tmp_path) == 0 and not [*tmp_path.iterdir()]


#: As Quarto writes it: an entry for each section of each page.
ENTRIES = [
    {"href": "reference/reporting.html#a", "section": "lab1.reporting.degradation", "text": "a"},
    {"href": "report/depth.html", "section": "", "text": "degradation"},
    {"href": "reference/index.html", "section": "", "text": "b"},
    {"href": "report/1_1.html#sec-method", "section": "Method", "text": "Größe"},
]


def test_chapters_come_first_and_names_of_modules_weigh_no_more_than_text(tmp_path):
    (tmp_path / "search.json").write_text(json.dumps(ENTRIES))
    assert rank_chapters_first(tmp_path) == 4
    found = json.loads((tmp_path / "search.json").read_text(encoding="utf-8"))
    pages = ["report/depth", "report/1_1", "reference/reporting", "reference/index"]
    assert [each["href"].partition(".html")[0] for each in found] == pages
    assert [each["section"] for each in found] == ["", "Method", "", ""]
    # A word weighs less in a long text.
    assert [each["text"].partition(" ")[0] for each in found] == ["degradation", "Größe", "a", "b"]
    assert [len(each["text"].split()) > 500 for each in found] == [False, False, True, True]
    # An index that Quarto has not written anew is not made longer once more.
    assert rank_chapters_first(tmp_path) == 4
    assert json.loads((tmp_path / "search.json").read_text(encoding="utf-8")) == found


def test_the_scripts_of_quarto_wait_until_the_page_stands(tmp_path):
    kept = (
        '<script src="site_libs/quarto.js" type="module"></script>'
        '<script>run()</script><script src="report/assets/charts.js" defer=""></script>'
    )
    page = tmp_path / "index.html"
    page.write_text(f'<script src="../site_libs/nav/nav.js"></script>{kept}')
    assert [defer_scripts(tmp_path), defer_scripts(tmp_path)] == [1, 0]
    assert page.read_text() == f'<script defer src="../site_libs/nav/nav.js"></script>{kept}'


@pytest.mark.parametrize(("address", "stay"), [("", False), ("https://example.org", True)])
def test_a_sitemap_names_the_address_of_the_site_or_is_not_there(tmp_path, address, stay):
    (tmp_path / "robots.txt").write_text(f"Sitemap: {address}/sitemap.xml\n")
    (tmp_path / "sitemap.xml").write_text(f"<loc>{address}/index.html</loc>")
    drop_sitemap_without_address(tmp_path)
    assert [(tmp_path / name).exists() for name in ("robots.txt", "sitemap.xml")] == [stay] * 2
