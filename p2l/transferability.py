"""How far a source's frozen features or answers carry on a target, without learning a head: LogME, LEEP, nearest neighbours.

Alternatives to the cross-validated probe of the second stage. Each needs the target's images run through every source.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from p2l.signatures import Floats

ROUNDS = 100  # of LogME's fixed point; it is reached within ten on all but degenerate features
SETTLED = 1e-6  # relative change of alpha / beta
NEIGHBOURS = 5


def logme(features: ArrayLike, labels: ArrayLike) -> float:
    """LogME (You et al., ICML 2021, arXiv 2102.11005, algorithm 1): features (n, d), labels int (n,); higher is better.

    For each class the one-hot column y is explained by a Bayesian linear model, w ~ N(0, 1/alpha), y ~ N(F w, 1/beta); the
    log evidence at the best alpha and beta, divided by n, is averaged over the classes. ValueError for shapes that do not fit.
    """
    matrix, classes = _checked(features, labels)
    left, values, _ = np.linalg.svd(matrix, full_matrices=False)
    count = int((values > values.max(initial=0.0) * 1e-10).sum())
    basis, squares = left[:, :count], values[:count] ** 2
    truth = np.eye(classes.max() + 1)[classes]
    present = truth[:, truth.any(0)]
    return float(np.mean([_evidence(basis.T @ y, squares, y @ y, *matrix.shape) for y in present.T]))


def _evidence(z: Floats, squares: Floats, length: float, n: int, d: int) -> float:
    """The largest log evidence per image of one column y: z = U^T y (k,), squares = singular values squared (k,)."""
    outside = max(0.0, length - float(z @ z))  # the part of y that no linear model reaches
    alpha = beta = 1.0
    for _ in range(ROUNDS):
        ratio = alpha / beta
        gamma = float((squares / (squares + ratio)).sum())
        weights = float((squares * z**2 / (squares + ratio) ** 2).sum())  # |m|^2
        error = float((z**2 * (ratio / (squares + ratio)) ** 2).sum()) + outside  # |F m - y|^2
        alpha, beta = gamma / max(weights, 1e-12), max(n - gamma, 1e-12) / max(error, 1e-12)
        if abs(alpha / beta - ratio) <= SETTLED * ratio:
            break
    ratio = alpha / beta
    weights = float((squares * z**2 / (squares + ratio) ** 2).sum())
    error = float((z**2 * (ratio / (squares + ratio)) ** 2).sum()) + outside
    # log det(alpha I + beta F'F) over d dimensions, of which all but k hold alpha alone
    volume = float(np.log(alpha + beta * squares).sum()) + (d - len(squares)) * np.log(alpha)
    total = (
        d * np.log(alpha) + n * np.log(beta) - volume - beta * error - alpha * weights - n * np.log(2 * np.pi)
    )
    return float(total / (2 * n))


def leep(probabilities: ArrayLike, labels: ArrayLike) -> float:
    """LEEP (Nguyen et al., ICML 2020, arXiv 2002.12462, equation 2): mean log of the expected empirical prediction; at most 0.

    probabilities (n, z): what the source's own head says of each target image, rows of sum one; labels int (n,).
    P(y, z) = mean over the images of [label = y] p(z); P(y | z) = P(y, z) / P(z); LEEP = mean log sum_z P(label | z) p(z).
    """
    theta, classes = _checked(probabilities, labels)
    if theta.min() < 0 or not np.allclose(theta.sum(1), 1, atol=1e-3):
        raise ValueError('each row must be probabilities of sum one')
    joint = np.eye(classes.max() + 1)[classes].T @ theta / len(classes)  # (y, z)
    marginal = joint.sum(0)
    conditional = joint / np.where(marginal > 0, marginal, 1.0)
    expected = (conditional[classes] * theta).sum(1)
    return float(np.log(np.maximum(expected, np.finfo(float).tiny)).mean())


def nearest_neighbours(features: ArrayLike, labels: ArrayLike, neighbours: int = NEIGHBOURS) -> float:
    """Leave-one-out accuracy, 0 to 1, of a vote of the nearest images by cosine, each vote weighing its cosine."""
    matrix, classes = _checked(features, labels)
    unit = matrix / np.maximum(np.linalg.norm(matrix, axis=1, keepdims=True), 1e-12)
    likeness = unit @ unit.T
    np.fill_diagonal(likeness, -np.inf)
    count = min(neighbours, len(classes) - 1)
    if count < 1:
        raise ValueError('it takes two images')
    nearest = np.argsort(-likeness, axis=1, kind='stable')[:, :count]
    votes = np.zeros((len(classes), classes.max() + 1))
    rows = np.arange(len(classes))
    for place in range(count):
        column = nearest[:, place]
        votes[rows, classes[column]] += (
            1 + likeness[rows, column]
        )  # above zero: an opposite neighbour still says its class
    return float((votes.argmax(1) == classes).mean())


def _checked(values: ArrayLike, labels: ArrayLike) -> tuple[Floats, NDArray[np.int64]]:
    matrix, classes = np.asarray(values, dtype=np.float64), np.asarray(labels)
    if matrix.ndim != 2 or not matrix.size or classes.shape != (len(matrix),):
        raise ValueError(
            f'one row of numbers and one label an image are needed, not {matrix.shape} and {classes.shape}'
        )
    if not np.isfinite(matrix).all() or classes.min() < 0:
        raise ValueError('the numbers must be finite and the labels not negative')
    return matrix, classes.astype(np.int64)
