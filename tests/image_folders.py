"""Folders of random pictures, as a reader may have."""

import numpy as np
from PIL import Image


def make_folder(folder, classes=("daisy", "rose"), train=6, test=3, shape=(20, 30, 3)):
    random = np.random.default_rng(0)
    for part, count in (("train", train), ("test", test)):
        for name in classes:
            (folder / part / name).mkdir(parents=True)
            for index in range(count):
                pixels = random.integers(0, 256, shape, dtype=np.uint8)
                Image.fromarray(pixels).save(folder / part / name / f"{index}.png")
    return folder
