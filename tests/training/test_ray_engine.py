"""Runs on Ray: what they ask of a node, what is told before, and a real cluster of two nodes."""

import contextlib
import io
import os
import shutil
import signal
import socket
import sys
import threading
from dataclasses import replace
from datetime import UTC, datetime
from importlib.util import find_spec
from types import SimpleNamespace

import pytest
from repeats import outcome, wait_until
from stores import without_record

from lab1.core.datasets import DATASETS
from lab1.core.spec import ModelSpec, RunSpec
from lab1.core.store import Store
from lab1.core.training_config import DistillationConfig, RuntimeOptions, TrainingConfig
from lab1.errors import MissingRunsError, ParameterError
from lab1.planning import ensure as ensuring
from lab1.training import interruption, origin, trained_run
from lab1.training import run as running
from lab1.training.checkpoint import Checkpointer
from lab1.training.engines import local as engine
from lab1.training.engines import ray as ray_engine
from lab1.training.engines.ray import Needs, needs

OPTIONS = RuntimeOptions(device="cpu", progress=False, engine="ray")


def small(seed, teacher=None):
    """A run of an epoch, or two for a student."""
    return RunSpec(
        ModelSpec("MLP", 2, width=16),
        "smoke-grey",
        TrainingConfig(epochs=2 if teacher else 1, validation_size=500),
        seed,
        teacher and DistillationConfig(teacher, 4.0, 0.9),
    )


PLAIN = [small(seed) for seed in range(4)]
PUBLISHED, NEW = small(7), small(8)
STUDENTS = [small(1, teacher) for teacher in (PUBLISHED, NEW)]

needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="needs the extra 'ray'")


# What a run asks of a node


@pytest.mark.parametrize(
    ("family", "device", "threads", "largest", "expected"),
    [
        ("MLP", "cpu", None, 64, Needs(1)),
        ("ResidualMLP", "cpu", None, 64, Needs(1)),
        ("ResidualMLP", "cpu", 2, 64, Needs(2)),
        ("SimpleCNN", "cpu", None, 64, Needs(4)),
        ("SimpleCNN", "cpu", None, 2, Needs(2)),  # no more cores than a node has
        ("SimpleCNN", "cpu", 7, 64, Needs(7)),
        ("MLP", "cuda", None, 64, Needs(1, 0.25)),
        ("SimpleCNN", "cuda", None, 64, Needs(1, 1.0)),
        ("SimpleCNN", "cuda", 2, 64, Needs(2, 1.0)),
    ],
)
def test_a_run_asks_for_its_threads_and_its_gpu(
    make_spec, family, device, threads, largest, expected
):
    options = RuntimeOptions(device=device, threads=threads, engine="ray")
    assert needs(make_spec(family), options, largest) == expected


def node(**resources):
    return {"Resources": resources}


def test_the_device_is_the_same_for_the_whole_grid():
    plain, with_gpu = node(CPU=8.0), node(CPU=8.0, GPU=2.0)
    assert ray_engine._device("auto", [plain]) == "cpu"
    assert ray_engine._device("auto", [plain, with_gpu]) == "cuda"
    assert ray_engine._device("cpu", [with_gpu]) == "cpu"
    assert ray_engine._device("cuda", [with_gpu]) == "cuda"
    with pytest.raises(ParameterError, match="no node of the Ray cluster has a GPU"):
        ray_engine._device("cuda", [plain])


def test_a_run_that_fits_nowhere_is_refused_rather_than_waited_for():
    nodes = [node(CPU=2.0), node(CPU=8.0), node(memory=1.0)]
    assert ray_engine._fitting(nodes, {Needs(4)}) == nodes[1:2]
    assert ray_engine._fitting(nodes, {Needs(4), Needs(1)}) == nodes[:2]
    with pytest.raises(MissingRunsError, match="needs 9 CPU cores and 0 GPUs"):
        ray_engine._fitting(nodes, {Needs(4), Needs(9)})


# What is told before


def test_without_ray_the_extra_is_named_before_anything_is_trained(store, make_spec, monkeypatch):
    monkeypatch.setattr(
        ray_engine.importlib.util, "find_spec", lambda name: None if name == "ray" else object()
    )
    with pytest.raises(MissingRunsError, match=r"Ray is not installed.*\[train,ray\]"):
        ensuring.ensure([make_spec()], OPTIONS, store)


@needs_ray
@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("device", "mps", "device = 'mps' is not allowed with engine"),  # Ray chooses it
        ("device", "cuda:1", "device = 'cuda:1' is not allowed with engine"),
        ("device", "tpu", "device = 'tpu' is not allowed with engine"),
        *(
            ("ray_address", address, "is not allowed; allowed: auto, or HOST:PORT")
            for address in ("here", "ray://here:10001", "here:port", ":6379", "here:65536")
        ),
    ],
)
def test_a_setting_that_ray_cannot_follow_is_refused(store, make_spec, name, value, why):
    with pytest.raises(ParameterError, match=why):
        ensuring.ensure([make_spec()], replace(OPTIONS, **{name: value}), store)


