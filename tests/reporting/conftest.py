"""Fabricates the records of whole experiments, a list of seeds at a time."""

from dataclasses import replace

import pytest

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
        record = make_record(
            family, depth, seed, accuracy, learning_rate=learning_rate, **overrides
        )
        series = {name: [*values] for name, values in record.history.items()}
        if validation is not None:
            series["validation_accuracy"][record.best_epoch - 1] = validation
        if train_loss is not None:
            series["train_loss"][-1] = train_loss
        if fit is not None:
            series["train_evaluation_accuracy"][-1] = fit
        best_epoch = record.best_epoch
        if length is not None:
            # The last epoch again and again, or the first few.
            series = {
                name: [*values, *values[-1:] * length][:length] for name, values in series.items()
            }
            best_epoch = min(best_epoch, length)
        return replace(record, history=series, best_epoch=best_epoch)

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
        for cell, values in accuracies.items():
            family, depth, *rate = cell
            for seed, accuracy in enumerate(values):
                own = {
                    name: given[cell][seed]
                    for name, given in (
                        ("validation", validation),
                        ("train_loss", train_loss),
                        ("fit", fit),
                    )
                    if given and cell in given
                }
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
