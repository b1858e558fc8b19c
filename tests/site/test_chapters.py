"""The chapters as they are shipped: their form, their references, and what they refuse."""

import ast
import re

import fabricated_runs
import nbformat
import papermill
import pytest
from built_site import ROOT
from declared_fields import PARAMETERS
from IPython.core.interactiveshell import InteractiveShell
from shipped_chapters import NAMES, code, read
from traitlets.config import Config

from lab1.core.store import Store
from lab1.planning import chapters, notebook, profiles
from lab1.reporting import figure as figures
from lab1.site.notebook import options_of, shows_text_alone

CHAPTERS = ROOT / "chapters"

#: What a cell calls to show a chart or a table, which has a label and a caption.
SHOWS = re.compile(
    r"^(?!chapter\.(?:answer|claim|describe|setting_table)\(|gallery\.|comparison\.compare_values"
    r"|results_page\.thumbnails|draw_a_digit\.field)[a-z_]+\.\w+\(",
    re.MULTILINE,
)

#: Where a section is called so, its numbers are of the method or of the reader's own doing.
ABOUT_NO_RESULT = re.compile("method|expect|compared|exercises", re.IGNORECASE)

every_chapter = pytest.mark.parametrize("name", NAMES)

#: Where numbers are no results: how far a difference may reach, and which runs are looked at.
_SETTINGS = ("not_shown", "published_run", "select", "at")


def prose(name):
    """All Markdown of a chapter, without what it quotes as code."""
    text = "\n\n".join(c.source for c in read(name).cells if c.cell_type == "markdown")
    return re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.DOTALL)


def options(cell):
    """The `#|` options of a cell."""
    pairs = re.findall(r"^#\| ([\w-]+): (.*)$", cell.source, re.MULTILINE)
    return {key: value.strip("\"'") for key, value in pairs}


def lines(cell):
    """The lines of a cell that do something."""
    return [line for line in cell.source.splitlines() if line.strip() and not line.startswith("#")]


def parameters_cell(name):
    (cell,) = (c for c in read(name).cells if "parameters" in c.metadata.get("tags", []))
    return cell


def sections(name):
    """The text below each heading of the second level."""
    parts = re.split(r"^## (.*)$", prose(name), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_the_chapters_are_those_that_can_be_planned():
    assert set(chapters.CHAPTERS) == set(NAMES)


@every_chapter
def test_a_chapter_is_a_notebook_without_outputs_author_or_version(name):
    """Colab writes its author's name beside a cell, of text too; a version changes by who saves."""
    chapter = read(name)
    nbformat.validate(chapter)
    assert chapter.metadata.keys() == {"kernelspec", "language_info"}
    assert chapter.metadata.kernelspec.name == "python3"
    assert chapter.metadata.language_info == {"name": "python"}
    assert all(cell.metadata.keys() <= {"tags", "jupyter"} for cell in chapter.cells)
    for cell in code(name):  # in Jupyter, too, code is folded whose output alone is shown
        folded = not options_of(cell.source).get("echo", True)
        assert cell.metadata.get("jupyter", {}).get("source_hidden", False) is folded
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code(name))


@every_chapter
def test_a_chapter_begins_with_its_title_and_description(name):
    first, *others = read(name).cells
    form = r"# .+\n\n.+\.\n\n<!--\npart: .+\norder: \d+\n-->"
    assert first.cell_type == "markdown" and re.fullmatch(form, first.source)
    assert all(cell.cell_type != "raw" for cell in others)


@every_chapter
def test_text_that_is_read_untypeset_holds_no_syntax_of_quartos(name):
    assert not re.search(r"\{#|:::|\[@|(?<![\w.])@[a-z]", prose(name))
    assert "## References" not in prose(name)  # publishing lists what is cited by links


