"""Records as tables: one row per run, or one row per run and epoch."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from statistics import median
from typing import Any

import pandas as pd

from ..core.datasets import DATASETS
from ..core.differences import ASKED, changes, settings_of
from ..core.fields import hash_key
from ..core.record import DISTILLATION_FIELDS, EVALUATION_FIELDS, HISTORY_FIELDS, Record
from ..core.spec import ModelSpec, RunSpec
from .statistics import MEASURED

#: Runs, each with what a probe found on it.
Measured = Sequence[tuple[Record, Mapping[str, Any]]]

#: The fields of a model that make its family's design.
DESIGN = frozenset(field.name for field in fields(ModelSpec)) - {*ASKED}

#: The columns of the history's series.
_SERIES = {name: name for name in (*HISTORY_FIELDS, *EVALUATION_FIELDS, *DISTILLATION_FIELDS)} | {
    "learning_rate": "scheduled_learning_rate"
}


def group_of(record: Record) -> str:
    """A hash of everything but the seed of the network that is trained, of its teacher too.

    Runs are averaged within one group alone, whose n is the number of its seeds.  Seeds that had a
    part in the choice of their setting are another group than fresh ones.
    """
    canonical = record.spec.canonical(record.recipes)
    del canonical["seed"]
    role = {} if record.spec.role is None else {"role": record.spec.role}
    return hash_key({**canonical, **role})


def of_one_question(records: Sequence[Record]) -> list[Record]:
    """The records that differ from the first in family, depth, seed and learning rate alone.

    Others belong to another question: they were changed in their design, say, or trained otherwise.
    """
    return [record for record in records if _question(record) == _question(records[0])]


def _question(record: Record) -> Mapping[str, Any]:
    canonical = record.spec.canonical()
    for part, name in (("model", "family"), ("model", "depth"), ("training", "learning_rate")):
        canonical[part].pop(name, None)
    return {name: canonical[name] for name in ("model", "dataset", "training")}


def changes_of(records: Sequence[Record]) -> dict[str, str]:
    """In words, by key, in what a network differs from its family's usual design, else nothing.

    Where none of a family has it, that is the design of its first.
    """

    def is_changed(spec: RunSpec) -> bool:
        known = settings_of(spec.model)
        return not all(known[name].default for name in DESIGN)

    usual: dict[str, RunSpec] = {}
    for spec in sorted((record.spec for record in records), key=is_changed):
        usual.setdefault(spec.model.family, spec)
    return {
        record.key: ", ".join(
            words
            for name, words in changes(record.spec, usual[record.spec.model.family]).items()
            if name in DESIGN
        )
        for record in records
    }


#: Columns of `runs` that are fields of a record, of its training and of its test.
_OF_RECORD = ("name", "spec", "parameters", "flops", "epochs", "best_epoch", "stopped")
_OF_TRAINING = (
    "patience", "batch_size", "validation_size", "optimizer", "schedule", "precision",
    "augmentation", "label_smoothing", "omitted_class",
)  # fmt: skip
_OF_TEST = ("calibration_error", "teacher_agreement", "errors")


def runs(records: Sequence[Record]) -> pd.DataFrame:
    """One row per run.

    `device` is the kind of device, `hardware` its name, `versions` the version of torch.
    Accuracies are fractions; `train_seconds` are wall-clock, `epoch_seconds` their median over
    the epochs, validation included; `peak_memory_bytes` is the most that any epoch used;
    `at_chance` tells whether the network was no better than a guess when its training ended;
    `validation_accuracy` is that of the best epoch, `train_loss`, `gradient_norm` and `train_error`
    (in evaluation mode, where that was measured) those of the last.
    `epochs` were trained of the `epochs_allowed`; `patience` is NaN where there was none.
    `errors` are the test images that were not recognised.  `change` is that of `changes_of`.
    `calibration_error` and `teacher_agreement` are NaN in records from before they were measured.
    A distilled run names the key of its `teacher` and of its `twin`, which differs in the loss
    alone.  The test columns and the `train_error` of a diverged run are NaN.
    """
    changed = changes_of(records)
    rows = [
        {
            **_identity(record),
            **{name: getattr(record, name) for name in _OF_RECORD},
            **{name: getattr(record.spec.training, name) for name in _OF_TRAINING},
            **_variant(record),
            "change": changed[record.key],
            "device": record.origin.get("device", {}).get("kind", "unknown"),
            "hardware": hardware(record),
            "versions": record.origin.get("versions", {}).get("torch", "unknown"),
            "dataset_title": DATASETS[record.spec.dataset].title,
            "epochs_allowed": record.spec.training.epochs,
            "train_seconds": record.seconds,
            "epoch_seconds": median(_known(record, "seconds")),
            "peak_memory_bytes": max(_known(record, "peak_memory_bytes")),
            "at_chance": _at_chance(record),
            "train_loss": record.history["train_loss"][-1],
            "gradient_norm": record.history["gradient_norm"][-1],
            "train_error": _series(record, "train_evaluation_accuracy")[-1],
            "validation_accuracy": _at_best(record, "validation_accuracy"),
            "train_accuracy": _at_best(record, "train_accuracy"),
            "test_accuracy": record.test.get("accuracy"),
            "test_loss": record.test.get("loss"),
            **{name: record.test.get(name) for name in _OF_TEST},
        }
        for record in records
    ]
    frame = pd.DataFrame(rows)
    further = ("channels", "temperature", "alpha", "omitted_class", "patience", "best_epoch")
    numbers = [*MEASURED, *further]
    if rows:
        frame["test_error"] = 1 - frame["test_accuracy"].astype(float)
        fit = frame["train_error"].astype(float).where(frame["stopped"] != "diverged")
        frame["train_error"] = 1 - fit  # a diverged run proves nothing
        frame[numbers] = frame[numbers].astype(float)
    return frame


def as_designed(runs: pd.DataFrame) -> pd.DataFrame:
    """The rows of networks in which nothing was changed from their family's usual design.

    Takes the frame of `runs` or that of `history`.
    """
    return runs.loc[runs["change"] == ""]


def history(records: Sequence[Record]) -> pd.DataFrame:
    """One row per run and epoch (from 1), with the series of `HISTORY_FIELDS`.

    Those of `EVALUATION_FIELDS` and `DISTILLATION_FIELDS` are NaN where there are none.
    `learning_rate` is the run's, as in `runs`; the one that its schedule had reached in an
    epoch is `scheduled_learning_rate`.
    """
    changed = changes_of(records)
    rows = [
        {
            **_identity(record),
            "change": changed[record.key],
            "epoch": epoch + 1,
            **{column: _series(record, name)[epoch] for name, column in _SERIES.items()},
        }
        for record in records
        for epoch in range(record.epochs)
    ]
    frame = pd.DataFrame(rows)
    if rows:
        frame[list(_SERIES.values())] = frame[list(_SERIES.values())].astype(float)
    return frame


def layers(measured: Measured) -> pd.DataFrame:
    """One row per run, state and layer, from runs and their probe `layers`.

    `state` is `at the start` or `after training`; `layer` counts from 1, and `module` is
    what the model calls it; the others are `gradient_norm` and `response`.
    """
    states = {"initial": "at the start", "trained": "after training"}
    return pd.DataFrame(
        [
            {
                **_identity(record),
                "state": state,
                "layer": index + 1,
                "module": module,
                "gradient_norm": probe[name]["gradient_norm"][index],
                "response": probe[name]["response"][index],
            }
            for record, probe in measured
            for name, state in states.items()
            for index, module in enumerate(probe["names"])
        ]
    )


def lesions(runs: pd.DataFrame, probes: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """One row per run and block: a row of `runs`, with the test scores without that block.

    `probes` are those called `lesion`, by the key of a run; a run without one has no row.  `block`
    counts from 1, and `image` tells whether it is `kept` or `halved` by the block; the accuracy
    with all blocks is `whole`.  What else is measured is NaN.
    """
    rows = [
        {
            **row,
            **dict.fromkeys(MEASURED, math.nan),
            "key": f"{row['key']}/{block['name']}",
            "block": number,
            "image": "kept" if block["kept"] == "identity" else "halved",
            "test_accuracy": block["accuracy"],
            "test_loss": block["loss"],
            "whole": probes[row["key"]]["whole"]["accuracy"],
        }
        for row in runs.to_dict("records")
        if row["key"] in probes
        for number, block in enumerate(probes[row["key"]]["blocks"], 1)
    ]
    return pd.DataFrame(rows)


def hardware(record: Record) -> str:
    """The hardware of a run: the device and its threads."""
    device = record.origin.get("device", {})
    threads = device.get("threads")
    suffix = f", {threads} thread{'s' if threads != 1 else ''}" if threads else ""
    return f"{device.get('name', 'unknown')}{suffix}"


def on_one_device(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs on the device that most of them were trained on: times of others do not compare."""
    return runs.loc[runs["hardware"].isin(runs["hardware"].mode()[:1])]


