import dataclasses
import json
import re
from dataclasses import fields, replace
from itertools import product

import declared_fields
import pytest
from small_models import with_every_field

from lab1.core import spec as config
from lab1.core.datasets import DATASETS, files_fingerprint
from lab1.core.families import FAMILIES, residual_of
from lab1.core.spec import RECIPE, ModelSpec, RunSpec
from lab1.core.training_config import DistillationConfig, RuntimeOptions, TrainingConfig
from lab1.errors import ParameterError

#: Every default that the keys rely on.  A field at its default is left out of the hash, so each
#: record that left a field out means the value that stands here.
DEFAULTS = {
    ModelSpec: {
        "width": None, "activation": "relu", "dropout_rate": 0.0, "channels": None,
        "blocks_per_stage": None, "normalization": "none", "initialisation": "default",
        "residual_factor": "inverse-sqrt", "skip_carries": "input", "layers_per_skip": 1,
        "hidden_sizes": None, "depth": 0,
    },
    TrainingConfig: {
        "epochs": 20, "batch_size": 128, "learning_rate": 0.001, "optimizer": "adam",
        "momentum": 0.9, "weight_decay": 0.0, "schedule": "constant", "precision": "float32",
        "augmentation": "none", "validation_size": 5000, "monitor": "validation_accuracy",
        "patience": None, "minimum_improvement": 0.0, "train_evaluation_size": 0,
        "omitted_class": None, "max_gradient_norm": None, "label_smoothing": 0.0,
        "train_size": None, "pretrained": None,
    },
    RunSpec: {"distillation": None, "role": None},
    DistillationConfig: {"temperature": 4.0, "alpha": 0.9, "wrong_classes": "kept"},
}  # fmt: skip

# Keys as they were when the first records were written, under recipe 1.  If one of these changes,
# every record in results/ is orphaned: the site finds none of its runs and wants to train them all
# again.  So never pin a new value here.  A new field needs a default under which these keys stay;
# a change of what a training computes raises RECIPE, which these tests hold at 1.
GOLDEN_KEYS = {
    "3cd51fd33c95469f": lambda: RunSpec(
        ModelSpec("MLP", 4, 128), "mnist", TrainingConfig(**DEFAULTS[TrainingConfig]), 0
    ),
    "82ad370abe56590b": lambda: RunSpec(
        ModelSpec("ResidualMLP", 4, 128, "relu", 0.0), "mnist", TrainingConfig(), 0
    ),
    "d232f211892aa423": lambda: RunSpec(
        ModelSpec("MLP", 4, 128), "mnist", TrainingConfig(precision="bf16"), 0
    ),
    "be07f24d24845b6d": lambda: RunSpec(
        ModelSpec("MLP", 32, 128),
        "mnist",
        TrainingConfig(learning_rate=0.0003, schedule="cosine", patience=10),
        4,
    ),
    "a8d205ebbcf6fbe6": lambda: RunSpec(
        ModelSpec("ResidualMLP", 8, 64, "gelu", 0.1),
        "smoke-grey",
        TrainingConfig(
            epochs=7,
            batch_size=32,
            learning_rate=0.1,
            optimizer="sgd",
            momentum=0.8,
            weight_decay=0.0001,
            schedule="one-cycle",
            precision="bf16",
            augmentation="crop-flip",
            validation_size=400,
            monitor="validation_loss",
            patience=3,
            minimum_improvement=0.001,
        ),
        2**31 - 1,
    ),
    "866847c234632b7d": lambda: RunSpec(
        ModelSpec("MLP", 1, 1), "smoke-colour", TrainingConfig(validation_size=0), 1
    ),
}

SPEC = RunSpec(ModelSpec("MLP", 4, 16), "smoke-grey", TrainingConfig(validation_size=500), 0)


@pytest.mark.parametrize("key", GOLDEN_KEYS)
def test_keys_are_those_of_the_records_there_are(key, monkeypatch):
    monkeypatch.setattr(config, "RECIPE", dict.fromkeys(RECIPE, 1))
    spec = GOLDEN_KEYS[key]()
    assert config.hash_key(spec.canonical(old_selection=True)) == key
    # A smallest improvement once decided which weights are kept, which no published run rests on.
    assert (spec.key == key) == (spec.training.minimum_improvement == 0)


