"""Data sets as tensors, and their augmentation."""

from .sets import load, load_once, split

__all__ = ["load", "load_once", "split"]
