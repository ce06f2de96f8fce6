"""Signatures: what a data set looks like to the reference network, as one probability vector.

The signature of a data set is p = (v + eps) / sum(v + eps), where v is the mean over its images of the
reference network's penultimate feature, after ReLU and global average pooling (docs/p2l.md). Stored is v;
everything else is derived from it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.floating]

EPSILON = 1e-8  # added to every mean feature, so that no divergence is infinite
DIGITS = 6  # of a stored feature: far below the noise of a mean


def mean_feature(features: ArrayLike) -> Floats:
    """Average the features (n, d) of n images: (d,). This is what is stored of a data set.

    ValueError where there is no image, or a feature is negative or not finite: KL needs probabilities.
    """
    values = np.asarray(features, dtype=np.float64)
    if values.ndim != 2 or not values.size:
        raise ValueError(f'features must be a full matrix (images, features), not of shape {values.shape}')
    if not np.isfinite(values).all() or values.min() < 0:
        raise ValueError('features must be finite and not negative')
    return np.asarray(values.mean(axis=0))


def signature(means: ArrayLike) -> Floats:
    """Normalise mean features (..., d) to probability vectors of the same shape, each of sum one."""
    shifted = np.asarray(means, dtype=np.float64) + EPSILON
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True))


def log_signatures(means: ArrayLike) -> Floats:
    """Take the logarithms of the signatures of stored mean features (m, d), to score many targets against
    them."""
    return np.asarray(np.log(signature(means)))


def round_mean_feature(mean: ArrayLike) -> list[float]:
    """Round a mean feature (d,) to the digits that are stored."""
    return [round(float(value), DIGITS) for value in np.asarray(mean, dtype=np.float64)]


@dataclass(frozen=True)
class ClassMeans:
    """The mean feature of each class of a data set, for the earth mover's distance. ValueError where they
    make no sense."""

    means: Floats  # (classes, d), none negative
    images: Floats  # (classes,): how many images each class has, above 0

    def __post_init__(self) -> None:
        if self.means.ndim != 2 or self.images.shape != (len(self.means),) or not len(self.means):
            raise ValueError(
                f'one mean and one count a class are needed, not {self.means.shape} and {self.images.shape}'
            )
        if not np.isfinite(self.means).all() or self.means.min() < 0 or self.images.min() <= 0:
            raise ValueError('the means must be finite and not negative, and every class must have an image')


def compute_class_means(
    features: ArrayLike, labels: ArrayLike, weights: ArrayLike | None = None
) -> ClassMeans:
    """Average the features (n, d) of n images by their labels, int (n,), leaving out labels without an image.

    `weights` (n,): how often each image counts (a bootstrap draws some of them twice, others never); default
    once.
    """
    values, classes = np.asarray(features, dtype=np.float64), np.asarray(labels)
    counts = np.ones(len(values)) if weights is None else np.asarray(weights, dtype=np.float64)
    membership = np.eye(int(classes.max()) + 1)[classes].T * counts
    present = membership.sum(1) > 0
    totals = membership[present].sum(1)
    return ClassMeans(membership[present] @ values / totals[:, None], totals)
