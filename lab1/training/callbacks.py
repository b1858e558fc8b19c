"""Callbacks of a training: early stopping, the best weights, a progress bar."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from ..errors import did_you_mean
from .checkpoint import save_weights

if TYPE_CHECKING:
    from .trainer import StreamlinedTrainer

Metrics = Mapping[str, float | None]


class Callback:
    """The moments of a training at which code of yours runs: derive from it, and override some.

    `metrics` hold the epoch's values by name: `train_loss`, `train_accuracy`, `learning_rate`,
    `gradient_norm`, `seconds`, `peak_memory_bytes`; with a validation split `validation_loss`,
    `validation_accuracy` and the custom metrics, which are `None` without one.  A callback stops
    the training after the current epoch by setting `trainer.stop_reason`.  Raises `TypeError` for
    a class with a method that is called like a hook and is none.

    Example::

        class GoodEnough(Callback):
            def on_epoch_end(self, trainer, epoch, metrics):
                if metrics["validation_accuracy"] > 0.2:
                    trainer.stop_reason = "good enough"

        trainer = StreamlinedTrainer(
            model, config, train, validation, callbacks=[GoodEnough()]
        )
    """

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        hooks = [name for name in vars(Callback) if name.startswith("on_")]
        for name in vars(cls):
            if name.startswith("on_") and name not in hooks:
                raise TypeError(
                    f"{cls.__name__}.{name} is no hook of a callback; allowed: {', '.join(hooks)}"
                    f"{did_you_mean(name, hooks)}"
                )

    def on_train_begin(self, trainer: StreamlinedTrainer) -> None:
        """Before the first epoch."""

    def on_step_end(self, trainer: StreamlinedTrainer, step: int, loss: Tensor) -> None:
        """After an optimiser step, counted from 1 over all epochs.

        `loss` is the batch's, a scalar on the device; reading it makes the device wait.
        """

    def on_epoch_end(self, trainer: StreamlinedTrainer, epoch: int, metrics: Metrics) -> None:
        """After the validation of `epoch` (counted from 1)."""

    def on_train_end(self, trainer: StreamlinedTrainer) -> None:
        """After the last epoch, however it came to be the last."""


class BestEpoch(Callback):
    """Keeps the weights of the epoch whose `monitor` was best, and may stop the training.

    The best is the greatest where `mode` is `max`, else the smallest; NaN is never better.
    With `patience`, training stops after that many epochs in a row without an improvement: a
    value better by more than `minimum_improvement` than at the last improvement.  Which weights
    are kept does not depend on it.  Without a validation split the last epoch counts as the best.
    With `path`, the best weights are also written there.
    """

    _STATE = ("epoch", "value", "improved_to", "epochs_without", "weights")

    def __init__(
        self,
        monitor: str,
        mode: str,
        patience: int | None = None,
        minimum_improvement: float = 0.0,
        path: Path | None = None,
    ) -> None:
        self.monitor = monitor
        self.mode = mode
        self.patience = patience
        self.minimum_improvement = minimum_improvement
        self.path = path
        self.epoch: int | None = None
        self.value: float | None = None
        self.weights: dict[str, Tensor] = {}
        #: The value at the last improvement, and the epochs since.
        self.improved_to: float | None = None
        self.epochs_without = 0

    def on_epoch_end(self, trainer: StreamlinedTrainer, epoch: int, metrics: Metrics) -> None:
        value = metrics[self.monitor]
        if value is None or self._gain(value, self.value) > 0:
            self.epoch, self.value = epoch, value
            state = trainer.model.state_dict()
            self.weights = {name: tensor.detach().cpu().clone() for name, tensor in state.items()}
            if self.path is not None:
                save_weights(self.path, self.weights)
        gain = math.inf if value is None else self._gain(value, self.improved_to)
        # From 0.50 to 0.55 is a gain of 0.05, although floating point makes it a trace more.
        if gain > self.minimum_improvement and not math.isclose(gain, self.minimum_improvement):
            self.improved_to, self.epochs_without = value, 0
            return
        self.epochs_without += 1
        if self.patience is not None and self.epochs_without >= self.patience:
            trainer.stop_reason = "early stopping"

    def on_train_end(self, trainer: StreamlinedTrainer) -> None:
        if self.weights:
            trainer.model.load_state_dict(self.weights)

    def state_dict(self) -> dict[str, Any]:
        """The state that a checkpoint holds."""
        return {name: getattr(self, name) for name in self._STATE}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continues from what `state_dict` gave."""
        for name in self._STATE:
            setattr(self, name, state[name])

    def _gain(self, value: float, over: float | None) -> float:
        if over is None or math.isnan(over):
            return math.inf
        return over - value if self.mode == "min" else value - over


class ProgressBar(Callback):
    """A bar over the epochs on standard error; silent where tqdm is not installed."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._bar: Any = None

    def on_train_begin(self, trainer: StreamlinedTrainer) -> None:
        try:
            from tqdm import tqdm
        except ImportError:
            return
        # disable=None: no bar where standard error is not a terminal, as in a notebook, which is
        # told of each run that ends. (tqdm.auto would warn there that it lacks widgets.)
        self._bar = tqdm(
            total=trainer.config.epochs, desc=self._title, unit="epoch", leave=False, disable=None
        )

    def on_epoch_end(self, trainer: StreamlinedTrainer, epoch: int, metrics: Metrics) -> None:
        if self._bar is not None:
            names = ("train_loss", "validation_accuracy")
            values = {name: f"{metrics[name]:.4f}" for name in names if metrics[name] is not None}
            self._bar.set_postfix(values, refresh=False)
            self._bar.update()

    def on_train_end(self, trainer: StreamlinedTrainer) -> None:
        if self._bar is not None:
            self._bar.close()