def test_a_run_shows_a_bar_and_keeps_its_weights_unless_told_otherwise():
    options = RuntimeOptions()
    assert options.progress and options.save_weights and not options.compile


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        *(
            ({"workers": value}, "workers = .* is not allowed; allowed: auto, or 1 and more")
            for value in (0, -1, 1.5, "many", "2", None)
        ),
        ({"workers": 2, "engine": "ray"}, "not allowed with engine = 'ray'"),
        ({"engine": "dask"}, "engine = 'dask' is not allowed; allowed: local, ray"),
        ({"ray_address": "here:6379"}, "'here:6379' is not allowed with engine = 'local'"),
        *(
            ({"report_to": value}, "report_to = .* is not allowed; allowed: none, or 'wandb'")
            for value in ("tensorboard", "", "WANDB", True, ["wandb"])
        ),
        ({"wandb_project": "mine"}, "wandb_project = 'mine' is not allowed without"),
    ],
)
def test_an_option_of_a_command_that_cannot_be_is_refused(options, complaint):
    with pytest.raises(ParameterError, match=complaint):
        RuntimeOptions(**options)


def test_a_schedule_has_more_than_one_step(make_spec):
    """Over a single one it has no course: it trained at 0.001 of 0.1, or not at all."""
    words = "schedule = 'step' is not allowed for a training of one step .*3500 training images"
    with pytest.raises(ParameterError, match=words):
        make_spec(epochs=1, batch_size=4000, schedule="step")
    for allowed in ({"epochs": 2}, {"batch_size": 3499}, {"schedule": "constant"}):
        make_spec(**{"epochs": 1, "batch_size": 4000, "schedule": "step", **allowed})


@pytest.mark.parametrize("kind", DEFAULTS)
def test_no_default_changes(kind):
    """A changed default gives the same key another meaning, which no key would notice."""
    found = {
        each.name: each.default for each in fields(kind) if each.default is not dataclasses.MISSING
    }
    assert {name: found[name] for name in DEFAULTS[kind]} == DEFAULTS[kind]
    assert not set(found) - set(DEFAULTS[kind]), "pin the default of the new field here"


def test_fields_at_their_default_are_left_out_of_the_hash_but_precision():
    assert SPEC.canonical() == {
        "recipe": RECIPE["MLP"],
        "model": {"family": "MLP", "depth": 4, "width": 16},
        "dataset": "smoke-grey",
        "training": {"precision": "float32", "validation_size": 500},
        "seed": 0,
    }


@pytest.mark.parametrize(
    ("part", "field"), [*declared_fields.FIELDS, ("model", "blocks_per_stage")]
)
def test_every_field_changes_the_key(part, field):
    """But a run's role, which says what a plan has it for."""
    taught = replace(SPEC, distillation=DistillationConfig(SPEC))
    if field == "blocks_per_stage":
        stages = ModelSpec("ResidualCNN", 2, channels=4)
        taught = replace(taught, model=stages)
        changed = replace(taught, model=replace(stages, blocks_per_stage=(1, 2)))
    else:
        changed = declared_fields.changed(taught, part, field)
    same = config.hash_key(changed.canonical()) == config.hash_key(taught.canonical())
    assert same == (field == "role")
    assert taught.key not in (SPEC.key, replace(taught, distillation=None).key)


def test_equal_hidden_sizes_are_depth_and_width():
    """One network has one key, however it was asked for."""
    listed = ModelSpec("MLP", hidden_sizes=(16, 16))
    assert listed == ModelSpec("MLP", 2, 16) == ModelSpec("MLP", hidden_sizes="16,16")
    assert replace(SPEC, model=listed).key == replace(SPEC, model=ModelSpec("MLP", 2, 16)).key


