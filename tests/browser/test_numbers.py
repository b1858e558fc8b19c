"""Every number in the summary tables, recomputed from the records that its row leads to.

Nothing of the reporting half takes part: the rows are read off the page, and the records are the
files that the site was built from.
"""

from dataclasses import replace
from statistics import mean, median, stdev

import pytest
from reader import REPORT, WIDE
from scipy.stats import t

from lab1.core.store import Store

pytestmark = [pytest.mark.slow, pytest.mark.preview()]

#: Each table with a row per configuration: its headings, and each row's cells and the keys of the
#: runs that its count leads to: those that its address names, or seeds of a configuration here.
TABLES = """
() => {
  return [...document.querySelectorAll('table')]
    .filter(table => table.querySelector('td.number a[href*="#runs"]'))
    .map(table => ({
      headings: [...table.querySelectorAll('thead th')].map(cell => cell.innerText),
      rows: [...table.querySelectorAll('tbody tr')].map(row => {
        const { hash, title } = row.querySelector('td.number a[href*="#runs"]');
        const named = hash.startsWith('#runs=') ? hash.slice(6).split(',') : null;
        const seeds = title.slice('seeds '.length).split(', ');
        const runs = document.getElementById(hash.slice(1))?.querySelectorAll('[title]') ?? [];
        const keys = [...runs].filter(run => seeds.includes(run.textContent)).map(run => run.title);
        return { cells: [...row.cells].map(cell => cell.innerText), keys: named ?? keys };
      }),
    }));
}
"""


@pytest.fixture
def records(site):
    store = Store(site.home / "results", site.project.runs)
    return {record.key: record for record in store.all()[0]}


def interval(values, form="{:.2f}"):
    """The mean, with Student's 95 % interval where there are three values or more."""
    if not values:
        return ""
    shown = form.format(mean(values)).replace("-", "\N{MINUS SIGN}")
    if len(values) < 3:
        return shown
    half = t.ppf(0.975, len(values) - 1) * stdev(values) / len(values) ** 0.5
    return f"{shown} ± {half:.2f}"


def accuracies(runs):
    """The accuracies in percent with their interval, and none where some runs ended at chance."""
    stuck = sum(run.history["train_accuracy"][-1] < 0.145 for run in runs)  # of ten classes
    values = [100 * run.test["accuracy"] for run in runs]
    if 0 < stuck < len(runs):
        return f"{mean(values):.2f} ({stuck} of {len(runs)} at chance)"
    return interval(values)


def time_on_one_device(runs):
    """The median time of the runs on the device of most, the first by name among equals."""
    names = sorted(hardware(run) for run in runs)
    device = max(names, key=names.count)
    return f"{median(run.seconds for run in runs if hardware(run) == device):.0f}"


def hardware(run):
    return str(run.origin["device"].get("name")), run.origin["device"].get("threads") or 0


def gain(record, records):
    """What a teacher added, in points: against the run that differs in nothing else."""
    twin = records[replace(record.spec, distillation=None).key]
    return 100 * (record.test["accuracy"] - twin.test["accuracy"])


#: The pages without a table of scored runs.
WITHOUT = ("report/speed.html",)

#: What a column must say of the scored runs of a row.
COLUMNS = {
    "Test accuracy (%)": lambda runs, _: accuracies(runs),
    "Test error (%)": lambda runs, _: interval([100 - 100 * r.test["accuracy"] for r in runs]),
    "Training error (%)": lambda runs, _: interval(
        [100 - 100 * r.history["train_evaluation_accuracy"][-1] for r in runs]
    ),
    "n": lambda runs, _: str(len(runs)),
    "Parameters": lambda runs, _: f"{runs[0].parameters:,}",
    "Learning rate": lambda runs, _: f"{runs[0].spec.training.learning_rate:g}",
    "Train time (s)": lambda runs, _: time_on_one_device(runs),
    "Improvement (points)": lambda runs, records: interval(
        [gain(r, records) for r in runs if r.spec.distillation], "{:+.2f}"
    ),
}


@pytest.mark.pages(*REPORT)
@pytest.mark.width(WIDE)
def test_every_number_in_a_summary_is_that_of_its_records(seen, records, name):
    checked = 0
    for table in seen.page.evaluate(TABLES):
        for row in table["rows"]:
            runs = [records[key] for key in row["keys"]]
            scored = [run for run in runs if run.test]
            assert scored or "diverged" in row["cells"]
            for heading, shown in zip(table["headings"], row["cells"], strict=True):
                if heading in COLUMNS and scored:
                    assert shown == COLUMNS[heading](scored, records), (heading, row)
                    checked += 1
    assert checked >= 4 or name in WITHOUT