@every_chapter
def test_the_parameters_are_those_that_can_be_set(name):
    """Papermill injects below this cell; what it does not list, no reader can find."""
    tree = ast.parse(parameters_cell(name).source)
    assert all(isinstance(statement, ast.Assign) for statement in tree.body)
    assigned = {s.targets[0].id: ast.literal_eval(s.value) for s in tree.body}
    assert assigned.keys() == {"profile", *chapters.chapter(name).parameters}
    assert assigned.pop("profile") == "report"
    assert set(assigned.values()) <= {None}  # the profile's values stand in params/ alone
    assert code(name)[0] == parameters_cell(name)
    calls = [line for cell in code(name) for line in lines(cell) if "open_chapter(" in line]
    assert calls == [f'chapter = open_chapter("{name}", globals())']


#: The data sets that a chapter names beside its parameter: those that suit its models.
SUITABLE = {
    "1_1": {"mnist", "smoke-grey", "smoke-colour"},
    "1_2": {"mnist", "smoke-grey", "smoke-colour"},
    "1_3": {"cifar10", "cifar10-jpeg", "smoke-colour"},
    "2_2": {"cifar10", "cifar10-jpeg", "smoke-colour"},
    "depth": {"cifar10", "cifar10-jpeg", "smoke-colour"},
}


@every_chapter
def test_the_choices_named_beside_a_parameter_are_allowed(name):
    """A comment such as `# adam, sgd` that went out of date would send a reader into a refusal."""
    for line in parameters_cell(name).source.splitlines():
        if match := re.match(r"(\w+) = None  # (.*)", line):
            declared = PARAMETERS[match[1]].choices
            named = re.findall(r"[a-z][\w-]*", match[2])
            if match[1] == "dataset":
                assert set(declared) >= SUITABLE[name]
                assert named[-6:] == ["or", "your", "own", "guide", "own-images", "qmd"]
                assert set(named[:-6]) == SUITABLE[name]
            elif declared and declared[0] in named:
                assert set(declared) <= set(named)


@every_chapter
def test_cells_are_short_without_a_loop_and_take_results_from_the_package_alone(name):
    """Numbers that are typed into code would be shown as if they had been measured."""
    for cell in code(name)[1:]:
        if "def one_run(" in cell.source or "chapter.findings(" in cell.source:
            continue  # the one is an experiment, the other a list
        assert shows_text_alone(cell.source) or len(lines(cell)) <= 14
        tree = ast.parse(cell.source)
        of_settings = [
            node
            for call in ast.walk(tree)
            if isinstance(call, ast.Call) and getattr(call.func, "attr", "") in _SETTINGS
            for node in ast.walk(call)
        ]
        for node in ast.walk(tree):
            assert not isinstance(node, (ast.For, ast.While, ast.FunctionDef, ast.ClassDef))
            if isinstance(node, ast.Constant) and node not in of_settings:
                assert not isinstance(node.value, (int, float)), cell.source
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                module = getattr(node, "module", None) or node.names[0].name
                assert module.split(".")[0] == "lab1"
                assert not module.startswith("lab1.training")


@every_chapter
def test_a_cell_shows_one_chart_or_table_with_a_label_and_a_caption(name):
    for cell in code(name):
        shown, stated = SHOWS.findall(cell.source), options(cell)
        assert len(shown) == ("label" in stated), cell.source
        if shown:
            kind = stated["label"].partition("-")[0]
            assert len(stated[f"{kind}-cap"]) > {"fig": 40, "tbl": 20}[kind]


def labels(name):
    return [own["label"] for own in map(options, code(name)) if "label" in own]


def targets(name):
    """What can be referred to: labels of cells, and headings."""
    # As pandoc names headings: "auto_identifiers" in its manual.
    headings = re.findall(r"^##+ (.*)$", prose(name), re.MULTILINE)
    words = (re.sub(r"[^\w. -]", "", heading) for heading in headings)
    return [*labels(name), *(each.strip().lower().replace(" ", "-") for each in words)]


