"""What a run is: its model, its data set, its training and its key (standard library only).

A :class:`RunSpec` is frozen and complete: together with :data:`RECIPE` it determines what the
training computes, and :attr:`RunSpec.key` is a hash of it.  Fields that equal their default are
left out of the hash, so a field added later orphans no record.  It follows that **a default in
this file must never change**; ``tests/test_config.py`` holds keys that would notice.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any

from . import parameters
from .errors import ParameterError

#: Raised, per model family, when a change alters what its training computes.  The golden runs in
#: ``tests/training/test_golden.py`` fail when behaviour changes and this number did not.
RECIPE: Mapping[str, int] = {
    "MLP": 1,
    "ResidualMLP": 1,
    "SimpleCNN": 2,
    "ResidualCNN": 2,
    "PlainNet": 2,
    "ResNet": 2,
}

#: The residual family that a plain one is compared with.
TWINS: Mapping[str, str] = {
    "MLP": "ResidualMLP",
    "SimpleCNN": "ResidualCNN",
    "PlainNet": "ResNet",
}

#: The families whose layers are too small to be worth sharing among threads.
SINGLE_THREADED = ("MLP", "ResidualMLP")

#: What can train a list of runs: this process, or a Ray cluster.
ENGINES = ("local", "ray")

#: The model fields that a family uses; the others must keep their default.
FAMILY_FIELDS: Mapping[str, tuple[str, ...]] = {
    "MLP": ("depth", "width", "activation", "dropout_rate"),
    "ResidualMLP": ("depth", "width", "activation", "dropout_rate"),
    "SimpleCNN": ("depth", "channels"),
    "ResidualCNN": ("depth", "channels", "blocks_per_stage"),
    "PlainNet": ("depth",),
    "ResNet": ("depth",),
}

#: Those of them that have no default.
_REQUIRED_FIELDS = ("width", "channels")


@dataclass(frozen=True)
class Dataset:
    """A data set as it is declared; training checks the files against it.

    ``image_shape`` is (channels, height, width).  ``mean`` and ``std`` normalise each channel
    after the bytes were divided by 255.  ``fingerprint`` is the SHA-256 of the lines
    ``<sha256 of the file>  <file name>``, sorted by name, for the files in ``files``; a built-in
    data set has no files and its fingerprint is that of its bytes.
    """

    name: str
    title: str
    image_shape: tuple[int, int, int]
    num_classes: int
    train_size: int
    test_size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    fingerprint: str
    files: Mapping[str, str] = field(default_factory=dict, hash=False)


def files_fingerprint(files: Mapping[str, str]) -> str:
    """The fingerprint of ``{file name: SHA-256}``."""
    lines = "".join(f"{digest}  {name}\n" for name, digest in sorted(files.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


_MNIST_FILES = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}

# torchvision knows the originals by their MD5.
_CIFAR10_FILES = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
}

_CIFAR10 = Dataset(
    name="cifar10",
    title="CIFAR-10",
    image_shape=(3, 32, 32),
    num_classes=10,
    train_size=50_000,
    test_size=10_000,
    # Of the training pixels, channel by channel.
    mean=(0.4914, 0.4822, 0.4465),
    std=(0.2470, 0.2435, 0.2616),
    fingerprint=files_fingerprint(_CIFAR10_FILES),
    files=_CIFAR10_FILES,
)

DATASETS: Mapping[str, Dataset] = {
    dataset.name: dataset
    for dataset in (
        Dataset(
            name="mnist",
            title="MNIST",
            image_shape=(1, 28, 28),
            num_classes=10,
            train_size=60_000,
            test_size=10_000,
            mean=(0.1307,),
            std=(0.3081,),
            fingerprint=files_fingerprint(_MNIST_FILES),
            files=_MNIST_FILES,
        ),
        _CIFAR10,
        dataclasses.replace(
            _CIFAR10,
            name="cifar10-jpeg",
            title="CIFAR-10 (JPEG copy)",
            fingerprint="f10d4c9e536a564f17fa5e8d68ba087d1235e60cd1f21700e11ff43f0647bbb0",
            files={},
        ),
        Dataset(
            name="smoke-grey",
            title="built-in grey patterns",
            image_shape=(1, 28, 28),
            num_classes=10,
            train_size=4_000,
            test_size=1_000,
            mean=(0.5,),
            std=(0.25,),
            fingerprint="fda735deaa70729053df8afeb67d91da85bca1ba7e5dd1bf588f7dec6dbc6232",
        ),
        Dataset(
            name="smoke-colour",
            title="built-in colour patterns",
            image_shape=(3, 32, 32),
            num_classes=10,
            train_size=4_000,
            test_size=1_000,
            mean=(0.5, 0.5, 0.5),
            std=(0.25, 0.25, 0.25),
            fingerprint="829bfb067b660915a09226fea735815a3cd67b7e2d019f9d5abcdeccd11b0b61",
        ),
    )
}


class _Checked:
    """Checks every field against the declaration of the same name, and converts it."""

    def __post_init__(self) -> None:
        for each in fields(self):  # type: ignore[arg-type]
            value = getattr(self, each.name)
            if value is None and each.default is None:
                continue
            declared = parameters.PARAMETERS.get(each.name)
            if declared is None:  # checked by the class itself
                continue
            # A model has one depth, where a chapter may name several.
            check = declared.check_one if declared.many else declared.check
            checked = check(value, type(self).__name__)
            object.__setattr__(self, each.name, checked)


@dataclass(frozen=True)
class ModelSpec(_Checked):
    """A model by family and size.

    ``depth`` counts, in ``MLP`` and ``ResidualMLP``, hidden layers of ``width`` units, the output
    layer on top; in ``SimpleCNN`` and ``ResidualCNN``, stages, the first ``channels`` wide; in
    ``PlainNet`` and ``ResNet``, layers with weights, 6n + 2 (He et al. 2016, section 4.2).
    ``blocks_per_stage`` holds one number per stage, or is ``None`` for the family's own rule.
    """

    family: str
    depth: int
    width: int | None = None
    activation: str = "relu"
    dropout_rate: float = 0.0
    channels: int | None = None
    blocks_per_stage: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        used = FAMILY_FIELDS[self.family]
        _check_depth(self.family, self.depth)
        for each in fields(self)[1:]:
            value = getattr(self, each.name)
            if each.name not in used and value != each.default:
                raise ParameterError(
                    f"{self.family} takes no {each.name} (got {value!r}); "
                    f"it takes {', '.join(used)}"
                )
            if each.name in used and each.name in _REQUIRED_FIELDS and value is None:
                raise ParameterError(f"{self.family} needs {each.name}")
        if self.blocks_per_stage is not None:
            checked = _checked_blocks(self.blocks_per_stage, self.depth)
            object.__setattr__(self, "blocks_per_stage", checked)


def _check_depth(family: str, depth: int) -> None:
    if family in ("PlainNet", "ResNet") and (depth < 8 or depth % 6 != 2):
        allowed = "6n + 2 from 8 on, such as 20, 32, 44, 56, 110"
    elif family in ("SimpleCNN", "ResidualCNN") and depth > 5:
        allowed = "from 1 to 5 stages, each of which halves the image"
    else:
        return
    raise ParameterError(f"{family}: depth = {depth} is not allowed; allowed: {allowed}")


def _checked_blocks(blocks: Any, depth: int) -> tuple[int, ...]:
    listed = tuple(blocks) if isinstance(blocks, (list, tuple)) else ()
    if len(listed) != depth or not all(type(each) is int and each >= 1 for each in listed):
        shown = list(blocks) if isinstance(blocks, (list, tuple)) else blocks
        raise ParameterError(
            f"blocks_per_stage = {shown!r} is not allowed; allowed: {depth} numbers, one for "
            "each stage, each 1 or more"
        )
    return listed


@dataclass(frozen=True)
class TrainingConfig(_Checked):
    """How a model is trained.  Every field changes the result, so every field is hashed.

    ``epochs`` is an upper bound where ``patience`` is set: training stops after that many epochs
    in which ``monitor`` improved by no more than ``minimum_improvement``.  The weights of the best
    epoch are kept; with ``validation_size`` 0 there is nothing to select on and the last are.
    ``weight_decay`` is an L2 penalty added to the gradient.  The ``step`` schedule divides the
    learning rate by ten after one half and again after three quarters of all steps, the course of
    He et al. (2016), section 4.2.  With ``train_evaluation_size`` that many training images, evenly
    spaced, are also scored in evaluation mode after each epoch: without augmentation or dropout,
    and with the running statistics of batch normalisation.
    """

    epochs: int = 20
    batch_size: int = 128
    learning_rate: float = 0.001
    optimizer: str = "adam"
    momentum: float = 0.9
    weight_decay: float = 0.0
    schedule: str = "constant"
    precision: str = field(default="float32", metadata={"always hashed": True})
    augmentation: str = "none"
    validation_size: int = 5000
    monitor: str = "validation_accuracy"
    patience: int | None = None
    minimum_improvement: float = 0.0
    train_evaluation_size: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.patience is not None and self.validation_size == 0:
            raise ParameterError(
                f"TrainingConfig: patience = {self.patience} needs a validation split to watch; "
                "set validation_size above 0, or patience to none"
            )


@dataclass(frozen=True)
class RuntimeOptions:
    """Where and how loudly a run takes place.  Nothing here changes its result or its key.

    ``device`` is ``auto`` (CUDA, else MPS, else CPU), ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
    ``data_dir`` is the data root (default: ``LAB1_DATA``, else ``data/``).  ``progress`` shows
    bars on standard error.  ``threads`` is how many a training on the CPU uses: by default one for
    a multilayer perceptron, whose products are too small to share, and torch's choice for others.
    ``save_weights`` keeps the best weights beside the record in ``runs/``.
    ``checkpoint_seconds`` is the time between two checkpoints, and so the most work that a killed
    run loses.  ``report_to`` is ``"wandb"`` to send each run to Weights & Biases as well.
    ``engine`` is ``local`` (this process) or ``ray`` (a Ray cluster, whose head node answers at
    ``ray_address``, HOST:PORT or ``auto``).
    """

    device: str = "auto"
    data_dir: str | None = None
    progress: bool = True
    threads: int | None = None
    save_weights: bool = True
    checkpoint_seconds: float = 60.0
    report_to: str | None = None
    engine: str = "local"
    ray_address: str | None = None

    def __post_init__(self) -> None:
        if self.report_to not in (None, "wandb"):
            raise ParameterError(
                f"RuntimeOptions: report_to = {self.report_to!r} is not allowed; "
                "allowed: none, or 'wandb'"
            )
        if self.engine not in ENGINES:
            raise ParameterError(
                f"engine = {self.engine!r} is not allowed; allowed: {', '.join(ENGINES)}"
            )
        if self.ray_address is not None and self.engine != "ray":
            raise ParameterError(
                f"address = {self.ray_address!r} is not allowed with engine = {self.engine!r}; "
                "allowed: with engine = 'ray'"
            )


@dataclass(frozen=True)
class RunSpec:
    """One run: what is trained, on what, how, and with which seed."""

    model: ModelSpec
    dataset: str
    training: TrainingConfig
    seed: int

    def __post_init__(self) -> None:
        parameters.check("dataset", self.dataset, "RunSpec")
        object.__setattr__(self, "seed", parameters.check("seed", self.seed, "RunSpec"))
        declared = DATASETS[self.dataset]
        room = declared.train_size - declared.num_classes
        if self.training.validation_size > room:
            raise ParameterError(
                f"RunSpec: validation_size = {self.training.validation_size} is not allowed for "
                f"{self.dataset}; allowed: from 0 to {room}"
            )

    @property
    def recipe(self) -> int:
        """The version of what this family's training computes."""
        return RECIPE[self.model.family]

    def canonical(self) -> dict[str, Any]:
        """The hashed form: fields at their default left out, the recipe included."""
        return {
            "recipe": self.recipe,
            "model": _without_defaults(self.model),
            "dataset": self.dataset,
            "training": _without_defaults(self.training),
            "seed": self.seed,
        }

    @cached_property
    def key(self) -> str:
        """Sixteen hexadecimal digits that identify the run."""
        return hash_key(self.canonical())

    @property
    def name(self) -> str:
        """A readable, unique name, fit for a file: ``MLP-d4-mnist-s0.<key>``."""
        return f"{self.model.family}-d{self.model.depth}-{self.dataset}-s{self.seed}.{self.key}"

    @property
    def title(self) -> str:
        """The run in words, for progress bars and messages."""
        return (
            f"{self.model.family} depth {self.model.depth}, {DATASETS[self.dataset].title}, "
            f"learning rate {self.training.learning_rate:g}, seed {self.seed}"
        )

    def to_dict(self) -> dict[str, Any]:
        """All fields spelled out, for a record."""
        return {**dataclasses.asdict(self), "recipe": self.recipe}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RunSpec:
        """The spec that :meth:`to_dict` spelled out.

        Fields that a newer version added are missing in old records and take their default.
        Raises :class:`ParameterError` for fields that this version does not know.
        """
        values = {name: value for name, value in values.items() if name != "recipe"}
        try:
            return cls(
                **{
                    **values,
                    "model": ModelSpec(**values["model"]),
                    "training": TrainingConfig(**values["training"]),
                }
            )
        except (TypeError, KeyError) as error:
            raise ParameterError(f"not a run specification: {error}") from error


def hash_key(canonical: Mapping[str, Any]) -> str:
    """The key of a canonical form: the first 16 hexadecimal digits of its SHA-256."""
    text = json.dumps(canonical, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _without_defaults(instance: Any) -> dict[str, Any]:
    return {
        each.name: getattr(instance, each.name)
        for each in fields(instance)
        if getattr(instance, each.name) != each.default or each.metadata.get("always hashed")
    }
