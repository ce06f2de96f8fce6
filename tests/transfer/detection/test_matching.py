"""Regions and the ground truth nearest to each."""

from __future__ import annotations

import dataclasses

import numpy as np

from tests.support.drawn_objects import TWO_OBJECTS, scatter_boxes
from transfer.data.manifests import LabelledBox
from transfer.detection.matching import match_regions
from transfer.regions.boxes import iou

TRUTH = np.array([[10, 10, 50, 50], [60, 20, 90, 70]], float)


def test_ground_truth_boxes_are_regions_and_difficult_ones_are_not():
    regions = match_regions(TWO_OBJECTS, scatter_boxes(0), 300)
    assert regions.ground_truths == 2
    assert regions.overlaps[:2].tolist() == [1.0, 1.0]
    assert regions.labels[:2].tolist() == [1, 2]
    assert len(regions.boxes) == 302
    assert not (regions.boxes == [0, 60, 20, 80]).all(1).any()
    hard = dataclasses.replace(TWO_OBJECTS, boxes=(LabelledBox(10, 10, 50, 50, 0, difficult=True),))
    assert match_regions(hard, scatter_boxes(0), 300).ground_truths == 0


def test_each_region_is_matched_with_the_ground_truth_that_it_overlaps_most():
    regions = match_regions(TWO_OBJECTS, scatter_boxes(1), 300)
    overlaps = iou(regions.boxes, TRUTH)
    np.testing.assert_allclose(regions.nearest, TRUTH[overlaps.argmax(1)])
    np.testing.assert_allclose(regions.overlaps, overlaps.max(1))
    assert (regions.labels == np.where(overlaps.max(1) > 0, overlaps.argmax(1) + 1, 0)).all()


def test_regions_know_their_overlap_with_every_class():
    regions = match_regions(TWO_OBJECTS, scatter_boxes(0), 300)
    np.testing.assert_allclose(
        np.stack([regions.overlaps_with(0), regions.overlaps_with(1)], 1), iou(regions.boxes, TRUTH)
    )
    assert not regions.overlaps_with(2).any()


def test_empty_proposals_and_those_met_before_are_left_out():
    proposals = np.array([[0, 0, 9, 9], [0, 0, 9, 9], [5, 5, 5, 20], [10, 10, 50, 50]], float)
    regions = match_regions(TWO_OBJECTS, proposals, 300)
    assert regions.boxes[2:].tolist() == [[0, 0, 9, 9], [10, 10, 50, 50]]
    once = regions.without_duplicates()
    assert once.boxes.tolist() == [*TRUTH.tolist(), [0, 0, 9, 9]]
    assert (once.ground_truths, once.labels.tolist()) == (2, [1, 2, 0])
    assert len(match_regions(TWO_OBJECTS, proposals, 1).boxes) == 3


def test_on_an_image_without_objects_every_region_is_background():
    regions = match_regions(dataclasses.replace(TWO_OBJECTS, boxes=()), scatter_boxes(4), 300)
    assert not regions.labels.any() and not regions.overlaps.any()
    assert (regions.nearest == regions.boxes).all()
