"""Golden runs: they fail when what a training computes changes and ``RECIPE`` did not.

Each record in ``results/`` claims to be what its recipe computes.  A change that alters losses
beyond rounding (another initialisation, order, loss, optimiser, split) makes the published records
those of another recipe, and a key that stayed the same would hide it.
"""

import json

import pytest

from lab1.config import RECIPE, ModelSpec, RunSpec, RuntimeOptions, TrainingConfig
from lab1.parameters import PARAMETERS
from lab1.training.engine import train_run

# Two courses, so that most of what a configuration can name takes part.  Not dropout, whose numbers
# differ between builds of torch, and for speed but 300 images and 38 steps.
_COMMON = {"epochs": 2, "batch_size": 16, "validation_size": 3700}
COURSES = {
    "adam": {**_COMMON, "learning_rate": 0.01, "schedule": "cosine"},
    "sgd": {
        **_COMMON,
        "optimizer": "sgd",
        "learning_rate": 0.03,
        "momentum": 0.8,
        "weight_decay": 0.001,
        "schedule": "step",
        "augmentation": "crop-flip",
    },
}

# How far other processors and numbers of threads may be off, relative.  Measured on x86 with one
# and two threads and with torch and oneDNN held to SSE, AVX2 and AVX-512: 1e-6 in float32, where
# sums are only taken in another order, and 3e-3 in bf16, where a rounding is 4e-3 and some
# processors round between operations that others fuse.  Switching bf16 off changes 2e-2.
TOLERANCE = {"float32": 1e-4, "bf16": 1e-2}

# By family and precision: the recipe that the values belong to, and by course the training loss of
# both epochs, the validation loss of both, and the test loss.
# ``python tests/training/test_golden.py`` prints the present ones.
GOLDEN = {
    ("MLP", "float32"): (
        1,
        {
            "adam": [2.312698, 2.014208, 2.212109, 2.18082, 2.159871],
            "sgd": [2.470301, 2.31279, 2.330887, 2.327732, 2.331442],
        },
    ),
    ("MLP", "bf16"): (
        1,
        {
            "adam": [2.310195, 1.969807, 2.21508, 2.188418, 2.173326],
            "sgd": [2.467557, 2.315521, 2.332592, 2.328379, 2.335584],
        },
    ),
    ("ResidualMLP", "float32"): (
        1,
        {
            "adam": [2.236472, 1.398702, 2.043317, 1.918238, 1.922121],
            "sgd": [2.413327, 2.317002, 2.425951, 2.414787, 2.4469],
        },
    ),
    ("ResidualMLP", "bf16"): (
        1,
        {
            "adam": [2.220079, 1.427193, 2.038822, 1.927624, 1.937327],
            "sgd": [2.415316, 2.317899, 2.400838, 2.390928, 2.412156],
        },
    ),
}


def losses(family, precision, course):
    config = TrainingConfig(**COURSES[course], precision=precision)
    spec = RunSpec(ModelSpec(family, 4, 16), "smoke-grey", config, 0)
    record = train_run(spec, RuntimeOptions(device="cpu", progress=False))
    return [
        *record.history["train_loss"],
        *record.history["validation_loss"],
        record.test["loss"],
    ]


@pytest.mark.parametrize("family", RECIPE)
@pytest.mark.parametrize("precision", PARAMETERS["precision"].choices)
def test_every_family_has_golden_values_for_every_precision(family, precision):
    _, values = GOLDEN[family, precision]
    assert set(values) == set(COURSES)
    assert {len(each) for each in values.values()} == {5}


@pytest.mark.parametrize("course", COURSES)
@pytest.mark.parametrize(("family", "precision"), GOLDEN)
def test_a_training_computes_what_its_recipe_did(family, precision, course):
    recipe, values = GOLDEN[family, precision]
    found = losses(family, precision, course)
    here = "tests/training/test_golden.py"
    assert recipe == RECIPE[family], (
        f"RECIPE[{family!r}] is {RECIPE[family]}, the golden values are those of recipe {recipe}: "
        f"pin the new ones with `python {here}`"
    )
    assert found == pytest.approx(values[course], rel=TOLERANCE[precision]), (
        f"what training {family} in {precision} computes has changed: undo it, or raise "
        f"RECIPE[{family!r}] in lab1/config.py above {recipe} (which asks for new records) and pin "
        f"the new values with `python {here}`"
    )


if __name__ == "__main__":
    for family in RECIPE:
        for precision in PARAMETERS["precision"].choices:
            values = {
                course: [round(each, 6) for each in losses(family, precision, course)]
                for course in COURSES
            }
            print(f"    ({family!r}, {precision!r}): ({RECIPE[family]}, {json.dumps(values)}),")
