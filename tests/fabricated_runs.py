"""Fabricated records and probes for all runs of a profile, as if the runs had been trained.

The sites that the tests look at are built from them, in seconds instead of the minutes that the
trainings would take.  Accuracies follow the course that the literature expects (plain
networks lose with depth, residual ones gain, a teacher helps) with some spread between seeds, so
that charts and claims have something to say.  The same spec always gets the same numbers.
`tests/training/test_fabricated_runs.py` compares their form with that of measured ones.
"""

import base64
import hashlib
import random
import re
import struct
import sys
import zlib
from functools import cache
from math import log

from lab1.core.datasets import DATASETS
from lab1.core.families import FAMILIES
from lab1.core.record import Record
from lab1.core.store import Store
from lab1.planning import chapters, profiles

#: What a record may say anywhere where it may say anything: nothing of it may come alive on a page,
#: which tests/browser looks for by the class, the global variable and the scheme.
HOSTILE = (
    "a <img class=hostile src=x onerror='window.hostile=1'> [b](javascript:window.hostile=1) "
    "**processor** $x$ `c` {.hostile} :::\n\n<script>window.hostile=1</script>\n\n"
    "# A heading {.hostile}"
)

#: The sizes of real probes: see `lab1/training/probes`.
HARDEST, SOFTENED, TEMPERATURES = 24, 8, (1, 4, 16)


def write_profile(profile, store, commit):
    """Writes a record, and the probes that the chapters show, for each run that a profile plans."""
    probes = {}
    for page in profiles.pages(profile):
        wanted = chapters.chapter(page.chapter).probes
        for spec in page.plan():
            probes[spec] = {**probes.get(spec, {}), **dict.fromkeys(wanted(spec))}
    for spec, names in probes.items():
        made = record(spec, commit)
        store.write(made)
        for name in names:
            store.write_probe(spec, name, PROBES[name](made))


def record(spec, commit="0" * 40):
    """The record of a run that trained for all its epochs, and whose last epoch was the best."""
    declared, config = DATASETS[spec.dataset], spec.training
    parameters, flops = size(spec.model, spec.dataset)
    errors = round((1 - accuracy(spec)) * declared.test_size)
    right = (declared.test_size - errors) / declared.test_size
    seconds = [round(0.5 + parameters / 50_000 + noise(spec, f"epoch {epoch}", 0.05), 3)
               for epoch in range(config.epochs)]  # fmt: skip
    ended = f"2026-01-01T12:{int(sum(seconds)) // 60:02}:{int(sum(seconds)) % 60:02}+00:00"
    score = {
        "loss": cross_entropy(right),
        "accuracy": right,
        "errors": errors,
        "count": declared.test_size,
        "calibration_error": abs(0.02 + noise(spec, "calibration", 0.01)),
    }
    versions = {
        "lab1": "0.1.0", "python": "3.11.0", "torch": f"2.11.0 {HOSTILE}", "torchvision": "0.26.0",
        "numpy": "2.0.0",
    }  # fmt: skip
    device = {"kind": "cpu", "name": HOSTILE, "threads": 1}
    started = "2026-01-01T12:00:00+00:00"
    segment = {
        "commit": commit, "sources": hashlib.sha256(b"sources").hexdigest(), "versions": versions,
        "device": {**device, "family": HOSTILE, "instruction_set": HOSTILE}, "from": started,
        "to": ended, "epochs": [1, config.epochs],
    }  # fmt: skip
    origin = {
        "commit": commit, "versions": versions, "device": device, "data_source": HOSTILE,
        "data_fingerprint": declared.fingerprint, "segments": [segment], "started": started,
        "ended": ended,
    }  # fmt: skip
    if spec.teacher is not None:
        score["teacher_agreement"] = accuracy(spec) - 0.03
        origin["teacher_sha256"] = weights_sha256(spec.teacher)
    return Record(
        spec=spec,
        history=history(spec, seconds),
        test=score,
        parameters=parameters,
        flops=flops,
        best_epoch=config.epochs,
        stopped="all epochs",
        seconds=sum(seconds),
        origin=origin,
        recipe=spec.recipe,
        weights_sha256=weights_sha256(spec),
    )


