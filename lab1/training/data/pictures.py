"""Makes pixels of a picture of any size: one preparation, trained on or asked about."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

#: Pillow's names for what a picture may be: 8 bits or fewer, and an opacity that hides nothing.
_MODES = ("1", "L", "P", "RGB", "RGBA", "LA")
_MOST_PIXELS = 100_000_000

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


def read(content: bytes) -> Image.Image:
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
    is transparent, of more than 8 bits or of another colour space, or too large.
    """
    channels, height, width = shape
    if picture.width * picture.height > _MOST_PIXELS:  # before it is decoded
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
    turned = ImageOps.exif_transpose(picture).convert("RGB" if channels == 3 else "L")
    fitted = ImageOps.fit(turned, (width, height), Image.Resampling.BICUBIC)
    return np.array(fitted, np.uint8).reshape(height, width, channels)
