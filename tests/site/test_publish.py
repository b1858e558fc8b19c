"""Publishing a small laboratory of its own: two chapters, fabricated records, real kernels once."""

import json
import shutil
import threading
import time
from copy import deepcopy
from dataclasses import replace

import nbformat
import pytest
from small_profiles import GRID, write_profile

from lab1.core import files
from lab1.core.record import read_record
from lab1.core.store import Store
from lab1.errors import MissingRunsError, ParameterError, PublishError
from lab1.planning import ensure as ensuring
from lab1.planning import profiles
from lab1.reporting import figure as figures
from lab1.reporting import theme
from lab1.reporting.networks import Drawing, svg
from lab1.site import execution, exports, fragments, publish

PROFILE = {"1_1": GRID, "1_2": GRID}

#: Test accuracies by family and depth, seeds alike.
ACCURACY = {("MLP", 2): 0.9, ("MLP", 4): 0.8, ("MLP", 8): 0.7}
ACCURACY |= {("ResidualMLP", depth): 0.95 for depth in (2, 4, 8)}

CELLS = [
    ("markdown", "# A chapter\n\nIt is small.\n\n<!--\norder: 1\n-->"),
    ("markdown", "## Question\n\nIt is [old](#ref-he2016deep)."),
    ("code", 'profile = "report"\ndepth = None\nseeds = None', "parameters"),
    (
        "code",
        "from lab1.chapter import open_chapter\n"
        "from lab1.reporting import comparison\n\n"
        'chapter = open_chapter("{name}", globals())',
    ),
    (
        "code",
        '#| label: fig-accuracy\n#| fig-cap: "Accuracy."\n\n'
        "comparison.accuracy_by_depth(chapter.runs)",
    ),
    (
        "code",
        'base = chapter.select("MLP")\n'
        'findings = chapter.findings(depth=(base.deepest - base.shallowest).in_("test_accuracy"))\n'
        'depth = findings["depth"]\n'
        'chapter.answer("More layers **hurt**.", depth.below(), number=depth, card="It hurts.")',
    ),
    ("markdown", "The end."),
]

#: Where a chapter's code is made to fail.
CHART = "comparison.accuracy_by_depth("


def write_chapter(home, name):
    cells = []
    for index, (kind, source, *tags) in enumerate(CELLS):
        make = getattr(nbformat.v4, f"new_{kind}_cell")
        cell = make(source.replace("{name}", name), id=f"own-{index}")
        if tags:
            cell.metadata["tags"] = tags
        cells.append(cell)
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})
    nbformat.write(notebook, home / "chapters" / f"{name}.ipynb")


def edit_cell(home, chapter, old, new):
    """Replaces a text in a chapter's source."""
    path = home / "chapters" / f"{chapter}.ipynb"
    notebook = nbformat.read(path, 4)
    (cell,) = (cell for cell in notebook.cells if old in cell.source)
    cell.source = cell.source.replace(old, new)
    nbformat.write(notebook, path)


def edit_record(family, **changes):
    """Changes the first published record of a family."""
    path = published_record(family)
    record = replace(read_record(path), **changes)
    Store().write(record).replace(path)


def published_record(family):
    plan = profiles.page("1_2", "report", {}).plan()
    spec = next(spec for spec in plan if spec.model.family == family)
    return Store().results / f"{spec.name}.json"


def published_page(home, page):
    return nbformat.read(home / "report" / f"{page}.ipynb", 4)


def pages_in(home):
    return sorted(path.stem for path in (home / "report").glob("*.ipynb"))


def outputs(notebook):
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]


def texts(notebook):
    """All that a page's outputs show."""
    return "\n".join(
        output["data"].get("text/markdown", output["data"].get("text/plain", ""))
        for output in outputs(notebook)
        if "data" in output
    )


def everything(home):
    """Every file that publishing writes, by name, as bytes."""
    return {
        path.relative_to(home).as_posix(): path.read_bytes()
        for folder in ("report", "figures")
        for path in sorted((home / folder).rglob("*"))
        if path.is_file()
    }


def executed(done):
    return {page.page.name: page.executed for page in done}


@pytest.fixture(scope="module")
def _made(tmp_path_factory):
    return {"home": tmp_path_factory.mktemp("published") / "home"}


