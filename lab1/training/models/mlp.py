"""`MLP` and its residual twin."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from ...core.errors import ParameterError
from ...core.spec import ModelSpec
from ...core.values import declarations

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "tanh": nn.Tanh,
    "leaky_relu": nn.LeakyReLU,
}

#: He initialisation knows a gain for these; GELU takes that of ReLU, which it resembles.
_Gain = Literal["linear", "relu", "leaky_relu", "tanh"]
_GAINS: dict[str, _Gain] = {
    "relu": "relu",
    "gelu": "relu",
    "tanh": "tanh",
    "leaky_relu": "leaky_relu",
}


class MLP(nn.Module):
    """A plain multilayer perceptron.

    Takes images of shape (batch, channels, height, width), or anything that flattens to
    (batch, `input_size`), and gives logits of shape (batch, `num_classes`).  Each of
    `hidden_sizes` is one hidden layer.  With h the pre-activations, the layers compute::

        h_1 = W_1 x + b_1        h_l = W_l act(h_(l-1)) + b_l        logits = W act(h_L) + b

    `activation_fn` names one of `ACTIVATIONS`; `dropout_rate` is the probability with
    which each hidden activation is dropped.  The weights are initialised so that the variance of
    the pre-activations stays the same from layer to layer (He et al. 2015, section 2.2), the
    biases with zero.

    With `initialisation` `identity` the layers between two hidden layers start at I + W / sqrt(
    number of such layers), with W drawn as ever: each then starts out as a layer of
    `ResidualMLP` does, with the identity as a part of its weights, which training may change
    (Hardt & Ma 2017, "Identity Matters in Deep Learning"; Zagoruyko & Komodakis 2017, "DiracNets").
    It needs equal `hidden_sizes`.

    With `normalization` `layer` the pre-activations h_l of each image are normalised over the
    units of their layer, with a learned scale and shift, before each activation: layers compute
    W act(norm(h)) + b (Ba et al. 2016, "Layer Normalization", section 3).

    Raises `ParameterError` for sizes below 1, and for names that are not
    allowed.
    """

    def __init__(
        self,
        input_size: int = 784,
        hidden_sizes: Sequence[int] = (128, 128),
        num_classes: int = 10,
        activation_fn: str = "relu",
        dropout_rate: float = 0.0,
        normalization: str = "none",
        initialisation: str = "default",
    ) -> None:
        super().__init__()
        sizes = [input_size, *hidden_sizes, num_classes]
        if not hidden_sizes or min(sizes) < 1:
            raise ParameterError(
                f"{type(self).__name__}: sizes {sizes} are not allowed; allowed: at least one "
                "hidden layer, every size 1 or more"
            )
        if activation_fn not in ACTIVATIONS:
            raise ParameterError(
                f"{type(self).__name__}: activation_fn = {activation_fn!r} is not allowed; "
                f"allowed: {', '.join(ACTIVATIONS)}"
            )
        if not 0 <= dropout_rate < 1:
            raise ParameterError(
                f"{type(self).__name__}: dropout_rate = {dropout_rate} is not allowed; "
                "allowed: from 0 to below 1"
            )
        for name, value in (("normalization", normalization), ("initialisation", initialisation)):
            declarations(ModelSpec)[name].check(value, type(self).__name__)
        pairs = pairwise(sizes[:-1])
        self.hidden = nn.ModuleList(nn.Linear(inputs, outputs) for inputs, outputs in pairs)
        self.output = nn.Linear(sizes[-2], num_classes)
        self.activation = ACTIVATIONS[activation_fn]()
        self.dropout = nn.Dropout(dropout_rate)
        #: One in front of each activation.
        self.norms = nn.ModuleList(
            nn.LayerNorm(size) if normalization == "layer" else nn.Identity()
            for size in hidden_sizes
        )
        gain = _GAINS[activation_fn]
        for index, layer in enumerate([*self.hidden, self.output]):
            # The first layer sees the image itself, which no activation has thinned out.
            nonlinearity: _Gain = gain if index else "linear"
            nn.init.kaiming_normal_(layer.weight, nonlinearity=nonlinearity)
            nn.init.zeros_(layer.bias)
        if initialisation == "identity":
            self._check_equal(hidden_sizes, "the identity maps a layer to one of the same size")
            with torch.no_grad():
                for weight in self._scaled_inner_weights():
                    weight += torch.eye(len(weight))

    def forward(self, images: Tensor) -> Tensor:
        """Logits of shape (batch, num_classes)."""
        first, *further = self.hidden
        *between, last = self.norms
        hidden: Tensor = first(images.flatten(1))
        for norm, layer in zip(between, further, strict=True):
            hidden = self.connect(hidden, layer(self.dropout(self.activation(norm(hidden)))))
        logits: Tensor = self.output(self.dropout(self.activation(last(hidden))))
        return logits

    def connect(self, hidden: Tensor, update: Tensor) -> Tensor:
        """What the next layer sees: here, only what this layer computed."""
        return update

    def _scaled_inner_weights(self) -> list[Tensor]:
        """The weights between hidden layers, divided by the square root of their number."""
        weights = [layer.weight for layer in list(self.hidden)[1:] if isinstance(layer, nn.Linear)]
        with torch.no_grad():
            for weight in weights:
                weight.mul_(len(weights) ** -0.5)
        return weights

    def _check_equal(self, hidden_sizes: Sequence[int], why: str) -> None:
        if len(set(hidden_sizes)) > 1:
            raise ParameterError(
                f"{type(self).__name__}: hidden_sizes = {list(hidden_sizes)} are not allowed; "
                f"allowed: equal sizes, since {why}"
            )


class ResidualMLP(MLP):
    """The residual twin of `MLP`: the same layers, and a skip connection around each.

    Every hidden layer after the first adds to what came in, with the activation in front of the
    weights (He et al. 2016b, "Identity Mappings in Deep Residual Networks", section 3)::

        h_l = h_(l-1) + W_l act(h_(l-1)) + b_l

    so the number of parameters equals the twin's and, with the same seed, so do the initial
    weights, up to one factor: the layers inside skip connections are scaled by 1 / sqrt(number of
    skips).  That keeps the variance of a *sum* of branches from growing with depth, as He's
    initialisation keeps that of a *product* of layers (Zhang et al. 2019, "Fixup
    Initialization"); each twin thus starts as its kind of network should.  With
    `residual_factor` `one` that factor is left out.

    All of `hidden_sizes` must be equal, since a sum needs equal shapes.
    """

    def __init__(
        self,
        input_size: int = 784,
        hidden_sizes: Sequence[int] = (128, 128),
        num_classes: int = 10,
        activation_fn: str = "relu",
        dropout_rate: float = 0.0,
        normalization: str = "none",
        residual_factor: str = "inverse-sqrt",
    ) -> None:
        super().__init__(
            input_size, hidden_sizes, num_classes, activation_fn, dropout_rate, normalization
        )
        self._check_equal(hidden_sizes, "a skip connection adds a layer's input to its output")
        declared = declarations(ModelSpec)["residual_factor"]
        if declared.check(residual_factor, "ResidualMLP") == "inverse-sqrt":
            self._scaled_inner_weights()

    def connect(self, hidden: Tensor, update: Tensor) -> Tensor:
        """What the next layer sees: what came in, plus what this layer computed."""
        return hidden + update
