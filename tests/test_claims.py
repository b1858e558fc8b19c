"""Every chapter that claims by comparisons: its claims are carried, and fail where these turn."""

import ast
import json
import math
import re
from dataclasses import replace
from functools import cache, cached_property
from statistics import mean, stdev

import pytest
from built_site import ROOT
from scipy import stats
from shipped_chapters import NAMES, code

from lab1.core.store import Store
from lab1.errors import ClaimError
from lab1.planning import profiles
from lab1.planning.ensure import find_todo
from lab1.reporting.findings import Findings
from lab1.reporting.paired import Difference
from lab1.reporting.statistics import METRICS

pytestmark = pytest.mark.slow


def calling(name, *methods):
    """The cells of a chapter that call one of these methods of `chapter`."""
    return [
        cell.source
        for cell in code(name)
        if any(f"chapter.{method}(" in cell.source for method in methods)
    ]


CLAIMING = [name for name in NAMES if calling(name, "findings")]


def judged(name):
    """The names of the comparisons that a chapter judges, as its source has them."""
    (cell,) = calling(name, "findings")
    nodes = [node for node in ast.walk(ast.parse(cell)) if isinstance(node, ast.Call)]
    (call,) = (node for node in nodes if getattr(node.func, "attr", "") == "findings")
    return [word.arg for word in call.keywords if ".in_(" in ast.unparse(word.value)]


class Chapter:
    """A chapter that was run up to its comparisons, with the records in `results/`."""

    def __init__(self, name):
        assert not find_todo(profiles.page(name, "report", {}).plan(), Store()).missing
        self.names = {}
        parameters, opening, *_ = (cell.source for cell in code(name))
        for source in (parameters, opening, *calling(name, "findings")):
            exec(source, self.names)
        self.chapter, self.findings = self.names["chapter"], self.names["findings"]
        self.specs = {record.key: record.spec for record in self.chapter.all_records}
        self.claims = calling(name, "claim", "answer")

    @cached_property
    def conditions(self):
        """The conditions of each claim, and whether they hold."""
        made = []
        for name in ("claim", "answer"):
            setattr(self.chapter, name, lambda text, *conditions, **_: made.append(conditions))
        for source in self.claims:
            exec(source, self.names)
        for name in ("claim", "answer"):
            delattr(self.chapter, name)
        return made

    def refused(self, claims, **changed):
        """The errors of some claims with other comparisons, in order; empty where carried."""
        errors = []
        # Holm's correction is left as it is: it is not what is looked at.
        names = {**self.names, "findings": Findings({**self.findings.comparisons, **changed})}
        for source in claims:
            try:
                exec(source, names)
            except ClaimError as error:
                errors.append(str(error))
            else:
                errors.append("")
        return errors


@cache
def chapter_of(name):
    return Chapter(name)


every_chapter = pytest.mark.parametrize("name", CLAIMING)

#: Each comparison of each chapter that is judged.
every_comparison = pytest.mark.parametrize(
    ("name", "compared"), [(name, compared) for name in CLAIMING for compared in judged(name)]
)


@every_chapter
def test_the_published_page_carries_its_claims(name):
    chapter = chapter_of(name)
    assert chapter.chapter.published
    assert not any(chapter.refused(chapter.claims))


@every_chapter
def test_every_comparison_stands_in_a_claim(name):
    """One that no sentence speaks of only makes the correction harder for the others."""
    chapter = chapter_of(name)
    named = {c.comparison.name for conditions in chapter.conditions for c in conditions}
    assert named == {comparison.name for comparison in chapter.findings}


#: What a metric is called in a record, and what is said there of what is right.
IN_RECORD = {"test_accuracy": "accuracy", "test_loss": "loss", "test_error": "accuracy",
             "train_error": "train_evaluation_accuracy"}  # fmt: skip

#: Where the rows of an arm have other measurements: an epoch, or the value of a probe.
EPOCHS = {"last epoch": -1, "two epochs earlier": -3}
PROBES = {
    "on the class": (
        "bias-correction",
        lambda probe: 1 - probe["errors_of_class"]["before"] / probe["count_of_class"],
    ),
    "running statistics": ("recomputed-statistics", lambda probe: probe["error"]),
    "fresh statistics": ("recomputed-statistics", lambda probe: probe["recomputed_error"]),
    "first layer": ("layers", lambda probe: math.log10(probe["initial"]["gradient_norm"][0])),
    "last convolution": ("layers", lambda probe: math.log10(probe["initial"]["gradient_norm"][-2])),
}


