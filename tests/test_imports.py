"""What each part of the package can be imported without, tried on what really gets imported.

Who may import whom stands in pyproject.toml, and `make check` sees to it.
"""

import json
from importlib.util import find_spec
from pathlib import Path

import pytest

import lab1

PACKAGE = Path(lab1.__file__).parent

#: Imports the modules named on the command line where others seem not to be installed: those that
#: the first argument names or, where it is empty, all but the standard library.
IMPORT_EACH = """
import importlib, json, sys, traceback

blocked = sys.argv[1].split()
finders = sys.meta_path[:]

class Wall:
    # Says that a package is not there. Raising would also break who merely asks, as torch does.
    def find_spec(self, name, path=None, target=None):
        top = name.split(".")[0]
        allowed = {*sys.stdlib_module_names, "sitecustomize", "lab1"}
        if any(name == each or name.startswith(each + ".") for each in blocked):
            return None
        if not blocked and top not in allowed and not name.startswith("_"):
            return None
        found = (finder.find_spec(name, path, target) for finder in finders)
        return next((spec for spec in found if spec is not None), None)

    def find_distributions(self, *context):  # importlib.metadata asks the finders too
        for finder in finders:
            if hasattr(finder, "find_distributions"):
                yield from finder.find_distributions(*context)

sys.meta_path[:] = [Wall()]
problems = {}
for name in sys.argv[2:]:
    try:
        importlib.import_module(name)
    except ImportError:
        problems[name] = traceback.format_exc()
print(json.dumps(problems))
"""
TRAINING_ALONE = "torch torchvision lab1.training"
REPORTING_ALONE = (
    "pandas altair IPython papermill nbformat nbclient jupyter_cache wandb scipy vl_convert "
    "pypandoc lab1.reporting lab1.site lab1.planning lab1.cli lab1.chapter"
)


def modules(*parts):
    """The dotted names of all modules below these folders of the package."""
    files = [file for part in parts for file in sorted((PACKAGE / part).rglob("*.py"))]
    names = [".".join(file.relative_to(PACKAGE.parent).with_suffix("").parts) for file in files]
    return [name.removesuffix(".__init__") for name in names if not name.endswith("__main__")]


def problems(python, blocked, names):
    return json.loads(python(IMPORT_EACH, blocked, *names))


def test_the_core_needs_the_standard_library_alone(python):
    others = ["yaml", "numpy"]
    assert {*problems(python, "", ["lab1", *modules("core"), "sqlite3", *others])} == {*others}


def test_planning_needs_neither_half(python):
    blocked = f"{TRAINING_ALONE} numpy pandas altair lab1.reporting"
    others = ["numpy", "numpy.linalg", "lab1.reporting"]
    assert {*problems(python, blocked, [*modules("planning"), *others])} == {*others}


#: Has Python look as on Windows, whose locks are stood in for: none of its own is here to be tried.
AS_ON_WINDOWS = """
import sys, types
import torch, torchvision, numpy, PIL.Image, psutil, tqdm, safetensors.torch
held = []
def locking(descriptor, mode, count):
    if held:
        raise OSError("locked")
    held.append(descriptor)
sys.modules["msvcrt"] = types.SimpleNamespace(locking=locking, LK_NBLCK=2)
sys.modules.update(dict.fromkeys(["fcntl", "resource", "pwd", "grp"]))
sys.platform = "win32"
"""
LOCK_TWICE = """
import tempfile
from pathlib import Path
from lab1.core import files
with tempfile.TemporaryDirectory() as folder:
    place = Path(folder) / "lock"
    with files.claimed(place) as mine, files.claimed(place) as others:
        assert mine and not others
"""


@pytest.mark.slow
@pytest.mark.skipif(find_spec("torch") is None, reason="needs the extra 'train'")
def test_training_needs_nothing_of_reporting_and_nothing_that_only_posix_has(python):
    names = [name for name in modules("training") if "contenders" not in name]
    assert "lab1.training.engines.local" in names
    printed = python(AS_ON_WINDOWS + IMPORT_EACH + LOCK_TWICE, REPORTING_ALONE, *names)
    assert json.loads(printed) == {}


@pytest.mark.slow
@pytest.mark.skipif(find_spec("altair") is None, reason="needs the extra 'site'")
def test_nothing_but_training_needs_torch(python):
    """So the site is rebuilt from its records where torch is not installed."""
    names = [name for name in modules(".") if not name.startswith("lab1.training")]
    assert "lab1.site.publish" in names
    assert problems(python, f"{TRAINING_ALONE} wandb", names) == {}


@pytest.mark.skipif(find_spec("torch") is None, reason="needs the extra 'train'")
def test_every_public_name_can_be_imported():
    """When it is used: the package itself is imported with the standard library alone."""
    assert all(getattr(lab1, name) for name in lab1.__all__)
    assert set(lab1.__all__) <= set(dir(lab1))
    with pytest.raises(AttributeError, match="module 'lab1' has no attribute 'nothing'"):
        lab1.nothing  # noqa: B018
