import base64
import copy
import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from lab1.core.store import Store
from lab1.core.training_config import DistillationConfig, RuntimeOptions
from lab1.errors import MissingRunsError, ParameterError
from lab1.training import data, models, probes, seeds, trained_run
from lab1.training.checkpoint import load_weights
from lab1.training.data.augmentation import Normalize
from lab1.training.distillation import distillation_loss, permute_wrong_classes
from lab1.training.evaluation import expected_calibration_error, fit_temperature, normalizer_of
from lab1.training.probes import answers, internals
from lab1.training.probes.answers import best_offset, corrected
from lab1.training.run import train_run

OPTIONS = RuntimeOptions(device="cpu", progress=False)


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """The store of the trained run."""
    folder = tmp_path_factory.mktemp("probes")
    return Store(folder / "results", folder / "runs")


@pytest.fixture(scope="module")
def trained(make_spec, kept):
    """A small run with its record and its weights."""
    spec = make_spec(epochs=1, validation_size=3700, batch_size=16)
    kept.write(train_run(spec, OPTIONS, kept))
    return kept.find(spec)


@pytest.fixture
def measured(trained, kept):
    """What a probe found on that run."""

    def measure(probe):
        probes.measure(trained.spec, probe, OPTIONS, kept)
        return kept.find_probe(trained.spec, probe)

    return measure


def test_the_confusion_is_that_of_the_test_score(measured, trained):
    counts = np.array(measured("confusion")["counts"])
    assert counts.shape == (10, 10)
    assert counts.sum(1).tolist() == [100] * 10  # a hundred test images of each class
    assert counts.sum() - counts.trace() == trained.test["errors"]


class Saying(nn.Module):
    """A model that gives the logits it is told, one call of a probe after the other."""

    def __init__(self, *told):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.told = torch.cat(told)

    def forward(self, images):
        said, self.told = self.told[: len(images)], self.told[len(images) :]
        return said


def test_rows_of_the_confusion_are_the_true_classes(make_spec, smoke_grey):
    """A model that says 3 to everything has one full column."""
    three = Saying(nn.functional.one_hot(torch.full((1000,), 3), 10).float())
    counts = np.array(answers.confusion(three, make_spec(), smoke_grey)["counts"])
    assert counts[:, 3].tolist() == [100] * 10
    assert counts.sum() == 1000


def test_the_hardest_images_are_those_with_the_highest_loss(measured, trained, kept, smoke_grey):
    found = measured("hardest")["images"]
    model = models.build(trained.spec.model, smoke_grey.declared, 0)
    model.load_state_dict(load_weights(kept.run_dir(trained.spec) / "weights.safetensors"))
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
def test_responses_are_taken_after_batch_normalisation(
    make_spec, monkeypatch, family, size, layers
):
    monkeypatch.setattr(probes.internals, "_SAMPLE", 40)
    loaded = data.load_once("smoke-colour")
    spec = make_spec(family=family, dataset="smoke-colour", **size)
    model = models.build(spec.model, loaded.declared, 0).eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    found = internals.layers(model, spec, loaded)
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


@pytest.mark.parametrize(
    ("probe", "why"),
    [
        ("entropy", "'entropy' is not allowed; allowed: confusion, hard"),
        ("teacher-agreement", "'teacher-agreement' is not allowed for MLP, 2 layers"),
    ],
)
def test_what_no_run_or_not_this_one_can_have_is_told(make_spec, store, probe, why):
    with pytest.raises(ParameterError, match=why):
        probes.measure(make_spec(), probe, OPTIONS, store)


@pytest.mark.parametrize(
    ("probe", "changes"),
    [
        ("temperature-scaling", {"validation_size": 0}),
        ("bias-correction", {}),
        ("bias-correction", {"omitted_class": 3, "validation_size": 0}),
        ("int8-weights", {"family": "SimpleCNN", "depth": 1, "channels": 4}),
        ("lesion", {}),
    ],
)
def test_a_probe_is_refused_where_a_run_lacks_what_it_is_about(
    make_spec, smoke_grey, probe, changes
):
    spec = make_spec(**changes)
    model = models.build(spec.model, smoke_grey.declared, 0).eval()
    with pytest.raises(ParameterError, match=f"probe = '{probe}' is not allowed for {spec.title}"):
        probes.PROBES[probe](model, spec, smoke_grey)


