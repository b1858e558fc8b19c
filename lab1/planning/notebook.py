"""What a notebook was asked for: the plain values among its names, and what papermill was told.

Papermill reads its options by rules of its own: `-p depth 1_6` is 16, `-y "depth: 010"` is eight,
the last of two values wins, and a name that no cell uses passes.  The kernel of a notebook is a
child of the papermill that executes it, so the options can be had from that process, and are read
here as `python -m lab1 run -p` and `params/*.yml` are read.
"""

from __future__ import annotations

import ast
import base64
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..core.errors import ParameterError
from ..core.values import Field, each_once, unknown
from . import strict_yaml

#: The names that IPython itself sets.
_IPYTHON_NAME = re.compile(r"In|Out|__.*__|_|__|___|_i+|_i?\d+|_ih|_oh|_dh|_exit_code")

#: The only types that papermill injects.
_PLAIN = (str, int, float, bool, list, tuple, dict, type(None))

#: The first line of the cell in which papermill, and publishing, set parameters.
_INJECTED = re.compile(r"# Parameters\b")


def asked(namespace: Mapping[str, Any], allowed: Mapping[str, Field], where: str) -> dict[str, Any]:
    """The parameters that stand in a notebook's globals, or that papermill was told, by name.

    `None` in the notebook's own cell leaves a parameter as the profile has it, and is left out;
    papermill's `None` is a value like any other.  Raises `ParameterError`, naming `where`, for a
    name that is not `allowed`, for a parameter that papermill was told twice, and where a later
    cell sets again what papermill has set.
    """
    set_here = {
        name: value
        for name, value in namespace.items()
        if name in allowed or (isinstance(value, _PLAIN) and not _IPYTHON_NAME.fullmatch(name))
    }
    injected, replaced = _injected(namespace.get("_ih"), where)
    told = _told(where)
    for name in (*set_here, *injected, *told):
        if name not in allowed:
            raise unknown(name, allowed, where)
    for name, value in told.items():
        if name in set_here and _differ(allowed[name], value, set_here[name]):
            print(f"{name} = {value} is read as in params/, not as {set_here[name]!r}")
    kept = {
        name: value
        for name, value in set_here.items()
        if value is not None or name == "profile" or name in replaced
    }
    return kept | told


def _injected(cells: Any, where: str) -> tuple[set[str], set[str]]:
    """The names that papermill's cell sets, and those that a cell before it had set.

    `cells` is what IPython has executed.  Papermill puts its cell behind the first one with the tag
    `parameters`, and at the top where there is none: the notebook's own values then win, and a
    question that nobody asked is answered.
    """
    before: set[str] = set()
    injected: set[str] = set()
    replaced: set[str] = set()
    opened = True
    for cell in cells if isinstance(cells, list) else ():
        names = _assigned(cell)
        if _INJECTED.match(cell):
            injected, replaced, opened = names, names & before, False
        elif "open_chapter(" in cell:
            opened = True
        elif again := sorted(injected & names):
            if not opened:
                raise ParameterError(
                    f"{where}: {again[0]} is set again below the cell in which papermill sets it; "
                    "the cell that lists the parameters, and no other, needs the tag 'parameters'"
                )
            injected, replaced = injected - names, replaced - names
        before |= names
    return injected, replaced


def _assigned(cell: str) -> set[str]:
    """The names that a cell's own lines assign; none of a cell that is not Python alone."""
    try:
        statements = ast.parse(cell).body
    except (SyntaxError, ValueError):
        return set()
    targets = [t for each in statements if isinstance(each, ast.Assign) for t in each.targets]
    return {target.id for target in targets if isinstance(target, ast.Name)}


def _differ(parameter: Field, text: Any, value: Any) -> bool:
    try:
        return bool(parameter.check(text) != parameter.check(value))
    except ParameterError:
        return False  # it is refused when it is used, as it was written


def papermill_command() -> tuple[list[str], Path] | None:
    """The command line of the papermill that this kernel works for, and its working folder."""
    try:
        import psutil
    except ImportError:  # it comes with Jupyter's kernel for Python
        return None
    try:
        parent = psutil.Process().parent()
        return None if parent is None else (parent.cmdline(), Path(parent.cwd()))
    except (psutil.Error, OSError):  # it has ended, or is another user's
        return None


def _told(where: str) -> dict[str, Any]:
    """What papermill was told, by name, as it was written; nothing where there is none.

    What is typed names a parameter once; it wins over what stands in files.
    """
    command = papermill_command()
    line, folder = command or ([], Path())
    # It is started by itself, or by Python with options before its path or after -m.
    place = next((i for i, word in enumerate(line[:6]) if Path(word).stem == "papermill"), None)
    if place is None:
        return {}
    try:
        from papermill.cli import papermill
    except ImportError:  # it is of another environment than this kernel
        return {}
    options = papermill.make_context("papermill", line[place + 1 :], resilient_parsing=True).params
    filed: dict[str, Any] = {}
    for text in options["parameters_base64"]:
        filed |= _mapping(
            strict_yaml.load(base64.b64decode(text).decode(errors="replace"), "papermill -b")
        )
    for name in options["parameters_file"]:
        file = folder / name
        if file.is_file():  # and not at an address, nor a pipe that has been read
            filed |= _mapping(strict_yaml.load_file(file))
    pairs = [*options["parameters"], *options["parameters_raw"]]
    for text in options["parameters_yaml"]:
        pairs += _mapping(strict_yaml.load(text, "papermill -y")).items()
    return filed | each_once(pairs, where)


def _mapping(content: Any) -> dict[str, Any]:
    return content if isinstance(content, dict) else {}
