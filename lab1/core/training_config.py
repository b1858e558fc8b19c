"""The settings of a training, and their ranges (standard library only).

**A default in this file must never change**: fields at their default are left out of a run's key.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Annotated, Any

from ..errors import ParameterError
from .fields import Checked, Field
from .keys import without_defaults

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
Precision = Annotated[str, Field("arithmetic of forward and backward", choices=("float32", "bf16"))]


@dataclass(frozen=True)
class TrainingConfig(Checked):
    """The settings of a training.  Every field changes the result, so every field is hashed.

    `epochs` is an upper bound where `patience` is set: training stops after that many epochs
    without an improvement of `monitor` by more than `minimum_improvement`.  The weights of the
    best epoch are kept, however small its lead; with `validation_size` 0 there is nothing to
    select on and the last are.
    `weight_decay` is an L2 penalty added to the gradient; with `adamw` it shrinks the weights
    themselves instead, by the learning rate times itself (Loshchilov & Hutter 2019).  Gradients
    whose L2 norm over all weights is above `max_gradient_norm` are scaled down to it (Pascanu et
    al. 2013); the history has the norm from before.  `label_smoothing` gives that share of the
    probability that the labels demand to all classes alike, in training alone (Szegedy et al. 2016,
    section 7).  The `step` schedule divides the
    learning rate by ten after one half and again after three quarters of all steps, the course of
    He et al. (2016), section 4.2.  With `train_evaluation_size` that many training images, evenly
    spaced, are also scored in evaluation mode after each epoch: without augmentation or dropout,
    and with the running statistics of batch normalisation.  The training and the validation split
    are drawn as ever and then lose the images of `omitted_class`; the test set keeps them (Hinton
    et al. 2015, section 3).  `train_size` keeps so many images of the training split, drawn class
    by class in proportion.
    """

    epochs: Epochs = 20
    batch_size: Annotated[int, Field("examples per step", ge=1, le=65536)] = 128
    learning_rate: Rate = 0.001
    optimizer: Optimizer = "adam"
    momentum: Annotated[Share, "momentum of SGD"] = 0.9
    weight_decay: Annotated[float, Field("L2 penalty", ge=0, le=10)] = 0.0
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
        float,
        Field("smallest change of the monitored metric that counts", ge=0, le=1000),
    ] = 0.0
    train_evaluation_size: Annotated[
        Count, "training images scored in evaluation mode after each epoch"
    ] = 0
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
            raise ParameterError(
                f"{where}: schedule = {self.schedule!r} is not allowed for a training of one step "
                f"(epochs = {self.epochs}, batch_size = {self.batch_size}, {images} training "
                "images); allowed: two steps or more, or schedule = 'constant'"
            )
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
