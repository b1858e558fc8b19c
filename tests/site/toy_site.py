"""A toy project with one of everything that the preview knows."""

import json

CONFIGURATION = """\
project:
  type: website
  render: [index.qmd, "report/*.ipynb"]
  resources: [figures, "results/*.json"]
website:
  title: A toy & its site
  sidebar:
    contents:
      - {text: Overview, href: index.qmd}
      - section: Chapters
        contents: "report/*.ipynb"
      - {text: Elsewhere, href: "https://example.org/"}
bibliography: chapters/references.bib
filters: [{path: lab1/site/fragment.lua, at: pre-ast}]
format:
  html: {code-fold: true, code-summary: Code, html-math-method: mathml}
"""

BIBLIOGRAPHY = """\
@article{he2016, author = {He, Kaiming and Sun, Jian}, title = {Deep residual learning},
  journal = {CVPR}, year = {2016}}
"""

INDEX = """\
---
title: "What *depth* does"
description: "A plain network & its twin."
lang: en-GB
---

## The answer {#sec-answer}

::: {.fragment file="report/answer.md"}
:::

## The pages

Read [the first](report/one.ipynb), [the second](chapters/two.ipynb#sec-twin),
[its source](chapters/two.ipynb){download=""}, [a chapter without a page](chapters/three.ipynb),
[the data](/data/extra.csv), [the outside](https://example.org/page) and @sec-answer.

```{=html}
<p><a href="report/one.ipynb">from raw HTML</a></p>
```
"""

ANSWER = """\
The answer is **42** [@he2016]: see @fig-story and [the second](report/two.ipynb).

::: {#fig-story}

```{=html}
<div class="chart"><svg role="img" aria-label="A line" viewBox="0 0 9 2" width="90"
  height="20"><path d="M0 0L9 2"/></svg></div>
```

What the story is.
:::

```{=html}
<p class="from-fragment">raw HTML stays</p>
```
"""

SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="40" height="9"><path d="M0 0h40v9z"/></svg>'
PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9"
    "awAAAABJRU5ErkJggg==\n"
)
TABLE = (
    "<table><thead><tr><th></th><th>accuracy</th></tr></thead><tbody><tr><th>MLP</th>"
    '<td><a href="../results/r.json">0.98</a></td></tr></tbody></table>'
)


BREAKOUT = "<p>```</p>\n\n```\n:::\n\n    # no heading\n\ttab"


def markdown(text):
    """A markdown cell."""
    return {"cell_type": "markdown", "metadata": {}, "source": text.splitlines(keepends=True)}


def raw(text):
    """A raw cell."""
    return {"cell_type": "raw", "metadata": {}, "source": text.splitlines(keepends=True)}


def code(text, *outputs, tags=()):
    """A code cell with its outputs."""
    return {
        "cell_type": "code",
        "execution_count": 1,
        "metadata": {"tags": [*tags]},
        "source": text.splitlines(keepends=True),
        "outputs": [*outputs],
    }


def display(**data):
    """A display of some forms, as ``html=...``, ``markdown=...``, ``svg=...``, ``png=...``."""
    kinds = {"html": "text/html", "markdown": "text/markdown", "plain": "text/plain"}
    kinds |= {"svg": "image/svg+xml", "png": "image/png"}
    return {
        "output_type": "display_data",
        "metadata": {},
        "data": {kinds[key]: value.splitlines(keepends=True) for key, value in data.items()},
    }


def stream(text, name="stdout"):
    """Something printed."""
    return {"output_type": "stream", "name": name, "text": text.splitlines(keepends=True)}


FAILURE = {"output_type": "error", "ename": "ValueError", "evalue": "no runs", "traceback": []}

