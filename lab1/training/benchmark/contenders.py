"""Training loops to benchmark: each trains the same model on the same images.

A contender is a function `(case, data, seed, device)` that prepares everything and returns
(the model, a function that trains it); only the latter is timed.  Optimiser and schedule come from
the case; all else is what the contender's own users would write.
"""

import importlib.util
import logging
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from ...core import benchmarks
from ...core.families import FAMILIES
from .. import device as devices
from ..data.images import ImageSet, LoadedData
from ..trainer import StreamlinedTrainer
from .cases import Case

Prepared = tuple[nn.Module, Callable[[], object]]

#: Processes that load the images of a tutorial's loop.
_LOADER_PROCESSES = 2


class PerImage(Dataset[tuple[Tensor, int]]):
    """Images one at a time, as torchvision's data sets give them: PIL, then a transform for each.

    Item `index` is (float32 image of shape (channels, height, width), label).
    """

    def __init__(self, images: ImageSet, transform: Any) -> None:
        self._arrays = images.images.permute(0, 2, 3, 1).contiguous().numpy()
        self._labels = images.labels.tolist()
        self._transform = transform

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        array = self._arrays[index]
        image = Image.fromarray(array[:, :, 0] if array.shape[2] == 1 else array)
        return self._transform(image), self._labels[index]


def per_image_dataset(case: Case, data: LoadedData) -> PerImage:
    """The training images with torchvision's transforms for the case's augmentation."""
    from torchvision import transforms

    size = data.declared.image_shape[1]
    augmentations: dict[str, list[Any]] = {
        "none": [],
        "crop-flip": [transforms.RandomHorizontalFlip(), transforms.RandomCrop(size, padding=4)],
        "rotate-affine": [
            transforms.RandomRotation(10),
            transforms.RandomAffine(0, shear=10, scale=(0.8, 1.2)),
        ],
    }
    chain = [
        *augmentations[case.config.augmentation],
        transforms.ToTensor(),
        transforms.Normalize(data.declared.mean, data.declared.std),
    ]
    return PerImage(data.train, transforms.Compose(chain))


def per_image_loader(case: Case, data: LoadedData, device: torch.device) -> DataLoader[Any]:
    """Shuffled batches from two worker processes."""
    return DataLoader(
        per_image_dataset(case, data),
        batch_size=case.config.batch_size,
        shuffle=True,
        num_workers=_LOADER_PROCESSES,
        pin_memory=device.type == "cuda",
    )


def streamlined(
    case: Case, data: LoadedData, seed: int, device: torch.device, precision: str
) -> Prepared:
    """`StreamlinedTrainer`, as the chapters use it."""
    trainer = StreamlinedTrainer(
        case.build(data.declared.name, seed),
        replace(case.config, precision=precision),
        data.train,
        seed=seed,
        device=str(device),
        mean=data.declared.mean,
        std=data.declared.std,
        progress=False,
    )

    def train() -> None:
        # As the engine does it.
        with devices.threads(1 if FAMILIES[case.model.family].single_threaded else None):
            trainer.train()

    return trainer.model, train


def reference(case: Case, data: LoadedData, seed: int, device: torch.device) -> Prepared:
    """The loop of the usual tutorials: `DataLoader`, per-image transforms, float32."""
    model = case.build(data.declared.name, seed).to(device)
    optimizer = case.optimizer(model)
    scheduler = case.scheduler(optimizer, len(data.train))
    criterion = nn.CrossEntropyLoss()
    loader = per_image_loader(case, data, device)

    def train() -> None:
        model.train()
        for _ in range(case.config.epochs):
            loss_sum, correct = 0.0, 0
            for images, labels in loader:
                images, labels = images.to(device), labels.to(device)
                logits = model(images)
                loss = criterion(logits, labels)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                scheduler.step()
                loss_sum += loss.item()
                correct += (logits.argmax(1) == labels).sum().item()

    return model, train


