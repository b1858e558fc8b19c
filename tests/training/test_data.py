import gzip
import hashlib
import os
import socket
import time
import urllib.request
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision

from lab1.core.datasets import DATASETS, files_fingerprint
from lab1.errors import DataError, ParameterError
from lab1.training import data
from lab1.training.data import loading, split
from lab1.training.data.images import ImageSet

ROOT = Path(__file__).resolve().parents[2]

# Where the real files may lie.  Read here, before the tests are kept away from all of these.
PLACES = [
    Path(os.environ.get("LAB1_DATA") or ROOT / "data"),
    ROOT / "data",
    ROOT.parent / "shared" / "data",
]
REAL = next((place for place in PLACES if (place / "MNIST" / "raw").is_dir()), None)


# Reading MNIST's format, from a tiny data set in it

#: Higher than wide, and no value twice: rows taken for columns or images for one another show.
TRAIN = np.arange(24, dtype=np.uint8).reshape(4, 1, 3, 2) + 200
TEST = np.arange(12, dtype=np.uint8).reshape(2, 1, 3, 2)
CONTENTS = {
    "train-images-idx3-ubyte": b"\0\0\x08\x03"
    + b"\0\0\0\x04\0\0\0\x03\0\0\0\x02"
    + TRAIN.tobytes(),
    "train-labels-idx1-ubyte": b"\0\0\x08\x01" + b"\0\0\0\x04" + bytes([1, 0, 2, 1]),
    "t10k-images-idx3-ubyte": b"\0\0\x08\x03" + b"\0\0\0\x02\0\0\0\x03\0\0\0\x02" + TEST.tobytes(),
    "t10k-labels-idx1-ubyte": b"\0\0\x08\x01" + b"\0\0\0\x02" + bytes([2, 0]),
}
FILES = {name: hashlib.sha256(content).hexdigest() for name, content in CONTENTS.items()}


@pytest.fixture
def tiny(monkeypatch):
    """Declares, under the name ``mnist``, a data set of four and two images."""
    declared = replace(
        DATASETS["mnist"],
        image_shape=(1, 3, 2),
        train_size=4,
        test_size=2,
        files=FILES,
        fingerprint=files_fingerprint(FILES),
    )
    monkeypatch.setitem(DATASETS, "mnist", declared)
    return declared


def write(root, contents=CONTENTS):
    folder = root / "MNIST" / "raw"
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return folder


def test_images_and_labels_are_read_as_they_lie_in_the_files(tiny, tmp_path):
    write(tmp_path)
    loaded = data.load("mnist", str(tmp_path))
    assert torch.equal(loaded.train.images, torch.from_numpy(TRAIN))
    assert torch.equal(loaded.test.images, torch.from_numpy(TEST))
    assert loaded.train.labels.tolist() == [1, 0, 2, 1]
    assert loaded.test.labels.tolist() == [2, 0]
    assert loaded.declared is tiny
    assert str(tmp_path) not in loaded.source  # a record is published, a home folder is not


def test_the_data_root_is_the_environments_unless_given_and_nothing_read_is_shared(tiny, tmp_path):
    write(tmp_path / "data")
    data.load("mnist").train.images.zero_()
    loaded = data.load("mnist")
    assert len(loaded.train) == 4
    assert loaded.train.images.any()


def test_missing_files_without_network_are_told_with_the_remedy(tiny, tmp_path):
    folder = write(tmp_path)
    for name in ("train-images-idx3-ubyte", "t10k-labels-idx1-ubyte"):
        (folder / name).unlink()
    with pytest.raises(DataError) as caught:
        data.load("mnist", str(tmp_path))
    message = str(caught.value)
    assert str(folder) in message
    assert "missing: train-images-idx3-ubyte, t10k-labels-idx1-ubyte" in message
    assert "Error downloading" in message and "yann.lecun.com" in message
    assert "Copy the four files there" in message
    assert "LAB1_DATA" in message


