import io
import math
import pickle
import sys

import pytest
import safetensors.torch
import torch
from repeats import repeating, same_weights, weights_of
from torch import nn

from lab1.core.record import EVALUATION_FIELDS, HISTORY_FIELDS
from lab1.core.training_config import TrainingConfig
from lab1.errors import ParameterError, WeightsError
from lab1.training import device as devices
from lab1.training import seeds, trainer
from lab1.training.callbacks import Callback, ProgressBar
from lab1.training.checkpoint import load_weights
from lab1.training.data.augmentation import Normalize, random_crop
from lab1.training.data.images import ImageSet
from lab1.training.evaluation import expected_calibration_error
from lab1.training.models.cnn import SimpleCNN
from lab1.training.models.mlp import MLP, ResidualMLP
from lab1.training.trainer import StreamlinedTrainer


def configured(**keywords):
    defaults = {"epochs": 3, "batch_size": 16, "learning_rate": 0.01, "validation_size": 30}
    return TrainingConfig(**{**defaults, **keywords})


@pytest.fixture
def make_trainer(toy, small_mlp):
    """Makes a trainer of a small MLP on the toy set; ``config`` and all else may be given."""

    def make(config=None, model=None, kind=StreamlinedTrainer, train=None, validation=..., **more):
        more.setdefault("device", "cpu")
        return kind(
            small_mlp() if model is None else model,
            config or configured(),
            toy(60, seed=1) if train is None else train,
            toy(30, seed=2) if validation is ... else validation,
            **more,
        )

    return make


# Learning


@pytest.mark.parametrize("kind", [MLP, ResidualMLP])
def test_it_learns_what_a_line_can_tell_apart(make_trainer, small_mlp, toy, kind):
    made = make_trainer(configured(epochs=15), small_mlp(kind=kind))
    assert made.evaluate()["accuracy"] < 0.7
    result = made.train()
    assert made.evaluate(toy(300, seed=9))["accuracy"] > 0.95
    assert result.history["train_loss"][-1] < 0.3 * result.history["train_loss"][0]
    assert result.stopped == "all epochs"


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("more", [{}, {"augmentation": "crop-flip"}, {"precision": "bf16"}])
def test_a_training_repeats_bit_by_bit(make_trainer, small_mlp, optimizer, more):
    def trained(seed=0):
        torch.rand(7)  # what was drawn before must not matter
        before = torch.get_rng_state()
        config = configured(optimizer=optimizer, **more)
        made = make_trainer(config, small_mlp(dropout_rate=0.3), seed=seed)
        history = repeating(made.train().history)
        assert torch.equal(torch.get_rng_state(), before)
        return history, weights_of(made.model)

    (history, weights), (history_again, weights_again) = trained(), trained()
    assert history == history_again
    assert same_weights(weights, weights_again)
    history_of_another, weights_of_another = trained(seed=1)
    assert history != history_of_another
    assert not same_weights(weights, weights_of_another)


def test_dropout_follows_the_seed(make_trainer, small_mlp):
    """With one batch per epoch and no augmentation, only dropout is left to chance."""

    def losses(seed, dropout_rate):
        made = make_trainer(
            configured(batch_size=60), small_mlp(dropout_rate=dropout_rate), seed=seed
        )
        return made.train().history["train_loss"]

    assert losses(0, 0.5) == losses(0, 0.5)
    assert losses(0, 0.5) != pytest.approx(losses(1, 0.5))
    assert losses(0, 0) == pytest.approx(losses(1, 0))


class Recording(StreamlinedTrainer):
    """Keeps what every training batch consisted of."""

    def compute_loss(self, logits, labels, inputs):
        self.__dict__.setdefault("batches", []).append((inputs.clone(), labels.clone()))
        return super().compute_loss(logits, labels, inputs)


def test_twins_see_the_same_batches_though_one_draws_more_at_first(make_trainer, small_mlp):
    class Greedy(MLP):
        def __init__(self, *arguments, **keywords):
            torch.rand(1000)
            super().__init__(*arguments, **keywords)

    seen = []
    for kind in (MLP, ResidualMLP, Greedy):
        made = make_trainer(model=small_mlp(kind=kind), kind=Recording, seed=4)
        made.train()
        seen.append(made.batches)
    assert len(seen[0]) == 3 * 4
    for other in seen[1:]:
        for (inputs, labels), (inputs_too, labels_too) in zip(seen[0], other, strict=True):
            assert torch.equal(inputs, inputs_too)
            assert torch.equal(labels, labels_too)