@pytest.fixture
def home(_made, make_record, tmp_path, monkeypatch):
    """A published laboratory, a copy of one that was published once: executing is what is slow."""
    master = _made["home"]
    if not master.exists():
        building = tmp_path / "building"
        (building / "params").mkdir(parents=True)
        (building / "chapters").mkdir()
        write_profile(building, PROFILE)
        for name in PROFILE:
            write_chapter(building, name)
        monkeypatch.setenv("LAB1_HOME", str(building))
        _made["sources"] = execution.sources_digest()
        store = Store()
        for (family, depth), accuracy in ACCURACY.items():
            for seed in range(3):
                record = make_record(family, depth, seed, accuracy + seed / 1000)
                store.write(record)
                store.promote(record)
        _made["executed"] = executed(publish.publish())
        building.rename(master)
    home = tmp_path / "home"
    shutil.copytree(master, home)
    monkeypatch.setenv("LAB1_HOME", str(home))
    # Whoever edits a source while the tests run has no page executed again by that.
    monkeypatch.setattr(execution, "sources_digest", lambda: _made["sources"])
    return home


@pytest.fixture
def executions(home, monkeypatch):
    """The pages that would be executed; each gets the outputs of its chapter's first execution."""
    pages = []
    of_chapter = {}
    for path in (home / ".jupyter_cache").glob("executed/*/base.ipynb"):
        notebook = nbformat.read(path, 4)
        (name,) = (name for name in PROFILE if f'"{name}", globals()' in str(notebook))
        of_chapter[name] = [cell.outputs for cell in notebook.cells]

    def execute(notebook, page, root):
        pages.append(page.name)
        notebook = deepcopy(notebook)
        code = (cell for cell in notebook.cells if cell.cell_type == "code")
        for cell, outputs in zip(code, of_chapter[page.chapter], strict=True):
            cell.outputs = deepcopy(outputs)
        return notebook

    monkeypatch.setattr(execution, "_execute", execute)
    return pages


@pytest.fixture
def without_fragments(monkeypatch):
    """Leaves out what publishing computes beside the pages, which takes the longest."""
    monkeypatch.setattr(fragments, "write", lambda *_: set())


# What is published


@pytest.mark.slow
def test_each_page_is_executed_into_the_report(home, _made):
    assert _made["executed"] == {"1_1": True, "1_2": True}
    assert {path.name for path in (home / "report").glob("*.md")} == {
        "behind.md", "cards.md", "chart.md", "draw.md", "excerpts.md", "chapters.md", "headline.md",
        "logged.md", "plain-layer.md", "residual-layer.md", "run-it.md", "runs.md", "toy.md",
        "try-it.md", "watch.md",
    }  # fmt: skip
    assert (home / "report" / "logged.md").read_text() == ""  # nobody has logged anything here
    for name in PROFILE:
        page = published_page(home, name)
        nbformat.validate(page)
        assert page.metadata.keys() == {"kernelspec", "language_info"}
        assert "More layers **hurt**." in texts(page)
        assert not any(output.output_type == "error" for output in outputs(page))
        # On seeing HTML Quarto would add scripts from another host.
        assert not any("text/html" in output.get("data", {}) for output in outputs(page))
        assert figures.MIME not in str(page)
        assert texts(page).count("```{=html}\n<div class=") == 1


@pytest.mark.slow
def test_a_page_keeps_its_prose_and_its_order(home):
    page = published_page(home, "1_1")
    front = page.cells[0].source
    said = "title: A chapter\ndescription: It is small.\norder: 1"
    assert front == f"---\n{said}\nnocite: '@he2016deep'\n---"
    head, first, last, source, references = [
        cell.source for cell in page.cells if cell.cell_type == "markdown"
    ]
    assert "Some 1 minute to read. The runs behind it took " in head
    assert '[the same with results](assets/notebooks/1_1.ipynb){download="1_1.ipynb"}' in head
    assert (first, last) == (CELLS[1][1], "The end.")
    assert '[chapters/1_1.ipynb](../chapters/1_1.ipynb){download="1_1.ipynb"}.' in source
    assert references == "## References\n\n::: {#refs}\n:::"
    (injected,) = (c for c in page.cells if "injected-parameters" in c.metadata.get("tags", []))
    assert 'profile = "report"' in injected.source and "depth = [2, 8]" in injected.source


