"""Fabricates the records of a study of distillation from accuracies."""

from dataclasses import replace

from lab1.core.training_config import DistillationConfig
from lab1.reporting.twins import Setting

SETTING = Setting(channels=11, temperature=4.0, alpha=0.9)


def study(
    make_record,
    pairs,
    *,
    channels=11,
    temperature=4.0,
    alpha=0.9,
    longer=(),
    dataset="cifar10-jpeg",
):
    """A teacher, and for each seed a student alone and one with the teacher.

    ``pairs`` are (accuracy alone, accuracy with the teacher) by seed; ``longer`` the accuracies of
    students that were trained alone for longer.
    """
    teacher = make_record("ResidualCNN", 4, 0, 0.86, dataset, channels=16, flops=89_000_000)
    distillation = DistillationConfig(teacher.spec, temperature, alpha)
    common = {"dataset": dataset, "channels": channels, "flops": 4_000_000}
    size = {"parameters": 400 * channels**2}
    records = [teacher]
    for seed, (alone, taught) in enumerate(pairs):
        records.append(make_record("SimpleCNN", 4, seed, alone, **common, **size))
        records.append(
            make_record("SimpleCNN", 4, seed, taught, distillation=distillation, **common, **size)
        )
    for seed, accuracy in enumerate(longer):
        record = make_record("SimpleCNN", 4, seed, accuracy, epochs=30, **common, **size)
        records.append(lengthened(record, 30))
    return records


def lengthened(record, epochs):
    """The record with its last epoch again and again, until there are so many."""
    series = {
        name: [*values, *values[-1:] * epochs][:epochs] for name, values in record.history.items()
    }
    return replace(record, history=series)


def several(make_record, studies, **shared):
    """The records of several studies, each once; a study is (pairs, what sets it apart)."""
    found = {}
    for pairs, change in studies:
        for record in study(make_record, pairs, **{**shared, **change}):
            found.setdefault(record.key, record)
    return list(found.values())


def digits(make_record, errors, unseen=None):
    """The records of the perceptrons: ``errors`` are (teacher, alone, taught) by seed.

    With ``unseen``, (alone, taught) by seed, there are students without class 3 too.
    """
    teachers = [
        make_record("MLP", 2, seed, 1 - own[0] / 10_000, "mnist", width=1200, augmentation="shift")
        for seed, own in enumerate(errors)
    ]
    distillation = DistillationConfig(teachers[0].spec, 20.0, 0.9)
    records = list(teachers)
    for omitted, values in ((None, [own[1:] for own in errors]), (3, unseen or [])):
        for seed, pair in enumerate(values):
            for wrong, own in zip(pair, (None, distillation), strict=True):
                accuracy = 1 - wrong / 10_000
                changes = {"width": 800, "omitted_class": omitted}
                changes |= {"distillation": own} if own else {}
                records.append(make_record("MLP", 2, seed, accuracy, "mnist", **changes))
    return records


def bias_probe(of_class, errors, corrected_of_class, corrected, offset=2.5):
    """What the probe ``bias-correction`` found."""
    return {
        "omitted_class": 3,
        "offset": offset,
        "count_of_class": 1000,
        "errors": {"before": errors, "after": corrected},
        "errors_of_class": {"before": of_class, "after": corrected_of_class},
    }


def measured(records, alone, taught):
    """The runs without class 3 with their probes, ``alone`` and ``taught`` by seed."""
    probes = {False: iter(alone), True: iter(taught)}
    return [
        (record, next(probes[record.spec.distillation is not None]))
        for record in records
        if record.spec.training.omitted_class is not None
    ]
