"""The trainer takes data as torch has them: the same images, labels, split and training."""

import numpy as np
import pytest
import torch
from PIL import Image
from repeats import repeating
from torch.utils.data import (
    DataLoader,
    IterableDataset,
    Subset,
    TensorDataset,
    WeightedRandomSampler,
)
from torchvision.transforms.functional import to_tensor

from lab1.core.training_config import TrainingConfig
from lab1.errors import ParameterError
from lab1.training import data
from lab1.training.trainer import StreamlinedTrainer


class Pairs(torch.utils.data.Dataset):
    """A data set of given examples, with names of classes as torchvision's have them."""

    classes = ("ant", "bee", "cow")

    def __init__(self, pairs):
        self.pairs = pairs

    def __len__(self):
        return len(self.pairs)

    def __getitem__(self, index):
        return self.pairs[index]


def pictures(images):
    return [Image.fromarray(np.asarray(image[0])) for image in images]


FORMS = {
    "a TensorDataset": lambda x, y: TensorDataset(x, y),
    "grey tensors without channels": lambda x, y: TensorDataset(x[:, 0], y.int()),
    "floats k / 255": lambda x, y: TensorDataset(x / 255, y),
    "pictures": lambda x, y: Pairs(list(zip(pictures(x), y.tolist(), strict=True))),
    "ToTensor": lambda x, y: Pairs(
        [(to_tensor(p), int(k)) for p, k in zip(pictures(x), y, strict=True)]
    ),
    "a loader": lambda x, y: DataLoader(TensorDataset(x, y), batch_size=7, shuffle=True),
    "a subset": lambda x, y: Subset(TensorDataset(x, y), range(len(y))),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_every_form_gives_the_same_bytes_and_labels(toy, form):
    expected = toy(20)
    converted = data.as_image_set(form(expected.images, expected.labels))
    assert torch.equal(converted.images, expected.images)
    assert torch.equal(converted.labels, expected.labels)


def test_a_picture_in_colour_has_its_channels_first():
    pixels = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    converted = data.as_image_set([(Image.fromarray(pixels), np.int32(4))])
    assert converted.images.tolist() == [pixels.transpose(2, 0, 1).tolist()]
    assert converted.labels.tolist() == [4]
    assert data.as_image_set(converted) is converted


class Random(Pairs):
    def __getitem__(self, index):
        image, label = self.pairs[index]
        return torch.rand(image.shape).round(), label


class Stream(IterableDataset):
    def __iter__(self):
        yield torch.zeros(1, 2, 2), 0


IMAGE = torch.arange(4).view(1, 2, 2).to(torch.uint8)
REFUSED = {
    "Stream is not allowed; allowed: an ImageSet, a map-style": Stream(),
    "Stream is not allowed": DataLoader(Stream()),
    "NoneType is not allowed": None,
    "is empty; it needs an image": Pairs([]),
    r"len\(\) of it: TypeError: object of type 'NoneType'": Pairs(None),
    "a DataLoader with a sampler": DataLoader(
        Pairs([(IMAGE, 0)]), sampler=WeightedRandomSampler([1.0], 1)
    ),
    "sampler or collate_fn of its own": DataLoader(Pairs([(IMAGE, 0)]), collate_fn=list),
    "example 0: it is of dict; allowed: a pair": Pairs([{"image": IMAGE, "label": 0}]),
    "example 0: its label is 1.0; allowed: a whole number": Pairs([(IMAGE, torch.tensor(1.0))]),
    "its label is True": Pairs([(IMAGE, True)]),
    r"example 1: its shape is \(1, 2, 1\); allowed: \(1, 2, 2\)": Pairs(
        [(IMAGE, 0), (IMAGE[:, :, :1], 0)]
    ),
    "a picture of mode RGBA; allowed: L, RGB": Pairs([(Image.new("RGBA", (2, 2)), 0)]),
    "its image is of ndarray; allowed: a tensor": Pairs([(IMAGE.numpy(), 0)]),
    "its image is of torch.int64 and shape": Pairs([(IMAGE.long(), 0)]),
    r"values are from -1 to 2; .* from 0 to 1\. The trainer normalises": Pairs([(IMAGE - 1.0, 0)]),
    "values are from nan to nan": Pairs([(IMAGE * torch.nan, 0)]),
    "values are not k / 255": Pairs([(IMAGE / 256, 0)]),
    "example 0: KeyError: 0": Subset(Pairs({}), [0]),
    "example 0: it is another image when it is read again": Random([(torch.zeros(1, 9, 9), 0)]),
}


@pytest.mark.parametrize(("message", "dataset"), REFUSED.items(), ids=range(len(REFUSED)))
def test_what_cannot_be_converted_is_refused_by_name(message, dataset):
    with pytest.raises(ParameterError, match=f"^train_dataset.*({message})"):
        data.as_image_set(dataset, "train_dataset")


def test_a_training_is_the_same_and_the_validation_set_is_split_off(toy, small_mlp):
    images = toy(90, seed=1)
    config = TrainingConfig(epochs=2, batch_size=16, validation_size=30, train_size=50)
    train, validation = data.split(images, 30, 4, train_size=50)
    tensors = TensorDataset(images.images, images.labels)
    trainers = [
        StreamlinedTrainer(small_mlp(), config, *given, seed=4, device="cpu")
        for given in [(train, validation), (images,), (tensors,)]
    ]
    histories = [repeating(trainer.train().history) for trainer in trainers]
    assert histories[0] == histories[1] == histories[2]
    assert trainers[2].evaluate(tensors) == trainers[0].evaluate(images)
    assert trainers[2].predict(tensors).equal(trainers[0].predict(images.images))