@pytest.mark.slow
def test_the_published_figures_are_exported_and_linked(home):
    names = {
        f"{page}-accuracy.{ending}" for page in PROFILE for ending in ("svg", "vl.json", "csv")
    }
    assert {path.name for path in (home / "figures").iterdir()} == names
    for page in PROFILE:
        text = texts(published_page(home, page))
        for name in names:
            assert (f'href="../figures/{name}"' in text) == name.startswith(page)
    assert (home / "figures" / "1_1-accuracy.svg").read_text().startswith("<svg")
    spec = json.loads((home / "figures" / "1_2-accuracy.vl.json").read_text())
    assert "ResidualMLP from 95.10 % at 2" in spec["description"]
    rows = (home / "figures" / "1_1-accuracy.csv").read_text().splitlines()
    assert rows[0] == "family,depth,mean,half_width,low,high,n"
    assert rows[1].startswith("MLP,2,90.1") and rows[1].endswith(",3")


@pytest.mark.slow
def test_the_front_page_tells_of_all_pages(home):
    report = home / "report"
    cards, contents = ((report / f"{name}.md").read_text() for name in ("cards", "chapters"))
    for name in PROFILE:
        assert f"### [A chapter](report/{name}.ipynb)" in cards
        assert f"- [A chapter](report/{name}.ipynb): It is small.\n" in contents
    assert cards.count("−20.00 <small>points</small>") == len(PROFILE)
    assert (report / "runs.md").read_text().count('<tr id="runs-') == 4
    assert "python -m lab1 run 1_2 " in (report / "run-it.md").read_text()
    assert 'class="lab1-chart"' in (report / "chart.md").read_text()
    for name in fragments.SHIPPED:
        shipped = files.PACKAGE / "site" / name
        assert (report / "assets" / name).read_bytes() == shipped.read_bytes()
    assert "vegaEmbed" in (report / "assets" / "vega.js").read_text()
    assert "Washington" in (report / "assets" / "vega.license.txt").read_text()


# What is executed again


def demote(home):
    """Has a record that is not published: the page must not link to it."""
    path = published_record("ResidualMLP")
    own = Store().runs / path.stem / "record.json"
    own.parent.mkdir(parents=True)
    path.rename(own)


#: What is changed, and the pages that it makes stale; a residual run is read by the second alone.
CHANGES = {
    "code": (lambda home, patch: edit_cell(home, "1_1", '"Accuracy."', '"Another."'), ["1_1"]),
    "a parameter": (
        lambda home, patch: write_profile(home, {"1_1": {**GRID, "seeds": [0, 1]}, "1_2": GRID}),
        ["1_1"],
    ),
    "a source": (
        lambda home, patch: patch.setattr(execution, "sources_digest", lambda: "another"),
        ["1_1", "1_2"],
    ),
    "a version of what draws": (
        lambda home, patch: patch.setattr(execution, "versions", lambda: "altair 99"),
        ["1_1", "1_2"],
    ),
    "a draft": (lambda home, patch: patch.setenv(execution.DRAFT, "1"), ["1_1", "1_2"]),
    "a record": (lambda home, patch: edit_record("ResidualMLP", seconds=9.0), ["1_2"]),
    "where a record lies": (lambda home, patch: demote(home), ["1_2"]),
}


def stale_pages(home):
    store = Store()
    pages = profiles.pages("report")
    return [p.name for p in pages if execution.execute_page(p, p.records(store), store, home)[1]]


@pytest.mark.slow
@pytest.mark.parametrize(("change", "stale"), CHANGES.values(), ids=CHANGES)
def test_a_page_is_executed_again_where_what_it_shows_may_have_changed(
    home, executions, monkeypatch, change, stale
):
    change(home, monkeypatch)
    assert stale_pages(home) == stale
    assert stale_pages(home) == [] and executions == stale


@pytest.mark.slow
def test_publishing_again_changes_nothing(home, executions):
    before = everything(home)
    times = {path: path.stat().st_mtime_ns for path in home.rglob("report/**/*") if path.is_file()}
    assert executed(publish.publish()) == {"1_1": False, "1_2": False}
    assert everything(home) == before
    # Quarto typesets again what is newer than its page.
    assert {path: path.stat().st_mtime_ns for path in times} == times


