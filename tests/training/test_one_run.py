"""The run that a chapter shows by hand, `one_run()`, is a published one."""

import ast
import re
from dataclasses import replace
from functools import cache
from math import prod
from pathlib import Path
from types import SimpleNamespace

import fabricated_runs
import nbformat
import pytest
import torch

from lab1.chapter import OpenChapter
from lab1.core import weights_file
from lab1.core.datasets import DATASETS
from lab1.core.store import Store
from lab1.core.training_config import RuntimeOptions, TrainingConfig
from lab1.planning import profiles
from lab1.training import data, device, distillation, models, trained_run, trainer
from lab1.training.checkpoint import digest, save_weights
from lab1.training.data.images import ImageSet
from lab1.training.models import mlp
from lab1.training.run import train_run

CHAPTERS = Path(__file__).resolve().parents[2] / "chapters"


@cache
def cells():
    """The cell of each chapter that has one, and what names the published run beside it."""
    by_name = {}
    for path in sorted(CHAPTERS.glob("*.ipynb")):
        code = [cell.source for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]
        for source in code:
            if "def one_run(" in source:
                (named,) = re.findall(r"chapter\.published_run\(.*?\)", "\n".join(code))
                by_name[path.stem] = source, named
    return by_name


every_chapter = pytest.mark.parametrize("name", cells())


def one_run(name):
    names = {}
    exec(cells()[name][0], names)
    return names["one_run"]


@cache
def published(name):
    """The record that the page says this run to be."""
    chapter = OpenChapter(profiles.page(name, "report", {}))
    link = eval(cells()[name][1], {"chapter": chapter})["run"]
    return Store().of_key(re.search(r"`(\w+)`", link)[1])


@pytest.mark.slow
@every_chapter
def test_what_it_builds_has_the_key_of_a_published_run(name, monkeypatch):
    """Everything but the data: settings and seed, and the network to its last weight."""
    made = {}

    class Trainer:
        def __init__(self, model, config, train, validation, *, seed, mean, std, **teaching):
            made.update(model=model, config=config, seed=seed, scale=(mean, std), **teaching)

        train = evaluate = lambda self, *_: {}

    def load(dataset):
        made["dataset"] = declared = DATASETS[dataset]
        return SimpleNamespace(train="train", test="test", mean=declared.mean, std=declared.std)

    def split(images, size, seed):
        made["split"] = (images, size, seed)
        return images, images

    monkeypatch.setattr(data, "load", load)
    monkeypatch.setattr(data, "split", split)
    monkeypatch.setattr(trainer, "StreamlinedTrainer", Trainer)
    monkeypatch.setattr(distillation, "DistillationTrainer", Trainer)
    monkeypatch.setattr(trained_run, "load_run", lambda key: SimpleNamespace(model=key))
    one_run(name)()
    spec = published(name).spec
    declared = DATASETS[spec.dataset]
    model = models.build(spec.model, declared, spec.seed)
    assert made["dataset"] is declared and made["scale"] == (declared.mean, declared.std)
    assert made["config"] == spec.training and made["seed"] == spec.seed
    assert made["split"] == ("train", spec.training.validation_size, spec.seed)
    assert type(made["model"]) is type(model)
    taught = spec.distillation
    assert ("teacher" in made) == (taught is not None)
    if taught:
        assert Store().of_key(made["teacher"]).spec == taught.teacher
        assert (made["temperature"], made["alpha"]) == (taught.temperature, taught.alpha)
        assert taught.wrong_classes == "kept"
    weights = made["model"].state_dict()
    assert weights.keys() == model.state_dict().keys()
    assert all(torch.equal(weights[key], value) for key, value in model.state_dict().items())


@pytest.mark.slow
@every_chapter
def test_in_small_it_equals_a_training_to_the_bit(name, monkeypatch, store):
    """On 72 built-in images instead of the published ones, for two epochs, in float32."""
    spec = published(name).spec
    small = "smoke-grey" if DATASETS[spec.dataset].image_shape[0] == 1 else "smoke-colour"
    fewer = {"epochs": 2, "batch_size": 16, "validation_size": 24, "precision": "float32"}
    options = RuntimeOptions(progress=False)
    whole = data.load_once(small)
    train, test = (
        ImageSet(images.images[:count], images.labels[:count])
        for images, count in ((whole.train, 72), (whole.test, 24))
    )
    for load in ("load", "load_once"):
        monkeypatch.setattr(data, load, lambda *_: replace(whole, train=train, test=test))

    def shrunk(spec):
        return replace(spec, dataset=small, training=replace(spec.training, **fewer))

    with device.threads(1):
        if taught := spec.distillation:
            taught = replace(taught, teacher=shrunk(taught.teacher))
            weights = fabricated_runs.network(taught.teacher).state_dict()
            record = fabricated_runs.record(taught.teacher)
            store.write(replace(record, weights_sha256=digest(weights)))
            save_weights(weights_file.in_runs(taught.teacher, store), weights)
            model, _ = trained_run.load_model(taught.teacher, whole.declared, store, "it teaches")
            monkeypatch.setattr(trained_run, "load_run", lambda _: SimpleNamespace(model=model))
        pixels = {"input_size": prod(whole.declared.image_shape)}
        for network in (mlp.MLP, mlp.ResidualMLP):
            fitting = lambda network=network, **sizes: network(**sizes | pixels)  # noqa: E731
            monkeypatch.setattr(mlp, network.__name__, fitting)
        scores = train_run(replace(shrunk(spec), distillation=taught), options, store).test
        smaller = lambda **settings: TrainingConfig(**settings | fewer)  # noqa: E731
        monkeypatch.setattr("lab1.core.spec.TrainingConfig", smaller)
        assert one_run(name)().items() <= scores.items()


@every_chapter
def test_it_is_short_and_imports_torch_within_itself(name):
    lines = [
        line for line in cells()[name][0].splitlines() if line.strip() and not line.startswith("#|")
    ]
    assert len(lines) <= 25
    (function,) = ast.parse("\n".join(lines)).body
    assert isinstance(function, ast.FunctionDef)
