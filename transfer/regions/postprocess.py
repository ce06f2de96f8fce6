"""What detectors give back, and the first and last steps that all of them share. No torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from transfer.data.decode import UprightImage
from transfer.regions.boxes import areas, clip, decode, nms


@dataclass(frozen=True)
class Detections:
    """Objects found on one image, best first."""

    boxes: np.ndarray  # (n, 4) pixels of the upright image
    scores: np.ndarray  # (n,) higher is surer; probabilities for networks, margins for SVMs
    labels: np.ndarray  # (n,) index of the class

    def __len__(self) -> int:
        return len(self.boxes)


@dataclass(frozen=True)
class GroundTruth:
    """Objects that a person labelled on one image."""

    boxes: np.ndarray  # (m, 4)
    labels: np.ndarray  # (m,)
    difficult: np.ndarray  # (m,) bool: neither to be found nor wrong to find (Pascal VOC)


# A photo and its proposals, (n, 4) in its own pixels, to detections.
Inference = Callable[[UprightImage, np.ndarray], Detections]


class PostprocessSpec(Protocol):
    """The options by which predictions become detections."""

    @property
    def min_score(self) -> float: ...

    @property
    def per_class(self) -> int: ...

    @property
    def nms_iou(self) -> float: ...


def usable_proposals(proposals: np.ndarray, limit: int) -> np.ndarray:
    """The first `limit` that have an area, (n, 4) float64."""
    boxes = proposals[:limit].astype(float)
    return boxes[areas(boxes) > 0]


def margins_to_scores(detections: Detections) -> Detections:
    """Squash margins to 0 ... 1 (logistic): 0.5 is the border of an SVM. Not calibrated; the order stays."""
    return Detections(detections.boxes, 1 / (1 + np.exp(-detections.scores)), detections.labels)


def postprocess_predictions(
    boxes: np.ndarray, rows: np.ndarray, classes: int, width: float, height: float, spec: PostprocessSpec
) -> Detections:
    """Boxes (n, 4) and what a network predicts of them, rows (n, 5 * classes) of scores and then shifts,
    become detections.
    """
    scores, shifts = rows[:, :classes].astype(float), rows[:, classes:].reshape(-1, 4).astype(float)
    moved = decode(np.repeat(boxes, classes, 0), shifts).reshape(len(boxes), classes, 4)
    return postprocess_detections(
        moved,
        scores,
        width,
        height,
        min_score=spec.min_score,
        per_class=spec.per_class,
        nms_iou=spec.nms_iou,
    )


def postprocess_detections(
    boxes: np.ndarray,
    scores: np.ndarray,
    width: float,
    height: float,
    *,
    min_score: float,
    per_class: int,
    nms_iou: float,
) -> Detections:
    """Class-specific boxes (n, classes, 4) with scores (n, classes) become detections.

    Clipped to the image, thresholded, the best `per_class` of each class, suppressed within each class.
    """
    parts: list[tuple[np.ndarray, np.ndarray, int]] = []
    for label in range(scores.shape[1]):
        chosen = np.flatnonzero(scores[:, label] >= min_score)
        chosen = chosen[np.argsort(-scores[chosen, label], kind='stable')[:per_class]]
        clipped = clip(boxes[chosen, label], width, height)
        remaining = nms(clipped, scores[chosen, label], nms_iou)
        parts.append((clipped[remaining], scores[chosen[remaining], label], label))
    all_boxes = np.concatenate([np.zeros((0, 4)), *(part[0] for part in parts)])
    all_scores = np.concatenate([np.zeros(0), *(part[1] for part in parts)])
    labels = np.concatenate([np.zeros(0, np.int64), *(np.full(len(p[1]), p[2], np.int64) for p in parts)])
    order = np.argsort(-all_scores, kind='stable')
    return Detections(all_boxes[order], all_scores[order], labels[order])
