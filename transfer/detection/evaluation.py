"""Evaluate detections: average precision as Pascal VOC and COCO define it, and kinds of errors. No torch.

VOC's rule: the detections of a class, best first over all images, are each compared with the true box of that
class on their image that they overlap most. From IoU 0.5 on it is found, once; a second detection of it is
false; over a difficult object a detection counts for nothing. So a perfect detector has 1, and a class
without any true box has no figure at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from faster_coco_eval import COCO, COCOeval_faster

from transfer.regions.boxes import iou
from transfer.regions.postprocess import Detections, GroundTruth
from transfer.spec.report import CocoFigures, Mistakes

FOUND = 0.5  # IoU (VOC)
TOUCHES = 0.1  # IoU below which a detection has nothing to do with an object (Hoiem et al. 2012)
RIGHT, FALSE, IGNORED = 1, 0, -1


@dataclass(frozen=True)
class Curve:
    """One class: every detection that counts, best first."""

    label: int
    objects: int  # that are to be found
    scores: np.ndarray
    right: np.ndarray  # bool
    images: np.ndarray  # index of the image of each

    def recall(self) -> np.ndarray:
        return np.cumsum(self.right) / max(1, self.objects)

    def precision(self) -> np.ndarray:
        return np.cumsum(self.right) / np.arange(1, len(self.right) + 1)


def compute_curves(
    truths: Sequence[GroundTruth], found: Sequence[Detections], classes: int, at: float = FOUND
) -> list[Curve]:
    """The curve of each class over all images; both sequences run over the images in the same order."""
    marks = [_mark_detections(truth, detections, at) for truth, detections in zip(truths, found, strict=True)]
    return [_compute_curve(label, truths, found, marks) for label in range(classes)]


def eleven_point_ap(curve: Curve) -> float:
    """VOC 2007: the mean over recalls 0, 0.1 ... 1 of the best precision at that recall or a higher one."""
    return interpolated_ap(curve, 11)


def interpolated_ap(curve: Curve, points: int) -> float:
    """The same over any number of evenly spaced recalls (COCO takes 101)."""
    return _interpolate(curve.right, np.ones(len(curve.right)), curve.objects, points)


def all_point_ap(curve: Curve) -> float:
    """VOC 2010 on: the area under the precision curve made falling."""
    return _area(np.where(curve.right, 1.0, 0.0), np.ones(len(curve.right)), curve.objects)


def mean_ap(kinds: Sequence[Curve], points: int = 11) -> float | None:
    """Over the classes that have an object; None when none has."""
    values = [interpolated_ap(curve, points) for curve in kinds if curve.objects]
    return float(np.mean(values)) if values else None


def bootstrap_interval(
    truths: Sequence[GroundTruth], kinds: Sequence[Curve], draws: int = 200, seed: int = 0
) -> tuple[float, float]:
    """95 % of the VOC 2007 mean AP when images are drawn again with replacement (percentile bootstrap)."""
    rng = np.random.default_rng(seed)
    wanted = np.array(
        [[np.sum((t.labels == c.label) & ~t.difficult) for t in truths] for c in kinds]
    ).reshape(len(kinds), -1)
    values = []
    for _ in range(draws):
        weights = rng.multinomial(len(truths), np.full(len(truths), 1 / len(truths)))
        objects = wanted @ weights
        drawn = [
            _interpolate(curve.right * weights[curve.images], weights[curve.images], int(n), 11)
            for curve, n in zip(kinds, objects, strict=True)
            if n
        ]
        values.append(np.mean(drawn) if drawn else 0.0)
    low, high = np.percentile(np.array(values, float), [2.5, 97.5])
    return float(low), float(high)


def compute_coco_ap(truths: Sequence[GroundTruth], found: Sequence[Detections], classes: int) -> CocoFigures:
    """COCO's figures by a maintained library: AP over IoU 0.5 to 0.95, AP at 0.5 and at 0.75.

    Difficult objects go in as crowds, COCO's own word for objects that nobody is asked for.
    """
    if not any((~truth.difficult).any() for truth in truths):
        return CocoFigures(0.0, 0.0, 0.0)
    known, rows = COCO(_coco_document(truths, classes)), _coco_rows(found)
    if not rows:
        return CocoFigures(0.0, 0.0, 0.0)
    evaluation = COCOeval_faster(known, known.loadRes(rows), 'bbox', print_function=_ignore_messages)
    evaluation.run()
    return CocoFigures(*(float(value) for value in evaluation.stats[:3]))


def _ignore_messages(*words: object) -> None:
    """The library tells its progress to a log; a training has its own way to speak."""


def count_mistakes(truths: Sequence[GroundTruth], found: Sequence[Detections], classes: int) -> Mistakes:
    """What the best detections are; with `missed`, every object is accounted for as well."""
    counts = {'right': 0, 'localisation': 0, 'confusion': 0, 'background': 0}
    found_in_all = 0
    kinds = compute_curves(truths, found, classes)
    marks = [
        _mark_detections(truth, detections, FOUND) for truth, detections in zip(truths, found, strict=True)
    ]
    for curve in kinds:
        found_in_all += int(curve.right.sum())
        best = [
            (-float(detections.scores[place]), image, place)
            for image, detections in enumerate(found)
            for place in np.flatnonzero((detections.labels == curve.label) & (marks[image] != IGNORED))
        ]
        for _, image, place in sorted(best)[: curve.objects]:
            counts[_classify_mistake(truths[image], found[image], int(place), marks[image])] += 1
    return Mistakes(**counts, missed=sum(curve.objects for curve in kinds) - found_in_all)


def rank_worst_images(
    truths: Sequence[GroundTruth], found: Sequence[Detections], score_threshold: float, most: int = 12
) -> list[tuple[int, int, int]]:
    """(image, objects missed, false detections) where detections of at least `score_threshold` err most."""
    rows = []
    for image, (truth, detections) in enumerate(zip(truths, found, strict=True)):
        shown = detections.scores >= score_threshold
        sure = Detections(detections.boxes[shown], detections.scores[shown], detections.labels[shown])
        marks = _mark_detections(truth, sure, FOUND)
        missed, false = int((~truth.difficult).sum() - (marks == RIGHT).sum()), int((marks == FALSE).sum())
        rows.append((image, missed, false))
    wrong = [row for row in rows if row[1] + row[2]]
    return sorted(wrong, key=lambda row: (-row[1] - row[2], row[0]))[:most]


def _mark_detections(truth: GroundTruth, detections: Detections, at: float) -> np.ndarray:
    """RIGHT, FALSE or IGNORED for each detection of an image."""
    marks = np.full(len(detections), FALSE)
    if not len(truth.boxes):
        return marks
    overlaps = np.where(
        detections.labels[:, None] == truth.labels[None, :], iou(detections.boxes, truth.boxes), -1.0
    )
    taken = np.zeros(len(truth.boxes), bool)
    for place in np.argsort(-detections.scores, kind='stable'):
        best = int(overlaps[place].argmax())
        if overlaps[place, best] < at:
            continue
        if truth.difficult[best]:
            marks[place] = IGNORED
        elif not taken[best]:
            marks[place], taken[best] = RIGHT, True
    return marks


def _compute_curve(
    label: int, truths: Sequence[GroundTruth], found: Sequence[Detections], marks: Sequence[np.ndarray]
) -> Curve:
    chosen = [(d.labels == label) & (mark != IGNORED) for d, mark in zip(found, marks, strict=True)]
    scores = np.concatenate([np.zeros(0), *(d.scores[mine] for d, mine in zip(found, chosen, strict=True))])
    right = np.concatenate(
        [np.zeros(0, bool), *(mark[mine] == RIGHT for mark, mine in zip(marks, chosen, strict=True))]
    )
    images = np.concatenate(
        [np.zeros(0, int), *(np.full(mine.sum(), index) for index, mine in enumerate(chosen))]
    )
    order = np.argsort(-scores, kind='stable')
    objects = sum(int(((truth.labels == label) & ~truth.difficult).sum()) for truth in truths)
    return Curve(label, objects, scores[order], right[order], images[order])


def _envelope(precision: np.ndarray) -> np.ndarray:
    return np.maximum.accumulate(precision[::-1])[::-1]


def _interpolate(right: np.ndarray, counted: np.ndarray, objects: int, points: int) -> float:
    """The interpolated AP of detections that count `counted` times each, `right` of them right."""
    if not objects or not len(right):
        return 0.0
    hits, count = np.cumsum(right), np.cumsum(counted)
    precision = np.divide(hits, count, out=np.zeros(len(hits)), where=count > 0)
    places = np.searchsorted(hits / objects, np.linspace(0, 1, points) - 1e-12)
    return float(np.mean(np.append(_envelope(precision), 0.0)[places]))


def _area(right: np.ndarray, counted: np.ndarray, objects: int) -> float:
    """All-point AP of detections that count `counted` times each, `right` of them right."""
    if not objects or not len(right):
        return 0.0
    hits, count = np.cumsum(right), np.cumsum(counted)
    precision = np.divide(hits, count, out=np.zeros(len(hits)), where=count > 0)
    return float((right / objects * _envelope(precision)).sum())


def _classify_mistake(truth: GroundTruth, detections: Detections, place: int, marks: np.ndarray) -> str:
    if marks[place] == RIGHT:
        return 'right'
    overlaps = iou(detections.boxes[[place]], truth.boxes)[0]
    same = truth.labels == detections.labels[place]
    if overlaps[same].max(initial=0.0) >= TOUCHES:
        return 'localisation'
    return 'confusion' if overlaps[~same].max(initial=0.0) >= TOUCHES else 'background'


def _coco_document(truths: Sequence[GroundTruth], classes: int) -> dict[str, list[dict[str, object]]]:
    rows: list[dict[str, object]] = []
    for image, truth in enumerate(truths, 1):
        for (x0, y0, x1, y1), label, difficult in zip(
            truth.boxes.tolist(), truth.labels.tolist(), truth.difficult.tolist(), strict=True
        ):
            width, height = x1 - x0, y1 - y0
            rows.append(
                {
                    'id': len(rows) + 1,
                    'image_id': image,
                    'category_id': label + 1,
                    'bbox': [x0, y0, width, height],
                    'area': width * height,
                    'iscrowd': int(difficult),
                }
            )
    images: list[dict[str, object]] = [{'id': image} for image in range(1, len(truths) + 1)]
    return {
        'images': images,
        'categories': [{'id': n, 'name': str(n)} for n in range(1, classes + 1)],
        'annotations': rows,
    }


def _coco_rows(found: Sequence[Detections]) -> list[dict[str, object]]:
    return [
        {'image_id': image, 'category_id': label + 1, 'bbox': [x0, y0, x1 - x0, y1 - y0], 'score': score}
        for image, detections in enumerate(found, 1)
        for (x0, y0, x1, y1), score, label in zip(
            detections.boxes.tolist(), detections.scores.tolist(), detections.labels.tolist(), strict=True
        )
    ]
