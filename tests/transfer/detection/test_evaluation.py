"""Average precision and mistakes: tables worked by hand, a slow twin, and a maintained library where the two
agree."""

from __future__ import annotations

import numpy as np
import pytest

from transfer.detection import evaluation as e
from transfer.regions.postprocess import Detections, GroundTruth, postprocess_detections

# As published with R-CNN and Fast R-CNN (rcnn_test.m, fast_rcnn/test.py), and the score that Fast R-CNN's
# demo cuts at.
PUBLISHED = {'min_score': 0.05, 'per_class': 100, 'nms_iou': 0.3}


def truth(
    *rows: tuple[float, float, float, float, int] | tuple[float, float, float, float, int, bool],
) -> GroundTruth:
    boxes = np.array([row[:4] for row in rows], float).reshape(-1, 4)
    return GroundTruth(
        boxes,
        np.array([row[4] for row in rows], int),
        np.array([len(row) > 5 and row[5] for row in rows], bool),
    )


def found(*rows: tuple[float, float, float, float, int, float]) -> Detections:
    boxes = np.array([row[:4] for row in rows], float).reshape(-1, 4)
    return Detections(
        boxes, np.array([row[5] for row in rows], float), np.array([row[4] for row in rows], int)
    )


def curve(right: list[bool], objects: int) -> e.Curve:
    n = len(right)
    return e.Curve(0, objects, np.linspace(1, 0.1, n), np.array(right, bool), np.zeros(n, int))


@pytest.mark.parametrize(
    ('right', 'objects', 'eleven', 'every'),
    [
        ([True, True], 2, 1.0, 1.0),
        ([], 3, 0.0, 0.0),
        ([False, False], 3, 0.0, 0.0),
        # recall .5 .5 1, precision 1 .5 2/3: recalls 0 to .5 have 1 (six points), the other five 2/3
        ([True, False, True], 2, (6 + 5 * 2 / 3) / 11, 0.5 + 0.5 * 2 / 3),
        # one of four found at once: recalls 0, .1, .2 have 1
        ([True], 4, 3 / 11, 0.25),
        ([False, True], 1, 0.5, 0.5),
        # recall .2 .2 .2 .4: 0, .1, .2 -> 1; .3, .4 -> .5
        ([True, False, False, True], 5, (3 + 2 * 0.5) / 11, 0.2 + 0.2 * 0.5),
    ],
)
def test_average_precision_by_hand(right, objects, eleven, every):
    assert e.eleven_point_ap(curve(right, objects)) == pytest.approx(eleven)
    assert e.all_point_ap(curve(right, objects)) == pytest.approx(every)


def test_a_second_detection_of_an_object_is_false():
    kinds = e.compute_curves(
        [truth((0, 0, 10, 10, 0))], [found((0, 0, 10, 10, 0, 0.9), (0, 0, 10, 9, 0, 0.8))], 1
    )
    assert kinds[0].right.tolist() == [True, False]


def test_a_difficult_object_is_not_asked_for_and_finding_it_costs_nothing():
    truths = [truth((0, 0, 10, 10, 0, True), (50, 50, 60, 60, 0))]
    kinds = e.compute_curves(truths, [found((0, 0, 10, 10, 0, 0.9), (50, 50, 60, 60, 0, 0.8))], 1)
    assert kinds[0].objects == 1
    assert kinds[0].right.tolist() == [True]
    assert e.eleven_point_ap(kinds[0]) == 1.0


def test_the_limit_of_overlap_is_included():
    truths = [truth((0, 0, 10, 10, 0))]
    assert e.compute_curves(truths, [found((0, 0, 10, 5, 0, 0.9))], 1)[0].right.tolist() == [
        True
    ]  # IoU exactly 0.5
    assert e.compute_curves(truths, [found((0, 0, 10, 4.99, 0, 0.9))], 1)[0].right.tolist() == [False]


