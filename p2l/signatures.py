"""Signatures: what a set of images looks like to the reference network, as one probability vector."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.floating]

EPSILON = 1e-8  # added to every mean feature, so that no divergence is infinite (design: p = (v + eps) / sum(v + eps))


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