def test_unequal_hidden_sizes_are_hashed_in_their_order():
    sizes = (16, 8, 8), (8, 16, 8), (16, 8, 4)
    models = [ModelSpec("ResidualMLP", hidden_sizes=each) for each in sizes]
    assert [(each.depth, each.width, each.layer_sizes) for each in models] == [
        (3, None, each) for each in sizes
    ]
    assert len({replace(SPEC, model=each).key for each in models}) == 3
    spec = replace(SPEC, model=models[0])
    assert RunSpec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "depth = 0 is not allowed"),
        ({"hidden_sizes": "none"}, "depth = 0 is not allowed"),
        ({"hidden_sizes": (16, 0)}, r"hidden_sizes = 0 is not allowed"),
        ({"hidden_sizes": ()}, r"hidden_sizes = \[\] is not allowed"),
        ({"depth": 3, "hidden_sizes": (16, 8)}, r"depth = 3 does not fit hidden_sizes = \[16, 8\]"),
        ({"width": 16, "hidden_sizes": (16, 8)}, "width = 16 does not fit"),
        ({"family": "SimpleCNN", "hidden_sizes": (16, 8), "channels": 4}, "takes no hidden_sizes"),
    ],
)
def test_hidden_sizes_that_do_not_fit_are_refused(values, message):
    with pytest.raises(ParameterError, match=message):
        ModelSpec(**{"family": "MLP"} | values)


@pytest.mark.parametrize("size", [1, 9, 3501])
def test_a_training_has_an_image_of_each_class_and_no_more_than_there_are(size):
    training = replace(SPEC.training, train_size=size, validation_size=500)
    with pytest.raises(ParameterError, match=f"train_size = {size} is not allowed"):
        replace(SPEC, dataset="smoke-grey", training=training)


@pytest.mark.parametrize(
    "written",
    [
        {"family": "ResidualCNN", "depth": 2, "channels": 4},
        {"family": "ResidualCNN", "depth": 2, "channels": 4, "blocks_per_stage": [1, 2]},
        {"family": "PlainNet", "depth": 20},
    ],
)
def test_a_convolutional_model_is_hashed_and_survives_being_written_out(written):
    spec = replace(SPEC, model=ModelSpec(**written))
    assert json.loads(json.dumps(spec.canonical()["model"])) == written
    again = RunSpec.from_dict(json.loads(json.dumps(spec.to_dict(), allow_nan=False)))
    assert again == spec
    assert again.key == spec.key
    assert hash(again) == hash(spec)


def test_a_role_is_a_plans_and_no_part_of_a_run(make_record, store):
    fresh = replace(SPEC, role="fresh")
    assert (fresh, fresh.key, fresh.to_dict()) == (SPEC, SPEC.key, SPEC.to_dict())
    with pytest.raises(ParameterError, match="a plan gives a run and no file holds"):
        RunSpec.from_dict({**SPEC.to_dict(), "role": "fresh"})
    record = make_record()
    store.write(record)
    assert store.find(replace(record.spec, role="fresh")).spec.role == "fresh"
    assert store.find(record.spec).spec.role is None


def test_a_recipe_change_changes_the_keys_of_its_family_alone(monkeypatch):
    twin = replace(SPEC, model=replace(SPEC.model, family="ResidualMLP"))
    before = SPEC.key, twin.key
    monkeypatch.setattr(config, "RECIPE", {**RECIPE, "MLP": RECIPE["MLP"] + 1})
    # The key is cached, so equal specs are made anew.
    assert replace(SPEC).key != before[0]
    assert replace(twin).key == before[1]
    assert replace(SPEC).recipe == RECIPE["MLP"] + 1


def test_the_recipe_names_a_positive_integer_for_every_family():
    assert set(RECIPE) == set(declared_fields.PARAMETERS["family"].choices) == set(FAMILIES)
    assert all(type(recipe) is int and recipe >= 1 for recipe in RECIPE.values())
    assert {name for family in FAMILIES.values() for name in family.compared_with} <= {*RECIPE}


def test_only_a_plain_family_has_a_residual_one():
    assert residual_of("PlainNet") == "ResNet"
    assert residual_of("SimpleCNN") == residual_of("PlainCNN") == "ResidualCNN"
    with pytest.raises(KeyError, match="ResNet"):
        residual_of("ResNet")


