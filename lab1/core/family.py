"""The declaration of a model family: names, fields, depths (standard library only)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ParameterError

if TYPE_CHECKING:
    from .dataset import Dataset
    from .layouts import Stage
    from .spec import ModelSpec

    Layout = Callable[[ModelSpec, Dataset], tuple[Stage, ...]]
else:
    Layout = Any


@dataclass(frozen=True)
class DepthRule:
    """A rule for the depths of a family: `allowed` in words, and `holds` for a number."""

    allowed: str
    holds: Callable[[int], bool]

    def check(self, depth: int, family: str) -> None:
        """Raises `ParameterError` for a depth that the family does not take."""
        if not self.holds(depth):
            raise self.refusal(depth, family)

    def refusal(self, depth: object, family: str) -> ParameterError:
        """The error for such a depth."""
        return ParameterError(
            f"{family}: depth = {depth!r} is not allowed; allowed: {self.allowed}"
        )


@dataclass(frozen=True)
class Family:
    """A model family.

    `recipe` is raised when a change alters what its training computes; the golden runs fail when
    behaviour changes and this number did not.  `title` is how prose names it, `unit` what one
    step of its depth is, `axis` what an axis or a heading calls the depth.  `fields` are those
    of `ModelSpec` that it uses, `depths` the rule for its depth.  `module`
    is the module of its class in the training half, `layout` the function that says which layers a
    network of it has, if one does, and `project` its project on Weights & Biases.
    `compared_with` names the families that it is compared with, each with all that tells the two
    apart: where that is one thing, they are twins, and a difference between them has a cause.
    `style` is its colour in the charts: `plain`, `residual`, `control` for a third one of the same
    chapter, or `further`.  A `single_threaded` family's layers are too small to be worth sharing
    among threads.  A user-defined family (`families`) has the `file` that declares it and its
    SHA-256.
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
    layout: Layout | None = None
    compared_with: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    single_threaded: bool = False
    file: Path | None = None
    sha256: str | None = None

    @property
    def own(self) -> bool:
        """True for a user-defined family, declared in a file of the reader's."""
        return self.file is not None
