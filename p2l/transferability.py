"""Transferability measures of a source's frozen features or outputs on a target: LogME, LEEP, k nearest
neighbours.

Alternatives to the cross-validated linear probe of the second stage. Each needs the target's images run
through every source; none fits a head.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from p2l.signatures import Floats

ITERATIONS = 100  # of LogME's fixed point; it is reached within ten on all but degenerate features
TOLERANCE = 1e-6  # relative change of alpha / beta at which the fixed point counts as reached
NEIGHBOURS = 5


def logme(features: ArrayLike, labels: ArrayLike) -> float:
    """Compute LogME (You et al., ICML 2021, arXiv 2102.11005, algorithm 1): features (n, d), labels int (n,);
    higher is better.

    For each class the one-hot column y is explained by a Bayesian linear model, w ~ N(0, 1/alpha), y ~ N(F w,
    1/beta); the log evidence at the best alpha and beta, divided by n, is averaged over the classes.
    ValueError for shapes that do not fit.
    """
    matrix, classes = _check(features, labels)
    left, values, _ = np.linalg.svd(matrix, full_matrices=False)
    rank = int((values > values.max(initial=0.0) * 1e-10).sum())
    basis, squares = left[:, :rank], values[:rank] ** 2
    one_hot = np.eye(classes.max() + 1)[classes]
    present = one_hot[:, one_hot.any(0)]
    return float(np.mean([_log_evidence(basis.T @ y, squares, y @ y, *matrix.shape) for y in present.T]))


def _log_evidence(z: Floats, squares: Floats, length: float, n: int, d: int) -> float:
    """Maximise the log evidence per image of one column y over alpha and beta, by MacKay's fixed point.

    F = U S V^T: z = U^T y (k,), squares = S^2 (k,), length = y . y; n images, d features, of which k have
    rank.
    """
    outside = max(0.0, length - float(z @ z))  # the part of y that no linear model reaches
    alpha = beta = 1.0
    for _ in range(ITERATIONS):
        ratio = alpha / beta
        gamma = float((squares / (squares + ratio)).sum())
        weights = float((squares * z**2 / (squares + ratio) ** 2).sum())  # |m|^2
        error = float((z**2 * (ratio / (squares + ratio)) ** 2).sum()) + outside  # |F m - y|^2
        alpha, beta = gamma / max(weights, 1e-12), max(n - gamma, 1e-12) / max(error, 1e-12)
        if abs(alpha / beta - ratio) <= TOLERANCE * ratio:
            break
    ratio = alpha / beta
    weights = float((squares * z**2 / (squares + ratio) ** 2).sum())
    error = float((z**2 * (ratio / (squares + ratio)) ** 2).sum()) + outside
    # log det(alpha I + beta F'F) over d dimensions, of which all but k hold alpha alone
    log_determinant = float(np.log(alpha + beta * squares).sum()) + (d - len(squares)) * np.log(alpha)
    total = d * np.log(alpha) + n * np.log(beta) - log_determinant
    total -= beta * error + alpha * weights + n * np.log(2 * np.pi)
    return float(total / (2 * n))


def leep(probabilities: ArrayLike, labels: ArrayLike) -> float:
    """Compute LEEP (Nguyen et al., ICML 2020, arXiv 2002.12462, equation 2), the mean log of the expected
    empirical prediction.

    probabilities (n, z): the outputs of the source's own head for each target image, rows of sum one; labels
    int (n,). At most 0. P(y, z) = mean over the images of [label = y] p(z); P(y | z) = P(y, z) / P(z); LEEP =
    mean log sum_z P(label | z) p(z).
    """
    theta, classes = _check(probabilities, labels)
    if theta.min() < 0 or not np.allclose(theta.sum(1), 1, atol=1e-3):
        raise ValueError('each row must be probabilities of sum one')
    joint = np.eye(classes.max() + 1)[classes].T @ theta / len(classes)  # (y, z)
    marginal = joint.sum(0)
    conditional = joint / np.where(marginal > 0, marginal, 1.0)
    expected = (conditional[classes] * theta).sum(1)
    return float(np.log(np.maximum(expected, np.finfo(float).tiny)).mean())


def knn_accuracy(features: ArrayLike, labels: ArrayLike, neighbours: int = NEIGHBOURS) -> float:
    """Compute the leave-one-out accuracy, 0 to 1, of k nearest neighbours by cosine similarity.

    features (n, d), labels int (n,). A vote weighs 1 + cosine: above zero, so that an opposite neighbour
    still counts. ValueError for fewer than two images.
    """
    matrix, classes = _check(features, labels)
    unit = matrix / np.maximum(np.linalg.norm(matrix, axis=1, keepdims=True), 1e-12)
    similarity = unit @ unit.T
    np.fill_diagonal(similarity, -np.inf)
    count = min(neighbours, len(classes) - 1)
    if count < 1:
        raise ValueError('it takes two images')
    nearest = np.argsort(-similarity, axis=1, kind='stable')[:, :count]
    votes = np.zeros((len(classes), classes.max() + 1))
    rows = np.arange(len(classes))
    for place in range(count):
        column = nearest[:, place]
        votes[rows, classes[column]] += 1 + similarity[rows, column]
    return float((votes.argmax(1) == classes).mean())


def _check(values: ArrayLike, labels: ArrayLike) -> tuple[Floats, NDArray[np.int64]]:
    """Both as arrays: float (n, d) and int (n,). ValueError where they do not fit or are not finite."""
    matrix, classes = np.asarray(values, dtype=np.float64), np.asarray(labels)
    if matrix.ndim != 2 or not matrix.size or classes.shape != (len(matrix),):
        raise ValueError(
            f'one row of numbers and one label an image are needed, not {matrix.shape} and {classes.shape}'
        )
    if not np.isfinite(matrix).all() or classes.min() < 0:
        raise ValueError('the numbers must be finite and the labels not negative')
    return matrix, classes.astype(np.int64)
