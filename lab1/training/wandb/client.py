"""The client of Weights & Biases: imported late, kept quiet, and never left to ask questions."""

from __future__ import annotations

import importlib.util
import os
import re
from pathlib import Path
from typing import Any

from ...core.spec import RunSpec
from ...errors import TrackingError
from . import mapping as wandb_runs

#: How long W&B may take to answer at the start of a run.
INIT_SECONDS = 8.0

#: How long it may go on sending at the end of a run.
FINISH_SECONDS = 12.0

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
    config: dict[str, Any],
    runs: Path,
    *,
    mode: str | None = None,
    project: str | None = None,
    entity: str | None = None,
    finish_seconds: float = FINISH_SECONDS,
) -> Any:
    """A W&B run under the key in `config`; one of that key that exists is written anew."""
    # W&B makes its own folder wandb/ there, and would fall back on another place without it.
    runs.mkdir(parents=True, exist_ok=True)
    return wandb.init(
        project=project or wandb_runs.project_of(spec),
        entity=entity,
        id=config["key"],
        config=config,
        dir=runs,
        mode=mode,
        # Not one that is already open, which would be somebody else's.
        reinit="create_new",
        **wandb_runs.labels(spec),
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
    run.summary.update(wandb_runs.summary(record))
    if weights is not None and weights.exists():
        artifact = wandb.Artifact(f"weights-{record.key}", type="model")
        artifact.add_file(str(weights), name=weights.name)
        run.log_artifact(artifact)


def folder_of(run: Any) -> Path:
    """The folder that `wandb sync` takes."""
    return Path(run.dir).parent


def redacted(error: object) -> str:
    """The first line of an error, without an API key that may stand in it."""
    text = (str(error).strip() or type(error).__name__).splitlines()[0]
    key = os.environ.get("WANDB_API_KEY")
    if key:
        text = text.replace(key, "***")
    return _KEY.sub("***", text)
