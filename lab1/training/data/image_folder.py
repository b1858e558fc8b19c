"""Images as files: a folder of them, `train/<class>/*` and `test/<class>/*`, or one picture."""

import hashlib
import io
import threading
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from ...core import datasets
from ...core.datasets import Dataset, files_fingerprint
from ...core.files import write_bytes
from ...errors import DataError
from .images import ImageSet, LoadedData

_CACHE = "lab1-tensors.pt"

#: The size, in bytes, and the time of change of every file: what tells that the folder changed.
_Listing = dict[str, tuple[int, int]]


def load_folder(declared: Dataset, folder: Path) -> LoadedData:
    """Reads a data set of photographs; classes are numbered in the order of their names.

    The tensors are kept in `lab1-tensors.pt` beside `train/` and `test/` where that can be written,
    with the listing of the files they came from; a changed folder is decoded again. Raises
    `DataError` where files are missing, unreadable, of another size, or not the declared ones.
    """
    content = _contents(declared, folder, _list(folder, declared), folder / _CACHE)
    if content["fingerprint"] != declared.fingerprint:
        raise DataError(
            f"{folder}: these are not the images of {declared.title}: expected fingerprint "
            f"{declared.fingerprint}, found {content['fingerprint']}"
        )
    return _loaded(declared, content, f"{folder.name} in the data root")


def load_user_images(declared: Dataset) -> LoadedData:
    """Reads a reader's own images, brought to their size; see `core.datasets`.

    The tensors are kept in `runs/own-images/`.  Raises `DataError` where the folder is not as it
    was declared, or an image is none of 8 bits in grey or in colour.
    """
    folder = declared.folder
    assert folder is not None
    again = "bring back what was there, or name the folder again, as other images"
    try:
        listing = {name: (size, changed) for name, size, changed in datasets.files(folder)}
    except (OSError, ValueError) as error:
        raise DataError(f"{declared.title}: {error}; {again}") from error
    content = _contents(declared, folder, listing, datasets.tensors_file(declared.name))
    if content["fingerprint"] != declared.fingerprint:
        raise DataError(f"{folder}: its images are not those of {declared.name}; {again}")
    return _loaded(declared, content, folder.name)


def _contents(declared: Dataset, folder: Path, listing: _Listing, cache: Path) -> dict[str, Any]:
    """Images, labels and fingerprint, from the cache where it is of these files."""
    digest = hashlib.sha256(repr(sorted(listing.items())).encode()).hexdigest()
    try:
        content: dict[str, Any] = torch.load(cache, weights_only=True)
        if content["listing"] == digest and content["checksum"] == _checksum(content):
            return content
    except Exception:  # torch raises many kinds for a damaged file, and the images are at hand
        pass
    content = {"listing": digest, **_decode(folder, listing, declared)}
    buffer = io.BytesIO()
    torch.save(content, buffer)
    with suppress(OSError):  # a read-only folder costs time at each start, and nothing else
        write_bytes(cache, buffer.getvalue())
    return content


def _loaded(declared: Dataset, content: Mapping[str, Any], source: str) -> LoadedData:
    train, test = (
        ImageSet(content[f"{part}_images"], content[f"{part}_labels"]) for part in datasets.PARTS
    )
    return LoadedData(declared, train, test, source)


def _list(folder: Path, declared: Dataset) -> _Listing:
    listing = {}
    for part, expected in zip(
        datasets.PARTS, (declared.train_size, declared.test_size), strict=True
    ):
        paths = sorted(p for p in (folder / part).glob("*/*") if _is_image(p))
        classes = {path.parent.name for path in paths}
        if len(paths) != expected or len(classes) != declared.num_classes:
            raise DataError(
                f"{folder / part}: expected {expected} images (*.jpg, *.png) in "
                f"{declared.num_classes} folders, one per class, found {len(paths)} in "
                f"{len(classes)}. Unpack the images of {declared.title} there, or name the folder "
                f"that holds {folder.name}/ with LAB1_DATA or data_dir"
            )
        for path in paths:
            try:
                status = path.stat()
            except OSError as error:  # a link to nowhere, or another user's folder
                raise _unreadable(path, declared, error) from error
            listing[path.relative_to(folder).as_posix()] = (status.st_size, status.st_mtime_ns)
    return listing


def _is_image(path: Path) -> bool:
    """True for an image, not for what a Mac (`._a.png`) or Jupyter leaves beside the images."""
    hidden = path.name.startswith(".") or path.parent.name.startswith((".", "__"))
    return path.suffix.lower() in datasets.ENDINGS and not hidden


