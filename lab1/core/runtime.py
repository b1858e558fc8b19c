"""Options of a run that do not change its result."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import ParameterError

#: What can train a list of runs: this process, or a Ray cluster.
ENGINES = ("local", "ray")


@dataclass(frozen=True)
class RuntimeOptions:
    """The place of a run and its reports.  Nothing here changes its result or its key.

    `device` is `auto` (CUDA, else MPS, else CPU), `cpu`, `cuda`, `cuda:N` or `mps`.
    `data_dir` is the data root (default: `LAB1_DATA`, else `data/`).  `progress` shows
    bars on standard error.  `threads` is how many a training on the CPU uses: by default one for
    a multilayer perceptron, whose products are too small to share, and torch's choice for others.
    `save_weights` keeps the best weights beside the record in `runs/`.
    `compile` lets `torch.compile` make kernels for the model: a convolutional net of the report
    then trains up to a quarter faster on a CPU, after half a minute to two of compiling.  Sums come
    in another order, so the record says so, and runs with and without it are no pairs.
    `checkpoint_seconds` is the time between two checkpoints, and so the most work that a killed
    run loses.  `report_to` is `"wandb"` to send each run to Weights & Biases as well, to
    `wandb_project` or to the project of its kind of network.
    `workers` is how many runs are trained at a time, each in a process and with one thread unless
    `threads` says otherwise, or `auto`: on a CPU as many as there are cores and memory for.
    `engine` is `local` (this machine) or `ray` (a Ray cluster, whose head node answers at
    `ray_address`, HOST:PORT or `auto`).
    """

    device: str = "auto"
    data_dir: str | None = None
    progress: bool = True
    threads: int | None = None
    save_weights: bool = True
    compile: bool = False
    checkpoint_seconds: float = 60.0
    report_to: str | None = None
    wandb_project: str | None = None
    workers: int | str = 1
    engine: str = "local"
    ray_address: str | None = None

    def __post_init__(self) -> None:
        if self.report_to not in (None, "wandb"):
            raise ParameterError(
                f"RuntimeOptions: report_to = {self.report_to!r} is not allowed; "
                "allowed: none, or 'wandb'"
            )
        if self.wandb_project is not None and self.report_to is None:
            raise ParameterError(
                f"wandb_project = {self.wandb_project!r} is not allowed without report_to = 'wandb'"
            )
        if self.workers != "auto" and (not isinstance(self.workers, int) or self.workers < 1):
            raise ParameterError(
                f"workers = {self.workers!r} is not allowed; allowed: auto, or 1 and more"
            )
        if self.engine == "ray" and self.workers not in (1, "auto"):
            raise ParameterError(
                f"workers = {self.workers!r} is not allowed with engine = 'ray', whose cluster "
                "decides that; allowed: auto"
            )
        if self.engine not in ENGINES:
            raise ParameterError(
                f"engine = {self.engine!r} is not allowed; allowed: {', '.join(ENGINES)}"
            )
        if self.ray_address is not None and self.engine != "ray":
            raise ParameterError(
                f"address = {self.ray_address!r} is not allowed with engine = {self.engine!r}; "
                "allowed: with engine = 'ray'"
            )
