import base64
import io

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from lab1.config import RuntimeOptions
from lab1.errors import MissingRunsError, ParameterError
from lab1.training import data, models, probes
from lab1.training.augmentation import Normalize
from lab1.training.callbacks import load_weights
from lab1.training.engine import train_run

OPTIONS = RuntimeOptions(device="cpu", progress=False)


@pytest.fixture
def trained(make_spec, store):
    """A small run with its record and its weights."""
    spec = make_spec(epochs=1, validation_size=3700, batch_size=16)
    record = train_run(spec, OPTIONS, store)
    store.write(record)
    return record


@pytest.fixture
def measured(trained, store):
    """What a probe found on that run."""

    def measure(probe):
        probes.measure(trained.spec, probe, OPTIONS, store)
        return store.find_probe(trained.spec, probe)

    return measure


def test_the_confusion_is_that_of_the_test_score(measured, trained):
    counts = np.array(measured("confusion")["counts"])
    assert counts.shape == (10, 10)
    assert counts.sum(1).tolist() == [100] * 10  # a hundred test images of each class
    assert counts.sum() - counts.trace() == trained.test["errors"]


def test_rows_of_the_confusion_are_the_true_classes(make_spec, smoke_grey):
    """A model that says 3 to everything has one full column."""

    class Three(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(1))

        def forward(self, images):
            return nn.functional.one_hot(torch.full((len(images),), 3), 10).float()

    counts = np.array(probes.confusion(Three(), make_spec(), smoke_grey)["counts"])
    assert counts[:, 3].tolist() == [100] * 10
    assert counts.sum() == 1000


def test_the_hardest_images_are_those_with_the_highest_loss(measured, trained, store, smoke_grey):
    found = measured("hardest")["images"]
    model = models.build(trained.spec.model, smoke_grey.declared, 0)
    model.load_state_dict(load_weights(store.run_dir(trained.spec) / "weights.pt"))
    inputs = Normalize((0.5,), (0.25,), torch.device("cpu"))(smoke_grey.test.images)
    with torch.no_grad():
        logits = model(inputs)
    losses = nn.functional.cross_entropy(logits, smoke_grey.test.labels, reduction="none")
    worst = losses.topk(24).values
    assert [float(losses[each["index"]]) for each in found] == pytest.approx(worst.tolist())
    for each in found:
        index = each["index"]
        assert each["label"] == int(smoke_grey.test.labels[index])
        assert each["predicted"] == int(logits[index].argmax())
        assert each["p_label"] == pytest.approx(float((-losses[index]).exp()), abs=1e-6)
        assert each["p_predicted"] == pytest.approx(float(logits[index].softmax(0).max()))
        shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(each["png"]))))
        assert np.array_equal(shown, smoke_grey.test.images[index, 0].numpy())


def test_layers_of_a_perceptron_by_hand(measured, trained, smoke_grey):
    found = measured("layers")
    assert found["names"] == ["hidden.0", "hidden.1", "output"]
    model = models.build(trained.spec.model, smoke_grey.declared, trained.spec.seed)
    train, _ = data.split(smoke_grey.train, 3700, 0)
    inputs = Normalize((0.5,), (0.25,), torch.device("cpu"))(train.images)
    first = model.hidden[0](inputs.flatten(1))
    assert found["initial"]["response"][0] == pytest.approx(float(first.detach().std()), rel=1e-4)
    nn.functional.cross_entropy(model(inputs), train.labels).backward()
    norms = [float(layer.weight.grad.norm()) for layer in (*model.hidden, model.output)]
    assert found["initial"]["gradient_norm"] == pytest.approx(norms, rel=1e-4)
    assert found["trained"]["response"] != found["initial"]["response"]


@pytest.mark.parametrize(
    ("family", "size", "layers"),
    [
        ("SimpleCNN", {"depth": 2, "channels": 8}, 3),
        ("ResidualCNN", {"depth": 2, "channels": 8}, 11),
        ("PlainNet", {"depth": 8}, 8),
        ("ResNet", {"depth": 8}, 8),
    ],
)
def test_responses_are_taken_after_batch_normalisation(make_spec, family, size, layers):
    loaded = data.load("smoke-colour")
    spec = make_spec(family=family, dataset="smoke-colour", **size)
    model = models.build(spec.model, loaded.declared, 0).eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    found = probes.layers(model, spec, loaded)
    assert len(found["names"]) == layers
    for part in ("initial", "trained"):
        assert len(found[part]["response"]) == len(found[part]["gradient_norm"]) == layers
        assert min(found[part]["gradient_norm"]) > 0
    # Over a batch, normalised maps have deviation one; all but the linear layer are normalised.
    assert found["initial"]["response"][:-1] == pytest.approx([1] * (layers - 1), abs=0.01)
    # Running statistics of a model that was never trained normalise nothing.
    assert found["trained"]["response"][0] != pytest.approx(1, abs=0.01)
    after = model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_run_without_weights_is_told(make_spec, store):
    with pytest.raises(MissingRunsError, match=r"weights\.pt: the weights of MLP depth 2"):
        probes.measure(make_spec(), "confusion", OPTIONS, store)


def test_an_unknown_probe_is_told(make_spec, store):
    with pytest.raises(ParameterError, match="'entropy' is not allowed; allowed: confusion, hard"):
        probes.measure(make_spec(), "entropy", OPTIONS, store)
