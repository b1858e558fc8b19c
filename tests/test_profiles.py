import json
from pathlib import Path

import jsonschema
import pytest
import yaml
from built_site import ROOT

from lab1.core import files
from lab1.core.datasets import DATASETS
from lab1.core.store import Store
from lab1.errors import MissingRunsError, ParameterError
from lab1.planning import chapters, profiles
from lab1.planning import ensure as ensuring

PARAMS = ROOT / "params"
SHIPPED = sorted(path.stem for path in PARAMS.glob("*.yml"))


@pytest.fixture
def profile(laboratory):
    """Writes a profile into the home-made laboratory."""

    def write(text, name="mine"):
        content = text if isinstance(text, bytes) else text.encode()
        (laboratory / "params" / f"{name}.yml").write_bytes(content)
        return name

    return write


CHAPTER = """
chapters:
  "1_1":
    dataset: smoke-grey
    depth: [2, 8]
    seeds: [0, 1]
    width: 16
    validation_size: 500
    further:
      - {name: rates, depth: 8, learning_rate: [0.001, 0.01]}
"""


# The profiles that are shipped


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_profile_loads_and_plans(name):
    for page in profiles.pages(name):
        assert page.profile == name
        specs = page.plan()
        assert len({each.key for each in specs}) == len(specs)
        # A chapter without runs shows benchmarks or the runs of the others.
        chapter = chapters.chapter(page.chapter)
        assert specs or chapter.reads_benchmarks or chapter.reads_pages
        assert not (specs and chapter.reads_pages)


@pytest.mark.parametrize("name", ["report", "quick", "smoke"])
def test_every_chapter_can_be_had_in_every_length(name):
    assert {page.chapter for page in profiles.pages(name)} == set(chapters.CHAPTERS)


def test_a_further_page_that_leaves_out_what_the_first_sets_is_refused(profile):
    grid = "{dataset: smoke-grey, depth: 2, seeds: 0, width: 8, validation_size: 500"
    sets = f"[{grid}, weight_decay: 0.1}}, {grid}, page: more}}]"
    with pytest.raises(ParameterError, match=r"page 1_1-more: needs a value for weight_decay too"):
        profiles.pages(profile(f'chapters: {{"1_1": {sets}}}'))


def test_what_is_published_has_three_seeds_at_least_and_smoke_needs_no_download():
    for page in profiles.pages("report"):
        assert len(page.parameters.get("seeds", (0, 1, 2))) >= 3, page.name
    for page in profiles.pages("smoke"):
        assert not any(DATASETS[spec.dataset].files for spec in page.plan())


def test_the_first_chapters_runs_serve_the_second():
    first, second = (profiles.page(chapter, "report", {}) for chapter in ("1_1", "1_2"))
    assert {each.key for each in first.plan()} < {each.key for each in second.plan()}


# Home-made profiles


def test_only_yml_files_are_profiles(profile, laboratory):
    profile(CHAPTER, "b")
    profile(CHAPTER, "a")
    (laboratory / "params" / "notes.txt").write_text("")
    (laboratory / "params" / "._a.yml").write_bytes(b"\0\5\x16\7")  # macOS, on a foreign disk
    assert profiles.names() == ["a", "b"]


@pytest.mark.parametrize("name", ["fast", "mine.yml", "../params/mine", "", None, 1])
def test_an_unknown_profile_is_told_those_that_exist(profile, name):
    profile(CHAPTER, "other")
    profile(CHAPTER)
    with pytest.raises(ParameterError) as caught:
        profiles.pages(name)
    assert str(caught.value) == (
        f"profile {name!r} does not exist; there are mine, other (params/*.yml)"
    )


def changed(old, new):
    assert old in CHAPTER
    return CHAPTER.replace(old, new)


def bomb(reference):
    """Ten levels, each nine times the one before."""
    lines = ["l0: &l0 {x: 1}"]
    for level in range(1, 11):
        again = ", ".join([f"*l{level - 1}"] * 9)
        lines.append(f"l{level}: &l{level} {reference.format(again)}")
    return "\n".join(lines)


