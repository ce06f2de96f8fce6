"""Selective search as OpenCV computes it.

Its own presets, and Girshick's setting built from its parts to compare ours with.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from transfer.regions.boxes import unique
from transfer.regions.selective_search.search import SPACES, at_width
from transfer.regions.selective_search.setting import COLOUR, FAST, FILL, SIZE, TEXTURE, Setting


def opencv_fast(image: np.ndarray) -> np.ndarray:
    """OpenCV's preset: HSV and Lab, k = 150, 300, 450, two strategies; thin boxes stay.

    Boxes of `image` (h, w, 3) uint8 RGB.
    """
    searcher = _searcher(image)
    searcher.switchToSelectiveSearchFast()
    return _boxes(searcher)


def opencv_quality(image: np.ndarray) -> np.ndarray:
    """OpenCV's preset: five colour spaces, four scales, four strategies; the slowest and most complete."""
    searcher = _searcher(image)
    searcher.switchToSelectiveSearchQuality()
    return _boxes(searcher)


def opencv_single(image: np.ndarray) -> np.ndarray:
    """OpenCV's preset: HSV, one scale, one strategy."""
    searcher = _searcher(image)
    searcher.switchToSingleStrategy()
    return _boxes(searcher)


def opencv_girshick(image: np.ndarray, setting: Setting = FAST) -> np.ndarray:
    """The same setting as our own search, computed by OpenCV's parts."""
    resized, scale = at_width(image, setting.width)
    searcher = cv2.ximgproc.segmentation.createSelectiveSearchSegmentation()
    searcher.setBaseImage(np.ascontiguousarray(resized[..., ::-1]))
    searcher.clearImages()
    for colour in setting.colours:
        searcher.addImage(cv2.cvtColor(resized, SPACES[colour]))
    for k in setting.scales:
        searcher.addGraphSegmentation(
            cv2.ximgproc.segmentation.createGraphSegmentation(setting.sigma, float(k), k)
        )
    for measures in setting.strategies:
        searcher.addStrategy(_strategy(measures))
    boxes = _boxes(searcher)
    boxes = boxes[((boxes[:, 2:] - boxes[:, :2]) >= setting.min_side).all(1)]
    return boxes * np.array(scale * 2, np.float32)


def _strategy(measures: int) -> Any:
    parts = cv2.ximgproc.segmentation
    made = {
        COLOUR: parts.createSelectiveSearchSegmentationStrategyColor,
        TEXTURE: parts.createSelectiveSearchSegmentationStrategyTexture,
        SIZE: parts.createSelectiveSearchSegmentationStrategySize,
        FILL: parts.createSelectiveSearchSegmentationStrategyFill,
    }
    together = parts.createSelectiveSearchSegmentationStrategyMultiple()
    chosen = [measure for measure in made if measures & measure]
    for measure in chosen:
        together.addStrategy(made[measure](), 1 / len(chosen))
    return together


def _searcher(image: np.ndarray) -> Any:
    searcher = cv2.ximgproc.segmentation.createSelectiveSearchSegmentation()
    searcher.setBaseImage(np.ascontiguousarray(image[..., ::-1]))
    return searcher


def _boxes(searcher: Any) -> np.ndarray:
    found = searcher.process().reshape(-1, 4).astype(np.float32)
    boxes = np.hstack([found[:, :2], found[:, :2] + found[:, 2:]])  # OpenCV's are x, y, width, height
    return boxes[unique(boxes)]
