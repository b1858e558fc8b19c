import pytest
import torch
from declared_fields import PARAMETERS
from torchvision.transforms import functional as tv_functional

from lab1.training.data.augmentation import (
    AUGMENTATIONS,
    Normalize,
    random_crop,
    random_flip,
    random_rotation_affine,
    random_shift,
)

SHAPE = (64, 3, 7, 5)  # higher than wide, so that rows taken for columns show


@pytest.fixture
def images():
    generator = torch.Generator().manual_seed(0)
    return torch.randint(1, 256, SHAPE, generator=generator).to(torch.uint8)


def generator(seed=1):
    return torch.Generator().manual_seed(seed)


def windows(image, padding):
    """Every crop of one image, by its offset, taken slowly."""
    channels, height, width = image.shape
    padded = torch.zeros(channels, height + 2 * padding, width + 2 * padding, dtype=torch.uint8)
    padded[:, padding : padding + height, padding : padding + width] = image
    return {
        (row, column): padded[:, row : row + height, column : column + width]
        for row in range(2 * padding + 1)
        for column in range(2 * padding + 1)
    }


def test_a_shift_moves_by_up_to_two_pixels_in_each_direction(images):
    """Pixel by pixel, the slow way; every move of the 25 is drawn, those to the edges too."""
    count, channels, height, width = SHAPE
    drawn = torch.randint(5, (2, count), generator=generator()) - 2
    expected = torch.zeros_like(images)
    for index, (down, right) in enumerate(drawn.T.tolist()):
        for row in range(height):
            for column in range(width):
                if 0 <= row + down < height and 0 <= column + right < width:
                    expected[index, :, row, column] = images[index, :, row + down, column + right]
    assert torch.equal(random_shift(images, generator()), expected)
    assert set(drawn.flatten().tolist()) == {-2, -1, 0, 1, 2}
    assert channels == 3


def test_crops_follow_the_generator(images):
    offsets = torch.randint(9, (2, len(images)), generator=generator())
    for image, crop, row, column in zip(
        images, random_crop(images, generator()), *offsets.tolist(), strict=True
    ):
        assert torch.equal(crop, windows(image, 4)[row, column])


def test_a_flip_mirrors_left_to_right_or_not_at_all(images):
    flipped = random_flip(images, generator())
    mirrored = 0
    for before, after in zip(images, flipped, strict=True):
        as_it_was = torch.equal(after, before)
        reversed_rows = torch.stack([before[:, :, column] for column in (4, 3, 2, 1, 0)], 2)
        assert as_it_was or torch.equal(after, reversed_rows)
        mirrored += not as_it_was
    assert 16 < mirrored < 48  # half of 64, four standard deviations each way


def test_crop_flip_does_both(images):
    both = AUGMENTATIONS["crop-flip"](images, generator())
    drawn = generator()
    assert torch.equal(both, random_flip(random_crop(images, drawn), drawn))
    assert not torch.equal(both, random_crop(images, generator()))


@pytest.mark.parametrize("name", [name for name, function in AUGMENTATIONS.items() if function])
def test_augmentation_draws_from_its_generator_alone(images, name):
    before, copy = torch.get_rng_state(), images.clone()
    first = AUGMENTATIONS[name](images, generator(1))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(images, copy)
    assert first.dtype == torch.uint8
    assert first.shape == images.shape
    torch.rand(5)
    assert torch.equal(AUGMENTATIONS[name](images, generator(1)), first)
    assert not torch.equal(AUGMENTATIONS[name](images, generator(2)), first)
    moved = generator(1)
    AUGMENTATIONS[name](images, moved)
    assert not torch.equal(AUGMENTATIONS[name](images, moved), first)


@pytest.mark.parametrize(
    ("limits", "angle", "shear", "zoom"),
    [
        ({"shear": 0.0, "scale": (1.0, 1.0)}, "drawn", 0, 1),
        ({"degrees": 0.0, "scale": (1.0, 1.0)}, 0, "drawn", 1),
        ({"degrees": 0.0, "shear": 0.0}, 0, 0, "drawn"),
    ],
)
def test_rotation_shear_and_scale_are_torchvisions(limits, angle, shear, zoom):
    """Each alone, image by image, from the same draws; but for ties of the nearest pixel."""
    images = torch.randint(1, 256, (32, 3, 31, 32), generator=generator()).to(torch.uint8)
    moved = random_rotation_affine(images, generator(7), **limits)
    drawn = torch.rand(3, 32, generator=generator(7)).tolist()
    differing = []
    for index, image in enumerate(images):
        degrees = (2 * drawn[0][index] - 1) * 10 if angle else 0.0
        slant = (2 * drawn[1][index] - 1) * 10 if shear else 0.0
        factor = 0.8 + 0.4 * drawn[2][index] if zoom == "drawn" else 1.0
        rotated = tv_functional.rotate(image, degrees)
        expected = tv_functional.affine(rotated, 0.0, [0, 0], factor, [slant, 0.0])
        differing.append(float((moved[index] != expected).any(0).float().mean()))
    assert max(differing) < 0.02
    assert float((moved != images).float().mean()) > 0.2


def test_the_rotation_comes_before_the_affine_map():
    """The composed map equals one after the other, up to the double rounding of the latter."""
    # Smooth, so that a neighbouring pixel has nearly the same value and a wrong order has not.
    ramp = torch.arange(64.0)
    image = (128 + 100 * torch.sin(ramp[:, None] / 9) * torch.cos(ramp[None, :] / 7)).byte()
    images = image.expand(16, 1, 64, 64).contiguous()
    limits = {"degrees": 40.0, "shear": 40.0}
    moved = random_rotation_affine(images, generator(3), **limits)[:, :, 16:48, 16:48]
    drawn = torch.rand(3, 16, generator=generator(3)).tolist()
    for index in range(16):
        degrees, slant = (2 * drawn[0][index] - 1) * 40, (2 * drawn[1][index] - 1) * 40
        rotated = tv_functional.rotate(images[index], degrees)
        factor = 0.8 + 0.4 * drawn[2][index]
        expected = tv_functional.affine(rotated, 0.0, [0, 0], factor, [slant, 0.0])
        difference = moved[index].float() - expected[:, 16:48, 16:48].float()
        assert float(difference.abs().mean()) < 8, index


def test_every_augmentation_that_can_be_named_exists():
    assert set(AUGMENTATIONS) == set(PARAMETERS["augmentation"].choices)
    assert AUGMENTATIONS["none"] is None


def test_normalize_is_the_formula(images):
    mean, std = (0.1, 0.4, 0.7), (0.2, 0.3, 0.5)
    inputs = Normalize(mean, std, torch.device("cpu"))(images)
    assert inputs.dtype == torch.float32
    assert inputs.shape == images.shape
    for channel in range(3):
        expected = (images[:, channel].double() / 255 - mean[channel]) / std[channel]
        torch.testing.assert_close(inputs[:, channel].double(), expected, rtol=1e-5, atol=1e-6)
