"""The tables on distillation: the summary, the errors on digits, softened answers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from ...core.escape import for_html
from ...core.record import Record
from ..claims import Prose
from ..comparison.mistakes import class_names
from ..kit import literature
from ..kit.statistics import Estimate, estimate, in_words, mean_of
from ..kit.tables import (
    DATASET,
    DEVICE,
    EPOCHS,
    LEARNING_RATE,
    MODEL,
    PARAMETERS,
    PRECISION,
    TEST_ACCURACY,
    TEST_LOSS,
    Column,
    Table,
    column_n,
    count_of_runs,
    csv_only,
    labels,
    markup,
    number,
    page_only,
    table_of,
    text,
    with_a_score,
    words_for,
)
from ..paired import Comparison
from . import pairs as twins


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
    settings = labels(runs, kind, {*kind, *size})

    def role(part: pd.DataFrame) -> str:
        group, setting = part["group"].iloc[0], settings[part["group"].iloc[0]]
        if setting.startswith("teacher of"):
            return f"student with {setting}"
        taught = part["teacher"].notna().any()
        words = (
            "teacher" if group in teaching else f"student {'with teacher' if taught else 'alone'}"
        )
        return ", ".join(filter(None, (words, setting)))

    def gain(part: pd.DataFrame) -> Estimate:
        of_row = pairs[pairs["group"] == part["group"].iloc[0]]
        return mean_of(of_row.assign(points=100 * of_row["gain"]), "points")

    def loss_change(part: pd.DataFrame) -> Estimate:
        return mean_of(pairs[pairs["group"] == part["group"].iloc[0]], "loss_gain")

    def known(value: float) -> str:
        return "" if math.isnan(value) else f"{value:g}"

    columns = [  # on the page the result comes before what few rows differ in
        csv_only(MODEL),
        Column("Role", role, is_text=True, tells=None),
        csv_only(DATASET),
        PARAMETERS,
        Column("T", "temperature", known, "Temperature"),
        Column("α", "alpha", known, "Alpha"),
        *map(csv_only, (EPOCHS, PRECISION, LEARNING_RATE)),
        TEST_ACCURACY,
        column_n(with_a_score),
        Column(
            "Improvement (points)",
            gain,
            words_for("+.2f", ".2f"),
            "Improvement",
            "Improvement half-width",
            digits=3,
        ),
        TEST_LOSS,
        Column(
            "Change of it",
            loss_change,
            words_for("+.3f", ".3f"),
            "Change of test loss",
            "Change half-width",
            digits=4,
        ),
        count_of_runs(runs_page, with_a_score),
        *map(page_only, (MODEL, DATASET, EPOCHS, PRECISION, LEARNING_RATE)),
        Column("", lambda part: gain(part).n, name="Pairs"),
        DEVICE,
    ]
    # Without a teacher first, then as the teacher's part grows.
    by = ["dataset", "parameters", "temperature", "alpha", "teacher_seed", "epochs_allowed"]
    return table_of(runs, by, columns)


def same_question(*comparisons: Comparison) -> Table | Prose:
    """One difference measured on several selections of runs, in accuracy and in test loss."""
    both = [[each.companion(metric) for metric in _BOTH] for each in comparisons]
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
    cells = [[text(label), *map(number, numbers)] for label, *numbers in rows]
    return Table(pd.DataFrame(rows, columns=columns), markup(columns, cells))


#: What says whether a student got better: how often it is right, and how sure of it.
_BOTH = ("test_accuracy", "test_loss")


def digits(
    runs: pd.DataFrame, measured: Sequence[tuple[Record, Mapping[str, Any]]]
) -> Table | Prose:
    """Errors on the test images of the digits, with the paper's beside them."""
    perceptrons = twins.digits(runs)
    if perceptrons.empty:
        return Prose("The experiment on digits is not among these runs.")
    of_class = perceptrons["omitted_class"].isna()
    pairs = twins.pairs(perceptrons[of_class])
    rows: list[tuple[str, Estimate, int | None]] = [
        (
            "teacher",
            estimate(twins.teachers(perceptrons)["errors"]),
            literature.DIGITS_ERRORS["teacher"],
        ),
        (
            "student alone",
            estimate(pairs["errors"] + pairs["fewer_errors"]),
            literature.DIGITS_ERRORS["student alone"],
        ),
        (
            "student with teacher",
            estimate(pairs["errors"]),
            literature.DIGITS_ERRORS["student taught"],
        ),
    ]
    unseen = twins.unseen(measured)
    if not unseen.empty:
        taught = unseen[unseen["taught"].astype(bool)]
        alone = unseen[~unseen["taught"].astype(bool)]
        label = f"class {unseen['class'].iloc[0]} never seen"
        before, after = literature.UNSEEN_ERRORS["before"], literature.UNSEEN_ERRORS["after"]
        rows += [
            (f"student alone, {label}", estimate(alone["errors"]), None),
            (f"student with teacher, {label}", estimate(taught["errors"]), before[0]),
            ("… of these on that class", estimate(taught["class_errors"]), before[1]),
            ("… corrected", estimate(taught["corrected_errors"]), after[0]),
            (
                "… corrected, of these on that class",
                estimate(taught["corrected_class_errors"]),
                after[1],
            ),
        ]
    comparable = (perceptrons["dataset"] == "mnist").all()
    frame = pd.DataFrame(
        [
            {
                "Network": name,
                "Errors": round(value.mean, 3),
                "95% half-width": round(value.half_width, 3),
                "n": value.n,
                "Hinton et al.": papers if comparable else None,
            }
            for name, value, papers in rows
        ]
    )
    cells = [
        [
            text(name),
            number(_count(value)),
            number(value.n),
            number(papers if comparable and papers is not None else ""),
        ]
        for name, value, papers in rows
    ]
    return Table(frame, markup(["Network", "Test errors", "n", "Hinton et al. (2015)"], cells))


def _count(value: Estimate) -> str:
    """A number of errors: `74.0 ± 5.1`, or of a single run `74`."""
    return in_words(value, ".0f" if value.n == 1 else ".1f") if value.n else "unknown"


#: How many classes a softened answer lists.
_LISTED = 4


def softened(record: Record, probe: Mapping[str, Any]) -> Table:
    """A network's answers to some test images at several temperatures, the images beside them."""
    names = class_names(record)
    temperatures = probe["temperatures"]
    rows, cells = [], []
    for image in probe["images"]:
        of_image = [
            {"image": image["index"], "class": names[image["label"]], "temperature": t}
            | {name: round(p, 5) for name, p in zip(names, probabilities, strict=True)}
            for t, probabilities in zip(temperatures, image["probabilities"], strict=True)
        ]
        rows += of_image
        label = for_html(names[image["label"]])
        cells.append(
            [
                f'<td><img src="data:image/png;base64,{for_html(image["png"])}" '
                f'alt="test image {image["index"]}, {label}" class="lab1-thumbnail"> {label}</td>',
                *[_answer(names, probabilities) for probabilities in image["probabilities"]],
            ]
        )
    header = ["Image", *[f"T = {t:g}" for t in temperatures]]
    return Table(pd.DataFrame(rows), markup(header, cells))


def _answer(names: Sequence[str], probabilities: Sequence[float]) -> str:
    """A cell with the likeliest classes, each with a bar as long as it is likely."""
    ranked = sorted(zip(probabilities, names, strict=True), reverse=True)[:_LISTED]
    bars = "".join(
        f'<span class="lab1-bar" style="--share: {100 * p:.1f}%">{for_html(name)} {p:.1%}</span>'
        for p, name in ranked
    )
    return f"<td>{bars}</td>"
