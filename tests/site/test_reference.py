"""The reference: what it covers exists, and its pages hold no link that leads nowhere."""

import re
from importlib.util import find_spec

import pytest
import yaml
from built_site import ROOT

import lab1
from lab1.site import reference

CONFIGURATION = yaml.safe_load((ROOT / "_quarto.yml").read_text())


def test_every_module_that_it_covers_exists_and_every_public_name_is_covered():
    sections = CONFIGURATION["quartodoc"]["sections"]
    names = [
        name for section in sections for page in section["contents"] for name in page["contents"]
    ]
    assert len(names) == len(set(names)) > 20
    for name in names:
        place = ROOT / "lab1" / name.replace(".", "/")
        assert place.with_suffix(".py").is_file() or (place / "__init__.py").is_file(), name
    assert set(lab1._PUBLIC.values()) <= {*names}


def test_a_link_without_its_target_is_a_name():
    text = "# m { #m }\n\n[f](#m.f) [a](#m.a) [n](n.qmd#n)\n\n## f { #m.f }\n"
    assert reference.live_links(text) == (
        "# m { #m }\n\n[f](#m.f) `a` [n](n.qmd)\n\n## f { #m.f }\n"
    )


def test_a_page_has_one_title_and_every_module_is_below_it():
    text = "# Part\n\n# m { #m }\n\n## Classes\n\n```python\n# no heading\n```\n\n### C { #m.C }\n"
    assert reference.below_title(text) == text.replace("\n#", "\n##").replace("## no", "# no")
    assert reference.below_title("# m { #m }\n\n## Classes\n") == "# m { #m }\n\n## Classes\n"


@pytest.mark.parametrize(
    ("text", "title", "description", "rest"),
    [
        ("# Part\n\nWhat it: does.\n\n## m { #m }\n", "Part", "What it: does.", "## m { #m }\n"),
        ("# All {.doc .doc-index}\n\n## Parts\n", "All", None, "## Parts\n"),
    ],
)
def test_title_and_description_are_metadata(text, title, description, rest):
    _, head, body = re.split(r"^---\n", reference.titled(text), flags=re.MULTILINE)
    metadata = yaml.safe_load(head)
    assert metadata.pop("title") == title
    assert (
        len(metadata["description"]) > 30
        if description is None
        else metadata == {"description": description}
    )
    assert body == f"\n{rest}"


def test_a_project_that_asks_for_none_has_none(tmp_path):
    assert reference.write(tmp_path) == []
    (tmp_path / "_quarto.yml").write_text("project: {type: website}\n")
    assert reference.write(tmp_path) == []
    assert not (tmp_path / "reference").exists()


def test_without_quartodoc_the_reference_is_left_out_and_old_pages_go(
    tmp_path, monkeypatch, capsys
):
    (tmp_path / "_quarto.yml").write_text("quartodoc: {package: lab1, sections: []}\n")
    (tmp_path / "reference").mkdir()
    (tmp_path / "reference" / "old.qmd").write_text("# Old")
    monkeypatch.setattr(reference.importlib.util, "find_spec", lambda name: None)
    assert reference.write(tmp_path) == []
    assert not (tmp_path / "reference" / "old.qmd").exists()
    assert "quartodoc is not installed (extra 'site')" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.skipif(find_spec("quartodoc") is None, reason="quartodoc is not installed")
def test_the_pages_are_made_of_the_docstrings(tmp_path):
    settings = {
        "package": "lab1",
        "parser": "google",
        "sections": [{"title": "Some", "contents": ["core.record", "training.models"]}],
    }
    (tmp_path / "_quarto.yml").write_text(yaml.safe_dump({"quartodoc": settings}))
    (tmp_path / "lab1").symlink_to(ROOT / "lab1")
    pages = {path.stem: path for path in reference.write(tmp_path)}
    assert pages.keys() == {"index", "core.record", "training.models"}
    text = pages["core.record"].read_text()
    assert "The record of a finished run: what it did and where it came from." in text
    assert not re.search(r":[a-z]+:`", text)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["_quarto.yml", "lab1", "reference"]
    times = {path: path.stat().st_mtime_ns for path in pages.values()}
    reference.write(tmp_path)
    assert {path: path.stat().st_mtime_ns for path in times} == times