@needs_ray
def test_a_dead_address_is_told_at_once(store, make_spec):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(ParameterError, match=f"address = '{address}': no Ray cluster.*refused"):
        ensuring.ensure([make_spec()], replace(OPTIONS, ray_address=address), store)


@needs_ray
def test_an_address_where_something_else_listens_is_told_in_time(store, make_spec, monkeypatch):
    monkeypatch.setattr(ray_engine, "_CONNECT_SECONDS", 0.5)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        address = f"127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(ParameterError, match="does not answer as Ray does"):
            ensuring.ensure([make_spec()], replace(OPTIONS, ray_address=address), store)


# An attempt on a node


def test_an_attempt_finds_what_the_one_before_wrote(store, make_record):
    store.write(record := make_record())
    assert ray_engine._attempt(record.spec, OPTIONS, store) == record


def test_an_attempt_leaves_alone_what_another_claimed(store, make_spec):
    with store.claim(make_spec()):
        assert ray_engine._attempt(make_spec(), OPTIONS, store) is None


def test_a_stopped_node_looks_to_ray_like_a_dead_worker(store, make_spec, monkeypatch):
    """Ray tries again only after a death; a cancelled attempt must not be tried again."""

    def interrupted(number):
        def train(*_arguments):
            raise interruption.TrainingInterrupted(number, "epoch 1")

        monkeypatch.setattr(running, "train_run", train)
        ray_engine._attempt(make_spec(), OPTIONS, store)

    monkeypatch.setattr(ray_engine.os, "_exit", sys.exit)
    with pytest.raises(SystemExit, match="143"):
        interrupted(signal.SIGTERM)
    with pytest.raises(interruption.TrainingInterrupted):
        interrupted(signal.SIGINT)


# A real cluster


@pytest.fixture(scope="module")
def cluster():
    """A cluster of two nodes on this machine, with a core each; all of it is gone after."""
    from ray.cluster_utils import Cluster

    small = {"num_cpus": 1, "object_store_memory": 80 * 1024**2, "include_dashboard": False}
    # A dead node is noticed within two seconds, instead of up to half a minute.
    watchful = {
        "health_check_initial_delay_ms": 0,
        "health_check_period_ms": 500,
        "health_check_failure_threshold": 3,
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        made = Cluster(initialize_head=True, head_node_args={**small, "_system_config": watchful})
        made.small = small
        made.second = made.add_node(**small)
        yield made
        made.shutdown()


@needs_ray
@pytest.mark.slow
@pytest.mark.long
def test_a_node_dies_and_another_continues_its_run(only_long, cluster, store, tmp_path, make_spec):
    """Every record is that of an undisturbed run, and what was trained is not trained again.

    Each node has a run, and two more wait.
    """
    specs = [make_spec(seed=seed, epochs=60, batch_size=64) for seed in range(4)]
    checkpoints = [store.run_dir(spec) / "checkpoint.pt" for spec in specs]
    saved, killed_at = {}, []

    def kill():
        """The second node, once both nodes have trained some epochs of their run."""

        def epochs():
            for spec, path in zip(specs, checkpoints, strict=True):
                if path.exists():
                    history = Checkpointer(path, spec.key).load()["progress"]["history"]
                    saved[spec] = history["seconds"]
            return len(saved) == 2 and all(len(each) >= 10 for each in saved.values())

        wait_until(epochs)
        cluster.remove_node(cluster.second, allow_graceful=False)
        killed_at.append(datetime.now(UTC).replace(microsecond=0))

    options = replace(OPTIONS, ray_address=cluster.address, checkpoint_seconds=0.1)
    killer = threading.Thread(target=kill)
    killer.start()
    finished = []
    ray_engine.train_all(ray_engine.Grid(specs, finished.append), options, store)
    killer.join()
    cluster.second = cluster.add_node(**cluster.small)

    assert sorted(r.spec.seed for r in finished) == [spec.seed for spec in specs]
    assert without_record(specs, store) == []
    records = {spec: store.find(spec) for spec in specs}
    assert len(store.all()[0]) == len(specs)
    whole = Store(tmp_path / "results", tmp_path / "whole")
    engine.train_all(engine.Grid(specs), replace(OPTIONS, threads=1), whole)
    for spec, record in records.items():
        assert outcome(record) == outcome(whole.find(spec))
    # One of the two first runs was begun again after the kill, and still its record holds, to the
    # digit, how long the epochs took that were trained before it.
    (resumed,) = [spec for spec in saved if len(records[spec].origin["segments"]) == 2]
    first, second = records[resumed].origin["segments"]
    assert first["sources"] == second["sources"] == origin.sources()
    assert datetime.fromisoformat(second["from"]) >= killed_at[0]
    before = saved[resumed]
    assert len(before) >= 10
    assert records[resumed].history["seconds"][: len(before)] == before
    assert not any(path.exists() for path in checkpoints)


@pytest.fixture(scope="module")
def grid(cluster, tmp_path_factory):
    """Four runs and two students, trained by way of ``ensure``: their store, error and complaints.

    The second run fails, and the third is claimed by another process for a while; one teacher is
    new, the other is published.
    """
    folder = tmp_path_factory.mktemp("ray")
    store = Store(folder / "results", folder / "runs")
    engine.train_all(engine.Grid([PUBLISHED]), replace(OPTIONS, threads=1), store)
    record = store.find(PUBLISHED)
    digest = trained_run.load_model(PUBLISHED, DATASETS["smoke-grey"], store, "a test")[1]
    trained_run.publish_weights(PUBLISHED, store, digest)
    shutil.move(store.run_dir(PUBLISHED) / "record.json", store.results / f"{record.name}.json")
    shutil.rmtree(store.run_dir(PUBLISHED))
    path = store.run_dir(PLAIN[1]) / "checkpoint.pt"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"damaged")
    elsewhere = store.claim(PLAIN[2])
    assert elsewhere.__enter__()
    written = []
    write = print

    def watch(*words, **keywords):
        written.append(" ".join(map(str, words)))
        if len([line for line in written if "test accuracy" in line]) == 2:
            elsewhere.__exit__(None, None, None)
        write(*words, **keywords)

    options = replace(OPTIONS, ray_address=cluster.address)
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stderr(io.StringIO()) as complaints,
        pytest.raises(MissingRunsError) as caught,
    ):
        patch.setattr("builtins.print", watch)
        ensuring.ensure([*PLAIN, *STUDENTS], options, store)
    return store, str(caught.value), complaints.getvalue()


