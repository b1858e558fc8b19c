"""Runs a list of specs in this process, or with torchrun's others: each becomes a record."""

import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace

from ...core.record import Record
from ...core.spec import RunSpec
from ...core.store import Store
from ...core.training_config import RuntimeOptions
from .. import data, distributed, origin, run
from .. import device as devices
from ..wandb import tracker as tracking
from . import POLL_SECONDS, Grid


def check(specs: Sequence[RunSpec], options: RuntimeOptions) -> None:
    """Raises now what every run would raise: an absent device or package, missing or wrong data.

    Says on standard error where the runs could not be published, since their sources are unknown.
    """
    tracking.check(options)
    devices.resolve(options.device)
    for name in dict.fromkeys(spec.dataset for spec in specs):
        data.load_once(name, options.data_dir)
    origin.warn_of_unpublishable()


def train_all(grid: Grid, options: RuntimeOptions, store: Store) -> None:
    """Trains the runs in their order, teachers before their students, and writes a record for each.

    A run that another process is training is left to it and waited for, with those that learn from
    it, so that the same command, started twice, shares the work.  All else is as `Engine` says.
    """
    if (group := distributed.current()).size > 1:
        _train_together(group, grid, options, store)
        return
    while grid.open:
        if (spec := grid.next()) is None:
            time.sleep(POLL_SECONDS / 10)
            continue
        with store.claim(spec) as mine:
            if not mine:
                grid.put_back(spec)
                continue
            if store.find(spec) is None:
                try:
                    record = train_claimed(spec, options, store)
                except Exception as error:
                    if grid.planned == 1:
                        raise
                    grid.fail(spec, f"{type(error).__name__}: {error}")
                    continue
                grid.measure(record)
                grid.on_finished(record)
            grid.finish(spec)
    grid.raise_failures()


def train_claimed(spec: RunSpec, options: RuntimeOptions, store: Store) -> Record:
    """Trains a run that this process has claimed, and writes its record."""
    record = run.train_run(spec, options, store)
    store.write(record)
    run.checkpointer(store.run_dir(spec), spec, options).remove()
    return record


def _train_together(
    group: distributed.Group, grid: Grid, options: RuntimeOptions, store: Store
) -> None:
    """Trains the runs with all processes that torchrun started, on one run at a time.

    The first process claims the run, writes its files and calls `measure` and `on_finished`.  A run
    that fails ends its process, and torchrun the others: they could not tell which step they share.
    """
    for spec in group.agree(list(grid.specs)):
        mine = False
        while not mine:
            with store.claim(spec) if group.first else nullcontext(True) as mine:
                found = group.first and mine and store.find(spec) is not None
                mine, found = group.agree((mine, found))
                if mine and not found:
                    if group.first:
                        record = train_claimed(spec, options, store)
                        grid.measure(record)
                        grid.on_finished(record)
                    else:
                        quiet = replace(options, progress=False, report_to=None)
                        run.train_run(spec, quiet, store)
            if not mine:
                time.sleep(POLL_SECONDS)
    group.agree(None)  # nobody looks for records before the last is written
