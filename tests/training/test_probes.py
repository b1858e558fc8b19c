import base64
import io

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from lab1.core.errors import MissingRunsError, ParameterError
from lab1.core.runtime import RuntimeOptions
from lab1.core.store import Store
from lab1.training import data, models, probes
from lab1.training import trained_models as teachers
from lab1.training.data.augmentation import Normalize
from lab1.training.probes.bias_correction import best_offset, corrected
from lab1.training.run import train_run
from lab1.training.weights import load_weights

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
    model.load_state_dict(load_weights(store.run_dir(trained.spec) / "weights.safetensors"))
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
@pytest.mark.slow
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
    with pytest.raises(
        MissingRunsError, match=r"weights\.safetensors: the weights of MLP, 2 layers"
    ):
        probes.measure(make_spec(), "confusion", OPTIONS, store)


def test_an_unknown_probe_is_told(make_spec, store):
    with pytest.raises(ParameterError, match="'entropy' is not allowed; allowed: confusion, hard"):
        probes.measure(make_spec(), "entropy", OPTIONS, store)


# What distillation is about


@pytest.fixture
def saying():
    """Makes a model that gives the logits it is told, one call of a probe after the other."""

    class Saying(nn.Module):
        def __init__(self, *told):
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(1))
            self.told = torch.cat(told) if told else None

        def forward(self, images):
            said, self.told = self.told[: len(images)], self.told[len(images) :]
            return said

    return Saying


def test_softened_images_are_right_and_nearly_wrong(saying, make_spec, smoke_grey):
    labels = smoke_grey.test.labels
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(1000, 10, generator=generator) + 2 * nn.functional.one_hot(labels, 10)
    logits[labels == 2] -= 100.0 * nn.functional.one_hot(labels, 10)[labels == 2]  # never right
    found = probes.softened(saying(logits), make_spec(), smoke_grey)
    assert found["temperatures"] == [1, 4, 16]
    assert [each["label"] for each in found["images"]] == [0, 1, 3, 4, 5, 6, 7, 8]
    assert [each["label"] for each in found["confident"]] == [0, 1, 3, 4]
    for each in found["images"] + found["confident"]:
        index = each["index"]
        assert labels[index] == each["label"]
        for temperature, probabilities in zip((1, 4, 16), each["probabilities"], strict=True):
            powers = np.exp(logits[index].double().numpy() / temperature)
            assert probabilities == pytest.approx((powers / powers.sum()).tolist(), rel=1e-5)
        shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(each["png"]))))
        assert np.array_equal(shown, smoke_grey.test.images[index, 0].numpy())
        # By going through all others, slowly.
        others = [
            sorted(logits[other].softmax(0).tolist())[-2]
            for other in torch.nonzero(labels == each["label"]).flatten().tolist()
            if int(logits[other].argmax()) == each["label"]
        ]
        extreme = min(others) if each in found["confident"] else max(others)
        assert sorted(logits[index].softmax(0).tolist())[-2] == extreme


def test_softened_is_measured_on_a_trained_run(measured):
    found = measured("softened")
    assert 1 <= len(found["images"]) <= 8
    first = found["images"][0]
    assert [len(each) for each in first["probabilities"]] == [10, 10, 10]
    peaks = [max(each) for each in first["probabilities"]]
    assert peaks == sorted(peaks, reverse=True)  # softer from one temperature to the next
    assert np.argmax(first["probabilities"][0]) == first["label"]


def errors_at(logits, labels, offset, omitted=3):
    return int((corrected(logits, omitted, offset).argmax(1) != labels).sum())


@pytest.mark.parametrize("seed", range(5))
def test_the_best_offset_is_that_of_a_fine_grid(seed):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(10, (80,), generator=generator)
    logits = torch.randn(80, 10, generator=generator) + 2 * nn.functional.one_hot(labels, 10)
    logits[:, 3] -= 4
    offset = best_offset(logits, labels, 3)
    grid = np.arange(-10, 20, 0.003)
    errors = [errors_at(logits, labels, each) for each in grid]
    assert errors_at(logits, labels, offset) <= min(errors)
    assert errors_at(logits, labels, offset) < errors_at(logits, labels, 0.0)


def test_of_equally_good_offsets_the_smallest_is_taken():
    # Alone the class of the second image is in doubt: it is overtaken at 1, the first at 5.
    logits = torch.tensor([[5.0, 0.0], [1.0, 0.0]])
    assert best_offset(logits, torch.tensor([0, 1]), 1) == 3.0
    assert best_offset(logits, torch.tensor([0, 0]), 1) == 0.0
    assert best_offset(logits, torch.tensor([1, 1]), 1) == 6.0
    assert best_offset(-logits, torch.tensor([0, 0]), 1) == -6.0
    # At -1 and at 1 all is right, and in between not.
    logits = torch.tensor([[-0.5, 0.0], [0.5, 0.0]])
    labels = torch.tensor([0, 1])
    assert [errors_at(logits, labels, each, 1) for each in (-2, 0, 2)] == [1, 2, 1]
    assert best_offset(logits, labels, 1) == 1.5


