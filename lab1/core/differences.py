"""The fields in which runs differ, in plain words (standard library only).

Titles, labels of rows and what a page says of its runs are made here.  Every field that a spec
declares is known; one that has no words in `_WORDS` is said by its name and its value.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from .datasets import DATASETS
from .families import FAMILIES

if TYPE_CHECKING:
    from .spec import RunSpec

#: The fields of a model that a page asks for; any other is a change of its family's design.
ASKED = (
    "family", "depth", "width", "channels", "activation", "dropout_rate", "blocks_per_stage",
    "hidden_sizes",
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

#: How a field is said, where that is not its name and its value.
_WORDS = {
    "family": "{}",
    "dataset": "{}",
    "dropout_rate": "dropout {}",
    "channels": "{} channels",
    "blocks_per_stage": "{} blocks by stage",
    "normalization": "{} normalisation",
    "initialisation": "{} start",
    "layers_per_skip": "{} layers inside a skip",
    "epochs": "{} epochs",
    "optimizer": "optimiser {}",
    "schedule": "{} schedule",
    "precision": "{}",
    "validation_size": "{} validation images",
    "monitor": "best epoch by {}",
    "train_evaluation_size": "training error on {} images",
    "omitted_class": "without class {}",
    "train_size": "{} training images",
    "max_gradient_norm": "gradients up to {}",
    "temperature": "T = {}",
    "alpha": "alpha = {}",
}

#: The same of single values; elsewhere what is off is said as `no` and the field's words.
_WORDS_OF_VALUES = {
    ("layers_per_skip", 1): "1 layer inside a skip",
    ("residual_factor", "one"): "residual factor 1",
    ("residual_factor", "sqrt-half"): "both terms times sqrt(1/2)",
    ("skip_carries", "activated"): "skip of the activated input",
    ("omitted_class", None): "no class left out",
    ("train_size", None): "all training images",
    ("max_gradient_norm", None): "gradients of any norm",
    ("train_evaluation_size", 0): "training error not measured",
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
    found = settings_of(spec.model)
    found["dataset"] = Setting(spec.dataset, describe("dataset", spec.dataset))
    found |= settings_of(spec.training)
    found["teacher"] = Setting(False, "no teacher", silent=True)
    if taught is not None:
        of_teacher = settings(taught.teacher)
        seed = of_teacher.pop("seed")
        of_seed = Setting(seed.value, f"teacher of {seed.words}")
        found |= {"teacher": replace(of_seed, value=True), "teacher seed": of_seed}
        for name, each in of_teacher.items():
            found[f"teacher {name}"] = replace(each, words=f"teacher with {each.words}")
        found |= settings_of(taught)
    found["role"] = Setting(spec.role, describe("role", spec.role), True, spec.role is None)
    found["seed"] = Setting(spec.seed, f"seed {spec.seed}")
    return found


def settings_of(part: Any) -> dict[str, Setting]:
    """The fields of a part of a spec, such as a `ModelSpec`, but a teacher."""
    found = {}
    for each in fields(part):
        if each.name == "teacher":
            continue
        value = getattr(part, each.name)
        default = value == each.default
        words = describe(each.name, value, each.default)
        if each.name == "depth":
            words = f"{value} {FAMILIES[part.family].unit}{'s' * (value != 1)}"
        silent = value is None or (default and each.name not in _NEVER_SILENT)
        found[each.name] = Setting(value, words, default, silent)
    return found


def describe(name: str, value: Any, default: Any = None) -> str:
    """A field and its value, or values, in words: `15 epochs`, `no patience`, `width 32, 64`."""
    words = _WORDS.get(name, f"{name.replace('_', ' ')} {{}}")
    if (name, value) in _WORDS_OF_VALUES:
        return _WORDS_OF_VALUES[name, value]
    if value is None or value == "none" or value == default == 0:
        return f"no {words.replace('{}', '').strip()}"
    return words.format(_value(name, value))


def _value(name: str, value: Any) -> str:
    if isinstance(value, tuple):
        between = "-" if name in ("hidden_sizes", "blocks_per_stage") else ", "
        return between.join(_value(name, each) for each in value)
    if name == "dataset":
        return DATASETS[value].title
    if value is None:
        return "none"
    return f"{value:g}" if isinstance(value, float) else str(value).replace("_", " ")


def changes(spec: RunSpec, reference: RunSpec) -> dict[str, str]:
    """In which fields that both have a run differs from a reference: its words by name."""
    others = settings(reference)
    return {
        name: each.words
        for name, each in settings(spec).items()
        if name in others and each.value != others[name].value
    }


def labels(
    specs: Sequence[RunSpec], within: Collection[str] = (), told: Collection[str] = ()
) -> list[str]:
    """Of each run, in words, what tells it from the others that are alike in the fields `within`.

    These fields are said too.  Left out are the fields that are `told` beside the label, the seed
    of the network that is trained, which the runs of a row do not share, and what is silent.
    """
    known = [settings(spec) for spec in specs]
    alike = defaultdict(list)
    for each in known:
        alike[_values(each, within)].append(each)
    return [
        _joined(each, {*within, *_differing(alike[_values(each, within)])} - {*told, "seed"})
        for each in known
    ]


def title(spec: RunSpec) -> str:
    """A run in words: the fields of `TITLE`, its seed, and what is not at its default."""
    known = settings(spec)
    changed = {
        name for name, each in known.items() if not each.default and not name.startswith("teacher")
    }
    return _joined(known, {*TITLE, *changed})


def _values(known: dict[str, Setting], names: Collection[str]) -> tuple[Any, ...]:
    return tuple(known[name].value if name in known else None for name in names)


def _differing(alike: Sequence[dict[str, Setting]]) -> list[str]:
    """The names of the fields of which those that have them have more than one value."""
    names = dict.fromkeys(name for each in alike for name in each)
    return [name for name in names if len({each[name].value for each in alike if name in each}) > 1]


def _joined(known: dict[str, Setting], names: Collection[str]) -> str:
    said = (each.words for name, each in known.items() if name in names and not each.silent)
    return ", ".join(dict.fromkeys(said))  # a teacher's seed tells that there is one, too
