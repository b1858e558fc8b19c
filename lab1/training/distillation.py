"""Knowledge distillation: a student also learns from its teacher's answers (Hinton et al. 2015)."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..core.fields import declarations, hash_key
from ..core.record import DISTILLATION_FIELDS
from ..core.spec import RECIPE, RunSpec
from ..core.training_config import DistillationConfig, TrainingConfig
from ..errors import CheckpointError, ParameterError, StorageError, check_kind
from . import device as devices
from . import seeds
from .checkpoint import Checkpointer
from .data.from_torch import Data, as_image_set
from .evaluation import ask
from .trainer import EVALUATION_BATCH, StreamlinedTrainer


def distillation_loss(
    student_logits: Tensor,
    teacher_logits: Tensor,
    labels: Tensor,
    temperature: float,
    alpha: float,
    label_smoothing: float = 0.0,
) -> tuple[Tensor, Tensor, Tensor]:
    """The loss of a batch and its two parts: (combined, hard, soft), each a scalar.

    `hard` is the mean cross-entropy with `labels` (int64, of shape (batch,)), which
    `label_smoothing` spreads over the classes.  `soft` is the mean Kullback-Leibler divergence, in
    nats, from the teacher's to the student's probabilities, both at `temperature`, times its
    square: the gradient shrinks with that square, and so stays as large as that of the hard loss
    (Hinton et al. 2015, section 2).  `combined` is (1 - `alpha`) hard + `alpha` soft; at `alpha` 0
    it is `hard` itself.  Both logits are float32 of shape (batch, classes).  Raises
    `ParameterError` where their shapes differ.
    """
    if teacher_logits.shape != student_logits.shape:
        raise ParameterError(
            f"DistillationTrainer: a teacher of {teacher_logits.shape[-1]} classes is not allowed "
            f"for a student of {student_logits.shape[-1]}; allowed: as many classes"
        )
    hard = nn.functional.cross_entropy(student_logits, labels, label_smoothing=label_smoothing)
    soft = temperature**2 * nn.functional.kl_div(
        (student_logits / temperature).log_softmax(1),
        (teacher_logits / temperature).log_softmax(1),
        reduction="batchmean",
        log_target=True,
    )
    combined = hard if alpha == 0 else (1 - alpha) * hard + alpha * soft
    return combined, hard, soft


def permute_wrong_classes(logits: Tensor, labels: Tensor, ranks: Tensor) -> Tensor:
    """The logits with those of the classes other than the label in another order, row by row.

    `logits` are of shape (batch, classes), `labels` int64 of shape (batch,), and `ranks` of
    shape (batch, classes - 1): by whose order a row is permuted.  Whatever the temperature, the
    probabilities change places as the logits do.
    """
    places = torch.arange(ranks.shape[1], device=logits.device)
    wrong = places + (places >= labels[:, None])  # all classes but the label, in their order
    shuffled = wrong.gather(1, ranks.argsort(1))
    return logits.scatter(1, wrong, logits.gather(1, shuffled))


class DistillationTrainer(StreamlinedTrainer):
    """Trains a student on the labels and on the answers of a trained `teacher`.

    `temperature` and `alpha` are those of `distillation_loss`, whose three values are the series
    `train_loss`, `hard_loss` and `soft_loss` of the history.  The teacher stays as it is, in
    evaluation mode; it sees the very images that the student sees, augmented alike, in the same
    precision, and draws no random numbers.  `outputs` remembers what it said; one without a folder
    is made where none is given.  `wrong_classes` is that of `DistillationConfig`.  Everything else
    is `StreamlinedTrainer`'s, and with `alpha` 0 the training is bit by bit the same.  Raises
    `ParameterError` for a teacher that is the student, and for a `temperature` or `alpha` out of
    range; `train` does, before the first step, for a teacher of another number of classes.
    """

    quantities = DISTILLATION_FIELDS

    def __init__(
        self,
        model: nn.Module,
        config: TrainingConfig,
        train_dataset: Data,
        eval_dataset: Data | None = None,
        *,
        teacher: nn.Module,
        temperature: float,
        alpha: float,
        wrong_classes: str = "kept",
        outputs: TeacherOutputs | None = None,
        **keywords: Any,
    ) -> None:
        where, declared = type(self).__name__, declarations(DistillationConfig)
        check_kind("teacher", teacher, nn.Module, where)
        if teacher is model:
            raise ParameterError(f"{where}: the teacher is the student; allowed: another network")
        super().__init__(model, config, train_dataset, eval_dataset, **keywords)
        self._teacher_format = devices.memory_format(teacher, self.device, config.precision)
        teacher = teacher.to(self.device).to(memory_format=self._teacher_format)
        self.teacher = teacher.requires_grad_(False).eval()
        self.temperature = declared["temperature"].check(temperature, where)
        self.alpha = declared["alpha"].check(alpha, where)
        self.outputs = outputs or TeacherOutputs()
        permuted = declared["wrong_classes"].check(wrong_classes, where) == "permuted"
        self._permutation = seeds.generator(self.seed, "permutation") if permuted else None

    def compute_loss(self, logits: Tensor, labels: Tensor, inputs: Tensor) -> Tensor:
        """The combined loss of one batch, a scalar; see `distillation_loss`."""
        taught = self._teacher_logits(inputs)
        if self._permutation is not None:
            shape = (len(self._indices), taught.shape[1] - 1)
            ranks = torch.rand(shape, generator=self._permutation).to(self.device)
            # All processes draw for the whole batch, and each takes its part.
            ranks, _ = self._group.part(ranks, self._indices)
            taught = permute_wrong_classes(taught, labels, ranks)
        combined, hard, soft = distillation_loss(
            logits, taught, labels, self.temperature, self.alpha, self.config.label_smoothing
        )
        self.observe("hard_loss", hard)
        self.observe("soft_loss", soft)
        return combined

    def agreement(self, dataset: Data) -> float:
        """The share of images to which student and teacher give the same answer."""
        images = as_image_set(dataset, "agreement: dataset").to(self.device).images
        same = self._logits(images).argmax(1) == self._evaluate_teacher(images).argmax(1)
        return float(same.double().mean())

    def _state(self) -> dict[str, Any]:
        permutation = self._permutation and {"permutation": self._permutation.get_state()}
        return super()._state() | (permutation or {})

    def _load_state(self, state: Mapping[str, Any]) -> None:
        super()._load_state(state)
        if self._permutation is not None:
            self._permutation.set_state(state["permutation"])

    def _teacher_logits(self, inputs: Tensor) -> Tensor:
        """The teacher's logits of the current batch, float32 of shape (batch, classes)."""
        if self._group.size > 1:  # each process sees its part of a batch
            return self._forward_teacher(inputs)
        images, of_batch = self.train_dataset.images, self.outputs.of_batch
        count = len(images)
        if self.augment is None:
            compute = partial(self._evaluate_teacher, images)
            return of_batch("images", slice(0, count), count, compute)[self._indices]
        begin = self._progress.steps * self.config.batch_size
        rows, name = slice(begin, begin + len(inputs)), f"epoch-{self._progress.epoch:04}"
        return of_batch(name, rows, count, partial(self._forward_teacher, inputs))

    def _evaluate_teacher(self, images: Tensor) -> Tensor:
        """The teacher's logits of uint8 images that are not augmented."""
        parts = images.split(EVALUATION_BATCH)
        return torch.cat([self._forward_teacher(self.normalize(part)) for part in parts])

    # Not in inference mode, whose tensors the backward pass of the student could not use.
    @torch.no_grad()
    def _forward_teacher(self, inputs: Tensor) -> Tensor:
        # In its own memory format: the bits of what it says must not depend on the student's.
        laid = torch.empty_like(inputs, memory_format=self._teacher_format)
        inputs = inputs if laid.stride() == inputs.stride() else laid.copy_(inputs)
        return ask(self.teacher, inputs, self.config.precision)


