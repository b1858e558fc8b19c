import json
import math
import os
import re
import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import torch
from small_models import data_set_for, smallest
from stores import without_record

from lab1 import __version__
from lab1.core import weights_file
from lab1.core.datasets import DATASETS
from lab1.core.families import FAMILIES
from lab1.core.files import write_bytes
from lab1.core.record import HISTORY_FIELDS
from lab1.core.training_config import RuntimeOptions
from lab1.errors import DataError, MissingRunsError, ParameterError, RecordError
from lab1.planning import ensure as ensuring
from lab1.training import data, engines, models, origin
from lab1.training import run as running
from lab1.training.checkpoint import digest, load_weights
from lab1.training.engines import local as engine
from lab1.training.engines.local import Grid, train_all
from lab1.training.run import train_run
from lab1.training.trainer import StreamlinedTrainer

OPTIONS = RuntimeOptions(device="cpu", progress=False)


@pytest.fixture
def tiny(make_spec):
    """Makes the spec of a run that takes a fraction of a second."""

    def make(**keywords):
        defaults = {"epochs": 2, "batch_size": 64, "validation_size": 3700}
        if keywords.get("family", "MLP") in ("MLP", "ResidualMLP"):
            defaults["width"] = 8
        return make_spec(**{**defaults, **keywords})

    return make


#: A small model of each family, and a data set for it.
SMALLEST = {
    family: {"family": family, "dataset": data_set_for(family), **smallest(family)}
    for family in FAMILIES
}

_PERCEPTRON = 784 * 16 + 16 * 16 + 16 * 10
_SIMPLE = 9 * 3 * 4, 9 * 4 * 8  # weights of the convolutions, by the area they run over
_RESIDUAL = 9 * 3 * 4 + 6 * 9 * 4 * 4, 9 * 4 * 8 + 9 * 8 * 8 + 4 * 8
_HE = 9 * 3 * 16 + 2 * 9 * 16 * 16, 9 * 16 * 32 + 9 * 32 * 32, 9 * 32 * 64 + 9 * 64 * 64

#: Parameters and floating-point operations by hand.  A batch normalisation has two parameters per
#: feature map and, as torch counts, no operations.
SIZES = {
    "MLP": (_PERCEPTRON + 2 * 16 + 10, 2 * _PERCEPTRON),
    "ResidualMLP": (_PERCEPTRON + 2 * 16 + 10, 2 * _PERCEPTRON),
    "SimpleCNN": (
        sum(_SIMPLE) + 2 * (4 + 8) + 8 * 10 + 10,
        2 * (1024 * _SIMPLE[0] + 256 * _SIMPLE[1] + 8 * 10),
    ),
    "ResidualCNN": (
        sum(_RESIDUAL) + 2 * (7 * 4 + 3 * 8) + 8 * 10 + 10,
        2 * (1024 * _RESIDUAL[0] + 256 * _RESIDUAL[1] + 8 * 10),
    ),
    "PlainCNN": (  # without the 1 x 1 convolution and its normalisation
        sum(_RESIDUAL) - 4 * 8 + 2 * (7 * 4 + 2 * 8) + 8 * 10 + 10,
        2 * (1024 * _RESIDUAL[0] + 256 * (_RESIDUAL[1] - 4 * 8) + 8 * 10),
    ),
    **dict.fromkeys(
        ("PlainNet", "ResNet"),
        (
            sum(_HE) + 2 * (3 * 16 + 2 * 32 + 2 * 64) + 64 * 10 + 10,
            2 * (1024 * _HE[0] + 256 * _HE[1] + 64 * _HE[2] + 64 * 10),
        ),
    ),
}


@pytest.fixture
def fake_runs(monkeypatch, make_record):
    """Stands in for training; lists the seeds that were trained, and fails for those told to."""

    class Runs(list):
        failing = ()

    runs = Runs()

    def train(spec, options, store=None):
        runs.append(spec.seed)
        if spec.seed in runs.failing:
            raise ZeroDivisionError(f"seed {spec.seed} is unlucky")
        return replace(make_record(seed=spec.seed), spec=spec, key=spec.key)

    monkeypatch.setattr(running, "train_run", train)
    return runs


# One run


@pytest.mark.parametrize("family", FAMILIES)
def test_a_network_has_the_size_by_hand(make_spec, family):
    spec = make_spec(**SMALLEST[family])
    model, declared = models.build(spec.model, spec.images, 0), spec.images
    if family in SIZES:  # a further one has a test of its own, beside its class
        counted = models.count_parameters(model), models.count_flops(model, declared.image_shape)
        assert counted == SIZES[family]


