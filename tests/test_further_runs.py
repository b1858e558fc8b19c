"""A page's further runs: what differs from the page, within what a reader asks for."""

from dataclasses import replace

import pytest

from lab1.errors import ParameterError
from lab1.planning import profiles
from lab1.planning.chapters import FurtherRuns

PROFILE = """
chapters:
  "1_2":
    dataset: smoke-grey
    depth: [2, 8]
    seeds: [0, 1]
    width: 16
    validation_size: 500
    further:
      - {name: rates, depth: 8, learning_rate: [0.001, 0.003]}
      - {name: identity start, families: MLP, depth: [8, 32], initialisation: identity}
      - {name: ladder, hidden_sizes: [16, 8, 8]}
  "2_2":
    - &study
      dataset: smoke-colour
      seeds: [0, 1]
      student_channels: 8
      student_depth: 2
      teacher_channels: 8
      teacher_depth: 2
      teacher_epochs: 3
      teacher_seed: 7
      temperature: 4
      alpha: 0.9
      epochs: 2
      validation_size: 500
      further:
        - {name: temperatures, students: taught, temperature: [1, 2]}
        - {name: fresh, role: fresh, seeds: [5, 6], temperature: 2}
        - {name: teachers, students: taught, teacher_seed: [8, 9]}
    - <<: *study
      page: narrow
      student_channels: 4
      further: [{name: longer, students: alone, epochs: 9}]
"""


@pytest.fixture
def page(laboratory):
    """The page of a chapter with some parameters changed."""

    def make(chapter, text=PROFILE, **changes):
        (laboratory / "params" / "mine.yml").write_text(text)
        return profiles.page(chapter, "mine", changes)

    return make


def added(page):
    """The runs that the further runs add to the page's."""
    alone = replace(page, parameters=page.parameters | {"further": None}).plan()
    specs = page.plan()
    assert specs[: len(alone)] == alone and len(specs) == len(set(specs))
    return specs[len(alone) :]


def short(specs):
    return [
        (s.model.family, s.model.layer_sizes[1:], s.training.learning_rate, s.model.initialisation)
        for s in specs
        if s.seed == 0
    ]


RATES = [(family, (16,) * 7, 0.003, "default") for family in ("MLP", "ResidualMLP")]
START = [("MLP", (16,) * layers, 0.001, "identity") for layers in (7, 31)]
LADDER = [(family, (8, 8), 0.001, "default") for family in ("MLP", "ResidualMLP")]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, RATES + START + LADDER),
        ({"depth": 8}, RATES + START[:1]),
        ({"depth": "2,32"}, START[1:]),
        ({"depth": 4}, []),
        ({"learning_rate": 0.003}, [(f, s, 0.003, i) for f, s, _, i in START + LADDER]),
        ({"learning_rate": 0.01}, [(f, s, 0.01, i) for f, s, _, i in START + LADDER]),
        ({"families": "ResidualMLP"}, RATES[1:] + LADDER[1:]),
        ({"hidden_sizes": "16,8"}, []),
        ({"further": "ladder"}, LADDER),
        ({"further": "none"}, []),
    ],
    ids=str,
)
def test_what_a_reader_asks_for_is_kept(page, asked, expected):
    """Who asks for one depth trains no control of another; what is not asked for stays."""
    assert short(added(page("1_2", **asked))) == expected


def test_a_run_is_named_by_its_further_runs_but_for_the_pages_own(page):
    """A rate of a sweep that was asked for is the page's own."""
    asked = page("1_2", learning_rate="0.001,0.003")
    names = [asked.further_of.get(spec.key, "") for spec in asked.plan()]
    assert [*dict.fromkeys(names)] == ["", "identity start", "ladder"]
    assert names.count("") == 16


def test_hidden_sizes_are_asked_of_networks_that_have_them_alone():
    """Such as are one's own have a depth."""
    row = FurtherRuns("ladder", {"hidden_sizes": (8, 4)})
    both, alone = ({"families": names} for names in (("MLP", "SimpleCNN"), ("SimpleCNN",)))
    assert row.within("1_2", both) == {"hidden_sizes": (8, 4), "families": ("MLP",)}
    assert row.within("1_2", alone) is None


def test_further_runs_of_distillation_have_teachers_of_their_own(page):
    specs = added(page("2_2"))
    assert [s.seed for s in specs if s.distillation is None] == [5, 6, 8, 9]
    taught = [s for s in specs if s.distillation is not None]
    assert [(s.seed, s.distillation.temperature, s.teacher.seed) for s in taught] == [
        *((seed, temperature, 7) for temperature in (1, 2) for seed in (0, 1)),
        *((seed, 2, 7) for seed in (5, 6)),
        *((seed, 4, teacher) for teacher in (8, 9) for seed in (0, 1)),
    ]


def test_seeds_that_chose_a_setting_are_told_from_fresh_ones(page):
    """A student without a teacher has no setting that was chosen: its seeds have no role."""
    roles = {(s.distillation.temperature, s.seed): s.role for s in page("2_2").plan()
             if s.distillation and s.teacher.seed == 7}  # fmt: skip
    assert roles == {
        **{(temperature, seed): None for temperature in (1, 4) for seed in (0, 1)},
        **{(2, seed): "chose" for seed in (0, 1)},
        **{(2, seed): "fresh" for seed in (5, 6)},
    }
    assert {s.role for s in page("2_2").plan() if s.distillation is None} == {None}


def test_a_later_page_has_further_runs_of_its_own(page):
    """Publishing hands a notebook all parameters of its page, which is found by them."""
    narrow = page("2_2-narrow")
    assert [s.training.epochs for s in added(narrow)] == [9, 9]
    assert page("2_2", **narrow.parameters) == narrow


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("name: rates, ", "", r"mine.yml: chapter 1_2: further runs: name = None"),
        ("name: rates", "name: ladder", "name = 'ladder' is not allowed"),
        ("name: rates", "name: 'a, b'", "name = 'a, b' is not allowed; .* without commas"),
        ("depth: 8, lear", "depht: 8, lear", "further runs 'rates': unknown parameter 'depht'"),
        ("depth: 8, lear", "depth: 0, lear", "further runs 'rates': depth = '0' is not allowed"),
        ("role: fresh", "role: old", "further runs 'fresh': role = 'old' .* one of fresh"),
        ("initialisation: identity", "patience: 3, validation_size: 0",
         "further runs 'identity start': .*patience = 3"),
        ("further: [{name: longer, students: alone, epochs: 9}]", "further: longer",
         "further = 'longer' is not allowed; allowed: a list"),
    ],
)  # fmt: skip
def test_wrong_further_runs_are_told_with_their_place(page, old, new, message):
    assert old in PROFILE
    with pytest.raises(ParameterError, match=message):
        page("1_2", PROFILE.replace(old, new))


@pytest.mark.parametrize("text", ["further: none", "further:", "further: []"])
def test_a_page_may_have_none(page, text):
    longer = "further: [{name: longer, students: alone, epochs: 9}]"
    narrow = page("2_2-narrow", PROFILE.replace(longer, text))
    assert (narrow.further, narrow.parameters["further"]) == ({}, None)


def test_further_runs_that_the_page_does_not_have_are_refused(page):
    with pytest.raises(
        ParameterError, match=r"'lader' .* rates, identity start, ladder, none; did"
    ):
        page("1_2", further="lader")