@every_chapter
def test_labels_are_unique_every_reference_has_its_target_and_every_figure_is_mentioned(name):
    assert len(targets(name)) == len(set(targets(name)))
    captions = " ".join(f"{o.get('fig-cap')} {o.get('tbl-cap')}" for o in map(options, code(name)))
    of_text, of_captions = (
        set(re.findall(r"\]\(#((?:fig|tbl)-[\w-]+)", text)) for text in (prose(name), captions)
    )
    assert set(labels(name)) <= of_text
    assert of_text | of_captions <= set(targets(name))


def test_the_bibliography_has_every_citation_once_and_nothing_else():
    bibliography = (CHAPTERS / "references.bib").read_text()
    known = re.findall(r"^@\w+\{([\w-]+),", bibliography, re.MULTILINE)
    cited = set(re.findall(r"@([\w-]+)", (ROOT / "index.qmd").read_text())) & {*known}
    for name in NAMES:
        of_chapter = re.findall(r"\]\(#ref-([\w-]+)\)", prose(name))
        assert of_chapter, name
        cited.update(of_chapter)
    assert sorted(known) == sorted(cited)


@every_chapter
def test_links_lead_to_chapters_that_exist_and_nothing_is_loaded_from_elsewhere(name):
    """A page must work without any other host."""
    for cell in read(name).cells:
        assert not re.search(r"<script|<iframe|<link|https?:", cell.source)
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(name)):
        page, _, section = target.partition("#")
        if not page:  # a place of this page, or its literature
            assert section in targets(name) or section.startswith("ref-")
            continue
        if page.endswith(".qmd"):  # the glossary, whose terms the site looks up as it is built
            assert not section or f"{{#{section}" in (CHAPTERS / page).read_text()
            continue
        assert page in {f"{each}.ipynb" for each in NAMES}
        assert not section or section in targets(page.removesuffix(".ipynb"))


@every_chapter
def test_results_are_said_by_the_records_and_not_by_the_prose(name):
    """Beyond the method, the expectation and the exercises, prose names no measured number.

    What follows from the task or from arithmetic (100 %, a count of images, a year) is none.
    """
    shown = {title: text for title, text in sections(name).items()
             if not ABOUT_NO_RESULT.search(title)}  # fmt: skip
    assert any(title.startswith("Results") for title in shown)
    for title, text in shown.items():
        for number in re.findall(r"(\d+(?:\.\d+)?)\s*(?:%|percent|points)", text):
            assert float(number) in (95, 98, 100), f"{title}: {number}"
        assert not re.search(r"\d\.\d\d", text), title
        assert not re.search(r"accuracy (?:of|is|was|reaches) \d", text), title


@every_chapter
def test_results_are_said_in_claims(name):
    """Words that only the records may say stand in no prose of the results."""
    text = "".join(text for title, text in sections(name).items() if title.startswith("Results"))
    assert not re.search(r"\b(hurts|helps|worse|better than|outperforms|significant)\b", text)
    assert any("chapter.claim(" in cell.source for cell in code(name))


#: What a reader has in her notebook before its cells: names of parameters and of what they make.
HERS = """
import math as activation, pathlib as families
from json import loads as learning_rate

for depth in (7,):
    seeds, width, total = "mine", {3}, 4
profile = says = chapter = runs = "hers"; total = 5
"""


@pytest.fixture(scope="module")
def smoke_runs(tmp_path_factory):
    """A folder with a record of every run of the profile `smoke`."""
    folder = tmp_path_factory.mktemp("smoke")
    fabricated_runs.write_profile("smoke", Store(folder / "results", folder), "0" * 40)
    return folder


@pytest.fixture
def shell(monkeypatch):
    """A session as a notebook has it, in which a start-up file of hers has set two names."""
    monkeypatch.setattr(notebook, "_shown_by", [])  # of another session
    blank = '<svg width="700" height="300"/>'
    monkeypatch.setattr(figures, "draw", lambda spec, width: blank)  # what takes the time
    InteractiveShell.clear_instance()
    shell = InteractiveShell.instance(config=Config(HistoryManager={"enabled": False}))
    shell.user_ns |= {"epochs": 7, "nobody": 8}
    yield shell
    InteractiveShell.clear_instance()


