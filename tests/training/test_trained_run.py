"""A run by its key: its model answers to images as it did when it was scored."""

import numpy as np
import pytest
import torch
from PIL import Image

import lab1
from lab1.core import weights_file
from lab1.core.datasets import DATASETS
from lab1.core.store import Store
from lab1.core.training_config import RuntimeOptions
from lab1.errors import MissingRunsError, ParameterError, WeightsError
from lab1.training import data
from lab1.training.engines import local as engine

OPTIONS = RuntimeOptions(device="cpu", progress=False)


@pytest.fixture(scope="module")
def trained(tmp_path_factory, make_spec):
    """A store with one run that was trained, and its record."""
    folder = tmp_path_factory.mktemp("trained")
    store = Store(folder / "results", folder / "runs")
    spec = make_spec(
        "SimpleCNN", 2, channels=8, dataset="smoke-colour", train_size=500, batch_size=32
    )
    engine.train_all(engine.Grid([spec]), OPTIONS, store)
    return store, store.find(spec)


@pytest.mark.slow
def test_it_answers_as_it_did_when_it_was_scored(trained):
    store, record = trained
    run = lab1.load_run(record.key[:8], store=store)
    test = data.load("smoke-colour").test
    probabilities = run.predict(test.images)
    assert probabilities.shape == (len(test), 10)
    assert probabilities.sum(1).allclose(torch.ones(len(test)))
    assert int((probabilities.argmax(1) != test.labels).sum()) == record.test["errors"]
    assert (run.spec, run.record, run.dataset) == (record.spec, record, DATASETS["smoke-colour"])
    assert not run.model.training


def test_one_image_an_array_and_pictures_are_taken_too(trained):
    store, record = trained
    run = lab1.load_run(record.key, store=store)
    images = data.load("smoke-colour").test.images[:3]
    expected = run.predict(images)
    assert run.predict(images[0]).allclose(expected[:1])
    assert run.predict(images.numpy()).allclose(expected)
    assert run.predict(images.flip(3).numpy()[..., ::-1]).allclose(expected)
    pictures = [Image.fromarray(np.asarray(image.permute(1, 2, 0))) for image in images]
    assert run.predict(pictures).allclose(expected)
    assert run.predict(pictures[0]).allclose(expected[:1])
    names = run.dataset.class_names
    assert run.answers(images) == [names[index] for index in expected.argmax(1)]
    large_and_grey = pictures[0].resize((99, 70)).convert("L")
    assert run.predict(large_and_grey).shape == (1, 10)


def test_a_picture_is_prepared_as_one_that_was_trained_on(trained, tmp_path):
    """Turned by EXIF, cropped to its middle; what is not allowed in training is refused here."""
    store, record = trained
    run = lab1.load_run(record.key, store=store)
    image = data.load("smoke-colour").test.images[0]
    picture = Image.fromarray(np.asarray(image.permute(1, 2, 0)))
    wide = Image.new("RGB", (96, 32))
    wide.paste(picture, (32, 0))
    assert run.predict(wide).allclose(run.predict(image))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    picture.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.png", exif=exif)
    assert run.predict(Image.open(tmp_path / "turned.png")).allclose(run.predict(image))
    with pytest.raises(ParameterError, match="of mode RGBA, transparent; allowed: grey or colour"):
        run.answers(Image.new("RGBA", (32, 32)))
    with pytest.raises(ParameterError, match="it has 0 x 0 pixels"):
        run.answers(Image.new("RGB", (0, 0)))


@pytest.mark.parametrize(
    "images",
    [
        torch.zeros(2, 3, 32, 32),
        torch.zeros(2, 1, 32, 32, dtype=torch.uint8),
        torch.zeros(0, 3, 32, 32, dtype=torch.uint8),
        torch.zeros(32, 32, dtype=torch.uint8),
        np.zeros((2, 32, 32, 3), np.uint8),
        np.zeros((2, 3, 32, 32), ">u2"),
        np.zeros((2, 3, 32, 32), object),
        torch.zeros(2, 3, 32, 32, dtype=torch.uint8).to_sparse(),
        memoryview(np.zeros((2, 3, 32, 32), np.uint8)),
        "frog.png",
        [],
        None,
        [1, 2],
    ],
)
def test_what_is_no_image_of_the_data_set_is_refused(trained, images):
    store, record = trained
    with pytest.raises(ParameterError, match=r"images.* not allowed; allowed: "):
        lab1.load_run(record.key, store=store).predict(images)


def test_what_cannot_be_loaded_is_told(trained, store, make_record):
    with pytest.raises(ParameterError, match="the key 'ffff' is not allowed"):
        lab1.load_run("ffff", store=store)
    record = make_record()
    store.write(record)
    with pytest.raises(MissingRunsError, match=f"load_run needs them.*--again {record.key}"):
        lab1.load_run(record.key, store=store)
    weights_file.in_runs(record.spec, store).write_bytes(b"no weights")
    with pytest.raises(WeightsError, match=r"weights\.safetensors: is no file of weights"):
        lab1.load_run(record.key, store=store)


@pytest.mark.slow
def test_published_weights_answer_in_a_fresh_clone(monkeypatch):
    """One of each family can be loaded, and says something of an image."""
    store = Store()
    found = [record for record in store.all()[0] if weights_file.find(record.spec, store)]
    assert len(found) > 5
    found.sort(key=lambda record: -record.flops)
    for record in {record.spec.model.family: record for record in found}.values():
        run = lab1.load_run(record.key)
        image = torch.zeros(1, *run.dataset.image_shape, dtype=torch.uint8)
        assert run.predict(image).sum().item() == pytest.approx(1)
