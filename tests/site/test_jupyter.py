"""The chapters for Jupyter: nothing of Quarto is left, and they run as the sources do."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from lab1.errors import PublishError

pytest.importorskip("pypandoc", reason="the notebooks for Jupyter need pandoc")

from lab1.site import jupyter

ROOT = Path(__file__).resolve().parents[2]
CHAPTERS = sorted(path.name for path in (ROOT / "chapters").glob("*.ipynb"))

CHAPTER = """\
## The question {#sec-question}

As @fig-one and @tbl-two show [@he2016deep], [see below](#sec-more) and [there](1_2.ipynb#sec-x).

$$
a_1 = b
$$ {#eq-sum}

By @eq-sum, $a_1 < 2$.

::: {.callout-tip collapse="true"}
## Solution

It is $b$.
:::

::: {#refs}
:::
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The copies of the chapters of this project."""
    root = tmp_path_factory.mktemp("laboratory")
    shutil.copytree(ROOT / "chapters", root / "chapters")
    jupyter.write(root)
    return root


@pytest.fixture
def small(tmp_path):
    """A laboratory with one small chapter."""
    (tmp_path / "chapters").mkdir()
    shutil.copy(ROOT / "chapters" / "references.bib", tmp_path / "chapters")
    new = nbformat.v4
    cells = [
        new.new_raw_cell('---\ntitle: "A chapter"\ndescription: "It is small."\n---'),
        new.new_markdown_cell(CHAPTER),
        new.new_code_cell(
            "#| code-summary: Set-up\n\ndepth = 2", metadata={"tags": ["parameters"]}
        ),
        new.new_code_cell('#| label: fig-one\n#| fig-cap: "Of digits: 1 < 2."\n\nprint(1)'),
        new.new_code_cell('#| echo: false\n#| label: tbl-two\n#| tbl-cap: "Two."\n\nprint(2)'),
    ]
    write(tmp_path, new.new_notebook(cells=cells))
    return tmp_path


def write(root, notebook):
    nbformat.write(notebook, root / "chapters" / "one.ipynb")


def copy_of(root, name="one.ipynb"):
    return nbformat.read(root / jupyter.FOLDER / name, 4)


def text_of(notebook):
    return "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


@pytest.mark.parametrize("name", CHAPTERS)
def test_nothing_of_quarto_is_left(made, name):
    copied, source = copy_of(made, name), nbformat.read(ROOT / "chapters" / name, 4)
    text = text_of(copied)
    assert text.startswith("# ")
    assert not re.findall(r"@(?:fig|tbl|eq|sec)-|\[@|\{#|^:::|CELL|CAPTION|^---", text, re.M)
    codes = [
        [cell for cell in notebook.cells if cell.cell_type == "code"]
        for notebook in (copied, source)
    ]
    for ours, theirs in zip(*codes, strict=True):
        assert ours.metadata.get("tags") == theirs.metadata.get("tags")
        bare = [
            "\n".join(
                line for line in cell.source.splitlines() if not line.startswith("#|")
            ).strip()
            for cell in (ours, theirs)
        ]
        assert bare[0].removesuffix("\n\nchapter") == bare[1]
        assert ("-cap:" in theirs.source) == ("#| caption: " in ours.source)


def test_what_a_chapter_has_reads_as_it_should(small):
    jupyter.write(small)
    cells = copy_of(small).cells
    text = cells[0].source
    assert text.startswith(
        "# A chapter\n\nIt is small.\n\n## The question\n\nAs Figure\u00a01 and Table"
    )
    assert "show (He et al. 2016), see below and [there](1_2.ipynb)." in text
    assert "a_1 = b\n\\tag{1}$$" in text and "By Equation\u00a01, $a_1 < 2$." in text
    assert "<details><summary>Solution</summary>\n\nIt is $b$.\n\n</details>" in text
    assert cells[1].source == "depth = 2" and cells[1].metadata.tags == ["parameters"]
    assert cells[2].source == ("#| caption: '**Figure 1.** Of digits: 1 \\< 2.'\nprint(1)")
    assert "jupyter" not in cells[2].metadata
    assert cells[3].metadata.jupyter.source_hidden is True


def test_a_copy_that_was_changed_is_left_alone_and_others_are_made_anew(small):
    assert jupyter.write(small)[1] == []
    path = small / jupyter.FOLDER / "one.ipynb"
    ran = copy_of(small)
    ran.cells[2].outputs = [nbformat.v4.new_output("stream", text="1\n")]
    ran.cells[2].execution_count = 1
    nbformat.write(ran, path)
    assert jupyter.write(small)[1] == []
    assert copy_of(small).cells[2].outputs  # what ran here stays, since nothing else changed
    source = nbformat.read(small / "chapters" / "one.ipynb", 4)
    source.cells[1].source += "\n\nMore."
    write(small, source)
    assert jupyter.write(small)[1] == []
    assert "More." in text_of(copy_of(small))
    ours = copy_of(small)
    ours.cells[2].source = "print(3)"
    nbformat.write(ours, path)
    before = path.read_bytes()
    source.cells[1].source += "\n\nStill more."
    write(small, source)
    assert jupyter.write(small)[1] == [path]
    assert path.read_bytes() == before


def test_a_file_that_is_no_notebook_is_left_alone(small):
    path = small / jupyter.FOLDER / "one.ipynb"
    path.parent.mkdir()
    path.write_text("half of a notebo")
    assert jupyter.write(small) == ([path], [path])
    assert path.read_text() == "half of a notebo"


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [("@tbl-two", "@tbl-three", "@tbl-three"), ("he2016deep", "nobody1999", "nobody1999")],
)
def test_what_leads_nowhere_is_told_with_the_chapter(small, old, new, complaint):
    source = nbformat.read(small / "chapters" / "one.ipynb", 4)
    source.cells[1].source = source.cells[1].source.replace(old, new)
    write(small, source)
    with pytest.raises(PublishError, match=f"one\\.ipynb: (?s:.*){complaint}"):
        jupyter.write(small)
    assert not (small / jupyter.FOLDER).exists()


@pytest.mark.slow
def test_a_copy_runs_and_shows_its_captions(made, tmp_path, monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.setenv("LAB1_HOME", str(ROOT))
    monkeypatch.setenv("LAB1_RUNS", str(tmp_path / "runs"))
    out = tmp_path / "out.ipynb"
    told = subprocess.run(
        [
            sys.executable, "-m", "papermill", str(made / jupyter.FOLDER / "1_3.ipynb"), str(out),
            "--no-progress-bar", "-p", "profile", "smoke", "-p", "seeds", "0", "-p", "depth", "1",
        ],
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    outputs = [o for cell in nbformat.read(out, 4).cells for o in cell.get("outputs", [])]
    texts = [o.data["text/markdown"] for o in outputs if "text/markdown" in o.get("data", {})]
    assert any(
        re.match(r"\d+ runs of the profile `smoke` on \*\*built-in colour patterns\*\*\.$", each)
        for each in texts
    )
    captions = [each for each in texts if re.match(r"\*\*(?:Figure|Table)", each)]
    assert len(captions) >= 10
    assert "Warning" not in "".join(o.text for o in outputs if o.output_type == "stream")
    # Charts are pictures that JupyterLab leaves in a notebook that it does not trust.
    pages = [o.data["text/html"] for o in outputs if "text/html" in o.get("data", {})]
    assert sum('<img src="data:image/svg+xml' in each for each in pages) >= 5