#: What is no profile, by the words of its refusal.
NO_PROFILE = {
    "not readable as YAML": [
        "chapters: [", "\tchapters:", "chapters: {a: b: c}", "chapters: !!python/object:x {}",
        CHAPTER.encode("utf-16-be"), b"\0" * 100, f"{CHAPTER}\n---\n{CHAPTER}",
    ],
    "begins with a byte order mark": [CHAPTER.encode("utf-8-sig"), CHAPTER.encode("utf-16")],
    "byte 4 is not UTF-8": [f"# größer\n{CHAPTER}".encode("latin-1")],
    "byte 0 is not UTF-8": [b"\x89PNG\r\n"],
    "needs a mapping 'chapters'": [
        "", "chapters:", "chapters: []", "- chapters", "3", "pages: {}", "chapters: {}",
    ],
    "chapter 1_1: needs a mapping": [
        f"chapters: {{1_1: {values}}}" for values in ("", "3", "text", "[3]", "[[]]", "[]")
    ],
    "chapter '7_7' is not allowed; allowed: 1_1, 1_2": [changed("1_1", "7_7")],
    "unknown key '(Chapters|1)'; allowed: chapters$": [
        f"{CHAPTER}\n{key}: {{}}\n" for key in ("Chapters", "1")
    ],
    r"chapter 1_1: depth = '0' is not allowed.*from 1 to 1024": [changed("[2, 8]", "[0]")],
    r"chapter 1_1: depth = \['2'\] is not allowed": [changed("[2, 8]", "[[2]]")],
    r"chapter 1_1: depth = {'2': '8'} is not allowed": [changed("[2, 8]", "{2: 8}")],
    r"chapter 1_1: depth = '999.* is not allowed": [changed("[2, 8]", "9" * 5000)],
    r"chapter 1_1: depth = '2020-99-99' is": [changed("[2, 8]", "2020-99-99")],
    r"chapter 1_1: depth = '!!binary Ag==' is": [changed("[2, 8]", "!!binary Ag==")],
    r"chapter 1_1: unknown parameter '1'": [changed("width: 16", "1: 16")],
    r"chapter 1_1: unknown parameter 'widht'.*width": [changed("width: 16", "widht: 16")],
    r"chapter 1_1: needs a value for width": [changed("width: 16\n", "\n")],
    r"chapter 1_1: width = '' is not allowed": [changed("width: 16", "width:")],
    r"chapter 1_1: .*patience = 2 needs a validation": [
        changed("size: 500", "size: 0\n    patience: 2")
    ],
    r"chapter 1_1: .*validation_size = 3991 .*from 0 to 3990": [changed("size: 500", "size: 3991")],
    # PyYAML takes the last of two keys, so that a page went without a word.
    ".*the key '.*' stands twice.*line": [
        CHAPTER * 2,
        CHAPTER + CHAPTER.split("chapters:")[1],
        CHAPTER + CHAPTER.split("chapters:")[1].replace('"1_1"', "1_1"),
        changed("depth: [2, 8]", "depth: 2\n    depth: 8"),
        CHAPTER + "    page: a\n    page: a\n",
        CHAPTER + "    <<: {epochs: 2}\n    <<: {epochs: 3}\n",
        changed("[2, 8]", "[{a: 1, a: 2}]"),
    ],
    # What would take long to read, or much to tell.
    ".*too large": ["# " + "x" * 10**6, changed("[0, 1]", str(list(range(10**5))))],
    ".*references stand for more than": [bomb("[{}]"), bomb("{{<<: [{}]}}")],
    ".*nested too deeply": [
        changed("[2, 8]", "[" * 10**4 + "]" * 10**4),
        changed("[2, 8]", "{a: " * 2000 + "}" * 2000),
    ],
    ".*refers to itself": [changed("[2, 8]", "&a [*a]")],
    ".*the tag .*set' is not allowed": [changed("[2, 8]", "!!set {2, 8}")],
}  # fmt: skip


