"""A trained network with what its answers need: asked about images, exported, and read again."""

from __future__ import annotations

import copy
import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from ..core import weights_file
from ..core.datasets import Dataset
from ..core.files import write_bytes
from ..core.record_rules import anything, exactly, listing, mapping, number, text, whole
from ..core.training_config import TrainingConfig
from ..errors import MissingRunsError, ParameterError, RecordError, check_kind
from . import device as devices
from .checkpoint import load_into, load_weights, save_weights
from .data.augmentation import Normalize
from .data.image_folder import prepare
from .data.images import check_images
from .evaluation import logits_of, normalizer_of

if TYPE_CHECKING:
    from PIL.Image import Image

#: The file in a folder that `StreamlinedTrainer.save` writes.
FILE = "model.safetensors"

#: An exported network takes any number of images.
_COUNTS = {"images": {0: torch.export.Dim("count")}}


@dataclass(frozen=True)
class Classifier:
    """A trained network, to be asked about images and exported.

    `model` maps normalised images to logits and is in evaluation mode; `dataset` declares the
    shape of the images, how they are normalised, and the names of the classes; `config` is what it
    was trained by.
    """

    model: nn.Module
    dataset: Dataset
    config: TrainingConfig

    @property
    def normalize(self) -> Normalize:
        """Maps uint8 images of shape (count, channels, height, width) to the model's inputs."""
        return normalizer_of(self.model, self.dataset)

    def predict(self, images: Tensor | np.ndarray[Any, Any] | Image | Sequence[Image]) -> Tensor:
        """The probabilities of all classes, float32 on the CPU, of shape (count, classes).

        `images` are uint8 of shape (count, channels, height, width), or one such image without
        its count; or one picture of Pillow's or a list of them, which are prepared as those that
        a network is trained on (`data.image_folder.prepare`).  Raises `ParameterError` for anything
        else.
        """
        return logits_of(self.model, self.dataset, self._batch(images)).softmax(1)

    def answers(self, images: Tensor | np.ndarray[Any, Any] | Image | Sequence[Image]) -> list[str]:
        """The name of the most probable class of each image; takes what `predict` does."""
        names = self.dataset.class_names
        return [names[index] for index in self.predict(images).argmax(1).tolist()]

    def _batch(self, images: Any) -> Tensor:
        shape = self.dataset.image_shape
        if isinstance(images, np.ndarray) and images.dtype == np.uint8:
            images = torch.from_numpy(images.copy())  # it may be turned or read-only
        if isinstance(images, Tensor):
            tensor = images[None] if images.ndim == 3 else images
            check_images(tensor, shape)
            return tensor
        pictures = images if isinstance(images, (list, tuple)) else [images]
        if not pictures or not all(hasattr(picture, "convert") for picture in pictures):
            kind = getattr(images, "dtype", type(images).__name__)
            raise ParameterError(
                f"images of {kind} are not allowed; allowed: a uint8 tensor or "
                "array, a picture of Pillow's, or a list of these"
            )
        try:
            pixels = [prepare(picture, shape) for picture in pictures]
        except ValueError as error:
            raise ParameterError(f"a picture cannot be answered: {error}") from error
        return torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).contiguous()

    @property
    def metadata(self) -> dict[str, str]:
        """What an exported file says of the network, as JSON by name."""
        shown = {name: getattr(self.dataset, name) for name in ("image_shape", "mean", "std")}
        shown |= {"classes": self.dataset.class_names, "config": asdict(self.config)}
        return {name: json.dumps(value) for name, value in shown.items()}

    def export(self, path: Path | str) -> Path:
        """Writes the network to a file, whole or not at all, and returns the file.

        `model.onnx` (ONNX, which needs onnx and onnxscript) and `model.pt2` (`torch.export`) hold
        the network with its normalisation: `images`, uint8 of shape (count, channels, height,
        width), become `logits`, float32 of shape (count, classes), for any count.
        `model.safetensors` holds the weights alone.  Each says `metadata`; a `.pt2` in the extra
        file `metadata.json`.  Raises `ParameterError` for another ending and for a network that
        torch cannot export, and `MissingRunsError` where a package is not installed.
        """
        check_kind("path", path, Path | str, "export")
        path = Path(path)
        if path.suffix == ".safetensors":
            weights = {name: part.cpu().clone() for name, part in self.model.state_dict().items()}
            save_weights(path, weights, metadata=self.metadata)
        elif path.suffix == ".pt2":
            buffer = io.BytesIO()
            extra = {"metadata.json": json.dumps(self.metadata)}
            torch.export.save(self._program(path), buffer, extra_files=extra)
            write_bytes(path, buffer.getvalue())
        elif path.suffix == ".onnx":
            lacking = [package for package in ("onnx", "onnxscript") if not find_spec(package)]
            if lacking:
                raise MissingRunsError(
                    f"{path}: {lacking[0]} is not installed, which writes ONNX. "
                    "Install it: pip install onnx onnxscript"
                )
            network = torch.onnx.export(
                self._program(path),
                verbose=False,
                input_names=["images"],
                output_names=["logits"],
                dynamic_shapes=_COUNTS,
            )
            assert network is not None
            network.model.metadata_props.update(self.metadata)
            write_bytes(path, network.model_proto.SerializeToString())
        else:
            raise ParameterError(
                f"{path}: a network is not exported as {path.suffix or 'a file without ending'}; "
                "allowed: .onnx, .pt2, .safetensors"
            )
        return path

    def _program(self, path: Path) -> torch.export.ExportedProgram:
        """The network with its normalisation, on the CPU, as `torch.export` has it."""
        network = _FromPixels(copy.deepcopy(self.model).cpu(), self.dataset).eval()
        images = torch.zeros(2, *self.dataset.image_shape, dtype=torch.uint8)
        try:
            return torch.export.export(network, (images,), dynamic_shapes=_COUNTS)
        except Exception as error:  # torch raises many kinds for what a user's network does
            why = str(error).strip().splitlines() or [type(error).__name__]
            raise ParameterError(
                f"{path}: torch.export cannot take {type(self.model).__name__}: {why[0]}"
            ) from error


