"""Profiles: the YAML files in `params/` that say what each page of the report runs."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from ..core.families import FAMILIES
from ..core.files import project_root
from ..core.record import Record
from ..core.spec import RunSpec
from ..core.store import Store
from ..errors import MissingRunsError, ParameterError, did_you_mean, not_allowed, short_repr
from . import strict_yaml
from .chapters import (
    CHAPTERS,
    TRAINING_FIELDS,
    Chapter,
    FurtherRuns,
    check_parameters,
    describe_parameter,
    plan_page,
    read_further_runs,
)
from .chapters import chapter as chapter_of
from .ensure import ensure

#: The profile that is published: its charts lie in `figures/`, and the site shows it.
REPORT = "report"


@dataclass(frozen=True)
class Page:
    """One page of the site: a chapter with one set of parameters.

    `name` is the page's file name without ending: the chapter's own, or for a further set of
    parameters `<chapter>-<page>`.  `further` are its further runs by name, of which `parameters`
    name those that are trained; `asked` is what a reader changed.
    """

    name: str
    chapter: str
    profile: str
    parameters: Mapping[str, Any]
    further: Mapping[str, FurtherRuns] = field(default_factory=dict)
    asked: Mapping[str, Any] = field(default_factory=dict)

    @property
    def variant(self) -> str:
        """The suffix of a further page of a chapter: `narrow` in `1_1-narrow`, else empty."""
        return self.name.removeprefix(self.chapter).removeprefix("-")

    @cached_property
    def questions(self) -> list[dict[str, Any]]:
        """Its parameters, of one value each where several were asked for; it is about the first."""
        return chapter_of(self.chapter).questions(self.parameters)

    @property
    def changes(self) -> list[str]:
        """In words, the parameters in which it differs from the published page of its chapter.

        None where it is one of the published pages, or there is none of its chapter.  Further runs
        that it does without are not named.
        """
        chapter = chapter_of(self.chapter)
        usual = [chapter.values(page.parameters) for page in published(self.chapter)]
        values = chapter.values(self.parameters)
        if not usual or values in usual:
            return []
        return [
            describe_parameter(name, value)
            for name, value in values.items()
            if value != usual[0][name]
            and (value is not None or name in TRAINING_FIELDS)
            and name != "further"
        ]

    @property
    def user_defined(self) -> list[str]:
        """In words, the networks and the images that it shows and lab1 does not have."""
        plan = self.plan()
        families = dict.fromkeys(FAMILIES[spec.model.family] for spec in plan)
        images = dict.fromkeys(spec.images for spec in plan)
        return [f"the {f.title} ({f.file.name})" for f in families if f.file] + [
            f"the images {dataset.title}" for dataset in images if dataset.user_defined
        ]

    @property
    def beside(self) -> Page | None:
        """The published page beside whose runs a reader's are shown, without its further runs.

        None where she asked for nothing else, or for the published setting among others.
        """
        if self.profile != REPORT or not self.changes:
            return None
        usual = published(self.chapter)[0]
        usual = replace(usual, parameters={**usual.parameters, "further": None})
        values = chapter_of(self.chapter).values
        asked = [values({**question, "further": None}) for question in self.questions]
        return None if values(usual.parameters) in asked else usual

    @property
    def reads_pages(self) -> bool:
        """True if it shows the records of the profile's other pages, and has no runs of its own."""
        return chapter_of(self.chapter).reads_pages

    def plan(self, question: Mapping[str, Any] | None = None) -> list[RunSpec]:
        """The runs that the page asks for, or those of one of its `questions`."""
        return self._plan(self.parameters if question is None else question, self.further_names)

    @property
    def further_names(self) -> tuple[str, ...]:
        """The names of the further runs that are trained."""
        return self.parameters.get("further") or ()

    @cached_property
    def further_of(self) -> dict[str, str]:
        """The name of the further runs that each of them is of, by key: the first of several."""
        if not self.further_names:
            return {}
        main = {spec.key for spec in self._plan(self.parameters, ())}
        return {
            spec.key: name
            for name in reversed(self.further_names)
            for spec in self._plan(self.parameters, (name,))
            if spec.key not in main
        }

    def _plan(self, parameters: Mapping[str, Any], further: Sequence[str]) -> list[RunSpec]:
        asked = {name: parameters[name] for name in self.asked}
        return plan_page(self.chapter, parameters, [self.further[name] for name in further], asked)

    def records(self, store: Store | None = None) -> list[Record]:
        """The records that the page shows; those of its own runs are trained where missing.

        Raises as `ensure` does or, where it reads those of others that plan some, as `trained`.
        """
        if self.reads_pages:
            return trained(self.profile, store=store) if planned(self.profile) else []
        return ensure(self.plan(), store=store, probes=chapter_of(self.chapter).probes)


