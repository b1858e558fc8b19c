"""Data sets as tensors, and their augmentation."""

from .from_torch import as_image_set
from .images import split, split_for
from .loading import load, load_once

__all__ = ["as_image_set", "load", "load_once", "split", "split_for"]
