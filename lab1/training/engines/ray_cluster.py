"""The way to a Ray cluster: its address, its nodes, and what every one of them must have."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ...core import files
from ...core.files import write_text
from ...core.spec import RunSpec
from ...core.store import Store
from ...core.training_config import RuntimeOptions
from ...errors import Lab1Error, MissingRunsError, ParameterError
from .. import data, origin

_CONNECT_SECONDS = 20.0
#: For all nodes to start a worker, import torch and read the data.
_ANSWER_SECONDS = 300.0


def check_address(address: str) -> None:
    """Bounded in time, where `ray.init` waits minutes for an address that nobody answers."""
    host, _, port = address.rpartition(":")
    if not host or "/" in host or not port.isdigit() or int(port) > 65535:
        raise ParameterError(
            f"address = {address!r} is not allowed; allowed: auto, or HOST:PORT as "
            "`ray start --head` prints it"
        )
    try:
        socket.create_connection((host, int(port)), _CONNECT_SECONDS).close()
        # Somebody answers; is it Ray?
        subprocess.run(
            [sys.executable, "-m", "ray.scripts.scripts", "status", "--address", address],
            capture_output=True,
            check=True,
            timeout=_CONNECT_SECONDS,
        )
    except (OSError, subprocess.SubprocessError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else error
        if isinstance(error, subprocess.SubprocessError):
            why = "what answers there does not answer as Ray does"
        raise ParameterError(
            f"address = {address!r}: no Ray cluster can be reached there ({why}); is the head node "
            "up (`ray start --head`), and has this machine joined (`ray start --address`)?"
        ) from error


@contextmanager
def connected(options: RuntimeOptions, store: Store) -> Iterator[list[dict[str, Any]]]:
    """Inside the block this process is a driver; yields the nodes that are alive."""
    import ray

    if ray.is_initialized():
        raise Lab1Error("this process is connected to Ray already; call ray.shutdown() first")
    try:
        ray.init(
            address=options.ray_address,
            runtime_env=_environment(store),
            log_to_driver=False,  # what a run has to say comes back with it
            logging_level=logging.WARNING,
            include_dashboard=False,
        )
    except Exception as error:  # Ray raises many kinds
        raise ParameterError(
            f"address = {options.ray_address!r}: Ray cannot be used there: {error}"
        ) from error
    try:
        yield [node for node in ray.nodes() if node["Alive"]]
    finally:
        ray.shutdown()


def _environment(store: Store) -> dict[str, Any]:
    """The sources and the folders of the driver, for all workers."""
    variables = {
        "LAB1_RUNS": str(store.runs),
        "LAB1_HOME": str(files.project_root()),
        "LAB1_COMMIT": origin.commit(),
    }
    # Where it is not set here, each node may have its own.
    if os.environ.get("LAB1_DATA"):
        variables["LAB1_DATA"] = str(files.data_dir().absolute())
    package = files.PACKAGE
    return {"env_vars": variables, "py_modules": [str(package)], "excludes": ["__pycache__"]}


def ask_nodes(
    nodes: Sequence[Mapping[str, Any]],
    specs: Sequence[RunSpec],
    options: RuntimeOptions,
    store: Store,
) -> None:
    """Raises now what every run on a node would raise."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    examples = list({spec.dataset: spec for spec in specs}.values())
    mark = store.runs / f".seen-by-all-nodes-{uuid.uuid4().hex}"
    write_text(mark, "")
    # Without cores of its own the question is not kept waiting by what a node is busy with.
    ask = ray.remote(num_cpus=0, max_retries=0)(_ready)
    asked = {}
    for node in nodes:
        there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        question = ask.options(scheduling_strategy=there).remote(examples, options, mark)
        asked[question] = node["NodeManagerAddress"]
    try:
        answers = wait(list(asked), len(asked), _ANSWER_SECONDS)
    finally:
        mark.unlink(missing_ok=True)
    problems = [f"{asked[ref]}: {words}" for ref in answers if (words := result(ref)) is not None]
    problems += [f"{asked[ref]}: no answer" for ref in asked if ref not in answers]
    if problems:
        lines = "\n".join(f"  {problem}" for problem in problems)
        raise MissingRunsError(f"{len(problems)} of {len(asked)} nodes cannot train:\n{lines}")


def _ready(specs: Sequence[RunSpec], options: RuntimeOptions, mark: Path) -> str | None:
    """On a node: why it cannot train, or `None`."""
    if not mark.exists():
        return (
            f"it does not see the driver's {mark.parent}; LAB1_RUNS must name a folder that all "
            "nodes share"
        )
    try:
        for spec in specs:
            data.load(spec.dataset, options.data_dir)
    except Lab1Error as error:
        return str(error)
    return None


def wait(refs: list[Any], number: int, seconds: float) -> list[Any]:
    """All that have ended once `number` have, or the time is up."""
    import ray

    ray.wait(refs, num_returns=min(number, len(refs)), timeout=seconds)
    return list(ray.wait(refs, num_returns=len(refs), timeout=0)[0]) if refs else []


def result(ref: Any) -> Any:
    """What a task returned, or, where it did not return, why in a line."""
    import ray

    try:
        return ray.get(ref)
    except ray.exceptions.RayError as error:
        lines = str(error).strip().splitlines() or [""]
        return f"{type(error).__name__}: {lines[-1 if 'Traceback' in lines[0] else 0]}"