def test_one_key_however_a_value_is_spelt():
    spelt = RunSpec(
        ModelSpec("MLP", "4", "16"), "smoke-grey", TrainingConfig(validation_size="500"), "0"
    )
    whole, real = (
        replace(SPEC, training=replace(SPEC.training, learning_rate=rate)) for rate in (1, 1.0)
    )
    for one, other in ((spelt, SPEC), (whole, real)):
        assert one == other and one.key == other.key
        assert json.dumps(one.to_dict()) == json.dumps(other.to_dict())


def test_title_and_name_tell_the_run():
    assert re.fullmatch("[0-9a-f]{16}", SPEC.key)
    assert SPEC.name == f"MLP-d4-smoke-grey-s0.{SPEC.key}"
    assert SPEC.title == (
        "MLP, 4 layers, width 16, built-in grey patterns, 20 epochs, learning rate 0.001, "
        "500 validation images, seed 0"
    )
    wide = replace(SPEC, model=ModelSpec("SimpleCNN", 3, channels=11))
    assert wide.title.startswith("SimpleCNN, 3 stages, 11 channels, ")
    permuted = replace(SPEC, distillation=DistillationConfig(SPEC, wrong_classes="permuted"))
    assert "wrong classes permuted" in permuted.title


@pytest.mark.parametrize("make", GOLDEN_KEYS.values(), ids=GOLDEN_KEYS)
def test_a_spec_survives_being_written_out(make):
    spec = make()
    text = json.dumps(spec.to_dict(), allow_nan=False)
    written = json.loads(text)
    again = RunSpec.from_dict(written)
    assert again == spec and again.key == spec.key
    assert json.dumps(written) == text  # which reading leaves as it was


def test_everything_is_spelled_out_in_a_record_and_what_an_old_one_lacks_has_its_default():
    written = SPEC.to_dict()
    assert set(written) == {"model", "dataset", "training", "seed", "distillation", "recipe"}
    assert set(written["training"]) == {each.name for each in fields(TrainingConfig)}
    assert set(written["model"]) == {each.name for each in fields(ModelSpec)}
    assert written["recipe"] == SPEC.recipe
    written = SPEC.to_dict()
    del written["training"]["minimum_improvement"]
    del written["training"]["augmentation"]
    del written["model"]["dropout_rate"]
    assert RunSpec.from_dict(written) == SPEC


@pytest.mark.parametrize(
    ("change", "name"),
    [
        *((lambda spec, part=part: spec[part].update(invented=1), "invented")
          for part in ("model", "training")),
        (lambda spec: spec.update(invented=1), "invented"),
        *((lambda spec, part=part: spec.pop(part), part)
          for part in ("model", "training", "dataset", "seed")),
    ],
)  # fmt: skip
def test_a_spec_that_lacks_a_part_or_has_one_of_a_newer_version_is_refused(change, name):
    written = SPEC.to_dict()
    change(written)
    with pytest.raises(ParameterError, match=f"not a run specification.*{name}"):
        RunSpec.from_dict(written)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ModelSpec("CNN", 4, 16), r"ModelSpec: family = 'CNN'.*MLP, ResidualMLP"),
        (lambda: ModelSpec("MLP", 4), "MLP needs width"),
        (lambda: ModelSpec("MLP", 4, 16, "swish"), "ModelSpec: activation = 'swish'.*gelu"),
        (lambda: TrainingConfig(epochs=None), "TrainingConfig: epochs = None"),
        (
            lambda: replace(SPEC, training=replace(SPEC.training, omitted_class=10)),
            "omitted_class = 10 is not allowed for smoke-grey; allowed: from 0 to 9, or none",
        ),
        (lambda: replace(SPEC, dataset="imagenet"), "RunSpec: dataset = 'imagenet'.*mnist"),
        (
            lambda: TrainingConfig(patience=3, validation_size=0),
            "patience = 3 needs a validation split.*none",
        ),
    ],
)
def test_wrong_values_are_refused_where_they_are_set(make, message):
    with pytest.raises(ParameterError, match=message):
        make()


#: A valid model of each family.
VALID = {family: with_every_field(family) for family in FAMILIES}


