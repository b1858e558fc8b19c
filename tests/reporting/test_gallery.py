"""The data in pictures: they are there for what is published, and drawn from the data."""

import os
import re
from pathlib import Path

import pytest
from built_site import ROOT
from PIL import Image, ImageChops, ImageStat

from lab1.planning import profiles
from lab1.reporting import gallery

#: Read before a test is kept from one's own data.
DATA = Path(os.environ.get("LAB1_DATA") or ROOT / "data").expanduser()


def shown(markup):
    return re.findall(r'src="\.\./(figures/[^"]*)" width="(\d+)" height="(\d+)"', markup)


@pytest.mark.parametrize("page", profiles.pages("report"), ids=lambda page: page.name)
def test_each_published_page_with_data_shows_them(page):
    if "dataset" not in page.parameters:
        return
    markup = gallery.images(page.parameters).markup
    augmented = (page.parameters.get("augmentation") or "none") != "none"
    files = shown(markup)
    assert len(files) == 1 + augmented
    for file, width, height in files:
        assert Image.open(ROOT / file).size == (int(width), int(height))
    assert all(alt for alt in re.findall(r'alt="([^"]*)"', markup))
    in_notebook = gallery.images(page.parameters)._repr_mimebundle_()["text/html"]
    assert in_notebook.count('src="data:image/') == in_notebook.count("src=") == len(files)


def test_data_without_pictures_show_nothing():
    assert gallery.images({"dataset": "smoke-grey", "augmentation": "shift"}).markup == ""
    grey = gallery.images({"dataset": "mnist", "augmentation": "none"}).markup
    assert len(shown(grey)) == 1 and "0, 1, 2, 3, 4, 5, 6, 7, 8 and 9" in grey


def test_the_pictures_are_those_of_the_data(tmp_path):
    """Drawn again, they are the same; a JPEG within what its encoder may differ in."""
    pytest.importorskip("torch")
    if not (DATA / "MNIST" / "raw").is_dir() or not (DATA / "cifar10" / "train").is_dir():
        pytest.skip("needs MNIST and the CIFAR-10 copy in LAB1_DATA")
    from lab1.training.data.gallery import write

    names = {path.name for path in write(tmp_path, str(DATA))}
    assert names == {path.name for path in (ROOT / "figures").glob("data-*")}
    for name in names:
        one, other = (Image.open(folder / name) for folder in (tmp_path, ROOT / "figures"))
        different = max(ImageStat.Stat(ImageChops.difference(one, other)).mean)
        assert different < (1 if name.endswith(".jpg") else 1e-9)
