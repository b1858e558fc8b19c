"""The chapters: what each runs, what is measured on its runs, and how its parameters become a plan.

A plan, and with it every key, is made without torch and without the data.
"""

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property, partial
from itertools import product
from typing import Any

from ..core.datasets import DATASETS
from ..core.differences import describe
from ..core.families import FAMILIES
from ..core.fields import MOST_VALUES, Field, declarations
from ..core.spec import RunSpec
from ..core.training_config import TrainingConfig
from ..errors import ParameterError, did_you_mean, not_allowed, short_repr, unknown
from .chapter_runs import convolutional_networks, degradation, distillation, perceptrons

#: The networks of two convolutions a block, one of which can be left out.
_OF_BLOCKS = ("ResidualCNN", "PlainCNN", "ResNet", "PlainNet")


def _gradient_probes(spec: RunSpec) -> tuple[str, ...]:
    """The probe of the first gradient's exactness, for the seeds 0, 5, …

    So it is measured too where a setting has fresh seeds alone, which begin with 5.
    """
    return ("gradient-agreement",) if spec.seed % 5 == 0 else ()


def _cnn_probes(spec: RunSpec) -> tuple[str, ...]:
    """Its mistakes, and what it can do without each of its blocks."""
    lesion = ("lesion",) if spec.model.family in _OF_BLOCKS else ()
    return ("confusion", "hardest", *lesion, *_gradient_probes(spec))


def _distillation_probes(spec: RunSpec) -> tuple[str, ...]:
    """The probes of teacher and student: answers, calibration, and a class unseen."""
    if spec.training.omitted_class is not None:
        probes = ["bias-correction", *(["int8-weights"] if spec.seed == 0 else [])]
    else:
        probes = ["softened"] if spec.model.family == "ResidualCNN" else []
        probes += ["teacher-agreement"] if spec.teacher else []
        probes += ["temperature-scaling"] if spec.training.validation_size else []
    return (*probes, *_gradient_probes(spec))


def _degradation_probes(spec: RunSpec) -> tuple[str, ...]:
    """Gradients by layer, what is missed without each block, and whether the running statistics
    are to blame for a training error.

    The latter two of runs in float32 alone: where bf16 spoils the gradients, they explain nothing.
    """
    further = ("recomputed-statistics", "lesion") if spec.training.precision == "float32" else ()
    return ("layers", *further, *_gradient_probes(spec))


# The chapters


