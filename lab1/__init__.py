"""A laboratory on deep residual learning that publishes itself.

The package has two halves that meet only in a run record: `lab1.training` trains (torch,
torchvision), and `lab1.reporting` turns records into tables and charts (pandas, Altair).  Importing
`lab1` imports neither; the names below are imported when they are first used.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

#: The public names, and the module that each is in.
_PUBLIC = {
    "TrainingConfig": "core.spec",
    "StreamlinedTrainer": "training.trainer",
    "DistillationTrainer": "training.distillation",
    "MLP": "training.models.mlp",
    "ResidualMLP": "training.models.mlp",
    "SimpleCNN": "training.models.cnn",
    "ResidualCNN": "training.models.cnn",
    "PlainCNN": "training.models.cnn",
    "PlainNet": "training.models.cnn",
    "ResNet": "training.models.cnn",
    "Callback": "training.callbacks",
    "ImageSet": "training.data.images",
    "load_network": "training.classifier",
    "load_run": "training.trained_run",
    "open_chapter": "chapter",
    "plot": "reporting.curves",
}

__all__ = ["__version__", *_PUBLIC]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_PUBLIC[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC})