# What distillation is about


def test_softened_images_are_right_and_nearly_wrong(make_spec, smoke_grey):
    labels = smoke_grey.test.labels
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(1000, 10, generator=generator) + 2 * nn.functional.one_hot(labels, 10)
    logits[labels == 2] -= 100.0 * nn.functional.one_hot(labels, 10)[labels == 2]  # never right
    found = answers.softened(Saying(logits), make_spec(), smoke_grey)
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


def test_agreement_is_the_share_of_equal_answers(make_student, make_spec, smoke_grey):
    spec = make_student(make_spec())
    right = nn.functional.one_hot(smoke_grey.test.labels, 10).float()
    others = right.clone()
    others[:300] = right[:300].roll(1, 1)  # another class

    def agreement(student, twin):
        networks = {"teacher": Saying(right), "model": Saying(student), "alone": Saying(twin)}
        return answers.teacher_agreement(spec=spec, loaded=smoke_grey, **networks)

    assert agreement(others, right) == {"alone": 1.0, "taught": 0.7}
    assert agreement(right, others) == {"alone": 0.7, "taught": 1.0}


def test_the_agreement_of_a_student_is_that_of_its_record(make_spec, make_student, store):
    small = {"epochs": 1, "validation_size": 3700, "batch_size": 16}
    teacher = make_spec(**small, seed=1)
    student = make_student(teacher, **small)
    twin = make_spec(**small)
    store.write(train_run(teacher, OPTIONS, store))
    record = train_run(student, OPTIONS, store)
    store.write(record)
    with pytest.raises(MissingRunsError, match=f"the weights of {twin.title} are not here"):
        probes.measure(student, "teacher-agreement", OPTIONS, store)
    store.write(train_run(twin, OPTIONS, store))
    probes.measure(student, "teacher-agreement", OPTIONS, store)
    found = store.find_probe(student, "teacher-agreement")
    assert found["taught"] == record.test["teacher_agreement"]
    assert 0 < found["alone"] < 1


def test_the_temperature_is_chosen_on_validation_and_told_on_the_test_set(make_spec, smoke_grey):
    _, validation = data.split(smoke_grey.train, 500, 0)
    logits = []
    for labels in (validation.labels, smoke_grey.test.labels):
        generator = torch.Generator().manual_seed(len(labels))
        said = torch.randn(len(labels), 10, generator=generator)
        logits.append(6 * said + 12 * nn.functional.one_hot(labels, 10))
    found = answers.temperature_scaling(Saying(*logits), make_spec(), smoke_grey)
    assert found["temperature"] == fit_temperature(logits[0], validation.labels)
    assert found["temperature"] != fit_temperature(logits[1], smoke_grey.test.labels)
    for moment, divisor in (("before", 1), ("after", found["temperature"])):
        scaled, labels = logits[1] / divisor, smoke_grey.test.labels
        loss = nn.functional.cross_entropy(scaled, labels)
        assert found["loss"][moment] == pytest.approx(float(loss))
        error = expected_calibration_error(scaled, labels)
        assert found["calibration_error"][moment] == pytest.approx(error)
    assert found["loss"]["after"] < found["loss"]["before"]
    assert found["calibration_error"]["after"] < found["calibration_error"]["before"]


def test_before_scaling_a_network_is_calibrated_as_its_record_says(measured, trained):
    found = measured("temperature-scaling")
    for name in ("loss", "calibration_error"):
        assert found[name]["before"] == pytest.approx(trained.test[name], rel=1e-5)


def errors_at(logits, labels, offset, omitted=3):
    return int((corrected(logits, omitted, offset).argmax(1) != labels).sum())


@pytest.mark.parametrize("seed", range(3))
def test_the_best_offset_is_that_of_a_fine_grid(seed):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(10, (80,), generator=generator)
    logits = torch.randn(80, 10, generator=generator) + 2 * nn.functional.one_hot(labels, 10)
    logits[:, 3] -= 4
    offset = best_offset(logits, labels, 3)
    grid = np.arange(-10, 20, 0.01)
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


