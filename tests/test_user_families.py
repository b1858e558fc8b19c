"""A reader's own network: what its declaration may say, and what becomes of its runs."""

import hashlib
import json
import re
import shutil
import subprocess
import sys
from collections import namedtuple

import nbformat
import pytest
from built_site import ROOT
from image_folders import make_folder

from lab1.core import families
from lab1.core.families import FAMILIES
from lab1.core.training_config import TrainingConfig
from lab1.errors import ParameterError

#: The file that the guide shows.
GUIDE = re.search(
    r"```python\n(.*?)```", (ROOT / "guide" / "own-network.qmd").read_text(encoding="utf-8"), re.S
)[1]


def declaration(**changes):
    values = {
        "name": "Mine",
        "title": "my network",
        "fields": ["depth", "width"],
        "depths": [1, 8],
        "twin": "MLP",
        "differs_in": ["layer normalisation"],
    } | changes
    return {name: value for name, value in values.items() if value is not None}


def written(tmp_path, text):
    path = tmp_path / "mine.py"
    path.write_text(text, encoding="utf-8")
    return path


def declared(tmp_path, **changes):
    text = f"FAMILY = {declaration(**changes)!r}\n\n\nclass Mine:\n    pass\n"
    return families._read(written(tmp_path, text), FAMILIES)


def test_a_declaration_becomes_a_family(tmp_path):
    family = declared(tmp_path)
    assert (family.name, family.title, family.fields) == ("Mine", "my network", ("depth", "width"))
    assert (family.unit, family.axis) == ("layer", "hidden layers")  # as its twin has them
    assert family.user_defined and family.compared_with == {"MLP": ("layer normalisation",)}
    family.depths.check(8, "Mine")
    with pytest.raises(ParameterError, match=r"depth = 9 is not allowed; allowed: from 1 to 8, as"):
        family.depths.check(9, "Mine")
    alone = declared(tmp_path, twin=None, differs_in=None, unit="block")
    assert (alone.compared_with, alone.unit, alone.axis) == ({}, "block", "blocks")
    assert alone.sha256 != family.sha256


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"name": "Other"}, "FAMILY['name'] = 'Other' is not allowed; allowed: a class of this"),
        ({"name": None}, "FAMILY['name'] = 'missing' is not allowed"),
        ({"title": ""}, "FAMILY['title'] = '' is not allowed; allowed: a text on one line"),
        ({"title": "a" * 101}, "is not allowed; allowed: a text on one line, of at most 100"),
        ({"title": FAMILIES["MLP"].title}, "allowed: a title of its own"),
        ({"unit": 7}, "FAMILY['unit'] = 7 is not allowed"),
        ({"fields": ["width"]}, "FAMILY['fields'] = ['width'] is not allowed; allowed: a list wi"),
        ({"fields": ["depth", "depth"]}, "FAMILY['fields'] = ['depth', 'depth'] is not allowed"),
        ({"fields": ["depth", "colour"]}, "FAMILY['fields'] = ['depth', 'colour'] is not allowed"),
        ({"fields": ["depth", ["width"]]}, "FAMILY['fields'] = ['depth', ['width']] is not allow"),
        ({"depths": [0, 4]}, "FAMILY['depths'] = [0, 4] is not allowed; allowed: the smallest and"),
        ({"depths": [4, 2]}, "FAMILY['depths'] = [4, 2] is not allowed"),
        ({"depths": [True, 2]}, "FAMILY['depths'] = [True, 2] is not allowed"),
        ({"depths": [1, 10**9]}, "FAMILY['depths'] = [1, 1000000000] is not allowed"),
        ({"twin": "Nobody"}, "FAMILY['twin'] = 'Nobody' is not allowed; allowed: one of MLP"),
        ({"twin": None}, "FAMILY['differs_in'] = ['layer normalisation'] is not allowed"),
        ({"differs_in": None}, "FAMILY['differs_in'] = 'missing' is not allowed"),
        ({"differs_in": [""]}, "FAMILY['differs_in'] = [''] is not allowed"),
        ({"colour": "red"}, "FAMILY has an unknown entry 'colour'; allowed: name, title"),
    ],
)
def test_what_is_no_declaration_is_refused_by_file_entry_and_value(tmp_path, changes, complaint):
    with pytest.raises(ParameterError) as caught:
        declared(tmp_path, **changes)
    assert str(tmp_path / "mine.py") in str(caught.value)
    assert complaint in str(caught.value)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "sets FAMILY 0 times; allowed: once"),
        ("FAMILY = {}\nFAMILY = {}\n", "sets FAMILY 2 times"),
        ("FAMILY = {'name': 'A', 'title': 'b', 'name': 'C'}\n", "FAMILY has 'name' twice"),
        ("FAMILY = dict(name='Mine')\n", "line 1: FAMILY is not written out"),
        ("FAMILY = {'depths': [1, 2 ** 3]}\n", "FAMILY is not written out"),
        ("FAMILY = [1]\n", "FAMILY = [1] is not allowed; allowed: a dictionary"),
        ("class Mine(:\n", "mine.py: not a Python file"),
        ("\0", "not a Python file"),
        (f"FAMILY = {declaration(name='MLP')!r}\nclass MLP: pass\n", "a name of its own, not one"),
        (f"FAMILY = {declaration()!r}\n", "a class of this file, once: it has none"),
        (f"FAMILY = {declaration()!r}\nclass Mine: pass\nclass Mine: pass\n", "class of this file"),
    ],
)
def test_a_file_without_a_declaration_is_refused(tmp_path, text, complaint):
    with pytest.raises(ParameterError, match=re.escape(complaint)):
        families._read(written(tmp_path, text), FAMILIES)
    with pytest.raises(ParameterError, match=r"nowhere\.py: not a Python file"):
        families._read(tmp_path / "nowhere.py", FAMILIES)


