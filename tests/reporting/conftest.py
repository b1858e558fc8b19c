"""Fabricates the records of whole experiments, a list of seeds at a time."""

from dataclasses import replace

import pytest
from distilled import lengthened

from lab1.reporting import frames


@pytest.fixture
def trained(make_record):
    """Fabricates one record, as ``make_record`` does, with series of one's own.

    ``trained(family, depth, seed, accuracy, learning_rate, validation=..., train_loss=...,
    fit=..., length=...)``: ``validation`` is the accuracy of the best epoch, ``train_loss`` the
    loss of the last and ``fit`` its accuracy on training images in evaluation mode, all by default
    those of ``make_record``; with ``length`` every series has that many epochs.
    """

    def make(
        family="MLP",
        depth=2,
        seed=0,
        accuracy=0.9,
        learning_rate=0.001,
        *,
        validation=None,
        train_loss=None,
        fit=None,
        length=None,
        **overrides,
    ):
        overrides["learning_rate"] = learning_rate
        record = make_record(family, depth, seed, accuracy, **overrides)
        series = {name: [*values] for name, values in record.history.items()}
        for name, epoch, value in (
            ("validation_accuracy", record.best_epoch, validation),
            ("train_loss", 0, train_loss),
            ("train_evaluation_accuracy", 0, fit),
        ):
            if value is not None:
                series[name][epoch - 1] = value
        if length is None:
            return replace(record, history=series)
        best_epoch = min(record.best_epoch, length)
        return lengthened(replace(record, history=series, best_epoch=best_epoch), length)

    return make


@pytest.fixture
def experiment(trained):
    """Fabricates a list of records from test accuracies, seed by seed from 0.

    ``experiment({("MLP", 2): [0.98, 0.97], ("MLP", 8, 0.003): [...]}, validation={...},
    train_loss={...}, fit={...})``: a cell is family, depth and, where it is not 0.001, the learning
    rate; the keywords give a cell's values per seed where they should not follow from the accuracy.
    """

    def make(accuracies, validation=None, train_loss=None, fit=None, **overrides):
        records = []
        series = {"validation": validation, "train_loss": train_loss, "fit": fit}
        for cell, values in accuracies.items():
            family, depth, *rate = cell
            given = {name: cells[cell] for name, cells in series.items() if cells and cell in cells}
            for seed, accuracy in enumerate(values):
                own = {name: of_seeds[seed] for name, of_seeds in given.items()}
                records.append(trained(family, depth, seed, accuracy, *rate, **own, **overrides))
        return records

    return make


@pytest.fixture
def records(experiment):
    """Two configurations of two and three seeds."""
    return experiment({("MLP", 2): [0.9, 0.8], ("ResidualMLP", 8): [0.9, 0.8, 0.7]})


@pytest.fixture
def runs(experiment):
    """The frame of the runs that ``experiment`` fabricates from the same arguments."""

    def make(*arguments, **keywords):
        return frames.runs(experiment(*arguments, **keywords))

    return make
