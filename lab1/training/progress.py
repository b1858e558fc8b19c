"""How far a training has come: the history, and the sums of the epoch under way."""

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor


class Progress:
    """`epoch` counts from 1, `steps` the batches of it that are done.

    The sums are over those batches, on the device: of the loss, of further `quantities` by name,
    of correct answers, and of gradient norms.  `seconds` is the time trained up to the last
    checkpoint, `epoch_began` what `elapsed` was when the epoch began.
    """

    _SUMS = ("loss_sum", "correct", "norm_sum")
    _NUMBERS = ("epoch", "steps", "learning_rate", "seconds", "epoch_began")

    def __init__(
        self, series: Sequence[str], device: torch.device, quantities: Sequence[str] = ()
    ) -> None:
        self.history: dict[str, list[float | None]] = {name: [] for name in series}
        self.epoch = 1
        self.steps = 0
        self.learning_rate = math.nan
        self.seconds = 0.0
        self.epoch_began = 0.0
        self.loss_sum: Tensor = torch.zeros((), device=device)
        self.correct: Tensor = torch.zeros((), dtype=torch.int64, device=device)
        self.norm_sum: Tensor = torch.zeros((), device=device)
        self.quantity_sums = {name: torch.zeros((), device=device) for name in quantities}

    def start_clock(self) -> None:
        """Begins, or after a restart continues, to count seconds."""
        self._started = time.monotonic() - self.seconds

    def elapsed(self) -> float:
        """Seconds of training without the time between sittings; nobody can set this clock back."""
        return time.monotonic() - self._started

    def lap(self) -> float:
        """Seconds of the epoch that ends now; the next one begins."""
        before, self.epoch_began = self.epoch_began, self.elapsed()
        return self.epoch_began - before

    def means(self, count: int) -> dict[str, float | None]:
        """Loss, further quantities and accuracy over `count` images as they were trained on, the
        mean gradient norm over the steps, and the learning rate of the last step."""
        return {
            **{name: float(total) / count for name, total in self.quantity_sums.items()},
            "train_loss": float(self.loss_sum) / count,
            "train_accuracy": int(self.correct) / count,
            "learning_rate": self.learning_rate,
            "gradient_norm": float(self.norm_sum) / self.steps,
        }

    def finish_epoch(self, metrics: Mapping[str, float | None]) -> None:
        """Enters an epoch into the history and begins the next."""
        for name, value in metrics.items():
            self.history[name].append(value)
        self.epoch += 1
        self.steps = 0
        for total in (*(getattr(self, name) for name in self._SUMS), *self.quantity_sums.values()):
            total.zero_()

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds of it."""
        names = (*self._SUMS, *self._NUMBERS, "quantity_sums", "history")
        return {name: getattr(self, name) for name in names}

    def restore(self, state: Mapping[str, Any], device: torch.device) -> None:
        """Takes up what `state` gave."""
        for name in self._SUMS:
            setattr(self, name, state[name].to(device))
        for name in self._NUMBERS:
            setattr(self, name, state[name])
        for name in self.quantity_sums:
            self.quantity_sums[name] = state["quantity_sums"][name].to(device)
        # In place: who holds the history sees the restored one.
        self.history.update(state["history"])
