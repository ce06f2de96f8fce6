"""What detectors give back, and the last steps that all of them share. No torch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from transfer.regions.boxes import clip, nms

# Published with R-CNN and Fast R-CNN (rcnn_test.m, fast_rcnn/test.py).
NMS_IOU = 0.3
PER_CLASS = 100  # boxes of a class and image that enter suppression
# Fast R-CNN's demo and later detectors cut scores here; ranked results below it hardly move AP but cost most of the time.
MIN_SCORE = 0.05


@dataclass(frozen=True)
class Detections:
    """Objects found on one image, best first."""

    boxes: np.ndarray  # (n, 4) pixels of the upright image
    scores: np.ndarray  # (n,) higher is surer; probabilities for networks, margins for SVMs
    labels: np.ndarray  # (n,) index of the class

    def __len__(self) -> int:
        return len(self.boxes)


@dataclass(frozen=True)
class Truth:
    """Objects that a person drew on one image."""

    boxes: np.ndarray  # (m, 4)
    labels: np.ndarray  # (m,)
    difficult: np.ndarray  # (m,) bool: neither asked for nor wrong to find (Pascal VOC)


def as_shares(found: Detections) -> Detections:
    """Margins squashed to 0 ... 1 (logistic): 0.5 is the border of an SVM. Not calibrated; the order stays."""
    return Detections(found.boxes, 1 / (1 + np.exp(-found.scores)), found.labels)


def settle(
    boxes: np.ndarray,
    scores: np.ndarray,
    width: float,
    height: float,
    *,
    min_score: float = MIN_SCORE,
    per_class: int = PER_CLASS,
    nms_iou: float = NMS_IOU,
) -> Detections:
    """Class-specific boxes (n, classes, 4) with scores (n, classes) become detections: cut to the image, thresholded, the best
    `per_class` of each class, suppressed within each class."""
    found: list[tuple[np.ndarray, np.ndarray, int]] = []
    for label in range(scores.shape[1]):
        chosen = np.flatnonzero(scores[:, label] >= min_score)
        chosen = chosen[np.argsort(-scores[chosen, label], kind='stable')[:per_class]]
        cut = clip(boxes[chosen, label], width, height)
        kept = nms(cut, scores[chosen, label], nms_iou)
        found.append((cut[kept], scores[chosen[kept], label], label))
    all_scores = np.concatenate([part[1] for part in found]) if found else np.zeros(0)
    order = np.argsort(-all_scores, kind='stable')
    labels = (
        np.concatenate([np.full(len(part[1]), part[2], np.int64) for part in found])
        if found
        else np.zeros(0, np.int64)
    )
    all_boxes = np.concatenate([part[0] for part in found]) if found else np.zeros((0, 4))
    return Detections(all_boxes[order], all_scores[order], labels[order])
