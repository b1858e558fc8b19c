"""Runs a list of specs on a Ray cluster: each is a task, and becomes a record as it finishes.

`LAB1_RUNS` must be a folder that all nodes see under the same path: there a run that is tried
again on another node finds its checkpoint.  The sources travel with the tasks, so that all nodes
train with those of the driver.

**What keeps a run from being trained twice.**  The driver submits each run once, and Ray starts it
again only where its worker or node died.  A worker outlives its node's connection by seconds at
most, and holds the run's claim meanwhile: the new attempt finds it held and comes back later.  The
claim is a lock of the file system (flock); whether it holds between machines depends on the file
system.  Where it does not, two attempts may overlap for those seconds.  Each file still appears
whole, and the record is that of one attempt; but an attempt that lags behind may, just before its
end, put the weights of an earlier epoch in the place of the best ones, or leave a checkpoint behind
that nobody reads any more.
"""

import importlib.util
import logging
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from ...core import files, weights_file
from ...core.families import FAMILIES
from ...core.files import write_text
from ...core.record import Record
from ...core.spec import RunSpec
from ...core.store import Store
from ...core.training_config import RuntimeOptions
from ...errors import Lab1Error, MissingRunsError, ParameterError, not_allowed
from .. import data, interruption, origin
from ..trained_run import share_weights
from . import Grid, local

_CONNECT_SECONDS = 20.0

#: For all nodes to start a worker, import torch and read the data.
_ANSWER_SECONDS = 300.0

#: Tasks given to Ray and not yet back.  The driver keeps some kilobytes for each, and every look
#: for finished ones goes through them all; a cluster needs no more than its cores to stay busy.
_IN_FLIGHT = 2_000

#: How often a run is tried again after the death of its worker or node.
_RETRIES = 5

#: Cores for a run of the other families on the CPU, where the options do not say.
_THREADS = 4

#: A multilayer perceptron leaves most of a GPU idle.
_GPU_SHARE = 0.25

#: For interrupted runs to finish their step and save it.
_FAREWELL_SECONDS = 60.0


class Needs(NamedTuple):
    """What a run asks of a node: cores of its CPU, and GPUs (of which it may share one)."""

    cpus: int
    gpus: float = 0.0


def needs(spec: RunSpec, options: RuntimeOptions, largest: int) -> Needs:
    """The needs of one run; `largest` is the number of cores of the largest node.

    A run on the CPU gets a core for each of its threads.
    """
    small = FAMILIES[spec.model.family].single_threaded
    if options.device == "cuda":
        return Needs(options.threads or 1, _GPU_SHARE if small else 1.0)
    return Needs(options.threads or (1 if small else min(_THREADS, largest)))


def check(specs: Sequence[RunSpec], options: RuntimeOptions) -> None:
    """Raises what can be told without the cluster: no Ray, a wrong device, a dead address."""
    if importlib.util.find_spec("ray") is None:
        raise MissingRunsError(
            f"{len(specs)} runs have no record (the first: {specs[0].title}), and Ray is not "
            "installed to train them with engine = 'ray'. Install the extra 'ray': "
            "pip install -e '.[train,ray]'"
        )
    if options.device not in ("auto", "cpu", "cuda"):
        allowed = "auto, cpu, cuda (Ray chooses the GPU)"
        raise not_allowed("device", options.device, allowed, case="with engine = 'ray'")
    if options.ray_address not in (None, "auto"):
        check_address(options.ray_address or "")


def train_all(grid: Grid, options: RuntimeOptions, store: Store) -> None:
    """Trains the runs on a Ray cluster; each leaves its record in the shared folder.

    Without an address the cluster that this machine has joined is used, else one is started here,
    and stopped at the end.  A run whose worker or node dies is tried again and continues from its
    checkpoint.  `MissingRunsError` is also raised, before anything is trained, where a node lacks
    the data or does not see `runs/`.  All else is as `Engine` says.
    """
    specs = grid.specs
    store = Store(store.results.absolute(), store.runs.absolute())
    if options.data_dir is not None:
        options = replace(options, data_dir=str(Path(options.data_dir).expanduser().absolute()))
    with interruption.deferred(), connected(options, store) as nodes:
        device = _device(options.device, nodes)
        options = replace(options, device=device, progress=False)
        largest = int(max(node["Resources"].get("CPU", 0) for node in nodes))
        needed = {spec: needs(spec, options, largest) for spec in specs}
        sources = {weights_file.pretraining(spec, store) for spec in specs}
        for source in sources | {spec.teacher for spec in specs}:
            if source is not None:
                share_weights(source, store)  # nodes need not see results/
        ask_nodes(_fitting(nodes, set(needed.values())), specs, options, store)
        _train(grid, needed, options, store)


