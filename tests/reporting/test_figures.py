import base64
import html
import json
import re
from io import BytesIO
from xml.etree import ElementTree

import altair
import pandas
import pytest
from built_site import ROOT
from elements import Elements
from fontTools.ttLib import TTFont

from lab1.reporting import figure as figures
from lab1.reporting import theme
from lab1.reporting.figure import LONGEST_TABLE, MIME, Figure

#: A text with all that must not break out of a page.
AWKWARD = (
    'a "quoted" text, an <em>element</em> & an &amp; </script><script>alert(1)</script> '
    "<!-- <script> it's 'single' ± 0.5 – naïve"
)

#: The elements of the numbers behind a chart.
TABLE = {"details", "summary", "div", "table", "thead", "tbody", "tr", "th", "td"}

#: The published figures.
FIGURES = ROOT / "figures"

#: Where a page finds the pictures of a figure.
ADDRESSES = {
    use: f"pictures/one-{use}.svg" for use in ("wide", "narrow", "wide-dark", "narrow-dark")
}


def render(parts, **options):
    return figures.render(parts, ADDRESSES, **options)


@pytest.fixture
def figure():
    """Makes a figure of two points that says ``text`` wherever a figure can."""

    def make(text="Two points."):
        data = pandas.DataFrame({"x": [1, 2], "y": [3, 4], "label": [text, "other"]})
        chart = altair.Chart(data, title=text).mark_point().encode(x="x:Q", y="y:Q", text="label")
        return Figure(chart, data, text)

    return make


def test_the_parts_of_a_figure_and_what_a_notebook_keeps_of_it(figure):
    parts = figure().parts()
    assert parts.keys() == {"spec", "svg", "narrow", "csv", "alt"}
    assert parts["csv"] == "x,y,label\n1,3,Two points.\n2,4,other\n"
    assert parts["spec"]["config"] == theme.config()
    assert parts["spec"]["description"] == parts["alt"] == "Two points."
    assert parts["svg"].startswith("<svg")
    json.dumps(parts)  # plain JSON, since a notebook keeps it
    bundle = figure()._repr_mimebundle_(include=None, exclude=None)
    assert bundle.keys() == {"text/html", MIME, "text/plain"}
    assert (bundle[MIME], bundle["text/plain"]) == (parts, "Two points.")


def test_a_notebook_that_is_not_trusted_shows_the_picture(figure):
    """JupyterLab takes scripts and inline SVG away, and leaves a picture that its address holds."""
    made = figure("a <b> & c")
    page = Elements(made._repr_mimebundle_()["text/html"])
    assert {tag for tag, _ in page.all} <= {"img", *TABLE}
    image = page.one("img")
    assert image["alt"] == "a <b> & c"
    kind, content = image["src"].split(",")
    assert kind == "data:image/svg+xml;base64"
    drawn = ElementTree.fromstring(base64.b64decode(content))
    assert drawn.tag.endswith("svg") and drawn.get("style") == "background:#fff"


def test_an_awkward_text_stays_a_text_wherever_a_page_has_it(figure):
    parts = figure(AWKWARD).parts()
    markup = render(parts)
    page = Elements(markup)
    chart = page.one("div", role="img")
    assert (chart["aria-label"], chart["class"]) == (AWKWARD, "lab1-chart")
    # Nothing broke out of the attribute: there is no other element than those that render writes.
    assert [tag for tag, _ in page.all if tag in ("em", "script")] == ["script"] * 2
    page.one("script", type="application/json")
    specification, loader = page.scripts
    assert json.loads(specification) == parts["spec"] and loader == ""
    # HTML reads ``<!-- <script>`` inside a script as one more script that must be closed.
    assert "<!--" not in markup.split('class="lab1-spec">', 1)[1].split("</script>", 1)[0]
    assert f"<td>{html.escape(AWKWARD)}</td>" in markup.partition('<details class="lab1-data">')[2]


def test_pictures_for_both_themes_and_widths_are_there_without_scripts(figure):
    parts = figure().parts()
    page = Elements(render(parts))
    shown = [own for tag, own in page.all if tag in ("picture", "source", "img")]
    classes, addresses = (
        ([own[name] for own in shown if name in own] for name in ("class", "loading")),
        [own.get("src") or own.get("srcset") for own in shown],
    )
    assert [*classes] == [["lab1-light", "lab1-dark"], ["lazy", "lazy"]]
    assert [each for each in addresses if each] == [
        ADDRESSES[use] for use in ("narrow", "wide", "narrow-dark", "wide-dark")
    ]
    # The page keeps their room before they have come.
    sizes = [(int(own["width"]), int(own["height"])) for own in shown if "width" in own]
    wide, narrow = figures.size(parts["svg"]), figures.size(parts["narrow"])
    assert sizes == [narrow, wide, narrow, wide]
    assert (wide[0], narrow[0]) == (figures.WIDE, figures.NARROW)


def test_a_picture_for_dark_pages_differs_in_its_text_alone(figure):
    light = figure().parts()["svg"]
    dark = figures.in_dark(light)
    assert theme.TEXT in light and theme.TEXT not in dark
    assert dark.replace(theme.TEXT_IN_DARK, theme.TEXT) == light
    assert "currentColor" not in light  # a picture knows nothing of its page


