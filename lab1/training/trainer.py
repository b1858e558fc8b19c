"""`StreamlinedTrainer`: trains, evaluates and predicts, in the spirit of Hugging Face's."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch._dynamo import OptimizedModule

from ..core.record import HISTORY_FIELDS, history_fields
from ..core.training_config import TrainingConfig
from ..errors import ParameterError, check_kind, not_allowed
from . import device as devices
from . import distributed, interruption, origin, seeds
from .callbacks import BestEpoch, Callback, ProgressBar
from .checkpoint import Checkpointer
from .classifier import FILE, Classifier, declare
from .data.augmentation import AUGMENTATIONS, Normalize, checked_statistics
from .data.from_torch import Data, as_image_set, class_names
from .data.images import ImageSet, check_images, split_for
from .evaluation import SCORES, Metric, ask, score
from .optimization import build_optimizer, build_scheduler
from .progress import Progress

#: Large, since no gradients are kept; the result does not depend on it beyond rounding.
EVALUATION_BATCH = 1000


@dataclass(frozen=True)
class TrainingResult:
    """The outcome of a training.

    `history` maps the names in `HISTORY_FIELDS`, and those of custom metrics,
    to one value per epoch.  `best_epoch` counts from 1 and is `None` where the first epoch
    diverged.  `stopped` is `all epochs`, `early stopping`, `diverged`, or what a callback
    gave.  `seconds` is wall-clock time over all epochs.
    """

    history: Mapping[str, list[float | None]]
    best_epoch: int | None
    stopped: str
    seconds: float


class StreamlinedTrainer:
    """Trains one model on images that stay on the device as tensors.

    `model` maps float32 images of shape (batch, channels, height, width) to logits of shape
    (batch, classes).  The data are an `ImageSet`, or what `data.as_image_set` makes one of: a
    map-style torch `Dataset` of (image, label), or a `DataLoader` of one.  `eval_dataset` is the
    validation split that selects the best epoch; where it is `None`, `config.validation_size`
    training images are held out, as by `data.split` with the same `seed`.  `mean` and `std`
    normalise each channel after division by 255; by default they are taken from the training
    images.  `compute_metrics` adds metrics to the validation; `monitor` names one of them that
    selects the best epoch, with `"max"` or `"min"`, instead of `config.monitor`.
    `callbacks` run after each epoch; `weights_path` is where the best weights are written.
    `compile` lets `torch.compile` make kernels for the training steps.  `progress` shows a bar,
    with that title where it is a text; there is none where standard error is no terminal.
    With a `checkpointer`, `train` saves its state now and then and continues from it, in the
    middle of an epoch too, with the same result as if it had never stopped.
    Training images are augmented as `config.augmentation` says, others never.

    With the same seed, data, versions and number of threads, a training on the CPU repeats bit by
    bit.  In a process that torchrun started, it trains one model together with the others
    (`lab1.training.distributed`); `config.batch_size` is then that of all of them.

    Example::

        trainer = StreamlinedTrainer(model, TrainingConfig(epochs=5), train, validation, seed=0)
        result = trainer.train()
        trainer.evaluate(test)["accuracy"]
        trainer.predict(test.images).argmax(1)

    A metric maps logits of shape (count, classes) and labels of shape (count,) to a number::

        def error_at_5(logits, labels):
            return (logits.topk(5).indices != labels[:, None]).all(1).float().mean().item()

        trainer = StreamlinedTrainer(
            model,
            config,
            train,
            validation,
            compute_metrics={"error_at_5": error_at_5},
            monitor=("error_at_5", "min"),
        )
    """

    #: Further quantities of a batch whose mean over an epoch's images is a series of the history;
    #: `compute_loss` gives each to `observe`.
    quantities: tuple[str, ...] = ()

    def __init__(
        self,
        model: nn.Module,
        config: TrainingConfig,
        train_dataset: Data,
        eval_dataset: Data | None = None,
        *,
        seed: int = 0,
        device: str = "auto",
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        compute_metrics: Mapping[str, Metric] | None = None,
        monitor: tuple[str, str] | None = None,
        callbacks: Sequence[Callback] = (),
        weights_path: Path | str | None = None,
        checkpointer: Checkpointer | None = None,
        compile: bool = False,
        progress: bool | str = True,
    ) -> None:
        where = type(self).__name__
        check_kind("model", model, nn.Module, where)
        check_kind("config", config, TrainingConfig, where)
        check_kind("weights_path", weights_path, Path | str | None, where)
        check_kind("checkpointer", checkpointer, Checkpointer | None, where)
        check_kind("compile", compile, bool, where)
        check_kind("callbacks", callbacks, list | tuple, where)
        for callback in callbacks:
            check_kind("callbacks", callback, Callback, where)
        check_kind("compute_metrics", compute_metrics, Mapping | None, where)
        for metric in (compute_metrics or {}).values():
            if not callable(metric):
                raise not_allowed("a metric", metric, "a function of (logits, labels)", where)
        if config.pretrained is not None:  # it is given its model, and would train on as if it were
            allowed = "none, and a model with the weights of `lab1.load_run(KEY).model`"
            raise not_allowed("config.pretrained", config.pretrained, allowed, where)
        if any(weight.is_meta for weight in model.parameters()):
            raise ParameterError(f"{where}: the model has weights without values (device 'meta')")
        if not any(weight.requires_grad for weight in model.parameters()):
            raise ParameterError(f"{where}: the model has no weight to train (requires_grad)")
        for name in (*self.quantities, *(compute_metrics or {})):
            taken = {*HISTORY_FIELDS, *history_fields(config), *SCORES}
            check_kind("the name of a metric", name, str, where)
            if name in taken or not name:
                raise ParameterError(
                    f"{where}: a metric or quantity {name!r} is not allowed, since "
                    f"the trainer writes one; allowed: any name but {', '.join(sorted(taken))}"
                )
        pairs = [(name, mode) for name in compute_metrics or () for mode in ("max", "min")]
        if monitor is not None and monitor not in pairs:
            allowed = ", ".join(map(str, pairs)) or "a metric of compute_metrics with max or min"
            raise not_allowed("monitor", monitor, allowed, where)
        self._class_names = class_names(train_dataset)
        train_dataset = as_image_set(train_dataset, f"{where}: train_dataset")
        if eval_dataset is not None:
            eval_dataset = as_image_set(eval_dataset, f"{where}: eval_dataset")
        elif config.validation_size:
            train_dataset, eval_dataset = split_for(config, train_dataset, seed)
        self.config = config
        self.seed = seed
        self._group = distributed.current()
        self.device = devices.resolve(device)
        devices.check_precision(config.precision, self.device)
        devices.exact_float32(self.device)
        # What torch.compile gives has other names in its state, which fit no plain model.
        ready = model if isinstance(model, OptimizedModule) else None
        model = model if ready is None else ready._orig_mod
        memory_format = devices.memory_format(model, self.device, config.precision)
        self.model = model.to(self.device).to(memory_format=memory_format)
        self._parallel = self._group.wrap(self.model)
        plain = self._parallel if ready is None else ready
        self._compiled = devices.compiled(self._parallel) if compile else plain
        self.train_dataset = train_dataset.to(self.device)
        self.eval_dataset = None if eval_dataset is None else eval_dataset.to(self.device)
        if mean is None and std is None:
            mean, std = train_dataset.channel_statistics()
        statistics = checked_statistics(mean, std, train_dataset.images.shape[1], where)
        self.normalize = Normalize(*statistics, self.device, memory_format)
        self.augment = AUGMENTATIONS[config.augmentation]
        self.compute_metrics = dict(compute_metrics or {})
        self.best = BestEpoch(
            *(monitor or (config.monitor, "min" if config.monitor.endswith("loss") else "max")),
            config.patience,
            config.minimum_improvement,
            Path(weights_path) if weights_path is not None and self._group.first else None,
        )
        title = progress if isinstance(progress, str) else type(self.model).__name__
        bar = [ProgressBar(title)] if progress and self._group.first else []
        self.callbacks: list[Callback] = [self.best, *bar, *callbacks]
        #: Set by a callback to end the training after the current epoch.
        self.stop_reason: str | None = None
        self.optimizer = build_optimizer(self.model, config)
        steps = config.check_steps(len(train_dataset), where)
        self.scheduler = build_scheduler(self.optimizer, config, steps)
        self.checkpointer = checkpointer
        size = config.train_evaluation_size
        self._train_sample = self.train_dataset.evenly_spaced(size) if size else None
        series = [*history_fields(config), *self.quantities, *self.compute_metrics]
        self._progress = Progress(series, self.device, self.quantities)
        self._observed: dict[str, Tensor] = {}
        self._calls_back = False
        #: The current batch's images, by their place in the training split; under torchrun those of
        #: all processes.
        self._indices = torch.empty(0, dtype=torch.int64)
        self._order = seeds.generator(seed, "order")
        #: The state from which the current epoch's order was, or will be, drawn.
        self._order_state = self._order.get_state()
        self._augmentation = seeds.generator(seed, "augmentation")
        self._segments = origin.Segments(self.device, compile)

    def __setattr__(self, name: str, value: object) -> None:
        # What a callback sets to end the training, under a name of its own, would do nothing.
        is_known = name.startswith("_") or hasattr(self, name)
        if not is_known and self.__dict__.get("_calls_back"):
            raise AttributeError(
                f"{type(self).__name__} has no attribute {name!r} that a callback can set; "
                "stop_reason, a text, ends the training after the epoch"
            )
        super().__setattr__(name, value)

    def compute_loss(self, logits: Tensor, labels: Tensor, inputs: Tensor) -> Tensor:
        """The loss of one training batch, a scalar: mean cross-entropy, with smoothed labels where
        the configuration says so.

        Override it to train on something else.  `logits` are float32 of shape (batch, classes),
        `labels` int64 of shape (batch,), `inputs` the very images that the model saw.
        """
        smoothing = self.config.label_smoothing
        return nn.functional.cross_entropy(logits, labels, label_smoothing=smoothing)

    def observe(self, quantity: str, mean: Tensor) -> None:
        """Takes down the mean of one of `quantities` over the current batch, a scalar."""
        self._observed[quantity] = mean.detach()

    @property
    def history(self) -> Mapping[str, list[float | None]]:
        """The finished epochs so far, those restored from a checkpoint included."""
        return self._progress.history

    @property
    def segments(self) -> list[dict[str, Any]]:
        """The processes that trained so far, this one last, as a record's origin lists them."""
        return self._segments.until(self._progress)

    def train(self) -> TrainingResult:
        """Trains until all epochs are done, early stopping or divergence.

        Afterwards the model has the weights of the best epoch.  Raises `TrainingInterrupted` after
        Ctrl-C or SIGTERM, once the state is saved (where there is a checkpointer), and
        `CheckpointError` where a checkpoint is damaged, and `StorageError` where one cannot be
        written.  Raises `ParameterError`, before the first step, where the model gives no logits,
        or a label is no class of theirs.
        """
        devices.reset_peak_memory(self.device)
        progress = self._progress
        validation, size = self.eval_dataset, self.train_dataset.images.shape[1:]
        if validation is not None and validation.images.shape[1:] != size:
            self._logits(validation.images[:1])  # what is not taken is told before an epoch
        with seeds.global_stream(self.seed, "dropout"), interruption.deferred():
            self._restore()
            self._group.own_stream(self.seed, self.scheduler.last_epoch)
            progress.start_clock()
            self._notify("on_train_begin")
            while self.stop_reason is None and progress.epoch <= self.config.epochs:
                self._train_epoch()
                self._end_epoch()
            self._notify("on_train_end")
        stopped = self.stop_reason or "all epochs"
        return TrainingResult(progress.history, self.best.epoch, stopped, progress.elapsed())

    def evaluate(self, dataset: Data | None = None) -> dict[str, float]:
        """Scores the model: `loss`, `accuracy`, `errors`, `count`, `calibration_error`
        and the custom metrics.

        `loss` is the mean cross-entropy, `accuracy` a fraction, `calibration_error` that of
        `expected_calibration_error`.  `dataset` is the validation split unless another is given.
        """
        scored = self.eval_dataset
        if dataset is not None:
            scored = as_image_set(dataset, "evaluate: dataset").to(self.device)
        if scored is None:
            raise ParameterError("evaluate: there is no validation split; name a dataset")
        logits, labels = self._logits(scored.images), scored.labels
        if dataset is not None:
            self._check_labels(logits.shape[1], scored)
        return score(logits, labels, self.compute_metrics)

    def predict(self, images: Tensor | Data) -> Tensor:
        """Logits, float32 on the CPU, of shape (count, classes).

        `images` are uint8 of shape (count, channels, height, width), or a data set.
        """
        if not isinstance(images, Tensor):
            images = as_image_set(images, "predict: images").images
        check_images(images)
        return self._logits(images.to(self.device)).cpu()

    def save(self, folder: Path | str, classes: Sequence[str] = ()) -> Path:
        """Writes the network as it is now into a folder, for `load_network`; returns the file.

        That is `model.safetensors`: the weights and, in its metadata, the configuration, the
        normalisation, the shape of the images and the names of the classes: `classes`, or what the
        training data have as `classes`, or numbers.
        """
        check_kind("folder", folder, Path | str, "save")
        check_kind("classes", classes or (), list | tuple, "save")
        count = self._logits(self.train_dataset.images[:1]).shape[1]
        names = classes or self._class_names or tuple(map(str, range(count)))
        # What `load_network` would refuse, and what would leave an answer open.
        different = {name for name in names if isinstance(name, str) and name.isprintable()}
        if not len(names) == len(different) == count:
            allowed = f"{count} different texts, one for each logit"
            raise not_allowed("classes", names, allowed, "save")
        shape, normalize = self.train_dataset.images.shape[1:], self.normalize
        declared = declare(shape, names, normalize.mean, normalize.std)
        return Classifier(self.model, declared, self.config).export(Path(folder) / FILE)

    def _check_labels(self, classes: int, *parts: ImageSet | None) -> None:
        for part in filter(None, parts):
            low, high = int(part.labels.min()), int(part.labels.max())
            if low < 0 or high >= classes:
                raise ParameterError(
                    f"{type(self).__name__}: labels from {low} to {high} are not allowed; allowed: "
                    f"from 0 to {classes - 1}, the classes of the model's logits"
                )

    def _train_epoch(self) -> None:
        """Trains what is left of the current epoch."""
        progress = self._progress
        self.model.train()
        parameters = [weight for weight in self.model.parameters() if weight.requires_grad]
        tells_steps = any(type(c).on_step_end is not Callback.on_step_end for c in self.callbacks)
        for inputs, labels in self._training_batches(skip=progress.steps):
            # A short last batch would have kernels made for its own shape.
            full = len(inputs) == self.config.batch_size
            network = self._compiled if full else self._parallel
            logits = ask(network, inputs, self.config.precision)
            if (progress.epoch, progress.steps) == (1, 0):
                self._check_labels(logits.shape[1], self.train_dataset, self.eval_dataset)
                totals = logits.detach().sum(1)
                if bool((logits >= 0).all()) and totals.allclose(torch.ones_like(totals)):
                    raise ParameterError(
                        f"{type(self.model).__name__} gives probabilities, which the loss would "
                        "take for logits; allowed: logits, without a softmax at the end"
                    )
            loss = self.compute_loss(logits, labels, inputs)
            if not loss.requires_grad:
                raise ParameterError(
                    f"{type(self).__name__}: the loss depends on no weight of the model; allowed: "
                    "logits that its forward makes without no_grad() and detach()"
                )
            self.optimizer.zero_grad(set_to_none=True)
            self._group.weigh(loss).backward()
            gradients = [weight.grad for weight in parameters if weight.grad is not None]
            # Sums stay on the device: reading them at each step would make it wait for the host.
            norm = nn.utils.get_total_norm(gradients)
            progress.norm_sum += norm
            if self.config.max_gradient_norm is not None:
                nn.utils.clip_grads_with_norm_(parameters, self.config.max_gradient_norm, norm)
            progress.learning_rate = self.optimizer.param_groups[0]["lr"]
            self.optimizer.step()
            self.scheduler.step()
            means = [loss.detach(), *(self._observed[name] for name in self.quantities)]
            correct = (logits.argmax(1) == labels).sum()
            sums, correct = self._group.sums(means, correct)
            progress.loss_sum += sums[0]
            for name, total in zip(self.quantities, sums[1:], strict=True):
                progress.quantity_sums[name] += total
            progress.correct += correct
            progress.steps += 1
            if tells_steps:
                self._notify("on_step_end", self.scheduler.last_epoch, loss.detach())
                self.model.train()  # a callback may have evaluated it
            self._save_if_due()

    def _end_epoch(self) -> None:
        """Validates, enters the epoch into the history, and lets the callbacks have their say."""
        progress = self._progress
        metrics: dict[str, float | None] = {
            **progress.means(len(self.train_dataset)),
            **dict.fromkeys(("validation_loss", "validation_accuracy", *self.compute_metrics)),
        }
        try:
            if self.eval_dataset is not None:
                scores = self.evaluate()
                metrics["validation_loss"] = scores["loss"]
                metrics["validation_accuracy"] = scores["accuracy"]
                metrics.update({name: scores[name] for name in self.compute_metrics})
            if self._train_sample is not None:
                scores = self.evaluate(self._train_sample)
                metrics["train_evaluation_loss"] = scores["loss"]
                metrics["train_evaluation_accuracy"] = scores["accuracy"]
        except ParameterError as error:
            raise ParameterError(f"epoch {progress.epoch}: {error}") from error
        metrics["seconds"] = progress.lap()
        metrics["peak_memory_bytes"] = devices.peak_memory_bytes(self.device)
        metrics = self._group.agree(metrics)  # the same numbers lead to the same decisions
        epoch = progress.epoch
        progress.finish_epoch(metrics)
        self._order_state = self._order.get_state()
        if self._is_finite(metrics):
            self._notify("on_epoch_end", epoch, metrics)
        else:
            self.stop_reason = "diverged"
        self.stop_reason = self._group.agree(self.stop_reason)
        self._save_if_due()

    def _training_batches(self, skip: int) -> Iterator[tuple[Tensor, Tensor]]:
        """The batches of an epoch after the first `skip`, whose augmentation is drawn already."""
        order = torch.randperm(len(self.train_dataset), generator=self._order).to(self.device)
        for indices in order.split(self.config.batch_size)[skip:]:
            self._indices = indices
            batch = self.train_dataset.take(indices)
            images = batch.images
            if self.augment is not None:
                images = self.augment(images, self._augmentation)
            images, labels = self._group.part(images, batch.labels)
            yield self.normalize(images), labels

    def _save_if_due(self) -> None:
        signal_number = self._group.signal
        if (
            self.checkpointer is not None
            and self._group.first
            and (signal_number or self.checkpointer.is_due())
        ):
            self._progress.seconds = self._progress.elapsed()
            self.checkpointer.save(self._state())
        if signal_number is not None:
            raise interruption.TrainingInterrupted(
                signal_number, f"epoch {self._progress.epoch}, step {self._progress.steps}"
            )

    def _state(self) -> dict[str, Any]:
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict(),
            "progress": self._progress.state(),
            "segments": self.segments,
            "best": self.best.state_dict(),
            "stop_reason": self.stop_reason,
            # The order is drawn anew when the epoch is taken up again.
            "order": self._order_state,
            "augmentation": self._augmentation.get_state(),
            "torch": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state_all() if self.device.type == "cuda" else [],
        }

    def _restore(self) -> None:
        """Loads the saved state, where there is one."""
        if self.checkpointer is None or (state := self.checkpointer.load()) is None:
            return
        try:
            self._load_state(state)
        except Exception as error:  # what torch raises for a state of another form is of many kinds
            why = f"its state does not fit this run: {type(error).__name__}: {error}"
            raise self.checkpointer.refusal(why) from error

    def _load_state(self, state: Mapping[str, Any]) -> None:
        """Continues from what `_state` gave."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scheduler.load_state_dict(state["scheduler"])
        self._progress.restore(state["progress"], self.device)
        self._segments.restore(state["segments"], self._progress)
        self.best.load_state_dict(state["best"])
        self.stop_reason = state["stop_reason"]
        self._order.set_state(state["order"])
        self._order_state = state["order"]
        self._augmentation.set_state(state["augmentation"])
        torch.set_rng_state(state["torch"])
        if state["cuda"]:
            torch.cuda.set_rng_state_all(state["cuda"])

    @torch.no_grad()  # not inference mode: what a network keeps of a call could not be trained on
    def _logits(self, images: Tensor) -> Tensor:
        """The logits of uint8 images, float32 on the device."""
        self.model.eval()
        parts = map(self.normalize, images.split(EVALUATION_BATCH))
        return torch.cat([ask(self.model, part, self.config.precision) for part in parts])

    def _is_finite(self, metrics: Mapping[str, float | None]) -> bool:
        # The gradient norm overflows before the losses do, and such a step has spoilt the weights.
        # All of it is watched: the weights may be spoilt for some images and not for others.
        watched = (*(name for name in history_fields(self.config) if name.endswith("_loss")),
                   *self.quantities, "gradient_norm")  # fmt: skip
        values = (metrics[name] for name in watched)
        return all(value is None or math.isfinite(value) for value in values)

    def _notify(self, hook: str, *arguments: object) -> None:
        self._calls_back = True
        try:
            for callback in self.callbacks:
                getattr(callback, hook)(self, *arguments)
        finally:
            self._calls_back = False
