"""Linear heads on frozen features: the instant model, and how well each source of the shortlist would do.

Multinomial logistic regression with an L2 penalty, chosen by cross-validation. Many regressions (folds x
penalties) over one matrix are solved together: Boehning's bound (1992) replaces the Hessian by one that is
diagonal in the basis of the matrix's singular vectors, so each step is two matrix products for all of them;
Nesterov's momentum does the rest. A hundred fits on 250 images of 576 features take 0.3 s, where one by one
they take 4 s.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from transfer.runtime.softmax import softmax

# Penalties per image on features of mean squared length 1. The grid spans what won on the development sets by
# a decade.
PENALTIES = tuple(10.0**exponent for exponent in np.arange(-5.0, -1.9, 0.6))
NESTED_UP_TO = (
    400  # images: above, the penalty's choice flatters the out-of-fold accuracy by less than its own noise
)
STEPS = 100  # a weak penalty may not be done by then; stopping early is then part of the regularisation
TOLERANCE = 1e-4  # largest gradient entry at which a solution counts as found
SMALLEST_SPREAD = (
    0.05  # of the mean standard deviation: a feature that hardly varies is not blown up to count as much
)


@dataclass(frozen=True)
class LinearHead:
    """logits = features @ weight.T + bias, on raw features, as in a network's last layer."""

    weight: np.ndarray  # float32 (classes, d)
    bias: np.ndarray  # float32 (classes,)

    def logits(self, features: np.ndarray) -> np.ndarray:
        return np.asarray(features @ self.weight.T + self.bias)


@dataclass(frozen=True)
class Probe:
    """A linear head fitted on all images, and its scores for each image from heads that had not seen it."""

    head: LinearHead
    logits: np.ndarray  # out-of-fold, float64 (n, classes)
    fold_heads: tuple[LinearHead, ...]  # fitted without that fold, at its own penalty
    penalty: float


@dataclass(frozen=True)
class _Basis:
    """Standardised features by their singular vectors: features = basis @ back + mean, up to scale."""

    rows: np.ndarray  # (n, r) with r <= min(n, d), columns orthogonal
    curvature: np.ndarray  # (r,) mean square of each column
    back: np.ndarray  # (r, d): weights here -> weights on raw features
    mean: np.ndarray  # (d,)


def fit_probe(features: np.ndarray, labels: np.ndarray, classes: int, folds: np.ndarray) -> Probe:
    """Fit linear heads on float (n, d) features; `folds` is the fold of each image, int (n,), 0 .. k - 1.

    The out-of-fold logits are honest: each fold's penalty is chosen without that fold (nested
    cross-validation) up to NESTED_UP_TO images. Only the standardisation, which sees no label, is fitted on
    all images at once.
    """
    with threadpool_limits(
        1
    ):  # the matrices are small, and BLAS threads that spin cost a busy machine fifty times as much
        return _fit_probe(features, labels, classes, folds)


def _fit_probe(features: np.ndarray, labels: np.ndarray, classes: int, folds: np.ndarray) -> Probe:
    basis = _standardise(features.astype(np.float64))
    k = int(folds.max()) + 1
    outer = [folds != fold for fold in range(k)]
    everything = np.ones(len(labels), dtype=bool)
    losses = _penalty_losses(basis, labels, classes, folds, k, everything)
    penalty = PENALTIES[int(losses.argmin())]
    chosen = [_choose_penalty(basis, labels, classes, folds, fold, penalty) for fold in range(k)]
    solved = _solve_regressions(
        basis, labels, classes, np.stack([everything, *outer]), np.array([penalty, *chosen])
    )
    heads = [_to_raw_head(basis, solution) for solution in solved]
    logits = np.empty((len(labels), classes))
    for fold in range(k):
        held = folds == fold
        logits[held] = heads[fold + 1].logits(features[held])
    return Probe(heads[0], logits, tuple(heads[1:]), penalty)


def _choose_penalty(
    basis: _Basis, labels: np.ndarray, classes: int, folds: np.ndarray, fold: int, otherwise: float
) -> float:
    """The penalty for one outer fold from the other folds alone, cut in up to four parts."""
    inside = folds != fold
    others = np.unique(folds[inside])
    if len(labels) > NESTED_UP_TO or len(others) < 2:
        return otherwise
    part = np.full(len(labels), -1)
    part[inside] = np.searchsorted(others, folds[inside]) % min(4, len(others))
    losses = _penalty_losses(basis, labels, classes, part, min(4, len(others)), inside)
    return PENALTIES[int(losses.argmin())]


