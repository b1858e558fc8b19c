"""Several processes for one run, started by torchrun: each takes its part of every batch.

The gradients are averaged by torch's `DistributedDataParallel`, which overlaps the exchange with
the backward pass; Accelerate would wrap the same class and bring batches and devices of its own.
All processes draw the same order and the same augmentation, so a model without dropout and batch
normalisation ends where one process with the same batches ends, but for rounding.

Dropout draws from a stream of its own in each process.  Batch normalisation uses the statistics of
the process's part of the batch, and its running statistics are those of the first process; with
either, results differ from those of a single process.  A record says how many `processes` there
were in its origin.
"""

import atexit
import os
from collections.abc import Sequence
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from . import interruption, seeds

T = TypeVar("T")


class Group:
    """The processes that train one run together, or, as a group of one, a process by itself.

    All of them must call its methods in the same order.  Only the `first` writes.  For a group of
    one, models, batches, losses and random streams stay as they are.
    """

    def __init__(self, rank: int = 0, size: int = 1) -> None:
        self.rank = rank
        self.size = size
        self.first = rank == 0
        self._signal: int | None = None
        self._count = self._total = 0

    @property
    def signal(self) -> int | None:
        """The number of a signal that came to any of the processes, known to all since a step."""
        return interruption.pending() if self.size == 1 else self._signal

    def wrap(self, model: nn.Module) -> nn.Module:
        """The model whose backward pass averages the gradients over the processes."""
        if self.size == 1 or not any(weight.requires_grad for weight in model.parameters()):
            return model
        return nn.parallel.DistributedDataParallel(model)

    def part(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """This process's part of a batch; where there are too few images, one that counts nothing.

        An empty part would have no loss, and its process must take part in the exchange.
        """
        begin, end = (len(labels) * rank // self.size for rank in (self.rank, self.rank + 1))
        self._count, self._total = end - begin, len(labels)
        end = max(end, begin + 1)
        return images[begin:end], labels[begin:end]

    def weigh(self, loss: Tensor) -> Tensor:
        """A mean over the part, scaled so that the average over processes is that of the batch.

        The parts are of different sizes where the batch cannot be divided evenly.
        """
        return loss if self.size == 1 else loss * (self._count * self.size / self._total)

    def sums(self, means: Sequence[Tensor], correct: Tensor) -> tuple[list[Tensor], Tensor]:
        """Over the whole batch: the sum of what has these means over this process's part of it,
        each a float32 scalar, and the number of correct answers."""
        if self.size == 1:
            return [mean * self._count for mean in means], correct
        counted = 1 if self._count else 0
        number = correct.new_tensor(interruption.pending() or 0, dtype=torch.float64)
        of_part = [mean.double() * self._count for mean in means]
        sums = torch.stack([*of_part, correct.double() * counted, number])
        parts = [torch.empty_like(sums) for _ in range(self.size)]
        dist.all_gather(parts, sums)
        gathered = torch.stack(parts)
        # All stop after the same step; else some would wait for the others' gradients forever.
        self._signal = int(gathered[:, -1].max()) or None
        *totals, all_correct, _ = gathered.sum(0)
        return [total.float() for total in totals], all_correct.to(correct.dtype)

    def agree(self, value: T) -> T:
        """What the first process has."""
        if self.size == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, src=0)
        return box[0]

    def own_stream(self, seed: int, steps: int) -> None:
        """Torch's global generators draw something else in each process, from here on."""
        if not self.first:
            torch.manual_seed(seeds.derive(seed, "dropout") + self.rank + self.size * steps)


def current() -> Group:
    """The group that torchrun started this process in, or a process by itself."""
    if not dist.is_available():
        return Group()
    if not dist.is_initialized():
        if not dist.is_torchelastic_launched():
            return Group()
        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")
        atexit.register(_leave)
    return Group(dist.get_rank(), dist.get_world_size())


def _leave() -> None:
    if dist.is_initialized():
        dist.destroy_process_group()
