"""The preview: every convention of Quarto that it knows, and what stops it."""

import re
from itertools import pairwise
from typing import ClassVar

import html_tree
import pytest
import toy_site as toy

from lab1.errors import PublishError
from lab1.preview import build

pytest.importorskip("pypandoc", reason="the preview needs pandoc")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The built toy project."""
    root = toy.write_project(tmp_path_factory.mktemp("toy"), toy.TOY)
    pages = build(root, root / "_site")
    names = [page.relative_to(root / "_site").as_posix() for page in pages]
    assert names == ["index.html", "report/one.html", "report/two.html"]
    return root / "_site"


@pytest.fixture(scope="module")
def home(site):
    return html_tree.tree(site / "index.html")


@pytest.fixture(scope="module")
def one(site):
    return html_tree.tree(site / "report" / "one.html")


@pytest.fixture(scope="module")
def two(site):
    return html_tree.tree(site / "report" / "two.html")


@pytest.fixture
def small(tmp_path):
    """Writes a project of few pages and gives its root; ``configuration`` is added to its YAML."""

    def write(files, configuration=""):
        start = "project: {render: [index.qmd, 'report/*.ipynb']}\nwebsite: {title: Small}\n"
        root = tmp_path / "small"
        return toy.write_project(root, {"_quarto.yml": start + configuration, **files})

    return write


def built(root):
    build(root, root / "_site")
    return html_tree.tree(root / "_site" / "index.html")


def links_of(element):
    return {link.text: link["href"] for link in element.all("a")}


class TestCrossReferences:
    def test_numbers_floats_in_the_order_of_the_page(self, one):
        captions = {each["id"]: each.one("figcaption").text for each in one.all("figure")}
        assert captions == {
            "fig-png": "Figure 1: # of points",
            "fig-svg": "Figure 2: A bar, in SVG.",
            "fig-image": "Figure 3: An image.",
            "fig-div": "Figure 4: An image in a div.",
            "tbl-cell": "Table 1: Accuracy.",
            "tbl-pipe": "Table 2: A pipe table",
            "tbl-div": "Table 3: A table in a div.",
        }

    def test_captions_stand_above_tables_and_below_figures(self, one):
        for figure in one.all("figure"):
            elements = [each.name for each in figure.children if not isinstance(each, str)]
            assert elements.index("figcaption") == (
                0 if figure["id"].startswith("tbl-") else len(elements) - 1
            )

    def test_links_references(self, one):
        references = [(link.text, link["href"]) for link in one.all("a", class_="cross-reference")]
        assert references == [
            ("Figure 1", "#fig-png"),
            ("Figure 2", "#fig-svg"),
            ("Table 1", "#tbl-cell"),
            ("3", "#fig-image"),
            ("Fig. 4", "#fig-div"),
            ("Table 2", "#tbl-pipe"),
            ("Table 3", "#tbl-div"),
            ("Equation 1", "#eq-loss"),
            ("Section 2", "#sec-method"),
            ("Section 2.1", "#sec-detail"),
            ("Figure 1", "#fig-png"),  # from an output in Markdown
        ]

    def test_numbers_equations_and_uses_mathml(self, one):
        equation = one.one(id="eq-loss")
        assert equation.one(class_="equation-number").text == "(1)"
        assert len(one.all("math")) == 2
        assert "{#eq-" not in one.text

    def test_numbers_headings_where_that_is_wanted(self, small):
        text = (
            "---\ntitle: T\n---\n\n## A {#sec-a}\n\n### B\n\n## C {.unnumbered}\n\n## D\n\n@sec-a"
        )
        page = built(small({"index.qmd": text}, "format: {html: {number-sections: true}}"))
        assert [each.text for each in page.all("h2")] == ["1 A", "C", "2 D"]
        assert page.one("h3").text == "1.1 B"

    def test_citations_lead_to_the_bibliography(self, one):
        cited = [each["href"] for each in one.all("a", role="doc-biblioref")]
        assert cited == ["#ref-he2016"] * 3
        assert "Deep Residual Learning" in one.one(id="ref-he2016").text
        assert one.one("h2", id="references").text == "References"


class TestConventions:
    def test_callouts(self, one):
        assert one.one(class_="callout-note").one(class_="callout-title").text == "Note"
        assert one.one(class_="callout-warning").one("p", class_="callout-title").text == (
            "Warning: Mind this"
        )
        folded = one.one("details", class_="callout-tip")
        assert folded.one("summary").text == "Tip: Folded"
        assert folded.one(class_="callout-body").text == "Body."

    def test_unknown_divs_pass_and_what_is_for_paper_does_not(self, one):
        assert one.one("div", class_="column-margin").text == "Aside."
        assert "Only on paper" not in one.text

    def test_includes_files_relative_to_the_page_and_to_the_project(self, one):
        assert one.text.count("An included paragraph.") == 2

    def test_fragments_take_part_in_the_page(self, home):
        assert home.one("strong").text == "42"
        assert home.one("p", class_="from-fragment").text == "raw HTML stays"
        figure = home.one("figure", id="fig-story")
        assert figure.one("svg")["aria-label"] == "A line"
        assert home.one("a", href="#fig-story").text == "Figure 1"

    def test_headings_are_in_order_and_in_the_table_of_contents(self, one, home):
        for page in (one, home):
            levels = [int(each.name[1]) for each in page.all() if re.match(r"h\d$", each.name)]
            assert levels[0] == 1 and levels.count(1) == 1
            assert all(after <= before + 1 for before, after in pairwise(levels))
        contents = one.one("nav", class_="toc").all("a")
        assert [each.text for each in contents] == ["Question", "Method", "Detail", "References"]

    def test_the_first_heading_is_the_title_of_a_page_without_one(self, small):
        page = built(small({"index.qmd": "# The *title* {#sec-t}\n\n## Part\n\nText."}))
        assert page.one("h1").text == "The title"
        assert page.one("title").text == "The title – Small"
        assert page.one("h2").text == "Part"


class TestCells:
    def test_code_is_folded_unless_an_option_says_otherwise(self, one):
        folded = [each.one("code").text for each in one.all("details", class_="cell-code")]
        assert folded[:3] == ["depth = 2", "depth = 4", "plot(1)"]
        assert one.all("details", class_="cell-code")[0].one("summary").text == "Code"
        shown = [each.text for each in one.all("code", class_="python")]
        assert "1 + 1" in shown and "1 + 1" not in folded
        assert "#|" not in " ".join(shown)
        assert not any("secret" in each or "bare" in each for each in shown)
        assert "unseen" not in one.text

    def test_options_of_the_project_hold_where_a_cell_says_nothing(self, small):
        cells = [
            toy.code("a = 1"),
            toy.code('#| echo: true\n#| code-summary: The "only" `a<b>` \\\\ line\nb = 2'),
            toy.code("c = 3", toy.stream("three"), tags=["remove-cell"]),
        ]
        root = small({"report/p.ipynb": cells}, "execute: {echo: false}")
        page = html_tree.tree(*build(root, root / "_site"))
        folded = page.one("details", class_="cell-code")
        assert folded.one("code", class_="python").text == "b = 2"
        assert folded.one("summary").text == "The “only” a<b> \\ line"
        assert folded.one("summary").one("code").text == "a<b>"
        assert "three" not in page.text
        assert page.one("h1").text == "p"  # no title anywhere: the file's name

    def test_the_richest_form_is_shown(self, one):
        assert one.one("b").text == "rich"
        assert "poor" not in one.text
        sources = [each["src"].partition(",")[0] for each in one.all("img")]
        assert sources[:2] == ["data:image/png;base64", "data:image/svg+xml;base64"]
        assert one.one("pre", class_="cell-output-plain").text == "<2>"

    def test_printed_text_is_shown_as_a_terminal_would_leave_it(self, one):
        printed = [each.text for each in one.all("pre", class_="cell-output-stdout")]
        assert printed == ["bare", "100 % red ``` end"]
        assert "a warning" not in one.text
        assert "printed markdown" in one.text

    def test_images_keep_their_alternatives(self, one):
        assert [each["alt"] for each in one.all("img")] == [
            *("A point", "A bar, in SVG.", "Pasted", "A square", "An image in a div.")
        ]
        pasted = one.one("img", alt="Pasted")
        assert pasted["src"] == f"data:image/png;base64,{toy.PNG.strip()}"

    def test_an_output_cannot_break_out_of_its_place(self, site):
        assert toy.BREAKOUT in (site / "report" / "one.html").read_text()


class TestSite:
    def test_links_to_sources_lead_to_pages(self, home, one, two):
        text = links_of(home.one("article"))
        assert text["the first"] == text["from raw HTML"] == "report/one.html"
        assert home.one("a", href="report/two.html#sec-twin").text == "the second"
        assert text["the outside"] == "https://example.org/page"
        assert links_of(one.one("article"))["two"] == "two.html"
        back = links_of(two.one("article"))
        assert back == {
            "one": "one.html#sec-method",
            "its source": "one.html",
            "home": "../index.html",
        }

    def test_files_that_are_linked_or_resources_are_copied(self, site, home):
        text = links_of(home.one("article"))
        assert text["the data"] == "data/extra.csv"
        assert text["its source"] == "chapters/two.ipynb"
        assert text["a chapter without a page"] == "chapters/three.ipynb"
        files = {path.relative_to(site).as_posix() for path in site.rglob("*") if path.is_file()}
        assert files == {
            *("index.html", "report/one.html", "report/two.html", "preview.css", "charts.css"),
            *("figures/i.svg", "figures/deep/d.csv", "results/r.json"),
            *("data/extra.csv", "chapters/two.ipynb", "chapters/three.ipynb"),
        }

    def test_the_sidebar_marks_the_page(self, two):
        sidebar = two.one("nav", class_="sidebar")
        assert links_of(sidebar) == {
            "Overview": "../index.html",
            "Chapter one": "one.html",
            "Chapter two": "two.html",
            "Elsewhere": "https://example.org/",
        }
        assert sidebar.one(aria_current="page").text == "Chapter two"
        assert sidebar.one(class_="section").text == "Chapters"

    def test_pages_follow_each_other(self, home, one, two):
        assert [each["href"] for each in home.one("nav", class_="around").all("a")] == [
            "report/one.html"
        ]
        around = one.one("nav", class_="around")
        assert around.one("a", rel="prev").text == "Previous What depth does"
        assert around.one("a", rel="next").text == "Next Chapter two"
        assert not two.all("a", rel="next")

    def test_the_frame(self, home, one):
        assert home.one("html")["lang"] == "en-GB" and one.one("html")["lang"] == "en"
        assert home.one("title").text == "What depth does – A toy & its site"
        assert home.one("h1").one("em").text == "depth"
        assert home.one("meta", name="viewport")["content"] == "width=device-width, initial-scale=1"
        assert home.one("meta", name="description")["content"] == "A plain network & its twin."
        assert [each["href"] for each in one.all("link", rel="stylesheet")] == [
            "../preview.css",
            "../charts.css",
        ]
        assert home.all("a")[0]["href"] == "#" + home.one("main")["id"]
        assert home.one("footer").text == (
            "Preview without Quarto: no search; install Quarto for the full site."
        )
        assert one.one(class_="abstract").text == "Abstract What it finds."

    def test_tables_have_scopes_and_scroll_by_themselves(self, one):
        for each in one.all("table"):
            assert (each.parent["class"], each.parent["tabindex"]) == ("table-scroll", "0")
        cells = one.one(id="tbl-cell").all("th")
        assert [each["scope"] for each in cells] == ["col", "col", "row"]

    def test_the_keyboard_reaches_an_equation_that_scrolls(self, one):
        assert [each["tabindex"] for each in one.all("math", display="block")] == ["0"]
        assert all(each["tabindex"] is None for each in one.all("math", display="inline"))

    def test_no_page_loads_anything_from_another_host(self, site):
        for path in site.rglob("*"):
            if path.suffix not in {".html", ".css"}:
                continue
            text = path.read_text()
            assert not re.search(r"url\(\s*[\"']?(https?:)?//|@import", text), path
            if path.suffix == ".html":
                for each in html_tree.tree(path).all():
                    loaded = [each["src"], each["href"] if each.name != "a" else None]
                    assert not any(re.match(r"(https?:)?//", value or "") for value in loaded)

    def test_a_chapter_that_the_profile_leaves_out_is_left_out_of_the_sidebar(self, small):
        sidebar = "{sidebar: {contents: [index.qmd, report/2_2.ipynb]}}"
        root = small({"index.qmd": "# Home", "chapters/2_2.ipynb": []})
        configuration = f"project: {{render: [index.qmd]}}\nwebsite: {sidebar}\n"
        (root / "_quarto.yml").write_text(configuration)
        assert links_of(built(root).one("nav", class_="sidebar")) == {"Home": "index.html"}
        (root / "chapters" / "2_2.ipynb").unlink()
        with pytest.raises(PublishError, match=r"report/2_2\.ipynb is not among the pages"):
            build(root, root / "_site")

    def test_icon_cards_and_sitemap_derive_from_the_address(self, small):
        website = "title: Small, favicon: icon.svg, image: /card.png"
        root = small(
            {
                "index.qmd": "---\ntitle: Home\ndescription: A & B.\n---\nText.",
                "404.qmd": "# Nothing here",
                "report/one.ipynb": [],
                "icon.svg": toy.SVG,
                "card.png": "a picture",
            },
            "project: {render: [index.qmd, 404.qmd, 'report/*.ipynb'], resources: [card.png]}\n"
            f"website: {{{website}, site-url: 'https://a.org/x/'}}\n",
        )
        home = built(root)
        assert home.one("link", rel="icon")["href"] == "icon.svg"
        assert (root / "_site" / "icon.svg").is_file()
        assert home.one("link", rel="canonical")["href"] == "https://a.org/x/index.html"
        cards = {each["property"] or each["name"]: each["content"] for each in home.all("meta")}
        assert cards["og:image"] == cards["twitter:image"] == "https://a.org/x/card.png"
        assert cards["og:description"] == "A & B."
        one = html_tree.tree(root / "_site" / "report" / "one.html")
        assert one.one("link", rel="icon")["href"] == "../icon.svg"
        listed = re.findall("<loc>(.*)</loc>", (root / "_site" / "sitemap.xml").read_text())
        assert listed == ["https://a.org/x/index.html", "https://a.org/x/report/one.html"]

    def test_without_an_address_nothing_is_made_up(self, small):
        home = built(small({"index.qmd": "# Home", "card.png": ""}, "website: {image: card.png}\n"))
        properties = {each["property"] for each in home.all("meta")}
        assert "og:title" in properties
        assert not properties & {"og:image", "og:url"}
        assert not home.all("link", rel="canonical") and not home.all("link", rel="icon")

    def test_colours_contrast_in_both_themes(self, site):
        pairs = re.findall(
            r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\)", (site / "preview.css").read_text()
        )
        colours = {name: values for name, *values in pairs}
        backgrounds = [colours.pop("page"), colours.pop("raised")]
        colours.pop("line")  # between things, where nothing is to be read
        assert len(colours) > 10
        for name, values in colours.items():
            for background in backgrounds:
                for ink, paper in zip(values, background, strict=True):
                    assert contrast(ink, paper) >= 4.5, f"{name}: {ink} on {paper}"


def contrast(one, other):
    """WCAG 2.2's contrast ratio of two colours."""

    def luminance(colour):
        channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


