import math

import pytest
import torch

from lab1.training.evaluation import expected_calibration_error, fit_temperature


def logits(confidence, predicted=0, classes=3):
    """Logits of one image whose answer has that probability, the others alike."""
    rest = (1 - confidence) / (classes - 1)
    values = [rest] * classes
    values[predicted] = confidence
    return [math.log(value) for value in values]


def error(*images, bins=15):
    """Of images, each a confidence and whether the answer is right."""
    labels = torch.tensor([0 if right else 1 for _, right in images])
    return expected_calibration_error(
        torch.tensor([logits(confidence) for confidence, _ in images]), labels, bins
    )


def test_by_hand():
    # In one bin, (0.8, 0.867]: two of three right, at 0.82, 0.84 and 0.86.
    assert error((0.82, True), (0.84, True), (0.86, False)) == pytest.approx(0.84 - 2 / 3)
    # In two bins, each by its share of the images.
    images = [(0.9, True), (0.9, False), (0.5, True), (0.5, True)]
    assert error(*images) == pytest.approx(0.5 * 0.4 + 0.5 * 0.5)
    # In one bin for all, what is too much here and too little there cancels out.
    assert error(*images, bins=1) == pytest.approx(0.75 - 0.7)


def test_a_network_that_is_as_sure_as_it_is_right_has_none():
    assert error(*[(0.75, index % 4 != 0) for index in range(40)]) == pytest.approx(0, abs=1e-6)
    assert error((1 - 1e-9, True)) == pytest.approx(0, abs=1e-6)


def test_the_upper_edge_belongs_to_a_bin():
    half = torch.tensor([[0.0, 0.0], [0.0, 0.0]])  # confidence 0.5 exactly, the edge of two bins
    one_above = torch.tensor([[0.0, 0.01]])
    labels = torch.tensor([0, 0])
    assert expected_calibration_error(half, labels, 2) == pytest.approx(0.5)
    mixed = torch.cat([half[:1], one_above])
    expected = (abs(0.5 - 1) + abs(1 / (1 + math.exp(-0.01)) - 0)) / 2
    assert expected_calibration_error(mixed, labels, 2) == pytest.approx(expected)


def test_what_is_no_number_has_no_calibration():
    assert math.isnan(
        expected_calibration_error(torch.tensor([[0.0, math.nan]]), torch.tensor([0]))
    )


def test_the_fitted_temperature_by_hand():
    # As sure of three right answers as of a wrong one: the probability is to be three quarters.
    said = torch.tensor([[1.0, 0.0]]).repeat(4, 1)
    labels = torch.tensor([0, 0, 0, 1])
    assert fit_temperature(said, labels) == pytest.approx(1 / math.log(3))
    assert fit_temperature(3 * said, labels) == pytest.approx(3 / math.log(3))


def test_a_loss_that_falls_without_end_stops_at_an_end():
    said = torch.tensor([[1.0, 0.0]])
    assert fit_temperature(said, torch.tensor([0])) == 0.01  # always right
    assert fit_temperature(said, torch.tensor([1])) == 100  # never
