"""Where the threshold of a detector lies, and how far off its figure may be."""

from __future__ import annotations

import numpy as np
import pytest

from transfer.data.manifests import BoxedImage, DetectionManifest, LabelledBox
from transfer.detection.evaluation import compute_curves
from transfer.detection.report import choose_score_threshold, compute_interval, read_ground_truth
from transfer.features.metrics import wilson_interval
from transfer.regions.postprocess import Detections

BOXES = np.array([[0.0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10], [60, 0, 70, 10]])
NOWHERE = np.array([80.0, 80, 90, 90])


def photo(boxes) -> BoxedImage:
    return BoxedImage('', 100, 100, tuple(LabelledBox(*box, 0) for box in boxes), 'digest', 'photo')


def found(boxes, scores) -> Detections:
    return Detections(np.array(boxes), np.array(scores), np.zeros(len(boxes), int))


def test_the_threshold_is_where_precision_and_recall_are_best_together_half_way_to_the_next_score():
    measured = DetectionManifest(('thing',), (photo(BOXES),))
    # F1 after each detection: 2/5, 4/6, 4/7, 6/8, 6/9, 6/10
    detections = found([*BOXES[:2], NOWHERE, BOXES[2], NOWHERE, NOWHERE], [0.9, 0.8, 0.7, 0.6, 0.2, 0.1])
    assert choose_score_threshold(measured, [detections]) == pytest.approx(0.4)


def test_where_nothing_is_right_the_threshold_is_in_the_middle():
    measured = DetectionManifest(('thing',), (photo(BOXES),))
    assert choose_score_threshold(measured, [found([NOWHERE], [0.9])]) == 0.5


def test_a_faultless_test_of_four_objects_may_still_be_off_by_what_four_objects_can_tell():
    truths = [read_ground_truth(photo(BOXES[:2])), read_ground_truth(photo(BOXES[2:]))]
    all_found = [found(BOXES[:2], [0.9, 0.8]), found(BOXES[2:], [0.7, 0.6])]
    assert compute_interval(truths, compute_curves(truths, all_found, 1)) == wilson_interval(4, 4)
