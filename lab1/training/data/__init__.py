"""Data sets as tensors, and their augmentation."""

from .images import split
from .loading import load, load_once

__all__ = ["load", "load_once", "split"]
