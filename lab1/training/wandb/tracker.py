"""Sends a training to Weights & Biases, in a thread of its own, so that it waits for nothing."""

from __future__ import annotations

import os
import queue
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...core import files
from ...core.record import Record
from ...core.spec import RunSpec
from ...core.training_config import RuntimeOptions
from ..callbacks import Callback, Metrics
from . import client, mapping

if TYPE_CHECKING:
    from ..trainer import StreamlinedTrainer

#: How long a finished run waits for its last messages: enough for a start that fails at its limit,
#: for the end of that client at its own, and for keeping the run offline.
CLOSE_SECONDS = client.INIT_SECONDS + client.FINISH_SECONDS + 10

#: The same for a run that was interrupted, whose user wants the prompt back.
ABANDON_SECONDS = 5.0

#: Messages that may wait to be sent; more only come together where W&B has stopped answering.
_QUEUE_SIZE = 1000

#: What is done with the W&B run, in the thread.
Action = Callable[[Any], None]

#: Set once W&B did not answer in time: later runs of this process are then kept offline.
_unreachable = threading.Event()

#: Set once this process has said that it keeps runs offline.
_told_offline = threading.Event()


def check(options: RuntimeOptions) -> None:
    """Raises `TrackingError` where what `report_to` needs is missing."""
    if options.report_to is not None:
        client.check_installed()


@contextmanager
def reporting(
    spec: RunSpec, options: RuntimeOptions, runs: Path | None = None
) -> Iterator[Tracker | None]:
    """A tracker for the block, where `options` ask for one.

    W&B's own files go into `runs/wandb/`, by default that of the project.
    """
    check(options)
    if options.report_to is None:
        yield None
        return
    tracker = Tracker(spec, runs or files.runs_dir(), options.wandb_project)
    try:
        yield tracker
    finally:
        tracker.close()


class Tracker(Callback):
    """Reports one run: its configuration, its epochs, and its record at the end.

    A thread sends what comes through a queue of limited length; nothing that goes wrong there
    raises.  Where W&B cannot be had at the start, the run is kept offline.

    A training that continues from a checkpoint reports its earlier epochs again first; a W&B run
    of the same key is written anew, so none is lost and none is there twice.
    """

    def __init__(self, spec: RunSpec, runs: Path, project: str | None = None) -> None:
        self._spec = spec
        self._runs = runs
        self._project = project
        self._actions: queue.Queue[Action | None] = queue.Queue(_QUEUE_SIZE)
        # A daemon, since a thread that waits for W&B must not keep the program from ending.
        self._thread = threading.Thread(target=self._send, name="wandb", daemon=True)
        self._reported = 0
        self._finished = False
        self._warned = False

    def on_train_begin(self, trainer: StreamlinedTrainer) -> None:
        self._thread.start()
        self._report(trainer.history)

    def on_epoch_end(self, trainer: StreamlinedTrainer, epoch: int, metrics: Metrics) -> None:
        self._report(trainer.history)

    def finish(self, record: Record, weights: Path | None) -> None:
        """Reports the outcome; `weights` is the file of the best weights, where there is one."""
        # An epoch that diverged ends no epoch in the eyes of a callback.
        self._report(record.history)
        self._put(lambda run: client.log_outcome(self._wandb(), run, record, weights))
        self._finished = True

    def close(self) -> None:
        """Ends the W&B run, as failed where there was no record, and waits for it within limits."""
        if self._thread.ident is None:  # the training has not begun
            return
        self._put(lambda run: run.finish(exit_code=0 if self._finished else 1))
        with suppress(queue.Full):  # the thread is stuck then, and the wait will tell
            self._actions.put_nowait(None)
        limit = CLOSE_SECONDS if self._finished else ABANDON_SECONDS
        self._thread.join(limit)
        if self._thread.is_alive():
            _unreachable.set()
            self._warn(f"it did not answer within {limit:g} s")

    def _report(self, history: Mapping[str, Sequence[float | None]]) -> None:
        new = mapping.rows(history)[self._reported :]
        if new:
            self._put(lambda run: client.log_rows(run, new))
            self._reported += len(new)

    def _put(self, action: Action) -> None:
        """Has the thread do something with the run, some time."""
        try:
            self._actions.put_nowait(action)
        except queue.Full:
            self._warn("it does not keep up, so that epochs are missing there")

    # In the thread

    def _send(self) -> None:
        try:
            run = self._open()
        except Exception as error:
            self._warn(error)
            return
        while (action := self._actions.get()) is not None:
            try:
                action(run)
            except Exception as error:
                if isinstance(error, TimeoutError):
                    _unreachable.set()
                self._warn(error)

    def _wandb(self) -> Any:
        """The module, whose import takes a second."""
        return client.client(self._runs)

    def _open(self) -> Any:
        run = self._connect() or self._start(offline=True)
        if run.offline and not _told_offline.is_set():
            _told_offline.set()
            folder = Path(run.dir).parent
            _say(f"runs are kept offline; `wandb sync {folder}` sends this one later")
        return run

    def _connect(self) -> Any:
        """The run in the mode that WANDB_MODE asks for; `None` without a key or an answer."""
        try:
            if client.has_credentials(self._wandb()) and not _unreachable.is_set():
                return self._start(offline=False)
        except Exception as error:
            _unreachable.set()
            self._warn(error)
            client.forget_failed_start(self._wandb())
        return None

    def _start(self, offline: bool) -> Any:
        # WANDB_MODE=disabled is respected even so.
        mode = "offline" if offline and os.environ.get("WANDB_MODE") != "disabled" else None
        wandb, spec = self._wandb(), self._spec
        return client.start_run(
            wandb, spec, spec.recipes, self._runs, mode=mode, project=self._project
        )

    def _warn(self, error: object) -> None:
        """One line per run, whatever goes wrong how often."""
        if not self._warned:
            self._warned = True
            _say(
                f"{client.redacted(error)}. The training goes on; "
                f"`python -m lab1 wandb push {self._spec.key}` sends the run later"
            )


def _say(text: str) -> None:
    print(f"lab1: Weights & Biases: {text}", file=sys.stderr, flush=True)
