"""What is drawn of a network is what is trained: layers, additions and parameters are counted."""

import operator
from dataclasses import replace

import pytest
import torch
from torch import fx, nn

from lab1.core import layouts
from lab1.core.datasets import DATASETS
from lab1.core.families import FAMILIES
from lab1.core.spec import ModelSpec, RunSpec
from lab1.core.training_config import TrainingConfig
from lab1.training import models
from lab1.training.optimization import build_optimizer

CASES = [
    (ModelSpec("MLP", 1, width=8), "mnist"),
    (ModelSpec("MLP", 32, width=128), "mnist"),
    (ModelSpec("MLP", 4, width=16, normalization="layer"), "mnist"),
    (ModelSpec("MLP", 4, width=16, initialisation="identity"), "cifar10"),
    (ModelSpec("ResidualMLP", 1, width=8), "mnist"),
    (ModelSpec("ResidualMLP", 16, width=64), "mnist"),
    (ModelSpec("ResidualMLP", 3, width=16, normalization="layer"), "smoke-grey"),
    (ModelSpec("MLP", hidden_sizes=(16, 8, 8)), "mnist"),
    (ModelSpec("ResidualMLP", hidden_sizes=(16, 8, 8, 12)), "mnist"),
    (ModelSpec("ResidualMLP", 5, width=8, layers_per_skip=2), "mnist"),
    (ModelSpec("ResidualMLP", hidden_sizes=(16, 8, 8, 12, 12), layers_per_skip=2), "mnist"),
    (ModelSpec("ResidualMLP", 4, width=8, skip_carries="activated"), "mnist"),
    *((ModelSpec("SimpleCNN", depth, channels=16), "cifar10") for depth in (1, 4)),
    *((ModelSpec("ResidualCNN", depth, channels=16), "cifar10") for depth in (1, 2, 4)),
    (ModelSpec("ResidualCNN", 3, channels=8, blocks_per_stage=(1, 2, 1)), "cifar10"),
    *((ModelSpec("PlainCNN", depth, channels=16), "cifar10") for depth in (1, 4)),
    *((ModelSpec(family, 20), "cifar10") for family in ("PlainNet", "ResNet")),
    (ModelSpec("ResNet", 110), "cifar10"),
]


class _WholeBlocks(fx.Tracer):
    """Follows the data through every module of ours and of torchvision, to the sums in them."""

    def is_leaf_module(self, module, name):
        return not list(module.children())


def count_additions(model):
    graph = _WholeBlocks().trace(model)
    added = {operator.add, operator.iadd, torch.add}
    return sum(node.target in added for node in graph.nodes)


def weighted(model):
    """The layers with weights, those of normalisation apart."""
    return [each for each in model.modules() if isinstance(each, (nn.Linear, nn.Conv2d))]


def test_every_family_is_counted():
    assert {spec.family for spec, _ in CASES} == set(FAMILIES)


@pytest.mark.parametrize(("spec", "dataset"), CASES, ids=lambda case: str(case)[:60])
def test_the_layers_and_the_sizes_of_their_images_are_those_of_the_model(spec, dataset):
    model = models.build(spec, DATASETS[dataset], seed=0)
    stages = spec.stages(dataset)
    blocks = [(stage.side, block) for stage in stages for block in stage.blocks]
    drawn = [(layer.inputs, layer.outputs) for _, block in blocks for layer in block.all_layers]
    built = [
        (layer.in_features, layer.out_features)
        if isinstance(layer, nn.Linear)
        else (layer.in_channels, layer.out_channels)
        for layer in weighted(model)
    ]
    assert sorted(drawn) == sorted(built)
    assert sum(block.skip is not None for _, block in blocks) == count_additions(model)
    assert sum(stage.parameters for stage in stages) == models.count_parameters(model)
    sides = {}

    def note(layer, _, output):
        sides[layer] = output.shape[-1]

    for module in model.modules():
        if isinstance(module, nn.Conv2d) and module.kernel_size == (3, 3):
            module.register_forward_hook(note)
    model.eval()(torch.zeros(1, *DATASETS[dataset].image_shape))
    drawn = [side for side, block in blocks for layer in block.layers if layer.kind == "3 × 3"]
    assert drawn == list(sides.values())


@pytest.mark.parametrize("precision", ["float32", "bf16"])
@pytest.mark.parametrize(("spec", "dataset"), CASES[:-1], ids=lambda case: str(case)[:60])
def test_the_activations_are_what_autograd_keeps(spec, dataset, precision):
    model = models.build(spec, DATASETS[dataset], seed=0).train()
    weights = {tuple(sorted(each.shape)) for each in model.parameters()}
    held = {each.untyped_storage().data_ptr() for each in (*model.parameters(), *model.buffers())}
    kept = {}

    def note(tensor):
        storage = tensor.untyped_storage()
        is_copy = tensor.dtype == torch.bfloat16 and tuple(sorted(tensor.shape)) in weights
        if storage.data_ptr() not in held and not is_copy:
            kept[storage.data_ptr()] = tensor, storage.nbytes()
        return tensor

    images = torch.zeros(4, *DATASETS[dataset].image_shape)
    bf16 = torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16")
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        with bf16:
            logits = model(images)
        nn.functional.cross_entropy(logits.float(), torch.zeros(4, dtype=torch.int64))
    config = TrainingConfig(batch_size=4, precision=precision, validation_size=0)
    sizes = layouts.memory(RunSpec(spec, dataset, config, seed=0))
    count = models.count_parameters(model)
    assert sizes["parameters"] == (6 if precision == "bf16" else 4) * count
    found = sum(size for _, size in kept.values())
    # Besides there are means, variances, labels and logits in float32.
    assert sizes["activations"] == pytest.approx(found, rel=0.1)


@pytest.mark.parametrize(
    ("optimizer", "momentum"), [("adam", 0.9), ("adamw", 0.9), ("sgd", 0.9), ("sgd", 0)]
)
def test_the_optimiser_state_is_that_of_torch(optimizer, momentum):
    config = TrainingConfig(optimizer=optimizer, momentum=momentum)
    (spec, dataset), model = CASES[0], nn.Linear(4, 3)
    made = build_optimizer(model, config)
    model(torch.ones(1, 4)).sum().backward()
    made.step()
    states = [
        each for state in made.state.values() for name, each in state.items() if name != "step"
    ]
    count = sum(each.numel() for each in states if each is not None)
    sizes = layouts.memory(RunSpec(spec, dataset, config, seed=0))
    assert sizes["optimiser state"] == sizes["gradients"] * count // models.count_parameters(model)


def test_a_gate_is_counted_with_the_layers_of_its_block():
    layer, gate = layouts.linear(4, 4), layouts.linear(4, 4)
    block = layouts.Block((layer,), layouts.Skip(gate=gate))
    assert (block.all_layers, block.parameters) == ((layer, gate), 2 * (4 * 4 + 4))


def test_a_family_without_a_layout_is_trained_and_counted(monkeypatch):
    spec = ModelSpec("ResidualMLP", 3, width=8)
    monkeypatch.setitem(FAMILIES, "ResidualMLP", replace(FAMILIES["ResidualMLP"], layout=None))
    layouts.cost.cache_clear()
    assert spec.stages("mnist") == ()
    # It costs what the network does that it is compared with.
    plain = replace(spec, family="MLP")
    assert layouts.cost(spec, "mnist") == layouts.cost(plain, "mnist") == (6480, 4)
    assert models.count_parameters(models.build(spec, DATASETS["mnist"], seed=0)) > 0
    layouts.cost.cache_clear()
