"""Crops of the labelled boxes, with a little around them, and of background without any object."""

from __future__ import annotations

import dataclasses

import numpy as np
from PIL import Image

from tests.support.drawn_objects import LABELS, draw_objects
from transfer.data.manifests import DetectionManifest, LabelledBox
from transfer.detection.crops import cut_crops

FREE = np.array([100.0, 60, 118, 78])


def cut(image, proposals, folder):
    manifest = DetectionManifest(LABELS, (image,))
    return cut_crops(manifest, [np.array(proposals)], folder, 0, lambda done: None)


def test_crops_show_each_object_with_a_tenth_around_it_and_background_shows_none(tmp_path):
    boxes = (LabelledBox(20, 20, 60, 40, 0), LabelledBox(70, 10, 90, 50, 1))
    image = dataclasses.replace(draw_objects(tmp_path / 'photo.png', 0), boxes=boxes)
    on_an_object = np.array([22.0, 20, 60, 40])
    crops = cut(image, [on_an_object, FREE], tmp_path / 'crops')
    assert crops.labels[:2] == LABELS
    sizes = {crop.label: Image.open(crop.path).size for crop in crops.images}
    assert len(crops.images) == 3  # the proposal that lies on an object is no background
    assert sizes[0] == (48, 24)
    assert sizes[1] == (24, 48)


def test_difficult_objects_are_neither_cut_out_nor_background(tmp_path):
    hard = LabelledBox(20, 20, 60, 40, 0, difficult=True)
    image = dataclasses.replace(draw_objects(tmp_path / 'photo.png', 0), boxes=(hard,))
    crops = cut(image, [np.array([20.0, 20, 60, 40]), FREE], tmp_path / 'crops')
    assert [crop.label for crop in crops.images] == [2]
