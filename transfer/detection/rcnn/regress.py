"""Class-specific box regression: from a region's feature to the box that fits (R-CNN, appendix C).

No torch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from transfer.detection.matching import MatchedRegions
from transfer.regions.boxes import encode
from transfer.spec.rcnn import RcnnSpec


@dataclass(frozen=True)
class Regressor:
    """shifts = (features @ weight + bias) @ colour + mean, on scaled features."""

    weight: np.ndarray  # (d, 4)
    bias: np.ndarray  # (4,)
    colour: np.ndarray  # (4, 4) undoes the whitening of the targets
    mean: np.ndarray  # (4,)

    def shifts(self, features: np.ndarray) -> np.ndarray:
        return np.asarray((features @ self.weight + self.bias) @ self.colour + self.mean)


def identity_regressor(features: int) -> Regressor:
    """The regressor that moves nothing: what a class without examples has."""
    return Regressor(np.zeros((features, 4)), np.zeros(4), np.eye(4), np.zeros(4))


def train_class(
    label: int,
    regions: Sequence[MatchedRegions],
    features: Callable[[int], np.ndarray],
    scale: float,
    spec: RcnnSpec,
) -> Regressor:
    """Ridge regression on the regions that overlap their nearest object, of this class, by more than
    `regress_iou`.

    `label`: counted from 0. `features(number)`: of an image's regions, (n, d), unscaled.
    """
    rows, targets = [], []
    for number, entry in enumerate(regions):
        near = (entry.labels == label + 1) & (entry.overlaps > spec.regress_iou)
        if near.any():
            rows.append(features(number)[near] * scale)
            targets.append(encode(entry.boxes[near], entry.nearest[near]))
    if not rows:
        return identity_regressor(features(0).shape[1] if regions else 0)
    return fit_regressor(np.concatenate(rows).astype(np.float64), np.concatenate(targets), spec)


def fit_regressor(features: np.ndarray, targets: np.ndarray, spec: RcnnSpec) -> Regressor:
    """Targets are centred and whitened; the constant feature is penalised like the others, as published."""
    mean = targets.mean(0)
    centred = targets - mean
    values, vectors = np.linalg.eigh(centred.T @ centred / len(targets))
    roots = np.sqrt(np.maximum(values, 0) + spec.whiten)
    white = centred @ (vectors / roots) @ vectors.T
    given = np.hstack([features, np.ones((len(features), 1))])
    if len(given) < given.shape[1]:  # the same solution by the smaller of the two systems
        solution = given.T @ np.linalg.solve(given @ given.T + spec.ridge * np.eye(len(given)), white)
    else:
        solution = np.linalg.solve(given.T @ given + spec.ridge * np.eye(given.shape[1]), given.T @ white)
    return Regressor(solution[:-1], solution[-1], (vectors * roots) @ vectors.T, mean)