def hugging_face(case: Case, data: LoadedData, seed: int, device: torch.device) -> Prepared:
    """Hugging Face's `Trainer` with its usual settings."""
    from transformers import Trainer, TrainingArguments

    class WithLoss(nn.Module):
        """Gives what `Trainer` asks for: the loss, then the logits."""

        def __init__(self, model: nn.Module) -> None:
            super().__init__()
            self.model = model

        def forward(self, pixel_values: Tensor, labels: Tensor) -> dict[str, object]:
            logits = self.model(pixel_values)
            return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}

    def collate(items: list[tuple[Tensor, int]]) -> dict[str, Tensor]:
        return {
            "pixel_values": torch.stack([image for image, _ in items]),
            "labels": torch.tensor([label for _, label in items]),
        }

    model = case.build(data.declared.name, seed)
    optimizer = case.optimizer(model)
    folder = tempfile.TemporaryDirectory(prefix="lab1-bench-")
    trainer = Trainer(
        model=WithLoss(model),
        args=TrainingArguments(
            output_dir=folder.name,
            num_train_epochs=case.config.epochs,
            per_device_train_batch_size=case.config.batch_size,
            dataloader_num_workers=_LOADER_PROCESSES,
            remove_unused_columns=False,
            use_cpu=device.type == "cpu",
            seed=seed,
            # Neither files nor reports are part of the comparison.
            save_strategy="no",
            logging_strategy="no",
            report_to=[],
            disable_tqdm=True,
        ),
        train_dataset=per_image_dataset(case, data),
        data_collator=collate,
        optimizers=(optimizer, case.scheduler(optimizer, len(data.train))),
    )

    def train() -> None:
        with folder:
            trainer.train()

    return model, train


def lightning(case: Case, data: LoadedData, seed: int, device: torch.device) -> Prepared:
    """PyTorch Lightning with its usual settings."""
    import lightning as lit

    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    model = case.build(data.declared.name, seed)

    class Module(lit.LightningModule):
        """The usual module: a loss per batch, optimiser and schedule."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def training_step(self, batch: list[Tensor], index: int) -> Tensor:
            images, labels = batch
            loss = nn.functional.cross_entropy(self.model(images), labels)
            self.log("train_loss", loss)
            return loss

        def configure_optimizers(self) -> Any:
            optimizer = case.optimizer(self.model)
            scheduler = case.scheduler(optimizer, len(data.train))
            return {
                "optimizer": optimizer,
                "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
            }

    trainer = lit.Trainer(
        max_epochs=case.config.epochs,
        accelerator="gpu" if device.type == "cuda" else device.type,
        devices=1,
        # Neither files nor reports are part of the comparison.
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    loader = per_image_loader(case, data, device)
    return model, partial(trainer.fit, Module(), loader)


@dataclass(frozen=True)
class Contender:
    """`title` is what the tables call it; `package` must be installed for it."""

    title: str
    prepare: Callable[[Case, LoadedData, int, torch.device], Prepared]
    package: str | None = None

    @property
    def is_installed(self) -> bool:
        """Whether it can take part."""
        return self.package is None or importlib.util.find_spec(self.package) is not None


_OTHERS: Mapping[str, Contender] = {
    benchmarks.REFERENCE: Contender("reference loop", reference),
    "hugging-face": Contender("Hugging Face Trainer", hugging_face, "transformers"),
    "lightning": Contender("PyTorch Lightning", lightning, "lightning"),
}


def contenders(device: torch.device) -> dict[str, Contender]:
    """Ours in each precision that the device has, and the others."""
    if device.type == "cuda":  # bfloat16 arithmetic, rather than its imitation
        has_bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        has_bf16 = device.type == "cpu" and torch.cpu.get_capabilities().get("avx512_bf16")
    ours = {
        name: Contender(f"lab1, {precision}", partial(streamlined, precision=precision))
        for name, precision in benchmarks.OURS.items()
        if precision == "float32" or has_bf16
    }
    return {**ours, **_OTHERS}