def test_the_bias_is_chosen_on_validation_and_told_on_the_test_set(make_spec, smoke_grey):
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
    found = answers.bias_correction(Saying(*logits), spec, smoke_grey)
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


def test_the_layers_of_a_run_with_an_omitted_class_are_measured_without_it(make_spec, smoke_grey):
    spec = make_spec(omitted_class=3)
    model = models.build(spec.model, smoke_grey.declared, 0)
    without, whole = (
        internals.layers(model, each, smoke_grey)["trained"] for each in (spec, make_spec())
    )
    assert without != whole


# Arithmetic


@pytest.mark.parametrize(
    "model",
    [
        {},
        pytest.param(
            {"family": "PlainNet", "depth": 8, "dataset": "smoke-colour"}, marks=pytest.mark.slow
        ),
    ],
)
def test_gradients_agree_where_rounding_does_not_matter(make_spec, store, model):
    """Measured on the initial weights, so that no trained ones are needed."""
    spec = make_spec(**model, batch_size=32)
    probes.measure(spec, "gradient-agreement", OPTIONS, store)
    found = store.find_probe(spec, "gradient-agreement")
    assert found["images"] == 32
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
    measured = internals.gradient_agreement(model, spec, smoke_grey)
    assert measured["bf16"] == pytest.approx(-1, abs=0.01)


@pytest.mark.parametrize(
    ("training", "distilled"),
    [
        ({"label_smoothing": 0.2}, None),
        ({"label_smoothing": 0.2}, {"temperature": 4.0, "alpha": 0.7}),
        ({}, {"temperature": 2.0, "alpha": 0.5, "wrong_classes": "permuted"}),
    ],
)
def test_the_gradient_is_that_of_the_loss_that_is_trained(
    make_spec, smoke_grey, monkeypatch, training, distilled
):
    teacher_spec = make_spec(seed=1)
    settings = distilled and DistillationConfig(teacher_spec, **distilled)
    spec = make_spec(**training, distillation=settings)
    model, teacher = (
        models.build(each.model, smoke_grey.declared, each.seed).eval()
        for each in (spec, teacher_spec)
    )
    gradient, losses = torch.autograd.grad, []

    def noted(loss, parameters):
        losses.append(float(loss.detach()))
        return gradient(loss, parameters)

    monkeypatch.setattr(torch.autograd, "grad", noted)
    further = {"teacher": teacher} if distilled else {}
    found = internals.gradient_agreement(model, spec, smoke_grey, **further)
    train, _ = data.split(smoke_grey.train, 500, 0)
    batch = train.evenly_spaced(128)
    inputs = Normalize((0.5,), (0.25,), torch.device("cpu"))(batch.images)
    logits, taught = model(inputs), teacher(inputs)
    smoothing = spec.training.label_smoothing
    expected = nn.functional.cross_entropy(logits, batch.labels, label_smoothing=smoothing)
    if distilled:
        if "wrong_classes" in distilled:
            ranks = torch.rand((128, 9), generator=seeds.generator(0, "permutation"))
            taught = permute_wrong_classes(taught, batch.labels, ranks)
        temperature, alpha = distilled["temperature"], distilled["alpha"]
        expected, *_ = distillation_loss(
            logits, taught, batch.labels, temperature, alpha, smoothing
        )
    exact, rounded, jittered = losses
    assert exact == pytest.approx(expected.item(), rel=1e-6)
    assert rounded == pytest.approx(exact, rel=0.05) and rounded != exact
    assert jittered == pytest.approx(exact, rel=1e-4)
    assert 0.9 < found["bf16"] < found["jittered"]


def test_a_students_first_gradient_needs_the_weights_of_its_teacher_alone(
    trained, make_student, kept
):
    student = make_student(trained.spec, precision="bf16")
    probes.measure(student, "gradient-agreement", OPTIONS, kept)
    assert 0.9 < kept.find_probe(student, "gradient-agreement")["bf16"] < 1
    untrained = make_student(replace(trained.spec, seed=1))
    with pytest.raises(MissingRunsError, match="the weights of MLP, 2 layers"):
        probes.measure(untrained, "gradient-agreement", OPTIONS, kept)


