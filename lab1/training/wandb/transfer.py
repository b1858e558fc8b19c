"""Takes records to Weights & Biases and brings them back."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ...core import weights_file
from ...core.record import Record
from ...core.store import Store
from ...errors import RecordError, TrackingError
from . import client as wandb_client
from . import mapping as wandb_runs

#: How long one record may take to be sent, its weights included.
_PUSH_SECONDS = 120.0

#: How long one question to W&B may take.
_ANSWER_SECONDS = 30

#: What W&B gives at most in answer to one question for a history; no training has as many epochs.
_MOST_ROWS = 10_000


@dataclass(frozen=True)
class Pulled:
    """What became of one run: `pulled`, `present`, `skipped` or `refused`, and why."""

    source: str
    outcome: str
    why: str


def push(record: Record, store: Store, project: str | None, entity: str | None) -> str:
    """Sends one record, with the weights that `runs/` has of it, and returns its address.

    A record that was sent before is written anew in its place.  Raises
    `TrackingError` where W&B is not installed or cannot be reached.
    """
    wandb = _online_client(store)
    config = wandb_runs.config_of(record.spec, record.recipes)
    try:
        run = wandb_client.start_run(
            wandb, record.spec, config, store.runs,
            mode="online", project=project, entity=entity, finish_seconds=_PUSH_SECONDS,
        )  # fmt: skip
        wandb_client.log_rows(run, wandb_runs.rows(record.history))
        weights = weights_file.find(record.spec, store)
        wandb_client.log_outcome(wandb, run, record, weights)
        run.finish()
    except Exception as error:  # wandb raises many kinds
        raise TrackingError(f"{record.name} was not sent: {_why(error)}") from None
    return str(run.url)


def pull(entity: str, project: str, store: Store) -> Iterator[Pulled]:
    """Makes a record in `runs/` of each finished run of a project, one after the other.

    Its origin says so in `pulled_from`.  A run whose record is present is left alone.  Raises
    `TrackingError` where W&B is not installed or cannot be reached.
    """
    wandb = _online_client(store)
    with _answering(f"{entity}/{project}"):
        runs = list(wandb.Api(timeout=_ANSWER_SECONDS).runs(f"{entity}/{project}"))
    for run in runs:
        source = f"{entity}/{project}/{run.id}"
        try:
            yield _pull_one(run, source, store)
        except TrackingError as error:  # one bad run of many ends nothing
            yield Pulled(source, "refused", str(error))


def _pull_one(run: Any, source: str, store: Store) -> Pulled:
    with _answering(source):
        config, state = run.config, run.state
    if (
        not isinstance(config, Mapping)
        or not isinstance(config.get("spec"), Mapping)
        or "key" not in config
    ):
        return Pulled(source, "skipped", "it has no spec, so it is no run of lab1")
    if state != "finished" or "origin" not in config:
        return Pulled(source, "skipped", f"it is not finished (its state: {state})")
    with _answering(source):
        history = run.history(samples=_MOST_ROWS, pandas=False)
        outcome = dict(run.summary)
    try:
        record = wandb_runs.record_of(config, outcome, history, f"wandb: {source}")
    except RecordError as error:
        return Pulled(source, "refused", str(error))
    if record.key != record.spec.key:
        return Pulled(source, "skipped", f"it was made under {record.recipe_change}")
    return _keep(record, source, store)


def _keep(record: Record, source: str, store: Store) -> Pulled:
    if store.path_of(record.spec) is not None:
        return Pulled(source, "present", record.name)
    with store.claim(record.spec) as mine:
        if not mine:
            return Pulled(source, "skipped", "another process is training it")
        store.write(record)
    return Pulled(source, "pulled", record.name)


def _online_client(store: Store) -> Any:
    """The client, where it can be used without asking anybody anything."""
    wandb_client.check_installed()
    mode = os.environ.get("WANDB_MODE", "online")
    if mode in ("offline", "dryrun", "disabled"):
        raise TrackingError(f"WANDB_MODE is {mode!r}, so nothing is exchanged; unset it")
    wandb = wandb_client.client(store.runs)
    try:
        known = wandb_client.has_credentials(wandb)
    except Exception as error:
        raise TrackingError(_why(error)) from None
    if not known:
        raise TrackingError("no API key: set WANDB_API_KEY, or log in once with `wandb login`")
    return wandb


@contextmanager
def _answering(what: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # wandb raises many kinds
        raise TrackingError(f"{what} could not be read: {_why(error)}") from None


def _why(error: Exception) -> str:
    return f"Weights & Biases: {wandb_client.redacted(error)}"
