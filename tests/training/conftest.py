"""Fixtures for the tests that need torch; without it they are left out."""

from importlib.util import find_spec

import pytest

if find_spec("torch") is None:
    collect_ignore_glob = ["test_*.py"]
else:
    import torch
    import torchvision

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
