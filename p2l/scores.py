"""Divergences between signatures, and the P2L score. Everything is in nats.

A `*_divergence` or `*_distance` shrinks with likeness, a `*_score` grows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from p2l.signatures import Floats, Look, log_signatures, signature

WEIGHTS = (1.5, 1.0)  # similarity : size, as in the public re-implementation (Godau et al., arXiv 2412.08763)

# How unlike two data sets are may be measured in five ways (P2L_DIVERGENCE); the last compares class by class.
DIVERGENCES = ('kl', 'kl_reverse', 'js', 'cosine', 'emd')
GAMMA = 0.01  # of Cui's similarity exp(-GAMMA * distance)


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


def divergences(kind: str, targets: ArrayLike, sources: ArrayLike) -> Floats:
    """Mean features (b, d) against those of the sources (m, d), by any of DIVERGENCES but the last: (b, m). ValueError, else."""
    means, stored = (
        np.atleast_2d(np.asarray(targets, dtype=np.float64)),
        np.asarray(sources, dtype=np.float64),
    )
    if kind == 'kl':
        return kl_divergences(signature(means), log_signatures(stored))
    if kind == 'kl_reverse':
        q, logs = signature(stored), log_signatures(means)
        return np.maximum(np.sum(q * np.log(q), axis=1) - logs @ q.T, 0.0)
    if kind == 'js':
        q = signature(stored)
        return np.stack([_jensen_shannon_divergences(p, q) for p in signature(means)])
    if kind == 'cosine':
        lengths = np.linalg.norm(means, axis=1)[:, None] * np.linalg.norm(stored, axis=1)
        return np.asarray(1 - means @ stored.T / np.maximum(lengths, 1e-12))
    raise ValueError(
        f'there is no divergence {kind!r} of mean features; there are {", ".join(DIVERGENCES[:-1])}'
    )


def _jensen_shannon_divergences(p: Floats, q: Floats) -> Floats:
    """One signature (d,) against many (m, d): (m,)."""
    middle = np.log((p + q) / 2)
    both = p @ np.log(p) - middle @ p + np.sum(q * (np.log(q) - middle), axis=1)
    return np.maximum(both / 2, 0.0)


def earth_movers_distance(a: Look, b: Look) -> float:
    """How far the classes of `a`, weighing by their images, have to be moved to become those of `b` (Cui et al., CVPR 2018,
    section 4.1): the least sum of flow * Euclidean distance of class means, by linear programming.

    In units of the features, from 0; symmetric. The paper's similarity is exp(-GAMMA * distance), which orders alike.
    """
    from scipy.optimize import linprog  # half a second to load, for this one divergence

    squares = (a.means**2).sum(1)[:, None] + (b.means**2).sum(1) - 2 * a.means @ b.means.T
    ground = np.sqrt(np.maximum(squares, 0.0))
    rows, columns = ground.shape
    leaving = np.repeat(np.eye(rows), columns, axis=1)
    arriving = np.tile(np.eye(columns), rows)
    weights = np.concatenate([a.images / a.images.sum(), b.images / b.images.sum()])
    # One of the constraints follows from the others; left in, rounding could make them contradict each other.
    found = linprog(
        ground.ravel(), A_eq=np.vstack([leaving, arriving])[:-1], b_eq=weights[:-1], method='highs'
    )
    return float(max(0.0, found.fun))


def domain_similarity(a: Look, b: Look) -> float:
    """Cui's similarity of two data sets, 0 to 1."""
    return float(np.exp(-GAMMA * earth_movers_distance(a, b)))


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
