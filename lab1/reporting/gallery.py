"""The data of a page in pictures: some images of each class, and what augmentation makes of one.

The pictures lie in `figures/`, drawn by `make gallery`; a data set without one shows nothing.
"""

import re
from base64 import b64encode
from collections.abc import Mapping
from typing import Any

from ..core import files
from ..core.datasets import DATASETS, Dataset
from ..core.escape import for_html
from .figure import Piece
from .networks import MIME
from .words import listed

#: How `lab1.training.data.gallery` lays them out: images in a row, and pixels between two.
_COLUMNS, _GAP = 10, 2


class Pictures(Piece):
    """Pictures that lie in `figures/` beside a page; a notebook has them within it."""

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        def within(name: re.Match[str]) -> str:
            content = (files.project_root() / "figures" / name[1]).read_bytes()
            kind = "png" if name[1].endswith("png") else "jpeg"
            return f'src="data:image/{kind};base64,{b64encode(content).decode()}"'

        in_notebook = re.sub(r'src="\.\./figures/([^"]*)"', within, self.markup)
        return {"text/html": in_notebook, MIME: self.markup, "text/plain": self.words}


def images(parameters: Mapping[str, Any]) -> Pictures:
    """Images of each class of a page's data set and, where it augments them, one made anew.

    `parameters` are the page's.
    """
    declared = DATASETS[parameters["dataset"]]
    augmentation = parameters.get("augmentation") or "none"
    classes = (
        f"{declared.title}: three training images of each class, from left to right "
        f"{listed(declared.class_names)}."
    )
    augmented = (
        f"A training image as it is, on the left, and as the augmentation {augmentation} gives it "
        "to the network, drawn anew for each epoch."
    )
    return Pictures(
        _figure(declared, "", 3, "three rows of ten images", classes)
        + _figure(declared, f"-{augmentation}", 1, "ten versions of one image", augmented),
        "pictures of the data",
    )


def _figure(declared: Dataset, what: str, rows: int, alt: str, caption: str) -> str:
    name = f"data-{declared.name}{what}"
    file = next((files.project_root() / "figures").glob(f"{name}.[pj][np]g"), None)
    if file is None:
        return ""
    _, height, width = declared.image_shape
    return (
        f'<figure class="lab1-gallery"><img src="../figures/{file.name}" '
        f'width="{_COLUMNS * (width + _GAP) - _GAP}" height="{rows * (height + _GAP) - _GAP}" '
        f'alt="{alt}" loading="lazy"><figcaption>{for_html(caption)}</figcaption></figure>\n'
    )
