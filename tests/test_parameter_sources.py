"""A parameter means the same from every source, or is refused from every source.

The sources are papermill's `-p`, `-r`, `-y`, `-b` and `-f`, `python -m lab1 run -p`, and
`params/*.yml`.
"""

import base64
import contextlib
import json
import subprocess
import sys

import nbformat
import papermill.cli
import pytest
import yaml
from click.testing import CliRunner
from declared_fields import BOUNDED, PARAMETERS
from hypothesis import given, settings
from hypothesis import strategies as st
from papermill.translators import PythonTranslator

from lab1.chapter import open_chapter
from lab1.cli.main import main
from lab1.errors import ParameterError
from lab1.planning import chapters, notebook, profiles

PROFILE = """
chapters:
  1_1:
    dataset: smoke-grey
    depth: [2, 8]
    seeds: [0, 1]
    width: 16
    validation_size: 500
    patience: 3
    further: [{name: rates, depth: 8, learning_rate: 0.01}]
"""

#: Texts as a reader, YAML 1.1 or Python may write a value: numbers, words, lists of them, anything.
NUMBER = st.from_regex(
    r"[-+]?(0[xXobB]?)?[0-9]{0,4}(_[0-9])?(:[0-9]{2})?(\.[0-9]{0,2})?([eE][-+]?[0-9]{1,3})?",
    fullmatch=True,
)
WORD = st.sampled_from([
    "none", "nUlL", "~", "", " ", "off", "no", "true", "inf", "-.INF", "nan", "４", "²", "1e-320",
    "9" * 101, "9" * 5000, "0.9999999999999999", "2147483648", "2020-99-99", "4j", "relu", "RELU",
    "adam", "crop-flip", "MLP", "mnist", "smoke-grey", "ResNet50", "'4'", '"mnist"', "()", "[]",
    "!!int 4", "*a", "<<",
])  # fmt: skip
LIST = st.builds(
    lambda items, between, around: between.join(items).join(around),
    st.lists(NUMBER | WORD, min_size=1, max_size=3),
    st.sampled_from([",", ", ", ",,", ";", " "]),
    st.sampled_from(
        [("", ""), ("[", "]"), ("(", ")"), ("[", ",]"), ("[[", "]]"), ("[", ")"), (",", "")]
    ),
)
ANYTHING = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=6
)

#: A parameter of each kind.
NAMES = (
    "depth", "epochs", "learning_rate", "patience", "hidden_sizes", "dataset", "families",
    "augmentation",
)  # fmt: skip


def is_plain(text):
    """True for what YAML reads as this text, or as a list, without quotes."""
    try:
        (((_, node),),) = (yaml.compose(f"x: {text}").value,)
    except yaml.YAMLError:
        return False
    if isinstance(node, yaml.ScalarNode):
        return node.value == text or text.startswith(("'", '"'))
    return isinstance(node, yaml.SequenceNode)


CELL = "profile = 'report'\n" + "".join(
    f"{name} = None\n" for name in chapters.chapter("1_1").parameters
)
OPENING = 'chapter = open_chapter("1_1", globals())'


@pytest.fixture(autouse=True)
def write(laboratory, monkeypatch):
    """Writes the profile; nothing may be trained, or written, whatever the source."""
    path = laboratory / "params" / "mine.yml"
    monkeypatch.chdir(laboratory)
    path.write_text(PROFILE)
    before = sorted(laboratory.rglob("*"))
    yield path.write_text
    assert sorted(laboratory.rglob("*")) == before


@pytest.fixture
def ask_papermill(monkeypatch, tmp_path):
    """Opens the chapter as the kernel of `papermill chapters/1_1.ipynb out.ipynb OPTIONS` would."""
    given = {}
    monkeypatch.setattr(
        papermill.cli, "execute_notebook", lambda parameters, **_: given.update(parameters)
    )

    def ask(*options, cells=(CELL, None, OPENING)):
        given.clear()
        line = ["chapters/1_1.ipynb", "out.ipynb", "-p", "profile", "mine", *options]
        result = CliRunner().invoke(papermill.cli.papermill, line)
        if result.exception:  # papermill cannot read it either
            raise ParameterError(f"papermill: {result.exception}")
        injected = PythonTranslator.codify(given, "Parameters")
        executed = ["", *(injected if cell is None else cell for cell in cells)]
        namespace = {}
        for cell in executed[:-1]:
            with contextlib.suppress(SyntaxError):  # a cell need not be right to have been tried
                exec(cell, namespace)
        namespace |= {"_ih": executed, "In": executed, "Out": {}}
        command = ["python", "/somewhere/bin/papermill", *line]
        monkeypatch.setattr(notebook, "papermill_command", lambda: (command, tmp_path))
        return open_chapter("1_1", namespace).page

    return ask