@needs_ray
@pytest.mark.slow
def test_a_run_that_fails_is_named_and_the_others_arrive(grid):
    store, message, said = grid
    broken = PLAIN[1]
    path = store.run_dir(broken) / "checkpoint.pt"
    assert message.startswith("1 of 7 runs failed:\n")
    assert f"{broken.title}: CheckpointError: {path}: " in message
    assert without_record([*PLAIN, *STUDENTS], store) == [broken]
    assert f"failed: {broken.title}: CheckpointError" in said
    assert "[6/7]" in said
    commits = {store.find(spec).origin["commit"] for spec in PLAIN if spec != broken}
    assert commits == {engine.origin.commit()}


@needs_ray
@pytest.mark.slow
def test_students_learn_on_a_cluster_from_new_and_from_published_teachers(grid, tmp_path):
    """A published teacher is put where all nodes see it."""
    store, *_ = grid
    records = [store.find(student) for student in STUDENTS]
    assert records[0].origin["teacher_sha256"] == store.find(PUBLISHED).weights_sha256
    shared = {path.name for path in store.run_dir(PUBLISHED).iterdir()}
    assert shared >= {"record.json", "weights.safetensors"}
    assert store.find(NEW).origin["ended"] <= records[1].origin["started"]
    alone = Store(tmp_path / "results", tmp_path / "alone")
    engine.train_all(engine.Grid([PUBLISHED, NEW, *STUDENTS]), replace(OPTIONS, threads=1), alone)
    assert [outcome(each) for each in records] == [outcome(alone.find(spec)) for spec in STUDENTS]


@needs_ray
def test_missing_data_and_unshared_runs_are_told(store, make_spec, monkeypatch):
    """With a cluster that answers at once, here."""
    task = SimpleNamespace(options=lambda **_: task, remote=ray_engine._ready)
    monkeypatch.setattr("ray.remote", lambda **_: lambda function: task)
    monkeypatch.setattr(ray_engine, "wait", lambda refs, *_: refs)
    monkeypatch.setattr(ray_engine, "result", lambda ref: ref)
    nodes = [{"NodeID": "0" * 56, "NodeManagerAddress": "here"}]
    options = replace(OPTIONS, data_dir=str(store.runs))
    ray_engine.ask_nodes(nodes, [make_spec()], options, store)
    assert [*store.runs.iterdir()] == []
    (store.runs / "cifar10" / "train").mkdir(parents=True)
    told = rf"1 of 1 nodes cannot train:\n  here: {store.runs / 'cifar10'}"
    with pytest.raises(MissingRunsError, match=told):
        ray_engine.ask_nodes(nodes, [make_spec(dataset="cifar10-jpeg")], options, store)
    # As if the driver had written its mark on a disk of its own.
    monkeypatch.setattr(ray_engine, "write_text", lambda *_: None)
    with pytest.raises(MissingRunsError, match=f"here: it does not see the driver's {store.runs}"):
        ray_engine.ask_nodes(nodes, [make_spec()], options, store)


@needs_ray
@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="sends a signal")
def test_an_interrupt_saves_what_is_under_way_and_says_how_to_continue(cluster, store, make_spec):
    specs = [make_spec(seed=seed, epochs=5000) for seed in range(3)]
    options = replace(OPTIONS, ray_address=cluster.address)

    def interrupt():
        wait_until(lambda: len([*store.runs.glob("*/weights.safetensors")]) == 2)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(
        interruption.TrainingInterrupted, match="0 of 3 runs trained; the same command continues"
    ) as caught:
        ray_engine.train_all(ray_engine.Grid(specs), options, store)
    thread.join()
    assert caught.value.exit_status == 130
    assert len([*store.runs.glob("*/checkpoint.pt")]) == 2  # the third run waits for a core