def test_the_bias_is_chosen_on_validation_and_told_on_the_test_set(saying, make_spec, smoke_grey):
    spec = make_spec(omitted_class=3)
    _, validation = data.split(smoke_grey.train, 500, 0)
    assert int((validation.labels == 3).sum()) == 50
    logits = []
    for labels in (validation.labels, smoke_grey.test.labels):
        generator = torch.Generator().manual_seed(len(labels))
        said = torch.randn(len(labels), 10, generator=generator)
        said += 4 * nn.functional.one_hot(labels, 10)
        said[:, 3] -= 7
        logits.append(said)
    found = probes.bias_correction(saying(*logits), spec, smoke_grey)
    offset = best_offset(logits[0], validation.labels, 3)
    labels = smoke_grey.test.labels
    threes = labels == 3
    assert found == {
        "omitted_class": 3,
        "offset": offset,
        "count_of_class": 100,
        "errors": {
            "before": errors_at(logits[1], labels, 0.0),
            "after": errors_at(logits[1], labels, offset),
        },
        "errors_of_class": {
            "before": errors_at(logits[1][threes], labels[threes], 0.0),
            "after": errors_at(logits[1][threes], labels[threes], offset),
        },
    }
    assert found["errors"]["after"] < found["errors"]["before"]
    assert found["errors_of_class"]["before"] > 90 > found["errors_of_class"]["after"]
    assert offset != best_offset(logits[1], labels, 3)


@pytest.mark.parametrize(
    "change", [{}, {"omitted_class": 3, "validation_size": 0}, {"validation_size": 0}]
)
def test_a_bias_cannot_be_corrected_for_every_run(saying, make_spec, smoke_grey, change):
    with pytest.raises(ParameterError, match=r"'bias-correction' is not allowed for MLP, 2 layers"):
        probes.bias_correction(saying(), make_spec(**change), smoke_grey)


def test_the_layers_of_a_run_with_an_omitted_class_are_measured_without_it(make_spec, smoke_grey):
    spec = make_spec(omitted_class=3)
    model = models.build(spec.model, smoke_grey.declared, 0)
    without, whole = (
        probes.layers(model, each, smoke_grey)["trained"] for each in (spec, make_spec())
    )
    assert without != whole


# Arithmetic


@pytest.mark.parametrize(
    "model", [{}, {"family": "PlainNet", "depth": 8, "dataset": "smoke-colour"}]
)
def test_gradients_agree_where_rounding_does_not_matter(make_spec, store, model):
    """Measured on the initial weights, so that no trained ones are needed."""
    spec = make_spec(**model)
    probes.measure(spec, "gradient-agreement", OPTIONS, store)
    found = store.find_probe(spec, "gradient-agreement")
    assert found["images"] == 128
    assert 0.8 < found["bf16"] < 1 - 1e-9
    assert 1 - 1e-4 < found["jittered"] <= 1 + 1e-12
    assert found["bf16"] < found["jittered"]


def test_the_agreement_is_the_cosine_of_the_gradients(make_spec, smoke_grey, monkeypatch):
    """With an arithmetic of one's own in the place of bf16: it turns the last bias's gradient."""
    spec = make_spec()
    model = models.build(spec.model, smoke_grey.declared, 0).eval()
    gradient = torch.autograd.grad
    calls = []

    def turned(loss, parameters):
        calls.append(loss)
        found = list(gradient(loss, parameters))
        if len(calls) == 2:
            found = [-each for each in found]
        return found

    monkeypatch.setattr(torch.autograd, "grad", turned)
    assert probes.gradient_agreement(model, spec, smoke_grey)["bf16"] == pytest.approx(-1, abs=0.01)


def test_fresh_statistics_mend_a_training_error_that_stale_ones_caused(make_spec):
    loaded = data.load("smoke-colour")
    spec = make_spec(
        family="SimpleCNN", dataset="smoke-colour", depth=2, channels=8, epochs=3, batch_size=32,
        learning_rate=0.01, validation_size=3700, train_evaluation_size=200,
    )  # fmt: skip
    store = Store()
    record = train_run(spec, OPTIONS, store)
    store.write(record)
    model = teachers.load(spec, loaded.declared, store, "a test").model.eval()
    sound = probes.recomputed_statistics(model, spec, loaded)
    assert sound["count"] == 200
    assert sound["error"] == 1 - record.history["train_evaluation_accuracy"][record.best_epoch - 1]
    model = teachers.load(spec, loaded.declared, store, "a test").model.eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean += 100
    stale = probes.recomputed_statistics(model, spec, loaded)
    assert stale["error"] > 0.5
    assert stale["recomputed_error"] == sound["recomputed_error"] < 0.5


# Eight bits


def test_rounded_weights_are_those_of_the_network_within_half_a_step(measured, trained, store):
    found = measured("int8-weights")
    weights = load_weights(store.run_dir(trained.spec) / "weights.safetensors")
    names = ("hidden.0", "hidden.1", "output")
    for name, layer in zip(names, found["layers"], strict=True):
        exact = weights[f"{name}.weight"].numpy()
        integers = np.frombuffer(base64.b64decode(layer["int8"]), np.int8).reshape(layer["shape"])
        scales = np.array(layer["scales"])[:, None]
        assert np.abs(integers).max(1).tolist() == [127] * len(integers)
        assert (np.abs(integers * scales - exact) <= scales / 2 + 1e-7).all()
        assert layer["bias"] == weights[f"{name}.bias"].tolist()
    assert found["errors"]["float32"] == trained.test["errors"]
    assert found["errors"]["int8"] == pytest.approx(trained.test["errors"], abs=20)


def test_only_perceptrons_are_rounded(make_spec):
    loaded = data.load("smoke-colour")
    spec = make_spec(family="SimpleCNN", dataset="smoke-colour", depth=1, channels=4)
    model = models.build(spec.model, loaded.declared, 0).eval()
    with pytest.raises(ParameterError, match="probe 'int8-weights' is not allowed for SimpleCNN"):
        probes.int8_weights(model, spec, loaded)
