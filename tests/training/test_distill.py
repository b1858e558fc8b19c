"""The distillation loss by hand, and a trainer that is the usual one but for its loss."""

import math
from dataclasses import replace

import pytest
import torch
from repeats import repeating, same_weights, weights_of
from torch import nn

from lab1.core.record import DISTILLATION_FIELDS, HISTORY_FIELDS
from lab1.core.training_config import TrainingConfig
from lab1.errors import ParameterError
from lab1.training.data.images import ImageSet
from lab1.training.distillation import DistillationTrainer, TeacherOutputs, distillation_loss
from lab1.training.models.cnn import SimpleCNN
from lab1.training.trainer import StreamlinedTrainer

STUDENT = [[1.0, -2.0, 0.5], [0.0, 3.0, -1.0]]
TEACHER = [[2.0, 0.0, -1.0], [-0.5, 1.5, 2.5]]
LABELS = [0, 2]


# The loss


def probabilities(logits, temperature):
    powers = [math.exp(each / temperature) for each in logits]
    return [each / sum(powers) for each in powers]


def by_hand(student, teacher, labels, temperature, alpha):
    """Equations of Hinton et al. (2015), section 2, an image and a class at a time."""
    hard = soft = 0.0
    for ours, theirs, label in zip(student, teacher, labels, strict=True):
        hard -= math.log(probabilities(ours, 1)[label]) / len(labels)
        at = [probabilities(each, temperature) for each in (theirs, ours)]
        divergence = sum(p * math.log(p / q) for p, q in zip(*at, strict=True))
        soft += temperature**2 * divergence / len(labels)
    return (1 - alpha) * hard + alpha * soft, hard, soft


def losses(student=STUDENT, teacher=TEACHER, temperature=4.0, alpha=0.9):
    double = (torch.tensor(each, dtype=torch.float64) for each in (student, teacher))
    given = *double, torch.tensor(LABELS)
    return [float(each) for each in distillation_loss(*given, temperature, alpha)]


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0, 20.0])
@pytest.mark.parametrize("alpha", [0.0, 0.3, 0.9, 1.0])
def test_the_loss_is_the_one_by_hand(temperature, alpha):
    expected = by_hand(STUDENT, TEACHER, LABELS, temperature, alpha)
    assert losses(temperature=temperature, alpha=alpha) == pytest.approx(expected, rel=1e-9)


# The trainer


def configured(**keywords):
    defaults = {"epochs": 3, "batch_size": 16, "learning_rate": 0.01, "validation_size": 30}
    return TrainingConfig(**{**defaults, **keywords})


class Counting(nn.Module):
    """A teacher that counts the images and the calls, and keeps what it saw."""

    def __init__(self, model):
        super().__init__()
        self.model = model
        self.calls = 0
        self.images = 0
        self.seen = []

    def forward(self, images):
        self.calls += 1
        self.images += len(images)
        self.seen.append(images.clone())
        assert not self.training
        assert not torch.is_grad_enabled()
        return self.model(images)


@pytest.fixture
def make_trainer(toy, small_mlp):
    """Makes a distillation trainer, or with ``kind`` another, of a small MLP on the toy set."""

    def make(config=None, kind=DistillationTrainer, model=None, **more):
        if issubclass(kind, DistillationTrainer):
            defaults = {"teacher": small_mlp(seed=9, hidden_sizes=(16, 16)), "temperature": 3.0}
            more = {**defaults, "alpha": 0.7, **more}
        return kind(
            small_mlp() if model is None else model,
            config or configured(),
            toy(60, seed=1),
            toy(30, seed=2),
            device="cpu",
            **{"seed": 4, **more},
        )

    return make


def test_the_student_learns_from_the_teacher_alone(make_trainer, toy, small_mlp):
    """With alpha 1 it never sees a label, and yet it tells the classes apart."""
    teacher = make_trainer(configured(epochs=15), StreamlinedTrainer, small_mlp(seed=9))
    teacher.train()
    made = make_trainer(configured(epochs=20), teacher=teacher.model, alpha=1.0)
    assert made.evaluate()["accuracy"] < 0.7
    history = made.train().history
    assert made.evaluate(toy(300, seed=9))["accuracy"] > 0.9
    assert history["soft_loss"][-1] < 0.2 * history["soft_loss"][0]


@pytest.mark.parametrize("augmentation", ["none", "crop"])
@pytest.mark.parametrize("precision", ["float32", "bf16"])
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_without_alpha_the_training_is_bitwise_the_usual_one(
    make_trainer, small_mlp, augmentation, precision, optimizer
):
    """With dropout in both models: the teacher must draw nothing from any stream."""
    config = configured(augmentation=augmentation, precision=precision, optimizer=optimizer)
    trained = []
    for kind, more in (
        (StreamlinedTrainer, {}),
        (DistillationTrainer, {"alpha": 0.0, "teacher": small_mlp(seed=9, dropout_rate=0.5)}),
    ):
        made = make_trainer(config, kind, small_mlp(dropout_rate=0.3), **more)
        trained.append((repeating(made.train().history), weights_of(made.model)))
    (usual, usual_weights), (distilled, distilled_weights) = trained
    assert {name: distilled[name] for name in usual} == usual
    assert set(distilled) - set(usual) == set(DISTILLATION_FIELDS)
    assert distilled["hard_loss"] == distilled["train_loss"]
    assert same_weights(distilled_weights, usual_weights)


