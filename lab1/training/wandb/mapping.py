"""A run as Weights & Biases sees it, and back: names, configuration, rows and summary.

Nothing here imports wandb or torch, and nothing reaches the network.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ...core.datasets import DATASETS
from ...core.families import FAMILIES
from ...core.fields import hash_key
from ...core.record import Record, history_fields
from ...core.spec import RunSpec
from ...core.training_config import written_recipes
from ...errors import RecordError, not_allowed, short_repr

#: The project of the runs that have a teacher, whatever their family.
DISTILLATION_PROJECT = "dl-lab1-knowledge-distillation"

#: The numbers of a record that its summary holds under their own name.
_SCALARS = ("parameters", "flops", "best_epoch", "stopped", "weights_sha256")

_WHOLE_NUMBERS = ("peak_memory_bytes", "errors", "count")

Row = Mapping[str, Any]

#: What a value of another kind raises, wherever it stands.
UNFIT = (LookupError, TypeError, ValueError, AttributeError, RecursionError, OverflowError)


def project_of(spec: RunSpec) -> str:
    """The project to which a run belongs."""
    return DISTILLATION_PROJECT if spec.distillation else FAMILIES[spec.model.family].project


def labels(spec: RunSpec) -> dict[str, Any]:
    """What names and groups a run: `name`, `group` and `tags`."""
    title = DATASETS[spec.dataset].title
    rate = spec.training.learning_rate
    named: dict[str, Any] = {
        "name": f"seed {spec.seed}, {title}, learning rate {rate:g}",
        "group": f"{spec.model.family} depth {spec.model.depth}",
        "tags": [title, spec.model.family],
    }
    if spec.distillation is not None:
        settings = spec.distillation
        named["group"] += f", T {settings.temperature:g}, alpha {settings.alpha:g}"
        named["tags"].append("distilled")
    return named


def config_of(spec: RunSpec, recipes: Sequence[int]) -> dict[str, Any]:
    """The configuration: key and recipe, `temperature` and `alpha`, every field of the spec.

    `recipes` are those of the run and of its teachers.
    """
    settings = spec.distillation
    return {
        "key": hash_key(spec.canonical(recipes)),
        "recipe": recipes[0],
        **({"temperature": settings.temperature, "alpha": settings.alpha} if settings else {}),
        "spec": spec.to_dict(recipes),
    }


def rows(history: Mapping[str, Sequence[float | None]]) -> list[dict[str, Any]]:
    """One row per epoch, with its number as `epoch`; what is not finite is left out."""
    return [
        {"epoch": index + 1}
        | {name: series[index] for name, series in history.items() if _is_finite(series[index])}
        for index in range(len(history["train_loss"]))
    ]


def summary(record: Record) -> dict[str, Any]:
    """The outcome: `test/accuracy` and the other scores, best epoch, size, seconds."""
    values = {name: getattr(record, name) for name in _SCALARS}
    values |= {"total_seconds": record.seconds, "epochs": record.epochs}
    values |= {f"test/{name}": value for name, value in record.test.items()}
    return {name: value for name, value in values.items() if value is not None}


def record_of(
    config: Mapping[str, Any], outcome: Mapping[str, Any], history: Sequence[Row], source: str
) -> Record:
    """The record that `config_of`, `summary` and `rows` spelled out.

    `source` is noted in its origin as `pulled_from`.  Raises
    `RecordError` where something is missing or does not fit its key.
    """
    try:
        spec = RunSpec.from_dict(config["spec"])
        recipe, *further = written_recipes(config["spec"])
        best = outcome.get("best_epoch")
        record = Record(
            spec=spec,
            history=_series(spec, history, _whole("epochs", outcome["epochs"])),
            test=_test(outcome),
            parameters=_whole("parameters", outcome["parameters"]),
            flops=_whole("flops", outcome["flops"]),
            best_epoch=None if best is None else _whole("best_epoch", best),
            stopped=outcome["stopped"],
            seconds=outcome["total_seconds"],
            origin={**config["origin"], "pulled_from": source},
            recipe=recipe,
            key=config["key"],
            weights_sha256=outcome.get("weights_sha256"),
            teacher_recipes=tuple(further),
        )
        return Record.from_dict(record.to_dict())
    except UNFIT as error:
        raise RecordError(f"not a run record of this version: {error}") from error


def _series(spec: RunSpec, history: Sequence[Row], epochs: int) -> dict[str, list[float | None]]:
    """The history, one value per epoch, from the rows in any order."""
    names = history_fields(spec.training, distilled=spec.distillation is not None)
    by_epoch: dict[Any, dict[str, float | None]] = {}
    for row in history:
        if (epoch := row.get("epoch")) is not None:
            values = {name: _number(name, row.get(name)) for name in names}
            if by_epoch.setdefault(epoch, values) != values:
                raise RecordError(
                    f"its history has two rows of epoch {short_repr(epoch)} that differ"
                )
    planned = spec.training.epochs
    if not 1 <= epochs <= planned:
        raise not_allowed("epochs", epochs, f"from 1 to {planned}")
    if by_epoch.keys() != set(range(1, epochs + 1)):
        raise RecordError(f"its history has {len(by_epoch)} of {epochs} epochs")
    return {name: [by_epoch[epoch][name] for epoch in range(1, epochs + 1)] for name in names}


def _test(outcome: Mapping[str, Any]) -> dict[str, float]:
    scores = {}
    for name, value in outcome.items():
        number = _number(name.removeprefix("test/"), value) if name.startswith("test/") else None
        if number is not None:
            scores[name.removeprefix("test/")] = number
    return scores


def _number(name: str, value: Any) -> float | None:
    # W&B writes 1.0 as 1.
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise not_allowed(name, value, "a number")
    return _whole(name, value) if name in _WHOLE_NUMBERS else float(value)


def _whole(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value % 1 != 0:
        raise not_allowed(name, value, "a whole number")
    return int(value)


def _is_finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)