@pytest.mark.slow
@every_chapter
def test_a_reader_runs_every_cell_after_hers(name, shell, smoke_runs, monkeypatch):
    """In one session, and with other seeds after she has opened it; nothing is trained."""
    monkeypatch.setenv("LAB1_RUNS", str(smoke_runs))
    before = sorted(smoke_runs.iterdir())
    parameters, set_up, *others = [cell.source for cell in code(name)]
    parameters = parameters.replace('"report"', '"smoke"')
    again = parameters.replace("\nseeds = None", "\nseeds = [0]")

    def run(*cells):
        for cell in cells:
            shell.run_cell(cell, store_history=True).raise_error()
        return shell.user_ns["chapter"].page.parameters.get("seeds")

    seeds = profiles.page(name, "smoke", {}).parameters.get("seeds")
    assert run(HERS, parameters, set_up) == seeds
    if name == NAMES[0]:  # what a first run leaves behind, it leaves in every chapter
        run(*others, set_up)
    assert run(HERS, again, HERS, set_up) == (seeds and (0,))
    run(*others)
    assert sorted(smoke_runs.iterdir()) == before


@pytest.mark.slow
def test_a_chapter_trains_and_shows_what_its_profile_says(tmp_path, monkeypatch):
    """From nothing, without any download, as `papermill chapters/1_1.ipynb -p profile smoke`."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # more only slow networks this small down
    executed = papermill.execute_notebook(
        str(CHAPTERS / "1_1.ipynb"),
        str(tmp_path / "out.ipynb"),
        parameters={"profile": "smoke", "depth": 2, "seeds": "0,1,2", "epochs": 1}
        | {"activation": "tanh", "width": "16,8"},
        kernel_name="python3",
        cwd=str(tmp_path),  # lab1 is found from anywhere
        progress_bar=False,
    )
    trained = sorted(path.parent.name for path in (tmp_path / "runs").glob("*/record.json"))
    assert [name.split(".")[0] for name in trained] == [
        f"MLP-d2-smoke-grey-s{seed}" for seed in range(3) for _ in ("width 16", "width 8")
    ]
    (head,) = (cell.outputs for cell in executed.cells if "open_chapter(" in cell.source)
    said = head[0].data["text/markdown"]
    assert said.startswith("Unlike the published runs, for which the text was written: ")
    assert "; depth 2; " in said and "; width 16, 8; " in said and "; activation tanh; " in said
    (beside,) = (cell.outputs for cell in executed.cells if "compare_values(" in cell.source)
    assert "width 8" in beside[0].data["text/html"]
    shown = {
        options(cell)["label"]: cell.outputs[-1].data
        for cell in executed.cells
        if cell.cell_type == "code" and "label" in options(cell)
    }
    captions = [
        (output.data["text/markdown"], options(cell))
        for cell in executed.cells
        for output in cell.get("outputs", ())
        if output.get("metadata") == notebook.CAPTION
    ]
    assert [said["label"] for _, said in captions] == [*shown]
    for kind, name in (("fig", "Figure"), ("tbl", "Table")):
        of_kind = [(text, said) for text, said in captions if said["label"].startswith(kind)]
        for number, (text, said) in enumerate(of_kind, 1):
            caption = said[f"{kind}-cap"]
            assert text == f'<a id="{said["label"]}"></a>**{name} {number}.** {caption}'
    for label in ("fig-loss", "fig-depth"):
        assert figures.MIME in shown[label]
        assert '<img src="data:image/svg+xml;base64,' in shown[label]["text/html"]
    # One depth, at one rate: the chapter says so where it would show a sweep.
    assert "No depth was trained with several" in shown["fig-sweep"]["text/markdown"]
    assert "built-in grey patterns" in shown["tbl-performance"]["text/html"]
    # The runs are this reader's own: named, and not linked to a file that nobody else has.
    runs = shown["tbl-runs"]["text/html"]
    assert all(name.rsplit(".", 1)[1] in runs for name in trained) and "href" not in runs
