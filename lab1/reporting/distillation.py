"""Knowledge distillation: charts of twins, sweeps, losses, sizes and an unseen class, and tables.

Means are over seeds and carry their 95 % interval where there are three or more.
"""

import math
from dataclasses import replace

import pandas as pd

from ..core.datasets import DATASETS
from . import predictions, tables, twins, words
from .axes import Axis, Panels
from .charts import draw_chart
from .claims import Prose
from .curves import by_epoch
from .figure import Figure
from .frames import Measured
from .paired import Comparison
from .statistics import Estimate, estimate, in_percent, in_words, mean_of, summarize_each
from .tables import Column, Table
from .theme import COLOURS
from .twins import Setting
from .words import dataset_titles

#: Errors on the 10,000 test images of MNIST.  Hinton et al. (2015), section 3: a large regularised
#: net, a small one, and the small one taught by the large.
DIGITS_ERRORS = {"teacher": 67, "student alone": 146, "student taught": 74}

#: The same section: errors of a small net that was taught without ever seeing a 3, in all and on
#: the 1,010 threes, before and after the bias of that class was raised.
UNSEEN_ERRORS = {"before": (206, 133), "after": (109, 14)}

UNSEEN_IMAGES = 1010

_ALONE, _TAUGHT = "alone", "with teacher"
_OURS, _PAPERS = "this laboratory", "Hinton et al. (2015)"

_NO_PAIR = Prose("There is no distilled run here whose twin is there too.")


def paired(runs: pd.DataFrame, setting: Setting) -> Figure | Prose:
    """Each student alone, with the teacher, and alone for longer: a line per seed."""
    pairs = twins.of_setting(runs, setting)
    if pairs.empty:
        return _NO_PAIR
    longer = twins.longer(runs, setting)
    students = {
        _ALONE: pairs.assign(test_accuracy=pairs["alone"]),
        _TAUGHT: pairs,
        **{f"{_ALONE}, {n} epochs": part for n, part in longer.groupby("epochs_allowed")},
    }
    table = pd.concat(
        [
            part[["family", "seed"]].assign(student=name, accuracy=100 * part["test_accuracy"])
            for name, part in students.items()
        ],
        ignore_index=True,
    )
    gains = words.rows(pairs.assign(gain=100 * pairs["gain"]), "seed {seed}: {gain:+.2f}")
    means = words.rows(table.groupby("student", sort=False)["accuracy"].mean().reset_index(),
                       "{student} {accuracy:.2f} %")  # fmt: skip
    drawn = draw_chart(
        table,
        Axis("student", order=[*students]),
        Axis("accuracy", "test accuracy (%)"),
        detail="seed",
        title=dataset_titles(pairs),
        text=f"Test accuracy on {dataset_titles(pairs)} of each student. Means: {means}. Gains "
        f"from the teacher in points: {gains}.",
    )
    predicted = predictions.of(table, "student", "accuracy", "student")
    return replace(drawn, predicted=predicted)


def against(*comparisons: Comparison) -> Figure | Prose:
    """The differences of one network from several others in accuracy, with their intervals."""
    pairs = [comparison for comparison in comparisons if comparison.is_pair]
    if not pairs:
        return Prose("There is nothing here to compare.")
    rows = [
        {"other": pair.other.label}
        | {name: getattr(pair.value, name) for name in ("mean", "half_width", "low", "high", "n")}
        for pair in pairs
    ]
    table = in_percent(pd.DataFrame(rows))
    runs = pairs[0].difference.one.selections[0].runs
    return draw_chart(
        table,
        Axis("mean", "difference (points)"),
        Axis("other", order=[*table["other"]]),
        marks="points",
        colour=COLOURS[runs["family"].iloc[0]],
        level=0,
        title=dataset_titles(runs),
        text=f"Test accuracy on {dataset_titles(runs)} of the student with the teacher minus that "
        f"of others, in points: {words.rows(table, '{other}: {mean:+.2f}')}.",
    )


def by_temperature(runs: pd.DataFrame, setting: Setting) -> Figure | Prose:
    """The gain from the teacher against the temperature, on validation and on test images."""
    return _gains(runs, setting, "temperature", "temperature", log=True)


def by_alpha(runs: pd.DataFrame, setting: Setting) -> Figure | Prose:
    """The gain from the teacher against the weight of the soft loss."""
    return _gains(runs, setting, "alpha", "weight of the soft loss")


def _gains(
    runs: pd.DataFrame, setting: Setting, name: str, title: str, *, log: bool = False
) -> Figure | Prose:
    swept = twins.sweep(runs, setting, name)
    if swept.empty:
        return _NO_PAIR
    gains = swept.assign(validation=swept["validation_gain"], test=swept["gain"], value=swept[name])
    splits = summarize_each(gains, ["family", "value"], ["validation", "test"], "split")
    table = in_percent(splits)
    return draw_chart(
        table,
        Axis("value", title, log=log, ticks=sorted(table["value"].unique().tolist())),
        Axis("mean", "gain (points)"),
        dash=("split", ["test", "validation"]),
        level=0,
        title=dataset_titles(swept),
        text=f"Gain in accuracy on {dataset_titles(swept)} from the teacher by {title}, in points: "
        f"{words.rows(table, '{split} at {value:g}: {mean:+.2f}')}.",
    )