def names() -> list[str]:
    """The profiles there are."""
    files = (project_root() / "params").glob("*.yml")
    return sorted(path.stem for path in files if not path.name.startswith("."))


def pages(profile: str) -> list[Page]:
    """The pages of a profile, in its order, their parameters checked.

    Raises `ParameterError` for a profile that does not exist or that names an
    unknown chapter or parameter, or a value that is not allowed.
    """
    if profile not in names():
        raise ParameterError(refusal(profile))
    path = project_root() / "params" / f"{profile}.yml"
    content = strict_yaml.load_file(path)
    try:
        return _read_pages(profile, content)
    except ParameterError as error:
        raise ParameterError(f"{path.name}: {error}") from error


def refusal(profile: Any) -> str:
    """Says that a profile does not exist, and which do."""
    there = ", ".join(names())
    return f"profile {short_repr(profile)} does not exist; there are {there} (params/*.yml)"


def _read_pages(profile: str, content: Any) -> list[Page]:
    chapters = content.get("chapters") if isinstance(content, dict) else None
    if not isinstance(chapters, dict) or not chapters:
        raise ParameterError("needs a mapping 'chapters' from chapter to parameters")
    for key in content:
        if key != "chapters":
            raise ParameterError(f"unknown key {short_repr(key)}; allowed: chapters")
    result = [
        _read_page(profile, chapter, values)
        for chapter, sets in chapters.items()
        for values in (sets if isinstance(sets, list) and sets else [sets])
    ]
    repeated = [name for name, count in Counter(page.name for page in result).items() if count > 1]
    if repeated:
        raise ParameterError(
            f"several parameter sets make the page {repeated[0]}; "
            "give each further set a 'page' of its own"
        )
    # A notebook takes from the first page what it is not given, and so would ask for other runs.
    first: dict[str, Page] = {}
    for page in result:
        begun = first.setdefault(page.chapter, page)
        missing = [name for name in begun.parameters if name not in page.parameters]
        if missing:
            raise ParameterError(
                f"page {page.name}: needs a value for {', '.join(missing)} too, since "
                f"page {begun.name} has one"
            )
    return result


def _read_page(profile: str, chapter: str, values: Any) -> Page:
    takes_parameters = bool(chapter_of(chapter).parameters)
    where = f"chapter {chapter}"
    if not isinstance(values, dict):
        raise ParameterError(f"{where}: needs a mapping of parameters, got {short_repr(values)}")
    values = dict(values)
    suffix = values.pop("page", None)
    if suffix is not None and not (
        isinstance(suffix, str) and re.fullmatch(r"[a-z0-9][a-z0-9-]{0,59}", suffix)
    ):
        allowed = "small letters, digits, hyphens, at most 60"
        raise not_allowed("page", suffix, allowed, where)
    further = read_further_runs(chapter, values.pop("further", None), where)
    checked = check_parameters(chapter, values, where)
    if takes_parameters:
        checked["further"] = tuple(further) or None
    name = chapter if suffix is None else f"{chapter}-{suffix}"
    page = Page(name, chapter, profile, checked, further)
    page.plan()  # refuses what only shows in combination, such as a patience without validation
    return page


def planned(
    profile: str, chapters: Callable[[str], bool] = lambda name: True
) -> dict[RunSpec, tuple[str, ...]]:
    """The runs that a profile's pages plan, each once, with the names of the pages that show it.

    They are in the pages' order.  `chapters` chooses the pages by the name of their chapter.
    """
    runs: dict[RunSpec, tuple[str, ...]] = {}
    for page in pages(profile):
        for spec in page.plan() if chapters(page.chapter) else ():
            runs[spec] = (*runs.get(spec, ()), page.name)
    return runs


def shown_on(profile: str) -> dict[str, tuple[str, ...]]:
    """The names of the pages that plan each run, by the run's key."""
    return {spec.key: names for spec, names in planned(profile).items()}


def probes_of(spec: RunSpec, profile: str) -> tuple[str, ...]:
    """The probes that the pages of a profile show of a run."""
    chapters = (page.chapter for page in pages(profile) if spec in page.plan())
    return tuple(dict.fromkeys(p for name in chapters for p in chapter_of(name).probes(spec)))