@pytest.mark.parametrize(
    ("words", "text"),
    [(words, text) for words, texts in NO_PROFILE.items() for text in texts],
    ids=lambda value: str(value)[:20],
)
def test_what_is_no_profile_is_told_with_its_file_in_few_words(profile, words, text):
    with pytest.raises(ParameterError, match=rf"(?s)^mine\.yml: {words}") as refusal:
        profiles.pages(profile(text))
    assert len(str(refusal.value)) < 500


def test_what_is_merged_may_be_set_again(profile):
    chain = """
      - &first {dataset: smoke-grey, depth: 2, seeds: 0, width: 16, validation_size: 500}
      - &second {<<: *first, width: 8, page: b}
      - {<<: *second, width: 4, page: c}
"""
    pages = profiles.pages(profile(f'chapters:\n  "1_1":{chain}'))
    assert [page.parameters["width"] for page in pages] == [16, 8, 4]


@pytest.mark.parametrize(
    "make", [Path.mkdir, *(lambda p, to=to: p.symlink_to(to) for to in ("nowhere", "/dev/zero"))]
)
def test_a_profile_that_is_no_file_is_refused_by_name(laboratory, make):
    make(laboratory / "params" / "mine.yml")
    with pytest.raises(ParameterError, match=r"^mine\.yml: cannot be read: it is no file"):
        profiles.pages("mine")


SETS = """
chapters:
  "1_1":
    - &base
      dataset: smoke-grey
      depth: 2
      seeds: 0
      width: 16
      validation_size: 500
    - <<: *base
      width: 32
      page: wide
    - <<: *base
      page: 2
      activation: tanh
"""


def test_each_parameter_set_of_a_chapter_becomes_a_page(profile):
    pages = profiles.pages(profile(SETS))
    assert [page.name for page in pages] == ["1_1", "1_1-wide", "1_1-2"]
    assert [page.chapter for page in pages] == ["1_1"] * 3
    assert [page.plan()[0].model.width for page in pages] == [16, 32, 16]
    assert all("page" not in page.parameters for page in pages)


@pytest.mark.parametrize("clash", ["", "page: 2"])
def test_two_pages_of_one_name_clash(profile, clash):
    text = SETS.replace("page: wide", clash)
    with pytest.raises(ParameterError, match=r"^mine\.yml: several parameter sets make the page 1"):
        profiles.pages(profile(text))


@pytest.mark.parametrize(
    "name", ["Wide", "a b", "-a", "a/b", "'../a'", "~", "''", "a_b", "[a]", "a" * 61]
)
def test_a_page_name_that_makes_no_file_name_is_refused(profile, name):
    with pytest.raises(ParameterError, match=r"^mine\.yml: chapter 1_1: page = .* is not allowed"):
        profiles.pages(profile(SETS.replace("page: wide", f"page: {name}")))


def test_a_page_takes_overrides(profile):
    page = profiles.page("1_1", profile(CHAPTER), {"depth": "4", "learning_rate": "0.1"})
    (one, other) = page.plan()
    assert (one.model.depth, one.training.learning_rate, one.seed) == (4, 0.1, 0)
    assert (other.model.depth, other.seed) == (4, 1)
    assert (page.name, page.profile, page.changes) == ("1_1", "mine", [])  # as none is published
    # The profile's own page stays as it was.
    assert profiles.page("1_1", "mine", {}).parameters["depth"] == (2, 8)


def test_a_chapter_that_the_profile_lacks_is_told(profile):
    with pytest.raises(ParameterError, match=r"'mine' has no chapter 1_2; see params/mine\.yml"):
        profiles.page("1_2", profile(CHAPTER), {})
    with pytest.raises(ParameterError, match="chapter '3_3' is not allowed"):
        profiles.page("3_3", "mine", {})


def test_folders_follow_the_environment(laboratory, tmp_path, monkeypatch):
    assert files.runs_dir() == tmp_path / "runs"
    assert files.data_dir() == tmp_path / "data"
    assert files.data_dir("elsewhere").name == "elsewhere"
    monkeypatch.delenv("LAB1_RUNS")
    monkeypatch.setenv("LAB1_DATA", "")
    assert files.runs_dir() == laboratory / "runs"
    assert files.data_dir() == laboratory / "data"


