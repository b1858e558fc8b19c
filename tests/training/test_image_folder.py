"""A folder of images, decoded once: a tiny one of two classes, with a declaration made for it."""

import hashlib
import io
import os
import re
import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from lab1.core.datasets import Dataset
from lab1.errors import DataError
from lab1.training.data import image_folder
from lab1.training.data.image_folder import load_folder

HEIGHT, WIDTH = 5, 6
CACHE = "lab1-tensors.pt"

#: By file, the seed of its pixels.  The order of the names is not that in which they are written.
FILES = {
    "train/zebra/b.png": 0,
    "train/ant/10.png": 1,
    "train/ant/9.PNG": 2,
    "train/zebra/a.jpg": 3,
    "train/ant/1.jpeg": 4,
    "test/zebra/x.png": 5,
    "test/ant/x.png": 6,
}
IN_ORDER = {
    "train": [
        "train/ant/1.jpeg",
        "train/ant/10.png",
        "train/ant/9.PNG",
        "train/zebra/a.jpg",
        "train/zebra/b.png",
    ],
    "test": ["test/ant/x.png", "test/zebra/x.png"],
}


def pixels(seed, channels=3):
    shape = (HEIGHT, WIDTH) if channels == 1 else (HEIGHT, WIDTH, channels)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def write(path, seed, channels=3):
    path.parent.mkdir(parents=True, exist_ok=True)
    ending = "PNG" if path.suffix.lower() == ".png" else "JPEG"
    buffer = io.BytesIO()
    Image.fromarray(pixels(seed, channels)).save(buffer, ending)
    path.write_bytes(buffer.getvalue())


def declare(folder, channels=3, **changes):
    """The declaration of what lies in the folder, its fingerprint as ``sha256sum`` gives it."""
    names = sorted(name for name in FILES if (folder / name).exists())
    lines = [
        f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}" for name in names
    ]
    values = {
        "name": "animals",
        "title": "ants and zebras",
        "image_shape": (channels, HEIGHT, WIDTH),
        "num_classes": 2,
        "train_size": 5,
        "test_size": 2,
        "mean": (0.5,) * channels,
        "std": (0.25,) * channels,
        "fingerprint": hashlib.sha256("".join(f"{line}\n" for line in lines).encode()).hexdigest(),
    }
    return Dataset(**{**values, **changes})


def make_folder(folder, channels=3):
    for name, seed in FILES.items():
        write(folder / name, seed, channels)
    (folder / "train" / "ant" / "notes.txt").write_text("no image")
    return folder


@pytest.fixture
def folder(tmp_path):
    return make_folder(tmp_path / "animals")


@pytest.fixture
def decoded(monkeypatch):
    """Counts how often a folder was decoded."""
    calls = []
    decode = image_folder._decode

    def counting(*arguments):
        calls.append(arguments)
        return decode(*arguments)

    monkeypatch.setattr(image_folder, "_decode", counting)
    return calls


def same(one, other):
    return all(
        torch.equal(getattr(getattr(one, part), what), getattr(getattr(other, part), what))
        for part in ("train", "test")
        for what in ("images", "labels")
    )


def change_time(path):
    status = path.stat()
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 10**9))


# What is read


@pytest.mark.parametrize("channels", [1, 3])
def test_pixels_and_labels_are_those_of_the_files_and_decoded_once(tmp_path, decoded, channels):
    folder = make_folder(tmp_path / "animals", channels)
    declared = declare(folder, channels)
    for _ in range(2):  # the second time from the cache
        loaded = load_folder(declared, folder)
        assert loaded.declared == declared
        assert loaded.source == "animals in the data root"
        assert loaded.train.labels.tolist() == [0, 0, 0, 1, 1]
        assert loaded.test.labels.tolist() == [0, 1]
        for part in ("train", "test"):
            images = getattr(loaded, part).images
            assert images.shape == (len(IN_ORDER[part]), channels, HEIGHT, WIDTH)
            assert images.dtype == torch.uint8
            for image, name in zip(images, IN_ORDER[part], strict=True):
                found = image.permute(1, 2, 0).squeeze(2).numpy()
                if name.lower().endswith("png"):
                    assert np.array_equal(found, pixels(FILES[name], channels)), name
                with Image.open(folder / name) as original:
                    assert np.array_equal(found, np.asarray(original)), name
    assert len(decoded) == 1
    assert (folder / CACHE).exists()


# The cache


def test_a_changed_file_is_decoded_again_and_refused(folder, decoded):
    declared = declare(folder)
    load_folder(declared, folder)
    write(folder / "train/ant/10.png", 99)
    change_time(folder / "train/ant/10.png")
    found = declare(folder).fingerprint
    for _ in range(2):  # and what was then cached is refused as well
        with pytest.raises(DataError) as caught:
            load_folder(declared, folder)
        assert str(caught.value) == (
            f"{folder}: these are not the images of ants and zebras: expected fingerprint "
            f"{declared.fingerprint}, found {found}"
        )
    assert len(decoded) == 2


def test_a_file_of_the_same_content_and_another_time_is_decoded_again_and_believed(folder, decoded):
    declared = declare(folder)
    first = load_folder(declared, folder)
    change_time(folder / "test/ant/x.png")
    assert same(load_folder(declared, folder), first)
    assert len(decoded) == 2


def truncate(path):
    path.write_bytes(path.read_bytes()[:-100])


def forget(path):
    torch.save({"listing": torch.load(path, weights_only=True)["listing"]}, path)