def history(spec, seconds):
    """One value per epoch of every series: errors fall, ever more slowly, to that of the run."""
    config = spec.training
    falling = [1 + 3 * 0.4**epoch for epoch in range(1, config.epochs + 1)]
    left = [factor / falling[-1] for factor in falling]

    def course(name, gap):
        last = 1 - accuracy(spec) + gap
        rises = [1 - min(0.9, last * factor) + noise(spec, name, 0.003) for factor in left]
        return [min(value, 0.999) for value in rises]

    training = course("training", 0.03 if config.augmentation != "none" else -0.02)
    validation = course("validation", 0.005)
    values = {
        "train_loss": [*map(cross_entropy, training)],
        "train_accuracy": training,
        "validation_loss": [*map(cross_entropy, validation)],
        "validation_accuracy": validation,
        "learning_rate": [config.learning_rate / epoch for epoch in range(1, config.epochs + 1)],
        "gradient_norm": [0.5 + 0.2 * factor for factor in left],
        "seconds": seconds,
        "peak_memory_bytes": [300_000_000] * config.epochs,
    }
    if not config.validation_size:
        values |= dict.fromkeys(("validation_loss", "validation_accuracy"), [None] * config.epochs)
    if config.train_evaluation_size:
        evaluated = course("evaluation", 0.01)
        values["train_evaluation_loss"] = [*map(cross_entropy, evaluated)]
        values["train_evaluation_accuracy"] = evaluated
    if spec.distillation is not None:
        hard = values["train_loss"]
        soft = [spec.distillation.temperature * loss / 2 for loss in hard]
        alpha = spec.distillation.alpha
        values["hard_loss"], values["soft_loss"] = hard, soft
        values["train_loss"] = [
            (1 - alpha) * h + alpha * s for h, s in zip(hard, soft, strict=True)
        ]
    return values


def accuracy(spec):
    """The share of test images that a run gets right, before it is rounded to whole images."""
    model, config = spec.model, spec.training
    units = model.width or model.channels or 16
    error = 0.16 / (units / 16) ** 0.3 / (config.epochs / 2) ** 0.2
    residual = FAMILIES[model.family].style == "residual"
    error *= 1 + (-0.02 if residual else 0.05) * model.depth
    error *= 1 + 30 * abs(config.learning_rate - 0.002) if config.learning_rate < 0.05 else 1
    omitted = config.omitted_class is not None
    if spec.distillation is not None:
        gain = 0.02 * spec.distillation.alpha * min(spec.distillation.temperature, 4) / 4
        error -= gain + (0.06 if omitted else 0)
    error += 0.09 if omitted else 0
    return 1 - error + noise(None, f"seed {spec.seed}", 0.004) + noise(spec, "run", 0.003)


def noise(spec, purpose, deviation):
    """A number that differs from run to run (or, without a spec, does not) and from purpose to
    purpose, and is always the same for the same ones."""
    key = spec.key if spec else ""
    return random.Random(f"{key} {purpose}").gauss(0, deviation)


def cross_entropy(accuracy):
    """A loss that falls as the accuracy rises."""
    return -log(accuracy) + 0.1 * (1 - accuracy)


def weights_sha256(spec):
    return hashlib.sha256(spec.key.encode()).hexdigest()


def network(spec):
    """The real network, untrained; torch is needed here and for its size alone."""
    from lab1.training import models

    return models.build(spec.model, DATASETS[spec.dataset], spec.seed)


@cache
def size(model, dataset):
    """The parameters of a network, and the operations that one image costs."""
    from lab1.training import models

    built = models.build(model, DATASETS[dataset], 0)
    image_shape = DATASETS[dataset].image_shape
    return models.count_parameters(built), models.count_flops(built, image_shape)


def weighted_layers(spec):
    """The convolutional and linear layers of a run's network, by name."""
    return {
        name: module
        for name, module in network(spec).named_modules()
        if getattr(module, "weight", None) is not None and module.weight.dim() > 1
    }