BROKEN = [
    ("import nowhere\n", "", "NormalisedMLP: ModuleNotFoundError: No module named 'nowhere'"),
    ("depth, width):\n", "depth):\n", "unexpected keyword argument 'width'"),
    ("(width, num_classes)", "(width, 7)", "gives (2, 7) for 2 images of built-in grey patterns"),
    ("return self.layers(images)", "return images.nothing()", "has no attribute 'nothing'"),
    ("return self.layers(images)", "return [1]", "gives list for 2 images"),
    ("(nn.Module):", ":", "NormalisedMLP is no torch.nn.Module"),
]


def tried(tmp_path, monkeypatch, text, **training):
    """Tries the network of such a file as a command does before it trains."""
    user_models = pytest.importorskip("lab1.training.models.user_models")
    designed = {name: family for name, family in FAMILIES.items() if not family.user_defined}
    family = families._read(written(tmp_path, text), designed)
    monkeypatch.setitem(FAMILIES, family.name, family)
    # Not specs, whose families are those that were declared when the process began.
    model = namedtuple("Model", "family depth width")(family.name, 2, 8)
    run = namedtuple("Run", "model dataset training training_images")
    user_models.check([run(model, "smoke-grey", TrainingConfig(**training), 4000)])


@pytest.mark.parametrize(("old", "new", "complaint"), BROKEN)
def test_a_network_that_cannot_be_trained_is_told_before_any_is(
    tmp_path, monkeypatch, old, new, complaint
):
    text = GUIDE.replace(old, new) if new else old + GUIDE
    assert text != GUIDE
    if old == "(nn.Module):":
        text = text.replace("        super().__init__()\n", "")
    with pytest.raises(ParameterError) as caught:
        tried(tmp_path, monkeypatch, text)
    assert complaint in str(caught.value) and str(tmp_path / "mine.py") in str(caught.value)


@pytest.mark.parametrize("writes_bytecode", [False, True])
def test_a_network_may_import_from_its_folder_and_its_key_covers_that(
    tmp_path, monkeypatch, writes_bytecode
):
    monkeypatch.setattr(sys, "dont_write_bytecode", not writes_bytecode)
    text = GUIDE.replace(
        "from torch import nn", "from torch import nn\nfrom parts.sizes import SIZE"
    )
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "__init__.py").write_text("")
    (tmp_path / "parts" / "sizes.py").write_text("import further\n\nSIZE = further.SIZE\n")
    (tmp_path / "further.py").write_text("SIZE = 3\n")
    tried(tmp_path, monkeypatch, text)
    before = families.sources(tmp_path / "mine.py")
    assert {*before} == {"mine.py", "parts/__init__.py", "parts/sizes.py", "further.py"}
    changed = before | {"further.py": b"SIZE = 4\n"}
    assert families.digest(changed) != families.digest(before)
    alone = written(tmp_path, GUIDE)
    assert (
        families.digest(families.sources(alone)) == hashlib.sha256(alone.read_bytes()).hexdigest()
    )


