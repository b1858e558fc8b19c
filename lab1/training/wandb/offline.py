"""Runs that Weights & Biases kept in a folder, read by its own reader: no service, no account."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ...core import logged_runs
from ...core.store import Store
from ...errors import ParameterError, RecordError, TrackingError
from .client import Pulled, check_installed, keep_record, redacted
from .mapping import UNFIT

#: How long the reader may take for one run.  It takes two seconds to start, so some read at a time.
_READ_SECONDS = 120

_AT_A_TIME = 4

#: Of a longer curve every second, third, ... point is kept: a chart shows no more.
_MOST_POINTS = 1000

_CUT = "it ends early: the run was interrupted, is still running, or was copied in part"


def pull(folder: Path, store: Store) -> Iterator[Pulled]:
    """Takes over each run below a folder: one of lab1 as its record, any other as its curves.

    A run that cannot be read ends nothing.  Raises `ParameterError` where there is no run, and
    `TrackingError` where wandb is not installed.
    """
    check_installed()
    below = sorted(folder.rglob("*.wandb")) if folder.is_dir() else [folder]
    # W&B leads to the latest run twice.
    paths = [*{path.resolve(): path for path in below if path.is_file()}.values()]
    if not paths:
        raise ParameterError(
            f"{folder} is not allowed; allowed: a folder wandb/, one run's folder, or a file .wandb"
        )
    pool = ThreadPoolExecutor(_AT_A_TIME)
    try:
        for path, reading in [(path, pool.submit(_read, path)) for path in paths]:
            try:
                outcome, why = _keep(*reading.result(), store)
            except (RecordError, TrackingError) as error:
                outcome, why = "refused", str(error)
            except UNFIT as error:
                outcome, why = "refused", f"what W&B's reader says is not understood: {error!r}"
            yield Pulled(str(path), outcome, why)
    finally:
        pool.shutdown(cancel_futures=True)


def _read(path: Path) -> tuple[dict[str, Any], bool]:
    """What `_parse` makes of a file, and whether its end is missing."""
    command = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(path.resolve())]
    quiet = {**os.environ, "WANDB_MODE": "offline", "WANDB_ERROR_REPORTING": "false"}
    # Files, for the reader's own child would keep a pipe open beyond the time limit.
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as complaints:
        try:
            status = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=complaints, env=quiet,
                timeout=_READ_SECONDS, check=False,
            ).returncode  # fmt: skip
            output.seek(0)
            complaints.seek(0)
            told = complaints.read()
            if "newer wandb version" in told:
                raise TrackingError("a newer wandb wrote it: pip install -U wandb")
            if status != 0 or "corrupt" in told:
                why = redacted(told.strip().rpartition("\n")[2])
                raise TrackingError(f"it is no file of W&B's, or damaged ({why})")
            return _parse(output), "incomplete" in told
        except subprocess.TimeoutExpired:
            raise TrackingError(f"W&B's reader did not end within {_READ_SECONDS} s") from None


def _parse(lines: Iterable[str]) -> dict[str, Any]:
    """The `config`, `summary` and `rows` of a run, its entry `run`, and, once it ended, `exit`."""
    log: dict[str, Any] = {"config": {}, "summary": {}, "rows": [], "run": {}}
    for entry in map(json.loads, lines):
        kind = entry["type"]
        content = entry.get(kind, {})
        if kind in ("run", "exit"):
            log[kind] = content
        if kind == "history":
            row = {"_step": content.get("step", {}).get("num", 0), **content["item"]}
            log["rows"].append({name: row[name] for name in row if _is_number(row[name])})
        elif kind in ("config", "summary"):
            log[kind] |= content.get("update", {})
        elif kind == "run":
            log["config"] |= content.get("config", {}).get("update", {})
    return log


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e300


def _keep(log: Mapping[str, Any], cut: bool, store: Store) -> tuple[str, str]:
    """Takes over a run that was read; its outcome and why, as in `Pulled`."""
    run, config = log["run"], log["config"]
    points: dict[str, dict[int, float]] = {}
    for row in log["rows"]:
        for name in row:
            if not name.startswith("_"):
                points.setdefault(name, {})[row["_step"]] = row[name]
    if not points:
        raise TrackingError(_CUT if cut else "it is empty: no number was logged")
    project = run.get("project", "uncategorized")
    if isinstance(config.get("spec"), Mapping) and "key" in config:
        if cut:
            raise TrackingError(_CUT)
        if log.get("exit", {}).get("exit_code", 0) != 0 or "origin" not in config:
            return "skipped", "it is not finished"
        source = f"{project}/{run['run_id']}, offline"
        kept = keep_record(config, log["summary"], log["rows"], source, store)
        return kept.outcome, kept.why
    name = run.get("display_name", run["run_id"])
    logged = {
        "project": project,
        "id": run["run_id"],
        "name": name,
        "group": run.get("run_group", name),
        "config": config,
        "series": {
            metric: [*curve.items()][:: -(-len(curve) // _MOST_POINTS)]
            for metric, curve in points.items()
        },
    }
    new = logged_runs.write(logged, store.runs)
    why = f"{len(points)} curves of {project}/{logged['group']}" + (f"; {_CUT}" if cut else "")
    return "pulled" if new else "present", why
