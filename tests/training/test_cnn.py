"""The convolutional families: shapes, sizes, what sets the twins apart, and what is refused."""

from itertools import product

import pytest
import torch
from repeats import inputs, made
from torch import nn

from lab1.core.datasets import DATASETS
from lab1.core.spec import ModelSpec
from lab1.errors import ParameterError
from lab1.training.models import build, count_parameters
from lab1.training.models.cnn import PlainNet, ResidualCNN, ResNet, SimpleCNN, padded_block

SMALL = {
    "SimpleCNN": lambda **keywords: SimpleCNN(4, 2, **keywords),
    "ResidualCNN": lambda **keywords: ResidualCNN(4, 2, **keywords),
    "PlainNet": lambda **keywords: PlainNet(8, **keywords),
    "ResNet": lambda **keywords: ResNet(8, **keywords),
}
HE = [PlainNet, ResNet]
every_family = pytest.mark.parametrize("family", SMALL)


# Shapes and sizes


@every_family
def test_images_become_logits(family):
    logits = made(SMALL[family], num_classes=7, in_channels=1)(inputs(5, 1, 28, 28))
    assert logits.shape == (5, 7)
    assert logits.dtype == torch.float32


@pytest.mark.parametrize(
    ("kind", "arguments", "blocks", "count"),
    [
        # The twins' are equal, since the shortcut of option A has no parameters.
        *product(HE, [(20,)], [None], [269_722]),
        *product(HE, [(56,)], [None], [853_018]),
        *product(HE, [(110,)], [None], [1_727_962]),
        (SimpleCNN, (16, 2), None, 5_466),
        (SimpleCNN, (16, 3), None, 24_346),
        (SimpleCNN, (16, 4), None, 98_970),
        (ResidualCNN, (16, 2), None, 29_338),
        (ResidualCNN, (16, 3), None, 124_506),
        (ResidualCNN, (16, 4), None, 503_258),
        (ResidualCNN, (16, 4), (3, 3, 3, 1), 503_258),
        (ResidualCNN, (16, 4), (1, 1, 1, 1), 308_826),
        (ResidualCNN, (16, 4), [2, 2, 2, 2], 701_466),
    ],
)
def test_a_network_has_its_known_size(kind, arguments, blocks, count):
    further = {} if blocks is None else {"blocks_per_stage": blocks}
    assert count_parameters(made(kind, *arguments, **further)) == count


# What sets the twins apart


@pytest.mark.parametrize("training", [True, False])
def test_the_shortcut_is_all_that_tells_he_s_twins_apart(training):
    dataset = DATASETS["smoke-colour"]
    plain, residual = (
        build(ModelSpec(family, 14), dataset, 3).train(training)
        for family in ("PlainNet", "ResNet")
    )
    for name, weight in plain.named_parameters():  # from one seed
        assert torch.equal(residual.get_parameter(name), weight), name
    x = inputs(4, 3, 32, 32)
    assert not torch.allclose(residual(x), plain(x))
    for block in residual.blocks:
        block.downsample = _Nothing(block.conv1.stride[0], block.conv2.out_channels)
    residual.load_state_dict(plain.state_dict())  # in training, a pass changes the statistics
    assert torch.equal(residual(x), plain(x))


@pytest.mark.parametrize(("depth", "parameters"), [(2, 28_762), (3, 121_754), (4, 492_058)])
def test_plain_cnn_is_residual_cnn_without_the_additions(depth, parameters):
    plain, residual = (
        build(ModelSpec(family, depth, channels=16), DATASETS["cifar10"], 5)
        for family in ("PlainCNN", "ResidualCNN")
    )
    assert sum(each.numel() for each in plain.parameters()) == parameters
    theirs = residual.state_dict()
    for name, value in plain.state_dict().items():
        assert torch.equal(value, theirs.pop(name)), name
    assert all(".downsample." in name for name in theirs)
    # A residual block whose skip connection gives nothing is a plain one.
    for block in residual.stages:
        block.downsample = _Nothing(block.conv1.stride[0], block.conv2.out_channels)
    images = torch.rand(3, 3, 32, 32)
    torch.testing.assert_close(residual.eval()(images), plain.eval()(images))
    torch.testing.assert_close(residual.train()(images), plain.train()(images))


class _Nothing(nn.Module):
    def __init__(self, stride, channels):
        super().__init__()
        self.stride, self.channels = stride, channels

    def forward(self, images):
        nothing = torch.zeros_like(images[:, :1, :: self.stride, :: self.stride])
        return nothing.expand(-1, self.channels, -1, -1)