@pytest.mark.slow
def test_executing_again_gives_the_same_bytes(home, without_fragments):
    """Else each build would differ from the last: by its time, or by its folder."""
    before = everything(home)
    for folder in (".jupyter_cache", "report", "figures"):
        shutil.rmtree(home / folder)
    write_profile(home, {"1_1": GRID})  # one page is enough
    assert executed(publish.publish()) == {"1_1": True}
    again = everything(home)
    assert {name for name in before if "1_1" in name} == again.keys() - {"report/.lock"}
    assert again == {name: before[name] for name in again}


@pytest.mark.slow
def test_new_prose_is_shown_with_the_old_outputs(home, executions, without_fragments):
    edit_cell(home, "1_1", "The end.", "The end is near.")
    path = home / "chapters" / "1_1.ipynb"
    source = nbformat.read(path, 4)
    source.cells.insert(4, nbformat.v4.new_markdown_cell("A new paragraph.", id="new"))
    nbformat.write(source, path)
    publish.publish()
    assert executions == []
    page = published_page(home, "1_1")
    nbformat.validate(page)
    sources = [cell.source for cell in page.cells]
    place = sources.index("A new paragraph.")
    assert "open_chapter(" in sources[place - 1] and "fig-accuracy" in sources[place + 1]
    assert "The end is near." in sources and "**hurt**" in texts(page)


# Pages and profiles


@pytest.mark.slow
def test_a_page_that_left_the_profile_leaves_the_report(home, executions, without_fragments):
    write_profile(home, {"1_2": GRID})
    publish.publish()
    assert executions == []
    assert pages_in(home) == ["1_2"]
    assert {path.name[:4] for path in (home / "figures").iterdir()} == {"1_2-"}


@pytest.mark.slow
def test_several_parameter_sets_make_several_pages(home, executions, without_fragments):
    more = {**GRID, "page": "deep", "depth": [4, 8]}
    write_profile(home, {"1_1": [GRID, more], "1_2": GRID})
    done = publish.publish()
    # What a page says of its own parameters depends on the published pages of its chapter.
    assert executed(done) == {"1_1": True, "1_1-deep": True, "1_2": False}
    assert (home / "figures" / "1_1-deep-accuracy.svg").exists()
    # In the navigation they must not look alike.
    assert [page.title for page in done] == ["A chapter", "A chapter (deep)", "A chapter"]
    assert [page.order for page in done] == [1, 1.5, 1]


@pytest.mark.slow
def test_another_profile_leaves_the_published_figures_alone(home, executions, without_fragments):
    before = {name for name in everything(home) if name.startswith("figures")}
    write_profile(home, {"1_1": {**GRID, "depth": [4, 8]}}, "mine")
    assert executed(publish.publish("mine")) == {"1_1": True}
    assert {name for name in everything(home) if name.startswith("figures")} == before
    text = texts(published_page(home, "1_1"))
    # Files that say something else must not be offered below the chart.
    assert "../figures/" not in text
    assert 'href="assets/figures/1_1-accuracy.csv"' in text
    assert (home / "report" / "assets" / "figures" / "1_1-accuracy.csv").is_file()
    assert pages_in(home) == ["1_1"]


def test_a_profile_that_is_not_in_order_or_not_there_takes_nothing_away(laboratory):
    """A page and fifteen committed figures went where a key stood twice."""
    write_profile(laboratory, PROFILE)
    for folder, name in (("figures", "1_1-loss.svg"), ("report", "1_1.ipynb")):
        (laboratory / folder).mkdir()
        (laboratory / folder / name).write_text("kept")
    profile = laboratory / "params" / "report.yml"
    profile.write_text(profile.read_text() + profile.read_text().split("chapters:\n")[1])
    before = everything(laboratory)
    for name, words in (("report", r"^report\.yml: "), ("nope", "'nope' does not exist")):
        with pytest.raises(ParameterError, match=words):
            publish.publish(name)
    assert everything(laboratory) == before


def test_pages_that_read_the_others_come_last(laboratory, monkeypatch):
    """So they see what was trained for those."""
    write_profile(laboratory, {"results": {}, "1_1": GRID})
    trained = []
    monkeypatch.setattr(profiles.Page, "records", lambda page, store: trained.append(page.name))
    with pytest.raises(PublishError, match="2 of 2 pages failed"):
        publish.publish()
    assert trained == ["1_1", "results"]


