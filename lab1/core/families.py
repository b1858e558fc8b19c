"""The model families, each declared once, and those that users define (standard library only).

Adding one is a row here, a class of the same name in the training half, and its golden values in
`tests/training/test_golden.py`.

# User-defined families

The variable `LAB1_FAMILIES` names the file, or several, separated as in `PATH`.  Each has a class
and, above or below it, its declaration:

    FAMILY = {
        "name": "LayerNormMLP",  # the class
        "title": "perceptron with layer normalisation",
        "fields": ["depth", "width"],
        "depths": [1, 64],
        "twin": "MLP",
        "differs_in": ["the layer normalisation"],
    }

`name`, `title`, `fields` and `depths` are needed; `twin` and `differs_in` go together.  `unit` is
what one step of the depth is called, by default `layer`.  The declaration is read as it stands,
without running the file, so that a report can be made without torch.  The training half calls the
class as `LayerNormMLP(image_shape=(1, 28, 28), num_classes=10, depth=4, width=128)`: the shape of
an image in channels, rows and columns, the number of classes, and the `fields` by name.  It takes
images, as a batch of that shape, and gives logits.
"""

from __future__ import annotations

import ast
import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ParameterError, UndeclaredError, not_allowed, short_repr
from . import layouts
from .files import from_reader

if TYPE_CHECKING:
    from .datasets import Dataset
    from .layouts import Stage
    from .spec import ModelSpec


@dataclass(frozen=True)
class DepthRule:
    """A rule for the depths of a family: `allowed` in words, and `holds` for a number."""

    allowed: str
    holds: Callable[[int], bool]

    def check(self, depth: object, family: str) -> None:
        """Raises `ParameterError` for a depth that the family does not take."""
        if type(depth) is not int or not self.holds(depth):
            raise not_allowed("depth", depth, self.allowed, family)


@dataclass(frozen=True)
class Family:
    """A model family.

    `recipe` is raised when a change alters what its training computes; the golden runs fail when
    behaviour changes and this number did not.  `title` is how prose names it, `unit` what one step
    of its depth is, `axis` what an axis or a heading calls the depth.  `fields` are those of
    `ModelSpec` that it uses, `depths` the rule for its depth.  `module` is the module of its class
    in the training half, `layout` the function that says which layers a network of it has, if one
    does, and `project` its project on Weights & Biases. `compared_with` names the families that it
    is compared with, each with all that tells the two apart: where that is one thing, they are
    twins, and a difference between them has a cause. `style` is its colour in the charts: `plain`,
    `residual`, `control` for a third one of the same chapter, or `further`.  A `single_threaded`
    family's layers are too small to be worth sharing among threads.  A user-defined family has the
    `file` that declares it and its SHA-256.
    """

    name: str
    recipe: int
    title: str
    unit: str
    axis: str
    fields: tuple[str, ...]
    depths: DepthRule
    module: str
    project: str
    style: str
    layout: Callable[[ModelSpec, Dataset], tuple[Stage, ...]] | None = None
    compared_with: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    single_threaded: bool = False
    file: Path | None = None
    sha256: str | None = None

    @property
    def user_defined(self) -> bool:
        """True for a user-defined family, declared in a file of the reader's."""
        return self.file is not None


# User-defined families

VARIABLE = "LAB1_FAMILIES"

#: The fields of a model that a class of one's own may take.
_FIELDS = ("depth", "width", "channels", "activation", "dropout_rate", "normalization")

_NEEDED = ("name", "title", "fields", "depths")
_ALLOWED = (*_NEEDED, "unit", "twin", "differs_in")


def _declared(ours: Mapping[str, Family]) -> dict[str, Family]:
    """The families of the files that `LAB1_FAMILIES` names, by name; `ours` are taken names.

    Raises `ParameterError` for a declaration that is not one, naming file, entry and value.
    """
    declared: dict[str, Family] = {}
    for name in filter(None, os.environ.get(VARIABLE, "").split(os.pathsep)):
        family = _read(from_reader(name), {**ours, **declared})
        declared[family.name] = family
    if declared:  # the kernels of chapters and the other processes of a grid may work elsewhere
        os.environ[VARIABLE] = os.pathsep.join(str(family.file) for family in declared.values())
    return declared


