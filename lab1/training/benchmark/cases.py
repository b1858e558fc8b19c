"""What is compared: a model, its data and a short training, the same for every contender."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn, optim
from torch.optim import lr_scheduler

from ...core import files
from ...core.datasets import DATASETS
from ...core.families import FAMILIES
from ...core.spec import ModelSpec
from ...core.training_config import TrainingConfig
from ...errors import DataError
from .. import data, models, seeds
from ..data.images import LoadedData
from ..optimization import build_optimizer, build_scheduler


@dataclass(frozen=True)
class Case:
    """One comparison.

    `datasets` are tried in their order, the first that lies in the data root is taken.
    `images` is how many training images an epoch has, `target` the ratio to the reference loop
    that the trainer should reach on two CPU cores with AVX-512, where it should reach one.
    """

    name: str
    title: str
    model: ModelSpec
    datasets: tuple[str, ...]
    config: TrainingConfig
    images: int
    target: float | None

    def build(self, dataset: str, seed: int) -> nn.Module:
        """The model, with the initial weights of `seed`."""
        return models.build(self.model, DATASETS[dataset], seed)

    def optimizer(self, model: nn.Module) -> optim.Optimizer:
        """The optimiser that every contender is given."""
        return build_optimizer(model, self.config)

    def scheduler(self, optimizer: optim.Optimizer, images: int) -> lr_scheduler.LRScheduler:
        """The schedule that every contender is given, to be stepped after every batch."""
        return build_scheduler(optimizer, self.config, self.config.check_steps(images))


_SGD: Mapping[str, Any] = {
    "optimizer": "sgd",
    "learning_rate": 0.1,
    "weight_decay": 1e-4,
    "validation_size": 0,
    "schedule": "one-cycle",
}

CASES: Mapping[str, Case] = {
    case.name: case
    for case in (
        Case(
            "mlp",
            "MLP, 8 hidden layers",
            ModelSpec("MLP", 8, width=128),
            ("mnist",),
            TrainingConfig(epochs=2, schedule="one-cycle", validation_size=0),
            30_000,
            3.0,
        ),
        Case(
            "simple-cnn",
            "SimpleCNN, 3 stages",
            ModelSpec("SimpleCNN", 3, channels=16),
            ("cifar10", "cifar10-jpeg"),
            TrainingConfig(epochs=2, augmentation="rotate-affine", **_SGD),
            20_000,
            2.5,
        ),
        Case(
            "resnet-20",
            "ResNet-20",
            ModelSpec("ResNet", 20),
            ("cifar10", "cifar10-jpeg"),
            TrainingConfig(epochs=2, augmentation="crop-flip", **_SGD),
            8_000,
            2.2,
        ),
    )
}


#: Whose depths are compared: families and depths of the chapters, the case of `CASES` that says the
#: rest, the augmentation, and as many images as take a moment.
NETWORKS: Sequence[tuple[tuple[str, ...], tuple[int, ...], str, str, int]] = (
    (("MLP", "ResidualMLP"), (2, 4, 8, 16, 32), "mlp", "none", 20_000),
    (("SimpleCNN", "PlainCNN", "ResidualCNN"), (2, 3, 4), "simple-cnn", "crop-flip", 2_560),
    # The depths of He et al. (2016).
    (("PlainNet", "ResNet"), (20, 32, 44, 56, 110), "resnet-20", "crop-flip", 1_280),
)


def by_depth(chosen: Collection[str] = ()) -> list[Case]:
    """A case of one epoch for each of `NETWORKS`, twins beside each other.

    Only those of the `chosen` families, where there are any.
    """
    return [
        replace(
            CASES[like],
            name=f"{family}-{depth}",
            title=f"{family}, {depth} {FAMILIES[family].unit}s",
            model=replace(CASES[like].model, family=family, depth=depth),
            config=replace(CASES[like].config, epochs=1, augmentation=augmentation),
            images=images,
            target=None,
        )
        for families, depths, like, augmentation, images in NETWORKS
        for depth in depths
        for family in families
        if not chosen or family in chosen
    ]


def smoke(case: Case) -> Case:
    """The same on a few built-in images: to see it work, not to measure."""
    grey = DATASETS[case.datasets[0]].image_shape[0] == 1
    dataset = "smoke-grey" if grey else "smoke-colour"
    return replace(
        case, datasets=(dataset,), images=512, config=replace(case.config, batch_size=64)
    )


def load(case: Case, data_dir: str | None) -> LoadedData:
    """The data of a case, its training images thinned out evenly to `case.images`.

    Raises `DataError` where none of its data sets can be had.
    """
    loaded = data.load(_present(case.datasets, data_dir), data_dir)
    count = len(loaded.train)
    if count < case.images:
        raise DataError(f"{case.name}: needs {case.images} training images, there are {count}")
    # In a random order: a folder of images is sorted by class.
    order = torch.randperm(count, generator=seeds.generator(0, "order"))[: case.images]
    return replace(loaded, train=loaded.train.take(order))


def _present(datasets: tuple[str, ...], data_dir: str | None) -> str:
    folders = {"cifar10": "cifar-10-batches-py", "cifar10-jpeg": "cifar10", "mnist": "MNIST"}
    root = files.data_dir(data_dir)
    for name in datasets:
        if Path(root / folders.get(name, "")).is_dir():
            return name
    return datasets[0]  # it is downloaded