def test_detections_are_ranked_over_all_images():
    truths = [truth((0, 0, 10, 10, 0)), truth((0, 0, 10, 10, 0))]
    kinds = e.compute_curves(
        truths, [found((0, 0, 10, 10, 0, 0.3)), found((50, 0, 60, 10, 0, 0.9), (0, 0, 10, 10, 0, 0.5))], 1
    )
    assert kinds[0].scores.tolist() == [0.9, 0.5, 0.3]
    assert kinds[0].right.tolist() == [False, True, True]
    assert kinds[0].images.tolist() == [1, 1, 0]


def test_a_class_without_objects_has_no_part_in_the_mean():
    kinds = e.compute_curves(
        [truth((0, 0, 10, 10, 0))], [found((0, 0, 10, 10, 0, 0.9), (0, 0, 5, 5, 1, 0.9))], 2
    )
    assert e.mean_ap(kinds) == 1.0
    assert e.mean_ap(e.compute_curves([truth()], [found()], 2)) is None


def random_world(
    seed: int, images: int = 30, classes: int = 3, difficult: float = 0.0
) -> tuple[list[GroundTruth], list[Detections]]:
    """Objects on a grid, so that no detection overlaps two of them; detections moved a little, some of them
    off."""
    rng = np.random.default_rng(seed)
    truths, detections = [], []
    for _ in range(images):
        cells = rng.choice(16, rng.integers(1, 7), replace=False)
        corners = np.stack([cells % 4 * 100, cells // 4 * 100], 1) + rng.uniform(0, 20, (len(cells), 2))
        boxes = np.hstack([corners, corners + rng.uniform(30, 60, (len(cells), 2))])
        labels = rng.integers(0, classes, len(cells))
        truths.append(GroundTruth(boxes, labels, rng.random(len(cells)) < difficult))
        seen = np.repeat(np.arange(len(cells)), rng.integers(0, 3, len(cells)))
        moved = boxes[seen] + rng.normal(0, 6, (len(seen), 4))
        predicted = np.where(rng.random(len(seen)) < 0.8, labels[seen], rng.integers(0, classes, len(seen)))
        detections.append(Detections(moved, rng.random(len(seen)), predicted))
    return truths, detections


def slow_eleven_point(truths: list[GroundTruth], detections: list[Detections], label: int) -> float:
    rows = sorted(
        (
            (-s, i, b)
            for i, d in enumerate(detections)
            for b, s, found_label in zip(d.boxes.tolist(), d.scores, d.labels, strict=True)
            if found_label == label
        ),
    )
    taken: set[tuple[int, int]] = set()
    right = false = 0
    points = []
    objects = sum(int(((t.labels == label) & ~t.difficult).sum()) for t in truths)
    for _, image, box in rows:
        world = truths[image]
        overlaps = [
            (painted(box, other), n)
            for n, other in enumerate(world.boxes.tolist())
            if world.labels[n] == label
        ]
        best, which = max(overlaps, default=(0.0, -1))
        if best >= 0.5 and world.difficult[which]:
            continue
        if best >= 0.5 and (image, which) not in taken:
            taken.add((image, which))
            right += 1
        else:
            false += 1
        points.append((right / objects, right / (right + false)))
    return sum(max((p for r, p in points if r >= step / 10 - 1e-12), default=0.0) for step in range(11)) / 11


def painted(one: list[float], other: list[float]) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    both = width * height
    return both / (
        (one[2] - one[0]) * (one[3] - one[1]) + (other[2] - other[0]) * (other[3] - other[1]) - both
    )


@pytest.mark.parametrize('difficult', [0.0, 0.3])
def test_eleven_point_precision_equals_its_slow_twin(difficult):
    truths, detections = random_world(1, difficult=difficult)
    for kind in e.compute_curves(truths, detections, 3):
        assert e.eleven_point_ap(kind) == pytest.approx(slow_eleven_point(truths, detections, kind.label))


@pytest.mark.parametrize('seed', [2, 3])
def test_our_precision_at_101_points_is_that_of_the_library(seed):
    truths, detections = random_world(seed)
    # A recall that equals one of the 101 points may fall on either side of it by rounding: 1/101 of a class
    # at most.
    known, rounding = e.compute_coco_ap(truths, detections, 3), 1 / 101 / 3 + 1e-9
    assert e.mean_ap(e.compute_curves(truths, detections, 3, at=0.5), 101) == pytest.approx(
        known.ap50, abs=rounding
    )
    assert e.mean_ap(e.compute_curves(truths, detections, 3, at=0.75), 101) == pytest.approx(
        known.ap75, abs=rounding
    )
    ladder = [
        e.mean_ap(e.compute_curves(truths, detections, 3, at=at), 101)
        for at in np.arange(0.5, 0.96, 0.05).round(2)
    ]
    assert np.mean(ladder) == pytest.approx(known.ap, abs=rounding)


def test_no_detections_and_no_objects_are_no_error():
    assert e.compute_coco_ap([truth((0, 0, 9, 9, 0))], [found()], 1).ap == 0.0
    assert e.compute_coco_ap([truth()], [found((0, 0, 9, 9, 0, 0.5))], 1).ap == 0.0
    assert e.count_mistakes([truth()], [found((0, 0, 9, 9, 0, 0.5))], 1) == e.Mistakes(0, 0, 0, 0, 0)


def test_mistakes_by_hand():
    truths = [
        truth(
            (0, 0, 10, 10, 0),
            (50, 0, 60, 10, 1),
            (80, 80, 99, 99, 0),
            (200, 0, 210, 10, 0),
            (300, 0, 310, 10, 0),
        )
    ]
    detections = [
        found(
            (0, 0, 10, 10, 0, 0.9),  # right
            (0, 0, 10, 4, 0, 0.8),  # the same object, badly placed
            (50, 0, 60, 10, 0, 0.7),  # an object of the other class
            (400, 0, 410, 10, 0, 0.6),  # nothing
            (80, 80, 99, 99, 0, 0.5),  # right, but beyond the four best
        )
    ]
    assert e.count_mistakes(truths, detections, 2) == e.Mistakes(
        right=1, localisation=1, confusion=1, background=1, missed=3
    )


def test_the_interval_holds_the_figure_and_shrinks_with_more_images():
    few, many = random_world(5, images=12), random_world(5, images=120)
    spans = []
    for truths, detections in (few, many):
        kinds = e.compute_curves(truths, detections, 3)
        low, high = e.bootstrap_interval(truths, kinds)
        assert low <= np.mean([e.all_point_ap(kind) for kind in kinds]) <= high
        spans.append(high - low)
    assert spans[1] < spans[0]


def test_the_worst_images_come_first():
    truths = [truth((0, 0, 10, 10, 0)), truth((0, 0, 10, 10, 0), (20, 0, 30, 10, 0)), truth()]
    detections = [
        found((0, 0, 10, 10, 0, 0.9)),
        found((90, 90, 99, 99, 0, 0.9)),
        found((0, 0, 5, 5, 0, 0.8), (0, 0, 5, 5, 0, 0.1)),
    ]
    assert e.rank_worst_images(truths, detections, 0.5) == [(1, 2, 1), (2, 0, 1)]


def test_settling_thresholds_cuts_and_suppresses_within_each_class():
    boxes = np.array(
        [
            [[0, 0, 10, 10], [0, 0, 10, 10]],
            [[1, 0, 11, 10], [90, 90, 130, 130]],
            [[50, 50, 60, 60], [0, 0, 1, 1]],
        ],
        float,
    )
    scores = np.array([[0.9, 0.6], [0.8, 0.7], [0.01, 0.02]])
    detections = postprocess_detections(boxes, scores, 100, 100, **PUBLISHED)
    assert detections.labels.tolist() == [0, 1, 1]
    assert detections.scores.tolist() == [0.9, 0.7, 0.6]
    assert detections.boxes.tolist() == [[0, 0, 10, 10], [90, 90, 100, 100], [0, 0, 10, 10]]
    best = postprocess_detections(boxes, scores, 100, 100, **PUBLISHED | {'per_class': 1})
    assert best.scores.tolist() == [0.9, 0.7]
    assert len(postprocess_detections(np.zeros((0, 2, 4)), np.zeros((0, 2)), 100, 100, **PUBLISHED)) == 0
