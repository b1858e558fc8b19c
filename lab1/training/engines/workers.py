"""Runs a list of specs in several processes of this machine, one run a process at a time."""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from multiprocessing import connection
from typing import Any, cast

from ...core.spec import RunSpec
from ...core.store import Store
from ...core.training_config import RuntimeOptions, usable_cores
from .. import device as devices
from .. import interruption
from . import Grid, OnFinished, local

#: What a process needs at most while it trains a network of the report.
_MEMORY_PER_WORKER = 2 * 1024**3

#: How often to look for a signal.
_LOOK_SECONDS = 0.5

check = local.check


def train_all(grid: Grid, options: RuntimeOptions, store: Store) -> None:
    """Trains as many runs at a time as `options.workers` says, each with one thread unless
    `options.threads` says otherwise; the numbers do not depend on how many.

    The grid's `measure` must be fit for another process.  One that is killed costs the run that it
    was training.  All else is as `Engine` says.
    """
    count = min(number(options), len(grid.specs))
    options = replace(options, threads=options.threads or 1)
    if count == 1:
        local.train_all(grid, options, store)
        return
    quiet = replace(options, progress=False)
    workers: list[_Worker] = []
    with interruption.deferred():
        try:
            while grid.open:
                # In the place of one that was killed comes another.
                workers = [w for w in workers if w.spec or w.process.is_alive()]
                while len(workers) < count:
                    workers.append(_Worker(quiet, store, grid.measure))
                for worker in workers:
                    if worker.spec is None and (spec := grid.next()) is not None:
                        worker.dispatch(spec)
                _collect(workers, grid, store)
                if (signal_number := interruption.pending()) is not None:
                    _stop(workers, signal_number)
                    raise interruption.TrainingInterrupted(signal_number, f"{len(grid.open)} runs")
        finally:
            for worker in workers:
                worker.process.kill()  # it is idle, or was stopped before
                worker.process.join()
                worker.connection.close()
    grid.raise_failures()


def number(options: RuntimeOptions) -> int:
    """How many runs are to be trained at a time.

    `auto` is one on a GPU, and on a CPU as many as there are cores and memory for.
    """
    if options.workers != "auto":
        return int(options.workers)
    if devices.resolve(options.device).type != "cpu":
        return 1
    cores = usable_cores()
    try:
        memory = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # not on this system
        return cores
    return max(1, min(cores, memory // _MEMORY_PER_WORKER))


class _Worker:
    """A process that trains one run at a time, and the connection to it."""

    def __init__(self, options: RuntimeOptions, store: Store, measure: OnFinished) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, other_end = context.Pipe()
        self.process = context.Process(target=_work, args=(other_end, options, store, measure))
        self.process.start()
        other_end.close()  # the process has its own, with which the connection ends
        self.spec: RunSpec | None = None
        self._began = False

    def dispatch(self, spec: RunSpec) -> None:
        """Gives a run to the process."""
        self.spec, self._began = spec, False
        with suppress(OSError):  # it has just ended, which `collect` tells
            self.connection.send(spec)

    def collect(self) -> tuple[str, str]:
        """What became of its run, and why: one that it never began is `put back`."""
        try:
            outcome, reason = self.connection.recv()
        except (EOFError, OSError):
            self.process.join()
            self.spec = None
            return "failed" if self._began else "put back", (
                f"its process ended (exit code {self.process.exitcode}); if the system killed it "
                "for its memory, take fewer --workers"
            )
        self._began = True
        self.spec = self.spec if outcome == "began" else None
        return outcome, reason


def _collect(workers: Sequence[_Worker], grid: Grid, store: Store) -> None:
    """Waits for a moment, and enters what became of the runs."""
    busy = {worker.connection: worker for worker in workers if worker.spec is not None}
    if not busy:
        time.sleep(_LOOK_SECONDS)
        return
    for ready in connection.wait(list(busy), _LOOK_SECONDS):
        worker = busy[cast(connection.Connection, ready)]
        spec = worker.spec
        assert spec is not None
        outcome, reason = worker.collect()
        if outcome == "put back":
            grid.put_back(spec)
        elif outcome == "failed":
            grid.fail(spec, reason)
        elif outcome in ("trained", "present"):
            grid.finish(spec)
            record = store.find(spec)
            if outcome == "trained" and record is not None:
                grid.on_finished(record)


def _stop(workers: Sequence[_Worker], signal_number: int) -> None:
    """Passes a signal on to every training and waits until its state is saved."""
    busy = [worker.process for worker in workers if worker.spec is not None]
    for process in busy:
        assert process.pid is not None
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal_number)
    for process in busy:
        process.join()


def _work(
    line: connection.Connection, options: RuntimeOptions, store: Store, measure: OnFinished
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
    spec: RunSpec, options: RuntimeOptions, store: Store, measure: OnFinished
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