# Failures


@pytest.mark.slow
def test_a_failing_chapter_is_told_with_its_cell_and_is_not_remembered(
    home, monkeypatch, capsys, without_fragments
):
    edit_cell(home, "1_1", CHART, f"1 / 0\n{CHART}")
    edit_cell(home, "1_2", "The end.", "The other end.")
    with pytest.raises(PublishError, match=r"1 of 2 .* failed\n1_1: code cell 3: ZeroDiv"):
        publish.publish()
    told = capsys.readouterr().err
    assert "1_1: failed: code cell 3: ZeroDivisionError: division by zero" in told
    assert "Traceback" in told and "----> 4 1 / 0" in told and "\x1b" not in told
    assert told.index("1_1: failed") < told.index("1_2: ")
    # The old page would show old results as if nothing had happened.
    assert pages_in(home) == ["1_2"]
    assert "The other end." in [cell.source for cell in published_page(home, "1_2").cells]
    # A failure takes away no published chart, since it may pass.
    assert (home / "figures" / "1_1-accuracy.svg").exists()

    def refuse(*_):
        raise PublishError("tried again")

    with monkeypatch.context() as patch:
        patch.setattr(execution, "_execute", refuse)
        with pytest.raises(PublishError, match="1_1: tried again"):
            publish.publish()
    edit_cell(home, "1_1", "1 / 0\n", "")  # the mended chapter is there at once
    assert executed(publish.publish()) == {"1_1": False, "1_2": False}


@pytest.mark.slow
def test_a_claim_that_is_not_carried_ends_the_build_and_a_draft_marks_it(
    home, capsys, without_fragments
):
    """Eight layers are worse than two, by exactly 20 points."""
    write_profile(home, {"1_1": GRID})  # one page is enough
    edit_cell(
        home, "1_1", '"More layers **hurt**.", depth.below()', '"They **help**.", depth.above()'
    )
    with pytest.raises(PublishError, match="1 of 1 pages failed"):
        publish.publish()
    failed = (
        "“They **help**.” is not carried by its records: depth needs above: 8 layers − 2 layers, "
        "plain MLP, test accuracy: −20.00"
    )
    assert failed in capsys.readouterr().err
    count, (problem,) = publish.check_claims()
    assert count == 1
    assert problem.startswith("1_1: “") and "depth needs above: 8 layers − 2 layers" in problem
    with execution.draft_mode():
        assert executed(publish.publish()) == {"1_1": False}
    page = published_page(home, "1_1")
    assert "<mark>Not carried by the records: depth needs above" in texts(page)
    (answer,) = (cell for cell in page.cells if "chapter.answer(" in cell.source)
    assert answer.source.startswith("#| echo: false\n")
    assert '<div class="lab1-answer">' in texts(page)
    shutil.rmtree(home / "results")
    write_profile(home, PROFILE)
    assert publish.check_claims()[1] == [
        f"{name}: {n} of its runs have no record" for name, n in (("1_1", 6), ("1_2", 12))
    ]


def die(*_, **__):
    raise RuntimeError("Kernel died")


def refuse_training(wanted, *_):
    raise MissingRunsError(f"no torch for {wanted.missing[0].title}")