def test_a_run_becomes_a_record(tiny, store):
    spec = tiny(train_size=128, validation_size=100, width=16)
    record = train_run(spec, OPTIONS, store)
    assert record.spec == spec
    assert (record.key, record.recipe) == (spec.key, spec.recipe)
    assert (record.epochs, record.stopped) == (2, "all epochs")
    assert record.best_epoch in (1, 2)
    assert set(record.history) == set(HISTORY_FIELDS)
    assert {len(series) for series in record.history.values()} == {2}
    assert (record.parameters, record.flops) == SIZES["MLP"]
    assert record.seconds >= sum(record.history["seconds"]) > 0
    assert record.test["count"] == 1000
    assert record.test["accuracy"] == (1000 - record.test["errors"]) / 1000
    assert record.test["loss"] > 0
    assert 0 < record.test["calibration_error"] < 1
    assert "teacher_agreement" not in record.test


def test_a_run_says_where_it_came_from(asked_anew, tiny, store, monkeypatch):
    monkeypatch.setenv("LAB1_COMMIT", "0123abcd")
    before = datetime.now(UTC) - timedelta(seconds=1)
    record = train_run(tiny(), OPTIONS, store)
    came_from = record.origin
    after = datetime.now(UTC)
    assert came_from["commit"] == "0123abcd"
    assert set(came_from["versions"]) == {"lab1", "python", "torch", "torchvision", "numpy"}
    assert came_from["versions"]["lab1"] == __version__
    assert came_from["versions"]["torch"] == torch.__version__
    assert came_from["device"]["kind"] == "cpu" and came_from["device"]["name"]
    assert came_from["device"]["threads"] == torch.get_num_threads()
    assert came_from["data_source"] == "built in"
    assert came_from["data_fingerprint"] == DATASETS["smoke-grey"].fingerprint
    started, ended = (datetime.fromisoformat(came_from[name]) for name in ("started", "ended"))
    assert before <= started <= ended <= after
    assert started.utcoffset() == timedelta(0)
    (alone,) = came_from["segments"]
    assert (alone["from"], alone["to"]) == (came_from["started"], came_from["ended"])
    assert alone["epochs"] == [1, record.epochs]
    assert alone["sources"] == origin.sources()
    assert alone["device"].items() > came_from["device"].items()
    assert alone["device"]["family"] and alone["device"]["instruction_set"]
    assert all(alone[name] == came_from[name] for name in ("commit", "versions"))
    json.dumps(came_from)


def test_a_clock_that_was_set_back_spoils_no_record(tiny, store, monkeypatch):
    hours = iter([12, 9])
    monkeypatch.setattr(origin, "now", lambda: datetime(2026, 1, 1, next(hours), tzinfo=UTC))
    record = train_run(tiny(epochs=1), OPTIONS, store)
    assert record.origin["started"] == record.origin["ended"] == "2026-01-01T12:00:00+00:00"
    assert record.seconds > 0
    assert type(record).from_dict(record.to_dict()) == record


def test_the_test_set_is_scored_once_at_the_end(tiny, monkeypatch):
    """By the weights of the best epoch, and not before they are chosen."""
    order = []
    evaluate, train = StreamlinedTrainer.evaluate, StreamlinedTrainer.train

    def counting(self, dataset=None):
        scores = evaluate(self, dataset)
        order.append(scores["count"])
        return scores

    def training(self):
        result = train(self)
        order.append("trained")
        return result

    monkeypatch.setattr(StreamlinedTrainer, "evaluate", counting)
    monkeypatch.setattr(StreamlinedTrainer, "train", training)
    train_run(tiny(epochs=3), OPTIONS)
    assert order == [3700, 3700, 3700, "trained", 1000]


def test_the_score_is_that_of_the_kept_weights(tiny, store, smoke_grey):
    spec = tiny(epochs=4, learning_rate=0.05)  # high enough for the last epoch not to be the best
    record = train_run(spec, OPTIONS, store)
    accuracies = record.history["validation_accuracy"]
    assert record.best_epoch == 1 + accuracies.index(max(accuracies))
    weights = load_weights(store.run_dir(spec) / "weights.safetensors")
    model = models.build(spec.model, smoke_grey.declared, seed=99)
    model.load_state_dict(weights)
    inputs = (smoke_grey.test.images / 255 - 0.5) / 0.25
    with torch.no_grad():
        errors = int((model(inputs).argmax(1) != smoke_grey.test.labels).sum())
    assert record.test["errors"] == errors
    assert record.to_dict()["weights_sha256"] == digest(weights)


