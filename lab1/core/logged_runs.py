"""Curves of runs that other code logged: a file each in `runs/curves/` (standard library only).

They have no specification, so they are drawn, and no claim is made of them.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import RecordError
from . import record_rules as rules
from .files import write_text
from .record import finite

#: What Weights & Biases allows as a project and as an id; each names a file here.
_FILE_NAME = rules.text(r"[^./\\#?%:\x00-\x1f\x7f][^/\\#?%:\x00-\x1f\x7f]{0,127}", "a file's name")

#: A run's file: `series` has the steps and finite values of each metric; a run that is in no group
#: has its name as `group`.
_FORM = rules.mapping(
    {
        "schema": rules.one_of(1),
        "project": _FILE_NAME,
        "id": _FILE_NAME,
        "name": rules.text(),
        "group": rules.text(),
        "config": rules.mapping({}, others=rules.anything),
        "series": rules.mapping({}, others=rules.listing(rules.exactly(2, rules.number()), 1)),
    }
)


def write(run: Mapping[str, Any], runs: Path) -> bool:
    """Writes a run's file; returns False where there was one as long.

    A shorter one was written while the run was not complete.  Raises `RecordError` for what
    `read_all` would refuse.
    """
    body = finite({"schema": 1, **run})
    _FORM("", body)
    path = runs / "curves" / run["project"] / f"{run['id']}.json"
    text = json.dumps(rules.seal(body), allow_nan=False) + "\n"
    if path.exists() and path.stat().st_size >= len(text):
        return False
    write_text(path, text)
    return True


def read_all(runs: Path) -> tuple[list[dict[str, Any]], list[RecordError]]:
    """The runs that were pulled into `runs/`, and an error for each file that holds none."""
    found: dict[Any, dict[str, Any]] = {}
    problems: list[RecordError] = []
    for path in sorted(runs.glob("curves/*/*.json")):
        try:
            body = rules.read_object(path, "a logged run")
            with rules.in_file(path):
                _FORM("", body := rules.unseal(body))
            found[body["project"], body["id"]] = body  # a copy counts once
        except RecordError as error:
            problems.append(error)
    return [*found.values()], problems
