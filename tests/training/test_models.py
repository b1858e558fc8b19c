from dataclasses import replace

import pytest
import torch
from declared_fields import PARAMETERS
from repeats import inputs, made
from small_models import smallest
from torch import nn

from lab1.core.datasets import DATASETS
from lab1.core.families import FAMILIES
from lab1.core.spec import RECIPE, ModelSpec
from lab1.errors import ParameterError
from lab1.training.models import build, class_of, count_flops, count_parameters
from lab1.training.models.cnn import PlainNet, ResidualCNN, ResNet, SimpleCNN
from lab1.training.models.mlp import ACTIVATIONS, MLP, ResidualMLP

KINDS = [MLP, ResidualMLP]

#: A small model of each family.
SPECS = {family: ModelSpec(family, **smallest(family)) for family in FAMILIES}
GREY = DATASETS["smoke-grey"]


# What the models compute


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("depth", [1, 2, 5])
def test_the_network_is_the_formula(kind, activation, depth):
    """h_1 = W_1 x + b_1, h_l = [h_(l-1) +] W_l act(h_(l-1)) + b_l, logits = W act(h_L) + b."""
    model = randomised(made(kind, 12, (6,) * depth, 3, activation))
    act = getattr(nn.functional, activation)
    x = inputs(4, 3, 2, 2)
    hidden = x.reshape(4, 12) @ model.hidden[0].weight.T + model.hidden[0].bias
    for layer in list(model.hidden)[1:]:
        update = act(hidden) @ layer.weight.T + layer.bias
        hidden = hidden + update if kind is ResidualMLP else update
    expected = act(hidden) @ model.output.weight.T + model.output.bias
    torch.testing.assert_close(model(x), expected)


def randomised(model):
    """Biases are zero at first, which would hide that one is left out."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(0.5 * torch.randn(parameter.shape, generator=generator))
    return model


@pytest.mark.parametrize("kind", KINDS)
def test_dropout_is_in_front_of_every_layer_but_the_first(kind):
    model = made(kind, 12, (6,) * 4, 3, dropout_rate=0.5)
    assert model.dropout.p == 0.5
    model.dropout = nn.Identity()
    seen = []
    model.dropout.register_forward_hook(lambda module, given, output: seen.append(given))
    model(inputs(5, 12))
    assert len(seen) == 4
    assert all((activated >= 0).all() for (activated,) in seen)  # behind the ReLU


# Sizes


def test_frozen_parameters_are_not_counted():
    model = made(MLP, 4, (3,), 2)
    model.hidden[0].weight.requires_grad_(False)
    assert count_parameters(model) == 3 + 3 * 2 + 2


@pytest.mark.parametrize("training", [True, False])
def test_counting_operations_leaves_the_model_as_it_was(training):
    model = made(MLP, 12, (6,), 3, dropout_rate=0.5).train(training)
    before = torch.get_rng_state()
    count_flops(model, (3, 2, 2))
    assert model.training is training
    assert torch.equal(torch.get_rng_state(), before)
    assert all(parameter.grad is None for parameter in model.parameters())


# Initial weights


@pytest.mark.parametrize(
    ("changes", "added"), [({"family": "ResidualMLP"}, 0), ({"initialisation": "identity"}, 1)]
)
def test_starts_are_equal_up_to_the_stated_factor_and_the_identity(changes, added):
    """Twins', and that of a plain network near the identity: the draws are the same."""
    spec = ModelSpec("MLP", 5, 16)
    plain, other = (build(each, GREY, 3) for each in (spec, replace(spec, **changes)))
    for name, weight in plain.named_parameters():
        expected = weight
        if name.startswith("hidden") and name.endswith("weight") and name != "hidden.0.weight":
            expected = added * torch.eye(16) + weight * 4**-0.5
        torch.testing.assert_close(other.get_parameter(name), expected, rtol=0, atol=0)


@pytest.mark.parametrize("family", ["MLP", "ResidualMLP"])
def test_layers_are_normalised_in_front_of_each_activation(family):
    model = build(ModelSpec(family, 3, 16, normalization="layer"), GREY, 0)
    plain = build(ModelSpec(family, 3, 16), GREY, 0)
    for name, weight in plain.named_parameters():  # the draws are the same
        assert torch.equal(model.get_parameter(name), weight)
    assert count_parameters(model) - count_parameters(plain) == 3 * 2 * 16
    images = torch.rand(7, 784)
    # By hand, with the scale at one and the shift at zero.
    hidden = model.hidden[0](images)
    for layer in model.hidden[1:]:
        update = layer(nn.functional.layer_norm(hidden, (16,)).relu())
        hidden = hidden + update if family == "ResidualMLP" else update
    expected = model.output(nn.functional.layer_norm(hidden, (16,)).relu())
    torch.testing.assert_close(model(images), expected)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_seed_alone_decides_on_the_initial_weights(family):
    spec = SPECS[family]
    before = torch.get_rng_state()
    first = build(spec, GREY, 0)
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(3)
    again, other = build(spec, GREY, 0), build(spec, GREY, 1)
    modules = dict(first.named_modules())
    for name, weight in first.named_parameters():
        assert torch.equal(again.get_parameter(name), weight)
        normalises = isinstance(modules[name.rpartition(".")[0]], nn.BatchNorm2d)
        if normalises:
            assert torch.equal(weight, torch.full_like(weight, float(name.endswith("weight"))))
        elif name.endswith("bias") and isinstance(first, MLP):
            assert not weight.any()
        else:
            assert not torch.equal(other.get_parameter(name), weight)


