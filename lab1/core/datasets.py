"""The data sets by name, and the digests they are known by (standard library only)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from . import own_images
from .dataset import Dataset, files_fingerprint


class _Datasets(dict[str, Dataset]):
    """Those declared here, which it lists, and a reader's own, which it finds by name alone."""

    def __missing__(self, name: str) -> Dataset:
        return own_images.known(name)


_MNIST_FILES = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}

# torchvision knows the originals by their MD5.
_CIFAR10_FILES = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
}

_CIFAR10 = Dataset(
    name="cifar10",
    title="CIFAR-10",
    image_shape=(3, 32, 32),
    num_classes=10,
    train_size=50_000,
    test_size=10_000,
    # Of the training pixels, channel by channel.
    mean=(0.4914, 0.4822, 0.4465),
    std=(0.2470, 0.2435, 0.2616),
    fingerprint=files_fingerprint(_CIFAR10_FILES),
    files=_CIFAR10_FILES,
    classes=(
        "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
    ),
)  # fmt: skip

DATASETS: Mapping[str, Dataset] = _Datasets(
    (dataset.name, dataset)
    for dataset in (
        Dataset(
            name="mnist",
            title="MNIST",
            image_shape=(1, 28, 28),
            num_classes=10,
            train_size=60_000,
            test_size=10_000,
            mean=(0.1307,),
            std=(0.3081,),
            fingerprint=files_fingerprint(_MNIST_FILES),
            files=_MNIST_FILES,
        ),
        _CIFAR10,
        dataclasses.replace(
            _CIFAR10,
            name="cifar10-jpeg",
            title="CIFAR-10 (JPEG copy)",
            fingerprint="f10d4c9e536a564f17fa5e8d68ba087d1235e60cd1f21700e11ff43f0647bbb0",
            files={},
        ),
        Dataset(
            name="smoke-grey",
            title="built-in grey patterns",
            image_shape=(1, 28, 28),
            num_classes=10,
            train_size=4_000,
            test_size=1_000,
            mean=(0.5,),
            std=(0.25,),
            fingerprint="fda735deaa70729053df8afeb67d91da85bca1ba7e5dd1bf588f7dec6dbc6232",
        ),
        Dataset(
            name="smoke-colour",
            title="built-in colour patterns",
            image_shape=(3, 32, 32),
            num_classes=10,
            train_size=4_000,
            test_size=1_000,
            mean=(0.5, 0.5, 0.5),
            std=(0.25, 0.25, 0.25),
            fingerprint="829bfb067b660915a09226fea735815a3cd67b7e2d019f9d5abcdeccd11b0b61",
        ),
    )
)
