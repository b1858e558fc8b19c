"""`MLP` and its residual twin."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from ...core.fields import declarations
from ...core.spec import ModelSpec, check_start
from ...errors import ParameterError, not_allowed

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "tanh": nn.Tanh,
    "leaky_relu": nn.LeakyReLU,
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

    `initialisation` names the start of the weights:

    - `identity`: the layers between two hidden layers start at I + W / sqrt(number of such layers),
      with W drawn as ever (Hardt & Ma 2017, "Identity Matters in Deep Learning"; Zagoruyko &
      Komodakis 2017, "DiracNets").  As long as nothing pulls the weights to zero, this *is* a
      `ResidualMLP` whose skip connections carry the activated input, written differently: training
      W from I + V computes what training V beside a skip does.  It needs equal `hidden_sizes`.
    - `orthogonal`: every weight matrix starts with orthonormal rows or columns, times the gain of
      the activation in front of it, sqrt(2) for ReLU (Saxe et al. 2014, "Exact solutions to the
      nonlinear dynamics of learning in deep linear neural networks").
    - `looks-linear`: hidden units start in mirrored halves, A and -A, with orthogonal A, and each
      layer subtracts one half from the other, so that the whole network is linear at the start
      (Balduzzi et al. 2017, "The Shattered Gradients Problem", section 4).  It needs even
      `hidden_sizes` and an activation with act(z) - act(-z) = z: ReLU or GELU.

    With `normalization` `layer` the pre-activations h_l of each image are normalised over the
    units of their layer, with a learned scale and shift, before each activation: layers compute
    W act(norm(h)) + b (Ba et al. 2016, "Layer Normalization", section 3).

    Raises `ParameterError` for sizes below 1, and for names that are not allowed.
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
        sizes, where = [input_size, *hidden_sizes, num_classes], type(self).__name__
        if not hidden_sizes or min(sizes) < 1:
            allowed = "at least one hidden layer, every size 1 or more"
            raise ParameterError(f"{where}: sizes {sizes} are not allowed; allowed: {allowed}")
        if activation_fn not in ACTIVATIONS:
            raise not_allowed("activation_fn", activation_fn, ", ".join(ACTIVATIONS), where)
        declared = declarations(ModelSpec)
        declared["dropout_rate"].check(dropout_rate, where)
        declared["normalization"].check(normalization, where)
        declared["initialisation"].check(initialisation, where)
        check_start(initialisation, hidden_sizes, activation_fn, where)
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
        # He initialisation knows no gain for GELU, which takes that of ReLU, which it resembles.
        gain = "relu" if activation_fn == "gelu" else activation_fn
        for index, layer in enumerate([*self.hidden, self.output]):
            # The first layer sees the image itself, which no activation has thinned out.
            nonlinearity: Any = gain if index else "linear"
            if initialisation == "orthogonal":
                nn.init.orthogonal_(layer.weight, nn.init.calculate_gain(nonlinearity))
            else:
                nn.init.kaiming_normal_(layer.weight, nonlinearity=nonlinearity)
            nn.init.zeros_(layer.bias)
        if initialisation == "identity":
            self._start_at_identity()
        elif initialisation == "looks-linear":
            self._start_linear()

    def forward(self, images: Tensor) -> Tensor:
        """Logits of shape (batch, num_classes)."""
        first, *further = self.hidden
        hidden: Tensor = first(images.flatten(1))
        for index, layer in enumerate(further):
            hidden = layer(self.activated(index, hidden))
        return self.logits(hidden)

    def activated(self, index: int, hidden: Tensor) -> Tensor:
        """The inputs of the layer after hidden layer `index`, from that layer's pre-activations."""
        seen: Tensor = self.dropout(self.activation(self.norms[index](hidden)))
        return seen

    def logits(self, hidden: Tensor) -> Tensor:
        """The logits, from the pre-activations of the last hidden layer."""
        logits: Tensor = self.output(self.activated(len(self.hidden) - 1, hidden))
        return logits

    def _start_at_identity(self) -> None:
        inner = [layer.weight for layer in self.hidden[1:] if isinstance(layer, nn.Linear)]
        with torch.no_grad():
            for weight in inner:
                weight.mul_(len(inner) ** -0.5).add_(torch.eye(len(weight)))

    def _start_linear(self) -> None:
        with torch.no_grad():
            for index, layer in enumerate([*self.hidden, self.output]):
                rows = len(layer.weight) if layer is self.output else len(layer.weight) // 2
                columns = layer.weight.shape[1] // 2 if index else layer.weight.shape[1]
                half = nn.init.orthogonal_(torch.empty(rows, columns))
                seen = torch.cat([half, -half], 1) if index else half
                layer.weight.copy_(seen if layer is self.output else torch.cat([seen, -seen]))


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
    `residual_factor` `one` that factor is left out; with `sqrt-half` it is left out too, and both
    terms of each sum are multiplied by sqrt(1/2), in training and afterwards.

    With `skip_carries` `activated` a skip adds act(h_(l-1)) in place of h_(l-1).  With
    `layers_per_skip` 2 two layers stand inside each skip, as in the paper's blocks, h + W' act(W
    act(h) + b) + b', the factor on W' alone; an odd last layer has a skip of its own.

    Where `hidden_sizes` differ, what the skip carries passes through a linear projection without
    bias (He et al. 2016, "Deep Residual Learning", equation 2).
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
        skip_carries: str = "input",
        layers_per_skip: int = 1,
    ) -> None:
        super().__init__(
            input_size, hidden_sizes, num_classes, activation_fn, dropout_rate, normalization
        )
        declared = declarations(ModelSpec)
        factor = declared["residual_factor"].check(residual_factor, "ResidualMLP")
        carries = declared["skip_carries"].check(skip_carries, "ResidualMLP")
        layers = declared["layers_per_skip"].check(layers_per_skip, "ResidualMLP")
        self._carries_activated = carries == "activated"
        self._sum_factor = 0.5**0.5 if factor == "sqrt-half" else None
        #: By skip, the hidden layers inside it.
        last = len(hidden_sizes) - 1
        self._inside = [range(i, min(i + layers, last + 1)) for i in range(1, last + 1, layers)]
        ends = [(hidden_sizes[each[0] - 1], hidden_sizes[each[-1]]) for each in self._inside]
        #: One for each skip.
        self.projections = nn.ModuleList(
            nn.Identity() if before == after else nn.Linear(before, after, bias=False)
            for before, after in ends
        )
        with torch.no_grad():
            for projection, inside in zip(self.projections, self._inside, strict=True):
                if isinstance(projection, nn.Linear):
                    nn.init.kaiming_normal_(projection.weight, nonlinearity="linear")
                end = self.hidden[inside[-1]]
                if factor == "inverse-sqrt" and isinstance(end, nn.Linear):
                    end.weight.mul_(len(self._inside) ** -0.5)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of shape (batch, num_classes)."""
        hidden: Tensor = self.hidden[0](images.flatten(1))
        for projection, (first, *further) in zip(self.projections, self._inside, strict=True):
            seen = self.activated(first - 1, hidden)
            update = self.hidden[first](seen)
            for index in further:
                update = self.hidden[index](self.activated(index - 1, update))
            hidden = projection(seen if self._carries_activated else hidden) + update
            if self._sum_factor is not None:
                hidden = self._sum_factor * hidden
        return self.logits(hidden)
