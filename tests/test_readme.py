"""What README, CONTRIBUTING and the guide tell a reader to type exists and does what it says."""

import itertools
import re
import shlex

import pytest
from built_site import ROOT
from declared_fields import PARAMETERS

from lab1.cli import main as cli
from lab1.core.store import Store
from lab1.planning import profiles
from lab1.planning.cost import costs
from lab1.planning.ensure import find_todo

README = (ROOT / "README.md").read_text()
INDEX = (ROOT / "index.qmd").read_text()
#: Every text that gives commands and names files, by its place.
TEXTS = {
    path: path.read_text()
    for path in (
        ROOT / "README.md",
        ROOT / "README.it.md",
        ROOT / "CONTRIBUTING.md",
        *sorted((ROOT / "guide").glob("*.qmd")),
    )
}


def commands() -> list[str]:
    """Every command in a fenced bash block or in the first code span of a table row."""
    everything = "\n".join(TEXTS.values())
    fenced = "\n".join(re.findall(r"```bash\n(.*?)```", everything, flags=re.S)).splitlines()
    spans = re.findall(r"`((?:make|papermill|python|quarto|pytest|pip) [^`]+)`", everything)
    return [line.split("#")[0].strip() for line in [*fenced, *spans] if line.strip()]


def test_make_targets_exist():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.M))
    named = {c.split()[-1] for c in commands() if re.search(r"(^|\s)make [\w-]+$", c)}
    assert named
    assert named <= targets


@pytest.mark.slow
def test_lab1_commands_parse():
    lines = [c for c in commands() if c.startswith("python -m lab1 ")]
    assert len(lines) > 8
    for line in lines:
        options = cli.parser().parse_args(shlex.split(line)[3:])
        if getattr(options, "chapter", None) not in (None, "CHAPTER"):
            profiles.page(options.chapter, options.profile, {})  # raises where it has none
        elif hasattr(options, "profile"):
            assert options.profile in profiles.names()


def test_papermill_parameters_are_declared():
    lines = [c for c in commands() if c.startswith("papermill chapters/")]
    assert lines
    for line in lines:
        words = shlex.split(line)
        assert (ROOT / words[1]).exists()
        for flag, name in itertools.pairwise(words):
            if flag == "-p":
                assert name in PARAMETERS


def test_files_that_are_linked_or_named_in_code_exist():
    """Such as `lab1/core/families.py`; what is built or one's own is not there."""
    built = ("runs/", "report/", "_site/", "reference/", "data/", "results/<", "test-artifacts/")
    named = r"`((?:lab1|tests|params|chapters|results|figures|guide)/[\w./-]*)`"
    for path, text in TEXTS.items():
        for target in re.findall(r"\]\(((?!http)[^)#]+)(?:#[^)]*)?\)", text):
            if not target.startswith(("../reference/", "../report/")):
                assert (path.parent / target).exists(), f"{path.name}: {target}"
        for target in re.findall(named, text):
            if not target.startswith(built):
                assert (ROOT / target).exists(), f"{path.name}: {target}"


def test_the_readme_is_short():
    assert len(README.splitlines()) <= 110


def test_a_command_costs_the_same_wherever_it_stands():
    by_command = {}
    for text in [*TEXTS.values(), INDEX]:
        for command, cost in re.findall(r"\| `([^`]+)` \| ([^|]+) \|$", text, flags=re.M):
            if command.startswith(("make", "python", "papermill")):
                by_command.setdefault(command, set()).add(re.sub(",.*| the first time", "", cost))
    assert [found for found in by_command.items() if len(found[1]) > 1] == []


def test_the_front_page_tells_what_a_question_costs():
    depth, runs, cost = re.search(
        r"1_2.ipynb out.ipynb -p depth (64)` \| (\d+) runs to train, (about .*) \|", INDEX
    ).groups()
    missing = find_todo(profiles.page("1_2", "report", {"depth": depth}).plan(), Store())
    told = costs(missing.missing, missing.seconds, 1, missing.all_records)
    assert (runs, cost) == (str(len(missing.missing)), told)


@pytest.mark.slow
def test_the_library_example_runs_and_learns(capsys):
    (code,) = re.findall(r"```python\n(.*?)```", README, flags=re.S)
    exec(compile(code, "README.md", "exec"), {})
    stopped, accuracy = capsys.readouterr().out.rsplit(maxsplit=1)
    assert stopped == "all epochs"
    assert float(accuracy) > 0.8
