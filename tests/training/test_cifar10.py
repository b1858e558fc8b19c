"""CIFAR-10 by torchvision, with a small stand-in for it, and the JPEG copy where it is at hand."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision import datasets as torchvision_datasets

from lab1.core.datasets import DATASETS
from lab1.errors import DataError
from lab1.training import data

# Taken before the tests' own surroundings replace it.
REAL = Path(os.environ.get("LAB1_DATA", "data")) / "cifar10"


@pytest.fixture
def fake(monkeypatch):
    """Puts 7 training and 4 test images in torchvision's place, and lists how it was called."""
    calls = []

    class CIFAR10:
        def __init__(self, root, train=True, download=False):
            calls.append((root, train, download))
            count = 7 if train else 4
            generator = np.random.default_rng(count)
            self.data = generator.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
            self.targets = [(3 * index + 1) % 10 for index in range(count)]

    monkeypatch.setattr(torchvision_datasets, "CIFAR10", CIFAR10)
    return calls, CIFAR10


def test_images_become_channels_first_bytes_and_labels_integers(fake, tmp_path):
    calls, kind = fake
    loaded = data.load("cifar10", str(tmp_path))
    for part, train, count in ((loaded.train, True, 7), (loaded.test, False, 4)):
        original = kind(str(tmp_path), train)
        assert part.images.shape == (count, 3, 32, 32)
        assert part.images.dtype == torch.uint8
        assert part.images.is_contiguous()
        for channel in range(3):
            expected = original.data[:, :, :, channel]
            assert np.array_equal(part.images[:, channel].numpy(), expected)
        assert part.labels.dtype == torch.int64
        assert part.labels.tolist() == original.targets
    assert loaded.declared is DATASETS["cifar10"]
    assert loaded.source == "cifar-10-batches-py in the data root"
    assert calls[:2] == [(str(tmp_path), True, False), (str(tmp_path), False, False)]


@pytest.mark.parametrize("found", [None, [], ["data_batch_2", "data_batch_1"]])
@pytest.mark.parametrize("kind", [RuntimeError, OSError])
def test_missing_files_that_cannot_be_downloaded_are_told_with_the_remedies(
    monkeypatch, tmp_path, found, kind
):
    def refuse(*_arguments, **_keywords):
        raise kind("no route to host")

    monkeypatch.setattr(torchvision_datasets, "CIFAR10", refuse)
    folder = tmp_path / "cifar-10-batches-py"
    if found is not None:
        folder.mkdir()
        for name in found:
            (folder / name).write_bytes(b"")
    with pytest.raises(DataError) as caught:
        data.load("cifar10", str(tmp_path))
    listed = "data_batch_1, data_batch_2" if found else "nothing"
    assert str(caught.value) == (
        f"CIFAR-10 is not whole in {folder} (found: {listed}) and could not be downloaded: "
        "no route to host. Copy the batches there, name the folder that holds "
        "cifar-10-batches-py with LAB1_DATA or data_dir, or take the data set cifar10-jpeg"
    )


def test_what_another_process_is_unpacking_is_waited_for(fake, tmp_path, monkeypatch):
    """torchvision, asked for files that are just being written, would download them once more."""
    calls, kind = fake

    class Unpacked(kind):
        def __init__(self, root, train=True, download=False):
            super().__init__(root, train, download)
            if not download:
                raise RuntimeError("Dataset not found or corrupted.")

    monkeypatch.setattr(torchvision_datasets, "CIFAR10", Unpacked)
    assert len(data.load("cifar10", str(tmp_path)).train) == 7
    assert [download for _, _, download in calls] == [False, True, True]
    assert (tmp_path / ".download.lock").exists()


@pytest.mark.slow
@pytest.mark.skipif(
    not (REAL / "train").is_dir(), reason="needs the images of CIFAR-10 in LAB1_DATA/cifar10"
)
def test_the_jpeg_copy_is_as_declared():
    declared = DATASETS["cifar10-jpeg"]
    loaded = data.load("cifar10-jpeg", str(REAL.parent))
    assert loaded.source == "cifar10 in the data root"
    for part, count in ((loaded.train, 50_000), (loaded.test, 10_000)):
        assert part.images.shape == (count, 3, 32, 32)
        assert torch.bincount(part.labels).tolist() == [count // 10] * 10
    # The mean in chunks, which need less memory.
    parts = torch.stack([part.double().mean((0, 2, 3)) for part in loaded.train.images.split(5000)])
    assert (parts.mean(0) / 255).tolist() == pytest.approx(declared.mean, abs=0.002)