ONE = [
    raw("---\ntitle: Chapter one\ndescription: The first.\nabstract: What it *finds*.\n---"),
    markdown(
        "# Question {#sec-question}\n\nSee @fig-png, [@fig-svg; @tbl-cell], -@fig-image,"
        " [Fig. @fig-div], @tbl-pipe, @tbl-div, @eq-loss, @sec-method and @Sec-detail."
        " A claim [see @he2016, p. 3], and @he2016 says so.[^note]\n\n[^note]: A note."
    ),
    code("depth = 2", tags=["parameters"]),
    code("depth = 4", tags=["injected-parameters"]),
    code("#| include: false\nsecret = 1", stream("unseen")),
    code("#| echo: false\nprint('bare')", stream("bare\n"), stream("a warning\n", "stderr")),
    code(
        "#| label: fig-png\n#| fig-cap: '# of *points*'\n#| fig-alt: A point\nplot(1)",
        display(png=PNG, plain="<Figure>"),
    ),
    code("#| label: fig-svg\n#| fig-cap: >\n#|   A bar,\n#|   in SVG.\nbar()", display(svg=SVG)),
    code(
        "#| label: tbl-cell\n#| tbl-cap: Accuracy.\ntable()",
        display(html=TABLE, plain="accuracy"),
    ),
    code("both()", display(html="<b>rich</b>", markdown="markdown", plain="poor")),
    code("words()", display(markdown="Says @he2016 of @fig-png and [two](two.ipynb).")),
    code("#| code-fold: false\n1 + 1", {**display(plain="<2>"), "output_type": "execute_result"}),
    code("#| output: asis\nprint()", stream("printed *markdown*\n")),
    code("#| echo: false\ndisplay()", display(html=BREAKOUT)),
    {
        **markdown(""),
        "source": "Here: ![Pasted](attachment:a.png)",  # a string, which the format allows too
        "attachments": {"a.png": {"image/png": PNG}},
    },
    code("progress()", stream("10 %\r100 %\n\x1b[31mred\x1b[0m ``` end\n")),
    markdown(
        "# Method {#sec-method}\n\n### Detail {#sec-detail}\n\n"
        "![An image.](../figures/i.svg){#fig-image fig-alt='A square'}\n\n"
        "::: {#fig-div}\n\n![](../figures/i.svg)\n\nAn image in a div.\n:::\n\n"
        "| a | b |\n|---|--:|\n| 1 | 2 |\n\n: A pipe table {#tbl-pipe}\n\n"
        "::: {#tbl-div}\n\n| c |\n|---|\n| 3 |\n\nA table in a div.\n:::\n\n"
        "$$ L = -\\log p $$ {#eq-loss}\n\nInline $x^2$.\n\n"
        "::: {.callout-note}\nPlain.\n:::\n\n"
        "::: {.callout-warning title='Mind *this*'}\nTitled.\n:::\n\n"
        "::: {.callout-tip collapse='true'}\n## Folded\nBody.\n:::\n\n"
        "::: {.column-margin}\nAside.\n:::\n\n"
        "::: {.content-visible when-format='pdf'}\nOnly on paper.\n:::\n\n"
        "{{< include ../chapters/_shared.md >}}\n\n{{< include /chapters/_shared.md >}}\n"
    ),
]

TWO = [
    raw("---\ntitle: Chapter two\n---"),
    markdown(
        "## Twin {#sec-twin}\n\nBack to [one](one.ipynb#sec-method),"
        " [its source](../chapters/one.ipynb) and [home](../index.qmd)."
    ),
]


def write_notebook(path, cells):
    """Writes a notebook of format 4."""
    content = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


def write_project(root, files):
    """Writes files below ``root``: a text, or for a notebook its cells."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            path.write_text(content, encoding="utf-8")
        else:
            write_notebook(path, content)
    return root


TOY = {
    "_quarto.yml": CONFIGURATION,
    "index.qmd": INDEX,
    "chapters/references.bib": BIBLIOGRAPHY,
    "chapters/one.ipynb": [],
    "chapters/two.ipynb": [],
    "chapters/three.ipynb": [],
    "chapters/_shared.md": "An included paragraph.\n",
    "report/answer.md": ANSWER,
    "report/one.ipynb": ONE,
    "report/two.ipynb": TWO,
    "figures/i.svg": SVG,
    "figures/deep/d.csv": "a,b\n",
    "results/r.json": "{}",
    "results/notes.txt": "not a resource",
    "data/extra.csv": "x\n",
    "lab1/site/charts.css": ".chart { color: inherit; }\n",
}
