"""A trained run, to be asked about images: its record, its model, and how its images are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from ..core.datasets import DATASETS, Dataset
from ..core.record import Record
from ..core.spec import RunSpec
from ..core.store import Store
from ..errors import ParameterError
from . import device as devices
from . import trained_models
from .data.augmentation import Normalize
from .data.images import check_images
from .data.pictures import prepare
from .probes.scoring import device_of, logits_of, normalizer_of

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True)
class TrainedRun:
    """What `load_run` gives.

    `model` maps normalised images to logits and is in evaluation mode; `dataset` declares the
    shape of the images, how they are normalised, and the names of the classes.
    """

    record: Record
    model: nn.Module
    dataset: Dataset

    @property
    def spec(self) -> RunSpec:
        """How it was trained."""
        return self.record.spec

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return device_of(self.model)

    @property
    def normalize(self) -> Normalize:
        """Maps uint8 images of shape (count, channels, height, width) to the model's inputs."""
        return normalizer_of(self.model, self.dataset)

    def predict(self, images: Tensor | np.ndarray[Any, Any] | Image | Sequence[Image]) -> Tensor:
        """The probabilities of all classes, float32 on the CPU, of shape (count, classes).

        `images` are uint8 of shape (count, channels, height, width), or one such image without
        its count; or one picture of Pillow's or a list of them, which are prepared as those that
        a network is trained on (`data.pictures.prepare`).  Raises `ParameterError` for anything
        else.
        """
        return logits_of(self.model, self.dataset, self._batch(images)).softmax(1)

    def answers(self, images: Tensor | np.ndarray[Any, Any] | Image | Sequence[Image]) -> list[str]:
        """The name of the most probable class of each image; takes what `predict` does."""
        names = self.dataset.class_names
        return [names[index] for index in self.predict(images).argmax(1).tolist()]

    def _batch(self, images: Any) -> Tensor:
        if isinstance(images, (Tensor, np.ndarray)):
            tensor = torch.as_tensor(images)
            tensor = tensor[None] if tensor.ndim == 3 else tensor
            check_images(tensor, self._shape)
            return tensor
        pictures = images if isinstance(images, Sequence) else [images]
        if not pictures or not all(hasattr(each, "convert") for each in pictures):
            raise ParameterError(
                f"images of {type(images).__name__} are not allowed; allowed: a uint8 tensor or "
                "array, a picture of Pillow's, or a list of these"
            )
        return torch.stack([self._of_picture(each) for each in pictures])

    def _of_picture(self, picture: Image) -> Tensor:
        try:
            pixels = prepare(picture, self._shape)
        except ValueError as error:
            raise ParameterError(f"a picture cannot be answered: {error}") from error
        return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()

    @property
    def _shape(self) -> tuple[int, int, int]:
        return self.dataset.image_shape


def load_run(key: str, device: str = "cpu", store: Store | None = None) -> TrainedRun:
    """A run that was trained, by its key or the key's beginning, with its trained weights.

    From a fresh clone it works for the runs whose weights are published (`results/*.safetensors`);
    `python -m lab1 run --again KEY` trains another one for its weights.  Raises `ParameterError`
    where not just one record has that key, `MissingRunsError` where the weights are not here, and
    `WeightsError`, naming the file, where they are damaged or another run's.

    Example::

        run = load_run("89356d45")
        run.answers(Image.open("frog.png"))
    """
    store = store or Store()
    record = store.of_key(key)
    declared = DATASETS[record.spec.dataset]
    if record.key != record.spec.key:
        raise ParameterError(
            f"run {key!r} cannot be loaded: its record is of {record.recipe_change}"
        )
    trained = trained_models.load(record.spec, declared, store, "load_run needs them")
    model = trained.model.to(devices.resolve(device)).eval()
    return TrainedRun(record, model, declared)
