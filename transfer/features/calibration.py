"""Scores that mean what they say: one temperature (Guo et al. 2017), fitted on out-of-fold logits. Numpy and scipy only."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar

from transfer.features.metrics import log_loss, softmax

BINS = 10  # of equal width in confidence
LIMITS = (
    0.05,
    20.0,
)  # a handful of images all right or all wrong has its optimum at infinity: bounded instead


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The temperature that minimises the log loss of (n, classes) logits. Dividing by it changes no answer, only its score."""
    found = minimize_scalar(
        lambda log_t: log_loss(logits, labels, math.exp(log_t)),
        bounds=(math.log(LIMITS[0]), math.log(LIMITS[1])),
        method='bounded',
    )
    return float(math.exp(found.x))


def calibrated_loss(logits: np.ndarray, labels: np.ndarray) -> float:
    """The log loss that is left at the best temperature."""
    return log_loss(logits, labels, fit_temperature(logits, labels))


def bin_by_confidence(probabilities: np.ndarray, labels: np.ndarray) -> list[dict[str, Any]]:
    """For each occupied bin of confidence: its edges, n, mean confidence and accuracy."""
    confidence, right = probabilities.max(1), probabilities.argmax(1) == labels
    place = np.minimum((confidence * BINS).astype(int), BINS - 1)
    return [
        {
            'low': index / BINS,
            'high': (index + 1) / BINS,
            'n': int(inside.sum()),
            'confidence': float(confidence[inside].mean()),
            'accuracy': float(right[inside].mean()),
        }
        for index in range(BINS)
        if (inside := place == index).any()
    ]


def expected_calibration_error(bins: list[dict[str, Any]]) -> float:
    """Expected calibration error: |confidence - accuracy| averaged over the bins, weighted by n."""
    total = sum(row['n'] for row in bins)
    return float(sum(row['n'] * abs(row['confidence'] - row['accuracy']) for row in bins) / total)


def calibrate(logits: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """Temperature, log loss and calibration error before and after, and the reliability diagram of the calibrated scores.

    The after figures use the temperature fitted on the same out-of-fold logits: one parameter, so hardly flattered.
    """
    temperature = fit_temperature(logits, labels)
    before, after = (
        bin_by_confidence(softmax(logits), labels),
        bin_by_confidence(softmax(logits, temperature), labels),
    )
    return {
        'temperature': temperature,
        'ece_before': expected_calibration_error(before),
        'ece_after': expected_calibration_error(after),
        'loss_before': log_loss(logits, labels),
        'loss_after': log_loss(logits, labels, temperature),
        'bins_before': before,
        'bins': after,
    }