def test_permuted_wrong_classes_change_what_is_learnt_and_repeat(make_trainer):
    histories = [
        make_trainer(wrong_classes=each).train().history["soft_loss"]
        for each in ("kept", "permuted", "permuted")
    ]
    assert histories[0] != histories[1]
    assert histories[1] == histories[2]


def test_agreement_is_the_share_of_equal_answers(make_trainer, toy):
    made = make_trainer()
    images = toy(45, seed=7)
    answers = [made.predict(images.images).argmax(1)]
    with torch.no_grad():
        answers.append(made.teacher(made.normalize(images.images)).argmax(1))
    expected = float((answers[0] == answers[1]).double().mean())
    assert 0 < expected < 1
    assert made.agreement(images) == pytest.approx(expected)


def test_the_parts_are_means_over_images(make_trainer, toy):
    """At a vanishing learning rate the student stays what it is; the last batch is a small one."""
    made = make_trainer(configured(epochs=1, learning_rate=1e-12))
    train = made.train_dataset
    student, teacher = (
        m(made.normalize(train.images)).detach() for m in (made.model, made.teacher)
    )
    expected = distillation_loss(student, teacher, train.labels, 3.0, 0.7)
    history = made.train().history
    assert list(history) == [*HISTORY_FIELDS, *DISTILLATION_FIELDS]
    for name, value in zip(("train_loss", *DISTILLATION_FIELDS), expected, strict=True):
        assert history[name] == [pytest.approx(float(value), rel=1e-5)], name


def test_the_teacher_stays_as_it_is_and_out_of_the_optimizer():
    """With batch normalisation, whose running statistics training mode would move."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (40, 3, 8, 8), generator=generator).to(torch.uint8)
    teacher = SimpleCNN(8, 2)
    with torch.no_grad():
        for name, buffer in teacher.named_buffers():
            if name.endswith("running_var"):
                buffer.fill_(2.0)
    before = weights_of(teacher)
    config = configured(epochs=2, augmentation="crop", optimizer="sgd", weight_decay=0.1)
    made = DistillationTrainer(
        SimpleCNN(8, 1),
        config,
        ImageSet(images, torch.arange(40) % 10),
        device="cpu",
        teacher=teacher.train(),
        temperature=2.0,
        alpha=0.5,
    )
    made.train()
    assert same_weights(weights_of(made.teacher), before)
    assert not made.teacher.training
    assert not any(each.requires_grad for each in made.teacher.parameters())
    assert all(each.grad is None for each in made.teacher.parameters())
    optimized = {id(each) for group in made.optimizer.param_groups for each in group["params"]}
    assert optimized == {id(each) for each in made.model.parameters()}


def test_the_teacher_sees_the_very_views_of_the_student(make_trainer, small_mlp):
    seen = []

    class Watching(DistillationTrainer):
        def compute_loss(self, logits, labels, inputs):
            seen.append(inputs.clone())
            return super().compute_loss(logits, labels, inputs)

    teacher = Counting(small_mlp(seed=9))
    make_trainer(configured(augmentation="crop-flip"), Watching, teacher=teacher).train()
    assert len(seen) == len(teacher.seen) == 3 * 4
    assert all(torch.equal(*pair) for pair in zip(seen, teacher.seen, strict=True))


def test_the_teacher_computes_in_the_precision_of_the_student(make_trainer, small_mlp):
    for precision, dtype in (("float32", torch.float32), ("bf16", torch.bfloat16)):
        teacher, dtypes = small_mlp(seed=9), set()
        teacher.hidden[1].register_forward_hook(lambda m, g, out, d=dtypes: d.add(out.dtype))
        make_trainer(configured(precision=precision), teacher=teacher).train()
        assert dtypes == {dtype}


def test_what_a_teacher_says_does_not_depend_on_the_students_memory_format():
    """Convolutional students run channels last, perceptrons do not."""
    seen = []
    images = ImageSet(torch.zeros(4, 3, 8, 8, dtype=torch.uint8), torch.zeros(4).long())
    for student in (SimpleCNN(8, 1), SimpleCNN(4, 1)):
        teacher = SimpleCNN(8, 2)
        teacher.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].stride()))
        config = configured(epochs=1, augmentation="crop", validation_size=0)
        DistillationTrainer(
            student, config, images, device="cpu", teacher=teacher, temperature=1.0, alpha=0.5
        ).train()
    assert len(set(seen)) == 1


@pytest.mark.parametrize(
    ("setting", "value"),
    [("temperature", 0), ("temperature", -1.0), ("alpha", 1.5), ("alpha", -1),
     ("wrong_classes", "mixed")],
)  # fmt: skip
def test_a_setting_out_of_range_is_refused_by_name(make_trainer, setting, value):
    with pytest.raises(ParameterError, match=f"DistillationTrainer: {setting} = {value!r} is not"):
        make_trainer(**{setting: value})


def test_a_student_is_not_its_own_teacher(make_trainer, small_mlp):
    model = small_mlp()
    with pytest.raises(ParameterError, match="the teacher is the student; allowed: another"):
        make_trainer(model=model, teacher=model)


# What the teacher said is kept


@pytest.fixture
def asked(make_trainer, small_mlp, tmp_path):
    """Trains a student whose teacher's answers are kept; gives the teacher and what was learnt."""

    def train(config, kept=True, **more):
        teacher = Counting(small_mlp(seed=9, hidden_sizes=(16, 16)))
        outputs = TeacherOutputs(tmp_path / "outputs", "0" * 16) if kept else None
        made = make_trainer(config, teacher=teacher, outputs=outputs, **more)
        return teacher, (repeating(made.train().history), weights_of(made.model))

    return train