def test_each_epoch_shows_every_image_once_in_an_order_of_its_own(make_trainer, toy):
    train = toy(60, seed=1)
    made = make_trainer(kind=Recording, train=train, mean=[0.0], std=[1 / 255], seed=4)
    made.train()
    epochs = [made.batches[start : start + 4] for start in (0, 4, 8)]
    assert [len(labels) for _, labels in epochs[0]] == [16, 16, 16, 12]
    orders = []
    whole = train.images.float().flatten(1)
    for batches in epochs:
        images = torch.cat([inputs for inputs, _ in batches]).flatten(1)
        orders.append(torch.cdist(images, whole).argmin(1).tolist())
        assert torch.equal(train.labels[orders[-1]], torch.cat([labels for _, labels in batches]))
        assert sorted(orders[-1]) == list(range(60))
    assert orders[0] != orders[1] != orders[2] != orders[0]


# What the numbers are


def by_hand(made, images, labels):
    """Loss and gradient norm of the model as it is, on normalised images."""
    loss = nn.functional.cross_entropy(made.model(made.normalize(images)), labels)
    gradients = torch.autograd.grad(loss, [*made.model.parameters()])
    return loss.item(), math.sqrt(sum(float(each.square().sum()) for each in gradients))


def test_losses_are_means_over_images_and_gradient_norms_over_steps(make_trainer, toy):
    """At a vanishing learning rate the model stays what it is; the last batch is a small one."""
    train = toy(50, seed=1)
    made = make_trainer(configured(epochs=1, learning_rate=1e-12), train=train, seed=2)
    loss, _ = by_hand(made, train.images, train.labels)
    order = torch.randperm(50, generator=seeds.generator(2, "order"))
    norms = [by_hand(made, train.images[part], train.labels[part])[1] for part in order.split(16)]
    correct = int((made.predict(train.images).argmax(1) == train.labels).sum())
    history = made.train().history
    assert len(norms) == 4
    assert history["train_loss"] == [pytest.approx(loss, rel=1e-5)]
    assert history["gradient_norm"] == [pytest.approx(sum(norms) / 4, rel=1e-5)]
    assert history["train_accuracy"] == [correct / 50]


def test_the_history_has_every_field_once_per_epoch(make_trainer):
    config = configured(epochs=4, schedule="cosine")
    made = make_trainer(config)
    result = made.train()
    assert list(result.history) == list(HISTORY_FIELDS)
    for name, series in result.history.items():
        assert len(series) == 4, name
        assert all(type(value) in (int, float) for value in series), name
    # The rate of the last of each epoch's four steps.
    expected = [0.01 * (1 + math.cos(math.pi * step / 16)) / 2 for step in (3, 7, 11, 15)]
    assert result.history["learning_rate"] == pytest.approx(expected)
    assert all(0 <= value <= 1 for value in result.history["train_accuracy"])
    assert all(value > 0 for value in result.history["seconds"])
    assert all(value > 1_000_000 for value in result.history["peak_memory_bytes"])
    assert result.seconds >= sum(result.history["seconds"])


