"""The page that says what to type: its commands are those that the command line takes."""

import re
import shlex
import shutil
from dataclasses import replace

import pytest
from benchmark_records import contenders_record
from built_site import ROOT
from declared_fields import PARAMETERS
from small_profiles import GRID, write_profile

from lab1.cli import main as cli
from lab1.core import logged_runs
from lab1.core.store import Store
from lab1.planning import chapters, profiles
from lab1.site import exports, fragments
from lab1.site.frame import PublishedPage


@pytest.fixture(scope="module")
def shipped():
    """The pages of the shipped profile `quick`, none of which has a record."""
    return [PublishedPage(page, f"Title of {page.name}", []) for page in profiles.pages("quick")]


def test_every_page_with_runs_has_a_section(shipped):
    text = fragments.run_it(shipped, {})
    titles = re.findall(r"^## (Title of .*)$", text, re.M)
    with_runs = [page.page.name for page in shipped if page.page.plan()]
    assert titles == [f"Title of {name}" for name in with_runs] and "1_1" in with_runs


@pytest.mark.slow
def test_a_profile_without_runs_is_a_site_too(laboratory):
    write_profile(laboratory, {"results": {}}, "mine")
    (page,) = profiles.pages("mine")
    assert page.records(Store()) == []
    report = laboratory / "report"
    drawn = exports.Folder(report / "assets" / "figures", "assets/figures")
    published = [PublishedPage(page, "All results", [])]
    assert fragments.write(report, "mine", published, Store(), drawn) == set()
    pages = "".join(path.read_text() for path in [*ROOT.glob("*.qmd"), *ROOT.glob("guide/*.qmd")])
    included = set(re.findall(r'file="(report/.*?)"', pages))
    assert [name for name in included if not (laboratory / name).is_file()] == []
    assert (report / "runs.md").read_text() == "*No run of this kind has a record yet.*"


@pytest.mark.slow
@pytest.mark.parametrize("profile", ["report", "quick", "mine"])
def test_the_commands_of_every_page_ask_for_its_runs(laboratory, capsys, profile):
    """Also of a further page of one's own: the commands of its chapter are about other runs."""
    for path in (ROOT / "params").glob("*.yml"):
        shutil.copy(path, laboratory / "params")
    narrow = {"page": "narrow", "width": 8, "seeds": 4, "further": [{"name": "gelu", "depth": 2}]}
    usual = {"dataset": "mnist", "depth": [2, 8], "seeds": [0], "width": 16}
    write_profile(laboratory, {"1_1": [usual, usual | narrow]}, "mine")
    pages = [page for page in profiles.pages(profile) if page.plan()]
    for page in pages:
        text = fragments.run_it([PublishedPage(page, "One", [])], {})
        lines = re.findall(r"^python -m lab1 (.*?)(?:\s+#.*)?$", text, re.M)
        assert len(lines) == 3
        for line in lines:
            words = [word for word in shlex.split(line) if word != "--dry-run"]
            capsys.readouterr()
            assert cli.main([*words, "--dry-run"]) == 0
            if words[0] == "run":
                assert capsys.readouterr().out.startswith(f"{len(page.plan())} runs planned")
        (line,) = re.findall("^papermill chapters/(.*)", text, re.M)
        notebook, _, *words = shlex.split(line)
        given = dict(zip(words[1::3], words[2::3], strict=True))
        asked = profiles.page(
            notebook.removesuffix(".ipynb"), given.pop("profile", "report"), given
        )
        alone = replace(page, parameters={**page.parameters, "seeds": (0, 1, 2), "further": None})
        assert {*alone.plan()} <= {*asked.plan()}
    assert len(pages) == {"report": 5, "quick": 5, "mine": 2}[profile]


def test_the_profile_of_the_report_needs_no_mention():
    (page, *_) = profiles.pages("report")
    text = fragments.run_it([PublishedPage(page, "One", [])], {})
    assert "\npython -m lab1 run 1_1   " in text and "profile report" not in text
    assert "papermill chapters/1_1.ipynb out.ipynb -p seeds 0,1,2\n" in text


def test_every_parameter_is_there_with_its_meaning_range_and_value(shipped):
    text = fragments.run_it(shipped[:1], {})
    for name in chapters.chapter("1_1").parameters:
        declared = PARAMETERS[name]
        assert f"| `{name}` | {declared.meaning} | {declared.allowed} |" in text
    rows = dict(re.findall(r"^\| `(\w+)` .* \| ([^|]*) \|$", text, re.M))
    assert (rows["depth"], rows["epochs"], rows["schedule"]) == ("2, 8, 32", "3", "cosine")
    # What the profile leaves out is as the code has it.
    assert (rows["activation"], rows["patience"], rows["dropout_rate"]) == ("relu", "none", "0.0")


@pytest.mark.parametrize(
    ("seconds", "cost"),
    [
        ((60, 10, 20), "Its 3 runs took 2 min one after the other"),
        ((60,), "Of its 3 runs, the 1 that have a record took 60 s one after"),
        ((), "None of its 3 runs has a record, so what they cost is not known."),
    ],
)
def test_the_cost_is_that_of_the_records(make_record, seconds, cost):
    parameters = chapters.check_parameters("1_1", GRID | {"depth": [2]})
    page = profiles.Page("1_1", "1_1", "mine", parameters)
    records = [make_record(seed=seed, seconds=each) for seed, each in enumerate(seconds)]
    other = make_record(depth=8, seconds=10_000)  # shown there, asked for elsewhere
    said = fragments.cost(PublishedPage(page, "One", [*records, other]))
    assert said.startswith(cost)
    assert ("on a processor: 20 s in the median, 60 s at most" in said) == (len(records) == 3)


def benchmark(kind, **rates):
    records = [
        contenders_record({"title": title}, lab1=[(rate, 0.5)], reference=[(rate / 2, 0.5)])
        for title, rate in rates.items()
    ]
    hardware = {**records[0]["hardware"], "kind": kind}
    return {
        **records[0], "hardware": hardware, "cases": [case for r in records for case in r["cases"]]
    }  # fmt: skip


def test_a_gpu_is_set_against_the_cpu_where_both_were_measured():
    found = {"a": benchmark("cpu", mlp=100, cnn=10), "b": benchmark("cuda", cnn=250)}
    assert "it was 25.0 times as fast for cnn." in fragments.gpu_speedup(found)
    assert (
        fragments.gpu_speedup({"a": found["a"]}) == fragments.gpu_speedup({"b": found["b"]}) == ""
    )
    assert fragments.gpu_speedup({}) == ""


def test_logged_runs_are_shown_by_project_and_none_changes_no_page(store, tmp_path):
    drawn = exports.Folder(tmp_path / "drawn", "drawn")
    assert fragments.logged(store, drawn, "assets") == ("", set())
    for number in range(7):
        run = {"project": "<b>_P_", "id": f"r{number}", "name": "</script><b>", "config": {}}
        series = {"loss": [[0, 1.0], [1, 0.5]]}
        logged_runs.write({**run, "group": f"<b>{number}", "series": series}, store.runs)
    text, pictures = fragments.logged(store, drawn, "assets")
    assert text.count('class="lab1-figure"') == 2 and "<b>" not in text.replace("\\<b", "")
    assert "### \\<b\\>\\_P\\_\n" in text
    assert len(pictures) == 8 and all(path.is_file() for path in pictures)
