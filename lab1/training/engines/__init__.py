"""What trains a list of runs: this process, several, torchrun's, or a Ray cluster."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Protocol, cast

from ...core.record import Record
from ...core.spec import RunSpec
from ...core.store import Store
from ...core.training_config import RuntimeOptions


class Engine(Protocol):
    """What each of the modules here has."""

    def check(self, specs: Sequence[RunSpec], options: RuntimeOptions) -> None:
        """Raises what every run would raise, before anything is trained."""

    def train_all(
        self,
        specs: Sequence[RunSpec],
        options: RuntimeOptions,
        store: Store,
        on_finished: Callable[[Record], None],
        measure: Callable[[Record], None],
    ) -> None:
        """Trains the runs, teachers before their students, and writes a record for each.

        `measure` is called with each right after its training, and where it took place if that can
        be; then `on_finished`, in this process.
        """


def choose(options: RuntimeOptions) -> Engine:
    """The engine that the options ask for; in a process of torchrun's, all work on one run."""
    name = "local"
    if options.engine == "ray":
        name = "ray_grid"
    elif "TORCHELASTIC_RUN_ID" in os.environ:
        name = "torchrun"
    elif options.workers != 1:
        name = "workers"
    return cast(Engine, import_module(f".{name}", __package__))
