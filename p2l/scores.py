"""Divergences between signatures, and the P2L score. Everything is in nats.

A `*_divergence` or `*_distance` shrinks with likeness, a `*_score` grows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from p2l.signatures import Floats

WEIGHTS = (1.5, 1.0)  # similarity : size, as in the public re-implementation (Godau et al., arXiv 2412.08763)


def kl_divergences(targets: ArrayLike, log_sources: ArrayLike) -> Floats:
    """KL(target || source) for signatures (..., d) against stored log-signatures (m, d): shape (..., m).

    sum p log p - p . log q: for one target and a million sources, one matrix-vector product.
    """
    p = np.asarray(targets, dtype=np.float64)
    stored = np.asarray(log_sources)
    negative_entropy = np.sum(p * np.log(p), axis=-1, keepdims=True)
    products = p.astype(stored.dtype, copy=False) @ stored.T
    # Rounding may leave a hair below zero, where no divergence is.
    return np.maximum(negative_entropy - products, 0.0)


def kl_divergence(p: ArrayLike, q: ArrayLike) -> float:
    """KL(p || q) of two signatures (d,), both positive and of sum one."""
    return float(kl_divergences(p, np.log(np.asarray(q, dtype=np.float64))[None])[0])


def jensen_shannon_divergence(p: ArrayLike, q: ArrayLike) -> float:
    """Symmetric, between 0 and log 2."""
    middle = (np.asarray(p, dtype=np.float64) + np.asarray(q, dtype=np.float64)) / 2
    return (kl_divergence(p, middle) + kl_divergence(q, middle)) / 2


def cosine_distance(p: ArrayLike, q: ArrayLike) -> float:
    """1 - cosine of the angle: 0 for parallel vectors."""
    a, b = np.asarray(p, dtype=np.float64), np.asarray(q, dtype=np.float64)
    return float(1 - a @ b / np.sqrt((a @ a) * (b @ b)))


def standard_scores(values: ArrayLike) -> Floats:
    """z along the last axis (population deviation); all zero where the values do not differ."""
    rows = np.asarray(values, dtype=np.float64)
    centred = rows - rows.mean(axis=-1, keepdims=True)
    deviation = rows.std(axis=-1, keepdims=True)
    # Equal values differ by rounding alone; without the threshold that noise would be blown up to z = 1.
    differ = deviation > 1e-12 * np.maximum(1.0, np.abs(rows).max(axis=-1, keepdims=True))
    return np.where(differ, centred / np.where(differ, deviation, 1.0), 0.0)


def similarity_scores(divergences: ArrayLike) -> Floats:
    """z(-divergence) over the candidates (last axis)."""
    return standard_scores(-np.asarray(divergences, dtype=np.float64))


def size_scores(images: ArrayLike) -> Floats:
    """z(log n) over the candidates; ValueError when a source claims no image."""
    counts = np.asarray(images, dtype=np.float64)
    if (counts < 1).any():
        raise ValueError('every source must say on how many images it was trained')
    return standard_scores(np.log(counts))