def in_benchmark(name, case, contender, place, metric):
    """The time of a contender in a round, that of the trainer in float32 being one."""
    assert metric == "relative_time"
    record = json.loads((ROOT / "results" / "benchmarks" / f"{name}.json").read_text())
    (timed,) = (one["rounds"] for one in record["cases"] if one["title"] == case)
    (called,) = (key for key, title in record["contenders"].items() if title == contender)
    ours = timed["lab1"][int(place)]["seconds"]
    return timed[called][int(place)]["seconds"] / ours


@cache
def results():
    """The files of `results/`, by the key in their name and, of a probe, its name."""
    named = re.compile(r".*\.([0-9a-f]{16}(?:\.[\w-]+)?)\.json")
    return {named.fullmatch(path.name)[1]: path for path in (ROOT / "results").glob("*.json")}


@cache
def in_results(name):
    return json.loads(results()[name].read_text())


def measured(key, metric):
    """A metric of a run, read from its JSON; of several runs, their mean.

    A part `key/block` is a run without a block.
    """
    values = []
    if key.count("/") == 3 and "+" not in key:  # of a benchmark
        return in_benchmark(*key.split("/"), metric)
    for part in key.split("+"):
        run, _, without = part.partition("/")
        run, _, called = run.partition(".")
        probe, found = PROBES.get(called, ("", None))
        if without:
            probe, found = "lesion", lambda lesion, name=without: block_of(lesion, name, metric)
        record = in_results(f"{run}{probe and '.'}{probe}")
        if found:
            values.append(found(record["content"]))
            continue
        where = IN_RECORD.get(metric, metric)
        value = (record["test"][where] if where in record["test"] else
                 record["history"][where][EPOCHS.get(called, -1)])  # fmt: skip
        values.append(1 - value if metric.endswith("_error") else value)
    return mean(values)


def block_of(lesion, name, metric):
    (block,) = (block for block in lesion["blocks"] if block["name"] == name)
    return block[IN_RECORD[metric]]


def at_size(keys, size, metric):
    """A metric on the straight line through two runs, at that logarithm of their parameters."""
    low, *_, high = keys.split("+")
    first, last = (math.log(parameters(key)) for key in (low, high))
    slope = (measured(high, metric) - measured(low, metric)) / (last - first or 1)
    return measured(low, metric) + slope * (math.log(size) - first)


def parameters(key):
    return in_results(key)["parameters"]


def by_seed(arm, metric):
    """A metric of the runs of an arm by their seed; of a difference, that of its two arms."""
    if not isinstance(arm, Difference):
        return {
            row["seed"]: at_size(row["key"], row["parameters"], metric)
            if row.get("stopped") == "interpolated"
            else measured(row["key"], metric)
            for row in arm.runs.to_dict("records")
        }
    one, other = by_seed(arm.one, metric), by_seed(arm.other, metric)
    return {seed: one[seed] - other[seed] for seed in one.keys() & other.keys()}


def differs_in(one, other):
    """The settings in which two specifications differ, the seed left out."""

    def flat(values, prefix=""):
        for name, value in values.items():
            if isinstance(value, dict):
                yield from flat(value, f"{name}.")
            else:
                yield prefix + name, value

    both = [dict(flat(spec.canonical())) for spec in (one, other)]
    return {
        name.rpartition(".")[2]
        for name in both[0].keys() | both[1].keys()
        if both[0].get(name) != both[1].get(name)
    } - {"seed"}


@every_comparison
def test_a_comparison_is_that_of_another_calculation(name, compared):
    """In plain Python, from the records' JSON."""
    comparison = chapter_of(name).findings[compared]
    difference = comparison.difference
    if comparison.reason:
        pytest.skip(f"not judged: {comparison.reason}")
    values = [*by_seed(difference, comparison.metric).values()]
    error = stdev(values) / math.sqrt(len(values))
    half_width = stats.t.ppf(0.975, len(values) - 1) * error
    assert comparison.n == len(values)
    assert comparison.value.mean == pytest.approx(mean(values))
    assert comparison.value.half_width == pytest.approx(half_width)
    p_value = 2 * stats.t.sf(abs(mean(values) / error), len(values) - 1)
    assert comparison.value.p_value == pytest.approx(p_value, rel=1e-6)


