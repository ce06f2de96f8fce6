"""One linear SVM a class, with one pass of hard-negative mining (R-CNN, section 2.3 and rcnn_train.m). No torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from sklearn.svm import LinearSVC

from transfer.detection.rcnn.regions import Regions
from transfer.spec.rcnn import RcnnSpec

NORM_SAMPLE = 200  # regions an image whose features tell the mean length


@dataclass(frozen=True)
class Svm:
    """score = features @ weight + bias, on features already scaled."""

    weight: np.ndarray  # (d,)
    bias: float

    def scores(self, features: np.ndarray) -> np.ndarray:
        return np.asarray(features @ self.weight + self.bias)


NEVER = -1e9  # the score of a class without an example: it is told of nothing


def scale_of(known: list[Regions], features: Callable[[int], np.ndarray], spec: RcnnSpec) -> float:
    """What features are multiplied by so that their mean length is `feature_norm`."""
    rng = np.random.default_rng(spec.seed)
    lengths = []
    for number, entry in enumerate(known):
        chosen = rng.permutation(len(entry.boxes))[:NORM_SAMPLE]
        lengths.append(np.linalg.norm(features(number)[np.sort(chosen)], axis=1))
    mean = float(np.concatenate(lengths).mean())
    return spec.feature_norm / mean if mean > 0 else 1.0


def train_class(
    label: int, known: list[Regions], features: Callable[[int], np.ndarray], scale: float, spec: RcnnSpec
) -> Svm:
    """Positives are the true boxes alone; negatives, regions of IoU under `negative_iou`; what lies between is left out.

    `features(number)` gives an image's, unscaled. Images are gone over once: of each, negatives that the SVM so far does not
    put behind the margin join the set, which is learned again whenever enough have come, and easy ones leave.
    """
    positives = [
        features(number)[: entry.truths][entry.labels[: entry.truths] == label] * scale
        for number, entry in enumerate(known)
    ]
    wanted = np.concatenate(positives)
    if not len(wanted):
        return Svm(np.zeros(wanted.shape[1]), NEVER)
    negatives = np.zeros((0, wanted.shape[1]), np.float32)
    waiting: list[np.ndarray] = []
    svm: Svm | None = None
    for number, entry in enumerate(known):
        far = features(number)[entry.overlaps[:, label] < spec.negative_iou] * scale
        hard = far if svm is None else far[svm.scores(far) > spec.hard_margin]
        waiting.append(hard)
        last = number == len(known) - 1
        if svm is None or last or sum(map(len, waiting)) > spec.retrain_after:
            negatives, waiting = np.concatenate([negatives, *waiting]), []
            if not len(negatives):
                continue
            svm = _fitted(wanted, negatives, spec)
            negatives = negatives[svm.scores(negatives) >= spec.easy_margin]
    return svm or Svm(np.zeros(wanted.shape[1]), 0.0)


def _fitted(positives: np.ndarray, negatives: np.ndarray, spec: RcnnSpec) -> Svm:
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
    marks = np.concatenate([np.ones(len(positives), int), np.zeros(len(negatives), int)])
    machine.fit(np.concatenate([positives, negatives]).astype(np.float64), marks)
    return Svm(machine.coef_[0], float(machine.intercept_[0]))
