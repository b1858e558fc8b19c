"""Runs a list of specs in several processes of this machine, one run a process at a time."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from multiprocessing import connection
from typing import Any

from ...core.record import Record
from ...core.spec import RunSpec
from ...core.store import Store
from ...core.training_config import RuntimeOptions
from .. import device as devices
from .. import interruption
from . import local

#: What a process needs at most while it trains a network of the report.
_MEMORY_PER_WORKER = 2 * 1024**3

#: How often to look for a signal, and for a run that a process of another command has claimed.
_POLL_SECONDS = 0.5

check = local.check


def train_all(
    specs: Sequence[RunSpec],
    options: RuntimeOptions,
    store: Store,
    on_finished: local.OnFinished = local.nothing,
    measure: local.OnFinished = local.nothing,
) -> None:
    """Trains the runs, teachers before their students, and writes a record for each.

    As many at a time as `options.workers` says, each with one thread unless `options.threads` says
    otherwise; the numbers do not depend on how many.  `measure`, which must be fit for another
    process, is called in the one that trained the run, `on_finished` in this one.
    Ctrl-C and SIGTERM reach every training, which saves its state.  A process that is killed costs
    the run that it was training, and the failures of all are raised together, as
    `MissingRunsError`.
    """
    count = min(number(options), len(specs))
    options = replace(options, threads=options.threads or 1)
    if count == 1:
        local.train_all(specs, options, store, on_finished, measure)
        return
    grid = _Grid(list(specs))
    quiet = replace(options, progress=False)
    with interruption.deferred(), _Crew(count, quiet, store, measure) as crew:
        while grid.open:
            crew.hand_out(grid)
            for record in crew.take_in(grid):
                on_finished(record)
            if (signal_number := interruption.pending()) is not None:
                crew.stop(signal_number)
                raise interruption.TrainingInterrupted(signal_number, f"{len(grid.open)} runs")
    local.raise_failures(grid.failures, len(specs))


def number(options: RuntimeOptions) -> int:
    """How many runs are to be trained at a time.

    `auto` is one on a GPU, and on a CPU as many as there are cores and memory for.
    """
    if options.workers != "auto":
        return int(options.workers)
    if devices.resolve(options.device).type != "cpu":
        return 1
    # What this process may use, which in a container is less than there is.
    usable = getattr(os, "sched_getaffinity", None)
    cores = len(usable(0)) if usable else os.cpu_count() or 1
    try:
        memory = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # not on this system
        return cores
    return max(1, min(cores, memory // _MEMORY_PER_WORKER))


@dataclass
class _Grid:
    """Which runs are still `open`, and what has failed."""

    open: list[RunSpec]
    failures: list[str] = field(default_factory=list)
    #: When a run that another command's process is training may be asked for again.
    _again_at: dict[RunSpec, float] = field(default_factory=dict)
    _given: set[RunSpec] = field(default_factory=set)

    def next(self) -> RunSpec | None:
        """The next run whose teacher is there and that nobody trains."""
        now = time.monotonic()
        for spec in self.open:
            waits = spec.teacher in self.open or self._again_at.get(spec, 0) > now
            if spec not in self._given and not waits:
                self._given.add(spec)
                return spec
        return None

    def put_back(self, spec: RunSpec) -> None:
        """For a run that nobody here trains, perhaps since another command's process does."""
        self._given.remove(spec)
        self._again_at[spec] = time.monotonic() + _POLL_SECONDS

    def fail(self, spec: RunSpec, why: str) -> None:
        local.note_failure(self.failures, spec, why)
        self.open.remove(spec)