class TestFailures:
    # All pages of one project, since pandoc's complaints are collected over the pages.
    PAGES: ClassVar = {
        "unresolved": ("See @fig-nowhere.", "unresolved reference @fig-nowhere"),
        "uncited": ("See @nobody2020.", "citation nobody2020 not found"),
        "fragment": ('::: {.fragment file="report/no.md"}\n:::', "report/no.md is missing"),
        "unnamed": ("::: {.fragment}\n:::", "the div needs a file"),
        "shortcode": ("A {{< video x.mp4 >}} here.", "does not know the shortcode"),
        "unclosed": ("::: {.column-margin}\nText", "unclosed"),
        "maths": ("$\\frac{1$ and $\\nosuchthing{1}{2}$", "Could not convert TeX math"),
        "twice": (
            "# A {#sec-a}\n\n::: {#fig-a}\nx\n\nA.\n:::\n\n::: {#fig-a}\ny\n\nB.\n:::",
            "fig-a",
        ),
        "label": ("Text {#eq-a}.", "the label {#eq-a} stands where it labels nothing"),
    }

    def test_what_pandoc_cannot_resolve(self, small):
        files = {
            f"report/{name}.ipynb": [toy.markdown(text)] for name, (text, _) in self.PAGES.items()
        }
        root = small(files)
        with pytest.raises(PublishError) as caught:
            build(root, root / "_site")
        lines = str(caught.value).splitlines()
        for name, (_, message) in self.PAGES.items():
            about = [line for line in lines if line.startswith(f"report/{name}.ipynb: ")]
            assert any(message in line for line in about), f"{name}: {about or lines}"

    @pytest.mark.parametrize(
        ("cells", "message"),
        [
            (
                [toy.raw("---\ntitle: T\n---"), toy.code("#| label: fig-a\nx", toy.FAILURE)],
                r"report/p\.ipynb, cell 2 \(fig-a\) failed: ValueError: no runs",
            ),
            ([toy.code("#| include: false\nx", toy.FAILURE)], "cell 1 failed"),
            (
                [toy.code("#| echo: [\nx")],
                r"report/p\.ipynb, cell 1: options: not readable as YAML",
            ),
            (
                [toy.markdown("{{< include no.md >}}")],
                r"report/p\.ipynb: report/no\.md is not read",
            ),
            ([toy.raw("---\n- a\n---")], r"report/p\.ipynb: front matter: needs 'key: value'"),
            (
                [toy.raw("---\nbibliography: no.bib\n---")],
                r"report/p\.ipynb: report/no\.bib does not exist",
            ),
        ],
    )
    def test_what_a_notebook_cannot_be_published_with(self, small, cells, message):
        root = small({"report/p.ipynb": cells})
        with pytest.raises(PublishError, match=message):
            build(root, root / "_site")

    def test_code_that_would_have_to_be_executed(self, small):
        root = small({"index.qmd": "```{python}\n1\n```"})
        with pytest.raises(PublishError, match=r"index\.qmd: ```\{python\}: .* executes no code"):
            build(root, root / "_site")

    def test_all_broken_links_are_listed(self, small):
        text = (
            "# Title\n\n## Here {#sec-here}\n\n"
            "[a](no.csv) [b](report/p.ipynb#no) [c](#nowhere) [d](../up.txt)"
            " [e](#sec-here) [f](report/p.ipynb#sec-p) [g](report) ![h](no.png)\n\n"
            "```{=html}\n<script src='https://cdn.example/x.js'></script>\n"
            "<style>@import url(//cdn.example/x.css);</style>\n"
            "<img alt='' srcset='no2.png 2x'>\n```\n"
        )
        files = {"index.qmd": text, "report/p.ipynb": [toy.markdown("# P\n\n## P {#sec-p}\n")]}
        root = small({**files, "up.txt": "in the project, where ../up.txt is not"})
        with pytest.raises(PublishError) as caught:
            build(root, root / "_site")
        broken = [
            "no.csv",
            "report/p.html#no",
            "#nowhere",
            "../up.txt",
            "report",
            "no.png",
            "no2.png",
        ]
        loaded = ["https://cdn.example/x.js", "//cdn.example/x.css"]
        assert sorted(str(caught.value).splitlines()[1:]) == sorted(
            [f"index.html: broken link to {each}" for each in broken]
            + [f"index.html: loads {each} from another host" for each in loaded]
        )

    def test_the_old_site_stays_until_the_new_one_is_whole(self, small):
        root = small({"index.qmd": "Old, with [data](old.csv)", "old.csv": ""})
        site = root / "_site"
        build(root, site)
        before = {path: path.read_bytes() for path in site.rglob("*") if path.is_file()}
        assert len(before) == 3
        (root / "index.qmd").write_text("New, and [broken](no.csv)")
        with pytest.raises(PublishError):
            build(root, site)
        assert {path: path.read_bytes() for path in site.rglob("*") if path.is_file()} == before

        (root / "index.qmd").write_text("New")
        assert build(root, site) == [site / "index.html"]
        assert "New" in (site / "index.html").read_text()
        assert sorted(path.name for path in site.rglob("*")) == ["index.html", "preview.css"]
        names = {path.name for path in root.iterdir()}
        assert names == {"_quarto.yml", "_site", "index.qmd", "old.csv"}

    def test_the_project_is_not_replaced_by_its_site(self, small):
        root = small({"index.qmd": "x"})
        for output in (root, root.parent):
            with pytest.raises(PublishError, match="cannot be replaced"):
                build(root, output)
        assert (root / "index.qmd").is_file()

    @pytest.mark.parametrize(
        ("configuration", "message"),
        [
            ("project: [", "not readable"),
            ("project: {render: [no.qmd]}", "names no page that exists"),
            ("project: {render: [index.qmd], resources: [../x]}", "leads out of the project"),
            ("project: {render: [index.qmd]}\nbibliography: no.bib", r"no\.bib does not exist"),
        ],
    )
    def test_a_configuration_that_cannot_be_used(self, small, configuration, message):
        root = small({"index.qmd": "x"})
        (root / "_quarto.yml").write_text(configuration)
        with pytest.raises(PublishError, match=rf"_quarto\.yml: .*{message}"):
            build(root, root / "_site")


def test_needs_neither_torch_nor_pandas_nor_the_training_half(python):
    python(
        "import sys, lab1.preview\n"
        "loaded = [each for each in ('torch', 'pandas', 'lab1.training') if each in sys.modules]\n"
        "assert not loaded, loaded\n"
    )
