"""A small built-in data set: ten classes of patterns, the same bytes on every machine.

Each class is a smooth random pattern; an image is its class's pattern, shifted, in a random
contrast, under noise.  The shifts are what makes it hard for a linear model (for how hard, see
`tests/training/test_smoke_data.py`) and easy for convolutions.  Only integer arithmetic and
NumPy's frozen `RandomState` are used, so that no rounding and no version of NumPy changes a byte.
"""

from __future__ import annotations

import numpy as np

_PATTERN_SEED = 20161
# In pixels, each way.  Colour gives a linear model three times the evidence, hence more shift.
_SHIFT = {1: 7, 3: 14}


def smoke_images(
    channels: int, size: int, count: int, num_classes: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """`count` images, uint8 of shape (count, channels, size, size), and their int64 labels.

    The classes take turns, so every class has the same number of images within one.  The patterns
    depend on `channels` and `size` alone, the rest on `seed`: two seeds give a training and
    a test set of the same classes.
    """
    patterns = _patterns(channels, size, num_classes)
    random = np.random.RandomState(seed)
    labels = np.arange(count, dtype=np.int64) % num_classes
    shift = _SHIFT[channels]
    shifts = random.randint(-shift, shift + 1, size=(count, 2), dtype=np.int64)
    # Hundredths.
    contrast = random.randint(45, 101, size=count, dtype=np.int64)
    noise = random.randint(-30, 31, size=(count, channels, size, size), dtype=np.int64)
    images = np.empty((count, channels, size, size), dtype=np.int64)
    for index in range(count):
        images[index] = np.roll(patterns[labels[index]], shifts[index], axis=(1, 2))
    images = 128 + images * contrast[:, None, None, None] // 100 + noise
    return images.clip(0, 255).astype(np.uint8), labels


def _patterns(channels: int, size: int, num_classes: int) -> np.ndarray:
    """One smooth integer pattern per class, roughly from -64 to 64."""
    random = np.random.RandomState(_PATTERN_SEED + channels)
    raw = random.randint(-100, 101, size=(num_classes, channels, size, size), dtype=np.int64)
    for _ in range(2):  # a 3 x 3 box twice: smooth over some four pixels
        shifted = [
            np.roll(raw, (down, right), axis=(2, 3)) for down in (-1, 0, 1) for right in (-1, 0, 1)
        ]
        raw = np.sum(shifted, axis=0)
    peak: np.ndarray = np.abs(raw).max(axis=(1, 2, 3), keepdims=True)
    scaled: np.ndarray = raw * 64 // peak
    return scaled