def preactivation_variances(model, x):
    """Of what each hidden layer hands on; a layer's norm sees it, even where it changes nothing."""
    variances = []
    for norm in model.norms:
        norm.register_forward_pre_hook(lambda _, seen: variances.append(seen[0].var()))
    model(x)
    return torch.stack(variances)


@pytest.mark.parametrize(("kind", "growth"), [(MLP, 1.0), (ResidualMLP, 2.7)])
def test_the_signal_neither_dies_nor_explodes_on_its_way_through_32_layers(kind, growth):
    """The two initialisations are there for this, so that no net is beaten by its start alone.

    He's keeps the variance of a product of layers, up to chance: in the mean over seeds.  The sum
    of 31 branches, each scaled by 1 / sqrt(31), grows by (1 + 1/31)^31, which is 2.7; unscaled it
    would by 2^31, and without He's gain the plain network's would shrink by as much.
    """
    x = inputs(64, 100)
    with torch.no_grad():
        ratios = [
            variances / variances[0]
            for variances in (
                preactivation_variances(made(kind, 100, (256,) * 32, 10, seed=seed), x)
                for seed in range(4)
            )
        ]
        first = preactivation_variances(made(kind, 100, (256,) * 2, 10), x)[0]
    typical = torch.stack(ratios).log().mean(0).exp()
    assert growth / 2 < typical[-1] < growth * 2
    assert typical.min() > 1 / 2
    assert typical.max() < growth * 2
    # The first layer keeps the variance of the image, which no activation has thinned out.
    assert first == pytest.approx(1.0, abs=0.15)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_gain_is_that_of_the_activation(activation):
    gains = {"relu": 2**0.5, "gelu": 2**0.5, "tanh": 5 / 3, "leaky_relu": (2 / 1.0001) ** 0.5}
    model = made(MLP, 400, (400, 400), 400, activation)
    first, second = model.hidden
    for layer, gain in ((first, 1), (second, gains[activation]), (model.output, gains[activation])):
        assert float(layer.weight.detach().std()) == pytest.approx(gain / 20, rel=0.02)


# What is refused


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "sizes", [(784, (), 10), (784, (128, 0), 10), (0, (128,), 10), (784, (128,), 0), (-1, (8,), 2)]
)
def test_wrong_sizes_are_refused(kind, sizes):
    with pytest.raises(ParameterError, match=f"{kind.__name__}: sizes .* are not allowed"):
        kind(*sizes)


@pytest.mark.parametrize(
    ("kind", "keywords", "words"),
    [
        (MLP, {"activation_fn": "swish"}, "'swish' is not allowed; allowed: relu, gelu, tanh, lea"),
        (MLP, {"dropout_rate": -0.1}, "MLP: dropout_rate = -0.1 is not allowed"),
        (ResidualMLP, {"dropout_rate": 1}, "ResidualMLP: dropout_rate = 1 is not allowed"),
        (MLP, {"dropout_rate": float("nan")}, "MLP: dropout_rate = nan is not allowed"),
        (MLP, {"normalization": "batch"}, "MLP: normalization = 'batch'.*none, layer"),
        (MLP, {"initialisation": "zero"}, "MLP: initialisation = 'zero'.*default, identity"),
        (ResidualMLP, {"residual_factor": "2"}, "residual_factor = '2'.*inverse-sqrt, one"),
    ],
)
def test_a_design_that_does_not_exist_is_refused(kind, keywords, words):
    with pytest.raises(ParameterError, match=words):
        kind(**keywords)


def by_hand(model, x, inside, activated=False, factor=1.0):
    """The logits of a residual network with the layers `inside` each skip, for one image `x`."""
    act = nn.functional.relu
    hidden = model.hidden[0](x)
    for projection, layers in zip(model.projections, inside, strict=True):
        carried = act(hidden) if activated else hidden
        update = hidden
        for index in layers:
            update = model.hidden[index](act(update))
        if isinstance(projection, nn.Linear):
            carried = carried @ projection.weight.T
        hidden = factor * (carried + update)
    return model.output(act(hidden))


@pytest.mark.parametrize(
    ("sizes", "keywords", "inside", "expected"),
    [
        ((6,) * 4, {"skip_carries": "activated"}, [[1], [2], [3]], {"activated": True}),
        ((6,) * 4, {"residual_factor": "sqrt-half"}, [[1], [2], [3]], {"factor": 0.5**0.5}),
        ((6,) * 5, {"layers_per_skip": 2}, [[1, 2], [3, 4]], {}),
        ((6,) * 4, {"layers_per_skip": 2}, [[1, 2], [3]], {}),
        ((8, 4, 4, 6), {}, [[1], [2], [3]], {}),
        ((8, 4, 6, 3), {"layers_per_skip": 2, "skip_carries": "activated"}, [[1, 2], [3]],
         {"activated": True}),
    ],
)  # fmt: skip
def test_a_skip_carries_spans_and_scales_what_it_should(sizes, keywords, inside, expected):
    model = randomised(made(ResidualMLP, 12, sizes, 3, **keywords))
    x = inputs(5, 12)
    torch.testing.assert_close(model(x), by_hand(model, x, inside, **expected))