class _FromPixels(nn.Module):
    """A network that normalises the images itself."""

    def __init__(self, model: nn.Module, dataset: Dataset) -> None:
        super().__init__()
        self.model = model.to(memory_format=torch.contiguous_format)
        self.normalize = Normalize(dataset.mean, dataset.std, torch.device("cpu"))

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.model(self.normalize(images))
        return logits


def declare(
    image_shape: Sequence[int], classes: Sequence[str], mean: Sequence[float], std: Sequence[float]
) -> Dataset:
    """The declaration of images that are no data set of lab1's, for a `Classifier` of them."""
    channels, height, width = image_shape
    return Dataset(
        name="",
        title="",
        image_shape=(channels, height, width),
        num_classes=len(classes),
        train_size=0,
        test_size=0,
        mean=tuple(mean),
        std=tuple(std),
        fingerprint="",
        classes=tuple(classes),
    )


def load_network(path: Path | str, model: nn.Module, device: str = "cpu") -> Classifier:
    """The network that `StreamlinedTrainer.save` or an export to `.safetensors` wrote.

    `path` is the folder or the file; `model` is a network of the same class and sizes, whose
    weights are replaced.  Raises `WeightsError`, naming the file, where it is missing, damaged or
    another network's.
    """
    check_kind("path", path, Path | str, "load_network")
    check_kind("model", model, nn.Module, "load_network")
    file = Path(path) / FILE if Path(path).is_dir() else Path(path)
    metadata, weights = weights_file.read(file).metadata, load_weights(file)
    title = type(model).__name__
    try:
        said = {name: json.loads(metadata[name]) for name in metadata.keys() & _SAID.keys()}
        mapping(_SAID)("its metadata", said)
        config = TrainingConfig(**said.pop("config"))
    except (ValueError, RecordError) as error:
        raise weights_file.refusal(file, f"does not fit {title}: {error}") from error
    load_into(model, weights, file, title)
    return Classifier(model.to(devices.resolve(device)).eval(), declare(**said), config)


#: What the metadata of a saved network say.
_SAID = {
    "image_shape": exactly(3, whole(1)),
    "classes": listing(text(), 1),
    "mean": listing(number()),
    "std": listing(number(0)),
    "config": mapping({}, others=anything),
}
