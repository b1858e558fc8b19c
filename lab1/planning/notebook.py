"""A chapter's notebook: the parameters that it was asked for, and texts above its outputs.

A kernel knows which cells it has executed, and not their tags.  A parameters cell is one of nothing
but assignments, `profile` among them; what else a notebook holds (variables of its reader's,
imports, what a start-up file sets) asks for nothing.

Papermill reads its options by rules of its own: `-p depth 1_6` is 16, `-y "depth: 010"` is eight,
the last of two values wins, and a name that no cell uses passes.  The kernel of a notebook is a
child of the papermill that executes it, so the options can be had from that process, and are read
here as `python -m lab1 run -p` and `params/*.yml` are read.
"""

import ast
import base64
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from ..core.fields import Field, each_once
from ..errors import ParameterError, short_repr, unknown
from . import strict_yaml

#: The only types that papermill injects.
_PLAIN = (str, int, float, bool, list, tuple, dict, type(None))

#: The first line of the cell in which papermill, and publishing, set parameters.
_INJECTED = re.compile(r"# Parameters\b")

#: What `None` says where it is not papermill's: the profile's value stays.
_OF_THE_PROFILE = object()


def asked(namespace: Mapping[str, Any], allowed: Mapping[str, Field], where: str) -> dict[str, Any]:
    """The parameters that a notebook with these globals was asked for, by name.

    Outside IPython, which leaves a list of the executed cells there, they are the plain values of
    `namespace`; of a kernel that keeps no such list (nbval's), those that have a parameter's name.
    `None` leaves a parameter as the profile has it, and is left out; papermill's `None` is a value
    like any other.  Raises `ParameterError`, naming `where`, for a name that is not `allowed`, for
    a parameter that papermill was told twice, and where a cell sets again what papermill's has set.
    """
    cells = namespace.get("_ih")
    if isinstance(cells, list) and any(cells):
        values = _assigned(cells, namespace, allowed, where)
    else:
        in_kernel = isinstance(cells, list)

        def counts(name: str, value: Any) -> bool:
            plain = isinstance(value, _PLAIN) and not name.startswith("__")
            return (name in allowed and plain) if in_kernel else (name in allowed or plain)

        values = _unset_by_none({n: value for n, value in namespace.items() if counts(n, value)})
    told = _told(where)
    for name in (*values, *told):
        if name not in allowed:
            raise unknown(name, allowed, where)
    for name, value in told.items():
        if name in values and _differ(allowed[name], value, values[name]):
            print(f"{name} = {value} is read as in params/, not as {values[name]!r}")
    return {name: value for name, value in values.items() if value is not _OF_THE_PROFILE} | told


def _assigned(
    cells: list[str], namespace: Mapping[str, Any], allowed: Mapping[str, Field], where: str
) -> dict[str, Any]:
    """The values that the parameters cells and papermill's have set, the last of them first.

    The last of `cells` is the one that runs.  A cell that sets all parameters forgets those before
    it.  Until a chapter is opened, what papermill's cell has set must stay in force: papermill puts
    it behind the first cell with the tag `parameters`, and at the top where there is none; a value
    that is set below it would win, and a question that nobody asked be answered.
    """
    values: dict[str, Any] = {}
    injected: dict[str, Any] = {}
    for cell in cells[:-1]:
        if _INJECTED.match(cell):
            injected, _ = _assignments(cell, namespace)
            values |= injected
        elif "open_chapter(" in cell:
            injected = {}
        elif "profile" in cell:
            listed, alone = _assignments(cell, namespace)
            if alone and "profile" in listed:
                values = {} if listed.keys() >= allowed.keys() else values
                values |= _unset_by_none(listed)
    for name in allowed:
        value = values.get(name)
        value = None if value is _OF_THE_PROFILE else value
        in_force = namespace.get(name, value)
        if not isinstance(in_force, _PLAIN):
            continue  # such as a module that is imported under that name
        if name in injected and _written(in_force) != _written(injected[name]):
            raise ParameterError(
                f"{where}: papermill's cell sets {name} = {short_repr(injected[name])}, and a cell "
                f"below it sets {name} = {short_repr(in_force)}; the cell that lists the "
                "parameters, and no other, needs the tag 'parameters'"
            )
        if _written(in_force) != _written(value):
            print(
                f"{name} = {short_repr(in_force)} is set outside the parameters cell and does not "
                f"count; there it is {short_repr(value)}"
            )
    return values


def _unset_by_none(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _OF_THE_PROFILE if value is None else value for name, value in values.items()}


def _assignments(cell: str, namespace: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
    """The values that a cell assigns to names, and whether it does nothing else.

    What is computed has the value that it has now.
    """
    values: dict[str, Any] = {}
    alone = True
    try:
        statements = ast.parse(cell).body
    except (SyntaxError, ValueError):
        return values, False
    for statement in statements:
        match statement:
            case ast.Assign([ast.Name(name)], ast.expr() as written) | ast.AnnAssign(
                ast.Name(name), value=ast.expr() as written
            ):
                try:
                    values[name] = ast.literal_eval(written)
                except (ValueError, TypeError):
                    values[name] = namespace.get(name)
            case _:
                alone = False
    return values, alone


def _written(value: Any) -> str:
    try:
        return repr(value)
    except ValueError:  # Python writes out no integer of more than 4300 digits
        return short_repr(value)


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
    """The values given to papermill, by name, as they were written; nothing where there are none.

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


# Texts above the output of a cell

#: A cell's label and caption, as Quarto reads them: `#| label: fig-loss`, `#| fig-cap: "Loss."`.
_CAPTIONED = re.compile(
    r"^#\| label: ((fig|tbl)-\S+)$(?:\n#\|.*)*?\n#\| \2-cap: (.*)$", re.MULTILINE
)

#: What an output that is a caption has among its metadata; a page's captions are Quarto's.
CAPTION = {"lab1": "caption"}

#: What shows the captions in this kernel, which a chapter that is opened again replaces.
_shown_by: list[Callable[[Any], None]] = []


def show_captions() -> None:
    """Shows captions, numbered, from the next cell on; outside IPython nothing happens."""
    if (shell := _shell()) is None:
        return
    numbers: dict[str, int] = {}  # by label

    def show_caption(cell: Any) -> None:
        if match := _CAPTIONED.search(cell.raw_cell):
            label, kind, caption = match.groups()
            before = sum(known.startswith(kind) for known in numbers)
            number = numbers.setdefault(label, before + 1)
            name = f"{'Figure' if kind == 'fig' else 'Table'} {number}"
            show_text(f'<a id="{label}"></a>**{name}.** {yaml.safe_load(caption)}', CAPTION)

    while _shown_by:  # the chapter was opened before
        shell.events.unregister("pre_run_cell", _shown_by.pop())
    shell.events.register("pre_run_cell", show_caption)
    _shown_by.append(show_caption)


def show_text(text: str, metadata: Mapping[str, str] | None = None) -> None:
    """Shows a text in Markdown above the output of the cell that is running; else nothing."""
    if _shell() is not None:
        from IPython.display import Markdown, display

        display(Markdown(text), metadata=metadata)


def _shell() -> Any:
    try:
        from IPython import get_ipython
    except ImportError:
        return None
    return get_ipython()
