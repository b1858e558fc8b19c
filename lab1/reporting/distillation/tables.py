"""The tables on distillation: the summary, the errors on digits, softened answers."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from ...core.record import Record
from ..comparison.mistakes import class_names
from ..kit import literature
from ..kit.sentences import Verdict
from ..kit.statistics import Estimate, estimate, in_words
from ..kit.tables import Table, devices_of, markup, number, runs_link, text
from . import pairs as twins
from .verdicts import count

#: The columns of the distillation summary; accuracies in percent, improvements in points.
DISTILLATION_COLUMNS = [
    "Model",
    "Role",
    "Dataset",
    "Params",
    "Temperature",
    "Alpha",
    "Epochs",
    "Test accuracy",
    "95% half-width",
    "n",
    "Improvement",
    "Improvement half-width",
    "Pairs",
]


def summary_frame(runs: pd.DataFrame) -> pd.DataFrame:
    """One row per configuration that teaches, is taught, or is the twin of one that is.

    It has `DISTILLATION_COLUMNS` and the `group` of its runs, unrounded.  The improvement
    is the mean of the differences between twins.
    """
    pairs = twins.pairs(runs)
    teaching = set(twins.teachers(runs)["group"])
    rows = []
    # Without a teacher first, then as the teacher's part grows.
    order = ["dataset", "parameters", "temperature", "alpha", "epochs", "group"]
    filled = runs.fillna({"temperature": 0, "alpha": 0})
    for labels, filled_part in filled.groupby(order, sort=True):
        part = runs.loc[filled_part.index]
        first = part.iloc[0]
        accuracy = estimate(100 * part["test_accuracy"])
        gain = estimate(100 * pairs[pairs["group"] == labels[-1]]["gain"])
        taught = not math.isnan(first["temperature"])
        rows.append(
            [
                first["family"],
                _role(first, taught, labels[-1] in teaching),
                first["dataset_title"],
                first["parameters"],
                first["temperature"],
                first["alpha"],
                first["epochs"],
                accuracy.mean,
                accuracy.half_width,
                accuracy.n,
                gain.mean,
                gain.half_width,
                gain.n,
                labels[-1],
            ]
        )
    return pd.DataFrame(rows, columns=[*DISTILLATION_COLUMNS, "group"])


def _role(run: pd.Series[Any], taught: bool, teaching: bool) -> str:
    role = "teacher" if teaching else "student with teacher" if taught else "student alone"
    omitted = run["omitted_class"]
    return role if math.isnan(omitted) else f"{role}, without class {omitted:.0f}"


def summary(runs: pd.DataFrame, *, runs_page: str = "", devices: bool = False) -> Table:
    """The knowledge distillation summary; `n` leads to the runs behind the row.

    They stand on the same page or on the `runs_page`.  `devices` adds what each was trained on.
    """
    frame = summary_frame(runs)
    if devices:
        frame["Device"] = devices_of(runs, frame["group"])
    rows = []
    for row in frame.to_dict("records"):
        accuracy = Estimate(row["Test accuracy"], row["95% half-width"], row["n"])
        gain = Estimate(row["Improvement"], row["Improvement half-width"], row["Pairs"])
        taught = not math.isnan(row["Temperature"])
        rows.append(
            [
                text(row["Model"]),
                text(row["Role"]),
                text(row["Dataset"]),
                number(f"{row['Params']:,}"),
                number(f"{row['Temperature']:g}" if taught else ""),
                number(f"{row['Alpha']:g}" if taught else ""),
                number(row["Epochs"]),
                number(_shown(accuracy, ".2f") or "diverged"),
                number(_shown(gain, "+.2f")),
                number(runs_link(row["group"], row["n"], runs_page)),
                *([text(row["Device"])] if devices else []),
            ]
        )
    header = [
        "Model", "Role", "Dataset", "Parameters", "T", "α", "Epochs", "Test accuracy (%)",
        "Improvement (points)", "n", *(["Device"] if devices else []),
    ]  # fmt: skip
    plain = frame.drop(columns="group").round(
        {name: 3 for name in DISTILLATION_COLUMNS if frame[name].dtype == float}
    )
    return Table(plain, markup(header, rows))


def _shown(value: Estimate, form: str) -> str:
    return in_words(value, form, ".2f") if value.n else ""


def digits(
    runs: pd.DataFrame, measured: Sequence[tuple[Record, Mapping[str, Any]]]
) -> Table | Verdict:
    """Errors on the test images of the digits, with the paper's beside them."""
    own = twins.digits(runs)
    if own.empty:
        return Verdict("The experiment on digits is not among these runs.")
    of_class = own["omitted_class"].isna()
    pairs = twins.pairs(own[of_class])
    rows: list[tuple[str, Estimate, int | None]] = [
        ("teacher", estimate(twins.teachers(own)["errors"]), literature.DIGITS_ERRORS["teacher"]),
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
    comparable = (own["dataset"] == "mnist").all()
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
            number(count(value)),
            number(value.n),
            number(papers if comparable and papers is not None else ""),
        ]
        for name, value, papers in rows
    ]
    return Table(frame, markup(["Network", "Test errors", "n", "Hinton et al. (2015)"], cells))


#: How many classes a softened answer lists.
_LISTED = 4


def softened(record: Record, probe: Mapping[str, Any]) -> Table:
    """What a network answers to some test images at several temperatures, the images beside it."""
    names = class_names(record)
    temperatures = probe["temperatures"]
    rows, cells = [], []
    for image in probe["images"]:
        own = [
            {"image": image["index"], "class": names[image["label"]], "temperature": t}
            | {name: round(p, 5) for name, p in zip(names, probabilities, strict=True)}
            for t, probabilities in zip(temperatures, image["probabilities"], strict=True)
        ]
        rows += own
        label = html.escape(str(names[image["label"]]))
        cells.append(
            [
                f'<td><img src="data:image/png;base64,{html.escape(image["png"])}" '
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
        f'<span class="lab1-bar" style="--share: {100 * p:.1f}%">{html.escape(name)} {p:.1%}</span>'
        for p, name in ranked
    )
    return f"<td>{bars}</td>"