def trained(
    profile: str, chapters: Callable[[str], bool] = lambda name: True, store: Store | None = None
) -> list[Record]:
    """The records there are of the runs that a profile's pages plan, each once; trains none.

    `chapters` is that of `planned`.  Raises `MissingRunsError` where no run has a record.
    """
    store = store or Store()
    records = [store.find(spec) for spec in planned(profile, chapters)]
    if not any(records):
        raise no_records(profile)
    return [record for record in records if record is not None]


def no_records(profile: str) -> MissingRunsError:
    """The error where no run of a profile has a record."""
    names = ", ".join(page.name for page in pages(profile) if page.plan())
    how = f"train with `python -m lab1 run CHAPTER`, of {names}" if names else "no page plans one"
    return MissingRunsError(f"no run of the profile {profile!r} has a record yet; {how}")


def page(chapter: str, profile: str, overrides: Mapping[str, Any]) -> Page:
    """The page of a profile with that name, or the chapter's first, with some parameters changed.

    Raises `ParameterError` as `pages` does.
    """
    of_profile = pages(profile)
    named = [page for page in of_profile if page.name == chapter]
    if not named:
        chapter_of(chapter)
        named = [page for page in of_profile if page.chapter == chapter]
    if not named:
        raise ParameterError(
            f"profile {profile!r} has no chapter {chapter}; see params/{profile}.yml"
        )
    first = named[0]
    changed = check_parameters(first.chapter, overrides)
    for published in of_profile:  # a notebook that publishing executes is given all parameters
        if published.chapter == first.chapter and published.parameters == changed:
            return published
    for name in changed.get("further") or ():
        if name not in first.further:
            allowed = ", ".join([*first.further, "none"]) + did_you_mean(name, first.further)
            raise not_allowed("further", name, allowed, f"chapter {first.chapter}")
    asked = {name: value for name, value in changed.items()
             if value != first.parameters.get(name) and name != "further"}  # fmt: skip
    return replace(first, parameters=_changed(first.parameters, changed), asked=asked)


def published(chapter: str) -> list[Page]:
    """The published pages of a chapter; none where their profile cannot be read."""
    try:
        return [page for page in pages(REPORT) if page.chapter == chapter]
    except ParameterError:
        return []


def _changed(parameters: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters with changes.

    Raises `ParameterError` for hidden sizes beside depth or width, one of which would count for
    nothing; the latter replace hidden sizes that the profile has.
    """
    beside = [name for name in ("depth", "width") if name in changes]
    if beside and changes.get("hidden_sizes"):
        case = f"beside {' and '.join(beside)}, in whose place it stands"
        sizes = list(changes["hidden_sizes"])
        raise not_allowed("hidden_sizes", sizes, "one or the other", case=case)
    replaced = {"hidden_sizes": None} if beside and "hidden_sizes" in parameters else {}
    return {**parameters, **replaced, **changes}


# For editors


def schema() -> dict[str, Any]:
    """The JSON schema of profiles, by which editors complete and check them.

    A profile names it in its first line: `# yaml-language-server: $schema=...`.
    """
    declared = {
        name: field.schema
        for chapter in CHAPTERS.values()
        for name, field in chapter.parameters.items()
        if name != "further"
    }
    chapters = _object({name: _pages_schema(chapter) for name, chapter in CHAPTERS.items()})
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **_object({"chapters": chapters}),
        "required": ["chapters"],
        "$defs": declared,
    }


def _pages_schema(chapter: Chapter) -> dict[str, Any]:
    """One set of parameters, or several, each further one with a name."""
    values: dict[str, Any] = {
        name: {"$ref": f"#/$defs/{name}"} for name in chapter.parameters if name != "further"
    }
    page: dict[str, Any] = {"type": "string", "description": "the end of the page's name"}
    name = {"type": "string", "description": "the name of the further runs"}
    if values:
        further = _object({"name": name, "role": {"enum": ["fresh"]}, **values})
        values["further"] = {"type": "array", "items": further | {"required": ["name"]}}
    one = _object({"page": page, **values})
    return {"anyOf": [one, {"type": "array", "items": one, "minItems": 1}]}


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "additionalProperties": False}


if __name__ == "__main__":  # writes params/schema.json anew
    print(json.dumps(schema(), sort_keys=True, separators=(",", ":")))