@pytest.fixture
def sources(ask_papermill, write, monkeypatch, tmp_path, capsys):
    """The sources by name: each takes a parameter and a text, and gives the page."""

    def in_yaml(name, text):
        return f"{name}: {text if is_plain(text) else json.dumps(text)}\n"

    def from_file(name, text):
        (tmp_path / "asked.yml").write_text(in_yaml(name, text))
        return ask_papermill("-f", "asked.yml")

    def command(name, text):
        pages = []
        make = profiles.page

        def page(*arguments):
            pages.append(make(*arguments))
            return pages[-1]

        with monkeypatch.context() as patch:
            patch.setattr(profiles, "page", page)
            status = main(["run", "1_1", "--profile", "mine", "--dry-run", "-p", f"{name}={text}"])
        if status:
            raise ParameterError(capsys.readouterr().err)
        return pages[0]

    def profile(name, text):
        lines = [each for each in PROFILE.splitlines() if not each.startswith(f"    {name}:")]
        write("\n".join([*lines, f"    {in_yaml(name, text)}"]))
        try:
            return profiles.page("1_1", "mine", {})
        finally:
            write(PROFILE)

    monkeypatch.chdir(tmp_path)  # where papermill was started
    return {
        "papermill -p": lambda name, text: ask_papermill("-p", name, text),
        "papermill -r": lambda name, text: ask_papermill("-r", name, text),
        "papermill -y": lambda name, text: ask_papermill("-y", in_yaml(name, text)),
        "papermill -b": lambda name, text: ask_papermill(
            "-b", base64.b64encode(in_yaml(name, text).encode()).decode()
        ),
        "papermill -f": from_file,
        "run -p": command,
        "params/*.yml": profile,
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_value_means_the_same_from_all_sources(name, sources):
    """Or is refused by name, with what is allowed, from all sources."""
    outcomes = set()

    @settings(BOUNDED, max_examples=20)
    @given(text=NUMBER | WORD | LIST | ANYTHING)
    def agree(text):
        found = {}
        for source, ask in sources.items():
            try:
                found[source] = repr(ask(name, text).parameters[name])
            except ParameterError as error:
                found[source] = "refused"
                words = str(error)
                assert words.startswith("papermill: ") or (
                    name in words and (PARAMETERS[name].allowed in words or "not readable" in words)
                ), (source, words)
        assert len(set(found.values())) == 1, found
        outcomes.update(found.values())

    agree()
    assert "refused" in outcomes


def test_each_text_of_the_reviews_is_read_as_yaml_1_2_reads_it(sources):
    for text, value in {"010": (10,), "007": (7,), "0x10": (16,), "0o17": (15,)}.items():
        assert {ask("depth", text).parameters["depth"] for ask in sources.values()} == {value}
    for ask in sources.values():
        assert ask("patience", "none").parameters["patience"] is None
        for text in ("1_6", "1:30", "0b11", "!!binary Ag==", "yes", "４"):
            with pytest.raises(ParameterError):
                ask("depth", text)


@pytest.mark.parametrize(
    "name", ["dept", "Depth", "charts", "chapter", "_", "__", "_i3", "_2", "In"]
)
def test_an_unknown_name_is_refused_from_all_sources(name, sources):
    """Those that IPython or a later cell overwrites too."""
    for source, ask in sources.items():
        with pytest.raises(ParameterError, match=rf"unknown parameter '{name}'; allowed: .*width"):
            raise AssertionError((source, ask(name, "4")))


@pytest.mark.parametrize(
    "options",
    [
        ("-p", "depth", "2", "-p", "depth", "4"),
        ("-p", "depth", "2", "-r", "depth", "2"),
        ("-p", "depth", "2", "-y", "depth: 4"),
        ("-y", "depth: 2", "-y", "depth: 4"),
        ("-y", "{depth: 2, depth: 4}"),
        ("-f", "doubled.yml"),
    ],
)
def test_a_parameter_that_is_given_twice_is_refused(options, ask_papermill, tmp_path):
    (tmp_path / "doubled.yml").write_text("depth: 2\ndepth: 4\n")
    with contextlib.chdir(tmp_path), pytest.raises(ParameterError, match=r"depth.* twice"):
        ask_papermill(*options)


def test_the_command_line_takes_a_parameter_once(capsys):
    assert main(["run", "1_1", "--profile", "mine", "-p", "depth=2", "-p", "depth=4"]) == 2
    assert capsys.readouterr().err == (
        "lab1: -p: depth is given twice, as '2' and as '4'; allowed: each parameter once\n"
    )


def test_what_is_typed_wins_over_a_file_which_is_read_as_strictly_as_a_profile(
    ask_papermill, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "asked.yml").write_text("depth: 2\nwidth: 8\n")
    page = ask_papermill("-f", "asked.yml", "-p", "depth", "010")
    assert (page.parameters["depth"], page.parameters["width"]) == ((10,), 8)
    (tmp_path / "asked.yml").write_bytes("depth: 4\n".encode("utf-8-sig"))
    with pytest.raises(ParameterError, match=r"^asked\.yml: begins with a byte order mark"):
        ask_papermill("-f", "asked.yml")


def test_a_reading_that_the_notebook_shows_otherwise_is_told(ask_papermill, capsys):
    ask_papermill("-y", "depth: 010")
    assert capsys.readouterr().out == "depth = 010 is read as in params/, not as 8\n"
    ask_papermill("-y", "{depth: 4, seeds: [0, 1], learning_rate: 1e-3}", "-p", "patience", "None")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "cells",
    [
        (None, CELL, OPENING),  # the tag is missing: papermill's cell comes first
        ("title = ''", None, CELL, OPENING),  # another cell has it, above
        (CELL, None, CELL, OPENING),  # the cell stands twice
        *(
            (CELL, None, form, OPENING)
            for form in (
                "depth = 4", "depth: int = 4", "depth, width = 4, 32", "depth += 2",
                "if True: depth = 4", "exec('depth = 4')", "depth = 2.0", "depth = True",
            )
        ),
    ],
)  # fmt: skip
def test_what_papermill_sets_is_not_set_again(cells, ask_papermill):
    """The notebook's own values would win: two layers asked for, four trained."""
    both = r"papermill's cell sets (\w+) = ('mine'|2), and a cell below it sets \1 = (?!'mine'|2,)"
    with pytest.raises(ParameterError, match=f"^chapter 1_1: {both}.* needs the tag 'parameters'$"):
        ask_papermill("-p", "depth", "2", cells=cells)


