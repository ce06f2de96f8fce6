"""Selective search (Uijlings, van de Sande, Gevers, Smeulders, IJCV 2013).

An image becomes class-independent boxes.

The pixel work is compiled by numba on the first call and kept in a cache folder; it runs without Python's
lock, so images can be searched in threads. The same image and setting give the same boxes in the same order.
"""

from __future__ import annotations

import cv2
import numpy as np

from transfer.regions.boxes import unique
from transfer.regions.selective_search import graph, regions
from transfer.regions.selective_search.grouping import group
from transfer.regions.selective_search.setting import FAST, Setting

SPACES = {'hsv': cv2.COLOR_RGB2HSV_FULL, 'lab': cv2.COLOR_RGB2LAB}


def search(image: np.ndarray, setting: Setting = FAST) -> np.ndarray:
    """(n, 4) float32 boxes in pixels of `image` (h, w, 3) uint8 RGB, most promising first, none twice."""
    resized, scale = at_width(image, setting.width)
    found = [hierarchy for colour in setting.colours for hierarchy in _hierarchies(resized, colour, setting)]
    boxes = _rank_boxes(found, setting.seed)
    boxes = boxes[((boxes[:, 2:] - boxes[:, :2]) >= setting.min_side).all(1)]
    boxes = boxes[unique(boxes)] * np.array(scale * 2, np.float32)
    return boxes.astype(np.float32)


def at_width(image: np.ndarray, width: int) -> tuple[np.ndarray, tuple[float, float]]:
    """The image brought to `width` pixels (0.

    As it is), and what turns its coordinates back into the original's.
    """
    if width == 0 or image.shape[1] == width:
        return image, (1.0, 1.0)
    height = max(1, round(image.shape[0] * width / image.shape[1]))
    resized = cv2.resize(
        image, (width, height), interpolation=cv2.INTER_AREA if width < image.shape[1] else cv2.INTER_LINEAR
    )
    return resized, (image.shape[1] / width, image.shape[0] / height)


def _hierarchies(image: np.ndarray, colour: str, setting: Setting) -> list[np.ndarray]:
    """The boxes of one hierarchy for each scale and strategy, on one colour space."""
    image = cv2.cvtColor(image, SPACES[colour])
    height, width, _ = image.shape
    weights = graph.edge_weights(graph.smooth(image, setting.sigma))
    order = graph.sorted_edges(weights)
    colours, textures = regions.colour_bins(image), regions.texture_bins(image)
    found = []
    for scale in setting.scales:
        labels = graph.segment(weights, order, height, width, float(scale))
        sizes, boxes = regions.measure(labels)
        known = (
            sizes,
            boxes,
            regions.colour_histograms(labels, colours, sizes),
            regions.texture_histograms(labels, textures, sizes),
        )
        pairs = regions.neighbours(labels)
        found += [group(pairs, measures, *known) for measures in setting.strategies]
    return found


def _rank_boxes(hierarchies: list[np.ndarray], seed: int) -> np.ndarray:
    """All boxes by rank from the top of their hierarchy times a random number, so that no single hierarchy
    leads.
    """
    ranks = np.concatenate([np.arange(len(boxes), 0, -1) for boxes in hierarchies])
    factors = np.random.default_rng(seed).random(len(ranks))
    return np.concatenate(hierarchies)[np.argsort(ranks * factors, kind='stable')]
