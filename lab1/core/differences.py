"""The fields in which runs differ, in plain words (standard library only).

Titles and the labels of rows are made here.  Every field that a spec declares is known; one that
has no words in `_WORDS` is said by its name and its value.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .spec import RunSpec

#: The fields of a model that a page asks for; any other is a change of its family's design.
ASKED = (
    "family", "depth", "width", "channels", "activation", "dropout_rate", "blocks_per_stage",
)  # fmt: skip

#: The fields that every title says.
TITLE = (
    "family", "depth", "width", "channels", "dataset", "epochs", "learning_rate", "teacher seed",
    "temperature", "alpha",
)  # fmt: skip

#: What any training has: to leave it out where it has its default would leave it unknown.
_NEVER_SILENT = frozenset(
    {
        "activation", "epochs", "batch_size", "learning_rate", "optimizer", "momentum", "schedule",
        "precision", "validation_size", "monitor", "temperature", "alpha",
    }
)  # fmt: skip

#: How a field is said, or one of its values, where that is not its name and its value.  What is off
#: is said as `no` and the field's words.
_WORDS: Mapping[Any, str] = {
    "family": "{}",
    "dataset": "{}",
    "dropout_rate": "dropout {}",
    "channels": "{} channels",
    "blocks_per_stage": "{} blocks by stage",
    "normalization": "{} normalisation",
    "initialisation": "{} start",
    ("residual_factor", "one"): "residual factor 1",
    ("residual_factor", "sqrt-half"): "scaled sum",
    ("skip_carries", "activated"): "skip of the activated input",
    "layers_per_skip": "{} layers inside a skip",
    ("layers_per_skip", 1): "1 layer inside a skip",
    "epochs": "{} epochs",
    "optimizer": "optimiser {}",
    "schedule": "{} schedule",
    "precision": "{}",
    "validation_size": "{} validation images",
    "monitor": "best epoch by {}",
    "train_evaluation_size": "training error on {} images",
    ("train_evaluation_size", 0): "training error not measured",
    "omitted_class": "without class {}",
    ("omitted_class", None): "no class left out",
    "max_gradient_norm": "gradients up to {}",
    ("max_gradient_norm", None): "gradients of any norm",
    "train_size": "{} training images",
    ("train_size", None): "all training images",
    "pretrained": "pretrained as {}",
    ("pretrained", None): "not pretrained",
    "temperature": "T = {}",
    "alpha": "alpha = {}",
    ("role", "chose"): "seeds that chose this setting",
    ("role", "fresh"): "fresh seeds",
    ("role", None): "seeds of no choice",
}


@dataclass(frozen=True)
class Setting:
    """The value of a field, and the `words` for it, such as `15 epochs` or `no patience`.

    `default` tells whether that is its default, `silent` whether a label may leave it out.
    """

    value: Any
    words: str
    default: bool = False
    silent: bool = False


def settings(spec: RunSpec) -> dict[str, Setting]:
    """All fields of a run by name; those of its teacher begin with `teacher `."""
    taught = spec.distillation
    known = settings_of(spec.model)
    known["dataset"] = Setting(spec.dataset, spec.images.title)
    known |= settings_of(spec.training)
    known["teacher"] = Setting(False, "no teacher", silent=True)
    if taught is not None:
        of_teacher = settings(taught.teacher)
        seed = of_teacher.pop("seed")
        with_seed = Setting(seed.value, f"teacher of {seed.words}")
        known |= {"teacher": replace(with_seed, value=True), "teacher seed": with_seed}
        for name, setting in of_teacher.items():
            known[f"teacher {name}"] = replace(setting, words=f"teacher with {setting.words}")
        known |= settings_of(taught)
    known["role"] = Setting(spec.role, describe("role", spec.role), True, spec.role is None)
    known["seed"] = Setting(spec.seed, f"seed {spec.seed}")
    return known


def settings_of(part: Any) -> dict[str, Setting]:
    """The fields of a part of a spec, such as a `ModelSpec`, but a teacher."""
    known = {}
    for field in fields(part):
        name, value = field.name, getattr(part, field.name)
        words = describe(name, value, field.default)
        if name == "depth":
            words = f"{value} {part.unit}{'s' * (value != 1)}"
        default = value == field.default
        silent = value is None or (default and name not in _NEVER_SILENT)
        known[name] = Setting(value, words, default, silent)
    known.pop("teacher", None)
    return known


def describe(name: str, value: Any, default: Any = None) -> str:
    """A field and its value, or values, in words: `15 epochs`, `no patience`, `width 32, 64`."""
    words = _WORDS.get(name, f"{name.replace('_', ' ')} {{}}")
    if (name, value) in _WORDS:
        return _WORDS[name, value]
    if value is None or value == "none" or value == default == 0:
        return f"no {words.replace('{}', '').strip()}"
    return words.format(_value(name, value))


def _value(name: str, value: Any) -> str:
    if isinstance(value, tuple):
        between = "-" if name in ("hidden_sizes", "blocks_per_stage") else ", "
        return between.join(_value(name, entry) for entry in value)
    if value is None:
        return "none"
    return f"{value:g}" if isinstance(value, float) else str(value).replace("_", " ")


def changes(spec: RunSpec, reference: RunSpec) -> dict[str, str]:
    """The fields, of those that both have, in which a run differs from another: words by name."""
    others = settings(reference)
    return {
        name: setting.words
        for name, setting in settings(spec).items()
        if name in others and setting.value != others[name].value
    }


def labels(
    specs: Sequence[RunSpec], within: Collection[str] = (), told: Collection[str] = ()
) -> list[str]:
    """For each run, in words, what tells it from the others that are alike in the fields `within`.

    These fields are said too.  Left out are the fields that are `told` beside the label, the seed
    of the network that is trained, which the runs of a row do not share, and what is silent.
    """
    runs = [settings(spec) for spec in specs]
    kinds = [tuple(run[name].value if name in run else None for name in within) for run in runs]
    differing = {
        kind: _differing([run for run, other in zip(runs, kinds, strict=True) if other == kind])
        for kind in set(kinds)
    }
    return [
        _joined(run, {*within, *differing[kind]} - {*told, "seed"})
        for run, kind in zip(runs, kinds, strict=True)
    ]


def title(spec: RunSpec) -> str:
    """A run in words: the fields of `TITLE`, its seed, and what is not at its default."""
    known = settings(spec)
    changed = {name for name, setting in known.items() if not setting.default}
    return _joined(known, {*TITLE, *(n for n in changed if not n.startswith("teacher"))})


def _differing(runs: Sequence[dict[str, Setting]]) -> set[str]:
    """The names of the fields of which those that have them have more than one value."""
    values = {(name, setting.value) for run in runs for name, setting in run.items()}
    return {name for name, count in Counter(name for name, _ in values).items() if count > 1}


def _joined(known: dict[str, Setting], names: Collection[str]) -> str:
    said = (s.words for name, s in known.items() if name in names and not s.silent)
    return ", ".join(dict.fromkeys(said))  # a teacher's seed tells that there is one, too