@pytest.fixture
def kernel(monkeypatch):
    """Opens the chapter as a kernel without papermill would that has executed these cells."""
    monkeypatch.setattr(notebook, "papermill_command", lambda: None)

    def execute(*cells, **held):
        executed, namespace = ["", *cells], dict(held)
        for place, cell in enumerate(executed):
            namespace["_ih"] = namespace["In"] = executed[: place + 1]
            with contextlib.suppress(SyntaxError):
                exec(cell, namespace)
        return namespace["chapter"].page

    return execute


def test_a_kernel_without_a_history_is_asked_by_the_names_of_parameters(monkeypatch):
    """As nbval's: what else it holds asks for nothing."""
    monkeypatch.setattr(notebook, "papermill_command", lambda: None)
    held = {"_ih": [""], "In": [""], "note": 3, "activation": contextlib, "depth": 4}
    page = open_chapter("1_1", {"profile": "mine", **held}).page
    assert (page.parameters["depth"], page.asked) == ((4,), {"depth": (4,)})


#: What a set-up cell does, and what a reader does beside it.
SET_UP = f"from lab1.chapter import open_chapter\n{OPENING}\nsays, runs = {{}}, 3"
MINE = CELL.replace("'report'", "'mine'")
EDITED = MINE.replace("depth = None", "depth = 4")
INJECTED = "# Parameters\nprofile = 'mine'\ndepth = 4"