def retag(home, *tags):
    """Gives the first cells of code of the first chapter those tags."""
    path = home / "chapters" / "1_1.ipynb"
    notebook = nbformat.read(path, 4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for cell, tag in zip(code, tags, strict=False):
        cell.metadata["tags"] = [tag] if tag else []
    nbformat.write(notebook, path)


def give_parts(home):
    (home / "_quarto.yml").write_text("site-menu: [{part: One}]")
    for name, part in (("1_1", "Two"), ("1_2", "One")):
        edit_cell(home, name, "order: 1", f"part: {part}\norder: 1")


def spoil_code(home, patch):
    edit_cell(home, "1_1", CHART, f"import os\n{CHART}")
    patch.setattr(execution.papermill, "execute_notebook", die)


def want_more(home, patch):
    write_profile(home, {"1_1": {**GRID, "depth": [2, 16]}, "1_2": GRID})
    patch.setattr(ensuring, "_train", refuse_training)


def spoil_preparing(home, patch):
    prepare = publish._prepare
    patch.setattr(
        publish, "_prepare", lambda page, *rest: 1 / (page.name != "1_1") and prepare(page, *rest)
    )


#: What is amiss with the first page alone, and what is told of it.
FAULTS = {
    "its kernel": (spoil_code, "RuntimeError: Kernel died"),
    "its notebook": (
        lambda home, patch: (home / "chapters" / "1_1.ipynb").unlink(), "not readable as a notebook"
    ),
    "its runs": (want_more, "no torch for MLP, 16 layers"),
    "its part": (lambda home, patch: give_parts(home), r"part = 'Two' is not allowed.*: One"),
    "no parameters": (
        lambda home, patch: retag(home, ""), r".*1_1\.ipynb: 0 cells have the tag 'parameters'"
    ),
    "parameters twice": (
        lambda home, patch: retag(home, "parameters", "parameters"), ".*2 cells have the tag"
    ),
    "unforeseen": (spoil_preparing, "ZeroDivisionError: division by zero"),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("spoil", "words"), FAULTS.values(), ids=FAULTS)
def test_a_page_that_fails_is_named_and_does_not_end_the_others(
    home, monkeypatch, without_fragments, spoil, words
):
    spoil(home, monkeypatch)
    with pytest.raises(PublishError, match=rf"1 of 2 pages failed\n1_1: .*{words}"):
        publish.publish()
    assert pages_in(home) == ["1_2"]


@pytest.mark.slow
def test_a_damaged_record_fails_the_pages_that_read_it(home, executions, without_fragments):
    path = published_record("ResidualMLP")
    path.write_text(path.read_text().replace('"errors": ', '"errors": 1'))
    with pytest.raises(PublishError, match=rf"1_2: .*{path.stem}.*checksum"):
        publish.publish()
    assert pages_in(home) == ["1_1"]


# The cache and other publishers


def edit_notebooks(folder):
    for path in folder.glob("executed/*/base.ipynb"):
        text = path.read_text()
        assert "**hurt**" in text
        path.write_text(text.replace("**hurt**", "**help**"))


def cut_database(folder):
    database = folder / "global.db"
    database.write_bytes(database.read_bytes()[:2000])


def replace_by_file(folder):
    shutil.rmtree(folder)
    folder.write_text("not a folder")


#: Ways in which a cache may be damaged; each takes its folder.
DAMAGES = {
    "an empty database": lambda folder: (folder / "global.db").write_bytes(b""),
    "a cut database": cut_database,
    "no notebooks": lambda folder: shutil.rmtree(folder / "executed"),
    "edited notebooks": edit_notebooks,
    "a file in its place": replace_by_file,
}


@pytest.mark.slow
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_cache_is_a_miss_and_made_anew(home, executions, damage, capsys):
    damage(home / ".jupyter_cache")
    assert stale_pages(home) == [*PROFILE]
    assert stale_pages(home) == []
    assert "Traceback" not in capsys.readouterr().err


def test_a_second_publisher_waits_and_says_so(laboratory, monkeypatch, capsys):
    write_profile(laboratory, {"1_1": GRID})
    order = []
    monkeypatch.setattr(publish, "_publish", lambda *_: order.append("second"))
    with files.claimed(laboratory / "report" / ".lock", lambda: None):
        thread = threading.Thread(target=publish.publish)
        thread.start()
        while "another process is publishing here" not in capsys.readouterr().err:
            time.sleep(0.05)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


# The parts, without a kernel


def test_a_page_does_not_say_who_saved_its_chapter(laboratory, store):
    """Colab writes the author's name into cells; VS Code names a kernel of its own."""
    write_chapter(laboratory, "1_1")
    page = profiles.Page("1_1", "1_1", "report", {"depth": (2,)})
    source = execution._read_chapter(laboratory, page)
    expected = execution._parameterize(deepcopy(source), page, [], store)
    source.metadata.kernelspec = {"name": "venv", "display_name": "mine", "language": "python"}
    source.metadata.pop("language_info", None)
    for cell in source.cells:
        cell.metadata |= {"executionInfo": {"user": {"displayName": "Someone"}}, "id": "a"}
    assert execution._parameterize(source, page, [], store) == expected


def test_a_changed_renamed_or_removed_source_changes_the_digest_and_training_does_not(
    tmp_path, monkeypatch
):
    """What training computes is in the records, and their keys hold its recipe."""
    package = tmp_path / "lab1"
    shutil.copytree(files.PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    digests = [execution.sources_digest()]
    monkeypatch.setattr(files, "PACKAGE", package)
    (package / "training" / "trainer.py").write_text("")
    (package / "site" / "charts.css").write_text("")
    assert execution.sources_digest() == digests[0]
    for name in ("chapter.py", "core/spec.py", "reporting/comparison.py"):
        path = package / name
        path.write_text(path.read_text() + "# changed\n")
        digests.append(execution.sources_digest())
        path = path.rename(package / "other.py")
        digests.append(execution.sources_digest())
        path.unlink()
        digests.append(execution.sources_digest())
    assert len({*digests}) == 10


def test_the_digest_of_another_profiles_page_has_what_is_published(laboratory, store, make_record):
    """It is told what differs from that, and names the run that is shown by hand."""
    for profile in ("report", "smoke"):
        write_profile(laboratory, {"1_1": GRID}, profile)

    def digests():
        pages = [profiles.page("1_1", profile, {}) for profile in ("report", "smoke")]
        return [execution.records_digest(page, [], store) for page in pages]

    before = digests()
    store.write(make_record())
    with_a_record = digests()
    write_profile(laboratory, {"1_1": {**GRID, "epochs": 2}})
    assert before[0] == with_a_record[0] == digests()[0]
    assert len({before[1], with_a_record[1], digests()[1]}) == 3
    (laboratory / "params" / "report.yml").unlink()
    assert profiles.published("1_1") == []


@pytest.mark.slow
def test_the_digest_of_a_page_that_shows_benchmarks_is_also_theirs(store, monkeypatch):
    published = {}
    monkeypatch.setattr(execution.benchmarks, "published", lambda: published)
    pages = [profiles.Page(name, name, "report", {}) for name in ("speed", "depth", "1_1")]
    before = [execution.records_digest(page, [], store) for page in pages]
    published["cpu"] = {"schema": 1}
    after = [execution.records_digest(page, [], store) for page in pages]
    assert [one != other for one, other in zip(before, after, strict=True)] == [True, True, False]


def test_the_digest_of_a_page_that_reads_others_says_where_the_runs_stand(
    laboratory, store, make_record
):
    """A run that a further page shows is named there, though its record is the same."""
    record = make_record()
    store.write(record)
    page = profiles.Page("results", "results", "report", {})
    write_profile(laboratory, {"1_1": GRID, "results": {}})
    digests = [execution.records_digest(page, records, store) for records in ([record], [])]
    write_profile(laboratory, {**PROFILE, "results": {}})
    digests.append(execution.records_digest(page, [record], store))
    assert len(set(digests)) == 3


WIDE = f'<svg width="700" height="300"><text fill="{theme.TEXT}"/></svg>'
NARROW = '<svg width="340" height="500"/>'


def figure_notebook(source="#| label: fig-one\nx", **parts):
    parts = {
        "spec": {"b": 1, "a": 2}, "svg": WIDE, "narrow": NARROW, "csv": "x\n1\n", "alt": "One."
    } | parts  # fmt: skip
    html = figures.in_notebook(parts)
    data = {figures.MIME: parts, "text/html": html, "text/plain": "One."}
    output = nbformat.v4.new_output("display_data", data)
    return nbformat.v4.new_notebook(
        cells=[
            nbformat.v4.new_markdown_cell("Prose."),
            nbformat.v4.new_code_cell(source, outputs=[output]),
        ]
    )


def test_a_figure_is_exported_in_three_forms(tmp_path):
    notebook = figure_notebook()
    offered = exports.Folder(tmp_path / "figures", "../figures")
    drawn = exports.Folder(tmp_path / "drawn", "assets/figures")
    changed, files = exports.export_figures(notebook, "page", offered, drawn)
    assert {path.relative_to(tmp_path).as_posix(): path.read_text() for path in files} == {
        "figures/page-one.svg": WIDE,
        "figures/page-one.vl.json": '{\n "a": 2,\n "b": 1\n}\n',
        "figures/page-one.csv": "x\n1\n",
        "drawn/page-one.dark.svg": WIDE.replace(theme.TEXT, theme.TEXT_IN_DARK),
        "drawn/page-one.narrow.svg": NARROW,
        "drawn/page-one.narrow-dark.svg": NARROW,
    }
    shown = changed.cells[1].outputs[0].data["text/html"]
    for ending in ("svg", "vl.json", "csv"):
        assert f'<a href="../figures/page-one.{ending}">' in shown
    assert 'srcset="assets/figures/page-one.narrow-dark.svg"' in shown
    assert "../figures" not in notebook.cells[1].outputs[0].data["text/html"]


def test_a_picture_in_a_table_is_a_file_that_a_page_loads_when_it_is_looked_at(tmp_path):
    drawn = exports.Folder(tmp_path, "assets/figures")
    markup = '<td><img src="data:image/png;base64,b25l" alt="One."></td>'
    shown = [nbformat.v4.new_output("display_data", {"text/html": markup}) for _ in range(2)]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("x", outputs=shown)])
    changed, (path,) = exports.export_figures(notebook, "page", drawn, drawn)
    assert path.parent == tmp_path and path.read_bytes() == b"one"
    address = f'<td><img src="assets/figures/{path.name}" loading="lazy" alt="One."></td>'
    assert [output.data["text/html"] for output in changed.cells[0].outputs] == [address] * 2
    assert shown[0].data["text/html"] == markup
    exports.remove_others(tmp_path, set())
    assert path.exists()
    exports.remove_others(tmp_path, set(), "png")
    assert not path.exists()