class _Worker:
    """A process, what it trains, and the line to it."""

    def __init__(self, options: RuntimeOptions, store: Store, measure: local.OnFinished) -> None:
        context = multiprocessing.get_context("spawn")
        self.line, other_end = context.Pipe()
        self.process = context.Process(target=_work, args=(other_end, options, store, measure))
        self.process.start()
        other_end.close()  # the process has its own, with which the line ends
        self.spec: RunSpec | None = None
        self._began = False

    def give(self, spec: RunSpec) -> None:
        self.spec, self._began = spec, False
        with suppress(OSError):  # it has just ended, which its answer tells
            self.line.send(spec)

    def answer(self) -> tuple[str, str]:
        """What became of its run, and why: one that it never began is `put back`."""
        try:
            outcome, why = self.line.recv()
        except (EOFError, OSError):
            self.process.join()
            self.spec = None
            return "failed" if self._began else "put back", (
                f"its process ended (exit code {self.process.exitcode}); if the system killed it "
                "for its memory, take fewer --workers"
            )
        self._began = True
        self.spec = self.spec if outcome == "began" else None
        return outcome, why


class _Crew:
    """The processes, all of which end with the block."""

    def __init__(
        self, count: int, options: RuntimeOptions, store: Store, measure: local.OnFinished
    ) -> None:
        self._make = partial(_Worker, options, store, measure)
        self._store = store
        self._workers = [self._make() for _ in range(count)]

    def __enter__(self) -> _Crew:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.process.kill()  # it is idle, or was stopped before
            worker.process.join()
            worker.line.close()

    def hand_out(self, grid: _Grid) -> None:
        """Gives a run to each process that has none."""
        for index, worker in enumerate(self._workers):
            if worker.spec is None and not worker.process.is_alive():
                worker = self._workers[index] = self._make()
            if worker.spec is None and (spec := grid.next()) is not None:
                worker.give(spec)

    def take_in(self, grid: _Grid) -> Iterator[Record]:
        """Waits for a moment; the records of those runs that finished here."""
        busy = [worker for worker in self._workers if worker.spec is not None]
        if not busy:
            time.sleep(_POLL_SECONDS)
            return
        ready = connection.wait([worker.line for worker in busy], _POLL_SECONDS)
        for worker in [worker for worker in busy if worker.line in ready]:
            spec = worker.spec
            assert spec is not None
            outcome, why = worker.answer()
            if outcome == "put back":
                grid.put_back(spec)
            elif outcome in ("trained", "present"):
                grid.open.remove(spec)
                record = self._store.find(spec)
                if outcome == "trained" and record is not None:
                    yield record
            elif outcome == "failed":
                grid.fail(spec, why)

    def stop(self, signal_number: int) -> None:
        """Passes a signal on to every training and waits until its state is saved."""
        busy = [worker for worker in self._workers if worker.spec is not None]
        for worker in busy:
            assert worker.process.pid is not None
            with suppress(ProcessLookupError):
                os.kill(worker.process.pid, signal_number)
        for worker in busy:
            worker.process.join()


def _work(
    line: connection.Connection,
    options: RuntimeOptions,
    store: Store,
    measure: local.OnFinished,
) -> None:
    """Trains what comes over the line, in a process of its own, until the line ends."""
    if hasattr(os, "setsid"):
        os.setsid()  # Ctrl-C reaches the first process alone, which passes it on once
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: os._exit(0))  # while it trains, `interruption` listens
    threading.Thread(
        target=_end_with, args=(multiprocessing.parent_process(),), daemon=True
    ).start()
    with suppress(EOFError, OSError):
        while True:
            spec = line.recv()
            line.send(("began", ""))
            line.send(_train(spec, options, store, measure))


def _train(
    spec: RunSpec, options: RuntimeOptions, store: Store, measure: local.OnFinished
) -> tuple[str, str]:
    with store.claim(spec) as mine:
        if not mine:
            return "put back", ""
        try:
            if store.find(spec) is not None:
                return "present", ""
            measure(local.train_claimed(spec, options, store))
        except KeyboardInterrupt:
            os._exit(0)
        except Exception as error:
            return "failed", f"{type(error).__name__}: {error}"
        return "trained", ""


def _end_with(parent: Any) -> None:
    """Stops the training, and with it this process, where the first process is gone."""
    connection.wait([parent.sentinel])
    os.kill(os.getpid(), signal.SIGTERM)
