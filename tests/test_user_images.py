"""A reader's own images: which folders are a data set, and what becomes of its runs."""

import base64
import json
import os
import re
import shutil
import unicodedata
from dataclasses import replace

import declared_fields
import fabricated_runs
import numpy as np
import pytest
from image_folders import make_folder
from PIL import Image

from lab1.core import datasets
from lab1.core.datasets import DATASETS
from lab1.core.spec import ModelSpec, RunSpec
from lab1.core.training_config import RuntimeOptions, TrainingConfig
from lab1.errors import DataError, ParameterError, RecordError
from lab1.planning.ensure import ensure
from lab1.reporting import cnns


@pytest.fixture
def flowers(tmp_path, monkeypatch):
    """A folder of two classes, and a folder for runs."""
    monkeypatch.setenv("LAB1_RUNS", str(tmp_path / "runs"))
    return make_folder(tmp_path / "flowers")


def declared(folder, ending="@32"):
    return DATASETS[declared_fields.check("dataset", f"{folder}{ending}")]


def test_a_folder_of_the_laboratory_is_found_from_a_kernels_folder_too(
    flowers, laboratory, monkeypatch
):
    shutil.copytree(flowers, laboratory / "meadow")
    monkeypatch.chdir(laboratory / "chapters")
    assert declared("meadow").folder == (laboratory / "meadow").resolve()
    with pytest.raises(ParameterError, match="field is no folder"):
        declared("field")


def test_a_folder_becomes_a_data_set_of_its_digest(flowers, monkeypatch):
    dataset = declared(flowers)
    assert re.fullmatch("flowers-32-[0-9a-f]{12}", dataset.name)
    assert (dataset.title, dataset.image_shape) == ("flowers (32 x 32)", (3, 32, 32))
    assert (dataset.train_size, dataset.test_size, dataset.num_classes) == (12, 6, 2)
    assert dataset.class_names == ("daisy", "rose") and dataset.user_defined
    assert declared(flowers, "@28-grey").image_shape == (1, 28, 28)
    assert dataset.name not in list(DATASETS)  # which are those that everybody has
    # The name itself may be given, and a folder in any of its spellings.
    assert declared_fields.check("dataset", dataset.name) == dataset.name
    monkeypatch.chdir(flowers.parent)
    assert declared("flowers") == declared("./flowers/../flowers") == dataset
    (flowers / "train" / "rose" / "0.png").unlink()
    assert declared("flowers").name != dataset.name


def test_what_systems_leave_behind_does_not_count(flowers):
    before = declared(flowers)
    (flowers / "train" / ".DS_Store").write_text("")
    (flowers / "train" / "rose" / "._0.png").write_text("")
    (flowers / "test" / "rose" / "Thumbs.db").write_text("")
    for left in (".ipynb_checkpoints", "__pycache__", "__MACOSX"):
        (flowers / "test" / left).mkdir()
        (flowers / "test" / left / "0.png").write_text("")
    assert declared(flowers) == before


@pytest.mark.parametrize(
    "name", ["cafe\u0301", "B&W", "C++", "tench, Tinca tinca", "हिन्दी", "St. John's (wort)"]
)
def test_a_class_may_be_called_as_things_are(flowers, name):
    for part in ("train", "test"):
        (flowers / part / "rose").rename(flowers / part / name)
    dataset = declared(flowers)
    assert unicodedata.normalize("NFC", name) in dataset.class_names
    loaded = pytest.importorskip("lab1.training.data").load(dataset.name)
    assert sorted(set(loaded.test.labels.tolist())) == [0, 1]


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (lambda f: [shutil.rmtree(f / part / "rose") for part in datasets.PARTS],
         "train has images of 1 classes, not of 2 to 1000: daisy"),
        (lambda f: (f / "test" / "rose").rename(f / "test" / "tulip"), "train/rose has images, an"),
        (lambda f: shutil.rmtree(f / "test" / "rose"), "train/rose has images, and test/rose has"),
        (lambda f: shutil.rmtree(f / "test"), "has no folder test/"),
        (lambda f: shutil.rmtree(f), "is no folder"),
        (lambda f: (f / "train" / "notes.txt").write_text(""), "notes.txt lies beside the folders"),
        (lambda f: (f / "train" / "rose" / "a.gif").write_text(""), "a.gif is no image of the end"),
        (lambda f: (f / "train" / "rose" / "more.png").mkdir(), "more.png is no image"),
        (lambda f: (f / "train" / "rose" / "a.png").symlink_to("/nowhere"), "a.png is no image"),
        (lambda f: [(f / p / "rose").rename(f / p / "<b>rose") for p in datasets.PARTS],
         "the class '<b>rose' has a sign of"),
        *((lambda f, copy=copy: shutil.copy(f / "train" / "rose" / "0.png", f / copy),
           f"train/rose/0.png and {copy} are the same image")
          for copy in ("test/daisy/9.png", "train/rose/9 (1).png")),
        (lambda f: (f / "test" / "rose" / os.fsdecode(b"\xff.png")).write_text(""),
         r"'test/rose/\udcff.png' has a name that is not UTF-8; rename it"),
        (lambda f: (f / "train" / "daisy").rename(f / "train" / "__daisy"), "__daisy is hidden"),
        (lambda f: (f / "test" / "rose").rename(f / "test" / ".rose"), ".rose is hidden"),
    ],
)  # fmt: skip
def test_what_is_no_data_set_is_refused_by_value_and_place(flowers, spoil, complaint):
    spoil(flowers)
    with pytest.raises(ParameterError) as caught:
        declared_fields.check("dataset", f"{flowers}@32", "chapter 1_3")
    assert str(caught.value).startswith(f"chapter 1_3: dataset = '{flowers}@32' is not allowed: ")
    assert complaint in str(caught.value) and "such as flowers@32" in str(caught.value)
    assert not (flowers.parent / "runs").exists()


