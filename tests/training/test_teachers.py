"""Weights of a run: found, checked, published."""

import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest
import safetensors
import safetensors.torch
import torch
from repeats import same_weights

from lab1.core import weights_file
from lab1.core.datasets import DATASETS
from lab1.core.store import Store
from lab1.errors import MissingRunsError, WeightsError
from lab1.planning import verify
from lab1.training import models, trained_run
from lab1.training.checkpoint import digest, load_weights, save_weights

PURPOSE = "a test reads them"


@pytest.fixture
def run(store, make_record):
    """Makes a run with a record and the weights of a fresh model."""

    def make(seed=0, **overrides):
        record = make_record(seed=seed, **overrides)
        store.write(record)
        model = models.build(record.spec.model, DATASETS[record.spec.dataset], seed=50 + seed)
        save_weights(store.run_dir(record.spec) / "weights.safetensors", model.state_dict())
        return record.spec

    return make


def load(spec, store):
    model, sha256 = trained_run.load_model(spec, DATASETS[spec.dataset], store, PURPOSE)
    return SimpleNamespace(model=model, sha256=sha256)


@pytest.fixture
def published(run, store):
    """A run whose weights are published; one's own are gone."""
    spec = run()
    path = trained_run.publish_weights(spec, store, load(spec, store).sha256)
    (store.run_dir(spec) / "weights.safetensors").unlink()
    return spec, path


@pytest.mark.parametrize(
    "more",
    [{}, {"family": "SimpleCNN", "channels": 8, "dataset": "smoke-colour"}],
    ids=["perceptron", "convolutions"],
)
def test_published_weights_are_ones_own(run, store, more):
    """Also where one's own lie in another memory format, and with integers among them."""
    spec = run(**more)
    own_path = store.run_dir(spec) / "weights.safetensors"
    laid = {
        name: each.contiguous(memory_format=torch.channels_last) if each.ndim == 4 else each
        for name, each in load_weights(own_path).items()
    }
    before = load(spec, store)
    save_weights(own_path, laid)
    own = load(spec, store)
    assert own.sha256 == before.sha256
    path = trained_run.publish_weights(spec, store, own.sha256)
    assert path == store.results / f"{spec.name}.safetensors"
    own_path.unlink()
    public = load(spec, store)
    assert public.sha256 == own.sha256 == weights_file.read(path).sha256
    assert same_weights(public.model.state_dict(), own.model.state_dict())
    images = torch.rand(3, *DATASETS[spec.dataset].image_shape)
    assert torch.equal(public.model.eval()(images), own.model.eval()(images))


def test_published_weights_come_before_ones_own(published, run, store):
    spec, _ = published
    expected = load(spec, store).sha256
    save_weights(
        store.run_dir(spec) / "weights.safetensors",
        models.build(spec.model, DATASETS[spec.dataset], 99).state_dict(),
    )
    assert load(spec, store).sha256 == expected


def test_a_published_file_has_the_same_bytes_every_time(published, store):
    """Though the package, which reads it, orders the metadata of each file at random."""
    spec, path = published
    expected = path.read_bytes()
    weights = load(spec, store)
    with safetensors.safe_open(path, framework="pt") as file:
        assert file.metadata() == {"run": spec.key, "sha256": weights.sha256}
        assert set(file.keys()) == set(weights.model.state_dict())
    save_weights(store.run_dir(spec) / "weights.safetensors", weights.model.state_dict())
    for _ in range(8):
        path.unlink()
        trained_run.publish_weights(spec, store, weights.sha256)
        assert path.read_bytes() == expected


def test_other_weights_than_a_student_learnt_from_are_not_published(run, store):
    with pytest.raises(
        WeightsError, match=r"weights\.safetensors: has the SHA-256 .*learnt from 000"
    ):
        trained_run.publish_weights(run(), store, "0" * 64)
    assert not store.results.exists()


def test_missing_weights_are_told(store, make_spec, run):
    told = r"weights\.safetensors: the weights of MLP, 2 layers.* are not here.*a test"
    with pytest.raises(MissingRunsError, match=told):
        load(make_spec(), store)
    spec = run()
    (store.run_dir(spec) / "record.json").unlink()  # as those of a training under way
    with pytest.raises(MissingRunsError, match=told):
        load(spec, store)


def test_weights_of_a_run_that_diverged_teach_nobody(run, store):
    spec = run(stopped="diverged")
    with pytest.raises(MissingRunsError, match=rf"diverged in epoch 3.*{PURPOSE}.*learning rate"):
        load(spec, store)


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        *((lambda whole, n=length: whole[:n], "Get the original file") for length in (0, 100, -1)),
        (lambda whole: whole[:-5] + bytes([whole[-5] ^ 1]) + whole[-4:], "is damaged"),
    ],
)
def test_a_damaged_file_is_told(published, store, damage, why):
    spec, path = published
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(WeightsError, match=rf"{path}: .*{why}"):
        load(spec, store)


def test_another_runs_file_is_told(published, run, store):
    spec, path = published
    other = run(seed=1)
    foreign = trained_run.publish_weights(other, store, load(other, store).sha256)
    path.write_bytes(foreign.read_bytes())
    with pytest.raises(
        WeightsError, match=rf"{path}: has the weights of run {other.key}, not of {spec.key}"
    ):
        load(spec, store)