@pytest.fixture
def mirrors(monkeypatch):
    """Puts a stand-in for torchvision's MNIST: what each mirror does, by its address.

    It lists those that were asked.
    """
    asked = []

    def put(**behaviours):
        class MNIST:
            mirrors = tuple(behaviours)

            def __init__(self, root, download):
                assert download
                (mirror,) = self.mirrors
                asked.append(mirror)
                behaviours[mirror](Path(root))

        monkeypatch.setattr(torchvision.datasets, "MNIST", MNIST)
        return asked

    return put


def fail(error):
    def behave(root):
        (root / "MNIST" / "raw").mkdir(parents=True)
        (root / "MNIST" / "raw" / "train-images-idx3-ubyte").write_bytes(b"begun")
        raise error

    return behave


@pytest.mark.parametrize(
    "error",
    [
        OSError("no route to host"),
        gzip.BadGzipFile("not gzip"),
        EOFError("ended early"),
        zlib.error("invalid block"),
        RuntimeError("File not found\nor corrupted."),
    ],
)
def test_every_way_that_a_download_fails_is_told(tiny, tmp_path, mirrors, error):
    root = tmp_path / "nowhere"
    asked = mirrors(one=fail(error), other=fail(error))
    why = " ".join(str(error).split())
    with pytest.raises(DataError, match=f"be downloaded: one: {why}; other: {why}"):
        data.load("mnist", str(root))
    assert asked == ["one", "other"]
    assert [path.name for path in root.iterdir()] == [".download.lock"]  # and no empty data set


