"""The client of Weights & Biases, and what takes records there and brings them back.

It is imported late, kept quiet, and never left to ask questions.
"""

import importlib.util
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...core import weights_file
from ...core.record import Record
from ...core.spec import RunSpec
from ...core.store import Store
from ...errors import RecordError, TrackingError
from . import mapping

#: How long W&B may take to answer at the start of a run.
INIT_SECONDS = 8.0

#: How long it may go on sending at the end of a run.
FINISH_SECONDS = 12.0

#: How long one record may take to be sent, its weights included.
_PUSH_SECONDS = 120.0

#: How long one question to W&B may take.
_ANSWER_SECONDS = 30

#: What W&B gives at most in answer to one question for a history; no training has as many epochs.
_MOST_ROWS = 10_000

#: API keys: forty hexadecimal digits, or the longer form with a version.
_KEY = re.compile(r"\bwandb_v\d\w+|\b[0-9a-fA-F]{40}\b")


def check_installed() -> None:
    """Raises `TrackingError` where wandb is not installed."""
    # A folder wandb/ in the working directory, such as W&B itself makes, is found without origin.
    found = importlib.util.find_spec("wandb")
    if found is None or found.origin is None:
        raise TrackingError(
            "report_to = 'wandb' needs Weights & Biases, which is not installed. Install the extra "
            "'wandb': pip install -e '.[wandb]'"
        )


def client(runs: Path) -> Any:
    """The module `wandb`, all of whose files go into `runs/wandb/`."""
    for name in ("WANDB_DATA_DIR", "WANDB_CACHE_DIR"):
        os.environ.setdefault(name, str(runs.resolve() / "wandb"))
    # Reports about the client itself, which nobody asked for.
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    import wandb

    wandb.setup(settings=wandb.Settings(silent=True))
    return wandb


def has_credentials(wandb: Any) -> bool:
    """Whether there is an API key, in the environment or from `wandb login`; asks nobody.

    Raises what wandb raises where a key is malformed.
    """
    from wandb.sdk.lib import wbauth

    found = wbauth.authenticate_session(
        host=wandb.setup().settings.base_url, source="lab1", prompt=False, update_session=False
    )
    return found is not None


def start_run(
    wandb: Any,
    spec: RunSpec,
    recipes: Sequence[int],
    runs: Path,
    *,
    mode: str | None = None,
    project: str | None = None,
    entity: str | None = None,
    finish_seconds: float = FINISH_SECONDS,
) -> Any:
    """A W&B run under the key of the spec; one of that key that exists is written anew."""
    config = mapping.config_of(spec, recipes)
    # W&B makes its own folder wandb/ there, and would fall back on another place without it.
    runs.mkdir(parents=True, exist_ok=True)
    return wandb.init(
        project=project or mapping.project_of(spec),
        entity=entity,
        id=config["key"],
        config=config,
        dir=runs,
        mode=mode,
        # Not one that is already open, which would be somebody else's.
        reinit="create_new",
        **mapping.labels(spec),
        settings=wandb.Settings(
            silent=True,
            console="off",
            disable_git=True,
            disable_code=True,
            x_disable_meta=True,
            x_disable_stats=True,
            x_save_requirements=False,
            init_timeout=INIT_SECONDS,
            finish_timeout=finish_seconds,
            finish_timeout_raises=True,
            # Else a click on "stop run", or an upload that failed, would interrupt the training.
            stop_fn=lambda: None,
        ),
    )


def forget_failed_start(wandb: Any) -> None:
    """Frees the id of a run that could not be started, which is in use until then.

    It waits for the client to end, which takes the limit of a finish where W&B is silent.  Where
    somebody else's run is open in this process, nothing is done, since that would end it.
    """
    if wandb.run is None:
        wandb.teardown()


def log_rows(run: Any, rows: list[dict[str, Any]]) -> None:
    """Sends epochs, each as the step of its number."""
    for row in rows:
        run.log(row, step=row["epoch"], commit=True)


def log_outcome(wandb: Any, run: Any, record: Any, weights: Path | None) -> None:
    """Sends what is known at the end: origin, summary, and the best weights as an artifact."""
    run.config.update({"origin": dict(record.origin)}, allow_val_change=True)
    run.summary.update(mapping.summary(record))
    if weights is not None and weights.exists():
        artifact = wandb.Artifact(f"weights-{record.key}", type="model")
        artifact.add_file(str(weights), name=weights.name)
        run.log_artifact(artifact)


def redacted(error: object) -> str:
    """The first line of an error, without an API key that may stand in it."""
    text = (str(error).strip() or type(error).__name__).splitlines()[0]
    key = os.environ.get("WANDB_API_KEY")
    if key:
        text = text.replace(key, "***")
    return _KEY.sub("***", text)


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
    try:
        run = start_run(
            wandb, record.spec, record.recipes, store.runs,
            mode="online", project=project, entity=entity, finish_seconds=_PUSH_SECONDS,
        )  # fmt: skip
        log_rows(run, mapping.rows(record.history))
        weights = weights_file.find(record.spec, store)
        log_outcome(wandb, run, record, weights)
        run.finish()
    except Exception as error:  # wandb raises many kinds
        raise TrackingError(f"{record.name} was not sent: {_explained(error)}") from None
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
    known = isinstance(config, Mapping) and isinstance(config.get("spec"), Mapping)
    if not known or "key" not in config:
        return Pulled(source, "skipped", "it has no spec, so it is no run of lab1")
    if state != "finished" or "origin" not in config:
        return Pulled(source, "skipped", f"it is not finished (its state: {state})")
    with _answering(source):
        history = run.history(samples=_MOST_ROWS, pandas=False)
        outcome = dict(run.summary)
    return keep_record(config, outcome, history, source, store)


def keep_record(
    config: Mapping[str, Any],
    outcome: Mapping[str, Any],
    history: Sequence[Mapping[str, Any]],
    source: str,
    store: Store,
) -> Pulled:
    """Makes a record in `runs/` of a finished run of lab1, where there is none yet."""
    try:
        record = mapping.record_of(config, outcome, history, f"wandb: {source}")
    except RecordError as error:
        return Pulled(source, "refused", str(error))
    if record.key != record.spec.key:
        return Pulled(source, "skipped", f"it was made under {record.recipe_change}")
    if store.path_of(record.spec) is not None:
        return Pulled(source, "present", record.name)
    with store.claim(record.spec) as mine:
        if not mine:
            return Pulled(source, "skipped", "another process is training it")
        store.write(record)
    return Pulled(source, "pulled", record.name)


def _online_client(store: Store) -> Any:
    """The client, where it can be used without asking anybody anything."""
    check_installed()
    mode = os.environ.get("WANDB_MODE", "online")
    if mode in ("offline", "dryrun", "disabled"):
        raise TrackingError(f"WANDB_MODE is {mode!r}, so nothing is exchanged; unset it")
    wandb = client(store.runs)
    try:
        known = has_credentials(wandb)
    except Exception as error:
        raise TrackingError(_explained(error)) from None
    if not known:
        raise TrackingError("no API key: set WANDB_API_KEY, or log in once with `wandb login`")
    return wandb


@contextmanager
def _answering(what: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # wandb raises many kinds
        raise TrackingError(f"{what} could not be read: {_explained(error)}") from None


def _explained(error: Exception) -> str:
    return f"Weights & Biases: {redacted(error)}"
