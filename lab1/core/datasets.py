"""The data sets by name, and folders of a user's images as data sets (standard library only).

# Folders of images

A folder is named with a size, as `flowers@32`.  It holds `train/<class>/*` and `test/<class>/*`, as
`.png`, `.jpg` or `.jpeg`.  The images are cropped to squares of so many pixels, in colour or, as
`flowers@32-grey`, without.  A folder
becomes a data set by the digest of its files: `flowers-32-<digest>`, which stands in the specs and
keys of its runs.  What is declared by that name is kept in `runs/own-images/`, so that records and
charts are read where the images are not at hand; training reads these, and finds a changed one.
"""

import dataclasses
import hashlib
import json
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..errors import ParameterError, RecordError, prefix, short_repr
from .files import from_reader, results_dir, runs_dir, write_if_changed
from .record_rules import (
    SHA256,
    exactly,
    in_file,
    listing,
    mapping,
    read_object,
    refuse,
    text,
    whole,
)


@dataclass(frozen=True)
class Dataset:
    """A data set as it is declared; training checks the files against it.

    `image_shape` is (channels, height, width).  `mean` and `std` normalise each channel
    after the bytes were divided by 255.  `fingerprint` is the SHA-256 of the lines
    `<sha256 of the file>  <file name>`, sorted by name, for the files in `files`; a built-in
    data set has no files and its fingerprint is that of its bytes.  A reader's own images
    have the `folder` they lie in; they are brought to `image_shape`.
    """

    name: str
    title: str
    image_shape: tuple[int, int, int]
    num_classes: int
    train_size: int
    test_size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    fingerprint: str
    files: Mapping[str, str] = field(default_factory=dict, hash=False)
    classes: tuple[str, ...] = ()
    folder: Path | None = None

    @property
    def user_defined(self) -> bool:
        """True for user-defined images."""
        return self.folder is not None

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes in the order of their numbers, or the numbers themselves."""
        return self.classes or tuple(map(str, range(self.num_classes)))


def files_fingerprint(files: Mapping[str, str]) -> str:
    """The fingerprint of `{file name: SHA-256}`."""
    lines = "".join(f"{digest}  {name}\n" for name, digest in sorted(files.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


# Folders of images

#: How a folder is named, in words.
ALLOWED = "a folder of images with the size they are brought to, such as flowers@32"

#: The files of images: of each its name below the folder, its bytes, and when it was changed.
Files = tuple[tuple[str, int, int], ...]

#: The endings of images, and what systems leave in a folder besides.
ENDINGS = (".jpg", ".jpeg", ".png")
_LEFT_BEHIND = ("thumbs.db", "desktop.ini", ".ipynb_checkpoints", "__pycache__", "__macosx", ".git")

PARTS = ("train", "test")
_SIZES = (8, 256)
_MOST_CLASSES = 1000
#: The most bytes that the images may take in memory, and that one file may have.
_MOST_BYTES = 4 * 2**30
MOST_FILE_BYTES = 20_000_000

_PLACE = re.compile(r"(?P<folder>.+)@(?P<size>[0-9]{1,9})(?P<grey>-grey)?", re.DOTALL)
#: What a class may be called: its name is shown in tables and charts.
_CLASS = re.compile(r"[^\x00-\x1f\x7f-\x9f\u2028\u2029/\\<>|\"`*$\[\]{}]{1,100}")
_NAME = re.compile(r"[A-Za-z0-9-]{1,40}-[0-9]{1,3}(-grey)?-[0-9a-f]{12}")

_DECLARED = mapping(
    {
        "name": text(),
        "title": text(r"[A-Za-z0-9-]+ \([0-9]+ x [0-9]+(, grey)?\)", "a folder and its size"),
        "image_shape": exactly(3, whole(1, 256)),
        "train_size": whole(1),
        "test_size": whole(1),
        "fingerprint": SHA256,
        "classes": listing(text(_CLASS.pattern, "names of classes"), 2, _MOST_CLASSES),
        "folder": text(),
    }
)


def name_of(value: str, where: str) -> str | None:
    """The name of the data set that a folder and a size, or such a name, stand for.

    None for what is neither.  Raises `ParameterError` for a folder that is no data set, naming
    what is wrong in it; `where` names the place of the value.
    """
    if _NAME.fullmatch(value):
        return known(value).name
    place = _PLACE.fullmatch(value)
    is_folder = os.path.isdir(value)  # noqa: PTH112 (false for a name longer than any file has)
    if place is None and not ("/" in value or is_folder):
        return None

    def refusal(why: str) -> ParameterError:
        return ParameterError(
            f"{prefix(where)}dataset = {short_repr(value)} is not allowed: {why}; "
            f"allowed: {ALLOWED}"
        )

    if place is None:
        raise refusal("it does not end in @ and a size")
    size = int(place["size"])
    if not _SIZES[0] <= size <= _SIZES[1]:
        raise refusal(f"the size is {size}, not from {_SIZES[0]} to {_SIZES[1]}")
    try:
        folder = from_reader(place["folder"]).resolve()
        listing = files(folder)
        content = _declared(folder, size, 1 if place["grey"] else 3, listing)
    except OSError as error:
        raise refusal(f"{short_repr(error.filename)}: {error.strerror}") from error
    except (ValueError, RuntimeError) as error:  # RuntimeError: ~somebody is nobody
        raise refusal(str(error)) from error
    name = str(content["name"])
    write_if_changed(_file(name), (json.dumps(content, indent=1) + "\n").encode())
    return name


def known(name: str) -> Dataset:
    """The data set of a name that `name_of` gave, here or in another process.

    Raises `ParameterError` where none of that name is declared in `runs/`, or not readably.
    """
    path = _file(name)
    if not path.exists():
        path = _published(name, results_dir())
    again = "name their folder again, as in -p dataset flowers@32"
    if not _NAME.fullmatch(name) or not path.exists():
        raise ParameterError(f"the images of {short_repr(name)} are not known here; {again}")
    try:
        values = read_object(path, "declaration of images")
        with in_file(path):
            _DECLARED("", values)
            if values["name"] != name:
                refuse("name", values["name"], name)
    except RecordError as error:
        raise ParameterError(f"{error}; {again}") from error
    channels = values["image_shape"][0]
    return Dataset(
        **values
        | {
            "image_shape": tuple(values["image_shape"]),
            "num_classes": len(values["classes"]),
            # The same for all images, so that no run depends on which of them were looked at.
            "mean": (0.5,) * channels,
            "std": (0.25,) * channels,
            "classes": tuple(values["classes"]),
            "folder": Path(values["folder"]),
        }
    )


def publish(name: str, results: Path) -> None:
    """Puts the declaration of user-defined images beside the published records that name them.

    Of their folder it has the name alone.
    """
    declared = json.loads(_file(name).read_text(encoding="utf-8")) if _file(name).exists() else {}
    if declared:  # else it was published before
        content = {**declared, "folder": Path(declared["folder"]).name}
        write_if_changed(_published(name, results), (json.dumps(content, indent=1) + "\n").encode())


def _published(name: str, results: Path) -> Path:
    return results / "own-images" / f"{name}.json"


def tensors_file(name: str) -> Path:
    """The file that keeps the decoded images; it can be deleted at any time."""
    return _file(name).with_name("tensors.pt")


def _file(name: str) -> Path:
    # Two folders deep: what lies in runs/<name>/ is a run's.
    return runs_dir() / "own-images" / name / "declared.json"


def files(folder: Path) -> Files:
    """The images that lie in a folder as they should.

    Raises `ValueError` for whatever else is there.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder")
    files: list[tuple[str, int, int]] = []
    for part in PARTS:
        if not (folder / part).is_dir():
            raise ValueError(f"{folder} has no folder {part}/, with a folder of images per class")
        for inside in sorted((folder / part).iterdir()):
            if _is_left_behind(inside):
                continue
            if not inside.is_dir():
                raise ValueError(f"{inside} lies beside the folders of the classes")
            if inside.name.startswith((".", "__")):
                raise ValueError(f"{inside} is hidden, and would be a class; rename it")
            for path in sorted(inside.iterdir()):
                if _is_left_behind(path):
                    continue
                if path.suffix.lower() not in ENDINGS or not path.is_file():
                    raise ValueError(f"{path} is no image of the endings {', '.join(ENDINGS)}")
                name = f"{part}/{inside.name}/{path.name}"
                if name != name.encode(errors="replace").decode():
                    raise ValueError(f"{name!a} has a name that is not UTF-8; rename it")
                status = path.stat()
                if status.st_size > MOST_FILE_BYTES:
                    raise ValueError(
                        f"{path} has {status.st_size:,} bytes, more than {MOST_FILE_BYTES:,}"
                    )
                files.append((name, status.st_size, status.st_mtime_ns))
    return tuple(files)


