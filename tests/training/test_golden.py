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

# By family: a small model, a data set, and what differs in both courses.  A convolution costs more,
# and batch normalisation and Adam amplify a rounding from step to step, hence 100 images, 14 steps.
_FEW = {"validation_size": 3900}
CASES = {
    "MLP": (ModelSpec("MLP", 4, 16), "smoke-grey", {}),
    "ResidualMLP": (ModelSpec("ResidualMLP", 4, 16), "smoke-grey", {}),
    "SimpleCNN": (ModelSpec("SimpleCNN", 2, channels=4), "smoke-colour", _FEW),
    "ResidualCNN": (ModelSpec("ResidualCNN", 2, channels=4), "smoke-colour", _FEW),
    "PlainNet": (ModelSpec("PlainNet", 8), "smoke-colour", _FEW),
    "ResNet": (ModelSpec("ResNet", 8), "smoke-colour", _FEW),
}

# How far other processors and numbers of threads may be off, relative.  Measured on x86 with one
# and two threads and with torch and oneDNN held to SSE, AVX2 and AVX-512: 1e-6 in float32, where
# sums are only taken in another order, and 3e-3 in bf16, where a rounding is 4e-3 and some
# processors round between operations that others fuse.  Switching bf16 off changes 2e-2.
TOLERANCE = {"float32": 1e-4, "bf16": 1e-2}

# He's nets under Adam are less steady: its first steps divide each gradient by its own size, which
# makes a rounding of a gradient near zero a whole step.  Measured with one and two threads: 1e-3 in
# float32 and 4e-3 in bf16, while switching bf16 off changes 4e-2 and more.  With SGD, and in the
# other two families, threads change 3e-5 at most in float32.  (In those two, and under SGD, bf16
# itself changes less than its tolerance, so it is for the others to notice that it is off.)
TOLERANCE_HE_ADAM = {"float32": 1e-2, "bf16": 3e-2}

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
    ("SimpleCNN", "float32"): (
        1,
        {
            "adam": [2.375811, 2.252495, 2.281898, 2.263203, 2.264525],
            "sgd": [2.407654, 2.330936, 2.316272, 2.314858, 2.315298],
        },
    ),
    ("SimpleCNN", "bf16"): (
        1,
        {
            "adam": [2.375949, 2.252388, 2.281709, 2.263213, 2.264644],
            "sgd": [2.407509, 2.331052, 2.316362, 2.314878, 2.315322],
        },
    ),
    ("ResidualCNN", "float32"): (
        1,
        {
            "adam": [2.340724, 2.270954, 2.287251, 2.253393, 2.292855],
            "sgd": [2.363893, 2.33057, 2.322339, 2.321553, 2.322463],
        },
    ),
    ("ResidualCNN", "bf16"): (
        1,
        {
            "adam": [2.34128, 2.271649, 2.286214, 2.255937, 2.291272],
            "sgd": [2.363943, 2.33079, 2.322347, 2.321541, 2.322456],
        },
    ),
    ("PlainNet", "float32"): (
        1,
        {
            "adam": [2.310008, 1.843818, 2.406574, 2.665176, 2.664932],
            "sgd": [2.340522, 2.30888, 2.304556, 2.304786, 2.304298],
        },
    ),
    ("PlainNet", "bf16"): (
        1,
        {
            "adam": [2.315253, 1.867001, 2.223362, 2.406412, 2.40456],
            "sgd": [2.340898, 2.308581, 2.304582, 2.304875, 2.304327],
        },
    ),
    ("ResNet", "float32"): (
        1,
        {
            "adam": [2.29968, 1.734213, 2.488665, 2.169663, 2.160239],
            "sgd": [2.381227, 2.317677, 2.30039, 2.302441, 2.30232],
        },
    ),
    ("ResNet", "bf16"): (
        1,
        {
            "adam": [2.300567, 1.721881, 2.477359, 2.076719, 2.07115],
            "sgd": [2.381637, 2.318487, 2.300339, 2.302373, 2.302318],
        },
    ),
}


def losses(family, precision, course):
    model, dataset, changes = CASES[family]
    config = TrainingConfig(**{**COURSES[course], **changes}, precision=precision)
    spec = RunSpec(model, dataset, config, 0)
    record = train_run(spec, RuntimeOptions(device="cpu", progress=False, threads=1))
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
@pytest.mark.parametrize(
    ("family", "precision"),
    [pytest.param(*case, marks=() if "MLP" in case[0] else pytest.mark.slow) for case in GOLDEN],
)
def test_a_training_computes_what_its_recipe_did(family, precision, course):
    recipe, values = GOLDEN[family, precision]
    found = losses(family, precision, course)
    here = "tests/training/test_golden.py"
    assert recipe == RECIPE[family], (
        f"RECIPE[{family!r}] is {RECIPE[family]}, the golden values are those of recipe {recipe}: "
        f"pin the new ones with `python {here}`"
    )
    unsteady = course == "adam" and family in ("PlainNet", "ResNet")
    tolerance = (TOLERANCE_HE_ADAM if unsteady else TOLERANCE)[precision]
    assert found == pytest.approx(values[course], rel=tolerance), (
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
