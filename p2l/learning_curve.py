"""What more photos would bring: the accuracy at growing numbers of them, carried on to at most twice as many, as a band."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from p2l.forecast import log_odds, share

Z95 = 1.959964
MOST = 2.0  # times the photos that are there: beyond, the line is a guess


@dataclass(frozen=True)
class Point:
    """The accuracy of heads that learned from so many images, cross-validated; subsets of one size are averaged."""

    images: int
    accuracy: float
    judged: int  # images behind the accuracy, over all subsets of that size


@dataclass(frozen=True)
class Gain:
    """What so many more images would add to the accuracy, with its 95 % interval; never below 0."""

    images: int
    middle: float
    low: float
    high: float


def gain(points: Sequence[Point], more: int) -> Gain | None:
    """Log odds of the accuracy are taken to grow by a constant with every doubling, which levels off towards 1 as accuracy does.

    The slope is fitted to the points, each with its counting noise, and held at 0 or above. `more` is cut to what doubles the
    set. None with fewer than two sizes: then nothing is known of the slope.
    """
    if len({point.images for point in points}) < 2:
        return None
    last = max(points, key=lambda point: point.images)
    sizes = np.log2([point.images / last.images for point in points])
    odds = np.array([float(log_odds(point.accuracy, point.judged)) for point in points])
    chance = share(odds) * (1 - share(odds))
    weights = np.array([point.judged for point in points]) * np.maximum(
        chance, 0.5 / np.array([p.judged for p in points])
    )
    centre = (weights @ sizes) / weights.sum()
    spread = weights @ (sizes - centre) ** 2
    slope = float(weights @ ((sizes - centre) * odds) / spread)
    error = Z95 / float(np.sqrt(spread))
    count = min(more, int(last.images * (MOST - 1)))
    doublings = float(np.log2(1 + count / last.images))
    now = float(odds[points.index(last)])
    rises = [max(0.0, value) * doublings for value in (slope, slope - error, slope + error)]
    middle, low, high = (float(share(np.array(now + rise)) - share(np.array(now))) for rise in rises)
    return Gain(count, middle, low, high)
