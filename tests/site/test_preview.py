"""The preview: a page with one of everything that the chapters use, and what stops the build."""

import re
import shutil
import sys
from pathlib import Path

import pytest
from nbformat import v4, writes

from lab1.errors import PublishError
from lab1.site.preview import _code_cell, build

pytest.importorskip("pypandoc", reason="the preview needs pandoc")

SETTINGS = """\
project: {render: [index.qmd, "report/*.ipynb"], resources: [figures, "chapters/*.ipynb"]}
bibliography: chapters/references.bib
website:
  title: A toy & its site
  sidebar:
    contents:
      - {text: Overview, href: index.qmd}
      - {section: Chapters, contents: "report/*.ipynb"}
"""

INDEX = """\
---
title: "What depth does"
description: "A plain network & its twin."
toc: false
---

See @fig-story in [chapter one](report/one.ipynb#sec-question) or [two](report/two.ipynb).

::: {.fragment file="report/answer.md"}
:::
"""

ANSWER = "::: {#fig-story}\n```{=html}\n<svg/>\n```\n\nWhat the *story* is.\n:::\n"

PROSE = """\
## Question {#sec-question}

See @fig-loss, @tbl-runs, @fig-late and @eq-loss. A claim [see @he2016, p. 3].

$$ L = -\\log p $$ {#eq-loss}

::: {.callout-tip collapse="true"}
## Solution
Look at $x^2$.

::: {#fig-late}
**Within the callout.**

A figure in a callout.
:::
:::

::: {.callout-note}
Plain.
:::

| a | b |
|---|--:|
| 1 | 2 |

See [elsewhere](https://example.org/page) and [above](#sec-question).
Back to [the front](../index.qmd), or to [the source](../chapters/one.ipynb){download="one.ipynb"}.

## References

::: {#refs}
:::
"""


def code(source, *outputs):
    """A code cell with its outputs: Markdown, or pairs of a kind and a text."""
    kinds = [output if isinstance(output, tuple) else ("markdown", output) for output in outputs]
    return v4.new_code_cell(
        source,
        outputs=[
            v4.new_output("stream", name=kind, text=text)
            if kind.startswith("std")
            else v4.new_output("display_data", {f"text/{kind}": text})
            for kind, text in kinds
        ],
    )


def chapter(title, *cells):
    """A notebook as text; a string among its cells is prose."""
    prose = [v4.new_markdown_cell(cell) if isinstance(cell, str) else cell for cell in cells]
    title_cell = v4.new_raw_cell(f"---\ntitle: {title}\n---")
    return writes(v4.new_notebook(cells=[title_cell, *prose]))


ONE = chapter(
    "Chapter one",
    code('#| code-summary: "Set-up: the *runs*"\nruns = 1', ("stderr", "training")),
    code('#| label: fig-loss\n#| fig-cap: "The *loss*."\nchart()', "```{=html}\n<svg/>\n```"),
    code("#| label: tbl-runs\n#| tbl-cap: The runs.\n#| echo: false\nhidden()", "<b>5</b> runs"),
    code("#| echo: false\nsay()", "Depth **hurts**."),
    PROSE,
)


@pytest.fixture
def root(tmp_path):
    """The toy project, not yet built."""
    files = {
        "_quarto.yml": SETTINGS,
        "index.qmd": INDEX,
        "chapters/references.bib": "@book{he2016, author={He, K.}, title={Deep}, year={2016}}",
        "chapters/one.ipynb": "the source of one",
        "chapters/two.ipynb": "the source of two, which has no page",
        "report/answer.md": ANSWER,
        "report/one.ipynb": ONE,
        "figures/deep/d.csv": "a,b",
    }
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    return tmp_path


def words(html):
    """The text of HTML, white space collapsed."""
    return " ".join(re.sub(r"<[^>]*>", "", html).split())


