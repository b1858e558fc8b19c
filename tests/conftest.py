"""Fixtures that every test can use; nothing here imports torch.

``make_record`` fabricates valid records, so that the reporting half can be tested without
training anything.
"""

import importlib.util
import os
import pickle
import re
import shutil
import subprocess
import sys
from dataclasses import fields, replace
from math import nan, prod
from pathlib import Path
from types import SimpleNamespace

import built_site
import pytest

from lab1.core import files
from lab1.core.datasets import DATASETS
from lab1.core.families import FAMILIES
from lab1.core.record import DISTILLATION_FIELDS, Record
from lab1.core.spec import ModelSpec, RunSpec
from lab1.core.store import Store
from lab1.core.training_config import DistillationConfig, TrainingConfig

ROOT = Path(__file__).resolve().parents[1]

# Python keeps the bytecode of modules, as it does by default, whatever the tests' own shell says.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

_MODEL_FIELDS = {each.name for each in fields(ModelSpec)}
_TRAINING_FIELDS = {each.name for each in fields(TrainingConfig)}


@pytest.fixture(autouse=True)
def _isolated(tmp_path, monkeypatch):
    """No test reads or writes the runs and data of the checkout, or depends on who runs it."""
    monkeypatch.setenv("LAB1_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("LAB1_DATA", str(tmp_path / "data"))
    monkeypatch.delenv("LAB1_HOME", raising=False)
    monkeypatch.delenv("LAB1_COMMIT", raising=False)


def pytest_addoption(parser):
    parser.addoption(
        "--project",
        metavar="FOLDER",
        help="test the site built in this project rather than a new one: see CONTRIBUTING",
    )
    parser.addoption(
        "--long",
        action="store_true",
        help="let the tests marked `long` kill more processes, more often: see `make test-long`",
    )


#: What takes longest, in this order, so that it is begun first and no process is left with it at
#: the end.  The sites are built by the first of these and looked at once others have been run.
LONGEST = (
    "tests/site/test_quarto.py",
    "tests/browser/test_policy.py",
    "tests/site/test_publish.py",
    "tests/training/test_golden.py",
    "tests/site/test_chapters.py",
    "tests/training/test_ray_engine.py",
    "tests/browser/",
    "tests/test_user_",
    "tests/training/test_resume.py",
    "tests/training/test_tracking.py",
)


def pytest_collection_modifyitems(items):
    """Puts the longest tests first, all others in their order."""
    items.sort(
        key=lambda item: next(
            (place for place, name in enumerate(LONGEST) if item.nodeid.startswith(name)),
            len(LONGEST),
        )
    )


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Shares the tests among the processes of ``pytest -n``, a file's together, or a page's.

    So each has what the fixtures of its module have made, a notebook its kernel, and a page is
    loaded once for all that look at it.
    """
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid):
            page = re.match(r"tests/browser/.*\[((?:quarto|preview)-[\w/-]+\.html)", nodeid)
            return page[1] if page else super()._split_scope(nodeid)

    config.option.loadscopereorder = False
    return Scheduling(config, log)


@pytest.fixture
def long(request):
    """Whether the tests marked `long` are to take their time."""
    return request.config.getoption("--long")


@pytest.fixture(scope="session")
def only_long(request):
    """Leaves a test to ``make test-long``."""
    if not request.config.getoption("--long"):
        pytest.skip("takes minutes; see `make test-long`")


@pytest.fixture(scope="session")
def once(tmp_path_factory):
    """What all processes of a session share: ``once(name, build)`` is what ``build(folder)`` gave.

    The first process that asks builds it, in a folder of that name; others wait for it.
    """
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent

    def find_or_build(name, build):
        kept = shared / f"{name}.pickle"
        with files.claimed(shared / f"{name}.lock", waiting=lambda: None):
            if not kept.exists():
                (shared / name).mkdir()
                kept.write_bytes(pickle.dumps(build(shared / name)))
        return pickle.loads(kept.read_bytes())

    return find_or_build


@pytest.fixture(scope="session")
def project(request, once):
    """A copy of the project with the runs of its profile `smoke`, or the one that was named."""
    if named := request.config.getoption("--project"):
        home = Path(named).resolve()
        runs = os.environ.get("LAB1_RUNS", home / "runs")
        data = os.environ.get("LAB1_DATA", home / "data")
        profile = os.environ.get("LAB1_PROFILE", "report")
        return built_site.Project(home, built_site.environment_of(home, runs, data, profile))
    return once("site", built_site.copy_with_runs)


@pytest.fixture(scope="session")
def quarto_site(request, once):
    """The project's site as Quarto renders it, rendered once."""
    if shutil.which("quarto") is None:
        pytest.skip("Quarto is not on the PATH")
    site = built_site.Site(request.getfixturevalue("project"), "quarto")
    if request.config.getoption("--project"):
        return site
    return once("quarto", lambda _: site.render())


@pytest.fixture(scope="session")
def preview_site(request, project, once):
    """The project's site as the preview without Quarto, built once, in a copy."""
    pytest.importorskip("pypandoc", reason="the preview needs pandoc")
    if shutil.which("quarto"):  # which has executed the chapters
        request.getfixturevalue("quarto_site")

    def build(folder):
        copy = project.copy(folder / "project")
        copy.command("python", "-m", "lab1", "site", "--preview")
        return built_site.Site(copy, "preview")

    return once("preview", build)


@pytest.fixture
def store(tmp_path):
    """An empty store of the test's own."""
    return Store(tmp_path / "results", tmp_path / "runs")


@pytest.fixture
def laboratory(tmp_path, monkeypatch):
    """A folder that ``LAB1_HOME`` names, with empty ``params/`` and ``chapters/``."""
    home = tmp_path / "laboratory"
    (home / "params").mkdir(parents=True)
    (home / "chapters").mkdir()
    monkeypatch.setenv("LAB1_HOME", str(home))
    assert files.project_root() == home.resolve()
    return home


def _spec(
    family="MLP",
    depth=2,
    seed=0,
    dataset="smoke-grey",
    learning_rate=0.001,
    distillation=None,
    **overrides,
):
    model = {"family": family, "depth": depth}
    model |= {name: 16 for name in ("width", "channels") if name in FAMILIES[family].fields}
    training = {"epochs": 3, "learning_rate": learning_rate, "validation_size": 500}
    for name, value in overrides.items():
        if name not in _MODEL_FIELDS | _TRAINING_FIELDS:
            raise TypeError(f"no field of a run specification: {name}")
        (model if name in _MODEL_FIELDS else training)[name] = value
    return RunSpec(ModelSpec(**model), dataset, TrainingConfig(**training), seed, distillation)


@pytest.fixture(scope="session")
def make_spec():
    """Makes a small :class:`RunSpec`; further arguments are fields of the model or the training."""
    return _spec


@pytest.fixture(scope="session")
def make_student():
    """Makes a small :class:`RunSpec` with a teacher, a temperature and an alpha."""

    def make(teacher, temperature=4.0, alpha=0.9, **overrides):
        return _spec(distillation=DistillationConfig(teacher, temperature, alpha), **overrides)

    return make


@pytest.fixture
def make_record():
    """Fabricates a valid :class:`Record`, as if a run had been trained, without torch.

    ``make_record(family, depth, seed, accuracy, dataset, learning_rate, **overrides)``: the
    overrides are fields of the model (``width``), of the training (``schedule``) or of the record
    itself (``test``, ``origin``, ``seconds``, ``stopped``), or its ``distillation``.  By default it
    has a history of three epochs that ends at ``accuracy``, a test score of exactly ``accuracy``,
    and the origin of a committed run on the declared data.  ``stopped="diverged"`` gives what
    training then gives: a last epoch of NaN and no test score.
    """
    return _record


def _record(
    family="MLP",
    depth=2,
    seed=0,
    accuracy=0.9,
    dataset="smoke-grey",
    learning_rate=0.001,
    **overrides,
):
    of_spec = {
        name: overrides.pop(name)
        for name in [*overrides]
        if name in _MODEL_FIELDS | _TRAINING_FIELDS | {"distillation"}
    }
    spec = _spec(family, depth, seed, dataset, learning_rate, **of_spec)
    declared = DATASETS[dataset]
    diverged = overrides.get("stopped") == "diverged"
    validated = spec.training.validation_size > 0
    # The counts are those of a perceptron; another family gets those of one of 16 units.
    inputs, width = prod(declared.image_shape), spec.model.width or 16
    weights = inputs * width + (depth - 1) * width**2 + width * declared.num_classes
    history = {
        "train_loss": [1.5, 0.8, nan if diverged else 0.4],
        "train_accuracy": [accuracy - 0.2, accuracy - 0.1, accuracy],
        "validation_loss": [1.4, 0.9, nan if diverged else 0.5] if validated else [None] * 3,
        "validation_accuracy": (
            [accuracy - 0.2, accuracy - 0.1, accuracy] if validated else [None] * 3
        ),
        "learning_rate": [spec.training.learning_rate] * 3,
        "gradient_norm": [2.0, 1.0, nan if diverged else 0.5],
        "seconds": [1.25, 1.0, 1.0],
        "peak_memory_bytes": [300_000_000] * 3,
    }
    if spec.training.train_evaluation_size:
        history["train_evaluation_loss"] = [1.4, 0.7, nan if diverged else 0.3]
        history["train_evaluation_accuracy"] = [accuracy - 0.2, accuracy - 0.1, accuracy]
    if spec.distillation is not None:
        history |= {"hard_loss": [1.6, 0.9, 0.5], "soft_loss": [1.4, 0.7, 0.3]}
    epochs = spec.training.epochs
    history = {
        name: [*series[-epochs:], *series[-1:] * (epochs - 3)] for name, series in history.items()
    }
    errors = round((1 - accuracy) * declared.test_size)
    score = {"loss": 0.5, "accuracy": accuracy, "errors": errors, "count": declared.test_size}
    values = {
        "history": history,
        "test": {} if diverged else score,
        "parameters": weights + depth * width + declared.num_classes,
        "flops": 2 * weights,
        "best_epoch": epochs - 1 if diverged else epochs,
        "stopped": "all epochs",
        "seconds": 3.25,
        "origin": {
            "commit": "0123456789abcdef0123456789abcdef01234567",
            "versions": {
                "lab1": "0.1.0",
                "python": "3.11.0",
                "torch": "2.11.0",
                "torchvision": "0.26.0",
                "numpy": "2.0.0",
            },
            "device": {"kind": "cpu", "name": "a processor", "threads": 1},
            "data_source": "built in" if not declared.files else "MNIST/raw in the data root",
            "data_fingerprint": declared.fingerprint,
            "started": "2026-01-01T12:00:00+00:00",
            "ended": "2026-01-01T12:00:04+00:00",
        },
        "recipe": spec.recipe,
    }
    return Record(spec=spec, **{**values, **overrides})


@pytest.fixture
def segmented():
    """Gives a record two processes: ``segmented(record, **changes)``.

    The changes are the second's; it went on in the epoch in which the first had stopped.
    """

    def make(record, **changes):
        origin = record.origin
        first = {
            "commit": origin["commit"],
            "sources": "a" * 64,
            "versions": origin["versions"],
            "device": {**origin["device"], "family": "a family", "instruction_set": "AVX2"},
            "from": origin["started"],
            "to": origin["ended"],
            "epochs": [1, 1],
        }
        segments = [first, {**first, "epochs": [1, record.epochs], **changes}]
        return replace(record, origin={**origin, "segments": segments})

    return make


@pytest.fixture
def python():
    """Runs a program in a fresh interpreter: ``python(code, *arguments)`` gives what it printed.

    It fails the test where the program fails.  ``python.start`` gives the process instead.
    """
    processes = []

    def start(code, *arguments):
        paths_ = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        process = subprocess.Popen(
            [sys.executable, "-c", code, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths_)},
        )
        processes.append(process)
        return process

    def run(code, *arguments):
        process = start(code, *arguments)
        output, complaints = process.communicate(timeout=300)
        assert process.returncode == 0, complaints
        return output

    run.start = start
    yield run
    for process in processes:
        process.kill()
        process.communicate()


@pytest.fixture
def trained(monkeypatch, make_record):
    """Stands in for the training half, which needs torch; lists the runs that it was asked for."""
    calls, checked, find_spec = [], [], importlib.util.find_spec

    def train_all(grid, options, store):
        specs, on_finished, measure = grid
        assert checked.pop() == (specs, options)
        calls.append(([*specs], options))
        for spec in specs:
            record = replace(make_record(epochs=spec.training.epochs), spec=spec, key="")
            if spec.distillation:
                record.history.update(dict.fromkeys(DISTILLATION_FIELDS, [1.0] * record.epochs))
            store.write(record)
            (store.run_dir(spec) / "weights.safetensors").write_bytes(b"weights")
            measure(record)
            on_finished(record)

    engine = SimpleNamespace(check=lambda *asked: checked.append(asked), train_all=train_all)
    engines = SimpleNamespace(choose=lambda options: engine, Grid=lambda *asked: asked)
    monkeypatch.setitem(sys.modules, "lab1.training", SimpleNamespace(engines=engines))
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *rest: object() if name == "torch" else find_spec(name, *rest),
    )
    return calls