def test_weights_of_an_earlier_version_still_teach(run, store):
    spec = run()
    own = store.run_dir(spec) / "weights.safetensors"
    expected = load(spec, store).sha256
    torch.save(load_weights(own), own.with_suffix(".pt"))
    own.unlink()
    assert load(spec, store).sha256 == expected
    own.with_suffix(".pt").write_bytes(b"no weights")
    with pytest.raises(WeightsError, match=r"weights\.pt: is not readable as weights\. Get"):
        load(spec, store)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda weights: [*weights.values()], "holds not only dense tensors"),
        (lambda weights: None, "holds not only dense tensors"),
        (lambda weights: dict.fromkeys(weights, 1.0), "holds not only dense tensors"),
        (lambda weights: {n: w.to_sparse() for n, w in weights.items()}, "holds not only dense"),
        (lambda weights: {n: w.to("meta") for n, w in weights.items()}, "holds not only dense"),
        (lambda weights: {n: torch._neg_view(w) for n, w in weights.items()}, "holds not only de"),
        (lambda weights: {}, "does not fit MLP, 2 layers.*it lacks "),
        (lambda weights: {**weights, "more": torch.zeros(1)}, "has besides .'more'"),
        (lambda weights: {n: w.double() for n, w in weights.items()}, "torch.float64 of shape"),
        (lambda weights: {n: w[:1] for n, w in weights.items()}, "of shape .*allowed: "),
        (lambda weights: {n: w * torch.nan for n, w in weights.items()}, "no finite numbers"),
    ],
)
@pytest.mark.parametrize("ending", [".pt", ".safetensors"])
def test_weights_that_the_model_cannot_have_left_are_told(run, store, change, why, ending):
    """Older records name no digest; the weights still have to be a model's."""
    spec = run()
    own = store.run_dir(spec) / "weights.safetensors"
    weights = change(load_weights(own))
    own.unlink()
    if ending == ".pt":
        torch.save(weights, own.with_suffix(".pt"))
    elif isinstance(weights, dict) and "holds" not in why:
        save_weights(own, weights)
    else:
        pytest.skip("safetensors holds tensors by name and nothing else")
    with pytest.raises(WeightsError, match=f"weights{ending}: .*{why}"):
        load(spec, store)


def test_weights_of_a_type_that_no_model_here_has_are_told(tmp_path):
    """Of eight bits each, say, as large language models are shared."""
    path = tmp_path / "weights.safetensors"
    sha256 = weights_file.digest([("a", "F8_E5M2", [2], b"\0\0")])
    safetensors.torch.save_file(
        {"a": torch.zeros(2).to(torch.float8_e5m2)}, path, {"sha256": sha256}
    )
    with pytest.raises(WeightsError, match=f"{path}: holds not only dense tensors by name, of fl"):
        load_weights(path)


def test_weights_that_the_record_does_not_name_are_told(run, store):
    """One flipped bit once taught a student without a word."""
    spec = run()
    path = store.run_dir(spec) / "weights.safetensors"
    weights = load_weights(path)
    record = replace(store.find(spec), weights_sha256=digest(weights))
    store.write(record)
    assert load(spec, store).sha256 == record.weights_sha256
    for change in (lambda w: w * 0, lambda w: w.double(), lambda w: w * torch.nan):
        save_weights(path, {name: change(weight) for name, weight in weights.items()})
        with pytest.raises(
            WeightsError, match=rf"{path}: has the SHA-256 .* the record of its run"
        ):
            load(spec, store)
        (finding,) = verify.check_weights(store, [record])
        assert str(path) in finding and record.weights_sha256 in finding


def test_without_safetensors_it_is_told(run, store, monkeypatch):
    spec = run(seed=1)
    monkeypatch.setitem(sys.modules, "safetensors", None)
    monkeypatch.setitem(sys.modules, "safetensors.torch", None)
    with pytest.raises(MissingRunsError, match=r"safetensors is not installed.*pip install"):
        load(spec, store)
    with pytest.raises(MissingRunsError, match=r"safetensors is not installed.*pip install"):
        save_weights(store.runs / "weights.safetensors", {})


def test_shared_weights_are_found_where_results_cannot_be_seen(published, store, tmp_path):
    spec, _ = published
    store.promote(store.find(spec))
    blind = Store(tmp_path / "nowhere", store.runs)
    with pytest.raises(MissingRunsError):
        load(spec, blind)
    trained_run.share_weights(spec, store)
    assert load(spec, blind).sha256 == load(spec, store).sha256
    assert blind.find(spec) == store.find(spec)
    trained_run.share_weights(spec, blind)  # nothing to do


def test_a_run_without_weights_is_not_shared(store, make_spec, make_record):
    trained_run.share_weights(make_spec(), store)
    store.write(make_record())
    trained_run.share_weights(make_spec(), store)
    assert not (store.run_dir(make_spec()) / "weights.safetensors").exists()
    assert store.find(make_spec()) == make_record()