FORWARD, START = "return self.layers(images)", "super().__init__()"


@pytest.mark.parametrize(
    ("old", "added", "complaint"),
    [
        (FORWARD, f"open({str(ROOT / 'README.md')!r}).close()", "README.md, which its runs' key"),
        (START, "open('sizes.txt').read()", "sizes.txt"),
        (FORWARD, "images = images * random.random()", "differs from one call to the next"),
        (START, "self.x = nn.Parameter(torch.rand(1) * random.random())", "with the same seed; al"),
        (FORWARD, "images = images * float(os.environ['SCALE'])", "KeyError: 'SCALE'"),
        (START, "self.x = nn.Parameter(torch.ones(len(os.environ) + 1))", "differs from one call"),
        (START, "raise SystemExit(0)", "SystemExit: 0"),
        (START, "self.x = nn.LazyLinear(1)", "has lazy x.weight; allowed: tensors of known shape"),
        (START, "self.register_buffer('x', torch.zeros(1, dtype=torch.complex64))", "complex64 x"),
    ],
)
def test_what_a_run_would_depend_on_unseen_is_refused(tmp_path, monkeypatch, old, added, complaint):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SCALE", "2")
    (tmp_path / "sizes.txt").write_text("3")
    with pytest.raises(ParameterError, match=complaint):
        text = GUIDE.replace(old, f"{old}; {added}" if old == START else f"{added}; {old}")
        tried(tmp_path, monkeypatch, f"import os\nimport random\nimport torch\n{text}")


@pytest.mark.parametrize("helper", [False, True])
def test_a_network_whose_file_asks_the_environment_is_refused(tmp_path, monkeypatch, helper):
    monkeypatch.setenv("SCALE", "2")
    asking = "import os\nSCALE = float(os.environ.get('SCALE', 1))\n"
    if helper:
        (tmp_path / "scales.py").write_text(asking)
        asking = "from scales import SCALE\n"
    text = GUIDE.replace(FORWARD, f"return SCALE * {FORWARD.removeprefix('return ')}")
    with pytest.raises(ParameterError, match="no environment variables"):
        tried(tmp_path, monkeypatch, asking + text)


def test_a_module_from_elsewhere_is_refused(tmp_path, monkeypatch):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "borrowed_parts.py").write_text("SIZE = 3\n")
    monkeypatch.syspath_prepend(elsewhere)
    with pytest.raises(
        ParameterError, match=r"it imports .*borrowed_parts\.py, which its runs' key"
    ):
        tried(tmp_path, monkeypatch, "import borrowed_parts\n" + GUIDE)


def test_a_last_batch_of_one_image_is_tried(tmp_path, monkeypatch):
    text = GUIDE.replace("nn.LayerNorm(outputs)", "nn.BatchNorm1d(outputs)")
    tried(tmp_path, monkeypatch, text, batch_size=64)
    with pytest.raises(ParameterError, match="Expected more than 1 value per channel"):
        tried(tmp_path, monkeypatch, text, batch_size=3999)


RUN = ["run", "1_2", "--profile", "smoke", "--workers", "1"]
SMALL = ["depth=1,2", "epochs=1", "further=none", "families=MLP,NormalisedMLP",
         "validation_size=12", "batch_size=16"]  # fmt: skip


COMMANDS = """
import json, sys
from lab1.cli.main import main

sys.stderr = sys.stdout
for command in json.loads(sys.argv[1]):
    print("exit status", main(command), flush=True)
"""


def run(python, *commands):
    """What commands print, one after the other in one fresh process, whose imports are slow."""
    return python(COMMANDS, json.dumps(commands))