def test_a_mirror_that_falls_silent_is_given_up_and_the_next_is_asked(
    tiny, tmp_path, mirrors, monkeypatch
):
    monkeypatch.setattr(loading, "_SILENCE_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:

        def ask(_root):
            address = f"http://127.0.0.1:{silent.getsockname()[1]}/"
            urllib.request.urlopen(address)

        asked = mirrors(silent=ask, other=write)
        assert len(data.load("mnist", str(tmp_path)).train) == 4
    assert asked == ["silent", "other"]
    assert socket.getdefaulttimeout() is None


def test_missing_files_alone_are_downloaded_into_the_data_root(tiny, tmp_path, mirrors):
    kept = write(tmp_path) / "train-labels-idx1-ubyte"
    for name in CONTENTS.keys() - {kept.name}:
        (kept.parent / name).unlink()
    before = kept.stat().st_ino
    asked = mirrors(one=write)
    for _ in range(2):
        assert len(data.load("mnist", str(tmp_path)).train) == 4
    assert asked == ["one"]
    assert kept.stat().st_ino == before
    assert {path.name for path in tmp_path.iterdir()} == {".download.lock", "MNIST"}


def test_of_two_processes_one_downloads_and_the_other_waits_for_it(tiny, tmp_path, mirrors, capsys):
    asked = mirrors(one=lambda root: (time.sleep(0.2), write(root)))
    with ThreadPoolExecutor() as pool:
        loaded = list(pool.map(lambda _: data.load("mnist", str(tmp_path)), range(2)))
    assert [len(each.train) for each in loaded] == [4, 4]
    assert asked == ["one"]
    assert capsys.readouterr().err.count("another process is downloading into") == 1


def test_a_download_of_something_else_is_not_taken(tiny, tmp_path, mirrors):
    changed = {**CONTENTS, "train-labels-idx1-ubyte": b"something else"}
    mirrors(one=lambda root: write(root, changed))
    with pytest.raises(DataError, match="train-labels-idx1-ubyte: not the declared file"):
        data.load("mnist", str(tmp_path))


@pytest.mark.parametrize("name", CONTENTS)
@pytest.mark.parametrize(
    ("damage", "hint"),
    [
        (lambda content: content[:-1], "it has {length} bytes"),
        (lambda content: b"", "it has 0 bytes"),
        (gzip.compress, "it is still gzipped"),
        (lambda content: content[:-1] + b"\xff", "it has {length} bytes"),
    ],
    ids=["truncated", "empty", "gzipped", "wrong"],
)
def test_a_file_that_is_not_the_declared_one_is_told(tiny, tmp_path, name, damage, hint):
    content = damage(CONTENTS[name])
    folder = write(tmp_path, {**CONTENTS, name: content})
    with pytest.raises(DataError) as caught:
        data.load("mnist", str(tmp_path))
    message = str(caught.value)
    assert message.startswith(f"{folder / name}: not the declared file of MNIST")
    assert f"expected SHA-256 {FILES[name]}, found {hashlib.sha256(content).hexdigest()}" in message
    assert hint.format(length=len(content)) in message
    assert "Delete it" in message


def test_a_file_that_cannot_be_read_is_told(tiny, tmp_path):
    folder = write(tmp_path)
    (folder / "train-labels-idx1-ubyte").unlink()
    (folder / "train-labels-idx1-ubyte").mkdir()
    with pytest.raises(DataError, match="train-labels-idx1-ubyte: cannot be read"):
        data.load("mnist", str(tmp_path))


@pytest.mark.skipif(REAL is None, reason=f"MNIST is in none of {', '.join(map(str, PLACES))}")
def test_the_real_mnist_is_as_declared():
    loaded = data.load("mnist", str(REAL))
    declared = DATASETS["mnist"]
    assert loaded.train.images.shape == (60_000, 1, 28, 28)
    assert loaded.test.images.shape == (10_000, 1, 28, 28)
    assert torch.bincount(loaded.train.labels).tolist() == [
        5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949,
    ]  # fmt: skip
    assert loaded.train.labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert loaded.test.labels[:5].tolist() == [7, 2, 1, 0, 4]
    # The first inked row of the first image, a five that begins at its upper right.
    assert loaded.train.images[0, 0, 5, 12:24].tolist() == [
        3, 18, 18, 18, 126, 136, 175, 26, 166, 255, 247, 127,
    ]  # fmt: skip
    pixels = loaded.train.images.float() / 255
    assert float(pixels.mean()) == pytest.approx(declared.mean[0], abs=1e-4)
    assert float(pixels.std()) == pytest.approx(declared.std[0], abs=1e-4)


# Sets of images


IMAGES, LABELS = torch.zeros(3, 1, 2, 2, dtype=torch.uint8), torch.zeros(3, dtype=torch.int64)


@pytest.mark.parametrize(
    ("images", "labels", "why"),
    [
        (IMAGES.float(), LABELS, r"images of torch\.float32 .*allowed: uint8"),
        (IMAGES[:, 0], LABELS, r"images of torch\.uint8 and shape \(3, 2, 2\) are"),
        (IMAGES, LABELS.int(), r"labels must be int64 of shape \(3,\).*int32"),
        (IMAGES, LABELS[:2], r"labels must be int64 of shape \(3,\).*\(2,\)"),
        (IMAGES.to_sparse(), LABELS, "^images: a tensor, .* allowed: a dense"),
        (IMAGES.to("meta"), LABELS, "^images: a tensor, .* allowed: a dense"),
        (IMAGES, LABELS.to_sparse(), "^labels: a tensor, .* allowed: a dense"),
        (IMAGES, LABELS.to("meta"), "^labels: a tensor, .* allowed: a dense"),
    ],
)
def test_images_and_labels_are_dense_and_fit(images, labels, why):
    with pytest.raises(ParameterError, match=why):
        ImageSet(images, labels)


def test_take_keeps_images_and_labels_together():
    numbered = made([0, 1, 2, 1])
    taken = numbered.take(torch.tensor([3, 0]))
    assert numbers(taken) == [3, 0]
    assert taken.labels.tolist() == [1, 0]


# Splitting


def made(labels):
    """A set of one-pixel images that are numbered in their two channels."""
    count = torch.arange(len(labels))
    images = torch.stack([count // 256, count % 256], 1).to(torch.uint8)
    return ImageSet(images[:, :, None, None], torch.as_tensor(labels, dtype=torch.int64))


def numbers(images):
    high, low = images.images.flatten(1).T.int()
    return (256 * high + low).tolist()


@pytest.mark.parametrize("size", [1, 7, 30, 99, 500, 899, 990])
def test_a_split_is_disjoint_and_complete(size):
    whole = made(torch.arange(1000) % 10)
    train, validation = split(whole, size, seed=0)
    assert len(validation) == size
    assert sorted(numbers(train) + numbers(validation)) == list(range(1000))
    for part in (train, validation):
        # Still in their order, and with their own labels.
        assert numbers(part) == sorted(numbers(part))
        assert part.labels.tolist() == [number % 10 for number in numbers(part)]


@pytest.mark.parametrize(
    "counts", [[100] * 10, [5, 50, 500], [1000, 3, 300, 7], [2, 2], [0, 0, 0, 20, 0, 0, 20]]
)
@pytest.mark.parametrize("share", [0.1, 0.25, 0.5])
def test_every_class_gives_its_share_within_one(counts, share):
    """Also where classes are not numbered from zero on."""
    whole = made(torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts)))
    size = max(1, int(share * len(whole)))
    _, validation = split(whole, size, seed=3)
    assert len(validation) == size
    given = torch.bincount(validation.labels, minlength=len(counts)).tolist()
    for count, held_out in zip(counts, given, strict=True):
        assert abs(held_out - size * count / len(whole)) < 1


def test_the_seed_alone_decides_on_the_split():
    whole = made(torch.arange(1000) % 10)
    before = torch.get_rng_state()
    first = numbers(split(whole, 100, seed=0)[1])
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(5)
    assert numbers(split(whole, 100, seed=0)[1]) == first
    other = numbers(split(whole, 100, seed=1)[1])
    assert other != first
    # By chance a tenth would be in both.
    assert len(set(first) & set(other)) < 30


def test_the_split_is_drawn_class_by_class():
    """Else a seed would hold out the same places of every class, as when each began anew."""
    _, validation = split(made(torch.arange(1000) % 10), 100, seed=0)
    places = [
        tuple(number // 10 for number in numbers(validation) if number % 10 == label)
        for label in range(10)
    ]
    assert len(set(places)) == 10


@pytest.mark.parametrize("size", [0, 100])
def test_an_omitted_class_leaves_both_parts_after_the_same_draw(size):
    whole = made(torch.arange(1000) % 10)
    assert (split(whole, size, seed=4)[1] is None) == (size == 0)
    parts = split(whole, size, seed=4, omitted_class=3)
    for part, usual in zip(parts, split(whole, size, seed=4), strict=True):
        if usual is None:  # of size 0
            assert part is None
        else:
            assert numbers(part) == [each for each in numbers(usual) if each % 10 != 3]
            assert part.labels.tolist() == [each % 10 for each in numbers(part)]


@pytest.mark.parametrize(
    ("labels", "size", "omitted"), [([3] * 9, 0, 3), ([3] * 8 + [1], 1, 3), ([3, 3], 1, 3)]
)
def test_an_omitted_class_must_leave_something(labels, size, omitted):
    with pytest.raises(ParameterError, match=rf"omitted_class = {omitted} leaves nothing of"):
        split(made(labels), size, seed=0, omitted_class=omitted)


@pytest.mark.parametrize(
    ("counts", "size", "emptied"),
    [([5, 5], 9, 0), ([5, 5], 10, 0), ([95, 1], 95, 1), ([9, 1], 20, 0)],
)
def test_a_class_left_without_training_images_is_refused(counts, size, emptied):
    whole = made(torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts)))
    with pytest.raises(ParameterError, match=rf"validation_size = {size} leaves class {emptied} "):
        split(whole, size, seed=0)
    train, _ = split(made([0, 1] * 5), 8, seed=0)  # an image of each is enough
    assert sorted(train.labels.tolist()) == [0, 1]
