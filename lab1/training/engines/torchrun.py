"""Runs a list of specs with the processes that torchrun started, all on one run at a time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace

from ...core.spec import RunSpec
from ...core.store import Store
from ...core.training_config import RuntimeOptions
from .. import run
from ..distributed import current
from . import local
from .local import OnFinished, check

__all__ = ["check", "train_all"]

#: How often to look whether another process has finished the run it claimed.
_POLL_SECONDS = 1.0


def train_all(
    specs: Sequence[RunSpec],
    options: RuntimeOptions,
    store: Store,
    on_finished: OnFinished = local.nothing,
    measure: OnFinished = local.nothing,
) -> None:
    """Like `local.train_all`, all processes on one run at a time.

    The first process claims the run, writes its files and calls `measure` and `on_finished`.  A run
    that fails ends its process, and torchrun the others: they could not tell which step they share.
    """
    group = current()
    if group.size == 1:
        local.train_all(specs, options, store, on_finished, measure)
        return
    for spec in group.agree(list(specs)):
        while True:
            with store.claim(spec) if group.first else nullcontext(True) as mine:
                found = group.first and mine and store.find(spec) is not None
                mine, found = group.agree((mine, found))
                if mine and not found:
                    if group.first:
                        record = local.train_claimed(spec, options, store)
                        measure(record)
                        on_finished(record)
                    else:
                        quiet = replace(options, progress=False, report_to=None)
                        run.train_run(spec, quiet, store)
            if mine:
                break
            time.sleep(_POLL_SECONDS)
    group.agree(None)  # nobody looks for records before the last is written
