import html
import json
import re
from html.parser import HTMLParser

import altair
import pandas
import pytest

from lab1.reporting.kit import theme
from lab1.reporting.kit.figure import LONGEST_TABLE, MIME, Figure, render

#: What a text must not do to the page that holds it.
AWKWARD = [
    'a "quoted" text',
    "an <em>element</em> & an &amp;",
    "</script><script>alert(1)</script>",
    "<!-- <script>",
    "it's 'single'",
    "± 0.5 – naïve",
]


class Page(HTMLParser):
    """The elements of a page with their attributes, and the text in its scripts."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.scripts, self._open = [], [], False
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self._open = tag == "script"
        if self._open:
            self.scripts.append("")

    def handle_endtag(self, tag):
        self._open = False

    def handle_data(self, data):
        if self._open:
            self.scripts[-1] += data

    def one(self, name, **attributes):
        found = [
            own for tag, own in self.elements if tag == name and attributes.items() <= own.items()
        ]
        assert len(found) == 1
        return found[0]


@pytest.fixture
def figure():
    """Makes a figure of two points that says ``text`` wherever a figure can."""

    def make(text="Two points."):
        data = pandas.DataFrame({"x": [1, 2], "y": [3, 4], "label": [text, "other"]})
        chart = altair.Chart(data, title=text).mark_point().encode(x="x:Q", y="y:Q", text="label")
        return Figure(chart, data, text)

    return make


def test_the_parts_of_a_figure(figure):
    parts = figure().parts()
    assert parts.keys() == {"spec", "svg", "csv", "alt"}
    assert parts["csv"] == "x,y,label\n1,3,Two points.\n2,4,other\n"
    assert parts["spec"]["config"] == theme.config()
    assert parts["spec"]["description"] == parts["alt"] == "Two points."
    assert parts["svg"].startswith("<svg")
    json.dumps(parts)  # plain JSON, since a notebook keeps it


def test_a_notebook_keeps_html_parts_and_text(figure):
    made = figure()
    bundle = made._repr_mimebundle_(include=None, exclude=None)
    assert bundle.keys() == {"text/html", MIME, "text/plain"}
    assert bundle[MIME] == made.parts()
    assert bundle["text/html"] == render(made.parts())
    assert bundle["text/plain"] == "Two points."


@pytest.mark.parametrize("text", AWKWARD)
def test_the_html_names_the_chart_for_those_who_do_not_see_it(figure, text):
    page = Page(render(figure(text).parts()))
    chart = page.one("div", role="img")
    assert chart["aria-label"] == text
    assert chart["class"] == "lab1-chart"
    # Nothing broke out of the attribute: there is no other element than those that render writes.
    assert [tag for tag, _ in page.elements if tag in ("em", "script")] == ["script"] * 2


@pytest.mark.parametrize("text", AWKWARD)
def test_the_specification_comes_back_out_of_its_script(figure, text):
    parts = figure(text).parts()
    page = Page(render(parts))
    page.one("script", type="application/json")
    specification, loader = page.scripts
    assert json.loads(specification) == parts["spec"]
    assert loader == ""


def test_a_comment_in_a_text_does_not_swallow_the_end_of_the_script(figure):
    """HTML reads ``<!-- <script>`` inside a script as one more script that must be closed."""
    markup = render(figure("<!-- <script>").parts())
    specification = markup.split('class="lab1-spec">', 1)[1].split("</script>", 1)[0]
    assert "<!--" not in specification


def test_the_drawing_is_there_without_scripts(figure):
    parts = figure().parts()
    assert f'<div class="lab1-view" aria-hidden="true">{parts["svg"]}</div>' in render(parts)


def test_the_script_is_named_as_seen_from_the_page(figure):
    page = Page(render(figure().parts(), assets="report/assets"))
    assert page.one("div", role="img")["data-assets"] == "report/assets"
    assert page.one("script", src="report/assets/charts.js").keys() == {"src", "defer"}
    assert Page(render(figure().parts())).one("script", src="assets/charts.js")


def test_downloads_follow_the_chart(figure):
    markup = render(figure().parts(), downloads='<p><a href="x.csv">CSV</a></p>')
    assert markup.endswith('\n<p><a href="x.csv">CSV</a></p></details>\n</div>')


def test_the_data_behind_a_chart_can_be_read_as_a_table(figure):
    page = render(figure().parts()).partition('<details class="lab1-data">')[2]
    assert [*re.findall(r"<th scope=.*?>(.*?)</th>", page)] == ["x", "y", "label"]
    assert re.findall(r"<td.*?>(.*?)</td>", page) == ["1", "3", "Two points.", "2", "4", "other"]


@pytest.mark.parametrize("text", AWKWARD)
def test_a_text_in_the_data_stays_a_text(figure, text):
    page = render(figure(text).parts()).partition('<details class="lab1-data">')[2]
    assert f"<td>{html.escape(text)}</td>" in page


def test_numbers_in_the_table_have_six_digits_and_counts_all_of_theirs(figure):
    parts = figure().parts() | {"csv": "x,n\n97.35333333333332,1234567\n0.25,\n"}
    assert re.findall(r'<td class="number">(.*?)</td>', render(parts)) == [
        "97.3533", "1234567", "0.25",
    ]  # fmt: skip


def test_a_long_table_is_left_to_its_file(figure):
    def rows(count):
        return figure().parts() | {"csv": "x\n" + "1\n" * count}

    assert "<table>" in render(rows(LONGEST_TABLE))
    assert "<details" not in render(rows(LONGEST_TABLE + 1))
    with_file = render(rows(LONGEST_TABLE + 1), downloads="<p>CSV</p>")
    assert "<table>" not in with_file and "<details" in with_file


def test_nothing_is_asked_of_another_host(figure):
    for tag, attributes in Page(render(figure().parts())).elements:
        for name in ("src", "href", "data"):
            assert "//" not in attributes.get(name, ""), tag


def test_a_drawing_holds_no_links_and_the_live_chart_does():
    """They would be wrong in the files that are taken away, and lead to a host of vl-convert's."""
    data = pandas.DataFrame({"x": [1], "y": [2], "runs": ["#runs-1"]})
    chart = altair.Chart(data).mark_point().encode(x="x", y="y", href="runs:N")
    parts = Figure(chart, data, "One point.").parts()
    assert parts["spec"]["encoding"]["href"] == {"field": "runs", "type": "nominal"}
    assert "<a " not in parts["svg"] and "vega-datasets" not in parts["svg"]


def test_what_clips_a_drawing_has_a_name_of_its_own():
    """Drawings share a page, where a name may stand once, and are drawn in any order."""

    def drawn(data):
        chart = altair.Chart(data).mark_line(clip=True).encode(x="epoch:Q", y="loss:Q")
        return Figure(chart, data, "alternative").parts()["svg"]

    falling = pandas.DataFrame({"epoch": [1, 2], "loss": [0.5, 0.25]})
    first, other, again = drawn(falling), drawn(falling * 2), drawn(falling)
    assert first == again
    names = [re.findall(r'id="([^"]*)"', each) for each in (first, other)]
    assert names[0] and not set(names[0]) & set(names[1])
    assert set(re.findall(r"url\(#([^)]*)\)", first)) == set(names[0])


def test_a_chart_may_have_more_rows_than_altair_allows_by_itself():
    """As a run of thousands of epochs has, whose chart would be refused after its training."""
    data = pandas.DataFrame({"epoch": range(6000)})
    chart = altair.Chart(data).mark_point().encode(x="epoch:Q")
    spec = Figure(chart, data, "six thousand points").parts()["spec"]
    (rows,) = spec["datasets"].values()
    assert len(rows) == 6000