@pytest.mark.parametrize(
    ("cells", "depth"),
    [
        ((MINE, SET_UP, SET_UP), (2, 8)),
        ((MINE, SET_UP, EDITED, SET_UP), (4,)),
        ((EDITED, SET_UP, MINE, SET_UP), (2, 8)),  # the cell says it no more
        (("width, total = 3, 4", MINE, "from math import pi as activation", SET_UP), (2, 8)),
        ((MINE, INJECTED, SET_UP, EDITED.replace("4", "2"), SET_UP), (2,)),  # papermill's result
        ((MINE, INJECTED, SET_UP, "depth = 16", INJECTED, SET_UP), (4,)),
        ((MINE, "profile = 'mine'; depth = [2**k for k in (1, 2)]", SET_UP), (2, 4)),
        (("profile = 'nobody'\nstages = 3", MINE, SET_UP), (2, 8)),  # another chapter's
        ((MINE, "profile: str = 'mine'\ndepth = 4\ndepth = 16", SET_UP), (16,)),
    ],
)
def test_a_notebook_is_asked_what_its_parameters_cells_say(cells, depth, kernel):
    assert kernel(*cells).parameters["depth"] == depth


def test_a_variable_of_a_reader_is_no_parameter(kernel, capsys):
    """Nor what a start-up file sets; where it has the name of one, she is told."""
    page = kernel(MINE, "for depth in (7,): pass", SET_UP, total=3, In=4, seeds=None, epochs=open)
    assert page == kernel(MINE, SET_UP)
    assert capsys.readouterr().out == (
        "depth = 7 is set outside the parameters cell and does not count; there it is None\n"
    )


@pytest.mark.parametrize(
    "cells",
    [
        (SET_UP,),
        ("profile = 'mine'\nprint(profile)", SET_UP),  # a cell of more than parameters
        (f"profile = 'mine'\n{SET_UP}",),
        ("profile = (", SET_UP),
        ("name = profile = 'mine'", SET_UP),
    ],
)
def test_a_notebook_without_a_parameters_cell_is_refused(cells, kernel):
    with pytest.raises(ParameterError, match="chapter 1_1: no profile is given; there are mine"):
        kernel(*cells)


@pytest.mark.parametrize("slip", ["dept = 4", "Depth = None", "dept: int = 4"])
def test_a_slip_in_the_parameters_cell_is_refused(slip, kernel):
    with pytest.raises(ParameterError, match=r"unknown parameter '(dept|Depth)'; allowed: .*width"):
        kernel(f"{MINE}{slip}", SET_UP)


def test_none_is_a_value_where_papermill_sets_it(kernel):
    """Called as a function, without a command line."""
    page = kernel(MINE, "# Parameters\nprofile = 'mine'\npatience = None", SET_UP)
    assert page.parameters["patience"] is None


@pytest.mark.parametrize("found", [None, (["python", "-m", "ipykernel"], None), ([], None)])
def test_without_papermill_above_it_a_notebook_is_taken_as_it_is(found, monkeypatch):
    monkeypatch.setattr(notebook, "papermill_command", lambda: found)
    page = open_chapter("1_1", {"profile": "mine", "depth": 16}).page
    assert page.parameters["depth"] == (16,)


def write_notebook(path, *further):
    """A chapter that prints what it was asked, with `further` cells behind its parameters."""
    shows = (
        "page = chapter.page.parameters\n"
        "print(f\"depth {page['depth']}, patience {page['patience']}\")"
    )
    cells = [nbformat.v4.new_code_cell(code) for code in (CELL, *further, SET_UP, shows)]
    cells[0].metadata["tags"] = ["parameters"]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), path)


@pytest.mark.slow
def test_a_kernel_knows_what_its_papermill_was_told(tmp_path, laboratory):
    write_notebook(tmp_path / "in.ipynb")
    options = ["-p", "profile", "mine", "-y", "depth: 010", "-p", "patience", "None"]
    done = subprocess.run(
        [sys.executable, "-m", "papermill", "in.ipynb", "-", *options],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "depth (10,), patience None" in done.stdout


@pytest.mark.slow
def test_a_value_below_that_of_papermill_is_refused_in_a_kernel(tmp_path, laboratory):
    """Called as a function; the value is set in a way that only IPython knows."""
    write_notebook(tmp_path / "in.ipynb", "%time depth = 4")
    both = "papermill's cell sets depth = 2, and a cell below it sets depth = 4"
    with pytest.raises(papermill.PapermillExecutionError, match=both):
        papermill.execute_notebook(
            str(tmp_path / "in.ipynb"), None, {"profile": "mine", "depth": 2}, progress_bar=False
        )
