import re
from dataclasses import replace

import pytest

from lab1.chapter import OpenChapter, open_chapter
from lab1.core.store import Store
from lab1.errors import ClaimError, MissingRunsError, ParameterError
from lab1.planning import profiles
from lab1.reporting.cnns import accuracy_without_blocks
from lab1.reporting.selections import Selection


@pytest.fixture
def chapter(make_record):
    """An opened chapter with records of given validation accuracies (the last of three epochs)."""

    def make(*accuracies, name="1_1", **overrides):
        opened = OpenChapter(profiles.Page(name, name, "report", {}))
        opened.records = [
            make_record(seed=seed, accuracy=accuracy, **overrides)
            for seed, accuracy in enumerate(accuracies)
        ]
        return opened

    return make


def test_the_best_run_is_chosen_on_validation_at_its_best_epoch(chapter):
    assert chapter(0.8, 0.9, 0.7).best.spec.seed == 1
    # Without a validation split the training images choose.
    assert chapter(0.8, 0.9, 0.7, validation_size=0).best.spec.seed == 1
    opened = chapter(0.8, 0.9)
    opened.records[0].test["accuracy"] = 0.99  # which does not count
    assert opened.best.spec.seed == 1
    opened = chapter(0.8, 0.9)
    object.__setattr__(opened.records[1], "best_epoch", 1)
    assert opened.best.spec.seed == 0


def test_layers_are_those_of_the_runs_that_did_not_diverge(chapter, make_record, monkeypatch):
    opened = chapter(0.8, name="depth")
    opened.records.append(make_record(seed=1, stopped="diverged"))
    signals = {"gradient_norm": [1.0], "response": [2.0]}
    probe = {"names": ["output"], "initial": signals, "trained": signals}
    asked = []

    def measure(record, name):
        asked.append((record.spec.seed, name))
        return probe

    monkeypatch.setattr(opened, "probe", measure)
    assert set(opened.layers["seed"]) == {0} and len(opened.layers) == 2
    assert asked == [(0, "layers")]
    opened = chapter(0.8, name="depth", stopped="diverged", best_epoch=None)
    for ask in (lambda: opened.best, lambda: opened.layers):
        with pytest.raises(MissingRunsError, match="chapter depth: every run diverged"):
            ask()


@pytest.mark.usefixtures("laboratory")
def test_what_was_published_before_a_probe_and_without_weights_is_left_out(make_record):
    opened, store = OpenChapter(profiles.Page("1_3", "1_3", "report", {})), Store()
    opened.records = [make_record("ResidualCNN", seed=seed) for seed in (0, 1)]
    for record in opened.records:
        store.write(record)
        store.promote(record)
    with pytest.raises(MissingRunsError, match="chapter 1_3: no run has the probe 'lesion'"):
        opened.first("lesion")
    assert opened.lesions.empty
    opened = OpenChapter(opened.page)
    opened.records = [make_record("ResidualCNN", seed=seed) for seed in (0, 1)]
    scores = {"accuracy": 0.5, "loss": 1.0}
    blocks = [{"name": f"stages.{n}", "kept": kept, **scores, "loss": n + 1.0}
              for n, kept in enumerate(("identity", "projection", "identity"))]  # fmt: skip
    store.write_probe(opened.records[1].spec, "lesion", {"whole": scores, "blocks": blocks})
    assert [record.spec.seed for record, _ in opened.measured("lesion")] == [1]
    rows = opened.lesions[["block", "image", "test_loss", "whole"]].to_dict("list")
    assert rows == {"block": [1, 2, 3], "image": ["kept", "halved", "kept"],
                    "test_loss": [1, 2, 3], "whole": [0.5] * 3}  # fmt: skip
    without = Selection(opened.lesions).at(image="kept").averaged_over("block")
    assert str(without) == "image kept, without one of 2 blocks" and without.test_loss == "2.0"
    table = accuracy_without_blocks(opened.lesions).data
    assert [*table["block"]] == ["1", "2", "3", "none"] and set(table["mean"]) == {50}


