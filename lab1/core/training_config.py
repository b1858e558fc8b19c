"""The settings of a training and of its distillation, and the options that change no result.

Standard library only.

**A default in this file must never change**: fields at their default are left out of a run's key.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

from ..errors import ParameterError, not_allowed
from .fields import Checked, Field, hash_key, without_defaults

if TYPE_CHECKING:
    from .spec import RunSpec
else:
    RunSpec = Any

Epochs = Annotated[int, Field("passes over the training split, at most", ge=1, le=10_000)]
Rate = Annotated[float, Field("highest learning rate", gt=0, le=100)]
Share = Annotated[float, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=0, le=10**6)]
Optimizer = Annotated[str, Field("the optimiser", choices=("adam", "adamw", "sgd"))]
Augmentation = Annotated[
    str,
    Field(
        "random changes of the training images",
        choices=("none", "crop", "crop-flip", "rotate-affine", "shift"),
    ),
]
OmittedClass = Annotated[
    int | None,
    Field("class whose images are neither trained on nor used for model selection", ge=0, le=9999),
]
TrainSize = Annotated[
    int | None,
    Field("images of the training split that are trained on; none takes all", ge=1, le=10**6),
]
Pretrained = Annotated[
    str | None,
    Field(
        "key of the run whose best weights the training starts from, with a new last layer; none "
        "starts from random ones",
        besides="a text of 16 hexadecimal digits",
        stands_for=lambda value, where: value if re.fullmatch("[0-9a-f]{16}", value) else None,
    ),
]
TrainEvaluationSize = Annotated[Count, "training images scored in evaluation mode after each epoch"]
Precision = Annotated[str, Field("arithmetic of forward and backward", choices=("float32", "bf16"))]


@dataclass(frozen=True)
class TrainingConfig(Checked):
    """The settings of a training.  Every field changes the result, so every field is hashed.

    `epochs` is an upper bound where `patience` is set: training stops after that many epochs
    without an improvement of `monitor` by more than `minimum_improvement`.  The weights of the best
    epoch are kept, however small its lead; with `validation_size` 0 there is nothing to select on
    and the last are. `weight_decay` is an L2 penalty added to the gradient; with `adamw` it shrinks
    the weights themselves instead, by the learning rate times itself (Loshchilov & Hutter 2019).
    Gradients whose L2 norm over all weights is above `max_gradient_norm` are scaled down to it
    (Pascanu et al. 2013); the history has the norm from before.  `label_smoothing` gives that share
    of the probability that the labels demand to all classes alike, in training alone (Szegedy et
    al. 2016, section 7).  The `step` schedule divides the learning rate by ten after one half and
    again after three quarters of all steps, the course of He et al. (2016), section 4.2.  With
    `train_evaluation_size` that many training images, evenly spaced, are also scored in evaluation
    mode after each epoch: without augmentation or dropout, and with the running statistics of batch
    normalisation.  The training and the validation split are drawn as ever and then lose the images
    of `omitted_class`; the test set keeps them (Hinton et al. 2015, section 3).  `train_size` keeps
    so many images of the training split, drawn class by class in proportion.  A
    `pretrained` network starts from the weights of another run, with a new last layer, and sees
    images normalised as that one did.
    """

    epochs: Epochs = 20
    batch_size: Annotated[int, Field("examples per step", ge=1, le=65536)] = 128
    learning_rate: Rate = 0.001
    optimizer: Optimizer = "adam"
    momentum: Annotated[Share, "momentum of SGD"] = 0.9
    weight_decay: Annotated[float, Field("L2 penalty; with adamw, decoupled", ge=0, le=10)] = 0.0
    schedule: Annotated[
        str,
        Field(
            "course of the learning rate over the steps",
            choices=("constant", "cosine", "one-cycle", "step"),
        ),
    ] = "constant"
    precision: Precision = field(default="float32", metadata={"always hashed": True})
    augmentation: Augmentation = "none"
    validation_size: Annotated[
        Count, "images held out of the training set for model selection; 0 holds out none"
    ] = 5000
    monitor: Annotated[
        str,
        Field(
            "metric that selects the best epoch", choices=("validation_loss", "validation_accuracy")
        ),
    ] = "validation_accuracy"
    patience: Annotated[
        int | None,
        Field(
            "epochs without improvement after which training stops; none never stops early",
            ge=1,
            le=10_000,
        ),
    ] = None
    minimum_improvement: Annotated[
        float, Field("smallest change of the monitored metric that counts", ge=0, le=1000)
    ] = 0.0
    train_evaluation_size: TrainEvaluationSize = 0
    omitted_class: OmittedClass = None
    max_gradient_norm: Annotated[
        float | None,
        Field(
            "L2 norm to which larger gradients are scaled down; none leaves them as they are",
            gt=0,
            le=1e9,
        ),
    ] = None
    label_smoothing: Annotated[
        Share, "share of the labels' probability that is spread over all classes"
    ] = 0.0
    train_size: TrainSize = None
    pretrained: Pretrained = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.patience is not None and self.validation_size == 0:
            raise ParameterError(
                f"TrainingConfig: patience = {self.patience} needs a validation split to watch; "
                "set validation_size above 0, or patience to none"
            )

    def check_steps(self, images: int, where: str = "TrainingConfig") -> int:
        """The steps of a whole training on so many images.

        Raises `ParameterError` where there is a single one, over which a schedule has no
        course: it would be trained at a rate that nobody asked for.
        """
        steps = self.epochs * math.ceil(images / self.batch_size)
        if steps == 1 and self.schedule != "constant":
            allowed = "two steps or more, or schedule = 'constant'"
            case = (
                f"for a training of one step (epochs = {self.epochs}, batch_size = "
                f"{self.batch_size}, {images} training images)"
            )
            raise not_allowed("schedule", self.schedule, allowed, where, case)
        return steps

    def canonical(self, *, old_selection: bool = False) -> dict[str, Any]:
        """The hashed form.

        With a `minimum_improvement` it has a mark: in earlier versions that number also decided
        which weights were kept.  `old_selection` gives the form that such records have.
        """
        canonical = without_defaults(self)
        if self.minimum_improvement > 0 and not old_selection:
            canonical["selection"] = "any improvement"
        return canonical


# Distillation

Temperature = Annotated[
    float, Field("number that divides the logits of teacher and student", gt=0, le=1000)
]
Alpha = Annotated[
    float, Field("weight of the soft loss; that of the hard loss is 1 - alpha", ge=0, le=1)
]
WrongClasses = Annotated[
    str,
    Field(
        "what the teacher says of the classes other than the label: as it is, or permuted",
        choices=("kept", "permuted"),
    ),
]


@dataclass(frozen=True)
class DistillationConfig(Checked):
    """The teacher of a run and the weights of its loss (Hinton et al. 2015, section 2).

    `teacher` is the run whose best weights are the teacher; it may be distilled itself.
    `temperature` divides the logits of both; the loss is (1 - `alpha`) times the cross-entropy
    with the labels plus `alpha` times the divergence from the teacher.  With `wrong_classes`
    `permuted` the probabilities that the teacher gives to the classes other than the label change
    places, at random and anew at each step, image by image: how sure the teacher is stays, which
    classes it holds to be alike is lost (the "permuted predictions" of Furlanello et al. 2018,
    section 3.2, who keep the teacher's first choice in its place instead of the label).
    """

    teacher: RunSpec
    temperature: Temperature = 4.0
    alpha: Alpha = 0.9
    wrong_classes: WrongClasses = "kept"

    def canonical(self, recipes: Sequence[int], *, old_selection: bool = False) -> dict[str, Any]:
        """The hashed form; `recipes` are those of the teacher and of its teachers."""
        teacher = hash_key(self.teacher.canonical(recipes, old_selection=old_selection))
        canonical: dict[str, Any] = {
            "teacher": teacher,
            "temperature": self.temperature,
            "alpha": self.alpha,
        }
        if self.wrong_classes != "kept":  # younger than the first records
            canonical["wrong_classes"] = self.wrong_classes
        return canonical

    def to_dict(self, recipes: Sequence[int]) -> dict[str, Any]:
        """All fields spelled out, the teacher's too, with the key that it has under `recipes`."""
        written = self.canonical(recipes)
        return {
            **written,
            "wrong_classes": self.wrong_classes,
            "teacher": self.teacher.to_dict(recipes),
            "teacher_key": written["teacher"],
        }

    @classmethod
    def from_dict(
        cls, values: Mapping[str, Any], spec_of: Callable[[Mapping[str, Any]], RunSpec]
    ) -> DistillationConfig:
        """Reads what `to_dict` wrote; `spec_of` reads the teacher.

        Raises `ParameterError` where the teacher's key is not that of its spec under the
        recipe that was written, which may be an older one.
        """
        values = dict(values)
        key = values.pop("teacher_key")
        teacher = values.pop("teacher")
        config = cls(teacher=spec_of(teacher), **values)
        computed = config.canonical(written_recipes(teacher))["teacher"]
        if computed != key:
            raise ParameterError(f"its teacher's key {key} is not the key {computed} of its spec")
        return config


def written_recipes(spec: Mapping[str, Any]) -> tuple[int, ...]:
    """The recipes in a spec as written: its own, its teacher's, its teacher's teacher's, ..."""
    distillation = spec.get("distillation")
    further = written_recipes(distillation["teacher"]) if distillation else ()
    return (spec["recipe"], *further)


# What does not change the result

#: What can train a list of runs: this process, or a Ray cluster.
ENGINES = ("local", "ray")


def usable_cores() -> int:
    """The CPU cores that this process may use, which in a container are less than there are."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass(frozen=True)
class RuntimeOptions:
    """The place of a run and its reports.  Nothing here changes its result or its key.

    `device` is `auto` (CUDA, else MPS, else CPU), `cpu`, `cuda`, `cuda:N` or `mps`. `data_dir` is
    the data root (default: `LAB1_DATA`, else `data/`).  `progress` shows bars on standard error.
    `threads` is how many a training on the CPU uses: by default one for a multilayer perceptron,
    whose products are too small to share, and torch's choice for others. `save_weights` keeps the
    best weights beside the record in `runs/`. `compile` lets `torch.compile` make kernels for the
    model: a convolutional net of the report then trains up to a quarter faster on a CPU, after half
    a minute to two of compiling.  Sums come in another order, so the record says so, and runs with
    and without it are no pairs. `checkpoint_seconds` is the time between two checkpoints, and so
    the most work that a killed run loses.  `report_to` is `"wandb"` to send each run to Weights &
    Biases as well, to `wandb_project` or to the project of its kind of network. `workers` is how
    many runs are trained at a time, each in a process and with one thread unless `threads` says
    otherwise, or `auto`: on a CPU as many as there are cores and memory for. `engine` is `local`
    (this machine) or `ray` (a Ray cluster, whose head node answers at `ray_address`, HOST:PORT or
    `auto`).
    """

    device: str = "auto"
    data_dir: str | None = None
    progress: bool = True
    threads: int | None = None
    save_weights: bool = True
    compile: bool = False
    checkpoint_seconds: float = 60.0
    report_to: str | None = None
    wandb_project: str | None = None
    workers: int | str = 1
    engine: str = "local"
    ray_address: str | None = None

    def __post_init__(self) -> None:
        if self.report_to not in (None, "wandb"):
            raise not_allowed("report_to", self.report_to, "none, or 'wandb'", "RuntimeOptions")
        if self.wandb_project is not None and self.report_to is None:
            case = "without report_to = 'wandb'"
            raise not_allowed("wandb_project", self.wandb_project, "with it", case=case)
        if self.workers != "auto" and (not isinstance(self.workers, int) or self.workers < 1):
            raise not_allowed("workers", self.workers, "auto, or 1 and more")
        if self.engine == "ray" and self.workers not in (1, "auto"):
            case = "with engine = 'ray', whose cluster decides that"
            raise not_allowed("workers", self.workers, "auto", case=case)
        if self.engine not in ENGINES:
            raise not_allowed("engine", self.engine, ", ".join(ENGINES))
        if self.ray_address is not None and self.engine != "ray":
            case = f"with engine = {self.engine!r}"
            raise not_allowed("address", self.ray_address, "with engine = 'ray'", case=case)