@pytest.mark.slow
def test_the_guides_network_is_one_of_the_chapters(tmp_path, monkeypatch, python):
    """On images of one's own; then: published, broken, changed, forgotten, and images gone."""
    for name, value in (("HOME", ROOT), ("RUNS", tmp_path / "runs"), ("FAMILIES", "mine.py")):
        monkeypatch.setenv(f"LAB1_{name}", str(value))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    written(tmp_path, GUIDE)
    make_folder(tmp_path / "flowers", ("daisy", "rose", "tulip"), train=20, test=5)
    out = tmp_path / "out.ipynb"
    told = subprocess.run(
        [sys.executable, "-m", "papermill", str(ROOT / "chapters" / "1_2.ipynb"), str(out),
         "--no-progress-bar", "-p", "profile", "smoke", "-p", "dataset", "flowers@32",
         *(word for text in SMALL for word in ("-p", *text.split("=")))],
        cwd=tmp_path, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    cells = {cell.id: cell for cell in nbformat.read(out, 4).cells}
    box = cells["cell-answer"].outputs[0].data["text/markdown"]
    assert "2 layers − 1 layer, normalised MLP, learning rate 0.003, test accuracy: " in box
    assert "normalised MLP − plain MLP, 2 layers, learning rate 0.003, test accuracy: " in box
    for cell in ("cell-headline", "cell-curves", "cell-performance"):
        assert "NormalisedMLP" in cells[cell].outputs[-1].data["text/plain"]
    assert "normalised MLP" in cells["cell-comparisons-table"].outputs[-1].data["text/html"]
    spec = cells["cell-headline"].outputs[-1].data["application/vnd.lab1.figure+json"]["spec"]
    ranges = re.findall(
        r'"domain": \["MLP", "NormalisedMLP"\], "range": \["(#\w+)", "(#\w+)"\]', json.dumps(spec)
    )
    assert ranges and all(first != second for first, second in ranges)

    body = json.loads(next(tmp_path.glob("runs/NormalisedMLP-*/record.json")).read_text())
    assert body["spec"]["own_family"]["file"] == "mine.py"

    monkeypatch.setenv("LAB1_FAMILIES", str(tmp_path / "mine.py"))
    (images,) = {path.name for path in (tmp_path / "runs" / "own-images").iterdir()}
    small = [*RUN, *(word for text in SMALL for word in ("-p", text)), "-p"]
    by_folder, by_name = [*small, f"dataset={tmp_path}/flowers@32"], [*small, f"dataset={images}"]
    again = [*by_name, "-p", "seeds=9", "--engine", "ray"]
    again[again.index(SMALL[3])] = "families=MLP"
    reported = [*RUN, "-p", "families=NormalisedMLP", "-p", "seeds=9", "--report-to", "wandb"]
    said = run(
        python, [*by_folder, "--dry-run"], again, reported, ["promote", "--profile", "smoke"]
    )
    assert " 0 missing" in said  # what papermill trained, the command line finds
    assert "engine = 'ray' is not allowed for flowers-32-" in said
    assert "report_to = 'wandb' is not allowed for NormalisedMLP" in said
    assert "0 records promoted" in said
    of_ones_own = (
        "Not part of lab1, but its user's own: the normalised MLP (mine.py) and the images flowers "
    )
    assert of_ones_own in out.read_text(encoding="utf-8")

    trained = sorted(tmp_path.glob("runs/*/record.json"))
    written(tmp_path, GUIDE.replace("return self.layers(images)", "return [1]"))
    said = run(python, [*by_folder, "--dry-run"], by_folder, ["status"])
    assert re.search(r"[1-9]\d* missing", said)
    assert "gives list for 2 images" in said and "exit status 2" in said
    assert trained == sorted(tmp_path.glob("runs/*/record.json"))
    assert "has changed since" in said and "Traceback" not in said
    monkeypatch.delenv("LAB1_FAMILIES")
    # Where the folder has gone, its records are still there.
    shutil.rmtree(tmp_path / "flowers")
    by_name[by_name.index(SMALL[3])] = "families=MLP"
    said = run(python, ["status"], ["verify"], [*by_name, "--dry-run"])
    assert " 0 missing" in said  # and of networks one line, and no fault
    assert said.count("which LAB1_FAMILIES does not name") == 2 and " 0 findings" in said
    assert "6 records of networks of one's own are passed over" in said
    assert said.count("exit status 0") == 3
    written(tmp_path, "FAMILY = 1\n")
    monkeypatch.setenv("LAB1_FAMILIES", str(tmp_path / "mine.py"))
    wrong = subprocess.run([sys.executable, "-m", "lab1", "status"], capture_output=True, text=True)
    assert wrong.returncode == 2 and wrong.stderr.count("\n") == 1
    assert wrong.stderr.startswith("lab1: ") and "FAMILY = 1 is not allowed" in wrong.stderr