@pytest.mark.parametrize("ending", ["", "@7", "@257", "@32x32", "@", "@32-gray", "@-32"])
def test_a_folder_needs_a_size(flowers, ending):
    with pytest.raises(ParameterError, match=r"flowers.* is not allowed: .*such as flowers@32"):
        declared(flowers, ending)
    with pytest.raises(ParameterError, match=r"one of mnist, .*, or a folder .*did you mean mnist"):
        declared_fields.check("dataset", "mnits")


@pytest.mark.parametrize(
    "value", ["a" * 5000, "a" * 5000 + "@32", "\0", "\0@32", "~nobody@32", "@32", "/@32", "a/b"]
)
def test_an_absurd_name_is_refused_in_a_line(flowers, value):
    with pytest.raises(ParameterError, match=r"^dataset = .* is not allowed") as caught:
        declared_fields.check("dataset", value)
    assert len(str(caught.value)) < 600


def test_more_than_fits_into_memory_is_refused(flowers, monkeypatch):
    monkeypatch.setattr(datasets, "_MOST_BYTES", 18 * 3 * 32**2)
    declared(flowers)
    with pytest.raises(ParameterError, match=r"18 images of that size take"):
        declared(flowers, "@33")
    monkeypatch.setattr(datasets, "MOST_FILE_BYTES", 100)
    with pytest.raises(ParameterError, match=r"0\.png has [0-9,]+ bytes, more than 100"):
        declared(flowers)


def test_a_declaration_that_is_damaged_or_gone_is_told(flowers):
    name = declared(flowers).name
    file = flowers.parent / "runs" / "own-images" / name / "declared.json"
    content = json.loads(file.read_text())
    for change in ({"title": "<script>"}, {"classes": ["one"]}, {"name": "other"}, {"folder": 3}):
        file.write_text(json.dumps(content | change))
        with pytest.raises(ParameterError, match=r"declared\.json.*name their folder again"):
            DATASETS[name]
        with pytest.raises(ParameterError, match=r"declared\.json"):
            declared_fields.check("dataset", name)
    file.unlink()
    with pytest.raises(ParameterError, match=f"the images of '{name}' are not known here; name"):
        declared_fields.check("dataset", name)
    assert declared(flowers).name == name  # named again, it is there again


def spec(dataset, **training):
    config = TrainingConfig(epochs=1, batch_size=4, validation_size=2, **training)
    return RunSpec(ModelSpec("MLP", 1, 8), dataset, config, 0)


def test_a_spec_holds_the_name_whichever_way_it_was_given(flowers):
    given = spec(f"{flowers}@32")
    assert given.dataset == declared(flowers).name
    assert given == spec(given.dataset) == RunSpec.from_dict(given.to_dict())
    assert given.key != spec(declared(flowers, "@16").name).key


def test_the_images_are_brought_to_their_size_and_kept(flowers):
    data = pytest.importorskip("lab1.training.data")
    dataset = declared(flowers)
    loaded = data.load(dataset.name)
    assert loaded.train.images.shape == (12, 3, 32, 32) and len(loaded.test) == 6
    assert loaded.train.labels.tolist() == [0] * 6 + [1] * 6
    kept = datasets.tensors_file(dataset.name)
    again = data.load(dataset.name)
    assert (again.train.images == loaded.train.images).all()
    kept.write_bytes(b"damaged")
    assert (data.load(dataset.name).test.images == loaded.test.images).all()
    grey = data.load(declared(flowers, "@16-grey").name)
    assert grey.test.images.shape == (6, 1, 16, 16)
    # The middle of a picture that is wider than high.
    wide = np.zeros((32, 64, 3), np.uint8)
    wide[:, 16:48] = 200
    Image.fromarray(wide).save(flowers / "test" / "rose" / "0.png")
    assert (data.load(declared(flowers).name).test.images[3] == 200).all()


