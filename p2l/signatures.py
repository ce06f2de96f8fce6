"""Signatures: what a set of images looks like to the reference network, as one probability vector."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.floating]

EPSILON = 1e-8  # added to every mean feature, so that no divergence is infinite (design: p = (v + eps) / sum(v + eps))
DIGITS = 6  # of a stored feature: far below the noise of a mean


def mean_feature(features: ArrayLike) -> Floats:
    """(n, d) non-negative features of n images to their mean, (d,). This is what is stored of a data set.

    ValueError when there is no image, or a feature is negative or not finite: a signature of signed numbers means nothing.
    """
    values = np.asarray(features, dtype=np.float64)
    if values.ndim != 2 or not values.size:
        raise ValueError(f'features must be a full matrix (images, features), not of shape {values.shape}')
    if not np.isfinite(values).all() or values.min() < 0:
        raise ValueError('features must be finite and not negative')
    return values.mean(axis=0)


def signature(means: ArrayLike) -> Floats:
    """Mean features (..., d) to probability vectors of the same shape, each of sum one."""
    shifted = np.asarray(means, dtype=np.float64) + EPSILON
    return shifted / shifted.sum(axis=-1, keepdims=True)


def log_signatures(means: ArrayLike) -> Floats:
    """Stored mean features (m, d) to what is kept ready for scoring: the logarithms of their signatures."""
    return np.log(signature(means))


def rounded(mean: ArrayLike) -> list[float]:
    """A mean feature (d,) as it is stored."""
    return [round(float(value), DIGITS) for value in np.asarray(mean, dtype=np.float64)]


@dataclass(frozen=True)
class Look:
    """What a data set looks like class by class: the mean feature of each class (c, d), and how many images it has (c,)."""

    means: Floats
    images: Floats

    def __post_init__(self) -> None:
        if self.means.ndim != 2 or self.images.shape != (len(self.means),) or not len(self.means):
            raise ValueError(
                f'one mean and one count a class are needed, not {self.means.shape} and {self.images.shape}'
            )
        if not np.isfinite(self.means).all() or self.means.min() < 0 or self.images.min() <= 0:
            raise ValueError('the means must be finite and not negative, and every class must have an image')


def look_by_class(features: ArrayLike, labels: ArrayLike, weights: ArrayLike | None = None) -> Look:
    """(n, d) features of n images and their classes, int (n,), to their look; `weights` (n,) count an image more than once."""
    values, classes = np.asarray(features, dtype=np.float64), np.asarray(labels)
    counts = np.ones(len(values)) if weights is None else np.asarray(weights, dtype=np.float64)
    members = np.eye(int(classes.max()) + 1)[classes].T * counts
    present = members.sum(1) > 0
    totals = members[present].sum(1)
    return Look(members[present] @ values / totals[:, None], totals)
