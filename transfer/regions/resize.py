"""How large the network sees a photo. No torch: serving needs this."""

from __future__ import annotations

import cv2
import numpy as np

from transfer.data.decode import Upright
from transfer.spec.fast_rcnn import FastRcnnSpec


def resized(photo: Upright, spec: FastRcnnSpec) -> tuple[np.ndarray, tuple[float, float]]:
    """uint8 (h, w, 3) with the short side at `short_side` unless the long one would pass `long_side`; and the factors from the
    photo's pixels, x and y, to those."""
    width, height = size_of(photo.width, photo.height, spec)
    shrinks = width < photo.pixels.shape[1]
    made = cv2.resize(
        photo.pixels, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    )
    return made, (width / photo.width, height / photo.height)


def size_of(width: int, height: int, spec: FastRcnnSpec) -> tuple[int, int]:
    """Width and height at which a photo of that size is seen."""
    factor = min(spec.short_side / min(width, height), spec.long_side / max(width, height))
    return max(1, round(width * factor)), max(1, round(height * factor))
