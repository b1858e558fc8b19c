"""Runs a list of specs in this process: each becomes a record as it finishes."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence

from ...core.record import Record
from ...core.spec import RunSpec
from ...core.store import Store
from ...core.training_config import RuntimeOptions
from ...errors import MissingRunsError
from .. import data, origin, run
from .. import device as devices
from ..wandb import tracker as tracking

#: How often to look whether another process has finished the run it claimed.
_POLL_SECONDS = 1.0

#: Called with the record of each run that finished here.
OnFinished = Callable[[Record], None]


def nothing(record: Record) -> None:
    """Does nothing with a record."""


def train_all(
    specs: Sequence[RunSpec],
    options: RuntimeOptions,
    store: Store,
    on_finished: OnFinished = nothing,
    measure: OnFinished = nothing,
) -> None:
    """Trains the runs in their order, teachers before their students, and writes a record for each.

    After each run comes `measure`, then `on_finished`.

    A run that another process is training is left to it and waited for at the end, with those that
    learn from it, so that the same command, started twice, shares the work.  A run that fails does
    not keep the others from being trained; the failures are raised together as
    `MissingRunsError`.
    """
    failures: list[str] = []
    waiting = list(specs)
    while waiting:
        claimed_elsewhere: list[RunSpec] = []
        for spec in waiting:
            if spec.teacher in claimed_elsewhere:  # its weights are still in the making
                claimed_elsewhere.append(spec)
                continue
            with store.claim(spec) as mine:
                if not mine:
                    claimed_elsewhere.append(spec)
                elif store.find(spec) is None:
                    try:
                        record = train_claimed(spec, options, store)
                    except Exception as error:
                        if len(specs) == 1:
                            raise
                        note_failure(failures, spec, f"{type(error).__name__}: {error}")
                    else:
                        measure(record)
                        on_finished(record)
        waiting = claimed_elsewhere
        if waiting:
            time.sleep(_POLL_SECONDS)
    raise_failures(failures, len(specs))


def note_failure(failures: list[str], spec: RunSpec, why: str) -> None:
    """Tells the failure of a run at once, and keeps it for the end of the grid."""
    failures.append(f"{spec.title}: {why}")
    print(f"failed: {failures[-1]}", file=sys.stderr, flush=True)


def raise_failures(failures: Sequence[str], planned: int) -> None:
    """Raises the failures of a grid together, where there are any."""
    if failures:
        lines = "\n".join(f"  {failure}" for failure in failures)
        raise MissingRunsError(f"{len(failures)} of {planned} runs failed:\n{lines}")


def train_claimed(spec: RunSpec, options: RuntimeOptions, store: Store) -> Record:
    """Trains a run that this process has claimed, and writes its record."""
    record = run.train_run(spec, options, store)
    store.write(record)
    run.checkpointer(store.run_dir(spec), spec, options).remove()
    return record


def check(specs: Sequence[RunSpec], options: RuntimeOptions) -> None:
    """Raises now what every run would raise: an absent device or package, missing or wrong data.

    Says on standard error where the runs could not be published, since their sources are unknown.
    """
    tracking.check(options)
    devices.resolve(options.device)
    for name in dict.fromkeys(spec.dataset for spec in specs):
        data.load_once(name, options.data_dir)
    origin.warn_of_unpublishable()
