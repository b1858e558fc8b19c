import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from lab1.planning.profiles import Page
from lab1.reporting.claims import MIME
from lab1.reporting.kit.sentences import Verdict, in_short
from lab1.site import answers, exports, fragments
from lab1.site.run_it import Shown


def write_page(folder, name, *shown):
    """An executed page whose cells show these texts, or data."""
    data = [{"text/markdown": each} if isinstance(each, str) else each for each in shown]
    made = [new_output("display_data", each) for each in data]
    cells = [new_code_cell("pass", outputs=[output]) for output in made]
    path = folder / f"{name}.ipynb"
    nbformat.write(new_notebook(cells=cells), path)
    return path


def test_each_box_is_quoted_with_its_page_and_its_runs(tmp_path):
    box = in_short(Verdict("Depth hurts."), Verdict("See [the next](1_2.ipynb#sec-a).")).text
    pages = [
        ("1.1 Depth", write_page(tmp_path, "1_1", "Another verdict.", box)),
        ("1.2 Skips", write_page(tmp_path, "1_2", in_short(Verdict("They help.")).text)),
    ]
    assert answers.fragment(pages) == (
        "**[1.1 Depth](report/1_1.ipynb).** Depth hurts. See [the next](report/1_2.ipynb#sec-a). "
        "[Its runs](report/1_1.ipynb#tbl-runs).\n"
        "\n"
        "**[1.2 Skips](report/1_2.ipynb).** They help. [Its runs](report/1_2.ipynb#tbl-runs).\n"
    )


@pytest.mark.parametrize(
    ("text", "space"), [("It **hurts**.", " "), ("- 8 layers − 2 layers.", "\n\n")]
)
def test_a_claim_that_opens_its_page_is_quoted(tmp_path, text, space):
    claims = [{"text": "Another.", "box": False}, {"text": text, "box": True}]
    data = [{"text/markdown": f"<div>{each['text']}</div>", MIME: each} for each in claims]
    path = write_page(tmp_path, "1_1", *data)
    assert answers.fragment([("1.1 Depth", path)]) == (
        f"**[1.1 Depth](report/1_1.ipynb).**{space}{text}{space}"
        "[Its runs](report/1_1.ipynb#tbl-runs).\n"
    )


def test_a_page_without_a_box_is_left_out(tmp_path):
    assert answers.fragment([("A page", write_page(tmp_path, "1_1", "A verdict."))]) == ""


def test_the_front_page_quotes_chapters_that_have_runs(laboratory, store, make_record, monkeypatch):
    """The page on speed has a box too, and no runs to lead to."""
    plan = {
        "dataset": "smoke-grey",
        "depth": [2],
        "width": 16,
        "seeds": [0],
        "validation_size": 500,
    }
    pages = [Page("1_1", "1_1", "report", plan), Page("speed", "speed", "report", {})]
    quoted = []
    monkeypatch.setattr(fragments.answers, "fragment", lambda pages: quoted.extend(pages) or "")
    shown = [Shown(page, page.name, [make_record()]) for page in pages]
    (laboratory / "params" / "report.yml").write_text("chapters:\n  speed: {}\n")
    drawn = exports.Folder(laboratory / "drawn", "drawn")
    written = fragments.write(laboratory, "report", shown, store, drawn)
    assert written == {*(laboratory / "drawn").iterdir()} and len(written) == 4
    assert quoted == [("1_1", laboratory / "1_1.ipynb")]