def option_a(images, outputs):
    """The shortcut pixel by pixel: every second one, new maps of zeros before and behind."""
    batch, channels, height, width = images.shape
    front = (outputs - channels) // 2
    expected = torch.zeros(batch, outputs, (height + 1) // 2, (width + 1) // 2)
    for channel in range(channels):
        for row in range(0, height, 2):
            for column in range(0, width, 2):
                expected[:, front + channel, row // 2, column // 2] = images[
                    :, channel, row, column
                ]
    return expected


@pytest.mark.parametrize("shortcut", [False, True])
@pytest.mark.parametrize(
    ("channels", "outputs", "size"), [(2, 2, (6, 6)), (2, 6, (6, 6)), (4, 8, (7, 5))]
)
def test_a_block_is_the_formula(shortcut, channels, outputs, size):
    """relu(bn2(conv2(relu(bn1(conv1 x)))) [+ shortcut of x]), in training mode."""
    block = made(padded_block, channels, outputs, shortcut)
    x = inputs(3, channels, *size)
    stride = 1 if outputs == channels else 2

    def normalised(maps):
        mean, variance = maps.mean((0, 2, 3)), maps.var((0, 2, 3), unbiased=False)
        return (maps - mean[:, None, None]) / (variance[:, None, None] + 1e-5).sqrt()

    convolve = nn.functional.conv2d
    hidden = normalised(convolve(x, block.conv1.weight, stride=stride, padding=1)).relu()
    expected = normalised(convolve(hidden, block.conv2.weight, padding=1))
    if shortcut:
        expected = expected + (x if stride == 1 else option_a(x, outputs))
    torch.testing.assert_close(block(x), expected.relu(), rtol=1e-4, atol=1e-5)


# Gradients


@every_family
def test_a_gradient_reaches_every_parameter(family):
    model = made(SMALL[family])
    nn.functional.cross_entropy(model(inputs(8, 3, 32, 32)), torch.arange(8)).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


# Initial weights


@every_family
def test_convolutions_start_with_he_s_variance(family):
    """2 / (outputs · 9), so that the variance of the gradients stays the same (fan out)."""
    kind = {"SimpleCNN": SimpleCNN, "ResidualCNN": ResidualCNN}.get(family)
    model = made(kind, 32, 2) if kind else made({"PlainNet": PlainNet, "ResNet": ResNet}[family])
    for module in model.modules():
        if isinstance(module, nn.Conv2d) and module.weight.numel() > 2000:
            fan_out = module.out_channels * module.kernel_size[0] ** 2
            expected = (2 / fan_out) ** 0.5
            assert float(module.weight.detach().std()) == pytest.approx(expected, rel=0.06)


# What is refused


@pytest.mark.parametrize("kind", HE)
@pytest.mark.parametrize("depth", [19, 21, 0, -1, -4, 2, "deep", "20", 20.0, True, None])
def test_a_depth_that_is_not_6n_plus_2_is_refused(kind, depth):
    with pytest.raises(ParameterError) as caught:
        kind(depth)
    assert str(caught.value) == (
        f"{kind.__name__}: depth = {depth!r} is not allowed; allowed: 6n + 2 from 8 on, such as "
        "20, 32, 44, 56, 110"
    )


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        *product([SimpleCNN, ResidualCNN], ["channels", "depth", "num_classes", "in_channels"]),
        *product(HE, ["num_classes", "in_channels"]),
    ],
)
@pytest.mark.parametrize("size", [0, -1, 2.0, True, "8"])
def test_a_size_that_is_no_positive_whole_number_is_refused(kind, name, size):
    with pytest.raises(ParameterError) as caught:
        kind(**{name: size})
    assert str(caught.value) == (
        f"{kind.__name__}: a size = {size!r} is not allowed; allowed: a whole number from 1 on"
    )


@pytest.mark.parametrize("blocks", [(1,), (1, 1, 1), (1, 0), (0, 1), (-1, 1)])
def test_blocks_that_are_not_one_positive_number_per_stage_are_refused(blocks):
    with pytest.raises(ParameterError) as caught:
        ResidualCNN(4, 2, blocks_per_stage=blocks)
    assert str(caught.value) == (
        f"ResidualCNN: blocks_per_stage = {list(blocks)} is not allowed; allowed: 2 numbers, one "
        "for each stage, each 1 or more"
    )
