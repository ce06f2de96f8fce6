"""R-CNN at work: every proposal is warped, goes through the network alone, and is scored by each class's SVM."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import nn

from transfer.data.decode import Upright
from transfer.detection.rcnn.embedding import embedded
from transfer.detection.rcnn.regress import Regressor
from transfer.detection.rcnn.svm import Svm
from transfer.regions.boxes import areas, decode
from transfer.regions.postprocess import Detections, settle
from transfer.spec.rcnn import RcnnSpec
from transfer.spec.train_spec import SourceModelSpec
from transfer.zoo.networks.architecture import Architecture


@dataclass(frozen=True)
class Rcnn:
    """A trained detector. Scores of its detections are margins: 0 is the border, larger is surer."""

    network: Architecture
    model: nn.Module  # in eval mode
    source: SourceModelSpec  # how its input is prepared
    spec: RcnnSpec
    scale: float  # of features
    svms: tuple[Svm, ...]  # by class
    regressors: tuple[Regressor, ...]


def detect(detector: Rcnn, photo: Upright, proposals: np.ndarray) -> Detections:
    """`proposals` (n, 4) in pixels of the photo; seconds to minutes for 2,000 of them on a CPU."""
    spec = detector.spec
    boxes = proposals[: spec.proposals].astype(float)
    boxes = boxes[areas(boxes) > 0]
    features = (
        embedded(detector.network, detector.model, photo, boxes, detector.source, spec) * detector.scale
    )
    scores = np.stack([svm.scores(features) for svm in detector.svms], 1)
    moved = np.stack([decode(boxes, regressor.shifts(features)) for regressor in detector.regressors], 1)
    limits = {'min_score': spec.min_score, 'per_class': spec.per_class, 'nms_iou': spec.nms_iou}
    return settle(moved, scores, photo.width, photo.height, **limits)  # type: ignore[arg-type]
