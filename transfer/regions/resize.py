"""How large the network sees a photo. No torch: serving needs this."""

from __future__ import annotations

import cv2
import numpy as np

from transfer.data.decode import UprightImage
from transfer.spec.fast_rcnn import FastRcnnSpec


def resize_photo(photo: UprightImage, spec: FastRcnnSpec) -> tuple[np.ndarray, tuple[float, float]]:
    """Resize to `resized_size`: uint8 (h, w, 3), and the factors from the photo's own pixels, x and y, to
    those.
    """
    width, height = resized_size(photo.width, photo.height, spec)
    shrinks = width < photo.pixels.shape[1]
    pixels = cv2.resize(
        photo.pixels, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    )
    return pixels, (width / photo.width, height / photo.height)


def resized_size(width: int, height: int, spec: FastRcnnSpec) -> tuple[int, int]:
    """Width and height with the short side at `short_side`, unless the long one would pass `long_side`."""
    factor = min(spec.short_side / min(width, height), spec.long_side / max(width, height))
    return max(1, round(width * factor)), max(1, round(height * factor))


def scale_boxes(boxes: np.ndarray, scale: tuple[float, float]) -> np.ndarray:
    """(n, 4) float32 boxes in the pixels of the resized photo."""
    return (boxes * np.array(scale * 2)).astype(np.float32)