def test_records_are_read_none_is_trained_and_a_lack_is_told(profile, make_record, monkeypatch):
    monkeypatch.setattr(ensuring, "_train", None)
    both = CHAPTER + CHAPTER.split("chapters:")[1].replace("1_1", "1_2") + "  results: {}\n"
    name = profile(both)
    with pytest.raises(MissingRunsError, match=r"no run of the profile 'mine' .*run CHAPTER"):
        profiles.trained(name)
    records = [make_record("MLP", 2, 0, epochs=20), make_record("ResidualMLP", 8, 1, epochs=20)]
    for record in [*records, make_record("MLP", 32, 0)]:
        Store().write(record)
    assert profiles.trained(name) == records  # each once, although two pages plan the first
    assert profiles.trained(name, lambda chapter: chapter == "1_1") == records[:1]
    (results,) = (page for page in profiles.pages(name) if page.chapter == "results")
    assert results.plan() == [] and results.records() == records
    on = profiles.shown_on(name)
    assert [on[record.key] for record in records] == [("1_1", "1_2"), ("1_2",)]
    with pytest.raises(MissingRunsError, match=r"'mine' has a record yet; no page plans one"):
        profiles.trained(profile("chapters: {results: {}, speed: {}}"))


def test_hidden_sizes_take_the_place_of_depth_and_width(profile):
    asked = profiles.page("1_1", profile(SETS), {"hidden_sizes": "24,12"})
    assert {spec.model.layer_sizes for spec in asked.plan()} == {(24, 12)}
    for beside in ("depth", "width"):
        with pytest.raises(ParameterError, match=rf"\[24, 12\] is not allowed beside {beside}"):
            profiles.page("1_1", profile(SETS), {"hidden_sizes": "24,12", beside: 2})
    # A depth replaces those of a profile.
    listed = profile(SETS.replace("width: 16", "width: 16\n      hidden_sizes: [24, 12]", 1))
    for asked, sizes in (({}, (24, 12)), ({"depth": 3}, (16, 16, 16))):
        plan = profiles.page("1_1", listed, asked).plan()
        assert {spec.model.layer_sizes for spec in plan} == {sizes}


def test_a_page_says_in_what_it_differs_from_the_published_one():
    asked = {
        "depth": "2,4",
        "activation": "tanh",
        "learning_rate": ["0.001", 0.01],
        "patience": None,
    }
    same = {"schedule": "cosine", "weight_decay": 0, "width": "128", "further": "none"}
    assert profiles.page("1_1", "report", asked | same).changes == [
        "depth 2, 4", "activation tanh", "learning rate 0.001, 0.01", "no patience",
    ]  # fmt: skip
    smoke = profiles.page("2_2", "smoke", {}).changes
    assert {"built-in colour patterns", "student channels 8"} <= {*smoke}
    published = [page for page in profiles.pages("report") if page.plan()]
    assert published and not any(page.changes for page in published)


def test_editors_are_given_the_schema_of_the_profiles():
    """Which holds for every profile that is shipped, and not for a slip of the pen."""
    folder = files.project_root() / "params"
    written = json.loads((folder / "schema.json").read_text("utf-8"))
    assert written == json.loads(json.dumps(profiles.schema())), (
        "write it anew: python -m lab1.planning.profiles > params/schema.json"
    )
    validator = jsonschema.Draft202012Validator(written)
    for path in folder.glob("*.yml"):
        assert path.read_text("utf-8").startswith("# yaml-language-server: $schema=schema.json\n")
        validator.validate(yaml.safe_load(path.read_text("utf-8")))
    several = {"width": [16, 32], "patience": [None, 3], "dataset": ["mnist", "smoke-grey"]}
    validator.validate({"chapters": {"1_1": several}})
    further = ("further: [{depth: 2}]", "further: [{name: a, x: 1}]")
    for wrong in ("depht: 2", "depth: 0", "width: [16, null]", *further):
        values = yaml.safe_load(f"{{chapters: {{'1_1': {{{wrong}}}}}}}")
        assert not validator.is_valid(values), wrong
