"""A training that starts from the weights of another run: which may, and what it starts with."""

from dataclasses import replace

import pytest
import torch
from test_user_images import make_folder

from lab1.core import datasets, weights_file
from lab1.core.spec import ModelSpec, RunSpec
from lab1.core.training_config import RuntimeOptions, TrainingConfig
from lab1.errors import MissingRunsError, ParameterError, RecordError, WeightsError
from lab1.planning.ensure import find_todo
from lab1.training import data, models, trained_run
from lab1.training.checkpoint import digest, save_weights
from lab1.training.run import train_run
from lab1.training.trainer import StreamlinedTrainer

NETWORK = ModelSpec("SimpleCNN", depth=1, channels=4)


@pytest.fixture
def source(store, make_record):
    """A run on CIFAR-10, and the weights that it left."""
    record = make_record("SimpleCNN", 1, channels=4, dataset="cifar10")
    store.write(record)
    weights = models.build(NETWORK, record.spec.images, seed=50).state_dict()
    save_weights(weights_file.in_runs(record.spec, store), weights)
    return record.spec, weights


@pytest.fixture
def spec(source, tmp_path, monkeypatch):
    """A run on two classes of one's own images, which starts from the source."""
    monkeypatch.setenv("LAB1_RUNS", str(tmp_path / "runs"))
    name = datasets.name_of(f"{make_folder(tmp_path / 'flowers')}@32", "")
    config = TrainingConfig(epochs=1, validation_size=0, pretrained=source[0].key)
    return RunSpec(NETWORK, name, config, seed=0)


def test_all_but_the_last_layer_starts_as_the_source_ended(source, spec, store):
    model, sha256 = trained_run.initial_model(spec, spec.images, store)
    fresh = models.build(spec.model, spec.images, spec.seed).state_dict()
    for name, tensor in model.state_dict().items():
        started = fresh if name.startswith("output.") else source[1]
        assert torch.equal(tensor, started[name]), name
    assert sha256 == digest(source[1]) and model.state_dict()["output.bias"].shape == (2,)


def test_its_images_are_normalised_as_those_of_the_source_were(source, spec, store):
    """In its training, and when it answers; so are those of a run that is pretrained by it."""
    train = data.load(spec.dataset).train
    cifar = source[0].images
    mean, std = (torch.tensor(each).view(3, 1, 1) for each in (cifar.mean, cifar.std))
    model, _ = trained_run.initial_model(spec, spec.images, store)
    with torch.no_grad():
        loss = torch.nn.functional.cross_entropy(
            model.train()((train.images / 255 - mean) / std), train.labels
        )
    record = train_run(spec, RuntimeOptions(device="cpu", progress=False), store)
    assert record.history["train_loss"] == [pytest.approx(loss.item())]  # of its only step
    assert record.origin["pretrained_sha256"] == digest(source[1])
    store.write(record)
    normalize = trained_run.load_run(record.key, store=store).normalize
    assert (normalize.mean, normalize.std) == (cifar.mean, cifar.std)
    again = replace(spec, training=replace(spec.training, pretrained=record.key))
    assert weights_file.images_of(again, store).mean == cifar.mean != spec.images.mean


@pytest.mark.parametrize(
    ("model", "dataset", "said"),
    [
        (ModelSpec("SimpleCNN", 2, channels=4), None, "for SimpleCNN, 2 stages"),
        (ModelSpec("PlainCNN", 1, channels=4), None, "for PlainCNN, 1 stage"),
        (NETWORK, "smoke-grey", "for images of 1 channels; allowed: the network of that run"),
    ],
)
def test_another_network_is_told_with_the_right_one(spec, store, model, dataset, said):
    spec = replace(spec, model=model, dataset=dataset or spec.dataset)
    with pytest.raises(ParameterError, match=rf"pretrained = '{spec.training.pretrained}'.*{said}"):
        find_todo([spec], store)


def test_weights_that_are_not_here_are_told_before_anything_is_trained(source, spec, store):
    path = weights_file.in_runs(source[0], store)
    save_weights(path, {**source[1], "stages.0.0.weight": torch.zeros(1)})
    with pytest.raises(WeightsError, match="does not fit SimpleCNN, 1 stage"):
        trained_run.initial_model(spec, spec.images, store)
    path.unlink()
    with pytest.raises(MissingRunsError, match=f"are not here.*--again {source[0].key}"):
        find_todo([spec], store)
    unknown = replace(spec, training=replace(spec.training, pretrained="0" * 16))
    with pytest.raises(ParameterError, match="the key '0000000000000000' is not allowed"):
        find_todo([unknown], store)
    with pytest.raises(ParameterError, match="pretrained = '89356d45' is not allowed"):
        replace(spec.training, pretrained="89356d45")


def test_a_run_is_published_after_the_one_that_it_starts_from(spec, store, make_record):
    record = make_record(dataset="smoke-colour", pretrained=spec.training.pretrained)
    with pytest.raises(RecordError, match=f"promote first .* {spec.training.pretrained}"):
        store.check_promotable(record)


def test_a_trainer_that_is_given_its_model_does_not_take_it_for_pretrained(spec):
    images = data.load(spec.dataset).train
    model = models.build(spec.model, spec.images, 0)
    with pytest.raises(ParameterError, match=r"config.pretrained = .*allowed: none, and a model"):
        StreamlinedTrainer(model, spec.training, images)
