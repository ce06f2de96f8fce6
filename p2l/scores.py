"""Divergences between data sets, and the two parts of the P2L score.

A `*_divergence` or `*_distance` shrinks as two data sets grow alike, a `*_score` grows. KL and JS are in
nats.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from p2l.signatures import ClassMeans, Floats, log_signatures, signature

WEIGHTS = (1.5, 1.0)  # similarity : size, as in the public re-implementation (Godau et al., arXiv 2412.08763)
# The dissimilarity of two data sets may be measured in five ways (P2L_DIVERGENCE); the last compares class by
# class.
DIVERGENCES = ('kl', 'kl_reverse', 'js', 'cosine', 'emd')


def kl_divergences(targets: ArrayLike, log_sources: ArrayLike) -> Floats:
    """Compute KL(target || source) of signatures (..., d) and stored log-signatures (m, d): (..., m), in
    nats.

    KL(p || q) = sum p log p - p . log q: for one target and a million sources, one matrix-vector product.
    """
    p = np.asarray(targets, dtype=np.float64)
    stored = np.asarray(log_sources)
    negative_entropy = np.sum(p * np.log(p), axis=-1, keepdims=True)
    products = p.astype(stored.dtype, copy=False) @ stored.T
    # Rounding may leave a tiny negative number, where a divergence is never below 0.
    return np.asarray(np.maximum(negative_entropy - products, 0.0))


def divergences(kind: str, targets: ArrayLike, sources: ArrayLike) -> Floats:
    """Compare mean features (b, d) of targets with those of sources (m, d): (b, m), of the given kind.

    kl: KL(p_target || p_source); kl_reverse: KL(p_source || p_target); js: the Jensen-Shannon divergence,
    symmetric, 0 to log 2; cosine: 1 - cos of the mean features, 0 to 1. ValueError for any other (`emd` needs
    class means: earth_movers_distance).
    """
    means = np.atleast_2d(np.asarray(targets, dtype=np.float64))
    stored = np.asarray(sources, dtype=np.float64)
    if kind == 'kl':
        return kl_divergences(signature(means), log_signatures(stored))
    if kind == 'kl_reverse':
        return kl_divergences(signature(stored), log_signatures(means)).T
    if kind == 'js':
        q = signature(stored)
        return np.stack([_jensen_shannon(p, q) for p in signature(means)])
    if kind == 'cosine':
        lengths = np.linalg.norm(means, axis=1)[:, None] * np.linalg.norm(stored, axis=1)
        return np.asarray(1 - means @ stored.T / np.maximum(lengths, 1e-12))
    raise ValueError(
        f'there is no divergence {kind!r} of mean features; there are {", ".join(DIVERGENCES[:-1])}'
    )


def _jensen_shannon(p: Floats, q: Floats) -> Floats:
    """Compute JS(p, q) = KL(p || m) / 2 + KL(q || m) / 2, m = (p + q) / 2, of one signature (d,) and many (m,
    d): (m,)."""
    log_middle = np.log((p + q) / 2)
    both = p @ np.log(p) - log_middle @ p + np.sum(q * (np.log(q) - log_middle), axis=1)
    return np.asarray(np.maximum(both / 2, 0.0))


def earth_movers_distance(a: ClassMeans, b: ClassMeans) -> float:
    """Compute the earth mover's distance of two data sets (Cui et al., CVPR 2018, section 4.1), by linear
    programming.

    The classes of `a`, each weighing by its images, are moved onto those of `b`: the least sum of flow *
    Euclidean distance of class means. In units of the features, from 0; symmetric. The paper's similarity is
    exp(-0.01 distance), which orders alike.
    """
    from scipy.optimize import linprog  # half a second to load, for this one divergence

    squares = (a.means**2).sum(1)[:, None] + (b.means**2).sum(1) - 2 * a.means @ b.means.T
    distances = np.sqrt(np.maximum(squares, 0.0))
    rows, columns = distances.shape
    leaving = np.repeat(np.eye(rows), columns, axis=1)
    arriving = np.tile(np.eye(columns), rows)
    weights = np.concatenate([a.images / a.images.sum(), b.images / b.images.sum()])
    # One of the constraints follows from the others; left in, rounding could make them contradict each other.
    solution = linprog(
        distances.ravel(), A_eq=np.vstack([leaving, arriving])[:-1], b_eq=weights[:-1], method='highs'
    )
    return float(max(0.0, solution.fun))


def standard_scores(values: ArrayLike) -> Floats:
    """Standardise along the last axis, z = (x - mean) / population deviation; all zero where the values do
    not differ."""
    rows = np.asarray(values, dtype=np.float64)
    centred = rows - rows.mean(axis=-1, keepdims=True)
    deviation = rows.std(axis=-1, keepdims=True)
    # Equal values differ by rounding alone; without the threshold that noise would be blown up to z = 1.
    differ = deviation > 1e-12 * np.maximum(1.0, np.abs(rows).max(axis=-1, keepdims=True))
    return np.where(differ, centred / np.where(differ, deviation, 1.0), 0.0)


def similarity_scores(divergences: ArrayLike) -> Floats:
    """z(-divergence) over the sources (last axis)."""
    return standard_scores(-np.asarray(divergences, dtype=np.float64))


def size_scores(images: ArrayLike) -> Floats:
    """z(log n) over the sources; ValueError where one is said to be trained on no image."""
    counts = np.asarray(images, dtype=np.float64)
    if (counts < 1).any():
        raise ValueError('every source must say on how many images it was trained')
    return standard_scores(np.log(counts))
