"""The report of a detector: every figure from images that it did not learn from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from transfer.data.manifests import BoxedImage, DetectionManifest
from transfer.detection import evaluation
from transfer.features.metrics import wilson_interval
from transfer.regions.postprocess import Detections, GroundTruth
from transfer.spec.report import (
    BoxReport,
    ClassDetectionReport,
    DetectionReport,
    Interval,
    Recall,
    WorstImage,
)

POINTS = 60  # of a curve that a page draws
SHOWN = 20  # boxes of an image in the list of the worst


def compute_figures(
    kind: str,
    measured: DetectionManifest,
    found: Sequence[Detections],
    recall: Recall | None,
    *,
    seconds: float,
    train_images: int,
) -> DetectionReport:
    """The figures of a detector of that kind by what it found on the images of `measured`, in their order.

    `worst` shows the detections that people are shown: those of at least the score threshold, which is chosen
    here. `seconds`, `train_images` and `recall` are reported as they are.
    """
    score_threshold = choose_score_threshold(measured, found)
    truths, classes = [read_ground_truth(image) for image in measured.images], len(measured.labels)
    curves = evaluation.compute_curves(truths, found, classes)
    return DetectionReport(
        kind=kind,
        ap11=evaluation.mean_ap(curves) or 0.0,
        ap=_mean([evaluation.all_point_ap(curve) for curve in curves if curve.objects]),
        interval=compute_interval(truths, curves),
        coco=evaluation.compute_coco_ap(truths, found, classes),
        objects=sum(curve.objects for curve in curves),
        classes=tuple(_describe_class(measured.labels[curve.label], truths, curve) for curve in curves),
        mistakes=evaluation.count_mistakes(truths, found, classes),
        proposals=recall,
        score_threshold=score_threshold,
        worst=tuple(
            _describe_image(measured, found, score_threshold, *row)
            for row in evaluation.rank_worst_images(truths, found, score_threshold)
        ),
        seconds=seconds,
        train_images=train_images,
        test_images=len(measured.images),
    )


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


def compute_interval(truths: Sequence[GroundTruth], kinds: Sequence[evaluation.Curve]) -> Interval:
    """95 % of the VOC 2007 mean AP. Where no drawing of the images errs (or none is right) they cannot tell
    how far off the figure may be: then it is that of so many objects, all found or none (Wilson).
    """
    low, high = evaluation.bootstrap_interval(truths, kinds)
    if low < high:
        return low, high
    objects = sum(kind.objects for kind in kinds)
    return wilson_interval(round(low * objects), objects)


def _describe_class(
    name: str, truths: Sequence[GroundTruth], curve: evaluation.Curve
) -> ClassDetectionReport:
    if not curve.objects:
        return ClassDetectionReport(name, 0, None, None, None, ())
    return ClassDetectionReport(
        label=name,
        n=curve.objects,
        ap11=evaluation.eleven_point_ap(curve),
        ap=evaluation.all_point_ap(curve),
        interval=compute_interval(truths, [curve]),
        curve=_thin_curve(curve),
    )


def _thin_curve(kind: evaluation.Curve) -> tuple[tuple[float, float, float], ...]:
    """(recall, precision, score) where something was found, at no more than 60 places, and at the end of the
    curve.
    """
    if not len(kind.scores):
        return ()
    found = np.flatnonzero(kind.right)
    few = (
        found[np.unique(np.linspace(0, len(found) - 1, POINTS).round().astype(int))] if len(found) else found
    )
    places = np.unique([*few, len(kind.scores) - 1])
    columns = (kind.recall()[places], kind.precision()[places], kind.scores[places])
    return tuple(
        (round(float(recall), 4), round(float(precision), 4), round(float(score), 4))
        for recall, precision, score in zip(*columns, strict=True)
    )


def _describe_image(
    measured: DetectionManifest,
    found: Sequence[Detections],
    score_threshold: float,
    place: int,
    missed: int,
    false: int,
) -> WorstImage:
    image, detections = measured.images[place], found[place]
    shown = np.flatnonzero(detections.scores >= score_threshold)[:SHOWN]
    return WorstImage(
        id=image.id,
        name=image.name,
        width=image.width,
        height=image.height,
        missed=missed,
        false=false,
        ground_truth=tuple(
            BoxReport(measured.labels[box.label], _round_corners((box.x0, box.y0, box.x1, box.y1)))
            for box in image.boxes
        ),
        detections=tuple(
            BoxReport(
                measured.labels[detections.labels[index]],
                _round_corners(detections.boxes[index]),
                float(detections.scores[index]),
            )
            for index in shown
        ),
    )


def _round_corners(corners: Sequence[float] | np.ndarray) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = (round(float(value), 2) for value in corners)
    return x0, y0, x1, y1


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else 0.0
