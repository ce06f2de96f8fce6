"""The report of a detector: every figure from images that it did not learn from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from transfer.data.manifests import BoxedImage, DetectionManifest
from transfer.detection import evaluation
from transfer.features.metrics import wilson_interval
from transfer.regions.postprocess import Detections, GroundTruth
from transfer.regions.proposals import Recall

POINTS = 60  # of a curve that a page draws
SHOWN = 20  # boxes of an image in the list of the worst


def compute_figures(
    measured: DetectionManifest, found: Sequence[Detections], recall: Recall, score_threshold: float
) -> dict[str, Any]:
    """TrainReport.detection, all plain JSON.

    ap11: VOC 2007; ap: all points (VOC 2010 on); both at IoU 0.5. coco: ap over IoU 0.5 to 0.95, ap50, ap75.
    Intervals: 95 %, images drawn again with replacement. `mistakes` is about the n best detections of a class
    of n objects (Hoiem et al. 2012). `worst` shows detections of at least `score_threshold`.
    """
    truths, classes = [read_ground_truth(image) for image in measured.images], len(measured.labels)
    kinds = evaluation.compute_curves(truths, found, classes)
    return {
        'ap11': evaluation.mean_ap(kinds) or 0.0,
        'ap': _mean([evaluation.all_point_ap(kind) for kind in kinds if kind.objects]),
        'interval': compute_interval(truths, kinds),
        'coco': evaluation.compute_coco_ap(truths, found, classes),
        'objects': sum(kind.objects for kind in kinds),
        'classes': [_describe_class(measured.labels[kind.label], truths, kind) for kind in kinds],
        'mistakes': asdict(evaluation.count_mistakes(truths, found, classes)),
        'proposals': asdict(recall),
        'score_threshold': score_threshold,
        'worst': [
            _describe_image(measured, found, score_threshold, *row)
            for row in evaluation.rank_worst_images(truths, found, score_threshold)
        ],
    }


def choose_score_threshold(measured: DetectionManifest, found: Sequence[Detections]) -> float:
    """The score from which on detections are shown.

    Where precision and recall of all classes together are best (F1).
    """
    truths = [read_ground_truth(image) for image in measured.images]
    kinds = evaluation.compute_curves(truths, found, len(measured.labels))
    scores = np.concatenate([np.zeros(0), *(kind.scores for kind in kinds)])
    right = np.concatenate([np.zeros(0, bool), *(kind.right for kind in kinds)])
    if not right.any():
        return 0.5
    order = np.argsort(-scores, kind='stable')
    hits, count = np.cumsum(right[order]), np.arange(1, len(order) + 1)
    quality = 2 * hits / (count + sum(kind.objects for kind in kinds))
    place = int(quality.argmax())
    # Half way to the next one: the last that is shown should not hang on its last digit.
    after = scores[order][place + 1] if place + 1 < len(order) else scores[order][place]
    return float((scores[order][place] + after) / 2)


def read_ground_truth(image: BoxedImage) -> GroundTruth:
    return GroundTruth(
        np.array([(box.x0, box.y0, box.x1, box.y1) for box in image.boxes], float).reshape(-1, 4),
        np.array([box.label for box in image.boxes], int),
        np.array([box.difficult for box in image.boxes], bool),
    )


def compute_interval(truths: Sequence[GroundTruth], kinds: Sequence[evaluation.Curve]) -> list[float]:
    """95 % of the VOC 2007 mean AP. Where no drawing of the images errs (or none is right) they cannot tell
    how far off the figure may be: then it is that of so many objects, all found or none (Wilson).
    """
    low, high = evaluation.bootstrap_interval(truths, kinds)
    if low < high:
        return [low, high]
    objects = sum(kind.objects for kind in kinds)
    return list(wilson_interval(round(low * objects), objects))


def _describe_class(name: str, truths: Sequence[GroundTruth], kind: evaluation.Curve) -> dict[str, object]:
    measured = bool(kind.objects)
    return {
        'label': name,
        'n': kind.objects,
        'ap11': evaluation.eleven_point_ap(kind) if measured else None,
        'ap': evaluation.all_point_ap(kind) if measured else None,
        'interval': compute_interval(truths, [kind]) if measured else None,
        'curve': _thin_curve(kind) if measured else [],
    }


def _thin_curve(kind: evaluation.Curve) -> list[list[float]]:
    """[recall, precision, score] where something was found, at no more than 60 places, and at the end of the
    curve.
    """
    if not len(kind.scores):
        return []
    found = np.flatnonzero(kind.right)
    few = (
        found[np.unique(np.linspace(0, len(found) - 1, POINTS).round().astype(int))] if len(found) else found
    )
    places = np.unique([*few, len(kind.scores) - 1])
    rows = np.stack([kind.recall()[places], kind.precision()[places], kind.scores[places]], 1)
    return [[round(float(value), 4) for value in row] for row in rows]


def _describe_image(
    measured: DetectionManifest,
    found: Sequence[Detections],
    score_threshold: float,
    place: int,
    missed: int,
    false: int,
) -> dict[str, object]:
    image, detections = measured.images[place], found[place]
    shown = np.flatnonzero(detections.scores >= score_threshold)[:SHOWN]
    return {
        'id': image.id,
        'name': image.name,
        'width': image.width,
        'height': image.height,
        'missed': missed,
        'false': false,
        'ground_truth': [
            _describe_box(measured.labels[box.label], (box.x0, box.y0, box.x1, box.y1)) for box in image.boxes
        ],
        'detections': [
            _describe_box(measured.labels[detections.labels[index]], detections.boxes[index])
            | {'score': float(detections.scores[index])}
            for index in shown
        ],
    }


def _describe_box(label: str, corners: Sequence[float] | np.ndarray) -> dict[str, object]:
    return {'label': label, 'box': [round(float(value), 2) for value in corners]}


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else 0.0