@pytest.mark.slow
def test_fresh_statistics_mend_a_training_error_that_stale_ones_caused(make_spec):
    loaded = data.load_once("smoke-colour")
    spec = make_spec(
        family="SimpleCNN", dataset="smoke-colour", depth=2, channels=8, epochs=6, batch_size=32,
        learning_rate=0.01, validation_size=100, train_size=300, train_evaluation_size=200,
    )  # fmt: skip
    store = Store()
    record = train_run(spec, OPTIONS, store)
    store.write(record)
    model = trained_run.load_model(spec, loaded.declared, store, "a test")[0].eval()
    sound = internals.recomputed_statistics(model, spec, loaded)
    assert sound["count"] == 200
    accuracy = record.history["train_evaluation_accuracy"][record.best_epoch - 1]
    assert sound["error"] == pytest.approx(1 - accuracy)
    model = trained_run.load_model(spec, loaded.declared, store, "a test")[0].eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean += 100
    stale = internals.recomputed_statistics(model, spec, loaded)
    assert stale["error"] > 0.5
    assert stale["recomputed_error"] == sound["recomputed_error"] < 0.5


# Eight bits


def test_rounded_weights_are_those_of_the_network_within_half_a_step(measured, trained, kept):
    found = measured("int8-weights")
    weights = load_weights(kept.run_dir(trained.spec) / "weights.safetensors")
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


# Without a block


def centre_tap(layer):
    """Makes a convolution pass its input on: every map at its place, new ones of zeros around."""
    inputs, outputs = layer.in_channels, layer.out_channels
    nn.init.zeros_(layer.weight)
    for index in range(inputs):
        layer.weight.data[index + (outputs - inputs) // 2, index, 1, 1] = 1


def needless(block):
    """Makes a block give what is kept without it: its branch gives zero, or all of its input."""
    if hasattr(block, "relu1"):  # a plain one
        for convolution, normalisation in ((block.conv1, block.bn1), (block.conv2, block.bn2)):
            centre_tap(convolution)
            normalisation.running_mean.zero_()
            normalisation.running_var.fill_(1 - normalisation.eps)
    else:
        nn.init.zeros_(block.bn2.weight)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "size", "kept"),
    [
        ("ResidualCNN", {"depth": 2}, ["identity"] * 3 + ["projection"]),
        ("PlainCNN", {"depth": 2}, ["identity"] * 3 + ["padded"]),
        ("ResNet", {"depth": 8}, ["identity", "padded", "padded"]),
        ("PlainNet", {"depth": 8}, ["identity", "padded", "padded"]),
    ],
)
def test_a_block_that_adds_nothing_is_not_missed(make_spec, family, size, kept):
    loaded = data.load_once("smoke-colour")
    loaded = replace(loaded, test=loaded.test.evenly_spaced(50))
    spec = make_spec(family=family, dataset="smoke-colour", **size)
    model = models.build(spec.model, loaded.declared, 0)
    place = "stages" if "CNN" in family else "blocks"
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1  # so that what passes has the statistics of these images
    inputs = normalizer_of(model, loaded.declared)(loaded.test.images)
    with torch.no_grad():
        model(inputs)
    model.eval()
    for index in range(len(kept)):
        changed = copy.deepcopy(model)
        needless(changed.get_submodule(f"{place}.{index}"))
        found = internals.lesion(changed, spec, loaded)
        with torch.no_grad():
            loss = nn.functional.cross_entropy(changed(inputs), loaded.test.labels)
        assert found["whole"]["loss"] == pytest.approx(float(loss), rel=1e-5)
        assert [each["name"] for each in found["blocks"]] == [
            f"{place}.{each}" for each in range(len(kept))
        ]
        assert [each["kept"] for each in found["blocks"]] == kept
        missed = [each["loss"] - found["whole"]["loss"] for each in found["blocks"]]
        assert missed[index] == pytest.approx(0, abs=1e-5)
        assert found["blocks"][index]["accuracy"] == found["whole"]["accuracy"]
        assert all(abs(each) > 1e-4 for each in missed[:index] + missed[index + 1 :])