@every_comparison
def test_arms_differ_in_what_their_labels_say(name, compared):
    chapter = chapter_of(name)
    comparison = chapter.findings[compared]
    one, other = comparison.difference.one, comparison.difference.other
    if not chapter.specs:
        pytest.skip("of a benchmark")
    if len(one.selections) + len(other.selections) > 2:
        pytest.skip("its arms are differences, whose arms are compared alone")
    said = {n for n in one.named.keys() | other.named if one.named.get(n) != other.named.get(n)}
    # Each at its best value: that may be another.
    said |= {name for name, words in one.named.items() if words.startswith("best ")}
    # What follows from these: the units of a layer, the blocks of a stage, a family's recipe.
    said |= {"hidden_sizes", "width", "channels"} if "parameters" in said else set()
    teachers = {arm.named.get("teacher_seed") for arm in (one, other)}
    said |= {"teacher"} if len(teachers) > 1 else set()
    # Who has none, has neither a temperature nor a weight.
    said |= {"temperature", "alpha"} if "no teacher" in teachers else set()
    said |= {"recipe"} if "family" in said else set()
    said |= {"depth"} if "hidden_sizes" in said else set()  # as many as there are sizes
    first, second = (
        {chapter.specs[re.split("[./]", part)[0]] for k in arm.runs["key"] for part in k.split("+")}
        for arm in (one, other)
    )
    for a in first:
        for b in second:
            assert differs_in(a, b) <= said, (a.title, b.title)


@every_comparison
def test_with_its_arms_swapped_the_claims_on_a_comparison_fail(name, compared):
    """Those that say which way it goes; beyond its limit, those that say it is not shown."""
    chapter = chapter_of(name)
    comparison = chapter.findings[compared]
    difference = comparison.difference
    turned = replace(difference, one=difference.other, other=difference.one)
    # The claims that name it; the others know nothing of it.
    naming = [
        (source, [c for c in conditions if c.comparison.name == compared])
        for source, conditions in zip(chapter.claims, chapter.conditions, strict=True)
        if any(c.comparison.name == compared for c in conditions)
    ]
    claims = [source for source, _ in naming]
    kinds = [{c.kind for c in conditions} for _, conditions in naming]
    swapped = chapter.refused(claims, **{compared: replace(comparison, difference=turned)})
    for error, needed in zip(swapped, kinds, strict=True):
        assert bool(error) == bool(needed & {"above", "below", "open, above", "open, below"})
        assert not error or f"{compared} needs" in error
    for within in {c.within for _, conditions in naming for c in conditions} - {math.inf}:
        runs = difference.one.runs.copy()
        runs[comparison.metric] += 2 * within / METRICS[comparison.metric].scale
        shifted = replace(difference, one=replace(difference.one, runs=runs))
        changed = chapter.refused(claims, **{compared: replace(comparison, difference=shifted)})
        for error, needed in zip(changed, kinds, strict=True):
            assert bool(error) == ("not shown" in needed)


# What n counts, in the tables of all published pages

#: The columns of results, and of where runs took place: they do not say what a row is.
RESULTS = {
    "Test accuracy (%)", "Training error (%)", "Test error (%)", "He et al.: test (%)", "n",
    "Train time (s)", "Improvement (points)", "Minus plain", "Residual minus it", "Training loss",
    "Test loss", "Change of it", "Of the test loss", "Test errors",
    "Hinton et al. (2015)", "Cosine in bf16", "Cosine with jitter", "Seeds (runs)", "Device",
    "Versions", "Commit", "", "Difference", "p", "Corrected p", "Shows",
}  # fmt: skip


def cells_of(row):
    return re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row)


def tables_of(name):
    """The tables of runs of a page, by the call in its chapter that makes them."""
    calls = [cell.source for cell in code(name) if "#| label: tbl-" in cell.source]
    made = {call.splitlines()[-1]: eval(call, chapter_of(name).names) for call in calls}
    return {call: table for call, table in made.items() if "<tr" in getattr(table, "markup", "")}


@every_chapter
def test_n_is_that_of_the_seeds_and_each_row_has_a_label_of_its_own(name):
    # The networks of a page without runs are those of all others.
    planned = chapter_of(name).chapter.page.plan() or [
        spec for page in profiles.pages("report") for spec in page.plan()
    ]
    for call, table in tables_of(name).items():
        header, *rows = map(cells_of, re.findall(r"<tr[^>]*>.*?</tr>", table.markup))
        grouped, above = [], None
        for row in rows:
            if len(row) == 1:  # the heading of the rows below it
                above = row[0]
            else:
                grouped.append((above, row))
        labels = [
            (above, *(c for h, c in zip(header, row, strict=True) if h not in RESULTS))
            for above, row in grouped
        ]
        assert len(set(labels)) == len(labels), f"{call}: rows that look alike"
        for cell in [row[header.index("n")] for _, row in grouped] if "n" in header else ():
            led = re.search(r'title="seeds ([^"]*)"', cell)
            of_row = led[1].split(", ") if led else {spec.seed for spec in planned}
            n = int(re.sub("<[^>]*>", "", cell) or 0)  # timings of a benchmark have no seeds
            assert n <= len(set(of_row)) == len(of_row), call