def by_size(runs: pd.DataFrame, setting: Setting) -> Figure | Prose:
    """Test accuracy against parameters, of students alone and with the teacher."""
    swept = twins.sweep(runs, setting, "channels")
    if swept.empty:
        return _NO_PAIR
    means = swept.rename(columns={"test_accuracy": _TAUGHT})
    students = summarize_each(means, ["family", "parameters"], [_ALONE, _TAUGHT], "student")
    table = in_percent(students)
    return draw_chart(
        table,
        Axis("parameters", "parameters", log=True, format="~s", digits=","),
        Axis("mean", "test accuracy (%)"),
        dash=("student", [_TAUGHT, _ALONE]),
        title=dataset_titles(swept),
        text=f"Test accuracy on {dataset_titles(swept)} by parameters: "
        f"{words.rows(table, '{parameters:,} {student}: {mean:.2f} %')}.",
    )


_LOSSES = {
    "hard_loss": "hard: cross-entropy with the labels",
    "soft_loss": "soft: divergence from the teacher",
    "train_loss": "combined",
}


def losses(history: pd.DataFrame, runs: pd.DataFrame, setting: Setting) -> Figure | Prose:
    """The hard, the soft and the combined loss by epoch, a panel each."""
    pairs = twins.of_setting(runs, setting)
    students = history[history["key"].isin(pairs["key"])]
    if students.empty:
        return _NO_PAIR
    return by_epoch(
        students.rename(columns=_LOSSES),
        [*_LOSSES.values()],
        Axis("mean", "loss", digits=".4f"),
        panels=Panels("part", apart="y", order=[*_LOSSES.values()]),
        name="part",
        text="Losses of the student on {data} by epoch. At the end {ends}.",
        ending="{part}: {mean:.3f}",
    )


_UNSEEN_STATES = (_ALONE, _TAUGHT, "with teacher, corrected")


def unseen(measured: Measured) -> Figure | Prose:
    """The test images that a student recognises of a class that it never saw."""
    table = twins.unseen(measured)
    if table["taught"].nunique() < 2:
        return Prose("No student was trained without one class, with a teacher and without.")
    taught = table["taught"].astype(bool)
    states = [
        table["unseen_accuracy"][~taught],
        table["unseen_accuracy"][taught],
        table["corrected_accuracy"][taught],
    ]
    shares = table.assign(source=_OURS, **dict(zip(_UNSEEN_STATES, states, strict=True)))
    summary = in_percent(summarize_each(shares, ["source"], _UNSEEN_STATES, "student"))
    record = measured[0][0]
    if record.spec.dataset == "mnist":
        shares_of_paper = [1 - errors / UNSEEN_IMAGES for _, errors in UNSEEN_ERRORS.values()]
        papers = [
            {"source": _PAPERS, "student": state, "mean": 100 * share}
            for state, share in zip(_UNSEEN_STATES[1:], shares_of_paper, strict=True)
        ]
        summary = pd.concat([summary, pd.DataFrame(papers)], ignore_index=True)
    data = DATASETS[record.spec.dataset].title
    return draw_chart(
        summary,
        Axis("mean", "recognised (%)", domain=(0, 100), digits=".1f"),
        Axis("student", order=_UNSEEN_STATES),
        marks="points",
        colour=COLOURS[record.spec.model.family],
        shape="source",
        title=data,
        text=f"Test images of {data} recognised of a class that was never seen: "
        f"{words.rows(summary, '{student} ({source}): {mean:.1f} %')}.",
    )