def contents(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_page_with_one_of_everything(root):
    page = build(root)[1].read_text()
    figures = re.findall(r'<figure id="([\w-]+)">(.*?)</figure>', page, re.DOTALL)
    assert [(label, words(body)) for label, body in figures] == [
        ("fig-loss", "Figure 1: The loss."),
        ("tbl-runs", "Table 1: The runs. 5 runs"),
        ("fig-late", "Within the callout. Figure 2: A figure in a callout."),
    ]
    assert re.findall(r'<a href="#((?:fig|tbl|eq)[^"]*)">([^<]*)<', page) == [
        ("fig-loss", "Figure\xa01"),
        ("tbl-runs", "Table\xa01"),
        ("fig-late", "Figure\xa02"),
        ("eq-loss", "Equation\xa01"),
    ]
    assert re.search(r'<span id="eq-loss" class="equation">.*<math.*\(1\)', page)
    assert "<annotation" not in page  # the formula's source, which nobody sees
    assert 'href="#ref-he2016"' in page and 'id="ref-he2016"' in page
    folded = re.findall(r'<details class="cell-code">(.*?)</details>', page, re.DOTALL)
    assert [words(code) for code in folded] == ["Set-up: the runs runs = 1", "Code chart()"]
    titles = re.findall(r'"callout-title">(.*?)<div class="callout-body">', page, re.DOTALL)
    assert [words(title) for title in titles] == ["Tip: Solution", "Note"]
    assert '<details class="callout callout-tip"><summary' in page
    assert '<div class="callout callout-note"><p' in page
    assert "Depth <strong>hurts</strong>." in page
    assert re.search(r'<div class="table-scroll"[^>]*tabindex="0"[^>]*>\s*<table>', page)
    assert '<a href="https://example.org/page">elsewhere</a>' in page
    assert '<a href="../index.html">the front</a>' in page
    assert '<a href="../chapters/one.ipynb" download="one.ipynb">the source</a>' in page
    assert not re.search(r"training|hidden\(|#\||\{#|:::", page)


@pytest.mark.parametrize(
    ("source", "folded", "open_code"),
    [
        ("chart()", 1, 0),
        ("#| code-fold: false\n\ndef one_run(): ...", 0, 1),
        ("#| echo: false\nchart()", 0, 0),
        ('chapter.claim("It hurts.", findings["depth"].below())', 0, 0),
    ],
)
def test_a_cell_shows_its_code_folded_open_or_not_at_all(source, folded, open_code):
    """That of a sentence is never shown."""
    cell = v4.new_code_cell(source)
    markdown = _code_cell(cell, 1)
    assert markdown.count("<details") == folded
    assert markdown.count("python\n") == folded + open_code


def test_the_frame_of_a_page(root):
    front, one = build(root)
    page = front.read_text()
    assert "<title>What depth does – A toy &amp; its site</title>" in page
    assert '<meta name="description" content="A plain network &amp; its twin.">' in page
    assert "<h1>What depth does</h1>" in page
    assert "Figure 1: What the story is." in words(page)
    assert 'class="toc"' not in page and "Previous" not in words(page)
    page = one.read_text()
    assert 'class="toc"' in page and 'href="#sec-question"' in page
    assert '<a href="one.html" aria-current="page">Chapter one</a>' in page
    assert '<a rel="prev" href="../index.html">' in page
    assert "Previous What depth does" in words(page) and "Next" not in words(page)
    assert (root / "_site" / "figures" / "deep" / "d.csv").read_text() == "a,b"


def test_a_profile_without_chapters_has_no_dead_link(root):
    (root / "report" / "one.ipynb").unlink()
    page = build(root)[0].read_text()
    assert "chapter one</a>" not in page and "two</a>" not in page
    for name in re.findall(r'(?:href|src)="([^"#:]+)', page):
        assert (root / "_site" / name).is_file(), name
    assert "Chapters" not in page


def test_pages_stand_in_order_with_sections_of_files_and_no_link_to_what_is_left_out(root):
    index = root / "index.qmd"
    (root / "chapters" / "left-out.ipynb").write_text("{}")
    index.write_text(f"{index.read_text()}\nSee [the other](report/left-out.ipynb#a), or not.\n")
    changes = "# All\n\nBefore.\n\n## Claims\n\nThese.\n\n### More\n\nThose.\n\n## Next\n\nAfter.\n"
    (root / "report" / "changes.md").write_text(changes)
    section = '::: {.fragment file="report/changes.md" section="Claims"}\n:::'
    for name, order, text in (("a", 2, section), ("b", 1.5, "Text.")):
        notebook = chapter(f"{name}\norder: {order}", text)
        (root / "report" / f"{name}.ipynb").write_text(notebook)
    front = build(root)[0].read_text()
    assert "See the other, or not." in front
    places = [front.index(f'href="report/{name}.html"') for name in ("one", "b", "a")]
    assert places == sorted(places)
    page = (root / "_site" / "report" / "a.html").read_text()
    assert "These." in page and "Those." in page
    assert "Before." not in page and "After." not in page


GLOSSARY = """\
---
title: Glossary
---

[Twin]{#twin}
:   A run that differs in *one* thing: `loss`, say. See more.

[Skip connection, $x$]{#skip}
:   The addition of an input to an output: $x + F(x)$. Also called shortcut.

[Degradation]{#degradation}
:   Worse on training images [@he2016].
"""


def test_a_term_carries_its_meaning_and_a_number_keeps_to_its_sign(root):
    (root / "glossary.qmd").write_text(GLOSSARY)
    settings = SETTINGS.replace("index.qmd,", "index.qmd, glossary.qmd,", 1)
    (root / "_quarto.yml").write_text(settings)
    links = "".join(
        f"A [{name}](../glossary.qmd#{name}). " for name in ("twin", "skip", "degradation")
    )
    links += "So 93 ± 1 for 95 % with (*n* = 3), at 5: `a-b --c-d <e>`."
    (root / "report" / "part.ipynb").write_text(chapter("part", links))
    build(root)
    page = (root / "_site" / "report" / "part.html").read_text()
    found = re.findall(r'href="\.\./glossary\.html#(\w+)"[^>]*data-meaning="([^"]*)"', page)
    assert dict(found) == {
        "twin": "A run that differs in one thing: loss, say. See more.",
        "skip": "The addition of an input to an output.",
        "degradation": "Worse on training images.",
    }
    assert "So 93\xa0±\xa01 for 95\xa0% with (<em>n</em>\xa0=\xa03), at 5: <code>a-b <span" in page
    assert '<code>a-b <span class="lab1-option">--c-d</span> &lt;e></code>.' in page
    assert 'id="twin"' in (root / "_site" / "glossary.html").read_text()


#: What a page says, and what the build says of it.
FAULTS = {
    "unresolved": ("See @fig-nowhere.", "unresolved reference @fig-nowhere"),
    "bracketed": ("::: {#fig-a}\nx\n\ny\n:::\n\n[@fig-a; @he2016]", "in brackets: @fig-a"),
    "uncited": ("See @nobody2020.", "citation nobody2020 not found"),
    "fragment": ('::: {.fragment file="report/no.md"}\n:::', "report/no.md is missing"),
    "section": (
        '::: {.fragment file="report/answer.md" section="No"}\n:::',
        'report/answer.md has no section "No"',
    ),
    "glossary": ("A [twin](../no-glossary.qmd#twin).", "no-glossary.qmd is missing"),
    "term": ("A [thing](terms/glossary.qmd#thing).", "glossary.qmd has no term with the id thing"),
    "shortcode": ("A {{< video x.mp4 >}} here.", "not known here: {{<"),
    "maths": ("$\\nosuchthing{1}{2}$", "Could not convert TeX math"),
    "twice": ("::: {#fig-a}\nx\n\ny\n:::\n\n" * 2, "two things have the label fig-a"),
    "uncaptioned": ("::: {#fig-a}\nx\n:::", "fig-a needs something to show, and a caption"),
    "label": ("Text {#eq-a}.", "not known here: {#eq-a}"),
    "link": ("[data](no.csv)", "a link leads nowhere: no.csv"),
    "source": ("[no chapter](no.ipynb)", "a link leads nowhere: no.ipynb"),
}


@pytest.mark.slow
def test_what_cannot_be_resolved_is_told_of_all_pages_and_the_old_site_stays(root):
    (root / "report" / "terms").mkdir()
    (root / "report" / "terms" / "glossary.qmd").write_text(GLOSSARY)
    build(root)
    old = contents(root / "_site")
    for name, (text, _) in FAULTS.items():
        (root / "report" / f"{name}.ipynb").write_text(chapter(name, text))
    with pytest.raises(PublishError) as caught:
        build(root)
    message = str(caught.value)
    for name, (_, fault) in FAULTS.items():
        told = re.search(rf"^report/{name}\.ipynb: (.*)", message, re.MULTILINE)
        assert told and fault in told[1], f"{name}: {message}"
    assert "one.ipynb" not in message and "quarto.lua" not in message
    assert contents(root / "_site") == old and not list(root.glob("._site-*"))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("{", "NotJSONError"),
        (chapter("T", code("x", ("plain", "<2>"))), "cell 2 has an output that is not Markdown"),
        (chapter("T", code("x", ("stdout", "printed"))), "cell 2 has an output that is"),
        (chapter("T", code("#| echo: [\nx")), r"echo: \["),
        (chapter("T", code("#| include: false\nx")), "cell 2 has options .*'include'"),
        (chapter("["), r"title: \["),
        (writes(v4.new_notebook()), "does not begin with its title"),
    ],
)
def test_a_page_that_cannot_be_read_is_named(root, text, fault):
    (root / "report" / "bad.ipynb").write_text(text)
    with pytest.raises(PublishError, match=rf"report/bad\.ipynb: (?s:.*){fault}"):
        build(root)


def test_a_sidebar_that_names_no_page_is_refused(root):
    (root / "_quarto.yml").write_text(SETTINGS.replace("href: index.qmd", "href: no.qmd"))
    with pytest.raises(PublishError, match=r"_quarto\.yml: the sidebar names no\.qmd"):
        build(root)


@pytest.mark.parametrize("moment", ["copying", "between the moves of the old site and the new"])
def test_an_interruption_leaves_the_old_site(root, monkeypatch, moment):
    build(root)
    old = contents(root / "_site")
    rename = Path.rename

    def interrupted(path, target):
        if moment == "copying" or path.name == "new":
            raise KeyboardInterrupt
        return rename(path, target)

    monkeypatch.setattr(*((shutil, "copyfile") if moment == "copying" else (Path, "rename")),
                        interrupted)  # fmt: skip
    with pytest.raises(KeyboardInterrupt):
        build(root)
    assert contents(root / "_site") == old and not list(root.glob("._site-*"))


def test_without_pandoc_it_says_how_to_get_it(root, monkeypatch):
    monkeypatch.setitem(sys.modules, "pypandoc", None)
    with pytest.raises(PublishError, match="pip install pypandoc-binary"):
        build(root)
