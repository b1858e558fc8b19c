"""The walls between the halves, tested on what really gets imported."""

import ast
import json
import sys
from importlib.util import find_spec, resolve_name
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "lab1"

# Put before the program: what is forbidden cannot be found, as if it were not installed.  (A finder
# that raised instead would also break who merely asks whether a package is there, as torch does.)
HOOK = """
import sys

class Wall:
    def __init__(self, forbids):
        loaded = [name for name in sys.modules if forbids(name)]
        assert not loaded, f"already imported: {loaded}"
        self.forbids = forbids
        self.finders = sys.meta_path[:]

    def find_spec(self, name, path=None, target=None):
        if self.forbids(name):
            return None
        found = (finder.find_spec(name, path, target) for finder in self.finders)
        return next((spec for spec in found if spec is not None), None)

    def find_distributions(self, *context):  # importlib.metadata asks the finders too
        for finder in self.finders:
            if hasattr(finder, "find_distributions"):
                yield from finder.find_distributions(*context)

def forbid(*packages):
    sys.meta_path[:] = [Wall(lambda name: any(
        name == each or name.startswith(each + ".") for each in packages))]

def forbid_all_but_the_standard_library():
    # Names with an underscore are what Python itself loads at its start: __main__, and finders
    # of editable installs.
    allowed = {*sys.stdlib_module_names, "sitecustomize", "lab1"}
    sys.meta_path[:] = [Wall(lambda name:
        name.split(".")[0] not in allowed and not name.startswith("_"))]
"""

# Imports the modules named on the command line; prints, as JSON, why some could not be.
IMPORT_EACH = """
import importlib, json, traceback
problems = {}
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
    except ImportError:
        problems[name] = traceback.format_exc()
print(json.dumps(problems))
"""

#: What both halves may use.
CORE = {
    "errors", "parameters", "paths", "files", "datasets", "distillation_config", "config", "store",
    "families",
    "weights_file",
}  # fmt: skip

#: The modules that start or exchange trainings, and then import the training half.  Not the
#: publishing ones.
MAY_TRAIN = {"experiments.py", "verify.py", "cli.py", "wandb_cli.py", "__main__.py"}

NOT_FOR_TRAINING = (
    "pandas",
    "altair",
    "IPython",
    "papermill",
    "nbformat",
    "nbclient",
    "jupyter_cache",
    "wandb",
    "scipy",
    "vl_convert",
    "pypandoc",
    *(
        f"lab1.{path.stem}"
        for path in sorted(PACKAGE.iterdir())
        if path.stem not in {*CORE, "training"} and not path.stem.startswith("__")
    ),
)
NOT_FOR_REPORTING = ("torch", "torchvision", "lab1.training")


def dotted(files):
    """The modules' dotted names, but for ``__main__``, which would run."""
    names = [file.relative_to(PACKAGE.parent).with_suffix("") for file in sorted(files)]
    return [
        ".".join(name.parts).removesuffix(".__init__") for name in names if name.name != "__main__"
    ]


def training_files():
    return [*(PACKAGE / "training").rglob("*.py")]


def other_files():
    return [file for file in PACKAGE.rglob("*.py") if file not in training_files()]


def imported(file):
    """The absolute names of all that a source file imports, also inside functions."""
    package = ".".join(file.relative_to(PACKAGE.parent).parent.parts)
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom):
            origin = resolve_name("." * node.level + (node.module or ""), package)
            names |= {origin, *(f"{origin}.{each.name}" for each in node.names)}
    return names


def crossings(files, forbidden):
    """The forbidden imports by file."""
    found = {}
    for file in files:
        for name in sorted(imported(file)):
            if any(name == each or name.startswith(f"{each}.") for each in forbidden):
                found.setdefault(str(file.relative_to(PACKAGE)), []).append(name)
    return found


def assert_importable(printed):
    problems = json.loads(printed)
    assert not problems, "\n".join(problems.values())


def test_the_wall_holds(python):
    """A forbidden import fails in the hook's way, a permitted one does not."""
    code = HOOK + "forbid('yaml', 'lab1.training')\n" + IMPORT_EACH
    failed = json.loads(python(code, "json", "lab1.config", "yaml", "yaml.nodes", "lab1.training"))
    assert set(failed) == {"yaml", "yaml.nodes", "lab1.training"}
    assert "No module named 'yaml'" in failed["yaml"]