def test_a_chapter_is_about_the_first_of_several_values(make_record):
    values = {"width": [16, 32], "optimizer": "sgd,adam", "depth": 2, "seeds": 0, "families": "MLP"}
    opened = open_chapter("1_1", {"profile": "smoke", **values, "further": "none"})
    assert (opened.parameters["width"], opened.parameters["optimizer"]) == (16, "sgd")
    opened.all_records = [
        replace(make_record(), spec=spec) for spec in reversed(opened.page.plan())
    ]
    assert [*opened.answers] == [
        f"width {width}, optimiser {name}" for width in (16, 32) for name in ("sgd", "adam")
    ]
    for answer, (record,) in opened.answers.items():
        model, training = record.spec.model, record.spec.training
        assert answer == f"width {model.width}, optimiser {training.optimizer}"
    assert opened.records == opened.answers["width 16, optimiser sgd"]
    assert len(opened.all_records) == 4 and len(opened.runs) == 1


def test_a_chapter_says_its_setting_beside_the_published_one(make_record):
    opened = open_chapter("1_1", {"profile": "smoke", "patience": "none"})
    opened.all_records = [make_record(depth=i, seed=j) for i in (2, 4) for j in (0, 1)]
    text = "{runs} runs, {n_seeds} seeds: {depths} layers ({size}), {train_images:,} of {data}"
    assert opened.describe(text) == (
        "4 runs, 2 seeds: 2 and 4 layers (width 16), 4,000 of built-in grey patterns"
    )
    with pytest.raises(ClaimError, match="nothing is called 'patience'"):  # which is none
        opened.describe("{patience}")
    rows = opened.setting_table().frame.set_index("Parameter")
    assert [*rows.loc["patience"][["Value", "Published"]]] == ["none", "10"]
    assert rows.loc["seeds"]["Value"] == "0, 1 and 2"
    same = open_chapter("1_1", {"profile": "report"})
    assert same.published and not opened.published
    assert "Published" not in same.setting_table().frame


def test_a_chapter_names_the_published_run_that_it_shows(chapter):
    named = chapter(0.8).published_run(depth=32)
    assert re.fullmatch(r"\[`\w+`\]\(../results/MLP-d32-mnist-s0\.\w+\.json\)", named["run"])
    assert named["time"].endswith(" s") and named["device"] == "AMD EPYC, 1 thread"
    with pytest.raises(MissingRunsError, match=r"no published run has \{'depth': 3\}"):
        chapter(0.8).published_run(depth=3)


def test_a_chapter_parts_its_own_runs_from_its_further_ones(make_record):
    opened = open_chapter("1_2", {"profile": "smoke", "depth": 8, "seeds": 0, "families": "MLP"})
    opened.all_records = [replace(make_record(), spec=spec, key="") for spec in opened.page.plan()]
    named = ["", "learning rates", "identity start", "layer normalisation"]
    assert [*opened.runs["further"]] == named
    assert {*opened.without_further(opened.history)["key"]} == {opened.all_records[0].key}
    assert opened.without_further(opened.runs.iloc[:0]).empty
    assert str(opened.select("MLP", further="learning rates").at(seed=0)) == (
        "plain MLP, learning rates, seed 0"
    )


@pytest.mark.parametrize(
    ("values", "expected"),
    [({}, [""]), ({"initialisation": "identity"}, ["identity start"]), ({"seed": 7}, [])],
)
def test_a_selection_is_of_the_usual_design_unless_another_is_named(make_record, values, expected):
    opened = open_chapter("1_1", {"profile": "smoke"})
    opened.all_records = [
        make_record(initialisation=start, normalization=normalization)
        for start in ("default", "identity")
        for normalization in ("none", "layer")
    ]
    assert [*opened.select("MLP", **values).runs["change"]] == expected


@pytest.mark.parametrize(
    ("namespace", "words"),
    [
        (None, "namespace = None .* allowed: globals"),
        ({"profile": "smoke", "seeds": {2, 4}}, "seeds = "),  # of another type, not passed over
        ({"profile": "smoke", "dept": 4}, "unknown parameter 'dept'; allowed: "),
        ({"profile": 3}, "profile 3 does not exist; there are .*smoke"),
        ({"epochs": 4}, "no profile is given; there are .*smoke"),
    ],
)
def test_what_cannot_be_asked_of_a_chapter_is_refused(namespace, words):
    with pytest.raises(ParameterError, match=f"chapter 1_1: {words}"):
        open_chapter("1_1", namespace)
