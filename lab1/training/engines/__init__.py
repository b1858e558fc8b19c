"""What trains a list of runs: this process, several, torchrun's, or a Ray cluster."""

import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from ...core.record import Record
from ...core.spec import RunSpec
from ...core.store import Store
from ...core.training_config import RuntimeOptions
from ...errors import MissingRunsError

#: Called with the record of a run that finished here.
OnFinished = Callable[[Record], None]

#: How long to leave alone a run that a process of another command has claimed.
POLL_SECONDS = 1.0


def do_nothing(record: Record) -> None:
    """Does nothing with a record."""


class Grid:
    """The runs of a command: those without an outcome, those that wait, and those that failed.

    A run waits for its teacher, where that is among them, and for a process of another command
    that has claimed it.  `measure` is called with the record of each right after its training, and
    where it took place if that can be; then `on_finished`, in this process.
    """

    def __init__(
        self,
        specs: Sequence[RunSpec],
        on_finished: OnFinished = do_nothing,
        measure: OnFinished = do_nothing,
    ) -> None:
        self.specs, self.on_finished, self.measure = specs, on_finished, measure
        #: The runs without an outcome yet.
        self.open = set(specs)
        self.planned = len(self.open)
        self._waiting = dict.fromkeys(specs)
        self._not_before: dict[RunSpec, float] = {}
        self._failures: list[str] = []

    def next(self) -> RunSpec | None:
        """Takes the next run that can be trained now; `None` where each has to wait.

        The students of a teacher that failed are tried, and told so when they look for its weights.
        """
        now = time.monotonic()
        for spec in self._waiting:
            if spec.teacher not in self.open and self._not_before.get(spec, now) <= now:
                del self._waiting[spec]
                return spec
        return None

    def put_back(self, spec: RunSpec) -> None:
        """Lets a run that another command's process has claimed wait for a moment."""
        self._waiting[spec] = None
        self._not_before[spec] = time.monotonic() + POLL_SECONDS

    def finish(self, spec: RunSpec) -> None:
        """Enters that a run has its record."""
        self.open.remove(spec)

    def fail(self, spec: RunSpec, reason: str) -> None:
        """Tells the failure of a run at once, and keeps it for the end."""
        self.open.remove(spec)
        self._failures.append(f"{spec.title}: {reason}")
        print(f"failed: {self._failures[-1]}", file=sys.stderr, flush=True)

    def raise_failures(self) -> None:
        """Raises the failures together, where there are any."""
        if self._failures:
            lines = "\n".join(f"  {failure}" for failure in self._failures)
            raise MissingRunsError(f"{len(self._failures)} of {self.planned} runs failed:\n{lines}")


class Engine(Protocol):
    """What each of the modules here has."""

    def check(self, specs: Sequence[RunSpec], options: RuntimeOptions) -> None:
        """Raises what every run would raise, before anything is trained."""

    def train_all(self, grid: Grid, options: RuntimeOptions, store: Store) -> None:
        """Trains the runs, teachers before their students, and writes a record for each.

        A run that fails does not keep the others from being trained; the failures are raised
        together, as `MissingRunsError`.  Ctrl-C and SIGTERM let every training save its state, and
        raise `TrainingInterrupted`.
        """


def choose(options: RuntimeOptions) -> Engine:
    """The engine that the options ask for; in a process of torchrun's, all work on one run."""
    if options.engine == "ray":
        from . import ray

        return ray
    if options.workers != 1 and "TORCHELASTIC_RUN_ID" not in os.environ:
        from . import workers

        return workers
    from . import local

    return local