def test_a_screenshot_that_hides_nothing_is_an_image(flowers):
    data = pytest.importorskip("lab1.training.data")
    opaque = Image.new("RGBA", (9, 9), (10, 20, 30, 255))
    opaque.save(flowers / "test" / "rose" / "0.png")
    loaded = data.load(declared(flowers).name)
    assert loaded.test.images[3, :, 0, 0].tolist() == [10, 20, 30]


@pytest.mark.parametrize(
    ("image", "why"),
    [
        (Image.new("RGBA", (9, 9)), "of mode RGBA, transparent; allowed: grey or colour of 8 bits"),
        (Image.new("LA", (9, 9)), "of mode LA, transparent"),
        (Image.new("I;16", (9, 9)), "of mode I;16"),
        (base64.b64decode(fabricated_runs.png((3, 1, 1), 0, bits=16)), "of mode RGB, of 16 bits"),
        (b"", "it is empty; allowed: PNG and JPEG"),
        (b"\x89PNG\r\n", "it is neither"),
        (b"<!DOCTYPE html>", "it is HTML"),
        (b"version https://git-lfs.github.com/spec/v1", "it is a pointer of Git LFS"),
        (b"RIFF\x10\0\0\0WEBPVP8 ", "it is WebP"),
    ],
)
def test_an_image_of_another_kind_is_told_before_anything_is_trained(flowers, image, why):
    data = pytest.importorskip("lab1.training.data")
    path = flowers / "train" / "rose" / "1.png"
    path.write_bytes(image) if isinstance(image, bytes) else image.save(path)
    dataset = declared(flowers)
    with pytest.raises(DataError, match=rf"{path}: .*{why}.*take it out"):
        data.load(dataset.name)


def test_a_large_picture_is_decoded_once_and_not_copied(monkeypatch):
    """A photograph of 99 megapixels takes 0.4 GB then, and each copy as much again."""
    folder = pytest.importorskip("lab1.training.data.image_folder")
    monkeypatch.setattr(folder, "_LARGE", 80)
    picture, asked = Image.new("RGB", (9, 9), (10, 20, 30)), []
    monkeypatch.setattr(Image.Image, "copy", asked.append)
    monkeypatch.setattr(Image.Image, "convert", asked.append)
    assert folder.prepare(picture, (3, 4, 4))[0, 0].tolist() == [10, 20, 30]
    assert asked == []


def test_a_folder_that_has_changed_or_gone_is_told(flowers):
    data = pytest.importorskip("lab1.training.data")
    dataset = declared(flowers)
    Image.new("RGB", (9, 9)).save(flowers / "train" / "rose" / "0.png")
    with pytest.raises(DataError, match=f"{flowers}: its images are not those of {dataset.name}"):
        data.load(dataset.name)
    shutil.rmtree(flowers)
    with pytest.raises(DataError, match="is no folder; bring back what was there, or name"):
        data.load(dataset.name)


def test_its_runs_are_published_on_a_site_of_ones_own_alone(
    flowers, make_record, store, monkeypatch
):
    """There they are read where neither the images nor `runs/` are, and name no place of them."""
    dataset = declared(flowers)
    own = make_record(dataset=dataset.name, batch_size=4, validation_size=2, accuracy=0.5)
    store.write(own)
    with pytest.raises(RecordError, match=f"its images lie in {flowers}, which others do not"):
        store.promote(own)
    store.promote(own, user_defined=True)
    (published,) = (store.results / "own-images").iterdir()
    assert json.loads(published.read_text())["folder"] == "flowers"
    shutil.rmtree(flowers.parent / "runs")
    monkeypatch.setattr(datasets, "results_dir", lambda: store.results)
    assert datasets.known(published.stem).classes == ("daisy", "rose")
    assert store.find(own.spec) == own


@pytest.mark.slow
def test_what_a_network_mistakes_is_measured_and_charted(flowers, store):
    """The probes of chapter 1.3 have the folder's pictures and classes."""
    pytest.importorskip("torch")
    network = replace(spec(declared(flowers).name), model=ModelSpec("SimpleCNN", 1, channels=4))
    ensure([network], RuntimeOptions(progress=False), store, lambda _: ("confusion", "hardest"))
    assert sum(map(sum, store.find_probe(network, "confusion")["counts"])) == 6
    hardest = store.find_probe(network, "hardest")
    assert {image["label"] for image in hardest["images"]} == {0, 1}
    chart = cnns.confusion(store.find(network), store.find_probe(network, "confusion"))
    assert ">daisy<" in chart.parts()["svg"]
