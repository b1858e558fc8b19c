"""Networks taken out of the laboratory answer there as they do in it."""

import json
import re
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import safetensors
import torch
from PIL import Image
from small_models import data_set_for, smallest
from test_from_torch import Pairs
from torch import nn

import lab1
from lab1.core.datasets import DATASETS
from lab1.core.spec import ModelSpec
from lab1.core.training_config import TrainingConfig
from lab1.errors import MissingRunsError, ParameterError, WeightsError
from lab1.training import models
from lab1.training.classifier import Classifier
from lab1.training.trainer import StreamlinedTrainer

ROOT = Path(__file__).parents[2]


@pytest.fixture
def make_classifier():
    """Makes an untrained network of a family, whose batch normalisation has seen images."""

    def make(family):
        declared = DATASETS[data_set_for(family)]
        model = models.build(ModelSpec(family, **smallest(family)), declared, seed=0)
        with torch.no_grad():
            model(torch.randn(8, *declared.image_shape))
        return Classifier(model.eval(), declared, TrainingConfig())

    return make


def images_and_logits(classifier):
    images = torch.randint(0, 256, (5, *classifier.dataset.image_shape), dtype=torch.uint8)
    with torch.no_grad():
        return images, classifier.model(classifier.normalize(images))


def check_metadata(said, classifier):
    declared = classifier.dataset
    assert json.loads(said["classes"]) == list(declared.class_names)
    assert json.loads(said["image_shape"]) == list(declared.image_shape)
    assert json.loads(said["mean"]) == list(declared.mean)
    assert json.loads(said["std"]) == list(declared.std)
    assert json.loads(said["config"])["epochs"] == classifier.config.epochs


@pytest.mark.slow
def test_the_guides_teacher_answers_outside_as_here(tmp_path, monkeypatch, capsys):
    for package in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(package, reason="the guide exports with all three")
    page = (ROOT / "guide" / "commands.qmd").read_text(encoding="utf-8")
    section = page.split("{#sec-export}")[1].split("\n## ")[0]
    monkeypatch.chdir(tmp_path)
    pixels = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    Image.fromarray(pixels).save("frog.png")
    names = {}
    for block in re.findall(r"```python\n(.*?)```", section, re.S):
        exec(block, names)
    logits = torch.from_numpy(names["logits"])
    run, images = names["run"], torch.tensor(names["images"])
    assert (logits.softmax(1) - run.predict(images)).abs().max() < 1e-4
    assert capsys.readouterr().out == f"{run.answers(images)[0]}\n"
    check_metadata(names["metadata"], run)
    several, logits_of_several = images_and_logits(run)
    (given,) = names["session"].run(None, {"images": several.numpy()})
    assert np.abs(given - logits_of_several.numpy()).max() < 1e-4
    program = torch.export.load("teacher.pt2").module()
    assert (program(images) - logits).abs().max() < 1e-4


@pytest.mark.slow
def test_a_torch_program_gives_the_networks_logits(make_classifier, tmp_path):
    classifier = make_classifier("ResidualCNN")
    images, logits = images_and_logits(classifier)
    extra = {"metadata.json": ""}
    program = torch.export.load(classifier.export(tmp_path / "model.pt2"), extra_files=extra)
    assert (program.module()(images) - logits).abs().max() < 1e-4
    check_metadata(json.loads(extra["metadata.json"]), classifier)


def test_a_published_run_is_exported_with_its_key(tmp_path):
    run = lab1.load_run("89356d45")
    path = run.export(tmp_path / "teacher.safetensors")
    with safetensors.safe_open(path, "pt") as file:
        said = file.metadata()
    check_metadata(said, run)
    assert said["run"] == run.record.key
    again = lab1.load_network(path, models.build(run.spec.model, run.dataset, seed=1))
    images, logits = images_and_logits(run)
    assert again.model(again.normalize(images)).equal(logits)
    assert again.config == run.spec.training


def test_what_cannot_be_exported_is_told(make_classifier, tmp_path, monkeypatch):
    classifier = make_classifier("MLP")
    with pytest.raises(ParameterError, match=r"as \.h5; allowed: \.onnx, \.pt2, \.safetensors"):
        classifier.export(tmp_path / "model.h5")
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert find_spec("onnx") is None
    with pytest.raises(MissingRunsError, match=r"onnx is not installed.*pip install onnx onnxscr"):
        classifier.export(tmp_path / "model.onnx")

    class Branching(nn.Module):
        def forward(self, images):
            return images.flatten(1) if images.sum() > 0 else images.flatten(1) * 2

    branching = Classifier(Branching(), classifier.dataset, classifier.config)
    with pytest.raises(ParameterError, match=r"torch\.export cannot take Branching: "):
        branching.export(tmp_path / "model.pt2")
    assert list(tmp_path.iterdir()) == []


def test_a_network_of_a_script_is_saved_and_loaded(toy, small_mlp, tmp_path):
    images = toy(60)
    named = Pairs(list(zip(images.images, images.labels.tolist(), strict=True)))
    config = TrainingConfig(epochs=1, validation_size=30, learning_rate=0.01)
    made = StreamlinedTrainer(small_mlp(), config, named, device="cpu")
    made.train()
    assert made.save(tmp_path / "deep" / "mine") == tmp_path / "deep" / "mine" / "model.safetensors"
    loaded = lab1.load_network(tmp_path / "deep" / "mine", small_mlp(seed=9))
    assert loaded.predict(images.images).equal(made.predict(images.images).softmax(1))
    assert set(loaded.answers(images.images)) <= {"ant", "bee", "cow"}
    assert loaded.config == config
    for classes in (["a"], ["a", "b", "b"], [0, 1, 2], ["a", "b", "c\n"]):
        with pytest.raises(ParameterError, match=r"save: classes = .*allowed: 3 different texts"):
            made.save(tmp_path, classes=classes)
    for call in (made.save, loaded.export, lambda path: lab1.load_network(path, small_mlp())):
        with pytest.raises(ParameterError, match="= 3 is not allowed; allowed: Path or str"):
            call(3)
    with pytest.raises(WeightsError, match=r"model\.safetensors: does not fit MLP: it lacks"):
        lab1.load_network(tmp_path / "deep" / "mine", small_mlp(hidden_sizes=(8,) * 3))
    weights = tmp_path / "weights.safetensors"
    StreamlinedTrainer(small_mlp(), config, images, device="cpu", weights_path=weights).train()
    with pytest.raises(WeightsError, match="does not fit MLP: its metadata lacks image_"):
        lab1.load_network(weights, small_mlp())
