"""The shared setup of all chapters: check the parameters, get the runs, hand over frames.

A chapter's first cells are its parameters and::

    from lab1.chapter import open_chapter

    chapter = open_chapter("1_1", globals())
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import pandas as pd

from .core import benchmarks, differences
from .core.datasets import DATASETS
from .core.escape import for_markdown
from .core.fields import Field
from .core.record import Record
from .core.spec import ModelSpec
from .core.store import Store
from .errors import MissingRunsError, ParameterError, not_allowed
from .planning import chapters, notebook, profiles
from .planning.cost import duration
from .planning.ensure import ensure_probe, is_out_of_reach
from .planning.profiles import REPORT
from .reporting import claims, comparison, findings, frames
from .reporting.claims import Claim, Prose
from .reporting.findings import Findings
from .reporting.paired import Comparison, Condition
from .reporting.provenance import runs_table
from .reporting.selections import Selection
from .reporting.tables import Table, settings_table
from .reporting.words import listed

#: Where this is set, a claim of a published page that is not carried is shown, and marked so.
DRAFT = "LAB1_DRAFT"


def open_chapter(name: str, namespace: Mapping[str, Any]) -> OpenChapter:
    """The chapter with the parameters of a notebook, whose globals are the `namespace`.

    They are what its parameters cell assigns and what papermill sets, whatever else the notebook
    holds (see `lab1.planning.notebook`); outside Jupyter the plain values of `namespace` are, as in
    `open_chapter("1_1", {"profile": "smoke"})`.  A value means what it means on the command line,
    and `None` leaves a parameter as the profile has it.  Raises `ParameterError` naming the
    parameter, what is allowed, and the chapter, before anything is trained or written.
    """
    allowed = {"profile": Field(name="profile"), **chapters.chapter(name).parameters}
    if not isinstance(namespace, Mapping):
        raise not_allowed("namespace", namespace, "globals(), or a dict", f"chapter {name}")
    given = notebook.asked(namespace, allowed, f"chapter {name}")
    if "profile" not in given:
        raise ParameterError(
            f"chapter {name}: no profile is given; there are {', '.join(profiles.names())}. A "
            "notebook names it in its parameters cell, which runs first and does nothing but assign"
        )
    profile = given.pop("profile")
    if profile not in profiles.names():
        raise ParameterError(f"chapter {name}: {profiles.refusal(profile)}")
    page = profiles.page(name, profile, given)
    notebook.show_captions()
    if user_defined := page.user_defined:
        notebook.show_text(
            f"Not part of lab1, but its user's own: {for_markdown(listed(user_defined))}."
        )
    if changes := page.changes:
        differing = for_markdown("; ".join(changes))
        notebook.show_text(
            f"Unlike the published runs, for which the text was written: {differing}."
            + " [Both stand beside each other below](#compared)." * (page.beside is not None)
        )
    return OpenChapter(page)


class OpenChapter:
    """A chapter with its parameters; what it wants is read, or trained, when first asked for."""

    def __init__(self, page: profiles.Page) -> None:
        self.page = page
        self._findings: Findings | None = None

    @cached_property
    def published(self) -> bool:
        """Whether these are the runs of a page as it is published: no parameter was changed."""
        pages = profiles.published(self.page.chapter) if self.page.profile == REPORT else []
        return self.page.parameters in [page.parameters for page in pages]

    @cached_property
    def settings(self) -> dict[str, Any]:
        """The value of each of its `parameters`, defaults included."""
        return chapters.chapter(self.page.chapter).values(self.parameters)

    def select(self, family: str, **values: Any) -> Selection:
        """The runs of a family that have these values, as `Selection.at` takes them.

        They are of its usual design, unless a field of that is named or was asked for.
        """
        return Selection(self.runs).of_family(family, **values)

    def findings(self, **comparisons: Comparison) -> Findings:
        """The page's comparisons by name, corrected together.

        What a reader asked for, further networks and several values of a parameter, is compared as
        well.  Raises `ClaimError` as `Findings.of` does.
        """
        added = findings.of_further_networks(Selection(self.without_further(self.runs)))
        added |= findings.of_several_answers(
            {
                name: Selection(self.without_further(frames.runs(records)))
                for name, records in self.answers.items()
            }
        )
        self._findings = findings.Findings.of({**comparisons, **added})
        return self._findings

    def claim(self, text: str, *conditions: Condition, name: str = "") -> Claim:
        """A sentence that the comparisons in its conditions carry (`lab1.reporting.claims`).

        The front page quotes those whose `name` is `headline` and `deck`.
        """
        return self._claim(text, conditions, name=name)

    def answer(
        self,
        text: str,
        *conditions: Condition,
        number: Comparison | None = None,
        card: str = "",
        doubt: str = "",
    ) -> Claim:
        """The box that opens the page: a claim, beside which the `number` stands large.

        The front page has the number on a card, between the sentence `card` and its `doubt`; the
        same conditions carry them.
        """
        return self._claim(text, conditions, box=True, number=number, card=card, doubt=doubt)

    def _claim(self, text: str, conditions: Sequence[Condition], **keywords: Any) -> Claim:
        keywords |= {"published": self.published, "draft": bool(os.environ.get(DRAFT))}
        return claims.claim(text, conditions, page=self._findings, **keywords)

    def describe(self, text: str, **values: Any) -> Prose:
        """A sentence about the setting: its placeholders are parameters, or `values`.

        There are `data`, the title of the data set, `train_images`, `test_images` and `classes`,
        their numbers, and of the runs `runs` and `n_seeds`, their `depths` and `size`.
        """
        facts = {
            name: listed([str(part) for part in value]) if isinstance(value, tuple) else value
            for name, value in self.settings.items()
            if value is not None
        }
        if dataset := self.settings.get("dataset"):
            declared = DATASETS[dataset]
            facts |= {"data": for_markdown(declared.title), "classes": declared.num_classes}
            facts |= {"train_images": declared.train_size, "test_images": declared.test_size}
        specs = [record.spec for record in self.records]
        facts |= {
            "runs": len(specs),
            "n_seeds": len({spec.seed for spec in specs}),
            "depths": listed([str(depth) for depth in sorted({s.model.depth for s in specs})]),
            "size": listed(list(dict.fromkeys(_size(spec.model) for spec in specs))),
        }
        return claims.describe(text, {**facts, **values})

    def setting_table(self) -> Table:
        """Every setting of these runs, folded, beside the published one where they differ."""
        declared = chapters.chapter(self.page.chapter)
        pages = profiles.published(self.page.chapter)
        usual = declared.values(pages[0].parameters) if pages else {}
        return settings_table(self.settings, usual, declared.parameters)

    def published_run(self, **values: Any) -> dict[str, str]:
        """Of the first published run with these values: `run`, a link, its `time`, its `device`.

        They are fields of a run, such as `depth`, or `teacher` for one that has a teacher.  Where
        its record is not at hand there is nothing to link to.  Raises `MissingRunsError` where the
        published page has no such run.
        """
        store = Store()
        for spec in (s for page in profiles.published(self.page.chapter) for s in page.plan()):
            known = differences.settings(spec)
            if all(name in known and known[name].value == values[name] for name in values):
                record = store.find(spec)
                if record is None or not store.is_published(record):
                    return {"run": f"`{spec.key}`", "time": "unknown", "device": "unknown"}
                link = f"[`{spec.key}`](../results/{spec.name}.json)"
                device = for_markdown(frames.hardware(record))
                return {"run": link, "time": duration(record.seconds), "device": device}
        raise MissingRunsError(
            f"chapter {self.page.chapter}: no published run has {values}; see params/{REPORT}.yml"
        )

    @property
    def parameters(self) -> Mapping[str, Any]:
        """The parameters of the first question, which the page is about."""
        return self.page.questions[0]

    @cached_property
    def all_records(self) -> list[Record]:
        """The records of the chapter's runs; missing ones are trained.

        A chapter that reads the profile's other pages gets what records they have.
        """
        return self.page.records()

    @cached_property
    def records(self) -> list[Record]:
        """The records that the page is about: those of the first question."""
        return next(iter(self.answers.values()))

    @cached_property
    def answers(self) -> dict[str, list[Record]]:
        """The records of each question, under what sets it apart: `learning rate 0.001`, say."""
        questions = self.page.questions
        if len(questions) == 1:
            return {"": self.all_records}
        records = {record.spec: record for record in self.all_records}
        answers = {}
        for question in questions:
            several = (chapters.describe_parameter(name, value) for name, value in question.items()
                       if value != self.page.parameters[name])  # fmt: skip
            planned = (spec for spec in self.page.plan(question) if spec in records)
            answers[", ".join(several)] = [replace(records[spec], spec=spec) for spec in planned]
        return answers

    @cached_property
    def compared(self) -> dict[str, list[Record]]:
        """The `answers`, after the records of the published page where they differ from it."""
        beside, store = self.page.beside, Store()
        found = [store.find(spec) for spec in beside.plan()] if beside else []
        published = [record for record in found if record is not None]
        if not published:
            return self.answers
        answers = self.answers if len(self.answers) > 1 else {"yours": self.records}
        return {comparison.PUBLISHED: published, **answers}

    def of(self, *chapters: str) -> OpenChapter:
        """The same page with the records of those chapters alone, none where there are none yet."""
        part = OpenChapter(self.page)
        try:
            part.all_records = profiles.trained(self.page.profile, lambda name: name in chapters)
        except MissingRunsError:
            part.all_records = []
        return part

    @cached_property
    def pages(self) -> dict[str, tuple[str, ...]]:
        """The names of the profile's pages that show each run, by the run's key."""
        return profiles.shown_on(self.page.profile)

    @cached_property
    def runs(self) -> pd.DataFrame:
        """One row per run, as in `frames.runs`, and the name of its `further` runs, if any."""
        return self._named(frames.runs(self.records))

    @cached_property
    def history(self) -> pd.DataFrame:
        """One row per run and epoch, as in `frames.history`, with `further` as in `runs`."""
        return self._named(frames.history(self.records))

    def without_further(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The rows of a frame of runs or their history that are of none of the `further` runs."""
        named = self._named(frame)
        return named.loc[named["further"] == ""]

    def _named(self, frame: pd.DataFrame) -> pd.DataFrame:
        names = self.page.further_of
        return frame.assign(further=[names.get(key, "") for key in frame.get("key", ())])

    @cached_property
    def best(self) -> Record:
        """The run with the best validation accuracy: chosen without a look at the test images."""
        finished = [record for record in self.records if record.best_epoch is not None]
        if not finished:
            raise self._all_diverged()

        def accuracy(record: Record) -> float:
            assert record.best_epoch is not None
            # Without a validation split the training images must serve.
            part = "validation" if record.spec.training.validation_size else "train"
            return record.history[f"{part}_accuracy"][record.best_epoch - 1] or 0.0

        return max(finished, key=accuracy)

    def probe(self, record: Record, name: str) -> Mapping[str, Any]:
        """The probe's record of a run, see `lab1.training.probes`; measured where missing."""
        return ensure_probe(record, name)

    def measured(self, name: str) -> list[tuple[Record, Mapping[str, Any]]]:
        """The runs on which the chapter has that probe measured, each with what it found.

        Without those that were published before there was such a probe, and without weights.
        """
        probes, store = chapters.chapter(self.page.chapter).probes, Store()
        return [
            (record, self.probe(record, name))
            for record in self.records
            if not record.diverged and name in probes(record.spec)
            if not is_out_of_reach(record, name, store)
        ]

    def first(self, name: str) -> tuple[Record, Mapping[str, Any]]:
        """The first of `measured`; raises `MissingRunsError` where there is none."""
        if measured := self.measured(name):
            return measured[0]
        if all(record.diverged for record in self.records):
            raise self._all_diverged()
        raise MissingRunsError(
            f"chapter {self.page.chapter}: no run has the probe {name!r}, or weights to measure it"
        )

    @cached_property
    def layers(self) -> pd.DataFrame:
        """One row per run, state and layer, as in `frames.layers`."""
        if measured := self.measured("layers"):
            return frames.layers(measured)
        raise self._all_diverged()

    @cached_property
    def lesions(self) -> pd.DataFrame:
        """One row per run and block that was left out; empty without weights."""
        probes = {record.key: probe for record, probe in self.measured("lesion")}
        return frames.lesions(self.runs, probes)

    @cached_property
    def benchmarks(self) -> dict[str, Mapping[str, Any]]:
        """The published benchmark records that compare trainers, by name."""
        return benchmarks.published(benchmarks.CONTENDERS)

    @cached_property
    def depth_benchmarks(self) -> dict[str, Mapping[str, Any]]:
        """The published benchmark records that compare networks of several depths, by name."""
        return benchmarks.published(benchmarks.DEPTHS)

    def _all_diverged(self) -> MissingRunsError:
        return MissingRunsError(f"chapter {self.page.chapter}: every run diverged")

    def provenance(self) -> Table:
        """The table of the runs behind the page."""
        store = Store()
        published = {record.key for record in self.all_records if store.is_published(record)}
        # What a reader trained for a question of her own is on no page of the site.
        return runs_table(self.all_records, published, self.pages)


def _size(model: ModelSpec) -> str:
    """What a network has beside its depth: `width 128`, say."""
    known = differences.settings_of(model)
    sizes = (known[name] for name in ("width", "channels", "hidden_sizes"))
    return ", ".join(size.words for size in sizes if not size.silent)
