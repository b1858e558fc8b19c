"""Fixtures for the tests that need torch; without it they are left out."""

import os
from importlib.util import find_spec

import pytest

if find_spec("torch") is None:
    collect_ignore_glob = ["test_*.py"]
else:
    import torch
    import torchvision
    from fake_wandb import FakeWandb

    from lab1.training import data
    from lab1.training.data.images import ImageSet
    from lab1.training.models.mlp import MLP

    # One thread: the models are too small for more, and sums then come out the same everywhere.
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def no_download(monkeypatch):
    """No test reaches for the network; those about downloading put something else in its place."""

    def refuse(*_arguments, **_keywords):
        raise RuntimeError("Error downloading train-images-idx3-ubyte.gz")

    monkeypatch.setattr(torchvision.datasets.MNIST, "download", refuse)


@pytest.fixture
def nobody(tmp_path, monkeypatch):
    """A user with an empty home and no login to W&B, whose network ends at this machine."""
    for name in [*os.environ]:
        if name.startswith("WANDB_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NETRC", str(tmp_path / "home" / ".netrc"))
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.delenv("LAB1_PROFILE", raising=False)


@pytest.fixture
def wandb(monkeypatch):
    """A fake in the place of W&B's client; what is sent to it can be read back."""
    return FakeWandb().install(monkeypatch)


@pytest.fixture(scope="session")
def smoke_grey():
    """The built-in grey data set, read once."""
    return data.load("smoke-grey")


@pytest.fixture
def toy():
    """Makes a tiny data set of three classes that a line can tell apart.

    ``toy(count, seed)``: images of shape (count, 1, 6, 6); class k has two bright rows at 2 k, the
    rest is noise.
    """

    def make(count=60, seed=0):
        generator = torch.Generator().manual_seed(seed)
        labels = torch.arange(count) % 3
        images = torch.randint(100, (count, 1, 6, 6), generator=generator)
        for index, label in enumerate(labels):
            images[index, 0, 2 * label : 2 * label + 2] += 100
        return ImageSet(images.to(torch.uint8), labels)

    return make


@pytest.fixture
def small_mlp():
    """Makes a small MLP for the toy images, with weights of the given seed."""

    def make(seed=0, kind=MLP, hidden_sizes=(8, 8), **keywords):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return kind(36, hidden_sizes, 3, **keywords)

    return make
