"""Kept for one release: what was here is in `lab1.core`, and the public names are in `lab1`."""

from .core.keys import hash_key
from .core.runtime import RuntimeOptions
from .core.spec import ModelSpec, RunSpec, TrainingConfig

__all__ = ["ModelSpec", "RunSpec", "RuntimeOptions", "TrainingConfig", "hash_key"]