#: The fields of `TrainingConfig` that decide the views or the arithmetic.
_DECIDING = (
    "validation_size", "train_size", "omitted_class", "batch_size", "augmentation", "precision",
)  # fmt: skip


class TeacherOutputs:
    """The logits of one teacher on the training images of one run, float32, on `device`.

    With a `folder` they are also kept there: in `images.pt` where there is no augmentation,
    else in `epoch-0001.pt` and so on, with a row for each image in the order of the split or of
    the epoch's batches.  `key` stands for all that decides them (`outputs_key`).  A file appears
    whole or not at all; one that is damaged or does not fit is made anew.
    """

    def __init__(
        self, folder: Path | None = None, key: str = "", device: torch.device | str = "cpu"
    ) -> None:
        self._folder = folder
        self._key = key
        self._device = device
        #: Which views are asked about; their logits, if all are known; else parts, by first row.
        self._name = ""
        self._whole: Tensor | None = None
        self._parts: dict[int, Tensor] = {}

    def of_batch(self, name: str, rows: slice, count: int, compute: Callable[[], Tensor]) -> Tensor:
        """The logits of `rows` of the `count` views that are called `name`, as their file is.

        They are kept once all of them were computed in one sitting.
        """
        if name != self._name:
            self._name, self._whole, self._parts = name, self._load(name, count), {}
        if self._whole is not None:
            return self._whole[rows]
        logits = self._parts[rows.start] = compute()
        if sum(map(len, self._parts.values())) == count:
            self._whole = torch.cat([self._parts[start] for start in sorted(self._parts)])
            self._save(name, self._whole)
        return logits

    def _load(self, name: str, count: int) -> Tensor | None:
        if self._folder is None:
            return None
        file = Checkpointer(self._folder / f"{name}.pt", self._key)
        try:
            state = file.load()
            if state is None:
                return None
            logits = state.get("logits")
            if not (
                isinstance(logits, Tensor)
                and logits.dtype == torch.float32
                and logits.ndim == 2
                and len(logits) == count
                and bool(logits.isfinite().all())
            ):
                raise file.refusal("these are not the answers to the images of this run")
        except CheckpointError as error:
            print(f"note: asking the teacher again: {error}", file=sys.stderr)
            return None
        return logits.to(self._device)

    def _save(self, name: str, logits: Tensor) -> None:
        if self._folder is not None:
            with suppress(StorageError):  # the training can do without
                Checkpointer(self._folder / f"{name}.pt", self._key).save({"logits": logits.cpu()})


def outputs_key(spec: RunSpec, teacher_sha256: str, fingerprint: str, device: torch.device) -> str:
    """Sixteen hexadecimal digits for all that decides what the teacher says to a student's views.

    Threads and processor are among them, since they decide in which order sums are taken.  So are
    the recipes of all families, one of which is raised when a change alters the views.
    """
    return hash_key(
        {
            "teacher": teacher_sha256,
            "data": fingerprint,
            "seed": spec.seed,
            "training": {name: getattr(spec.training, name) for name in _DECIDING},
            "recipes": dict(RECIPE),
            "device": devices.describe(device),
            "torch": torch.__version__,
        }
    )