def _read(path: Path, others: Mapping[str, Family]) -> Family:
    """The family that a file declares; `others` are those that its twin may be."""
    try:
        path = path.resolve(strict=True)
        modules = sources(path)
        tree = ast.parse(modules[path.name], str(path))
    except (OSError, SyntaxError, ValueError) as error:
        raise ParameterError(f"{VARIABLE}: {path}: not a Python file: {error}") from error
    values = _declaration(path, tree)
    classes = [node.name for node in tree.body if isinstance(node, ast.ClassDef)]
    _check(path, values, classes, others)
    twin = values.get("twin")
    like = others.get(twin or "")
    first, last = values["depths"]
    unit = values.get("unit", like.unit if like else "layer")
    return Family(
        name=values["name"],
        recipe=1,
        title=values["title"],
        unit=unit,
        axis=like.axis if like and like.unit == unit else f"{unit}s",
        fields=tuple(values["fields"]),
        depths=DepthRule(
            f"from {first} to {last}, as {path} declares", lambda depth: first <= depth <= last
        ),
        module=path.stem,
        project="",
        style="further",
        compared_with={twin: tuple(values["differs_in"])} if twin else {},
        single_threaded=bool(like and like.single_threaded),
        file=path,
        sha256=digest(modules),
    )


def sources(path: Path) -> dict[str, bytes]:
    """A file, the modules in its folder that it imports, and those that these import, by name.

    They are known by the import statements, wherever these stand.
    """
    modules = {path.name: path.read_bytes()}
    waiting = [ast.parse(modules[path.name], str(path))]
    while waiting:
        for node in ast.walk(waiting.pop()):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                start = f"{node.module}." if node.module else ""
                names = [node.module or "", *(f"{start}{alias.name}" for alias in node.names)]
            for name in filter(None, names):
                parts = name.split(".")
                for end in range(1, len(parts) + 1):
                    base = path.parent.joinpath(*parts[:end])
                    for file in (base.with_suffix(".py"), base / "__init__.py"):
                        relative = file.relative_to(path.parent).as_posix()
                        if relative not in modules and file.is_file():
                            modules[relative] = file.read_bytes()
                            waiting.append(ast.parse(modules[relative], str(file)))
    return modules


def digest(modules: Mapping[str, bytes]) -> str:
    """The SHA-256 of a file and, where it imports some, of its modules, as `sources` has them."""
    (_, content), *imported = modules.items()
    sha256 = hashlib.sha256(content)
    for name, source in sorted(imported):
        sha256.update(f"\0{name}\0".encode() + source)
    return sha256.hexdigest()


def check_known(name: str, written: Mapping[str, str], families: Mapping[str, Family]) -> None:
    """Raises `UndeclaredError` where a record's own family is not declared now as it was then.

    `written` has the `file` that declared it and its `sha256`.
    """
    file, known = written["file"], families.get(name)
    if known is None or not known.user_defined:
        raise UndeclaredError(
            f"the network {short_repr(name)} is declared in {file}, which {VARIABLE} does not name"
        )
    if known.sha256 != written["sha256"]:
        raise UndeclaredError(
            f"the network {short_repr(name)} was declared in {file}; {known.file} has changed "
            "since, or is another file"
        )


def _declaration(path: Path, tree: ast.Module) -> dict[str, Any]:
    """The value of `FAMILY`, which must be written out."""
    values = [
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name) and target.id == "FAMILY"
    ]
    if len(values) != 1:
        raise ParameterError(
            f"{path}: sets FAMILY {len(values)} times; allowed: once, to a dictionary such as "
            'FAMILY = {"name": "MyNet", "title": "my network", "fields": ["depth", "width"], '
            '"depths": [1, 64]}'
        )
    entries = values[0].keys if isinstance(values[0], ast.Dict) else []
    names = [entry.value for entry in entries if isinstance(entry, ast.Constant)]
    for name in names:
        if names.count(name) > 1:
            raise ParameterError(f"{path}: FAMILY has {short_repr(name)} twice; allowed: once")
    try:
        declaration = ast.literal_eval(values[0])
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError) as error:
        raise ParameterError(
            f"{path}: line {values[0].lineno}: FAMILY is not written out; allowed: a dictionary "
            "of texts, numbers and lists, since it is read without running the file"
        ) from error
    if not isinstance(declaration, dict):
        raise not_allowed("FAMILY", declaration, "a dictionary", str(path))
    return declaration


