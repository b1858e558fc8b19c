"""A page's further runs: sweeps, controls and single changes beside what the page is about.

In `params/*.yml` a page lists them under `further`, each with a name of its own and the parameters
in which it differs from the page:

    further:
      - name: learning rates
        depth: [16, 32]
        learning_rate: [0.0001, 0.0003, 0.003]

With `role: fresh` its seeds had no part in the choice of what it changes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..core.fields import Field
from ..core.spec import RunSpec
from ..errors import ParameterError, short_repr
from .chapters import chapter, check_parameters, plan, teachers_first

#: Parameters that stand in each other's place.
_IN_PLACE_OF = {"hidden_sizes": ("depth", "width"), "depth": ("hidden_sizes",),
                "width": ("hidden_sizes",)}  # fmt: skip

_ROLE = Field("what the seeds are", choices=("fresh",), name="role", optional=True)


@dataclass(frozen=True)
class FurtherRuns:
    """Runs beside those of a page: their name, what differs, and the role of their seeds."""

    name: str
    changes: Mapping[str, Any]
    role: str | None = None

    def within(self, of_chapter: str, asked: Mapping[str, Any]) -> dict[str, Any] | None:
        """Its changes as far as they are what a reader `asked` for; `None` where nothing is left.

        Who asks for one depth trains no control of another depth.
        """
        fields = chapter(of_chapter).parameters
        kept: dict[str, Any] = {}
        for name, value in self.changes.items():
            if any(other in asked for other in _IN_PLACE_OF.get(name, ())):
                return None
            if name in asked and value != asked[name]:
                if fields[name].repeats:
                    return None
                values, wanted = (
                    item if isinstance(item, tuple) else (item,) for item in (value, asked[name])
                )
                if not (both := tuple(item for item in values if item in wanted)):
                    return None
                value = both if isinstance(value, tuple) else both[0]
            kept[name] = value
        return kept


def read(of_chapter: str, values: Any, where: str) -> dict[str, FurtherRuns]:
    """The further runs that a page lists, by name; raises `ParameterError` for anything else."""
    rows: dict[str, FurtherRuns] = {}
    if values is None or values in ("none", ""):
        return rows
    if not isinstance(values, list) or not all(isinstance(row, dict) for row in values):
        raise ParameterError(
            f"{where}: further = {short_repr(values)} is not allowed; allowed: a list of further "
            "runs, each with a name and the parameters in which it differs from the page"
        )
    for entry in values:
        changes = dict(entry)
        name = changes.pop("name", None)
        if (
            not (isinstance(name, str) and name.strip() and name.isprintable())
            or "," in name
            or name in rows
        ):
            raise ParameterError(
                f"{where}: further runs: name = {short_repr(name)} is not allowed; allowed: a text "
                "on one line, without commas, that no other further runs of the page have"
            )
        place = f"{where}: further runs {name!r}"
        role = _ROLE.check(changes.pop("role", None), place)
        checked = check_parameters(of_chapter, changes, place)
        checked.pop("further", None)
        rows[name] = FurtherRuns(name, checked, role)
    return rows


def plan_page(
    of_chapter: str,
    parameters: Mapping[str, Any],
    further: Sequence[FurtherRuns] = (),
    asked: Mapping[str, Any] | None = None,
) -> list[RunSpec]:
    """The runs of a page, then its further runs within what a reader `asked` for, each once.

    Runs at a setting that was chosen have a role: `fresh`, or that their seeds chose it.
    """
    runs = plan(of_chapter, **parameters)
    of_page = set(map(_without_seed, runs))
    fresh: set[RunSpec] = set()
    for row in further:
        changes = row.within(of_chapter, asked or {})
        if changes is None:
            continue
        try:
            planned = plan(of_chapter, **{**parameters, **changes})
        except ParameterError as error:
            raise ParameterError(f"further runs {row.name!r}: {error}") from error
        if row.role:
            added = [spec for spec in planned if _without_seed(spec) not in of_page]
            fresh.update(added)
        runs += planned
    settings = set(map(_without_seed, fresh))
    return teachers_first(
        [
            replace(spec, role="fresh" if spec in fresh else "chose")
            if _without_seed(spec) in settings
            else spec
            for spec in runs
        ]
    )


def _without_seed(spec: RunSpec) -> RunSpec:
    return replace(spec, seed=0)