def _train(
    grid: Grid, needed: Mapping[RunSpec, Needs], options: RuntimeOptions, store: Store
) -> None:
    """Submits the runs and collects them; on a signal cancels those under way."""
    import ray

    task = ray.remote(max_retries=_RETRIES)(_attempt)
    running: dict[Any, RunSpec] = {}
    trained = 0
    while grid.open:
        while len(running) < _IN_FLIGHT and (spec := grid.next()) is not None:
            asked = needed[spec]
            placed = task.options(name=spec.name, num_cpus=asked.cpus, num_gpus=asked.gpus or None)
            running[placed.remote(spec, replace(options, threads=asked.cpus), store)] = spec
        ended = wait(list(running), 1, 1.0)
        if (number := interruption.pending()) is not None:
            for ref in running:
                ray.cancel(ref)  # it finishes its step and saves it first
            ended = wait(list(running), len(running), _FAREWELL_SECONDS)
        for ref in ended:
            spec, outcome = running.pop(ref), result(ref)
            if isinstance(outcome, Record):
                trained += 1
                grid.finish(spec)
                grid.measure(outcome)  # here, where data and shared folder are
                grid.on_finished(outcome)
            elif number is None and outcome is None:
                grid.put_back(spec)
            elif number is None:
                grid.fail(spec, outcome)
        if number is not None:
            raise interruption.TrainingInterrupted(
                number, f"a grid on Ray, {trained} of {grid.planned} runs trained"
            )
    grid.raise_failures()


def _device(asked: str, nodes: Sequence[Mapping[str, Any]]) -> str:
    """One kind of device for the whole grid, since runs of two kinds cannot be compared."""
    present = any(node["Resources"].get("GPU", 0) > 0 for node in nodes)
    if asked == "cuda" and not present:
        case = "where no node of the Ray cluster has a GPU"
        raise not_allowed("device", asked, "auto, cpu", case=case)
    return "cuda" if present and asked != "cpu" else "cpu"


def _fitting(nodes: Sequence[dict[str, Any]], asked: set[Needs]) -> list[dict[str, Any]]:
    """The nodes on which some run fits; raises where a run fits on none and would wait forever."""

    def fits(node: Mapping[str, Any], each: Needs) -> bool:
        has = node["Resources"]
        return bool(has.get("CPU", 0) >= each.cpus and has.get("GPU", 0) >= each.gpus)

    for each in asked:
        if not any(fits(node, each) for node in nodes):
            raise MissingRunsError(
                f"a run needs {each.cpus} CPU cores and {each.gpus:g} GPUs, and no node of the Ray "
                "cluster has them; start a larger node, or ask for fewer threads"
            )
    return [node for node in nodes if any(fits(node, each) for each in asked)]


def _attempt(spec: RunSpec, options: RuntimeOptions, store: Store) -> Record | str | None:
    """On a node: the record, or why there is none; `None` for a run claimed elsewhere.

    An attempt whose worker died after it wrote the record finds it here.
    """
    try:
        with store.claim(spec) as mine:
            return (store.find(spec) or local.train_claimed(spec, options, store)) if mine else None
    except interruption.TrainingInterrupted as interrupt:
        if interrupt.exit_status == 128 + signal.SIGTERM:
            # The node is being stopped: to Ray the worker died, so that another one continues.
            os._exit(interrupt.exit_status)
        raise  # the driver cancelled it
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def check_address(address: str) -> None:
    """Bounded in time, where `ray.init` waits minutes for an address that nobody answers."""
    host, _, port = address.rpartition(":")
    if not host or "/" in host or not port.isdigit() or int(port) > 65535:
        allowed = "auto, or HOST:PORT as `ray start --head` prints it"
        raise not_allowed("address", address, allowed)
    try:
        socket.create_connection((host, int(port)), _CONNECT_SECONDS).close()
        # Somebody answers; is it Ray?
        subprocess.run(
            [sys.executable, "-m", "ray.scripts.scripts", "status", "--address", address],
            capture_output=True,
            check=True,
            timeout=_CONNECT_SECONDS,
        )
    except (OSError, subprocess.SubprocessError) as error:
        why = "what answers there does not answer as Ray does"
        if isinstance(error, OSError):
            why = error.strerror or str(error)
        raise ParameterError(
            f"address = {address!r}: no Ray cluster can be reached there ({why}); is the head node "
            "up (`ray start --head`), and has this machine joined (`ray start --address`)?"
        ) from error