def _check(
    path: Path, values: Mapping[Any, Any], classes: list[str], others: Mapping[str, Family]
) -> None:
    def refuse(entry: object, allowed: str) -> ParameterError:
        value = values.get(entry, "missing")
        return not_allowed(f"FAMILY[{entry!r}]", value, allowed, str(path))

    def is_text(value: Any) -> bool:
        printable = isinstance(value, str) and bool(value.strip()) and value.isprintable()
        return printable and len(value) <= 100

    for entry in values:
        if entry not in _ALLOWED:
            raise ParameterError(
                f"{path}: FAMILY has an unknown entry {short_repr(entry)}; allowed: "
                f"{', '.join(_ALLOWED)}"
            )
    name = values.get("name")
    if not isinstance(name, str) or classes.count(name) != 1:
        raise refuse("name", f"a class of this file, once: {', '.join(classes) or 'it has none'}")
    if name in others:
        raise refuse("name", f"a name of its own, not one of {', '.join(others)}")
    for entry in ("title", "unit"):
        if not is_text(values.get(entry, "layer" if entry == "unit" else None)):
            raise refuse(entry, "a text on one line, of at most 100 characters")
    if (title := values["title"]) in [family.title for family in others.values()]:
        raise refuse("title", f"a title of its own, which {short_repr(title)} is already")
    fields = values.get("fields")
    if (
        not isinstance(fields, list)
        or "depth" not in fields
        or len(set(map(str, fields))) < len(fields)
        or not set(map(str, fields)) <= set(_FIELDS)
    ):
        raise refuse("fields", f"a list with depth, of {', '.join(_FIELDS)}")
    depths = values.get("depths")
    if (
        not isinstance(depths, list)
        or [type(bound) for bound in depths] != [int, int]
        or not 1 <= depths[0] <= depths[1] <= 1024
    ):
        raise refuse("depths", "the smallest and the greatest, from [1, 1] to [1, 1024]")
    twin, differences = values.get("twin"), values.get("differs_in", [])
    if "twin" in values and not (isinstance(twin, str) and twin in others):
        raise refuse("twin", f"one of {', '.join(others)}")
    if (
        not isinstance(differences, list)
        or not all(map(is_text, differences))
        or bool(differences) != (twin is not None)
    ):
        raise refuse("differs_in", "a list of all that tells it from its twin, where it has one")


# The table

ANY_DEPTH = DepthRule("from 1 on", lambda depth: depth >= 1)
STAGES = DepthRule(
    "from 1 to 5 stages, each of which halves the image", lambda depth: 1 <= depth <= 5
)
SIX_N_PLUS_TWO = DepthRule(
    "6n + 2 from 8 on, such as 20, 32, 44, 56, 110", lambda depth: depth >= 8 and depth % 6 == 2
)

_PERCEPTRON = ("depth", "width", "hidden_sizes", "activation", "dropout_rate", "normalization")

_MLP = Family(
    name="MLP",
    recipe=1,
    title="plain MLP",
    unit="layer",
    axis="hidden layers",
    fields=(*_PERCEPTRON, "initialisation"),
    depths=ANY_DEPTH,
    module="mlp",
    project="MLP_vs_ResidualMLP_Comparison",
    layout=layouts.perceptron,
    style="plain",
    single_threaded=True,
)
_CNN = Family(
    name="SimpleCNN",
    recipe=2,
    title="simple CNN",
    unit="stage",
    axis="stages",
    fields=("depth", "channels"),
    depths=STAGES,
    module="cnn",
    project="CNN_Comparison_CIFAR10",
    layout=layouts.simple_cnn,
    style="plain",
)
_RESIDUAL_CNN = replace(
    _CNN,
    name="ResidualCNN",
    title="residual CNN",
    fields=("depth", "channels", "blocks_per_stage"),
    layout=partial(layouts.staged_cnn, adds="a 1 × 1 convolution of the input", projected=True),
    style="residual",
    compared_with={
        "SimpleCNN": ("the skip connections", "the number of layers", "the number of parameters"),
        "PlainCNN": ("the skip connections",),
    },
)
_PLAIN_NET = replace(
    _CNN,
    name="PlainNet",
    title="plain network",
    unit="layer",
    axis="layers",
    fields=("depth",),
    depths=SIX_N_PLUS_TWO,
    layout=layouts.staged_cnn,
)

#: The rows; one that is a variation of another says what is different.
_TABLE = (
    _MLP,
    replace(
        _MLP,
        name="ResidualMLP",
        title="residual MLP",
        fields=(*_PERCEPTRON, "residual_factor", "skip_carries", "layers_per_skip"),
        layout=partial(layouts.perceptron, residual=True),
        style="residual",
        compared_with={
            "MLP": ("the skip connections", "the size of what a layer adds at the start")
        },
    ),
    _CNN,
    _RESIDUAL_CNN,
    replace(
        _RESIDUAL_CNN,
        name="PlainCNN",
        recipe=1,
        title="plain CNN",
        layout=layouts.staged_cnn,
        style="control",
        compared_with={},
    ),
    _PLAIN_NET,
    replace(
        _PLAIN_NET,
        name="ResNet",
        title="ResNet",
        layout=partial(layouts.staged_cnn, adds="every second pixel of the input, and zeros"),
        style="residual",
        compared_with={"PlainNet": ("the skip connections",)},
    ),
)
_OURS = {family.name: family for family in _TABLE}

#: Ours, and those of the files that `LAB1_FAMILIES` names.
FAMILIES: Mapping[str, Family] = {**_OURS, **_declared(_OURS)}


def residual_of(plain: str) -> str:
    """The residual family that is compared with a plain one; `KeyError` for any other."""
    for name, family in FAMILIES.items():
        if plain in family.compared_with and family.style == "residual":
            return name
    raise KeyError(plain)