def test_a_figure_without_a_label_is_refused_by_page_and_cell(tmp_path):
    here = exports.Folder(tmp_path, ".")
    with pytest.raises(PublishError, match=r"page 1_1: .*label: fig-.*\ncharts.nameless"):
        exports.export_figures(figure_notebook("charts.nameless()"), "1_1", here, here)
    assert not any(tmp_path.iterdir())


def test_html_becomes_a_raw_block_and_other_outputs_stay():
    notebook = figure_notebook()
    plain = nbformat.v4.new_output("display_data", {"text/markdown": "**bold**"})
    stream = nbformat.v4.new_output("stream", text="said")
    notebook.cells[1].outputs += [plain, stream]
    changed = exports.as_raw_blocks(notebook)
    first, second, third = changed.cells[1].outputs
    html = notebook.cells[1].outputs[0].data["text/html"]
    assert first.data == {"text/markdown": f"```{{=html}}\n{html}\n```\n", "text/plain": "One."}
    assert second == plain and third == stream


def test_a_page_shows_a_drawing_itself_and_a_notebook_its_pictures():
    drawn = Drawing([svg(10, 20, "One", [])], "One box.")
    bundle = drawn._repr_mimebundle_()
    notebook = nbformat.v4.new_notebook(
        cells=[
            nbformat.v4.new_code_cell(
                "x", outputs=[nbformat.v4.new_output("display_data", dict(bundle))]
            )
        ]
    )
    assert "<svg" not in bundle["text/html"]
    assert bundle["text/html"].startswith('<img src="data:image/svg+xml;base64,')
    (output,) = exports.as_raw_blocks(notebook).cells[0].outputs
    assert output.data == {
        "text/markdown": f"```{{=html}}\n{drawn.markup}\n```\n", "text/plain": "One box."
    }  # fmt: skip
    assert "<svg" in drawn.markup


def test_only_exports_of_figures_that_are_gone_are_removed(tmp_path):
    for name in ("old-one.svg", "old-one.vl.json", "old-one.csv", "kept.csv", "README.md"):
        (tmp_path / name).write_text("")
    exports.remove_others(tmp_path, {tmp_path / "kept.csv"})
    assert {path.name for path in tmp_path.iterdir()} == {"kept.csv", "README.md"}


def test_a_damaged_network_is_left_out_and_ends_nothing(make_record, store):
    """The page that shows it has failed by then, alone; the summary lists its run all the same."""
    whole, damaged = (make_record(seed=seed) for seed in (0, 1))
    layers = [{"shape": [1, 1], "int8": "AQ==", "scales": [1.0], "bias": [0.0]}]
    for record in (whole, damaged):
        store.write(record)
        probe = {"layers": layers, "errors": {"float32": 1, "int8": 1}}
        path = store.write_probe(record.spec, "int8-weights", probe)
    path.write_text("{")
    found = fragments.measured((whole, damaged), store, "int8-weights")
    assert [record.key for record, _ in found] == [whole.key]