def class_of(folder: str) -> str:
    """The class of a folder's name, composed (NFC): a Mac writes an accent apart."""
    return unicodedata.normalize("NFC", folder)


def _is_left_behind(path: Path) -> bool:
    """True for what a Mac, Windows, Jupyter or Python left beside the images."""
    name = path.name.lower()
    hidden_file = name.startswith(".") and path.suffix.lower() not in ENDINGS
    return name in _LEFT_BEHIND or name.startswith("._") or (hidden_file and not path.is_dir())


@lru_cache(maxsize=8)
def _declared(folder: Path, size: int, channels: int, listing: Files) -> dict[str, Any]:
    """The declaration of the images of a folder, as it is written.

    Raises `ValueError` for what is no data set.
    """
    counts: dict[str, Counter[str]] = {part: Counter() for part in PARTS}
    for name, _, _ in listing:
        part, inside, _ = name.split("/", 2)
        counts[part][class_of(inside)] += 1
    classes = sorted(counts["train"])
    if not 2 <= len(classes) <= _MOST_CLASSES:
        raise ValueError(
            f"{folder / 'train'} has images of {len(classes)} classes, "
            f"not of 2 to {_MOST_CLASSES}: {', '.join(classes[:5]) or 'none'}"
        )
    for name in classes:
        if not _CLASS.fullmatch(name):
            raise ValueError(
                f'the class {short_repr(name)} has a sign of / \\ < > | " ` * $ [ ] {{ }} in '
                "its name, or one that is not seen, or more than 100 signs"
            )
    if sorted(counts["test"]) != classes:
        one = sorted(set(classes) ^ set(counts["test"]))[0]
        there, lacking = PARTS if one in classes else PARTS[::-1]
        raise ValueError(f"{there}/{one} has images, and {lacking}/{one} has none")
    bytes_needed = len(listing) * channels * size**2
    if bytes_needed > _MOST_BYTES:
        raise ValueError(
            f"{len(listing):,} images of that size take {bytes_needed / 2**30:.1f} GB of memory, "
            f"more than {_MOST_BYTES // 2**30}"
        )
    digests: dict[str, str] = {}
    names: dict[str, str] = {}
    for name, _, _ in listing:
        digests[name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        twin = names.setdefault(digests[name], name)
        if twin != name:
            raise ValueError(
                f"{twin} and {name} are the same image: the test or the validation would ask for "
                "what was trained, or one image would have two classes; take one out"
            )
    grey = "-grey" if channels == 1 else ""
    fingerprint = files_fingerprint(digests)
    slug = re.sub(r"[^A-Za-z0-9]+", "-", folder.name).strip("-")[:40].strip("-") or "images"
    return {
        "name": f"{slug}-{size}{grey}-{fingerprint[:12]}",
        "title": f"{slug} ({size} x {size}{', grey' if grey else ''})",
        "image_shape": (channels, size, size),
        "train_size": sum(counts["train"].values()),
        "test_size": sum(counts["test"].values()),
        "fingerprint": fingerprint,
        "classes": classes,
        "folder": str(folder),
    }


# The table


class _Datasets(dict[str, Dataset]):
    """The data sets: it lists those declared here, and finds user-defined ones by name alone."""

    def __missing__(self, name: str) -> Dataset:
        return known(name)


_MNIST_FILES = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}