@pytest.mark.parametrize("family", RECIPE)
def test_a_family_takes_the_fields_it_uses_and_no_other(family):
    assert set(VALID[family]) == set(FAMILIES[family].fields)
    taken = ModelSpec(family, **VALID[family])
    assert {name: getattr(taken, name) for name in VALID[family]} == VALID[family]
    for name, value in {**VALID["MLP"], **VALID["ResidualMLP"], **VALID["ResidualCNN"]}.items():
        if name not in VALID[family] and value is not None and name != "hidden_sizes":
            with pytest.raises(ParameterError) as caught:
                ModelSpec(family, **{**VALID[family], name: value})
            assert str(caught.value) == (
                f"{family} takes no {name} (got {value!r}); "
                f"it takes {', '.join(FAMILIES[family].fields)}"
            )


@pytest.mark.parametrize("family", RECIPE)
def test_a_family_needs_its_width_or_its_channels(family):
    needed = {"width", "channels"} & set(FAMILIES[family].fields)
    assert len(needed) <= 1
    for name in needed:
        left_out = (name, "hidden_sizes")
        fields_ = {field: value for field, value in VALID[family].items() if field not in left_out}
        with pytest.raises(ParameterError, match=f"^{family} needs {name}$"):
            ModelSpec(family, **fields_)


@pytest.mark.parametrize(
    ("families", "taken", "allowed"),
    [
        (("PlainNet", "ResNet"), range(8, 60, 6), "6n + 2 from 8 on, such as 20, 32, 44, 56, 110"),
        # A sixth stage would halve an image of 32 pixels to nothing.
        (
            ("SimpleCNN", "ResidualCNN", "PlainCNN"),
            range(1, 6),
            "from 1 to 5 stages, each of which halves the image",
        ),
    ],
)
def test_a_family_takes_the_depths_of_its_rule(families, taken, allowed):
    for family, depth in product(families, range(1, 60)):
        values = {**VALID[family], "depth": depth, "blocks_per_stage": None}
        values = {name: value for name, value in values.items() if value is not None}
        if depth in taken:
            assert ModelSpec(family, **values).depth == depth
            continue
        with pytest.raises(ParameterError) as caught:
            ModelSpec(family, **values)
        words = f"{family}: depth = {depth} is not allowed; allowed: {allowed}"
        assert str(caught.value) == words


@pytest.mark.parametrize("blocks", [(), (1,), (1, 2, 3), (1, 0), (1, -1), (1, 2.0), (1, True)])
def test_blocks_that_are_not_one_positive_integer_per_stage_are_refused(blocks):
    with pytest.raises(ParameterError) as caught:
        ModelSpec("ResidualCNN", 2, channels=4, blocks_per_stage=blocks)
    assert str(caught.value) == (
        f"blocks_per_stage = {list(blocks)} is not allowed; allowed: 2 numbers, one for each "
        "stage, each 1 or more"
    )


@pytest.mark.parametrize(
    ("dataset", "room"), [("mnist", 59_990), ("smoke-grey", 3_990), ("smoke-colour", 3_990)]
)
def test_a_validation_split_leaves_an_image_of_each_class(dataset, room):
    RunSpec(SPEC.model, dataset, TrainingConfig(validation_size=room), 0)
    with pytest.raises(ParameterError) as caught:
        RunSpec(SPEC.model, dataset, TrainingConfig(validation_size=room + 1), 0)
    assert str(caught.value) == (
        f"RunSpec: validation_size = {room + 1} is not allowed for {dataset}; "
        f"allowed: from 0 to {room}"
    )


def test_data_sets_are_declared_whole():
    assert set(DATASETS) == set(declared_fields.PARAMETERS["dataset"].choices)
    for name, declared in DATASETS.items():
        assert declared.name == name
        assert len(declared.mean) == len(declared.std) == declared.image_shape[0]
        assert re.fullmatch("[0-9a-f]{64}", declared.fingerprint)
        if declared.files:
            assert declared.fingerprint == files_fingerprint(declared.files)
    # By hand: printf 'aa  a\\nbb  b\\n' | sha256sum
    expected = "b862e08ce447fbc39d7546008cf8c0f7ea41b449df79d6e395abad7626f0d1b2"
    assert files_fingerprint({"b": "bb", "a": "aa"}) == expected