def _decode(folder: Path, names: Collection[str], declared: Dataset) -> dict[str, Any]:
    with ThreadPoolExecutor() as pool:
        images = pool.map(lambda name: _image(folder / name, declared), names)
        decoded = dict(zip(names, images, strict=True))
    digests = {name: digest for name, (_, digest) in decoded.items()}
    content: dict[str, Any] = {"fingerprint": files_fingerprint(digests)}
    class_of = {name: datasets.class_of(name.split("/")[1]) for name in names}
    classes = sorted({*class_of.values()})
    for part in datasets.PARTS:
        inside = [name for name in names if name.startswith(f"{part}/")]
        pixels = np.stack([decoded[name][0] for name in inside]).transpose(0, 3, 1, 2)
        content[f"{part}_images"] = torch.from_numpy(np.ascontiguousarray(pixels))
        content[f"{part}_labels"] = torch.tensor([classes.index(class_of[name]) for name in inside])
    return {**content, "checksum": _checksum(content)}


def _image(path: Path, declared: Dataset) -> tuple[np.ndarray, str]:
    """The pixels, uint8 of shape (height, width, channels), and the SHA-256 of the file.

    A reader's own may be of any size (`prepare`).
    """
    _, height, width = declared.image_shape
    try:
        if (size := path.stat().st_size) > datasets.MOST_FILE_BYTES:
            raise ValueError(f"it has {size:,} bytes")
        content = path.read_bytes()
        picture = read_picture(content)
        if not declared.user_defined and picture.size != (width, height):
            raise ValueError(f"it has {picture.size[0]} x {picture.size[1]}")
        pixels = prepare(picture, declared.image_shape)
    except Exception as error:  # Pillow raises many kinds for a damaged file
        raise _unreadable(path, declared, error) from error
    return pixels, hashlib.sha256(content).hexdigest()


def _unreadable(path: Path, declared: Dataset, error: Exception) -> DataError:
    _, height, width = declared.image_shape
    size, remedy = "", "Mend it or take it out"
    if not declared.user_defined:
        size = f" of {width} x {height} pixels"
        remedy = f"Put the original file of {declared.title} in its place"
    why = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return DataError(f"{path}: not readable as an image{size}: {why}. {remedy}")


def _checksum(content: Mapping[str, Any]) -> str:
    digest = hashlib.sha256()
    for part in datasets.PARTS:
        for what in ("images", "labels"):
            digest.update(content[f"{part}_{what}"].numpy().tobytes())
    return digest.hexdigest()


#: Pillow's names for what a picture may be: 8 bits or fewer, and an opacity that hides nothing.
_MODES = ("1", "L", "P", "RGB", "RGBA", "LA")
_MOST_PIXELS = 100_000_000
_LARGE = 10_000_000
_one_large = threading.Lock()

#: How files begin that are often found under the name of an image.
_OTHERS = {
    b"RIFF": "WebP, or another RIFF file",
    b"version https://git-lfs": "a pointer of Git LFS, whose file was not fetched",
    b"<": "HTML or XML",
    b"GIF8": "a GIF",
    b"BM": "a BMP",
    b"II*": "a TIFF",
    b"MM": "a TIFF",
    b"%PDF": "a PDF",
}


def read_picture(content: bytes) -> Image.Image:
    """The picture in the bytes of a PNG or JPEG file; raises `ValueError` for anything else."""
    try:
        return Image.open(io.BytesIO(content), formats=("PNG", "JPEG"))
    except UnidentifiedImageError as error:
        kinds = (kind for start, kind in _OTHERS.items() if content.lstrip().startswith(start))
        is_kind = f"it is {next(kinds, 'neither')}" if content else "it is empty"
        raise ValueError(f"{is_kind}; allowed: PNG and JPEG") from error


def prepare(picture: Image.Image, shape: tuple[int, int, int]) -> np.ndarray:
    """The middle of a picture as uint8 pixels of shape (height, width, channels).

    It is turned as its camera noted (EXIF), cropped to the shape's proportions, resized, and made
    grey or coloured; `shape` is (channels, height, width).  Raises `ValueError` for a picture that
    is transparent, of more than 8 bits or of another colour space, too large, or empty.
    """
    channels, height, width = shape
    if not 0 < picture.width * picture.height <= _MOST_PIXELS:  # before it is decoded
        raise ValueError(f"it has {picture.width} x {picture.height} pixels")
    transparent = "transparency" in picture.info or (
        picture.mode in ("RGBA", "LA") and picture.getchannel("A").getextrema() != (255, 255)
    )
    deep = any(";16" in str(tile[3]) for tile in getattr(picture, "tile", ()))
    if picture.mode not in _MODES or transparent or deep:
        kinds = ", transparent" * transparent + ", of 16 bits" * deep
        raise ValueError(
            f"it is of mode {picture.mode}{kinds}; allowed: grey or colour of 8 bits, without "
            "transparency"
        )
    mode = "RGB" if channels == 3 else "L"
    # Each copy of a large picture takes hundreds of megabytes, and several threads decode.
    with _one_large if picture.width * picture.height > _LARGE else nullcontext():
        has_turn = picture.getexif().get(ExifTags.Base.Orientation, 1) != 1
        turned = ImageOps.exif_transpose(picture) if has_turn else picture
        alike = turned if turned.mode == mode else turned.convert(mode)
        fitted = ImageOps.fit(alike, (width, height), Image.Resampling.BICUBIC)
    return np.array(fitted, np.uint8).reshape(height, width, channels)