@dataclass(frozen=True)
class Chapter:
    """A chapter: how its parameters become runs, and what else it shows.

    `runs` is the function.  `probes` names what is measured on a run right after its training.
    `reads_benchmarks` says that the chapter shows the published benchmarks, `reads_pages` that it
    plans no run and shows the records there are of the profile's other pages.
    """

    runs: Callable[..., list[RunSpec]] = list
    probes: Callable[[RunSpec], tuple[str, ...]] = lambda spec: ()
    reads_benchmarks: bool = False
    reads_pages: bool = False

    @cached_property
    def _signature(self) -> Mapping[str, inspect.Parameter]:
        return {} if self.runs is list else inspect.signature(self.runs).parameters

    @cached_property
    def required(self) -> tuple[str, ...]:
        """The parameters that the profile or the reader must set."""
        return tuple(
            name
            for name, parameter in self._signature.items()
            if parameter.default is parameter.empty and parameter.kind is parameter.KEYWORD_ONLY
        )

    @cached_property
    def parameters(self) -> Mapping[str, Field]:
        """The parameters that a profile, papermill or the command line sets, required ones first.

        Where one value is needed several may be asked for, see `questions`.
        """
        if not (signature := self._signature):
            return {}
        takes = declarations(getattr(self.runs, "func", self.runs))
        named = [
            name
            for name, parameter in signature.items()
            if parameter.kind is parameter.KEYWORD_ONLY
        ]
        further = TRAINING_FIELDS if len(named) < len(signature) else {}
        declared = further | {name: takes[name] for name in named}
        order = (*self.required, *named, *further)
        takes = {name: replace(declared[name], several=not declared[name].many) for name in order}
        return takes | {_FURTHER.name: _FURTHER}

    def values(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Every parameter by name, with its default, if it has one, where it is not set."""
        defaults = {field.name: field.default for field in fields(TrainingConfig)}
        defaults |= {name: field.default for name, field in self._signature.items()}
        defaults |= dict.fromkeys(self.required)
        return {name: parameters.get(name, defaults.get(name)) for name in self.parameters}

    def questions(self, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Checked parameters with one value each, where several were asked for; the first first.

        Raises `ParameterError` where these are more than anybody means.
        """
        values = {
            name: value if isinstance(value, tuple) and self.parameters[name].several else (value,)
            for name, value in parameters.items()
        }
        count = math.prod(map(len, values.values()))
        if count > MOST_VALUES:
            asked = ", ".join(name for name, several in values.items() if several[1:])
            raise ParameterError(
                f"the values of {asked} make {count} questions; allowed: at most {MOST_VALUES}"
            )
        return [dict(zip(values, choice, strict=True)) for choice in product(*values.values())]


#: What every page with runs of its own takes besides, see `FurtherRuns`.
_FURTHER = Field(
    "the page's further runs, by name, trained besides; none trains none",
    name="further",
    many=True,
    optional=True,
)

#: What `**training` stands for.  No chapter shows the training error in evaluation mode, or trains
#: without a class, unless its signature says so.
TRAINING_FIELDS = {
    name: field
    for name, field in declarations(TrainingConfig).items()
    if name not in ("train_evaluation_size", "omitted_class")
}

CHAPTERS: Mapping[str, Chapter] = {
    "1_1": Chapter(partial(perceptrons, families=("MLP",)), _gradient_probes),
    "1_2": Chapter(partial(perceptrons, families=("MLP", "ResidualMLP")), _gradient_probes),
    "1_3": Chapter(convolutional_networks, _cnn_probes, reads_benchmarks=True),
    "2_2": Chapter(distillation, _distillation_probes),
    "depth": Chapter(degradation, _degradation_probes, reads_benchmarks=True),
    # No runs of their own: how fast they are made, and what all pages together say.
    "speed": Chapter(reads_benchmarks=True),
    "results": Chapter(reads_pages=True),
}


def chapter(name: str) -> Chapter:
    """The chapter of that name; raises `ParameterError` for any other."""
    if name not in CHAPTERS:
        raise ParameterError(
            f"chapter {short_repr(name)} is not allowed; allowed: {', '.join(sorted(CHAPTERS))}"
            f"{did_you_mean(name, CHAPTERS)}"
        )
    return CHAPTERS[name]


def describe_parameter(name: str, value: Any) -> str:
    """A parameter and its value, or values, in words: `MNIST`, `width 32, 64`."""
    if name == "dataset":
        value = tuple(
            DATASETS[item].title for item in (value if isinstance(value, tuple) else (value,))
        )
    return describe(name, value)


def check_parameters(name: str, values: Mapping[str, Any], where: str = "") -> dict[str, Any]:
    """The checked values of a chapter's parameters.

    Raises `ParameterError` for an unknown name, a wrong type or a value out of
    range, naming `where` it stood (by default, the chapter).
    """
    where = where or f"chapter {name}"
    allowed = chapter(name).parameters
    for given in values:
        if given not in allowed:
            raise unknown(given, allowed, where)
    return {given: allowed[given].check(value, where) for given, value in values.items()}


def plan(name: str, **values: Any) -> list[RunSpec]:
    """The runs that a chapter wants, in the order in which they should be trained: teachers first.

    Raises `ParameterError` for a parameter that is missing, unknown, of the
    wrong type or out of range.
    """
    checked = check_parameters(name, values)
    checked.pop(_FURTHER.name, None)
    missing = [parameter for parameter in chapter(name).required if parameter not in checked]
    if missing:
        raise ParameterError(f"chapter {name}: needs a value for {', '.join(missing)}")
    try:
        questions = chapter(name).questions(checked)
        return teachers_first([spec for one in questions for spec in chapter(name).runs(**one)])
    except ParameterError as error:  # a combination that no single declaration rules out
        raise ParameterError(f"chapter {name}: {error}") from error


def teachers_first(specs: Sequence[RunSpec]) -> list[RunSpec]:
    """Runs without repetition, in their order, but for teachers before their students."""
    listed = set(specs)
    lines = ((*reversed(spec.teachers), spec) for spec in specs)
    return list(dict.fromkeys(spec for line in lines for spec in line if spec in listed))


# A page's further runs: its sweeps, controls and single changes, listed in `params/*.yml`

#: Parameters that stand in each other's place.
_IN_PLACE_OF = {"hidden_sizes": ("depth", "width"), "depth": ("hidden_sizes",),
                "width": ("hidden_sizes",)}  # fmt: skip

_ROLE = Field("what the seeds are", choices=("fresh",), name="role", optional=True)


@dataclass(frozen=True)
class FurtherRuns:
    """Runs beside those of a page: their name, what differs, and the role of their seeds.

    In `params/*.yml` a page lists them under `further`, each with a name of its own and the
    parameters in which it differs from the page:

        further:
          - name: learning rates
            depth: [16, 32]
            learning_rate: [0.0001, 0.0003, 0.003]

    With `role: fresh` its seeds had no part in the choice of what it changes.
    """

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
        if "hidden_sizes" in kept and "families" not in kept and "families" in asked:
            # A user-defined network has a depth, and no sizes layer by layer.
            able = (name for name in asked["families"] if "hidden_sizes" in FAMILIES[name].fields)
            kept["families"] = tuple(able)
            return kept if kept["families"] else None
        return kept


def read_further_runs(of_chapter: str, values: Any, where: str) -> dict[str, FurtherRuns]:
    """The further runs that a page lists, by name; raises `ParameterError` for anything else."""
    rows: dict[str, FurtherRuns] = {}
    if values is None or values in ("none", ""):
        return rows
    if not isinstance(values, list) or not all(isinstance(row, dict) for row in values):
        allowed = "a list of further runs, each with a name and what differs from the page"
        raise not_allowed("further", values, allowed, where)
    for entry in values:
        changes = dict(entry)
        name = changes.pop("name", None)
        if (
            not (isinstance(name, str) and name.strip() and name.isprintable())
            or "," in name
            or name in rows
        ):
            allowed = "a text on one line, without commas, that no others of the page have"
            raise not_allowed("name", name, allowed, f"{where}: further runs")
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