def equal(one, other):
    return one[0] == other[0] and same_weights(one[1], other[1])


@pytest.mark.parametrize(
    ("augmentation", "images", "names"),
    [("none", 60, {"images.pt"}), ("crop", 180, {f"epoch-000{n}.pt" for n in (1, 2, 3)})],
)
def test_each_image_or_view_is_asked_about_once_for_all_students(
    asked, tmp_path, small_mlp, augmentation, images, names
):
    config = configured(augmentation=augmentation)
    without, alone = asked(config, kept=False)
    cold, first = asked(config)
    warm, again = asked(config)
    assert (without.images, cold.images, warm.images, warm.calls) == (images, images, 0, 0)
    assert equal(alone, first)
    assert equal(first, again)
    assert {path.name for path in (tmp_path / "outputs").iterdir()} == names
    # Another student, at another temperature and for longer, with another optimiser.
    config = replace(config, epochs=5, optimizer="sgd")
    more = {"model": small_mlp(seed=3, dropout_rate=0.3), "temperature": 1.0}
    other, learnt = asked(config, **more)
    assert other.images == (0 if augmentation == "none" else 2 * 60)
    more = {"model": small_mlp(seed=3, dropout_rate=0.3), "temperature": 1.0}
    assert equal(learnt, asked(config, kept=False, **more)[1])


@pytest.mark.parametrize("augmentation", ["none", "crop"])
def test_answers_belong_to_their_images_in_whatever_order(make_trainer, small_mlp, augmentation):
    """Against a teacher that is asked anew about every batch."""

    class Anew(DistillationTrainer):
        def compute_loss(self, logits, labels, inputs):
            kept = self._teacher_logits(inputs)
            torch.testing.assert_close(kept, self.teacher(inputs), rtol=1e-5, atol=1e-6)
            checked.append(len(labels))
            return super().compute_loss(logits, labels, inputs)

    checked = []
    make_trainer(configured(augmentation=augmentation), Anew).train()
    assert checked == [16, 16, 16, 12] * 3


@pytest.mark.parametrize("augmentation", ["none", "crop"])
def test_damaged_answers_are_asked_for_anew(asked, tmp_path, augmentation):
    config = configured(augmentation=augmentation)
    _, first = asked(config)
    path = sorted((tmp_path / "outputs").iterdir())[0]
    path.write_bytes(path.read_bytes()[:-50])
    warm, again = asked(config)
    assert warm.images == 60
    assert equal(first, again)
    assert asked(config)[0].calls == 0


def test_answers_of_another_key_or_length_are_not_taken(tmp_path):
    def answers(key, count, value):
        logits = torch.full((count, 3), value)
        outputs = TeacherOutputs(tmp_path, key * 16)
        return outputs.of_batch("images", slice(0, count), count, logits.clone)

    assert answers("0", 6, 1.0).sum() == 18
    for key, count in (("f", 6), ("0", 5)):
        assert answers(key, count, 0.0).sum() == 0
        TeacherOutputs(tmp_path, "0" * 16)._save("images", torch.ones(6, 3))


def test_an_epoch_that_began_elsewhere_is_not_kept(tmp_path):
    outputs = TeacherOutputs(tmp_path, "0" * 16)
    outputs.of_batch("epoch-0001", slice(4, 6), 6, lambda: torch.ones(2, 3))
    outputs.of_batch("epoch-0002", slice(0, 4), 6, lambda: torch.full((4, 3), 2.0))
    assert list(tmp_path.iterdir()) == []
    outputs.of_batch("epoch-0002", slice(4, 6), 6, lambda: torch.full((2, 3), 3.0))
    assert [path.name for path in tmp_path.iterdir()] == ["epoch-0002.pt"]
    again = TeacherOutputs(tmp_path, "0" * 16).of_batch("epoch-0002", slice(4, 6), 6, pytest.fail)
    assert torch.equal(again, torch.full((2, 3), 3.0))


def test_a_full_disk_does_not_stop_the_training(asked, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    config = configured(augmentation="crop")
    _, expected = asked(config, kept=False)
    monkeypatch.setattr("lab1.core.files.os.fsync", full)
    _, learnt = asked(config)
    assert equal(learnt, expected)
