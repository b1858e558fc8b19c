"""One picture of small digits, for the networks that a page of the site trains itself.

A row is an image: the first training images of a data set, then the first test images, as means of
2 x 2 pixels in four greys. The last two pixels of a row are its label, four times the one plus the
other.
"""

from __future__ import annotations

import torch
from PIL import Image
from torch.nn.functional import avg_pool2d

from .images import ImageSet, LoadedData

#: How many images of each split, and how many greys.
TRAINING, TEST, GREYS = 2000, 500, 4


def sheet(images: LoadedData) -> Image.Image:
    """The picture, whose pixels are from 0 to `GREYS` - 1; its palette makes greys of them."""
    rows = torch.cat([_rows(images.train, TRAINING), _rows(images.test, TEST)])
    picture = Image.fromarray(rows.to(torch.uint8).numpy(), "P")
    picture.putpalette([85 * grey for grey in range(GREYS) for _ in range(3)])
    return picture


def _rows(part: ImageSet, count: int) -> torch.Tensor:
    small = avg_pool2d(part.images[:count].float(), 2).flatten(1) * (GREYS - 1) / 255
    labels = part.labels[:count, None]
    return torch.cat([small.round(), labels // GREYS, labels % GREYS], 1)
