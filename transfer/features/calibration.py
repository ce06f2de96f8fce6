"""Calibrate scores with one temperature (Guo et al. 2017), fitted on out-of-fold logits.

NumPy and SciPy only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.optimize import minimize_scalar

from transfer.features.metrics import log_loss
from transfer.runtime.softmax import softmax
from transfer.spec.report import CalibrationReport, ReliabilityBin

BINS = 10  # of equal width in confidence
# Of the temperature: a handful of images all right or all wrong has its optimum at infinity.
LIMITS = (0.05, 20.0)


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The temperature that minimises the log loss of (n, classes) logits.

    It changes no prediction, only its score.
    """
    found = minimize_scalar(
        lambda log_t: log_loss(logits, labels, math.exp(log_t)),
        bounds=(math.log(LIMITS[0]), math.log(LIMITS[1])),
        method='bounded',
    )
    return float(math.exp(found.x))


def calibrated_loss(logits: np.ndarray, labels: np.ndarray) -> float:
    """The log loss at the best temperature."""
    return log_loss(logits, labels, fit_temperature(logits, labels))


def bin_by_confidence(probabilities: np.ndarray, labels: np.ndarray) -> tuple[ReliabilityBin, ...]:
    """The reliability diagram: each bin of confidence that holds images, from low to high."""
    confidence, right = probabilities.max(1), probabilities.argmax(1) == labels
    bin_of = np.minimum((confidence * BINS).astype(int), BINS - 1)
    return tuple(
        ReliabilityBin(
            low=index / BINS,
            high=(index + 1) / BINS,
            n=int(inside.sum()),
            confidence=float(confidence[inside].mean()),
            accuracy=float(right[inside].mean()),
        )
        for index in range(BINS)
        if (inside := bin_of == index).any()
    )


def expected_calibration_error(bins: Sequence[ReliabilityBin]) -> float:
    """|confidence - accuracy| averaged over the bins, weighted by n."""
    return sum(row.n * abs(row.confidence - row.accuracy) for row in bins) / sum(row.n for row in bins)


def calibrate(logits: np.ndarray, labels: np.ndarray) -> CalibrationReport:
    """Fit the temperature; log loss and calibration error before and after, and the reliability diagrams.

    The after figures use the temperature fitted on the same out-of-fold logits: one parameter, so hardly
    flattered.
    """
    temperature = fit_temperature(logits, labels)
    before = bin_by_confidence(softmax(logits), labels)
    after = bin_by_confidence(softmax(logits, temperature), labels)
    return CalibrationReport(
        temperature=temperature,
        ece_before=expected_calibration_error(before),
        ece_after=expected_calibration_error(after),
        loss_before=log_loss(logits, labels),
        loss_after=log_loss(logits, labels, temperature),
        bins_before=before,
        bins=after,
    )