# torchvision knows the originals by their MD5.
_CIFAR10_FILES = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
}

_CIFAR10 = Dataset(
    name="cifar10",
    title="CIFAR-10",
    image_shape=(3, 32, 32),
    num_classes=10,
    train_size=50_000,
    test_size=10_000,
    # Of the training pixels, channel by channel.
    mean=(0.4914, 0.4822, 0.4465),
    std=(0.2470, 0.2435, 0.2616),
    fingerprint=files_fingerprint(_CIFAR10_FILES),
    files=_CIFAR10_FILES,
    classes=(
        "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
    ),
)  # fmt: skip

_GREY = Dataset(
    name="smoke-grey",
    title="built-in grey patterns",
    image_shape=(1, 28, 28),
    num_classes=10,
    train_size=4_000,
    test_size=1_000,
    mean=(0.5,),
    std=(0.25,),
    fingerprint="fda735deaa70729053df8afeb67d91da85bca1ba7e5dd1bf588f7dec6dbc6232",
)

DATASETS: Mapping[str, Dataset] = _Datasets(
    (dataset.name, dataset)
    for dataset in (
        Dataset(
            name="mnist",
            title="MNIST",
            image_shape=(1, 28, 28),
            num_classes=10,
            train_size=60_000,
            test_size=10_000,
            mean=(0.1307,),
            std=(0.3081,),
            fingerprint=files_fingerprint(_MNIST_FILES),
            files=_MNIST_FILES,
        ),
        _CIFAR10,
        dataclasses.replace(
            _CIFAR10,
            name="cifar10-jpeg",
            title="CIFAR-10 (JPEG copy)",
            fingerprint="f10d4c9e536a564f17fa5e8d68ba087d1235e60cd1f21700e11ff43f0647bbb0",
            files={},
        ),
        _GREY,
        dataclasses.replace(
            _GREY,
            name="smoke-colour",
            title="built-in colour patterns",
            image_shape=(3, 32, 32),
            mean=(0.5, 0.5, 0.5),
            std=(0.25, 0.25, 0.25),
            fingerprint="829bfb067b660915a09226fea735815a3cd67b7e2d019f9d5abcdeccd11b0b61",
        ),
    )
)
