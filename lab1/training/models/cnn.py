"""The convolutional networks: SimpleCNN, ResidualCNN, and He's plain and residual nets by depth."""

from collections import OrderedDict
from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional

from ...core.families import SIX_N_PLUS_TWO
from ...core.layouts import default_blocks
from ...errors import not_allowed


class SimpleCNN(nn.Module):
    """A plain convolutional network of `depth` stages.

    Takes images of shape (batch, `in_channels`, height, width) and gives logits of shape (batch,
    `num_classes`).  A stage is a 3 × 3 convolution, batch normalisation, ReLU, and a 2 × 2 max
    pooling that halves height and width; its width is `channels` in the first stage and doubles
    from stage to stage.  The last feature maps are averaged over their area.  Raises
    `ParameterError` for sizes below 1.
    """

    def __init__(
        self, channels: int = 16, depth: int = 3, num_classes: int = 10, in_channels: int = 3
    ) -> None:
        super().__init__()
        _check_sizes("SimpleCNN", channels, depth, num_classes, in_channels)
        widths = [channels * 2**stage for stage in range(depth)]
        stages: list[nn.Module] = []
        for inputs, outputs in zip([in_channels, *widths], widths, strict=False):
            stages += [*_convolution(inputs, outputs), nn.MaxPool2d(2)]
        self.stages = nn.Sequential(*stages)
        self.output = nn.Linear(widths[-1], num_classes)
        _initialise(self)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of shape (batch, num_classes)."""
        logits: Tensor = self.output(self.stages(images).mean((2, 3)))
        return logits


class ResidualCNN(nn.Module):
    """A residual network of `depth` stages of torchvision's `BasicBlock`.

    Takes and gives what `SimpleCNN` does.  A 3 × 3 convolution leads to `channels` feature
    maps; widths double from stage to stage, and every stage after the first halves height and
    width, with a 1 × 1 convolution as the shortcut of its first block (He et al. 2016, option B).
    `blocks_per_stage` gives the blocks of each stage; by default `default_blocks`, with
    which `ResidualCNN(channels=16, depth=4)` has 503,258 parameters.
    """

    #: Whether its blocks have skip connections: all that sets the twins apart.
    skips = True

    def __init__(
        self,
        channels: int = 16,
        depth: int = 3,
        num_classes: int = 10,
        in_channels: int = 3,
        blocks_per_stage: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        # Imported here, for it takes a second that the other models need not wait.
        from torchvision.models.resnet import BasicBlock

        _check_sizes("ResidualCNN", channels, depth, num_classes, in_channels)
        blocks = tuple(blocks_per_stage or default_blocks(depth))
        if len(blocks) != depth or min(blocks) < 1:
            allowed = f"{depth} numbers, one for each stage, each 1 or more"
            raise not_allowed("blocks_per_stage", list(blocks), allowed, "ResidualCNN")
        widths = [channels * 2**stage for stage in range(depth)]
        self.stem = _convolution(in_channels, channels)
        layers: list[nn.Module] = []
        inputs = channels
        for stage, (width, count) in enumerate(zip(widths, blocks, strict=True)):
            for block in range(count):
                stride = 2 if stage > 0 and block == 0 else 1
                projection = None
                if stride == 2:  # where the width doubles, too
                    convolution = nn.Conv2d(inputs, width, 1, stride, bias=False)
                    projection = nn.Sequential(convolution, nn.BatchNorm2d(width))
                layers.append(BasicBlock(inputs, width, stride, projection))
                inputs = width
        self.stages = nn.Sequential(*layers)
        self.output = nn.Linear(widths[-1], num_classes)
        _initialise(self)
        if not self.skips:
            self.stages = nn.Sequential(*map(_without_skip, layers))

    def forward(self, images: Tensor) -> Tensor:
        """Logits of shape (batch, num_classes)."""
        logits: Tensor = self.output(self.stages(self.stem(images)).mean((2, 3)))
        return logits


class PlainCNN(ResidualCNN):
    """The plain twin of `ResidualCNN`: the same blocks, and nothing added to what they give.

    The 1 × 1 convolutions of the skip connections are drawn and then dropped, so that with the same
    seed every layer that both networks have starts with the same weights.  Without them,
    `PlainCNN(channels=16, depth=4)` has 492,058 parameters, `ResidualCNN` 503,258.
    """

    skips = False


def _without_skip(block: nn.Module) -> nn.Sequential:
    """The layers of a `BasicBlock` one after the other, under the names that they have there."""
    layers = [(name, block.get_submodule(name)) for name in ("conv1", "bn1", "conv2", "bn2")]
    layers.insert(2, ("relu1", nn.ReLU(inplace=True)))
    layers.append(("relu2", nn.ReLU(inplace=True)))
    return nn.Sequential(OrderedDict(layers))


class PlainNet(nn.Module):
    """The plain network for CIFAR of He et al. (2016), section 4.2, with 6n + 2 layers.

    Takes images of shape (batch, `in_channels`, height, width) and gives logits of shape (batch,
    `num_classes`).  A 3 × 3 convolution is followed by three stages of n blocks, each of two
    3 × 3 convolutions with batch normalisation; the stages have 16, 32 and 64 feature maps, and
    the second and third begin by halving height and width.  Global average pooling and a linear
    layer end it.  Raises `ParameterError` for a depth that is not 6n + 2.
    """

    #: Whether a block adds its input to its output: all that sets the twins apart.
    skips = False

    def __init__(self, depth: int = 20, num_classes: int = 10, in_channels: int = 3) -> None:
        super().__init__()
        name = type(self).__name__
        SIX_N_PLUS_TWO.check(depth, name)
        _check_sizes(name, depth, num_classes, in_channels)
        self.stem = _convolution(in_channels, 16)
        blocks: list[nn.Module] = []
        inputs = 16
        for width in (16, 32, 64):
            for _ in range((depth - 2) // 6):
                blocks.append(padded_block(inputs, width, self.skips))
                inputs = width
        self.blocks = nn.Sequential(*blocks)
        self.output = nn.Linear(64, num_classes)
        _initialise(self)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of shape (batch, num_classes)."""
        logits: Tensor = self.output(self.blocks(self.stem(images)).mean((2, 3)))
        return logits