@pytest.mark.parametrize("validation_size", [3700, 0])
def test_a_run_hands_on_what_its_spec_says(tiny, monkeypatch, smoke_grey, validation_size):
    """The split, the start and the order by the spec's seed, the normalisation as declared."""
    given = []
    made = StreamlinedTrainer.__init__

    def watching(self, model, config, train, validation, **keywords):
        start = [weight.detach().clone() for weight in model.parameters()]
        given.append((config, start, train, validation, keywords))
        made(self, model, config, train, validation, **keywords)

    monkeypatch.setattr(StreamlinedTrainer, "__init__", watching)
    spec = tiny(epochs=1, seed=3, validation_size=validation_size)
    record = train_run(spec, OPTIONS)
    ((config, start, *parts, keywords),) = given
    assert config == spec.training
    expected = models.build(spec.model, smoke_grey.declared, seed=3).parameters()
    assert all(map(torch.equal, start, expected))
    for part, expected in zip(parts, data.split(smoke_grey.train, validation_size, 3), strict=True):
        assert (part is None) == (expected is None)
        if part is not None:
            assert torch.equal(part.images, expected.images)
            assert torch.equal(part.labels, expected.labels)
    assert (keywords["seed"], keywords["device"]) == (3, "cpu")
    assert (keywords["mean"], keywords["std"]) == ((0.5,), (0.25,))
    assert (record.history["validation_accuracy"] == [None]) == (validation_size == 0)
    assert record.best_epoch == 1


def test_a_diverged_run_has_no_test_score(tiny, store):
    spec = tiny(depth=16, width=32, optimizer="sgd", learning_rate=100)
    train_all(Grid([spec]), OPTIONS, store)
    record = store.find(spec)
    assert (record.stopped, record.test) == ("diverged", {})
    assert record.history["train_loss"][-1] is None or record.history["gradient_norm"][-1] is None
    assert record.epochs <= 2


def files(store):
    return sorted(path.name for path in store.runs.rglob("*") if path.is_file())


def test_weights_are_kept_only_where_they_are_asked_for(tiny, store, tmp_path):
    train_run(tiny(epochs=1), OPTIONS)
    unkept = train_run(tiny(epochs=1), replace(OPTIONS, save_weights=False), store)
    assert files(store) == []
    assert not (tmp_path / "runs").exists()
    kept = train_run(tiny(epochs=1), OPTIONS, store)
    assert files(store) == ["weights.safetensors"]
    assert unkept.weights_sha256 == kept.weights_sha256


# Several runs


def test_an_interrupted_list_goes_on_with_what_is_missing(fake_runs, store, make_spec):
    """Ctrl-C after the second run: each is told as it is written, in the order of the list."""
    specs = [make_spec(seed=seed) for seed in (3, 1, 2, 0)]
    finished = []

    def interrupt(record):
        assert store.find(record.spec) == record
        finished.append(record)
        if len(finished) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_all(Grid(specs, interrupt), OPTIONS, store)
    assert without_record(specs, store) == specs[2:]
    train_all(Grid(specs, finished.append), OPTIONS, store)
    assert fake_runs == [record.spec.seed for record in finished] == [3, 1, 2, 0]
    assert without_record(specs, store) == []


def test_an_interrupted_run_leaves_no_record_and_can_be_claimed(tiny, store, monkeypatch):
    with monkeypatch.context() as patch:

        def interrupt(self):
            raise KeyboardInterrupt

        patch.setattr(StreamlinedTrainer, "_train_epoch", interrupt)
        with pytest.raises(KeyboardInterrupt):
            train_all(Grid([tiny(), tiny(seed=1)]), OPTIONS, store)
    assert without_record([tiny(), tiny(seed=1)], store) == [tiny(), tiny(seed=1)]
    with store.claim(tiny()) as mine:
        assert mine


def test_a_run_that_fails_does_not_keep_the_others_from_being_trained(
    fake_runs, store, make_spec, capsys
):
    fake_runs.failing = (1, 3)
    specs = [make_spec(seed=seed) for seed in range(5)]
    with pytest.raises(MissingRunsError) as caught:
        train_all(Grid(specs), OPTIONS, store)
    assert fake_runs == [0, 1, 2, 3, 4]
    assert without_record(specs, store) == [specs[1], specs[3]]
    message = str(caught.value)
    assert message.startswith("2 of 5 runs failed:\n")
    for seed in (1, 3):
        assert f"{specs[seed].title}: ZeroDivisionError: seed {seed} is unlucky" in message
    # Said at once too, since the others may take hours.
    assert f"failed: {specs[1].title}: ZeroDivisionError" in capsys.readouterr().err
    fake_runs.failing = ()
    train_all(Grid(specs), OPTIONS, store)  # which tries them again
    assert fake_runs == [0, 1, 2, 3, 4, 1, 3]