def _penalty_losses(
    basis: _Basis, labels: np.ndarray, classes: int, folds: np.ndarray, k: int, inside: np.ndarray
) -> np.ndarray:
    """The cross-validated log loss of every penalty, (penalties,), over the images `inside`."""
    masks = np.repeat(np.stack([inside & (folds != fold) for fold in range(k)]), len(PENALTIES), axis=0)
    solved = _solve_regressions(basis, labels, classes, masks, np.tile(PENALTIES, k)).reshape(
        k, len(PENALTIES), -1, classes
    )
    total = np.zeros(len(PENALTIES))
    for fold in range(k):
        held = inside & (folds == fold)
        logits = _append_ones(basis.rows[held]) @ solved[fold]  # (penalties, held, classes)
        probability = softmax(logits)[:, np.arange(held.sum()), labels[held]]
        total += -np.log(np.maximum(probability, 1e-12)).sum(1)
    return total


def _standardise(features: np.ndarray) -> _Basis:
    mean, spread = features.mean(0), features.std(0)
    scale = np.maximum(spread, SMALLEST_SPREAD * spread.mean() + 1e-9) * np.sqrt(features.shape[1])
    left, values, right = np.linalg.svd((features - mean) / scale, full_matrices=False)
    keep = values > values[0] * 1e-7 if values[0] > 0 else values >= 0
    left, values, right = left[:, keep], values[keep], right[keep]
    return _Basis((left * values).astype(np.float32), values**2 / len(features), right / scale, mean)


def _solve_regressions(
    basis: _Basis, labels: np.ndarray, classes: int, masks: np.ndarray, penalties: np.ndarray
) -> np.ndarray:
    """Solve one regression for each row of `masks` (bool (b, n): the images it is fitted on); returns (b, r +
    1, classes).

    The last row of a solution is the intercept, which is not penalised. Solutions that have converged leave
    the batch.
    """
    rows = _append_ones(basis.rows)
    n, width = rows.shape
    # (n, b, 1): the weight of each image
    share = (masks / masks.sum(1, keepdims=True)).T.astype(np.float32)[:, :, None]
    penalty = np.append(np.ones(width - 1), 0.0)[:, None, None] * penalties[:, None]  # (r + 1, b, 1)
    # Boehning: the Hessian is at most half the weighted Gram matrix, which is at most n / |mask| times this
    # diagonal.
    bound = 0.5 * np.append(basis.curvature, 1.0)[:, None, None] * (n / masks.sum(1))[:, None] + penalty
    penalty, step = penalty.astype(np.float32), (1 / bound).astype(np.float32)
    truth = np.eye(classes, dtype=np.float32)[labels][:, None]
    result = np.zeros((width, len(masks), classes), np.float32)
    active = np.arange(len(masks))
    solution = ahead = result.copy()
    speed = np.ones(len(masks), np.float32)
    for turn in range(STEPS):
        scores = (rows @ ahead.reshape(width, -1)).reshape(n, -1, classes)
        error = (softmax(scores) - truth) * share[:, active]
        gradient = (rows.T @ error.reshape(n, -1)).reshape(ahead.shape) + penalty[:, active] * ahead
        after = ahead - gradient * step[:, active]
        uphill = (gradient * (after - solution)).sum(
            (0, 2)
        ) > 0  # then the momentum is dropped (O'Donoghue 2015)
        faster = np.where(uphill, 1.0, (1 + np.sqrt(1 + 4 * speed**2)) / 2).astype(np.float32)
        push = np.where(uphill, 0.0, (speed - 1) / faster).astype(np.float32)
        ahead, solution, speed = after + push[:, None] * (after - solution), after, faster
        if turn % 10 == 9 or turn == STEPS - 1:
            result[:, active] = solution
            moving = np.abs(gradient).max((0, 2)) > TOLERANCE
            if not moving.any():
                break
            active, ahead, solution, speed = (
                active[moving],
                ahead[:, moving],
                solution[:, moving],
                speed[moving],
            )
    return result.transpose(1, 0, 2)


def _append_ones(rows: np.ndarray) -> np.ndarray:
    return np.concatenate([rows, np.ones((len(rows), 1), rows.dtype)], 1)


def _to_raw_head(basis: _Basis, solution: np.ndarray) -> LinearHead:
    """A solution as a head on raw features.

    Logits are centred over the classes, which changes no probability.
    """
    centred = solution - solution.mean(1, keepdims=True)
    weight = (basis.back.T @ centred[:-1]).T
    bias = centred[-1] - weight @ basis.mean
    return LinearHead(weight.astype(np.float32), bias.astype(np.float32))
