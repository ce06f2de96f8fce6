"""One temperature makes scores mean what they say, and changes no answer."""

from __future__ import annotations

import numpy as np
import pytest

from transfer.features.calibration import (
    LIMITS,
    bin_by_confidence,
    calibrate,
    calibrated_loss,
    expected_calibration_error,
    fit_temperature,
)
from transfer.features.metrics import log_loss
from transfer.runtime.softmax import softmax


def honest_logits(n: int = 20_000, classes: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Logits whose softmax is the true distribution of the labels drawn."""
    chance = np.random.default_rng(0)
    logits = chance.normal(0, 2, (n, classes))
    labels = (softmax(logits).cumsum(1) < chance.random((n, 1))).sum(1)
    return logits, labels


@pytest.mark.parametrize('factor', [0.3, 1.0, 4.0])
def test_the_temperature_finds_the_factor_that_spoiled_the_scores(factor):
    logits, labels = honest_logits()
    assert fit_temperature(logits * factor, labels) == pytest.approx(factor, rel=0.05)


def test_calibration_lowers_the_error_and_keeps_the_answers():
    logits, labels = honest_logits(4000)
    found = calibrate(logits * 5, labels)
    assert found.ece_before > 0.1
    assert found.ece_after < 0.03
    assert found.loss_after < found.loss_before
    assert np.array_equal(softmax(logits * 5, found.temperature).argmax(1), logits.argmax(1))


def test_the_least_log_loss_is_found():
    logits, labels = honest_logits(300)
    best = fit_temperature(logits * 3, labels)
    grid = [log_loss(logits * 3, labels, t) for t in np.geomspace(0.1, 20, 200)]
    assert log_loss(logits * 3, labels, best) <= min(grid) + 1e-6


def test_scores_without_any_mistake_stay_finite():
    logits = np.eye(3)[[0, 1, 2]] * 5
    found = calibrate(logits, np.array([0, 1, 2]))
    assert LIMITS[0] <= found.temperature <= LIMITS[1]
    assert np.isfinite(found.loss_after)


def test_the_reliability_diagram_counts_every_image_once():
    probabilities = np.array([[0.95, 0.05], [0.92, 0.08], [0.3, 0.7], [1.0, 0.0]])
    bins = bin_by_confidence(probabilities, np.array([0, 1, 1, 0]))
    assert [(row.low, row.n) for row in bins] == [(0.7, 1), (0.9, 3)]
    assert bins[1].accuracy == pytest.approx(2 / 3)
    assert expected_calibration_error(bins) == pytest.approx((0.3 + 3 * abs(0.95 + 0.92 + 1 - 2) / 3) / 4)


def test_overconfidence_that_calibration_corrects_costs_nothing():
    logits, labels = honest_logits(300)
    assert calibrated_loss(logits * 5, labels) == pytest.approx(calibrated_loss(logits, labels), abs=1e-4)
    assert log_loss(logits * 5, labels) > 1.5 * log_loss(logits, labels)