@contextmanager
def connected(options: RuntimeOptions, store: Store) -> Iterator[list[dict[str, Any]]]:
    """Inside the block this process is a driver; yields the nodes that are alive."""
    import ray

    # The sources and the folders of the driver, for all workers.
    variables = {
        "LAB1_RUNS": str(store.runs),
        "LAB1_HOME": str(files.project_root()),
        "LAB1_COMMIT": origin.commit(),
    }
    if os.environ.get("LAB1_DATA"):  # else each node may have its own
        variables["LAB1_DATA"] = str(files.data_dir().absolute())
    modules = {"py_modules": [str(files.PACKAGE)], "excludes": ["__pycache__"]}
    if ray.is_initialized():
        raise Lab1Error("this process is connected to Ray already; call ray.shutdown() first")
    try:
        ray.init(
            address=options.ray_address,
            runtime_env={"env_vars": variables, **modules},
            log_to_driver=False,  # what a run has to say comes back with it
            logging_level=logging.WARNING,
            include_dashboard=False,
        )
    except Exception as error:  # Ray raises many kinds
        raise ParameterError(
            f"address = {options.ray_address!r}: Ray cannot be used there: {error}"
        ) from error
    try:
        yield [node for node in ray.nodes() if node["Alive"]]
    finally:
        ray.shutdown()


def ask_nodes(
    nodes: Sequence[Mapping[str, Any]],
    specs: Sequence[RunSpec],
    options: RuntimeOptions,
    store: Store,
) -> None:
    """Raises now what every run on a node would raise."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    examples = list({spec.dataset: spec for spec in specs}.values())
    mark = store.runs / f".seen-by-all-nodes-{uuid.uuid4().hex}"
    write_text(mark, "")
    # Without cores of its own the question is not kept waiting by what a node is busy with.
    ask = ray.remote(num_cpus=0, max_retries=0)(_ready)
    asked = {}
    for node in nodes:
        there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        question = ask.options(scheduling_strategy=there).remote(examples, options, mark)
        asked[question] = node["NodeManagerAddress"]
    try:
        answers = wait(list(asked), len(asked), _ANSWER_SECONDS)
    finally:
        mark.unlink(missing_ok=True)
    problems = [f"{asked[ref]}: {words}" for ref in answers if (words := result(ref)) is not None]
    problems += [f"{asked[ref]}: no answer" for ref in asked if ref not in answers]
    if problems:
        lines = "\n".join(f"  {problem}" for problem in problems)
        raise MissingRunsError(f"{len(problems)} of {len(asked)} nodes cannot train:\n{lines}")


def _ready(specs: Sequence[RunSpec], options: RuntimeOptions, mark: Path) -> str | None:
    """On a node: why it cannot train, or `None`."""
    if not mark.exists():
        return (
            f"it does not see the driver's {mark.parent}; LAB1_RUNS must name a folder that all "
            "nodes share"
        )
    try:
        for spec in specs:
            data.load(spec.dataset, options.data_dir)
    except Lab1Error as error:
        return str(error)
    return None


def wait(refs: list[Any], number: int, seconds: float) -> list[Any]:
    """All that have ended once `number` have, or the time is up."""
    import ray

    if not refs:
        time.sleep(0.1)
        return []
    ray.wait(refs, num_returns=min(number, len(refs)), timeout=seconds)
    return list(ray.wait(refs, num_returns=len(refs), timeout=0)[0])


def result(ref: Any) -> Any:
    """What a task returned, or, where it did not return, why in a line."""
    import ray

    try:
        return ray.get(ref)
    except ray.exceptions.RayError as error:
        lines = str(error).strip().splitlines() or [""]
        return f"{type(error).__name__}: {lines[-1 if 'Traceback' in lines[0] else 0]}"