def png(shape, shade, bits=8):
    """A picture of one shade as a PNG in base64; ``shape`` is (channels, height, width)."""
    channels, height, width = shape

    def chunk(kind, content):
        checked = kind + content
        return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))

    header = struct.pack(">IIBBBBB", width, height, bits, 0 if channels == 1 else 2, 0, 0, 0)
    rows = (b"\0" + bytes([shade]) * (width * channels * bits // 8)) * height
    content = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return base64.b64encode(b"\x89PNG\r\n\x1a\n" + content).decode()


# The probes, each as its namesake in `lab1/training/probes` would give it


def confusion(made):
    classes, count = DATASETS[made.spec.dataset].num_classes, made.test["count"]
    counts = [[0] * classes for _ in range(classes)]
    for label in range(classes):
        counts[label][label] = count // classes
    for error in range(made.test["errors"]):
        label = error % classes
        counts[label][label] -= 1
        counts[label][(label + 1 + error % 3) % classes] += 1
    return {"counts": counts}


def hardest(made):
    declared = DATASETS[made.spec.dataset]
    return {
        "images": [
            {
                "index": 7 * place,
                "label": place % declared.num_classes,
                "predicted": (place + 1) % declared.num_classes,
                "p_label": 0.001 * (place + 1),
                "p_predicted": 0.95 - 0.01 * place,
                "png": png(declared.image_shape, 10 * place),
            }
            for place in range(HARDEST)
        ]
    }


def softened(made):
    declared = DATASETS[made.spec.dataset]

    def probabilities(label, temperature):
        weights = [2.0 ** (-6 * abs(other - label) / temperature)
                   for other in range(declared.num_classes)]  # fmt: skip
        return [weight / sum(weights) for weight in weights]

    def answered(label):
        return {
            "index": 11 * label,
            "label": label,
            "png": png(declared.image_shape, 20 * label),
            "probabilities": [probabilities(label, each) for each in TEMPERATURES],
        }

    return {
        "temperatures": list(TEMPERATURES),
        "images": [answered(label) for label in range(SOFTENED)],
        "confident": [answered(label) for label in range(SOFTENED // 2)],
    }


def bias_correction(made):
    classes, count = DATASETS[made.spec.dataset].num_classes, made.test["count"]
    errors = made.test["errors"]
    of_class = count // classes
    unseen = min(errors, of_class * (40 if made.spec.distillation else 95) // 100)
    return {
        "omitted_class": made.spec.training.omitted_class,
        "offset": 2.5,
        "count_of_class": of_class,
        "errors": {"before": errors, "after": errors - unseen // 2},
        "errors_of_class": {"before": unseen, "after": unseen // 3},
    }


def layers(made):
    names = list(weighted_layers(made.spec))
    fading = 1.0 if FAMILIES[made.spec.model.family].style == "residual" else 0.9

    def state(scale):
        behind = range(len(names) - 1, -1, -1)
        return {
            "gradient_norm": [scale * fading**distance for distance in behind],
            "response": [scale * fading**layer for layer in range(len(names))],
        }

    return {"names": names, "initial": state(1.0), "trained": state(0.5)}


def gradient_agreement(made):
    deep = made.spec.model.depth
    return {
        "images": made.spec.training.batch_size,
        "bf16": 0.999 - 0.001 * deep,
        "jittered": 0.9999 - 0.0001 * deep,
    }


def recomputed_statistics(made):
    error = 1 - made.history["train_evaluation_accuracy"][-1]
    return {
        "count": made.spec.training.train_evaluation_size,
        "error": error,
        "recomputed_error": error - 0.004,
    }


def lesion(made):
    whole = {name: made.test[name] for name in ("accuracy", "loss")}
    share = 0.9 if made.spec.model.family in ("ResidualCNN", "ResNet") else 0.2
    without = {"accuracy": share * whole["accuracy"], "loss": whole["loss"] / share}
    names = [name for name, _ in network(made.spec).named_modules()]
    blocks = [name for name in names if re.fullmatch(r"(stages|blocks)\.\d+", name)]
    return {
        "whole": whole,
        "blocks": [{"name": name, "kept": "identity", **without} for name in blocks],
    }


def teacher_agreement(made):
    taught = made.test["teacher_agreement"]
    return {"alone": taught - 0.02, "taught": taught}


def temperature_scaling(made):
    before = {name: made.test[name] for name in ("loss", "calibration_error")}
    return {
        "temperature": 1.5,
        **{name: {"before": value, "after": value / 2} for name, value in before.items()},
    }


def int8_weights(made):
    drawn = random.Random(made.key)
    shapes = [list(module.weight.shape) for module in weighted_layers(made.spec).values()]
    return {
        "layers": [
            {
                "shape": [outputs, inputs],
                "int8": base64.b64encode(drawn.randbytes(outputs * inputs)).decode(),
                "scales": [0.001] * outputs,
                "bias": [0.0] * outputs,
            }
            for outputs, inputs in shapes
        ],
        "errors": {"float32": made.test["errors"], "int8": made.test["errors"] + 1},
    }


PROBES = {
    "confusion": confusion, "hardest": hardest, "softened": softened,
    "bias-correction": bias_correction, "layers": layers, "gradient-agreement": gradient_agreement,
    "recomputed-statistics": recomputed_statistics, "int8-weights": int8_weights, "lesion": lesion,
    "teacher-agreement": teacher_agreement, "temperature-scaling": temperature_scaling,
}  # fmt: skip


if __name__ == "__main__":
    write_profile(sys.argv[1], Store(), sys.argv[2])
