from dataclasses import replace

import pytest

from lab1.chapter import OpenChapter, open_chapter
from lab1.core.errors import MissingRunsError
from lab1.core.store import Store
from lab1.planning import profiles


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


def test_the_best_run_is_chosen_on_validation(chapter, make_record):
    assert chapter(0.8, 0.9, 0.7).best.spec.seed == 1
    # A better test score does not count.
    opened = chapter(0.8, 0.9)
    opened.records[0].test["accuracy"] = 0.99
    assert opened.best.spec.seed == 1


def test_the_best_epoch_counts_and_not_the_last(chapter):
    opened = chapter(0.8, 0.9)
    object.__setattr__(opened.records[1], "best_epoch", 1)
    assert opened.best.spec.seed == 0


def test_without_validation_the_training_images_choose(chapter):
    assert chapter(0.8, 0.9, 0.7, validation_size=0).best.spec.seed == 1


def test_where_no_epoch_was_any_good_there_is_no_best_run(chapter):
    with pytest.raises(MissingRunsError, match="chapter 1_1: every run diverged"):
        assert chapter(0.8, best_epoch=None).best


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


@pytest.mark.usefixtures("laboratory")
def test_what_was_published_before_a_probe_and_without_weights_is_left_out(make_record):
    opened, store = OpenChapter(profiles.Page("1_3", "1_3", "report", {})), Store()
    opened.records = [make_record("ResidualCNN", seed=seed) for seed in (0, 1)]
    for record in opened.records:
        store.write(record)
        store.promote(record)
    with pytest.raises(MissingRunsError, match="chapter 1_3: no run has the probe 'lesion'"):
        opened.first("lesion")
    scores = {"accuracy": 0.5, "loss": 1.0}
    blocks = [{"name": "stages.0", "kept": "identity", **scores}]
    store.write_probe(opened.records[1].spec, "lesion", {"whole": scores, "blocks": blocks})
    assert [record.spec.seed for record, _ in opened.measured("lesion")] == [1]


def test_where_every_run_diverged_there_are_no_layers(chapter):
    with pytest.raises(MissingRunsError, match="chapter depth: every run diverged"):
        assert chapter(0.8, name="depth", stopped="diverged").layers


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
    assert len(opened.all_runs) == 4 and len(opened.runs) == 1
