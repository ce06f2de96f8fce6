"""A region warped to the square a network takes, with a rim of its surroundings (R-CNN, appendix A).

No torch.
"""

from __future__ import annotations

import cv2
import numpy as np


def warp_region(
    pixels: np.ndarray, box: np.ndarray, side: int, context: int, fill: tuple[float, ...]
) -> np.ndarray:
    """Warp `box`, in pixels of `pixels`, to uint8 (side, side, 3).

    It fills the square but for `context` pixels on each side.

    The box is stretched without regard to its shape. Where its surroundings leave the image the mean colour
    `fill` (RGB in 0..1) stands, which is zero once normalised. Bilinear, not antialiased, as published.
    """
    height, width, _ = pixels.shape
    crop = np.empty((side, side, 3), np.uint8)
    crop[:] = np.round(np.array(fill) * 255).astype(np.uint8)
    grown = side / (side - 2 * context)
    centre, half = (box[:2] + box[2:]) / 2, np.maximum(box[2:] - box[:2], 1.0) / 2 * grown
    low, high = centre - half, centre + half
    inside_low = np.clip(np.floor(low), 0, (width - 1, height - 1)).astype(int)
    inside_high = np.clip(np.ceil(high), inside_low + 1, (width, height)).astype(int)
    scale = side / (high - low)
    start = np.clip(np.round((np.maximum(low, 0) - low) * scale), 0, side - 1).astype(int)
    stop = np.clip(np.round((np.minimum(high, (width, height)) - low) * scale), start + 1, side).astype(int)
    part = pixels[inside_low[1] : inside_high[1], inside_low[0] : inside_high[0]]
    size = (int(stop[0] - start[0]), int(stop[1] - start[1]))
    crop[start[1] : stop[1], start[0] : stop[0]] = cv2.resize(part, size, interpolation=cv2.INTER_LINEAR)
    return crop