def test_the_wall_around_the_standard_library_holds(python):
    code = HOOK + "forbid_all_but_the_standard_library()\n" + IMPORT_EACH
    failed = json.loads(python(code, "sqlite3", "yaml", "numpy", "lab1.profiles"))
    assert set(failed) == {"yaml", "numpy", "lab1.profiles"}
    assert "No module named 'yaml'" in failed["lab1.profiles"]


@pytest.mark.parametrize(
    "name",
    [
        "lab1",
        "lab1.errors",
        "lab1.parameters",
        "lab1.paths",
        "lab1.files",
        "lab1.datasets",
        "lab1.distillation_config",
        "lab1.config",
        "lab1.store",
        "lab1.families",
        "lab1.weights_file",
        "lab1.lineage",
    ],
)
def test_the_core_needs_the_standard_library_alone(python, name):
    code = HOOK + "forbid_all_but_the_standard_library()\n" + IMPORT_EACH
    assert_importable(python(code, name))


@pytest.mark.parametrize("name", ["lab1.experiments", "lab1.profiles"])
def test_planning_needs_neither_half(python, name):
    both = (*NOT_FOR_REPORTING, "numpy", "pandas", "altair", "lab1.reporting")
    code = HOOK + f"forbid(*{both!r})\n" + IMPORT_EACH
    assert_importable(python(code, name))


def test_records_that_are_there_are_read_without_torch(python, store, make_record):
    record = make_record()
    store.write(record)
    code = (
        HOOK
        + f"forbid(*{(*NOT_FOR_REPORTING, 'numpy')!r})"
        + """
import json
from pathlib import Path
from lab1.config import RunSpec
from lab1.experiments import ensure
from lab1.store import Store
spec = RunSpec.from_dict(json.loads(sys.argv[3]))
print(*[each.key for each in ensure([spec], store=Store(Path(sys.argv[1]), Path(sys.argv[2])))])
"""
    )
    printed = python(code, store.results, store.runs, json.dumps(record.spec.to_dict()))
    assert printed.split() == [record.key]


@pytest.mark.skipif(find_spec("torch") is None, reason="needs the extra 'train'")
def test_training_needs_nothing_of_reporting(python):
    names = dotted(training_files())
    assert "lab1.training.engine" in names
    code = HOOK + f"forbid(*{NOT_FOR_TRAINING!r})\n" + IMPORT_EACH
    assert_importable(python(code, *names))


@pytest.mark.skipif(find_spec("altair") is None, reason="needs the extra 'site'")
def test_nothing_but_training_needs_torch(python):
    """So the site is rebuilt from its records where torch is not installed."""
    code = HOOK + f"forbid(*{NOT_FOR_REPORTING!r})\n" + IMPORT_EACH
    assert_importable(python(code, *dotted(other_files())))


def test_no_source_line_of_training_crosses_the_wall():
    """Also not inside a function, where importing the module would not show it."""
    # Reporting to Weights & Biases is training's, imported only where it is asked for.
    forbidden = [each for each in NOT_FOR_TRAINING if each != "wandb"]
    assert crossings(training_files(), forbidden) == {}


def test_no_source_line_of_reporting_crosses_the_wall():
    files = [file for file in other_files() if file.name not in MAY_TRAIN]
    assert crossings(files, NOT_FOR_REPORTING) == {}


@pytest.mark.parametrize(
    "line",
    [
        "import lab1.reporting.tables",
        "from lab1 import reporting",
        "from .. import paths, reporting",
        "from ..reporting import tables",
        "from ..reporting.tables import table",
        "def late():\n    from .. import reporting",
        "import numpy, pandas as pd",
    ],
)
def test_every_way_to_cross_the_wall_is_seen(line, tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "PACKAGE", tmp_path / "lab1")
    file = tmp_path / "lab1" / "training" / "made_up.py"
    file.parent.mkdir(parents=True)
    file.write_text(line)
    assert crossings([file], NOT_FOR_TRAINING)
    file.write_text("import lab1.reportingly\nfrom ..config import DATASETS\nimport pandasql")
    assert not crossings([file], NOT_FOR_TRAINING)