def tamper(path):
    content = torch.load(path, weights_only=True)
    content["train_images"][0, 0, 0, 0] ^= 1
    torch.save(content, path)


def relabel(path):
    content = torch.load(path, weights_only=True)
    content["test_labels"] = content["test_labels"].flip(0)
    torch.save(content, path)


@pytest.mark.parametrize("damage", [truncate, forget, tamper, relabel, os.unlink])
def test_a_damaged_cache_is_not_believed_and_made_anew(folder, decoded, damage):
    declared = declare(folder)
    first = load_folder(declared, folder)
    damage(folder / CACHE)
    for _ in range(2):
        assert same(load_folder(declared, folder), first)
        assert len(decoded) == 2


def test_a_folder_that_cannot_be_written_is_decoded_each_time(folder, decoded, monkeypatch):
    def refuse(*_arguments):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(image_folder, "write_bytes", refuse)
    declared = declare(folder)
    first, second = (load_folder(declared, folder) for _ in range(2))
    assert same(first, second)
    assert len(decoded) == 2
    assert not (folder / CACHE).exists()


# What is refused


def test_a_missing_folder_is_told_with_what_was_expected_and_the_remedies(tmp_path, folder):
    elsewhere = tmp_path / "elsewhere"
    with pytest.raises(DataError) as caught:
        load_folder(declare(folder), elsewhere)
    assert str(caught.value) == (
        f"{elsewhere / 'train'}: expected 5 images (*.jpg, *.png) in 2 folders, one per class, "
        "found 0 in 0. Unpack the images of ants and zebras there, or name the folder that holds "
        "elsewhere/ with LAB1_DATA or data_dir"
    )


@pytest.mark.parametrize(
    ("part", "removed", "message"),
    [
        ("train", ["train/zebra/a.jpg", "train/zebra/b.png"], "expected 5 .* found 3 in 1"),
        ("train", ["train/ant/10.png"], "expected 5 .* found 4 in 2"),
        ("test", ["test/ant/x.png"], "expected 2 .* found 1 in 1"),
        ("test", ["test/ant/x.png", "test/zebra/x.png"], "expected 2 .* found 0 in 0"),
    ],
)
def test_missing_images_are_told(folder, part, removed, message):
    declared = declare(folder)
    load_folder(declared, folder)
    for name in removed:
        (folder / name).unlink()
    with pytest.raises(DataError, match=f"^{re.escape(str(folder / part))}: {message}"):
        load_folder(declared, folder)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("train/ant/more.png", "6 in 2"),
        ("train/bee/1.png", "6 in 3"),
        ("train/bee/10.png", "5 in 3"),  # moved, so that the number of images is right
    ],
)
def test_images_or_classes_too_many_are_told(folder, name, found):
    declared = declare(folder)
    write(folder / name, 7)
    if found == "5 in 3":
        (folder / "train/ant/10.png").unlink()
    with pytest.raises(DataError, match=f"train: expected 5 .* in 2 folders.*found {found}"):
        load_folder(declared, folder)


def test_what_a_mac_or_jupyter_leaves_beside_the_images_does_not_count(folder):
    declared = declare(folder)
    for name in (
        "train/ant/._10.png",
        "train/ant/.DS_Store",
        "train/.ipynb_checkpoints/10.png",
        "train/__MACOSX/10.png",
        "test/.hidden/x.png",
        "train/ant/Thumbs.db",
    ):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"no image")
    load_folder(declared, folder)


def half(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def of_size(width, height):
    return lambda path: Image.new("RGB", (width, height)).save(path)


def link_to_nowhere(path):
    path.unlink()
    path.symlink_to(path.parent / "nowhere.png")


def a_folder(path):
    path.unlink()
    path.mkdir()


def large_picture(path):
    """Its few bytes say that it has 40,000 x 40,000 pixels."""
    buffer = io.BytesIO()
    Image.new("1", (1, 1)).save(buffer, "PNG")
    content = bytearray(buffer.getvalue())
    content[16:24] = struct.pack(">II", 40_000, 40_000)
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    path.write_bytes(content)


def large_file(path):
    with path.open("wb") as stream:
        stream.truncate(10**11)  # no more than a size where the file system allows it


def broken_chunk(path):
    write(path, 3)
    content = bytearray(path.read_bytes())
    content[37:41] = b"\xff\xff\xff\xff"
    path.write_bytes(content)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"no image"),
        half,
        of_size(7, 5),
        of_size(6, 6),
        of_size(5, 6),  # as many pixels
        link_to_nowhere,
        large_picture,
        large_file,
        broken_chunk,
        a_folder,
    ],
)
def test_what_is_no_image_of_that_size_is_named_with_the_remedy(folder, spoil):
    declared = declare(folder)
    path = folder / ("train/zebra/a.jpg" if spoil is half else "train/ant/10.png")
    spoil(path)
    expected = (
        f"^{re.escape(str(path))}: not readable as an image of 6 x 5 pixels: .* "
        "Put the original file of ants"
    )
    with pytest.raises(DataError, match=expected):
        load_folder(declared, folder)
    assert not (folder / CACHE).exists()


def test_other_images_are_refused_with_both_fingerprints(folder):
    declared = declare(folder, fingerprint="0" * 64)
    found = declare(folder).fingerprint
    with pytest.raises(DataError, match=f"expected fingerprint {'0' * 64}, found {found}$"):
        load_folder(declared, folder)