def test_a_skip_is_projected_where_the_sizes_differ_and_only_there():
    model = made(ResidualMLP, 12, (8, 4, 4, 6), 3)
    shapes = [tuple(each.weight.shape) if list(each.parameters()) else None
              for each in model.projections]  # fmt: skip
    assert shapes == [(4, 8), None, (6, 4)]
    assert not any(name.endswith("bias") for name, _ in model.projections.named_parameters())


@pytest.mark.parametrize(("layers", "skips"), [(1, 16), (2, 8)])
def test_the_last_layer_inside_each_skip_starts_scaled_by_the_number_of_skips(layers, skips):
    scaled, unscaled = (
        made(ResidualMLP, 12, (6,) * 17, 3, residual_factor=factor, layers_per_skip=layers)
        for factor in ("inverse-sqrt", "one")
    )
    for index in range(1, 17):
        ratio = skips**-0.5 if index % layers == 0 else 1.0
        expected = ratio * unscaled.hidden[index].weight
        torch.testing.assert_close(scaled.hidden[index].weight, expected)


def test_an_orthogonal_start_keeps_lengths_up_to_the_gain():
    model = made(MLP, 12, (6,) * 3, 3, initialisation="orthogonal")
    first, *further = [*model.hidden, model.output]
    torch.testing.assert_close(first.weight @ first.weight.T, torch.eye(6))
    for layer in further:
        product = layer.weight @ layer.weight.T
        torch.testing.assert_close(product, 2 * torch.eye(len(product)), atol=1e-5, rtol=0)


@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_a_network_that_looks_linear_is_linear_at_its_start(activation):
    model = made(MLP, 12, (6, 8, 6), 3, activation, initialisation="looks-linear")
    x, z = inputs(5, 12), inputs(5, 12, seed=1)
    assert model(x).abs().max() > 0.1
    torch.testing.assert_close(model(2 * x - z), 2 * model(x) - model(z), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"hidden_sizes": (6, 5), "initialisation": "identity"}, r"\[6, 5\]; .*equal sizes"),
        ({"hidden_sizes": (6, 5), "initialisation": "looks-linear"}, r"\[6, 5\]; .*even sizes"),
        (
            {"activation_fn": "tanh", "initialisation": "looks-linear"},
            "'tanh'; allowed: relu, gelu",
        ),
    ],
)
def test_a_start_that_does_not_fit_is_refused(keywords, message):
    with pytest.raises(ParameterError, match=message):
        MLP(12, **keywords)
    asked = {"depth": 2, "width": 6} if "hidden_sizes" not in keywords else {}
    with pytest.raises(ParameterError, match=message):  # and so before anything is trained
        ModelSpec("MLP", **asked, **{n.removesuffix("_fn"): v for n, v in keywords.items()})


def test_every_family_and_activation_that_can_be_named_exists():
    assert set(RECIPE) == set(FAMILIES) == set(PARAMETERS["family"].choices)
    assert {class_of(family).__name__ for family in FAMILIES.values()} == set(FAMILIES)
    assert set(ACTIVATIONS) == set(PARAMETERS["activation"].choices)


@pytest.mark.parametrize("family", ["MLP", "ResidualMLP"])
def test_build_passes_the_spec_on(family):
    model = build(ModelSpec(family, 3, 16, "tanh", 0.25), DATASETS["smoke-colour"], 0)
    assert type(model) is class_of(FAMILIES[family])
    assert [layer.in_features for layer in model.hidden] == [3072, 16, 16]
    assert [layer.out_features for layer in model.hidden] == [16, 16, 16]
    assert (model.output.in_features, model.output.out_features) == (16, 10)
    assert isinstance(model.activation, nn.Tanh)
    assert model.dropout.p == 0.25


@pytest.mark.parametrize("dataset", ["smoke-grey", "smoke-colour"])
@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (SimpleCNN, {"depth": 3, "channels": 5}),
        (ResidualCNN, {"depth": 3, "channels": 5}),
        (ResidualCNN, {"depth": 3, "channels": 5, "blocks_per_stage": (1, 2, 1)}),
        (PlainNet, {"depth": 14}),
        (ResNet, {"depth": 14}),
    ],
)
def test_build_passes_the_spec_of_a_convolutional_model_on(kind, fields, dataset):
    declared = DATASETS[dataset]
    model = build(ModelSpec(kind.__name__, **fields), declared, 0)
    expected = made(kind, **fields, num_classes=10, in_channels=declared.image_shape[0])
    assert type(model) is kind
    found, wanted = (
        {name: weight.shape for name, weight in each.state_dict().items()}
        for each in (model, expected)
    )
    assert found == wanted