def test_training_images_are_also_scored_in_evaluation_mode(make_trainer, toy, small_mlp):
    train = toy(50, seed=1)
    plain, made = (
        make_trainer(
            configured(epochs=2, train_evaluation_size=size),
            small_mlp(dropout_rate=0.5),
            train=train,
        )
        for size in (0, 20)
    )
    unscored, result = plain.train(), made.train()
    assert list(result.history) == [*HISTORY_FIELDS, *EVALUATION_FIELDS]
    # The best epoch's weights are in place: the last, where that was the best.
    scores = made.evaluate(train.take(torch.arange(20) * 50 // 20))
    at = result.best_epoch - 1
    assert result.history["train_evaluation_loss"][at] == scores["loss"]
    assert result.history["train_evaluation_accuracy"][at] == scores["accuracy"]
    for name in ("train_loss", "validation_loss", "gradient_norm"):  # nothing else has changed
        assert result.history[name] == unscored.history[name]


@pytest.mark.parametrize(
    ("channels", "memory_format"), [(8, torch.channels_last), (4, torch.contiguous_format)]
)
def test_convolutions_run_channels_last_unless_too_few(channels, memory_format):
    model = SimpleCNN(channels, 2)
    images = ImageSet(torch.zeros(4, 3, 8, 8, dtype=torch.uint8), torch.zeros(4).long())
    made = StreamlinedTrainer(model, configured(validation_size=0), images, device="cpu")
    seen = []
    made.model.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    made.train()
    assert all(each.is_contiguous(memory_format=memory_format) for each in seen)
    assert model.stages[4].weight.is_contiguous(memory_format=memory_format)


def test_scores_are_those_by_hand(make_trainer, toy):
    made = make_trainer()
    history = made.train().history
    # Without a dataset, those of the validation split.
    assert made.evaluate() == made.evaluate(toy(30, seed=2))
    assert made.evaluate()["loss"] == history["validation_loss"][made.best.epoch - 1]
    images = toy(45, seed=3)
    with torch.no_grad():
        logits = made.model(made.normalize(images.images))
    log_probabilities = logits.double().log_softmax(1)[torch.arange(45), images.labels]
    errors = int((logits.argmax(1) != images.labels).sum())
    assert made.evaluate(images) == {
        "loss": pytest.approx(-float(log_probabilities.mean()), rel=1e-5),
        "accuracy": (45 - errors) / 45,
        "errors": errors,
        "count": 45,
        "calibration_error": pytest.approx(
            expected_calibration_error(logits, images.labels), abs=1e-6
        ),
    }


def test_a_network_that_keeps_a_tensor_is_scored_before_it_is_trained(make_trainer, toy):
    class Keeping(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.scale = nn.Linear(36, 3), None

        def forward(self, images):
            inputs = images.flatten(1)
            self.scale = inputs.new_ones(1) if self.scale is None else self.scale
            return self.inner(inputs) * self.scale

    made = make_trainer(model=Keeping())
    made.evaluate(toy(20))
    made.train()


def test_predictions_are_logits_on_the_cpu(make_trainer, toy):
    made = make_trainer()
    images = toy(25, seed=3).images
    logits = made.predict(images)
    assert logits.shape == (25, 3)
    assert (logits.dtype, logits.device.type) == (torch.float32, "cpu")
    assert not logits.requires_grad
    torch.testing.assert_close(logits, made.model(made.normalize(images)).detach())
    for wrong in (images / 255, images[0]):
        with pytest.raises(ParameterError, match="are not allowed; allowed: uint8 of shape"):
            made.predict(wrong)


@pytest.mark.parametrize("size", [1, 7, 45, 10_000])
def test_scores_do_not_depend_on_the_evaluation_batch(make_trainer, toy, monkeypatch, size):
    made, images = make_trainer(), toy(45, seed=3)
    expected, logits = made.evaluate(images), made.predict(images.images)
    monkeypatch.setattr(trainer, "EVALUATION_BATCH", size)
    assert made.evaluate(images) == {
        name: pytest.approx(value, rel=1e-5) for name, value in expected.items()
    }
    torch.testing.assert_close(made.predict(images.images), logits)


def test_scoring_switches_dropout_off_and_training_switches_it_on(make_trainer, small_mlp, toy):
    made = make_trainer(model=small_mlp(dropout_rate=0.5))
    images = toy(30, seed=3)
    made.model.train()
    assert made.evaluate(images) == made.evaluate(images)
    modes = []
    made.model.dropout.register_forward_hook(lambda module, *_: modes.append(module.training))
    made.train()
    # Per epoch: two dropouts in each of four training batches, then in one evaluation.
    assert modes == ([True] * 8 + [False] * 2) * 3


# Inputs


def test_images_are_normalised_as_told_or_by_the_training_split(make_trainer, toy):
    train = toy(60, seed=1)
    told = make_trainer(kind=Recording, train=train, mean=[0.2], std=[0.5])
    told.train()
    expected = Normalize((0.2,), (0.5,), torch.device("cpu"))(train.images)
    torch.testing.assert_close(told.normalize(train.images), expected)
    untold = make_trainer(train=train).normalize(train.images)
    assert float(untold.mean()) == pytest.approx(0, abs=1e-4)
    assert float(untold.std()) == pytest.approx(1, abs=1e-3)
    train.images.fill_(7)  # by no deviation of zero
    assert make_trainer(train=train).normalize(train.images).isfinite().all()


def test_training_images_are_augmented_and_others_never(make_trainer, small_mlp, toy):
    train, validation = toy(60, seed=1), toy(30, seed=2)
    config = configured(epochs=1, augmentation="crop")
    model, evaluated = small_mlp(), []

    def note(module, given):
        if not module.training:
            evaluated.append(*given)

    model.register_forward_pre_hook(note)
    made = make_trainer(config, model, Recording, train=train, validation=validation, seed=3)
    made.train()
    order = torch.randperm(60, generator=seeds.generator(3, "order")).split(16)
    augmentation = seeds.generator(3, "augmentation")
    for indices, (inputs, labels) in zip(order, made.batches, strict=True):
        expected = made.normalize(random_crop(train.images[indices], augmentation))
        assert torch.equal(inputs, expected)
        assert torch.equal(labels, train.labels[indices])
    # One image is tried before the first step.
    assert torch.equal(torch.cat(evaluated)[-30:], made.normalize(validation.images))
    made.predict(train.images)
    assert torch.equal(evaluated[-1], made.normalize(train.images))


# Precision


def test_bf16_computes_in_bf16_and_stays_near_float32(make_trainer, small_mlp):
    histories, dtypes, of_loss = {}, {}, set()

    class Peeking(StreamlinedTrainer):
        def compute_loss(self, logits, labels, inputs):
            of_loss.add((logits.dtype, inputs.dtype, labels.dtype))
            return super().compute_loss(logits, labels, inputs)

    for precision in ("float32", "bf16"):
        model = small_mlp()
        seen = dtypes[precision] = set()
        model.hidden[1].register_forward_hook(lambda m, g, out, seen=seen: seen.add(out.dtype))
        made = make_trainer(configured(precision=precision), model, Peeking)
        histories[precision] = made.train().history
        assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
        assert made.predict(made.eval_dataset.images).dtype == torch.float32
    assert dtypes == {"float32": {torch.float32}, "bf16": {torch.bfloat16}}
    assert of_loss == {(torch.float32, torch.float32, torch.int64)}
    for name in ("train_loss", "validation_loss", "gradient_norm"):
        # bfloat16 keeps 8 bits: 0.4 % per operation.
        assert histories["bf16"][name] == pytest.approx(histories["float32"][name], rel=0.05)
        assert histories["bf16"][name] != histories["float32"][name]


def test_a_gpu_without_bf16_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: False)
    with pytest.raises(ParameterError, match=r"precision = 'bf16' is not allowed.*float32"):
        devices.check_precision("bf16", torch.device("cuda"))
    devices.check_precision("float32", torch.device("cuda"))
    devices.check_precision("bf16", torch.device("cpu"))


# The best epoch


def scripted(script):
    """A trainer that validates by script, and keeps the weights that each epoch ended with."""

    class Scripted(StreamlinedTrainer):
        def evaluate(self, dataset=None):
            snapshots = self.__dict__.setdefault("snapshots", [])
            value = script[len(snapshots)]
            snapshots.append(weights_of(self.model))
            return {"accuracy": value, "loss": value, "errors": 0, "count": 1}

    return Scripted


@pytest.mark.parametrize(
    ("settings", "script", "epochs", "best"),
    [
        ({}, [0.5, 0.9, 0.7, 0.8], 4, 2),
        ({}, [0.5, 0.6, 0.7, 0.8], 4, 4),
        ({}, [0.9, 0.1, 0.1, 0.1, 0.1], 5, 1),
        ({}, [0.5, 0.9, 0.9, 0.8], 4, 2),  # the first of equals
        ({"monitor": "validation_loss"}, [0.5, 0.9, 0.3, 0.8], 4, 3),
        ({"monitor": "validation_loss"}, [0.5, 0.4, 0.4, 0.4], 4, 2),
        ({"patience": 1}, [0.5, 0.6, 0.6, 0.9], 3, 2),
        ({"patience": 2}, [0.5, 0.6, 0.6, 0.5, 0.9], 4, 2),
        # A gain starts the count anew.
        ({"patience": 2}, [0.5, 0.4, 0.6, 0.5, 0.7, 0.5, 0.6, 0.9], 7, 5),
        ({"patience": 2}, [0.5, 0.6, 0.7, 0.8, 0.9], 5, 5),
        # Gains count against the last improvement.
        ({"patience": 2, "minimum_improvement": 0.05}, [0.5, 0.54, 0.56, 0.58, 0.6, 0.9], 5, 5),
        ({"patience": 2, "minimum_improvement": 0.05}, [0.5, 0.54, 0.56, 0.58, 0.57, 0.9], 5, 4),
        # Just as much is not more, nor where floating point says so.
        ({"patience": 3, "minimum_improvement": 0.1}, [0.5, 0.55, 0.59, 0.6, 0.9], 4, 4),
        ({"patience": 3, "minimum_improvement": 0.05}, [0.5, 0.55, 0.55, 0.55, 0.9], 4, 2),
    ],
)
def test_the_best_epochs_weights_are_restored_after_exactly_patience_epochs_without_improvement(
    make_trainer, settings, script, epochs, best
):
    made = make_trainer(configured(epochs=len(script), **settings), kind=scripted(script))
    result = made.train()
    assert len(result.history["train_loss"]) == epochs
    assert result.best_epoch == best
    assert result.stopped == ("early stopping" if epochs < len(script) else "all epochs")
    assert not same_weights(made.snapshots[0], made.snapshots[-1])
    assert same_weights(weights_of(made.model), made.snapshots[best - 1])


def test_without_validation_the_last_epoch_is_the_best(make_trainer):
    last = []

    class Keep(Callback):
        def on_epoch_end(self, trainer, epoch, metrics):
            last.append(weights_of(trainer.model))

    made = make_trainer(
        configured(validation_size=0),
        validation=None,
        callbacks=[Keep()],
        compute_metrics={"top2": top2},
    )
    result = made.train()
    assert (result.best_epoch, result.stopped) == (3, "all epochs")
    assert same_weights(weights_of(made.model), last[-1])
    for name in ("validation_loss", "validation_accuracy", "top2"):
        assert result.history[name] == [None] * 3
    assert all(math.isfinite(value) for value in result.history["train_loss"])


def test_what_cannot_be_trained_is_told_before_it_is(make_trainer, toy):
    def shifted(by):
        images = toy(60)
        return ImageSet(images.images, images.labels + by)

    for wrong in ({"train": shifted(1)}, {"validation": shifted(-1)}):
        with pytest.raises(ParameterError, match=r"labels from .* allowed: from 0 to 2"):
            make_trainer(**wrong).train()
    steps, smaller = Telling(), ImageSet(toy(30).images[:, :, :3], toy(30).labels)
    with pytest.raises(ParameterError, match=r"^MLP does not take 1 images"):
        make_trainer(validation=smaller, callbacks=[steps]).train()
    assert steps.told == []
    for empty, name in (({"validation": toy(0)}, "eval"), ({"train": toy(0)}, "train")):
        with pytest.raises(ParameterError, match=f"{name}_dataset is empty"):
            make_trainer(**empty)


class Odd(nn.Linear):
    """Gives something of its logits."""

    def __init__(self, given):
        super().__init__(36, 3)
        self.given = given

    def forward(self, images):
        return self.given(super().forward(images.flatten(1)))


@pytest.mark.parametrize(
    ("model", "why"),
    [
        (Odd(lambda logits: (logits,) * 2), "Odd gives tuple for 16 images; allowed: logits"),
        (Odd(lambda logits: logits.argmax(1)), r"Odd gives \(16,\) for 16 images"),
        (Odd(lambda logits: logits.softmax(1)), "Odd gives probabilities, .* without a softmax"),
        (Odd(torch.Tensor.detach), "the loss depends on no weight of the model"),
        (Odd(str).double(), r"Odd does not take 16 images of torch.float32 and shape \(1, 6, 6\)"),
        (nn.Linear(35, 3), "Linear does not take 16 images"),
        (nn.Linear(36, 3, device="meta"), "weights without values"),
        (nn.Linear(36, 3).requires_grad_(False), "no weight to train"),
        (nn.Linear, "model = .*Linear.* is not allowed; allowed: Module"),
    ],
)
def test_a_model_that_cannot_be_trained_is_told_before_the_first_step(make_trainer, model, why):
    with pytest.raises(ParameterError, match=why):
        make_trainer(model=model).train()


@pytest.mark.parametrize(
    ("argument", "allowed"),
    [
        ({"config": {"epochs": 1}}, "config = .* allowed: TrainingConfig"),
        (
            {"config": configured(epochs=1, batch_size=1000, schedule="one-cycle")},
            "StreamlinedTrainer: schedule = 'one-cycle'.*one st",
        ),
        *(
            ({"device": name}, f"^device = '{name}' is not allowed on this machine; .*, cpu")
            for name in ("cuda:99", "tpu", "")
        ),
        *(
            ({"monitor": monitor, "compute_metrics": {"f1": len}}, "monitor = .*'f1', 'max'")
            for monitor in ("f1", ("f2", "max"), ("f1", "up"))
        ),
        ({"train": [1, 2]}, "train_dataset, example 0: it is of int; allowed: a pair of image"),
        ({"validation": 3}, "eval_dataset of int is not allowed; allowed: an ImageSet, a map"),
        ({"callbacks": ["x"]}, "callbacks = 'x' .* allowed: Callback"),
        ({"weights_path": 3}, "weights_path = 3 .* allowed: Path or str or none"),
        ({"checkpointer": "x"}, "checkpointer = 'x' .* allowed: Checkpointer or none"),
        ({"compile": "no"}, "compile = 'no' .* allowed: bool"),
        ({"mean": [0.5]}, r"mean = \[0.5\] with std = None .* both or none; of each of 1 channels"),
        ({"mean": [0.5], "std": [0.0]}, r"std = \[0.0\] .* deviation above 0"),
        ({"mean": [math.nan], "std": [1.0]}, "mean = .nan. with .* a mean from 0 to 1"),
        ({"mean": [127.5], "std": [60.0]}, "mean = .127.5. .*pixels divided by 255"),
        ({"mean": [0.5] * 3, "std": [0.5] * 3}, "of each of 1 channels"),
        ({"mean": 0.5, "std": 0.5}, "mean = 0.5 with std = 0.5 is not allowed"),
        ({"compute_metrics": {1: len}}, "the name of a metric = 1 is not allowed"),
        ({"compute_metrics": {"": len}}, "a metric or quantity '' is not allowed"),
        ({"compute_metrics": [len]}, "compute_metrics = .* allowed: Mapping or none"),
        ({"compute_metrics": {"m": 3}}, "a metric = 3 .* allowed: a function"),
        ({"compute_metrics": {"m": lambda *_: "x"}}, "epoch 1: .*metric m = 'x' .* a number"),
        ({"compute_metrics": {"m": lambda *_: 10**400}}, "metric m = 10.* a number"),
        ({"compute_metrics": {"m": lambda *_: {}[0]}}, "epoch 1: .*metric 'm' failed: KeyError: 0"),
        ({"compute_metrics": {"m": lambda *_: sys.exit(0)}}, "metric 'm' failed: SystemExit"),
    ],
)
def test_an_argument_of_another_kind_is_told(make_trainer, argument, allowed):
    with pytest.raises(ParameterError, match=allowed):
        make_trainer(**argument).train()


def test_what_a_trained_model_is_asked_is_checked(make_trainer, toy):
    trainer, asked = make_trainer(), toy(30)
    with pytest.raises(ParameterError, match="evaluate: dataset is empty"):
        trainer.evaluate(toy(0))
    with pytest.raises(ParameterError, match="no validation split; name a dataset"):
        make_trainer(configured(validation_size=0), validation=None).evaluate()
    with pytest.raises(ParameterError, match="labels from 5 to 7 are not allowed"):
        trainer.evaluate(ImageSet(asked.images, asked.labels + 5))
    with pytest.raises(ParameterError, match="example 0: it is of Tensor; allowed: a pair"):
        trainer.evaluate(asked.images)
    with pytest.raises(ParameterError, match=r"does not take 2 images of .* shape \(1, 4, 4\)"):
        trainer.predict(torch.zeros(2, 1, 4, 4, dtype=torch.uint8))
    with pytest.raises(ParameterError, match="images, example 0: it is of str; allowed: a pair"):
        trainer.predict("images")


# Divergence


def exploding(value, after=0):
    """A trainer whose loss is multiplied by `value` once so many steps are done."""

    class Exploding(StreamlinedTrainer):
        steps = 0

        def compute_loss(self, logits, labels, inputs):
            self.steps += 1
            loss = super().compute_loss(logits, labels, inputs)
            return loss * value if self.steps > after else loss

    return Exploding


@pytest.mark.parametrize("value", [math.inf, math.nan])
def test_a_run_that_diverges_keeps_its_best_epoch(make_trainer, value):
    kept = []

    class Keep(Callback):
        def on_epoch_end(self, trainer, epoch, metrics):
            kept.append((epoch, weights_of(trainer.model)))

    made = make_trainer(configured(epochs=5), kind=exploding(value, after=8), callbacks=[Keep()])
    result = made.train()
    assert result.stopped == "diverged"
    assert [epoch for epoch, _ in kept] == [1, 2]  # the third was not worth to be looked at
    assert len(result.history["train_loss"]) == 3
    assert not math.isfinite(result.history["train_loss"][-1])
    assert result.best_epoch in (1, 2)
    assert same_weights(weights_of(made.model), kept[result.best_epoch - 1][1])


def test_a_run_that_diverges_at_once_has_no_best_epoch(make_trainer, tmp_path):
    path, telling = tmp_path / "weights.safetensors", Telling()
    result = make_trainer(kind=exploding(math.inf), weights_path=path, callbacks=[telling]).train()
    assert telling.told == ["begin", "end"]
    assert (result.stopped, result.best_epoch) == ("diverged", None)
    assert {len(series) for series in result.history.values()} == {1}
    assert not path.exists()


# Extensions


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_labels_are_smoothed_in_training_alone(make_trainer, smoothing):
    config = configured(epochs=1, learning_rate=1e-12, label_smoothing=smoothing)
    made = make_trainer(config)
    history = made.train().history
    images = made.train_dataset
    logits = made.predict(images.images)
    hard = nn.functional.cross_entropy(logits, images.labels)
    uniform = -logits.log_softmax(1).mean()
    expected = (1 - smoothing) * hard + smoothing * uniform
    assert history["train_loss"] == [pytest.approx(float(expected), rel=1e-5)]
    # What is compared between losses stays the cross-entropy.
    images = made.eval_dataset
    validation = nn.functional.cross_entropy(made.predict(images.images), images.labels)
    assert history["validation_loss"] == [pytest.approx(float(validation), rel=1e-5)]


def test_long_gradients_are_scaled_down_and_reported_as_they_were(make_trainer):
    steps = {}
    for limit in (None, 1e-3, 1e6):
        config = configured(
            epochs=1, batch_size=1000, optimizer="sgd", momentum=0, learning_rate=0.5,
            max_gradient_norm=limit,
        )  # fmt: skip
        made = make_trainer(config)
        before = weights_of(made.model)
        (norm,) = made.train().history["gradient_norm"]
        moved = [after - before[name] for name, after in weights_of(made.model).items()]
        length = float(torch.cat([each.flatten() for each in moved]).norm())
        steps[limit] = norm, length
    assert steps[None] == steps[1e6]
    assert steps[1e-3][0] == steps[None][0] == pytest.approx(steps[None][1] / 0.5, rel=1e-4)
    assert steps[1e-3][1] == pytest.approx(0.5 * 1e-3, rel=1e-3)


@pytest.mark.parametrize(
    "spoilt", ["train_evaluation_loss", "validation_loss", "train_loss", "gradient_norm"]
)
def test_every_loss_decides_whether_a_training_is_sound(make_trainer, monkeypatch, spoilt):
    made = make_trainer(configured(train_evaluation_size=10))
    finish = made._progress.finish_epoch

    def spoil(metrics):
        metrics[spoilt] = math.inf
        finish(metrics)

    monkeypatch.setattr(made._progress, "finish_epoch", spoil)
    result = made.train()
    assert (result.stopped, result.best_epoch) == ("diverged", None)
    assert len(result.history["train_loss"]) == 1


def top2(logits, labels):
    return (logits.topk(2).indices == labels[:, None]).any(1).float().mean()


def test_custom_metrics_are_scored_on_the_whole_validation_split(make_trainer):
    shapes = []

    def count(logits, labels):
        shapes.append((tuple(logits.shape), tuple(labels.shape)))
        return len(labels)

    made = make_trainer(compute_metrics={"top2": top2, "count_of_images": count})
    result = made.train()
    assert set(shapes) == {((30, 3), (30,))}
    assert result.history["count_of_images"] == [30.0] * 3
    assert len(result.history["top2"]) == 3
    for accuracy, top in zip(
        result.history["validation_accuracy"], result.history["top2"], strict=True
    ):
        assert accuracy <= top <= 1
    assert made.evaluate()["top2"] == result.history["top2"][result.best_epoch - 1]


def test_a_metric_that_works_in_place_spoils_no_labels_and_no_score(make_trainer):
    def in_place(logits, labels):
        return labels.zero_().sum() + logits.zero_().sum()

    plain, made = make_trainer(), make_trainer(compute_metrics={"m": in_place})
    assert made.train().history["validation_loss"] == plain.train().history["validation_loss"]
    assert made.evaluate() == {**plain.evaluate(), "m": 0}


@pytest.mark.parametrize(
    "name", ["accuracy", "errors", "loss", "validation_accuracy", "train_loss", "seconds"]
)
def test_a_metric_takes_no_name_that_the_trainer_writes(make_trainer, name):
    with pytest.raises(ParameterError, match=f"'{name}' is not allowed, since the trainer writes"):
        make_trainer(compute_metrics={name: top2})
    observing = type("Observing", (StreamlinedTrainer,), {"quantities": (name,)})
    with pytest.raises(ParameterError, match=f"'{name}' is not allowed, since the trainer writes"):
        make_trainer(kind=observing)


@pytest.mark.slow
def test_a_compiled_model_leaves_weights_that_fit_the_plain_one(
    make_trainer, small_mlp, toy, tmp_path
):
    path = tmp_path / "best.safetensors"
    made = make_trainer(model=torch.compile(small_mlp(), backend="eager"), weights_path=path)
    made.train()
    plain = small_mlp()
    plain.load_state_dict(load_weights(path))
    again = make_trainer(model=plain)
    assert again.evaluate(toy(20)) == made.evaluate(toy(20))


class Telling(Callback):
    def __init__(self):
        self.told = []

    def on_train_begin(self, trainer):
        self.told.append("begin")

    def on_epoch_end(self, trainer, epoch, metrics):
        self.told.append((epoch, dict(metrics)))

    def on_train_end(self, trainer):
        self.told.append("end")


@pytest.mark.parametrize(("mode", "best"), [("max", 2), ("min", 3)])
def test_a_metric_of_ones_own_selects_the_best_epoch(make_trainer, mode, best):
    values = iter([math.nan, 0.8, 0.1])
    made = make_trainer(
        compute_metrics={"f1": lambda logits, labels: next(values)}, monitor=("f1", mode)
    )
    assert made.train().best_epoch == best


def test_a_hook_is_called_after_each_step_and_may_evaluate(make_trainer, small_mlp):
    seen = []

    class Steps(Callback):
        def on_step_end(self, trainer, step, loss):
            seen.append((step, float(loss)))
            trainer.evaluate()  # which leaves dropout and batch normalisation as in an evaluation

    plain, told = (
        make_trainer(configured(epochs=2), small_mlp(dropout_rate=0.5), callbacks=callbacks)
        for callbacks in ([], [Steps()])
    )
    history = told.train().history["train_loss"]
    assert history == plain.train().history["train_loss"]
    assert [step for step, _ in seen] == list(range(1, 9))
    sizes = [16, 16, 16, 12]
    of_first = [loss * size for (_, loss), size in zip(seen, sizes, strict=False)]
    assert sum(of_first) / 60 == pytest.approx(history[0], rel=1e-5)


def test_callbacks_are_told_what_the_history_says_and_can_stop_the_training(make_trainer):
    class Enough(Callback):
        def on_epoch_end(self, trainer, epoch, metrics):
            if epoch == 2:
                trainer.stop_reason = "enough"

    telling = Telling()
    made = make_trainer(
        configured(epochs=5), callbacks=[Enough(), telling], compute_metrics={"top2": top2}
    )
    result = made.train()
    assert result.stopped == "enough"
    assert len(result.history["train_loss"]) == 2
    begin, *epochs, end = telling.told
    assert (begin, end) == ("begin", "end")
    assert epochs == [
        (index + 1, {name: series[index] for name, series in result.history.items()})
        for index in range(2)
    ]


@pytest.mark.parametrize("installed", [True, False])
def test_progress_is_silent_where_nobody_looks(make_trainer, capfd, monkeypatch, installed):
    if not installed:
        monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    for validation in ({}, {"validation": None}):
        make_trainer(callbacks=[ProgressBar("a run")], **validation).train()
    assert capfd.readouterr() == ("", "")


def test_a_bar_is_shown_in_a_terminal_alone(make_trainer, monkeypatch):
    drawn = io.StringIO()
    monkeypatch.setattr(sys, "stderr", drawn)
    make_trainer().train()
    assert drawn.getvalue() == ""
    drawn.isatty = lambda: True
    make_trainer(progress=False).train()
    assert drawn.getvalue() == ""
    make_trainer().train()
    make_trainer(progress="a title").train()
    assert "MLP" in drawn.getvalue() and "a title" in drawn.getvalue()


# Weights on disk


def test_the_best_weights_are_written_as_tensors_and_nothing_else(make_trainer, tmp_path):
    path = tmp_path / "deep" / "weights.safetensors"
    config = configured(epochs=4)
    made = make_trainer(config, kind=scripted([0.5, 0.9, 0.7, 0.8]), weights_path=path)
    made.train()
    assert same_weights(safetensors.torch.load_file(path), made.snapshots[1])
    assert same_weights(load_weights(path), made.snapshots[1])
    assert [each.name for each in path.parent.iterdir()] == ["weights.safetensors"]


def test_missing_weights_are_told(tmp_path):
    with pytest.raises(WeightsError, match=r"weights\.safetensors: cannot be read"):
        load_weights(tmp_path / "weights.safetensors")


class Trap:
    sprung = False

    def __reduce__(self):
        return (setattr, (Trap, "sprung", True))


@pytest.mark.parametrize(
    "save", [torch.save, lambda trap, path: path.write_bytes(pickle.dumps(trap, protocol=2))]
)
@pytest.mark.parametrize("name", ["weights.pt", "weights.safetensors"])
def test_code_in_a_weights_file_is_not_executed(tmp_path, save, name):
    path = tmp_path / name
    save({"weight": Trap()}, path)
    with pytest.raises(WeightsError):
        load_weights(path)
    assert not Trap.sprung


# Devices


def test_auto_takes_the_best_device_there_is(monkeypatch):
    for cuda, mps, expected in (
        (True, True, "cuda"),
        (True, False, "cuda"),
        (False, True, "mps"),
        (False, False, "cpu"),
    ):
        monkeypatch.setattr(torch.cuda, "is_available", lambda cuda=cuda: cuda)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda mps=mps: mps)
        assert devices.resolve("auto").type == expected
        assert devices.resolve("cpu").type == "cpu"


def test_a_wrong_name_for_the_end_of_the_training_is_an_error(make_trainer):
    """It would be ignored, and the training go on to its last epoch."""

    class Stops(Callback):
        def on_epoch_end(self, trainer, epoch, metrics):
            trainer.stop = True

    with pytest.raises(AttributeError, match=r"no attribute 'stop' .* stop_reason, a text"):
        make_trainer(callbacks=[Stops()]).train()


def test_a_hook_that_is_none_is_refused_by_name():
    with pytest.raises(TypeError, match=r"Slip\.on_epoch_ends is no hook .* mean on_epoch_end\?"):

        class Slip(Callback):
            def on_epoch_ends(self, trainer, epoch, metrics):
                pass
