"""The specification of a run: model, data set, training and key (standard library only).

A `RunSpec` is frozen and complete: together with `RECIPE` it determines what the
training computes, and `RunSpec.key` is a hash of it.  Fields that equal their default are
left out of the hash, so a field added later orphans no record.  It follows that **a default in
this file must never change**; `tests/test_config.py` holds keys that would notice.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Annotated, Any

from ..errors import ParameterError, not_allowed, short_repr
from . import datasets, differences, families
from .datasets import DATASETS, Dataset
from .families import FAMILIES
from .fields import Checked, Field, declarations, hash_key, without_defaults
from .layouts import Stage
from .training_config import DistillationConfig, Share, TrainingConfig

#: The recipe of each family, see `Family`.
RECIPE: Mapping[str, int] = {name: family.recipe for name, family in FAMILIES.items()}

#: Fields of a model that have no default where a family uses them.
_REQUIRED_FIELDS = ("width", "channels")


# What a field may be, wherever it is asked for

FamilyName = Annotated[
    str, Field(choices=tuple(FAMILIES), besides="one of a file that LAB1_FAMILIES names")
]
DatasetName = Annotated[
    str,
    Field(
        "the data set",
        choices=tuple(DATASETS),
        besides=datasets.ALLOWED,
        stands_for=datasets.name_of,
    ),
]
Depth = Annotated[int, Field("hidden layers of the network", ge=1, le=1024)]
Width = Annotated[int, Field("units in each hidden layer", ge=1, le=16384)]
HiddenSizes = Annotated[
    tuple[Width, ...],
    Field("units of each hidden layer, one by one, in place of depth and width", repeats=True),
]
Channels = Annotated[int, Field("feature maps of the first stage", ge=1, le=4096)]
Seed = Annotated[int, Field("seed of one run", ge=0, le=2**31 - 1)]
Activation = Annotated[
    str, Field("activation function", choices=("relu", "gelu", "tanh", "leaky_relu"))
]
DropoutRate = Annotated[Share, "probability of dropping a hidden unit"]
Normalization = Annotated[
    str, Field("what stands before each activation of a perceptron", choices=("none", "layer"))
]
Initialisation = Annotated[
    str,
    Field(
        "start of a plain perceptron's weights: He's, near the identity, orthogonal, or such that "
        "the network is linear",
        choices=("default", "identity", "orthogonal", "looks-linear"),
    ),
]
ResidualFactor = Annotated[
    str,
    Field(
        "factor on the initial weights inside skip connections: 1 / sqrt(skips), or 1; or 1 there, "
        "and sqrt(1/2) on both terms of each sum",
        choices=("inverse-sqrt", "one", "sqrt-half"),
    ),
]
SkipCarries = Annotated[
    str,
    Field(
        "what a perceptron's skip connection adds: a layer's input, or that input activated",
        choices=("input", "activated"),
    ),
]
LayersPerSkip = Annotated[
    int, Field("layers inside each skip connection of a perceptron", ge=1, le=2)
]
Role = Annotated[str, Field("part in the choice of its setting", choices=("chose", "fresh"))]


@dataclass(frozen=True)
class ModelSpec(Checked):
    """A model by family and size.

    `depth` counts, in `MLP` and `ResidualMLP`, hidden layers of `width` units, the output
    layer on top; in `SimpleCNN`, `ResidualCNN` and `PlainCNN`, stages, the first `channels`
    wide; in `PlainNet` and `ResNet`, layers with weights, 6n + 2 (He et al. 2016, section 4.2).
    `hidden_sizes` stand in place of `depth` and `width` where a perceptron's layers differ in size;
    equal ones become depth and width, so that one network has one key.
    `blocks_per_stage` holds one number per stage, or is `None` for the family's own rule.
    `normalization`, `initialisation`, `residual_factor`, `skip_carries` and `layers_per_skip`
    change one thing about a perceptron each, and are explained in `MLP` and `ResidualMLP`.
    """

    family: Annotated[FamilyName, "the model family"]
    depth: Depth = 0  # which stands for the number of hidden sizes
    width: Width | None = None
    activation: Activation = "relu"
    dropout_rate: DropoutRate = 0.0
    channels: Channels | None = None
    blocks_per_stage: tuple[int, ...] | None = None
    normalization: Normalization = "none"
    initialisation: Initialisation = "default"
    residual_factor: ResidualFactor = "inverse-sqrt"
    skip_carries: SkipCarries = "input"
    layers_per_skip: LayersPerSkip = 1
    hidden_sizes: HiddenSizes | None = None

    def __post_init__(self) -> None:
        if self.hidden_sizes is not None:
            self._read_hidden_sizes()
        super().__post_init__()
        family = FAMILIES[self.family]
        used = family.fields
        family.depths.check(self.depth, family.name)
        for declared in fields(self)[1:]:
            value = getattr(self, declared.name)
            if declared.name not in used and value != declared.default:
                raise ParameterError(
                    f"{self.family} takes no {declared.name} (got {value!r}); "
                    f"it takes {', '.join(used)}"
                )
            required = declared.name in _REQUIRED_FIELDS and self.hidden_sizes is None
            if required and declared.name in used and value is None:
                raise ParameterError(f"{self.family} needs {declared.name}")
        if self.blocks_per_stage is not None:
            checked = _checked_blocks(self.blocks_per_stage, self.depth)
            object.__setattr__(self, "blocks_per_stage", checked)
        check_start(self.initialisation, self.layer_sizes, self.activation, self.family)

    def _read_hidden_sizes(self) -> None:
        """Sets depth and width by the hidden sizes, which stay where the layers differ in size."""
        sizes = declarations(ModelSpec)["hidden_sizes"].check(self.hidden_sizes, "ModelSpec")
        if sizes is None:
            return
        equal = len(set(sizes)) == 1
        read = {
            "depth": len(sizes),
            "width": sizes[0] if equal else None,
            "hidden_sizes": None if equal else sizes,
        }
        for name in ("depth", "width"):
            given = getattr(self, name)
            if given and given != read[name]:
                raise ParameterError(
                    f"ModelSpec: {name} = {short_repr(given)} does not fit hidden_sizes = "
                    f"{short_repr(list(sizes))}; allowed: hidden_sizes alone"
                )
        for name, value in read.items():
            object.__setattr__(self, name, value)

    @property
    def unit(self) -> str:
        """The word for one step of its depth: `layer`, or `stage`."""
        return FAMILIES[self.family].unit

    def stages(self, dataset: str, *, assumed: bool = False) -> tuple[Stage, ...]:
        """The network from the image to the logits; empty where its family has no layout.

        `assumed` takes in its place that of the family that it is compared with, where it has one.
        """
        family = FAMILIES[self.family]
        if assumed and family.layout is None and family.compared_with:
            family = FAMILIES[next(iter(family.compared_with))]
        return () if family.layout is None else family.layout(self, DATASETS[dataset])

    @property
    def layer_sizes(self) -> tuple[int, ...]:
        """The units of each hidden layer of a perceptron; empty for a network without them."""
        return self.hidden_sizes or ((self.width,) * self.depth if self.width else ())


def check_start(initialisation: str, sizes: Sequence[int], activation: str, where: str) -> None:
    """Raises `ParameterError` where a perceptron of these hidden sizes has no such start."""

    def refuse(what: str, allowed: str) -> ParameterError:
        return not_allowed("initialisation", initialisation, allowed, where, f"with {what}")

    if initialisation == "identity" and len(set(sizes)) > 1:
        allowed = "equal sizes, since the identity maps a layer to one of the same size"
        raise refuse(f"hidden_sizes = {list(sizes)}", allowed)
    if initialisation == "looks-linear":
        if activation not in ("relu", "gelu"):
            raise refuse(f"activation = {activation!r}", "relu, gelu")
        if any(size % 2 for size in sizes):
            allowed = "even sizes, whose halves mirror each other"
            raise refuse(f"hidden_sizes = {list(sizes)}", allowed)


def _checked_blocks(blocks: Any, depth: int) -> tuple[int, ...]:
    listed = tuple(blocks) if isinstance(blocks, (list, tuple)) else ()
    if len(listed) != depth or not all(type(count) is int and count >= 1 for count in listed):
        given = list(blocks) if isinstance(blocks, (list, tuple)) else blocks
        allowed = f"{depth} numbers, one for each stage, each 1 or more"
        raise not_allowed("blocks_per_stage", given, allowed)
    return listed


@dataclass(frozen=True)
class RunSpec(Checked):
    """One run: what is trained, on what, how, with which seed, and whether it has a teacher.

    `role` says what a plan has the run for: its seed had a part in the choice of its setting, or is
    fresh.  It changes nothing that is computed, and is neither hashed nor compared nor written.
    """

    model: ModelSpec
    dataset: DatasetName
    training: TrainingConfig
    seed: Seed
    distillation: DistillationConfig | None = None
    role: Role | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        classes, images = self.images.num_classes, self.images.train_size
        held_out, size = self.training.validation_size, self.training.train_size

        def refuse(name: str, allowed: str, case: str = "") -> ParameterError:
            value, case = getattr(self.training, name), f"for {self.dataset}{case}"
            return not_allowed(name, value, allowed, "RunSpec", case)

        if held_out > images - classes:
            raise refuse("validation_size", f"from 0 to {images - classes}")
        if size is not None and not classes <= size <= images - held_out:
            allowed = f"from {classes} to {images - held_out}, or none"
            raise refuse("train_size", allowed, f" with validation_size = {held_out}")
        self.training.check_steps(self.training_images, "RunSpec")
        omitted = self.training.omitted_class
        if omitted is not None and omitted >= classes:
            raise refuse("omitted_class", f"from 0 to {classes - 1}, or none")
        if self.teacher is not None:
            self._check_teacher(self.teacher)

    def _check_teacher(self, teacher: RunSpec) -> None:
        """Raises `ParameterError` where the teacher answers another question.

        That is where its images have another shape, or it tells another number of classes apart.
        """
        theirs, ours = DATASETS[teacher.dataset], DATASETS[self.dataset]
        facts = (
            (f"of {theirs.num_classes} classes", theirs.num_classes, ours.num_classes),
            (f"of images of shape {theirs.image_shape}", theirs.image_shape, ours.image_shape),
        )
        for words, given, allowed in facts:
            if given != allowed:
                raise ParameterError(
                    f"DistillationConfig: a teacher {words} (it was trained on {theirs.name}) is "
                    f"not allowed for a student on {self.dataset}; allowed: {allowed}"
                )

    @property
    def images(self) -> Dataset:
        """Its data set."""
        return DATASETS[self.dataset]

    @property
    def training_images(self) -> int:
        """The number of images that it is trained on, those of an omitted class among them."""
        split = self.images.train_size - self.training.validation_size
        return self.training.train_size or split

    @property
    def recipe(self) -> int:
        """The version of what this family's training computes."""
        return RECIPE[self.model.family]

    @property
    def teacher(self) -> RunSpec | None:
        """The run that this one learns from, where it is distilled."""
        return None if self.distillation is None else self.distillation.teacher

    @property
    def teachers(self) -> tuple[RunSpec, ...]:
        """Its teacher, its teacher's teacher, and so on; empty for a run that has none."""
        return () if self.teacher is None else (self.teacher, *self.teacher.teachers)

    @property
    def recipes(self) -> tuple[int, ...]:
        """Its recipe and those of its `teachers`, all of which its key depends on."""
        return tuple(spec.recipe for spec in (self, *self.teachers))

    def canonical(
        self, recipes: Sequence[int] | None = None, *, old_selection: bool = False
    ) -> dict[str, Any]:
        """The hashed form: fields at their default left out, the recipe included.

        `recipes` are `recipes` unless others are given: those of an older record.  `old_selection`
        is that of `TrainingConfig.canonical`.
        """
        recipe, *further = self.recipes if recipes is None else recipes
        canonical: dict[str, Any] = {
            "recipe": recipe,
            "model": without_defaults(self.model),
            "dataset": self.dataset,
            "training": self.training.canonical(old_selection=old_selection),
            "seed": self.seed,
        }
        declaration = FAMILIES[self.model.family].sha256
        if declaration is not None:
            canonical["own_family"] = declaration
        if self.distillation is not None:
            canonical["distillation"] = self.distillation.canonical(
                further, old_selection=old_selection
            )
        return canonical

    @cached_property
    def key(self) -> str:
        """Sixteen hexadecimal digits that identify the run."""
        return hash_key(self.canonical())

    @property
    def name(self) -> str:
        """A readable, unique name, fit for a file: `MLP-d4-mnist-s0.<key>`.

        That of a run with a teacher is `MLP-d4-mnist-s0-distilled.<key>`.
        """
        distilled = "" if self.distillation is None else "-distilled"
        return (
            f"{self.model.family}-d{self.model.depth}-{self.dataset}-s{self.seed}{distilled}"
            f".{self.key}"
        )

    @property
    def title(self) -> str:
        """The run in words, for progress bars and messages."""
        return differences.title(self)

    def to_dict(self, recipes: Sequence[int] | None = None) -> dict[str, Any]:
        """All fields spelled out, for a record; `recipes` as in `canonical`."""
        recipe, *further = self.recipes if recipes is None else recipes
        family = FAMILIES[self.model.family]
        declared = {}
        if family.file is not None:  # a record may be published: where the file lies is private
            declared["own_family"] = {"file": family.file.name, "sha256": family.sha256}
        return {
            **declared,
            "model": dataclasses.asdict(self.model),
            "dataset": self.dataset,
            "training": dataclasses.asdict(self.training),
            "seed": self.seed,
            "distillation": self.distillation and self.distillation.to_dict(further),
            "recipe": recipe,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RunSpec:
        """The spec that `to_dict` spelled out.

        Fields that a newer version added are missing in old records and take their default.
        Raises `ParameterError` for fields that this version does not know.
        """
        values = {name: value for name, value in values.items() if name != "recipe"}
        written = values.get("distillation")
        try:
            if "role" in values:
                raise KeyError("role, which a plan gives a run and no file holds")
            if (declaration := values.pop("own_family", None)) is not None:
                families.check_known(values["model"]["family"], declaration, FAMILIES)
            return cls(
                **{
                    **values,
                    "model": ModelSpec(**values["model"]),
                    "training": TrainingConfig(**values["training"]),
                    "distillation": (
                        written and DistillationConfig.from_dict(written, cls.from_dict)
                    ),
                }
            )
        except (TypeError, KeyError, AttributeError, ParameterError) as error:
            raise ParameterError(f"not a run specification: {error}") from error
