"""What more photos would add: the accuracy at growing numbers of them, extrapolated to at most twice as many,
with a band."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from p2l.forecast import log_odds, sigmoid

Z95 = 1.959964  # standard deviations of a 95 % interval
MAX_GROWTH = 2.0  # times the photos that are there: beyond, the line is a guess


@dataclass(frozen=True)
class CurvePoint:
    """The cross-validated accuracy of linear heads fitted to so many images; subsets of one size are
    averaged."""

    images: int
    accuracy: float
    test_images: int  # images behind the accuracy, over all subsets of that size


@dataclass(frozen=True)
class ExpectedGain:
    """What so many more images would add to the accuracy, with its 95 % interval; never below 0."""

    images: int
    middle: float
    low: float
    high: float


def forecast_gain(points: Sequence[CurvePoint], more: int) -> ExpectedGain | None:
    """Extrapolate the learning curve by `more` images, or by as many as double the set where that is less.

    Log odds of the accuracy are taken to grow by a constant with every doubling, which levels off towards 1
    as accuracy does: a weighted least-squares line over log2(images), each point weighing by its counting
    noise 1 / (n p q), its slope held at 0 or above. None with fewer than two sizes: then nothing is known of
    the slope.
    """
    if len({point.images for point in points}) < 2:
        return None
    last = max(points, key=lambda point: point.images)
    sizes = np.log2([point.images / last.images for point in points])
    odds = np.array([float(log_odds(point.accuracy, point.test_images)) for point in points])
    counts = np.array([point.test_images for point in points])
    weights = counts * np.maximum(sigmoid(odds) * (1 - sigmoid(odds)), 0.5 / counts)
    centre = (weights @ sizes) / weights.sum()
    spread = weights @ (sizes - centre) ** 2
    slope = float(weights @ ((sizes - centre) * odds) / spread)
    error = Z95 / float(np.sqrt(spread))
    count = min(more, int(last.images * (MAX_GROWTH - 1)))
    doublings = float(np.log2(1 + count / last.images))
    now = float(odds[points.index(last)])
    rises = [max(0.0, value) * doublings for value in (slope, slope - error, slope + error)]
    middle, low, high = (float(sigmoid(np.array(now + rise)) - sigmoid(np.array(now))) for rise in rises)
    return ExpectedGain(count, middle, low, high)
