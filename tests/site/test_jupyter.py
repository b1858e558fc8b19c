"""The copies of the chapters for Jupyter: their literature, and that changes in them are kept."""

import os
import shutil
import subprocess
import sys

import nbformat
import pytest
from built_site import ROOT

from lab1.errors import PublishError

pytest.importorskip("pypandoc", reason="the notebooks for Jupyter need pandoc")

from lab1.site import jupyter


@pytest.fixture
def small(tmp_path):
    """A laboratory with one small chapter."""
    (tmp_path / "chapters").mkdir()
    shutil.copy(ROOT / "chapters" / "references.bib", tmp_path / "chapters")
    new = nbformat.v4
    cells = [
        new.new_markdown_cell("# A chapter\n\nIt is small.\n\n<!--\norder: 1\n-->"),
        new.new_markdown_cell("It is [old](#ref-he2016deep)."),
        new.new_code_cell('#| label: fig-one\n#| fig-cap: "Of digits."\n\nprint(1)'),
    ]
    write(tmp_path, new.new_notebook(cells=cells))
    return tmp_path


def write(root, notebook):
    nbformat.write(notebook, root / "chapters" / "one.ipynb")


def copy_of(root, name="one.ipynb"):
    return nbformat.read(root / jupyter.FOLDER / name, 4)


def test_a_copy_is_the_chapter_and_the_literature_that_it_cites(small):
    jupyter.write(small)
    source, copied = nbformat.read(small / "chapters" / "one.ipynb", 4), copy_of(small)
    *cells, literature = [cell.source for cell in copied.cells]
    assert cells == [cell.source for cell in source.cells]
    assert literature.startswith("## References\n\n")
    assert '<div id="ref-he2016deep"' in literature and "Deep Residual Learning" in literature


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
    assert "More." in str(copy_of(small))
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


def test_literature_that_there_is_not_is_told_with_the_chapter(small):
    source = nbformat.read(small / "chapters" / "one.ipynb", 4)
    source.cells[1].source = "It is [old](#ref-nobody1999)."
    write(small, source)
    with pytest.raises(PublishError, match=r"one\.ipynb: (?s:.*)nobody1999"):
        jupyter.write(small)
    assert not (small / jupyter.FOLDER).exists()


def test_a_copy_installs_lab1_where_the_repository_has_an_address(small):
    jupyter.write(small)
    assert "git clone" not in str(copy_of(small))
    address = "website: {repo-url: 'https://example.org/sources'}"
    (small / "_quarto.yml").write_text(address, encoding="utf-8")
    jupyter.write(small)
    first = next(cell for cell in copy_of(small).cells if cell.cell_type == "code")
    assert "git clone --quiet --depth 1 https://example.org/sources laboratory" in first.source


@pytest.mark.long
@pytest.mark.slow
def test_the_first_cell_suffices_in_a_bare_environment(tmp_path, long):
    """As in Colab: IPython, git, and nothing of lab1's; then a published chapter is read."""
    if not long:
        pytest.skip("it installs what the site needs: make test-long")
    python = tmp_path / "bare" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "bare"], check=True)
    subprocess.run([python, "-m", "pip", "install", "-q", "ipython"], check=True)
    cell = jupyter.INSTALL.format(repository=ROOT.as_uri())
    read = """
from lab1.chapter import open_chapter
print(len(open_chapter("1_1", {"profile": "report"}).all_records), "records")
"""
    (tmp_path / "cell.ipy").write_text(cell + read, encoding="utf-8")
    told = subprocess.run(
        [python, "-m", "IPython", "--no-banner", "cell.ipy"], cwd=tmp_path, text=True,
        capture_output=True, env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)}, check=False,
    )  # fmt: skip
    assert told.stdout.endswith(" records\n"), told.stdout + told.stderr