def _variant(record: Record) -> dict[str, Any]:
    spec = record.spec
    settings = spec.distillation
    return {
        "channels": spec.model.channels,
        "temperature": settings and settings.temperature,
        "alpha": settings and settings.alpha,
        "wrong_classes": settings and settings.wrong_classes,
        "teacher_seed": settings and settings.teacher.seed,
        "teacher": settings and settings.teacher.key,
        "twin": settings and replace(spec, distillation=None).key,
    }


def _identity(record: Record) -> dict[str, Any]:
    spec = record.spec
    return {
        "key": record.key,
        "group": group_of(record),
        "family": spec.model.family,
        "depth": spec.model.depth,
        "width": spec.model.width,
        "dataset": spec.dataset,
        "learning_rate": spec.training.learning_rate,
        "seed": spec.seed,
    }


#: A network is at chance whose training accuracy is above that of a guess by less than this share
#: of what a guess gets wrong.
_CHANCE = 0.05


def _at_chance(record: Record) -> bool:
    accuracy = record.history["train_accuracy"][-1]
    guess = 1 / DATASETS[record.spec.dataset].num_classes
    if record.diverged or accuracy is None:
        return False
    return (accuracy - guess) / (1 - guess) < _CHANCE


def _series(record: Record, name: str) -> Sequence[float | None]:
    return record.history.get(name) or [None] * record.epochs


def _known(record: Record, name: str) -> list[float]:
    """The values of a series that were measured; NaN where none was."""
    return [value for value in record.history[name] if value is not None] or [math.nan]


def _at_best(record: Record, name: str) -> float | None:
    return None if record.best_epoch is None else record.history[name][record.best_epoch - 1]


def base_rate(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs at the learning rate that all depths share, the sweep left out.

    It is the rate used at the most depths; among equals the first, since a plan begins with it.
    """
    if runs.empty:
        return runs
    rate = runs.groupby("learning_rate", sort=False)["depth"].nunique().idxmax()
    return runs.loc[runs["learning_rate"] == rate]


def swept_depths(runs: pd.DataFrame) -> list[int]:
    """The depths that were trained with more than one learning rate."""
    rates = runs.groupby("depth")["learning_rate"].nunique()
    return [int(depth) for depth in rates[rates > 1].index]
