"""Pictures of the data for the site: some images of each class, and what augmentation makes of one.

`make gallery` draws them into `figures/`, whence pages show them where the data are not at hand
(`lab1.reporting.gallery`).  Images are the first of their class in the training split; the
augmented ones are drawn with seed 0.  Of digits there is also a picture of test images, the first
ten of each class, for networks that answer in the browser (`lab1/site/draw.js`), and one of small
digits, for networks that train there (`lab1/site/watch.js`).
"""

import sys
from collections.abc import Mapping
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import avg_pool2d
from torchvision.transforms.functional import to_pil_image
from torchvision.utils import make_grid

from .. import seeds
from .augmentation import AUGMENTATIONS
from .images import ImageSet, LoadedData
from .loading import load

#: The data sets of the published chapters, each with the ending of its pictures and the class of
#: which an image is augmented.  Photographs are kept as JPEG, which takes a fifth of the bytes.
_DATASETS: Mapping[str, tuple[str, int]] = {"mnist": ("png", 3), "cifar10-jpeg": ("jpg", 7)}
_ROWS = 3  # images of each class
_TEST_ROWS = 10
_COLUMNS = 10
_GAP = 2  # pixels between two images


def write(folder: Path, data_dir: str | None = None) -> list[Path]:
    """Draws the pictures of all data sets that are shown into a folder, and returns them.

    Raises `DataError` where the data cannot be had.
    """
    written = []
    for name, (ending, kind) in _DATASETS.items():
        loaded = load(name, data_dir)
        pictures = {"": _first(loaded.train, _ROWS)}
        one = pictures[""][kind]
        for augmentation, augment in AUGMENTATIONS.items():
            if augment is not None:
                drawn = augment(
                    one.repeat(_COLUMNS - 1, 1, 1, 1), seeds.generator(0, "augmentation")
                )
                pictures[f"-{augmentation}"] = torch.cat([one[None], drawn])
        sheets = {what: _side_by_side(images, _GAP) for what, images in pictures.items()}
        if ending == "png":  # exact, as an image that a network is asked about must be
            sheets["-test"] = _side_by_side(_first(loaded.test, _TEST_ROWS), 0)
            sheets["-small"] = _small(loaded)
        for what, sheet in sheets.items():
            path = folder / f"data-{name}{what}.{ending}"
            sheet.save(path, quality=90, subsampling=0, optimize=True)
            written.append(path)
    return written


def _first(part: ImageSet, count: int) -> Tensor:
    """The first images of each class, in rows of one of every class."""
    of_class = [torch.nonzero(part.labels == label)[:count, 0] for label in range(_COLUMNS)]
    return part.images[torch.stack(of_class, 1).flatten()]


def _side_by_side(images: Tensor, gap: int) -> Image.Image:
    """The images, uint8 of shape (count, channels, height, width), in rows of ten.

    Between two of them are `gap` pixels.
    """
    sheet = make_grid(images, _COLUMNS, gap, pad_value=127)[: images.shape[1]]  # grey has three
    _, height, width = sheet.shape  # with a frame as wide as a gap
    picture: Image.Image = to_pil_image(sheet[:, gap : height - gap, gap : width - gap])
    return picture


def _small(loaded: LoadedData) -> Image.Image:
    """Two thousand training images and five hundred test images, a row of the picture each.

    They are means of 2 x 2 pixels in four greys. The last two pixels of a row are its label: four
    times the one, plus the other.
    """

    def rows(part: ImageSet, count: int) -> Tensor:
        greys = avg_pool2d(part.images[:count].float(), 2).flatten(1) * 3 / 255
        labels = part.labels[:count, None]
        return torch.cat([greys.round(), labels // 4, labels % 4], 1)

    pixels = torch.cat([rows(loaded.train, 2000), rows(loaded.test, 500)])
    picture = Image.fromarray(pixels.to(torch.uint8).numpy(), "P")
    picture.putpalette([85 * grey for grey in range(4) for _ in range(3)])
    return picture


if __name__ == "__main__":
    for path in write(Path(sys.argv[1])):
        print(path)