def summary(runs: pd.DataFrame, *, runs_page: str = "") -> Table:
    """The knowledge distillation summary: accuracies in percent, improvements in points.

    It has a row per configuration that teaches, is taught, or is the twin of one that is; the
    improvement is the mean of the differences between twins.  `n` leads to the runs behind the row,
    on the same page or on the `runs_page`.
    """
    pairs = twins.pairs(runs)
    teaching = set(twins.teachers(runs)["group"])
    kind = ("dataset", "family", "teacher")
    size = ("depth", "width", "channels", "temperature", "alpha")
    settings, gain = tables.labels(runs, kind, {*kind, *size}), improvement(pairs)

    def role(part: pd.DataFrame) -> str:
        group, setting = part["group"].iloc[0], settings[part["group"].iloc[0]]
        if setting.startswith("teacher of"):
            return f"student with {setting}"
        taught = part["teacher"].notna().any()
        student = "student with teacher" if taught else "student alone"
        return ", ".join(filter(None, ("teacher" if group in teaching else student, setting)))

    def loss_change(part: pd.DataFrame) -> Estimate:
        return mean_of(pairs[pairs["group"] == part["group"].iloc[0]], "loss_gain")

    def known(value: float) -> str:
        return "" if math.isnan(value) else f"{value:g}"

    trained = (tables.EPOCHS, tables.PRECISION, tables.LEARNING_RATE)
    columns = [  # on the page the result comes before what few rows differ in
        tables.csv_only(tables.MODEL),
        Column("Role", role, is_text=True, tells=None),
        tables.csv_only(tables.DATASET),
        tables.PARAMETERS,
        Column("T", "temperature", known, "Temperature"),
        Column("α", "alpha", known, "Alpha"),
        *map(tables.csv_only, trained),
        tables.TEST_ACCURACY,
        tables.column_n(tables.with_a_score),
        gain,
        tables.TEST_LOSS,
        Column("Change of it", loss_change, tables.words_for("+.3f", ".3f"), "Change of test loss",
               "Change half-width", digits=4),
        tables.count_of_runs(runs_page, tables.with_a_score),
        *map(tables.page_only, (tables.MODEL, tables.DATASET, *trained)),
        Column("", lambda part: gain.value_of(part).n, name="Pairs"),
        tables.DEVICE,
    ]  # fmt: skip
    # Without a teacher first, then as the teacher's part grows.
    by = ["dataset", "parameters", "temperature", "alpha", "teacher_seed", "epochs_allowed"]
    return tables.table_of(runs, by, columns)


def improvement(pairs: pd.DataFrame) -> Column:
    """The mean difference in accuracy between the twins of a row, in points."""
    points = pairs.assign(points=100 * pairs["gain"])
    return Column(
        "Improvement (points)",
        lambda part: mean_of(points[points["key"].isin(part["key"])], "points"),
        tables.words_for("+.2f", ".2f"),
        "Improvement",
        "Improvement half-width",
        digits=3,
    )


def same_question(*comparisons: Comparison) -> Table | Prose:
    """One difference measured on several selections of runs, in accuracy and in test loss."""
    both = [[pair.companion(metric) for metric in _BOTH] for pair in comparisons]
    there = [*{pair[0].runs: pair for pair in both if pair[0].is_pair}.values()]
    if not there:
        return Prose("There is nothing here to compare.")
    arms = [accuracy.difference.one for accuracy, _ in there]
    known = {n: w for n, w in arms[0].named.items() if all(arm.named.get(n) == w for arm in arms)}
    columns = ["Student", "n", "Difference", "Of the test loss"]
    rows = [
        (arm.label(known), pair[0].n, *map(str, pair))
        for arm, pair in zip(arms, there, strict=True)
    ]
    cells = [[tables.text(label), *map(tables.number, numbers)] for label, *numbers in rows]
    return Table(pd.DataFrame(rows, columns=columns), tables.markup(columns, cells))


#: What says whether a student got better: how often it is right, and how sure of it.
_BOTH = ("test_accuracy", "test_loss")


def digits(runs: pd.DataFrame, measured: Measured) -> Table | Prose:
    """Errors on the test images of the digits, with the paper's beside them."""
    perceptrons = runs[runs["channels"].isna()]
    if perceptrons.empty:
        return Prose("The experiment on digits is not among these runs.")
    pairs = twins.pairs(perceptrons[perceptrons["omitted_class"].isna()])
    errors = {
        "teacher": twins.teachers(perceptrons)["errors"],
        "student alone": pairs["errors"] + pairs["fewer_errors"],
        "student with teacher": pairs["errors"],
    }
    unseen = twins.unseen(measured)
    if not unseen.empty:
        taught = unseen[unseen["taught"].astype(bool)]
        alone = unseen[~unseen["taught"].astype(bool)]
        label = f"class {unseen['class'].iloc[0]} never seen"
        errors |= {
            f"student alone, {label}": alone["errors"],
            f"student with teacher, {label}": taught["errors"],
            "… of these on that class": taught["class_errors"],
            "… corrected": taught["corrected_errors"],
            "… corrected, of these on that class": taught["corrected_class_errors"],
        }
    papers = [*DIGITS_ERRORS.values(), None, *UNSEEN_ERRORS["before"], *UNSEEN_ERRORS["after"]]
    comparable = (perceptrons["dataset"] == "mnist").all()
    rows, cells = [], []
    for (name, values), reported in zip(errors.items(), papers, strict=False):
        value, reported = estimate(values), reported if comparable else None
        mean, half_width = round(value.mean, 3), round(value.half_width, 3)
        rows.append((name, mean, half_width, value.n, reported))
        count = in_words(value, ".0f" if value.n == 1 else ".1f") if value.n else "unknown"
        numbers = (count, value.n, "" if reported is None else reported)
        cells.append([tables.text(name), *map(tables.number, numbers)])
    columns = ["Network", "Errors", "95% half-width", "n", "Hinton et al."]
    header = ["Network", "Test errors", "n", "Hinton et al. (2015)"]
    return Table(pd.DataFrame(rows, columns=columns), tables.markup(header, cells))
