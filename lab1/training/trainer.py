"""``StreamlinedTrainer``: trains, evaluates and predicts, in the spirit of Hugging Face's."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from ..config import TrainingConfig
from ..errors import ParameterError
from ..store import HISTORY_FIELDS
from . import device as devices
from . import seeds
from .augmentation import AUGMENTATIONS, Normalize
from .callbacks import BestEpoch, Callback
from .images import ImageSet
from .optimization import build_optimizer, build_scheduler

#: A custom metric: (logits, labels) of the whole validation split to a number.
Metric = Callable[[Tensor, Tensor], float]

#: Large, since no gradients are kept; the result does not depend on it beyond rounding.
_EVALUATION_BATCH = 1000


@dataclass(frozen=True)
class TrainingResult:
    """How a training went.

    ``history`` maps the names in :data:`lab1.store.HISTORY_FIELDS`, and those of custom metrics,
    to one value per epoch.  ``best_epoch`` counts from 1 and is ``None`` where the first epoch
    diverged.  ``stopped`` is ``all epochs``, ``early stopping``, ``diverged``, or what a callback
    gave.  ``seconds`` is wall-clock time over all epochs.
    """

    history: Mapping[str, list[float | None]]
    best_epoch: int | None
    stopped: str
    seconds: float


class StreamlinedTrainer:
    """Trains one model on images that stay on the device as tensors.

    ``model`` maps float32 images of shape (batch, channels, height, width) to logits of shape
    (batch, classes).  ``eval_dataset`` is the validation split that selects the best epoch; it may
    be ``None``.  ``mean`` and ``std`` normalise each channel after division by 255; by default
    they are taken from the training images.  ``compute_metrics`` adds metrics to the validation;
    ``callbacks`` run after each epoch; ``weights_path`` is where the best weights are written.
    Training images are augmented as ``config.augmentation`` says, others never.

    With the same seed, data, versions and number of threads, a training on the CPU repeats bit by
    bit.

    Example::

        trainer = StreamlinedTrainer(model, TrainingConfig(epochs=5), train, validation, seed=0)
        result = trainer.train()
        trainer.evaluate(test)["accuracy"]
        trainer.predict(test.images).argmax(1)
    """

    def __init__(
        self,
        model: nn.Module,
        config: TrainingConfig,
        train_dataset: ImageSet,
        eval_dataset: ImageSet | None = None,
        *,
        seed: int = 0,
        device: str = "auto",
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        compute_metrics: Mapping[str, Metric] | None = None,
        callbacks: Sequence[Callback] = (),
        weights_path: Path | None = None,
    ) -> None:
        if len(train_dataset) == 0:
            raise ParameterError("StreamlinedTrainer: train_dataset is empty; it needs an image")
        if config.patience is not None and eval_dataset is None:
            raise ParameterError(
                f"StreamlinedTrainer: patience = {config.patience} needs an eval_dataset to watch"
            )
        self.config = config
        self.seed = seed
        self.device = devices.resolve(device)
        _check_precision(config.precision, self.device)
        self.model = model.to(self.device)
        self.train_dataset = train_dataset.to(self.device)
        self.eval_dataset = None if eval_dataset is None else eval_dataset.to(self.device)
        if mean is None or std is None:
            mean, std = _channel_statistics(train_dataset.images)
        self.normalize = Normalize(tuple(mean), tuple(std), self.device)
        self.augment = AUGMENTATIONS[config.augmentation]
        self.compute_metrics = dict(compute_metrics or {})
        self.best = BestEpoch(
            config.monitor, config.patience, config.minimum_improvement, weights_path
        )
        self.callbacks: list[Callback] = [self.best, *callbacks]
        #: Set by a callback to end the training after the current epoch.
        self.stop_reason: str | None = None
        self.optimizer = build_optimizer(self.model, config)
        steps_per_epoch = math.ceil(len(train_dataset) / config.batch_size)
        self.scheduler = build_scheduler(self.optimizer, config, config.epochs * steps_per_epoch)
        self._order = seeds.generator(seed, "order")
        self._augmentation = seeds.generator(seed, "augmentation")

    def compute_loss(self, logits: Tensor, labels: Tensor, inputs: Tensor) -> Tensor:
        """The loss of one training batch, a scalar: mean cross-entropy.

        Override it to train on something else.  ``logits`` are float32 of shape (batch, classes),
        ``labels`` int64 of shape (batch,), ``inputs`` the very images that the model saw.
        """
        return nn.functional.cross_entropy(logits, labels)

    def train(self) -> TrainingResult:
        """Trains until all epochs are done, early stopping or divergence.

        Afterwards the model has the weights of the best epoch.
        """
        history: dict[str, list[float | None]] = {
            name: [] for name in (*HISTORY_FIELDS, *self.compute_metrics)
        }
        devices.reset_peak_memory(self.device)
        started = time.perf_counter()
        self.stop_reason = None
        with seeds.global_stream(self.seed, "dropout"):
            self._notify("on_train_begin")
            for epoch in range(1, self.config.epochs + 1):
                metrics = self._run_epoch()
                for name, value in metrics.items():
                    history[name].append(value)
                if not _is_finite(metrics):
                    self.stop_reason = "diverged"
                    break
                self._notify("on_epoch_end", epoch, metrics)
                if self.stop_reason is not None:
                    break
            self._notify("on_train_end")
        return TrainingResult(
            history=history,
            best_epoch=self.best.epoch,
            stopped=self.stop_reason or "all epochs",
            seconds=time.perf_counter() - started,
        )

    def evaluate(self, dataset: ImageSet | None = None) -> dict[str, float]:
        """Scores the model: ``loss``, ``accuracy``, ``errors``, ``count`` and the custom metrics.

        ``loss`` is the mean cross-entropy, ``accuracy`` a fraction.  ``dataset`` is the validation
        split unless another is given.
        """
        dataset = self.eval_dataset if dataset is None else dataset.to(self.device)
        if dataset is None or len(dataset) == 0:
            raise ParameterError("evaluate: there is no validation split; name a dataset")
        logits = self._logits(dataset.images)
        loss = nn.functional.cross_entropy(logits, dataset.labels)
        correct = int((logits.argmax(1) == dataset.labels).sum())
        count = len(dataset)
        custom = {
            name: float(f(logits, dataset.labels)) for name, f in self.compute_metrics.items()
        }
        return {
            "loss": float(loss),
            "accuracy": correct / count,
            "errors": count - correct,
            "count": count,
            **custom,
        }

    def predict(self, images: Tensor) -> Tensor:
        """Logits, float32 on the CPU, of shape (count, classes).

        ``images`` are uint8 of shape (count, channels, height, width).
        """
        return self._logits(images.to(self.device)).cpu()

    def _run_epoch(self) -> dict[str, float | None]:
        started = time.perf_counter()
        loss, accuracy, gradient_norm, learning_rate = self._train_epoch()
        metrics: dict[str, float | None] = {
            "train_loss": loss,
            "train_accuracy": accuracy,
            "validation_loss": None,
            "validation_accuracy": None,
            **dict.fromkeys(self.compute_metrics),
            "learning_rate": learning_rate,
            "gradient_norm": gradient_norm,
        }
        if self.eval_dataset is not None:
            scores = self.evaluate()
            metrics["validation_loss"] = scores["loss"]
            metrics["validation_accuracy"] = scores["accuracy"]
            metrics.update({name: scores[name] for name in self.compute_metrics})
        metrics["seconds"] = time.perf_counter() - started
        metrics["peak_memory_bytes"] = devices.peak_memory_bytes(self.device)
        return metrics

    def _train_epoch(self) -> tuple[float, float, float, float]:
        """One pass: mean loss and accuracy over the images as they were trained on, mean gradient
        norm over the steps, and the learning rate of the last step."""
        self.model.train()
        parameters = [each for each in self.model.parameters() if each.requires_grad]
        # Sums stay on the device: reading them after each step would make it wait for the host.
        loss_sum = torch.zeros((), device=self.device)
        correct = torch.zeros((), dtype=torch.int64, device=self.device)
        norm_sum = torch.zeros((), device=self.device)
        steps = 0
        learning_rate = math.nan
        for inputs, labels in self._training_batches():
            with self._autocast():
                logits = self.model(inputs)
            logits = logits.float()
            loss = self.compute_loss(logits, labels, inputs)
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            gradients = [each.grad for each in parameters if each.grad is not None]
            norm_sum += nn.utils.get_total_norm(gradients)
            learning_rate = self.optimizer.param_groups[0]["lr"]
            self.optimizer.step()
            self.scheduler.step()
            loss_sum += loss.detach() * len(labels)
            correct += (logits.argmax(1) == labels).sum()
            steps += 1
        count = len(self.train_dataset)
        return float(loss_sum) / count, int(correct) / count, float(norm_sum) / steps, learning_rate

    def _training_batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        order = torch.randperm(len(self.train_dataset), generator=self._order).to(self.device)
        for indices in order.split(self.config.batch_size):
            batch = self.train_dataset.take(indices)
            images = batch.images
            if self.augment is not None:
                images = self.augment(images, self._augmentation)
            yield self.normalize(images), batch.labels

    @torch.inference_mode()
    def _logits(self, images: Tensor) -> Tensor:
        self.model.eval()
        with self._autocast():
            return torch.cat(
                [self.model(self.normalize(part)) for part in images.split(_EVALUATION_BATCH)]
            ).float()

    def _autocast(self) -> AbstractContextManager[object]:
        if self.config.precision == "bf16":
            return torch.autocast(self.device.type, dtype=torch.bfloat16)
        return nullcontext()

    def _notify(self, hook: str, *arguments: object) -> None:
        for callback in self.callbacks:
            getattr(callback, hook)(self, *arguments)


def _channel_statistics(images: Tensor) -> tuple[list[float], list[float]]:
    pixels = images.float().div(255).transpose(0, 1).flatten(1)
    return pixels.mean(1).tolist(), pixels.std(1).clamp(min=1e-3).tolist()


def _check_precision(precision: str, device: torch.device) -> None:
    if precision == "bf16" and device.type == "cuda" and not torch.cuda.is_bf16_supported():
        raise ParameterError(
            "precision = 'bf16' is not allowed on this GPU, which has no bfloat16 arithmetic; "
            "allowed: float32"
        )


def _is_finite(metrics: Mapping[str, float | None]) -> bool:
    # The gradient norm overflows before the loss does, and such a step has spoilt the weights.
    watched = (metrics["train_loss"], metrics["gradient_norm"], metrics["validation_loss"])
    return all(value is None or math.isfinite(value) for value in watched)
