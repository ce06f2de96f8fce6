"""One linear SVM a class, with one pass of hard-negative mining (R-CNN, section 2.3 and rcnn_train.m).

No torch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.svm import LinearSVC

from transfer.detection.matching import MatchedRegions
from transfer.spec.rcnn import RcnnSpec

NORM_SAMPLE = 200  # regions an image from which the mean length of features is estimated
NEVER = -1e9  # the score of a class without an example: it is never detected


@dataclass(frozen=True)
class Svm:
    """score = features @ weight + bias, on features already scaled."""

    weight: np.ndarray  # (d,)
    bias: float

    def scores(self, features: np.ndarray) -> np.ndarray:
        return np.asarray(features @ self.weight + self.bias)


def feature_scale(
    regions: Sequence[MatchedRegions], features: Callable[[int], np.ndarray], spec: RcnnSpec
) -> float:
    """What features are multiplied by so that their mean length is `feature_norm`."""
    generator = np.random.default_rng(spec.seed)
    lengths = []
    for number, entry in enumerate(regions):
        chosen = generator.permutation(len(entry.boxes))[:NORM_SAMPLE]
        lengths.append(np.linalg.norm(features(number)[np.sort(chosen)], axis=1))
    mean = float(np.concatenate(lengths).mean())
    return spec.feature_norm / mean if mean > 0 else 1.0


def train_class(
    label: int,
    regions: Sequence[MatchedRegions],
    features: Callable[[int], np.ndarray],
    scale: float,
    spec: RcnnSpec,
) -> Svm:
    """Train the SVM of a class: ground truth boxes alone are positives, regions of IoU under `negative_iou`
    negatives, and what lies between is left out.

    `label`: counted from 0. `features(number)`: of an image's regions, (n, d), unscaled. Images are visited
    once: of each, negatives that the current SVM does not put behind the margin are added; whenever enough
    have been, the SVM is fitted again and easy negatives are dropped.
    """
    positives = []
    for number, entry in enumerate(regions):
        truth = slice(entry.ground_truths)
        positives.append(features(number)[truth][entry.labels[truth] == label + 1] * scale)
    objects = np.concatenate(positives)
    if not len(objects):
        return Svm(np.zeros(objects.shape[1]), NEVER)
    negatives = np.zeros((0, objects.shape[1]), np.float32)
    added: list[np.ndarray] = []
    svm: Svm | None = None
    for number, entry in enumerate(regions):
        far = features(number)[entry.overlaps_with(label) < spec.negative_iou] * scale
        added.append(far if svm is None else far[svm.scores(far) > spec.hard_margin])
        is_last = number == len(regions) - 1
        if svm is None or is_last or sum(map(len, added)) > spec.retrain_after:
            negatives, added = np.concatenate([negatives, *added]), []
            if not len(negatives):
                continue
            svm = _fit(objects, negatives, spec)
            negatives = negatives[svm.scores(negatives) >= spec.easy_margin]
    return svm or Svm(np.zeros(objects.shape[1]), 0.0)


def _fit(positives: np.ndarray, negatives: np.ndarray, spec: RcnnSpec) -> Svm:
    """liblinear's L2-regularised hinge loss, its dual (-s 3), as published."""
    machine = LinearSVC(
        loss='hinge',
        dual=True,
        C=spec.svm_c,
        intercept_scaling=spec.svm_bias,
        class_weight={1: spec.svm_positive_weight, 0: 1.0},
        random_state=spec.seed,
        max_iter=5000,
    )
    targets = np.concatenate([np.ones(len(positives), int), np.zeros(len(negatives), int)])
    machine.fit(np.concatenate([positives, negatives]).astype(np.float64), targets)
    return Svm(machine.coef_[0], float(machine.intercept_[0]))