@pytest.mark.parametrize(
    ("width", "panels", "wide", "columns", "own_axes", "names"),
    [(210, 3, 700, 3, False, 0), (210, 2, 700, 2, False, 0), (210, 5, 700, 3, True, 0),
     (210, 3, 340, 1, False, 40), (320, 2, 700, 2, True, 0), (320, 2, 500, 1, False, 0),
     (480, 1, 340, 1, True, 0), (320, 2, 700, 2, False, 40)],
)  # fmt: skip
def test_panels_fill_the_width(width, panels, wide, columns, own_axes, names):
    data = pandas.DataFrame({"x": [1, 2] * panels, "panel": [i // 2 for i in range(2 * panels)]})
    chart = (
        altair.Chart(data).mark_line().encode(x="x:Q", y="x:Q")
        .properties(width=width, height=100).facet("panel:N", columns=3)
    )  # fmt: skip
    if own_axes:
        chart = chart.resolve_scale(y="independent")
    if names:  # room for so many pixels of the names of lines
        chart = chart.properties(spacing={"row": 20, "column": 20 + names})
        wide += names * columns
    spec = chart.to_dict()
    fitted = figures.fitted(spec, wide)
    assert fitted["columns"] == columns
    drawn = figures.size(figures.draw(spec, wide))[0]
    assert 0.9 * wide <= drawn + names <= wide + 5


def test_places_are_written_to_a_hundredth_of_a_pixel_and_stay_numbers():
    drawn = figures._short_numbers('<path d="M1.23456,-0.5L631.9999999,2.5001e0,10.125,7"/>')
    assert drawn == '<path d="M1.23,-0.5L632,2.5e0,10.12,7"/>'
    # What is read is no place.
    label = '<text transform="translate(1.5,2)" aria-label="0.00012">0.0001</text>'
    assert figures._short_numbers(label) == label


def test_no_two_ticks_of_an_axis_are_named_alike():
    """Small numbers, say, that were cut to the same few decimals."""
    label = re.compile(r'<g class="mark-text role-axis-label"[^>]*>(.*?)</g>', re.DOTALL)
    for path in sorted(FIGURES.glob("*.svg")):
        for axis in label.findall(path.read_text("utf-8")):
            named = re.findall(r"<text[^>]*>([^<]*)</text>", axis)
            assert len(named) == len(set(named)), path.name


def test_the_script_is_named_as_seen_from_the_page(figure):
    parts = figure().parts()
    page = Elements(render(parts, assets="report/assets"))
    assert page.one("div", role="img")["data-assets"] == "report/assets"
    assert page.one("script", src="report/assets/charts.js").keys() == {"src", "defer"}
    assert Elements(render(parts)).one("script", src="assets/charts.js")


def test_the_data_behind_a_chart_can_be_read_as_a_table(figure):
    page = render(figure().parts()).partition('<details class="lab1-data">')[2]
    assert [*re.findall(r"<th scope=.*?>(.*?)</th>", page)] == ["x", "y", "label"]
    assert re.findall(r"<td.*?>(.*?)</td>", page) == ["1", "3", "Two points.", "2", "4", "other"]


def test_numbers_in_the_table_have_six_digits_and_counts_all_of_theirs(figure):
    parts = figure().parts() | {"csv": "test_error,n\n97.35333333333332,1234567\n0.25,\n"}
    markup = render(parts, downloads='<p><a href="x.csv">CSV</a></p>')
    assert re.findall(r'<td class="number">(.*?)</td>', markup) == ["97.3533", "1234567", "0.25"]
    assert ">test error</th>" in markup
    assert markup.endswith('\n<p><a href="x.csv">CSV</a></p></details>\n</div>')


def test_a_long_table_is_left_to_its_file(figure):
    parts = figure().parts()

    def rows(count):
        return parts | {"csv": "x\n" + "1\n" * count}

    assert "<table>" in render(rows(LONGEST_TABLE))
    assert "<details" not in render(rows(LONGEST_TABLE + 1))
    with_file = render(rows(LONGEST_TABLE + 1), downloads="<p>CSV</p>")
    assert "<table>" not in with_file and "<details" in with_file


def test_a_picture_carries_the_face_that_it_was_measured_with(figure):
    svg = figure().parts()["svg"]
    (carried,) = re.findall(r"url\(data:font/woff;base64,([^)]*)\)", svg)
    characters = TTFont(BytesIO(base64.b64decode(carried))).getBestCmap()
    text = re.sub(r"<style>.*?</style>|<[^>]*>", "", svg)
    written = re.findall(r"[0-9A-Za-z ]", html.unescape(text))
    assert written and {*map(ord, written)} <= {*characters}
    assert 'font-family="Lab Sans,' in svg


def test_nothing_is_asked_of_another_host(figure):
    for tag, attributes in Elements(render(figure().parts())).all:
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
    chart = altair.Chart(data).mark_tick().encode(x="epoch:Q")
    (rows,) = Figure(chart, data, "six thousand points").parts()["spec"]["datasets"].values()
    assert len(rows) == 6000