def test_every_failed_run_is_counted_and_a_single_one_shows_its_own_error(
    fake_runs, store, make_spec
):
    fake_runs.failing = (0,)
    # Two of them differ in something that their title does not say.
    specs = [make_spec(width=8), make_spec(width=9), make_spec(seed=1)]
    with pytest.raises(MissingRunsError, match="2 of 3 runs failed"):
        train_all(Grid(specs), OPTIONS, store)
    with pytest.raises(ZeroDivisionError, match="seed 0 is unlucky"):
        train_all(Grid([make_spec()]), OPTIONS, store)


def test_a_damaged_record_is_not_trained_over(fake_runs, store, make_spec, make_record):
    path = store.write(make_record())
    path.write_text("damaged")
    with pytest.raises(RecordError, match=re.escape(str(path))):
        train_all(Grid([make_spec()]), OPTIONS, store)
    assert path.read_text() == "damaged"
    assert fake_runs == []


# Several processes


def test_a_run_whose_other_process_gave_up_is_taken_over(fake_runs, store, make_spec, monkeypatch):
    elsewhere = store.claim(make_spec())
    assert elsewhere.__enter__()
    monkeypatch.setattr(engines, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(engine.time, "sleep", lambda seconds: elsewhere.__exit__(None, None, None))
    train_all(Grid([make_spec()]), OPTIONS, store)
    assert fake_runs == [0]


# What is told before


@pytest.mark.parametrize(
    ("error", "words", "dataset", "changes"),
    [
        (DataError, "MNIST is not in ", "mnist", {}),  # as what it is, and not once per run
        (DataError, "elsewhere", "mnist", {"data_dir": "elsewhere"}),
        (ParameterError, "device = 'cuda:99' is not allowed", "smoke-grey", {"device": "cuda:99"}),
    ],
)
def test_what_is_missing_is_told_before_anything_is_trained(
    fake_runs, store, make_spec, tmp_path, monkeypatch, error, words, dataset, changes
):
    monkeypatch.chdir(tmp_path)
    specs = [make_spec(seed=0), make_spec(seed=1, dataset=dataset)]
    with pytest.raises(error, match=words):
        ensuring.ensure(specs, replace(OPTIONS, **changes), store)
    assert fake_runs == []


# The commit


@pytest.fixture
def asked_anew():
    origin.commit.cache_clear()
    yield
    origin.commit.cache_clear()


def git(folder, *arguments):
    name = ("-c", "user.name=a", "-c", "user.email=a@b")
    command = ["git", "-C", str(folder), *name, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def commit():
    origin.commit.cache_clear()
    return origin.commit()


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_the_commit_says_whether_the_sources_differ(asked_anew, monkeypatch, tmp_path):
    # In a git hook these would turn the commands below on the repository of the hook.
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    source = tmp_path / "lab1" / "training" / "origin.py"
    source.parent.mkdir(parents=True)
    source.write_text("")
    monkeypatch.setattr(origin, "_SOURCES", tmp_path / "lab1")
    git(tmp_path, "init", "--quiet")
    (tmp_path / ".gitignore").write_text("ignored.py\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message", "first")
    head = git(tmp_path, "rev-parse", "HEAD")
    assert re.fullmatch("[0-9a-f]{40}", head)
    assert commit() == head
    # Prose may change between runs, sources may not.
    (tmp_path / "README.md").write_text("")
    assert commit() == head
    # Whatever git was told to overlook.
    git(tmp_path, "config", "status.showUntrackedFiles", "no")
    git(tmp_path, "update-index", "--assume-unchanged", "lab1/training/origin.py")
    for name in ("new.py", "ignored.py"):
        (source.parent / name).write_text("")
        assert commit() == f"{head}-dirty"
        (source.parent / name).unlink()
        assert commit() == head
    source.write_text("changed")
    assert commit() == f"{head}-dirty"
    source.unlink()
    assert commit() == f"{head}-dirty"


def test_the_digest_of_the_sources_is_of_every_line_and_every_path(monkeypatch, tmp_path):
    def digest_of(files):
        folder = tmp_path / str(len([*tmp_path.iterdir()]))
        for name, text in files.items():
            write_bytes(folder / name, text)
        monkeypatch.setattr(origin, "_SOURCES", folder)
        return origin.sources.__wrapped__()

    first = digest_of({"core/one.py": b"x = 1\n"})
    assert digest_of({"core/one.py": b"x = 1\n", "notes.txt": b"no source"}) == first
    others = (
        {"core/one.py": b"x = 2\n"},
        {"core/three.py": b"x = 1\n"},
        {"one.py": b"x = 1\n"},
        {"core/one.py": b"x = 1\n", "two.py": b""},
    )
    assert len({first, *map(digest_of, others)}) == 5


def test_sources_without_git_come_from_an_unknown_commit(asked_anew, monkeypatch):
    def missing(*_arguments):
        raise FileNotFoundError("git")

    monkeypatch.setattr(origin, "_git", missing)
    assert origin.commit() == "unknown"


def test_git_is_believed_only_where_it_tracks_the_sources(asked_anew, monkeypatch, tmp_path):
    """An archive of the project in a folder that another repository ignores."""
    package = tmp_path / "archive" / "lab1"
    shutil.copytree(Path(weights_file.__file__).parent, package)
    git(tmp_path, "init", "--quiet")
    (tmp_path / ".gitignore").write_text("archive/\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message", "another project")
    monkeypatch.setattr(origin, "_SOURCES", package)
    assert commit() == "unknown"


def test_the_repository_of_a_hook_is_not_taken_for_ones_own(asked_anew, monkeypatch, tmp_path):
    expected = commit()
    assert re.fullmatch(r"[0-9a-f]{40}(-dirty)?|unknown", expected)
    git(tmp_path, "init", "--quiet", "other")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "other" / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(tmp_path / "other"))
    assert commit() == expected


@pytest.mark.parametrize(
    ("named", "told"),
    [("0123abcd" * 5, False), ("0123abcd" * 5 + "-dirty", True), ("unknown", True), ("HEAD", True)],
)
def test_what_cannot_be_published_is_told_before_it_is_trained(
    asked_anew, monkeypatch, capsys, tiny, named, told
):
    monkeypatch.setenv("LAB1_COMMIT", named)
    origin.commit.cache_clear()
    origin.warn_of_unpublishable.cache_clear()
    engine.check([tiny()], OPTIONS)
    engine.check([tiny()], OPTIONS)
    complaints = capsys.readouterr().err
    assert complaints.count(f"commit is '{named}'") == (1 if told else 0)
    assert ("promote" in complaints) == told


# What a run leaves behind


def test_a_run_that_ends_in_nan_has_no_accuracy(tiny, store):
    """Without a validation split only the test sees what the last step has done."""
    spec = tiny(
        epochs=1, batch_size=4000, validation_size=0, optimizer="sgd", learning_rate=100.0,
        family="ResidualMLP", depth=64, momentum=0.0, width=64, residual_factor="one",
    )  # fmt: skip
    record = train_run(spec, OPTIONS, store)
    assert math.isfinite(record.history["train_loss"][0])
    assert (record.stopped, record.test, record.best_epoch) == ("diverged", {}, None)
    assert record.diverged


def test_compiled_kernels_are_named_in_the_record(tiny, store, monkeypatch):
    batches = []

    def compiled(model):
        def run(images):
            batches.append(len(images))
            return model(images)

        return run

    monkeypatch.setattr("lab1.training.device.compiled", compiled)
    spec = tiny(epochs=1, batch_size=128)
    record = train_run(spec, replace(OPTIONS, compile=True), store)
    # 300 images: the last batch is short, and not worth kernels of its own.
    assert batches == [128, 128]
    assert record.origin["device"]["compiled"] is True
    assert "compiled" not in train_run(spec, OPTIONS, store).origin["device"]


@pytest.mark.slow
def test_compiled_kernels_train_as_others_do(tiny, store):
    spec = tiny(depth=1, epochs=1, batch_size=50, validation_size=100, train_size=100)
    usual, compiled = (
        train_run(spec, replace(OPTIONS, compile=each, threads=1), store) for each in (False, True)
    )
    for name in ("train_loss", "validation_loss"):
        assert compiled.history[name] == pytest.approx(usual.history[name], rel=1e-2)


def raising(error):
    def build(*_):
        raise error

    return build


@pytest.mark.parametrize(
    ("build", "error", "words"),
    [
        *(
            (allocate, MissingRunsError, r"2 layers.*memory does not suffice: .*width")
            for allocate in (
                lambda *_: torch.empty(10**15),
                lambda *_: bytearray(10**17),
                raising(torch.OutOfMemoryError("CUDA out of memory")),
            )
        ),
        # Any other fault keeps its traceback.
        (raising(RuntimeError("mat1 and mat2")), RuntimeError, "mat1 and mat2"),
    ],
)
def test_memory_that_does_not_suffice_is_told(tiny, monkeypatch, build, error, words):
    monkeypatch.setattr(models, "build", build)
    with pytest.raises(error, match=words):
        train_run(tiny(), OPTIONS)