class ResNet(PlainNet):
    """The residual network for CIFAR of He et al. (2016), section 4.2, with 6n + 2 layers.

    It is `PlainNet` with a parameter-free shortcut around each block (option A), so both
    have the same parameters, and with the same seed the same initial weights.
    """

    skips = True


def padded_block(inputs: int, outputs: int, skips: bool) -> nn.Module:
    """A `BasicBlock` with a parameter-free skip connection, or its layers alone.

    Where the width grows, the first convolution has stride 2.
    """
    from torchvision.models.resnet import BasicBlock

    padding, stride = (None, 1) if inputs == outputs else (PaddedShortcut(outputs), 2)
    block = BasicBlock(inputs, outputs, stride, padding)
    return block if skips else _without_skip(block)


class PaddedShortcut(nn.Module):
    """Every second pixel of the input, with feature maps of zeros around its own: `maps` in all.

    He et al. (2016), section 3.3, option A.
    """

    def __init__(self, maps: int) -> None:
        super().__init__()
        self.maps = maps

    def forward(self, inputs: Tensor) -> Tensor:
        """Feature maps of shape (batch, maps, height / 2, width / 2)."""
        padding = (self.maps - inputs.shape[1]) // 2
        return functional.pad(inputs[:, :, ::2, ::2], (0, 0, 0, 0, padding, padding))


def _convolution(inputs: int, outputs: int) -> nn.Sequential:
    """A 3 × 3 convolution with batch normalisation and ReLU."""
    convolution = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


def _initialise(model: nn.Module) -> None:
    """He et al. (2015) for the convolutions; torch's defaults for the rest."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


def _check_sizes(name: str, *sizes: int) -> None:
    for size in sizes:
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise not_allowed("a size", size, "a whole number from 1 on", name)
