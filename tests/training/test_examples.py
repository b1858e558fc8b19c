"""The examples of the reference and of the guide's page on the training step run as they stand."""

import re
import textwrap
from pathlib import Path

import pytest
import torch

import lab1
from lab1 import MLP, StreamlinedTrainer, TrainingConfig
from lab1.errors import PublishError
from lab1.site import fragments
from lab1.training import data
from lab1.training.callbacks import Callback
from lab1.training.data.images import ImageSet

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "guide" / "training-step.qmd").read_text(encoding="utf-8")


@pytest.fixture
def names(smoke_grey):
    """What the examples take as given: a model, a short training, and built-in images."""
    torch.manual_seed(0)
    train, validation = data.split(smoke_grey.train, validation_size=500, seed=0)
    return {
        **vars(lab1),
        **{name: getattr(lab1, name) for name in lab1.__all__},
        "torch": torch,
        "Callback": Callback,
        "ImageSet": ImageSet,
        "model": MLP(input_size=784, hidden_sizes=[16], num_classes=10),
        "config": TrainingConfig(epochs=3, validation_size=500),
        "train": train,
        "validation": validation,
        "test": smoke_grey.test,
    }


def run_examples(thing, names):
    """Runs each block that follows a `::`, and returns how many there are."""
    text = textwrap.dedent("    " + thing.__doc__)
    blocks = re.findall(r"::\n\n((?:(?: {4}.*)?\n)+)", text + "\n")
    for block in blocks:
        exec(textwrap.dedent(block), names)
    return len(blocks)


def test_the_trainers_examples(names):
    assert run_examples(StreamlinedTrainer, names) == 2
    names["trainer"].train()
    errors = names["trainer"].history["error_at_5"]
    assert len(errors) == 3 and all(0 <= each <= 1 for each in errors)


def test_the_callbacks_example_stops_the_training(names):
    assert run_examples(Callback, names) == 1
    assert names["trainer"].train().stopped == "good enough"


def test_the_images_example(names):
    assert run_examples(ImageSet, names) == 1
    assert len(names["train"]) == 100


# The guide's page


@pytest.mark.slow
def test_the_loop_of_plain_torch_ends_with_the_trainers_weights(smoke_grey):
    loop, *_ = re.findall(r"```python\n(.*?)```", PAGE, re.S)
    assert len(loop.splitlines()) <= 20
    plain = {}
    exec(loop, plain)
    train, _ = data.split(smoke_grey.train, validation_size=500, seed=0)
    torch.manual_seed(0)
    model = MLP(input_size=784, hidden_sizes=[32, 32], num_classes=10)
    start = [each.clone() for each in model.parameters()]
    config = TrainingConfig(epochs=2, batch_size=64, learning_rate=0.001, validation_size=0)
    StreamlinedTrainer(model, config, train, seed=0).train()
    for name, (ours, theirs) in enumerate(
        zip(model.parameters(), plain["model"].parameters(), strict=True)
    ):
        moved = (ours - start[name]).norm()
        assert moved > 0
        assert (ours - theirs).norm() < 1e-3 * moved


def test_a_metric_and_a_callback_stop_the_training(capsys):
    _, example, _ = re.findall(r"```python\n(.*?)```", PAGE, re.S)
    names = {}
    exec(example, names)
    assert capsys.readouterr().out.startswith("good enough [")
    *before, last = names["result"].history["top_3_error"]
    assert last < 0.05 <= min(before)


def test_tensors_are_learnt_from_and_the_network_kept(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    *_, example = re.findall(r"```python\n(.*?)```", PAGE, re.S)
    torch.manual_seed(0)
    exec(example, {})
    assert capsys.readouterr().out == "['light', 'dark'] 10\n"


def test_the_page_shows_every_excerpt_and_no_other():
    named = re.findall(r'file="report/excerpts\.md" section="([\w.]+)"', PAGE)
    assert named == [name for _, name in fragments.EXCERPTS]


def test_an_excerpt_is_the_source_itself(tmp_path):
    text = fragments.excerpts(ROOT / "lab1")
    for file, name in fragments.EXCERPTS:
        own = fragments.source_of(ROOT / "lab1" / file, name)
        assert own.startswith(f"def {name.split('.')[-1]}(") and own in text
        source = (ROOT / "lab1" / file).read_text(encoding="utf-8")
        assert all(line.strip() in source for line in own.splitlines())
    (tmp_path / "one.py").write_text("class A:\n    pass\n")
    with pytest.raises(PublishError, match=r"one\.py: has no A\.b, which a page shows"):
        fragments.source_of(tmp_path / "one.py", "A.b")
