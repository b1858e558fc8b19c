"""The drawings of networks hold what their specs say, in the page's own colours, and in words."""

import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from lab1.core.families import FAMILIES
from lab1.core.spec import ModelSpec
from lab1.reporting import networks
from lab1.reporting.networks import blocks, columns
from lab1.reporting.theme import COLOURS

SMALL = {"width": 16, "channels": 16}
MODELS = [
    ModelSpec(name, (family.depths.holds(3) and 3) or 20,
              **{n: v for n, v in SMALL.items() if n in family.fields})
    for name, family in FAMILIES.items()
]  # fmt: skip


def dataset_of(model):
    return "mnist" if model.width else "cifar10"


def counted(drawing, kind):
    return sum(svg.count(f'class="lab1-{kind}"') for svg in drawing.svgs)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.family)
def test_a_column_has_every_layer_and_every_skip_connection(model):
    drawing = columns([model], dataset_of(model))
    stages = model.stages(dataset_of(model))
    drawn = [block for stage in stages for block in stage.blocks]
    assert counted(drawing, "layer") == sum(len(block.layers) for block in drawn)
    assert counted(drawing, "addition") == sum(block.skip is not None for block in drawn)
    skips = sum(block.skip is not None for block in drawn)
    said = f"{skips} skip connections" if skips else "no skip connection"
    count = sum(stage.parameters for stage in stages)
    assert f"{count:,} parameters and {said}: " in drawing.alt


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.family)
def test_a_block_has_its_layers_and_an_addition_where_there_is_one(model):
    drawing = blocks([model], dataset_of(model))
    stages = [each for each in model.stages(dataset_of(model))[:-1] if not each.stem]
    block = max(stages, key=lambda stage: len(stage.blocks)).blocks[-1]
    assert counted(drawing, "layer") == len(block.layers)
    assert counted(drawing, "addition") == (block.skip is not None)
    assert ("is added" in drawing.alt) == (block.skip is not None)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.family)
@pytest.mark.parametrize("draw", [blocks, columns])
def test_a_drawing_is_whole_has_its_familys_colour_and_no_other(draw, model):
    """Text and lines take the page's colour, so that it is legible in light and dark."""
    for svg in draw([model], dataset_of(model)).svgs:
        root = ElementTree.fromstring(svg)
        colours = {e.get(name) for e in root.iter() for name in ("fill", "stroke")} - {None}
        assert colours <= {"none", "currentColor", COLOURS[model.family]}
        assert root.find("{http://www.w3.org/2000/svg}title").text
        width, height = (float(root.get(name)) for name in ("width", "height"))
        for text in root.iter("{http://www.w3.org/2000/svg}text"):
            assert 0 <= float(text.get("y")) <= height
            reach = 7.8 * len(text.text) * {"start": 1, "middle": 0.5}[text.get("text-anchor")]
            assert float(text.get("x")) + reach <= width, text.text
        for rect in root.iter("{http://www.w3.org/2000/svg}rect"):
            assert float(rect.get("x")) >= 0
            assert float(rect.get("x")) + float(rect.get("width")) <= width
            assert float(rect.get("y")) + float(rect.get("height")) <= height


def test_an_arrow_points_along_its_last_part():
    heads = [
        re.findall('points="(.*?)"', networks.line([(0, 0), end]))[-1] for end in [(9, 0), (0, 9)]
    ]
    assert heads == ["9,0 3,3.5 3,-3.5", "0,9 3.5,3 -3.5,3"]


def test_the_shallowest_residual_perceptron_is_drawn_with_its_skip_connection():
    """Its first layer, which reads the image, has none and is no block."""
    drawing = blocks([ModelSpec(family, 2, width=24) for family in ("MLP", "ResidualMLP")], "mnist")
    assert [svg.count('class="lab1-addition"') for svg in drawing.svgs] == [0, 1]
    assert drawing.alt.count("goes through ReLU, linear, 24") == 2


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"skip_carries": "activated"}, "the activated input is added"),
        ({"layers_per_skip": 2, "depth": 5}, "ReLU, linear, 24, ReLU, linear, 24; then the input"),
        ({"depth": 0, "width": None, "hidden_sizes": (24, 16)}, "a projection of the input is"),
    ],
)
def test_a_block_says_what_its_skip_connection_adds(changes, words):
    model = ModelSpec(**{"family": "ResidualMLP", "depth": 3, "width": 24} | changes)
    assert words in blocks([model], "mnist").alt


def test_networks_without_a_layout_say_that_they_are_not_drawn(make_record, monkeypatch):
    monkeypatch.setitem(FAMILIES, "MLP", replace(FAMILIES["MLP"], layout=None))
    records = [make_record(family, 2, 0) for family in ("MLP", "ResidualMLP")]
    assert "no layout" in str(networks.whole(records[:1], 2))
    assert len(networks.whole(records, 2).svgs) == 1


def test_the_deepest_is_no_taller_than_a_screen():
    deep = columns([ModelSpec("PlainNet", 110), ModelSpec("ResNet", 110)], "cifar10")
    for svg in deep.svgs:
        assert float(re.search(r'height="([\d.]+)"', svg)[1]) < 520


def test_a_chapter_draws_one_network_per_family_in_its_usual_design(make_record):
    records = [
        make_record(family, depth, seed)
        for family in ("ResidualMLP", "MLP")
        for depth in (2, 8)
        for seed in (0, 1)
    ]
    records += [make_record("MLP", 8, seed, normalization="layer") for seed in range(5)]
    for draw in (networks.one_block, networks.whole):
        drawing = draw(records, 8)
        assert len(drawing.svgs) == 2
        assert "plain MLP" in drawing.svgs[0] and "residual MLP" in drawing.svgs[1]
        assert "norm" not in drawing.alt
    markup = networks.whole(records, 8).markup
    assert markup.count('role="img"') == 1 and "9 layers" in markup


def test_teacher_and_student_stand_on_one_scale(make_record, make_spec, make_student):
    teacher = make_spec("ResidualCNN", 2, dataset="smoke-colour")
    taught = make_student(teacher, family="SimpleCNN", depth=2, dataset="smoke-colour")
    records = [
        make_record("SimpleCNN", 2, dataset="smoke-colour", distillation=taught.distillation),
        make_record("SimpleCNN", 2, dataset="smoke-colour"),
    ]
    drawing = networks.teacher_and_student(records, 2, 16)
    assert "residual CNN" in drawing.svgs[0] and "simple CNN" in drawing.svgs[1]
