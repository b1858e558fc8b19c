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

from __future__ import annotations

import importlib.util
import os
import signal
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...core.families import FAMILIES
from ...core.record import Record
from ...core.spec import RunSpec
from ...core.store import Store
from ...core.training_config import RuntimeOptions
from ...errors import MissingRunsError, ParameterError
from .. import interruption
from ..trained_run import share_weights
from . import local, ray_cluster

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
#: How long to leave alone a run that was claimed elsewhere.
_POLL_SECONDS = 2.0


@dataclass(frozen=True)
class Needs:
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
        raise ParameterError(
            f"device = {options.device!r} is not allowed with engine = 'ray'; allowed: auto, cpu, "
            "cuda (Ray chooses the GPU)"
        )
    if options.ray_address not in (None, "auto"):
        ray_cluster.check_address(options.ray_address or "")


def train_all(
    specs: Sequence[RunSpec],
    options: RuntimeOptions,
    store: Store,
    on_finished: local.OnFinished = local.nothing,
    measure: local.OnFinished = local.nothing,
) -> None:
    """Trains the runs on a Ray cluster; each leaves its record in the shared folder.

    A run is submitted once its teacher, where it is among them, has finished.  Without an address
    the cluster that this machine has joined is used, else one is started here, and stopped at the
    end.  A run whose worker or node dies is tried again and continues from its
    checkpoint; one that fails does not keep the others from being trained.  The failures are raised
    together as `MissingRunsError`, which is also raised, before anything is
    trained, where a node lacks the data or does not see `runs/`.  Ctrl-C and SIGTERM let every
    run under way save its state, and raise
    `TrainingInterrupted`.
    """
    if not specs:
        return
    store = Store(store.results.absolute(), store.runs.absolute())
    if options.data_dir is not None:
        options = replace(options, data_dir=str(Path(options.data_dir).expanduser().absolute()))
    with interruption.deferred(), ray_cluster.connected(options, store) as nodes:
        device = _device(options.device, nodes)
        options = replace(options, device=device, progress=False)
        largest = int(max(node["Resources"].get("CPU", 0) for node in nodes))
        wanted = {spec: needs(spec, options, largest) for spec in specs}
        for teacher in {spec.teacher for spec in specs if spec.teacher is not None}:
            share_weights(teacher, store)  # nodes need not see results/
        ray_cluster.ask_nodes(_fitting(nodes, set(wanted.values())), specs, options, store)

        def finished(record: Record) -> None:
            measure(record)  # here, where data and shared folder are
            on_finished(record)

        _Grid(wanted, options, store, finished).train()


def _device(asked: str, nodes: Sequence[Mapping[str, Any]]) -> str:
    """One kind of device for the whole grid, since runs of two kinds cannot be compared."""
    present = any(node["Resources"].get("GPU", 0) > 0 for node in nodes)
    if asked == "cuda" and not present:
        raise ParameterError(
            "device = 'cuda' is not allowed: no node of the Ray cluster has a GPU; allowed: auto, "
            "cpu"
        )
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


class _Grid:
    """The driver's side: submits, collects, and cancels."""

    def __init__(
        self,
        wanted: Mapping[RunSpec, Needs],
        options: RuntimeOptions,
        store: Store,
        on_finished: local.OnFinished,
    ) -> None:
        import ray

        self._wanted = wanted
        self._arguments = (options, store)
        self._on_finished = on_finished
        self._task = ray.remote(max_retries=_RETRIES)(_attempt)
        self._queue = deque(spec for spec in wanted if spec.teacher not in wanted)
        #: Runs that have to wait for the weights of a teacher, by teacher.
        self._students: dict[RunSpec, list[RunSpec]] = {}
        for spec in wanted:
            if spec.teacher is not None and spec.teacher in wanted:
                self._students.setdefault(spec.teacher, []).append(spec)
        self._running: dict[Any, RunSpec] = {}
        #: Runs that another process claimed, with the time at which to try them again.
        self._elsewhere: deque[tuple[float, RunSpec]] = deque()
        self._done = 0
        self._failures: list[str] = []

    def train(self) -> None:
        """Returns when every run has its record, raises when some failed."""
        while self._queue or self._running or self._elsewhere:
            while self._elsewhere and self._elsewhere[0][0] <= time.monotonic():
                self._queue.append(self._elsewhere.popleft()[1])
            self._submit()
            if self._running:
                self._collect(ray_cluster.wait(list(self._running), 1, 1.0))
            else:
                time.sleep(0.1)
            if (number := interruption.pending()) is not None:
                self._cancel(number)
        local.raise_failures(self._failures, len(self._wanted))

    def _submit(self) -> None:
        while self._queue and len(self._running) < _IN_FLIGHT:
            spec = self._queue.popleft()
            asked = self._wanted[spec]
            task = self._task.options(
                name=spec.name, num_cpus=asked.cpus, num_gpus=asked.gpus or None
            )
            options, store = self._arguments
            options = replace(options, threads=asked.cpus)
            self._running[task.remote(spec, options, store)] = spec

    def _collect(self, finished: Sequence[Any]) -> None:
        for ref in finished:
            spec = self._running.pop(ref)
            result = ray_cluster.result(ref)
            if result is None:
                self._elsewhere.append((time.monotonic() + _POLL_SECONDS, spec))
                continue
            # Where the teacher failed, they are told so when they look for its weights.
            self._queue.extend(self._students.pop(spec, ()))
            if isinstance(result, Record):
                self._done += 1
                self._on_finished(result)
            else:
                local.note_failure(self._failures, spec, result)

    def _cancel(self, number: int) -> None:
        """Stops all tasks; those under way finish their step and save it first."""
        import ray

        for ref in self._running:
            ray.cancel(ref)
        ended = ray_cluster.wait(list(self._running), len(self._running), _FAREWELL_SECONDS)
        for ref in ended:
            if isinstance(record := ray_cluster.result(ref), Record):  # it finished meanwhile
                self._done += 1
                self._on_finished(record)
        raise interruption.TrainingInterrupted(
            number, f"a grid on Ray, {self._done} of {len(self._wanted)} runs trained"
        )
