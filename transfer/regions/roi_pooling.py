"""Region pooling without torch, as torchvision.ops computes it.

A detector that is served needs nothing else of torch's.
"""

from __future__ import annotations

import numpy as np

from transfer.regions.selective_search.compiling import compile_function


def pool_regions(
    features: np.ndarray, regions: np.ndarray, side: int, scale: float, *, align: bool = False
) -> np.ndarray:
    """(n, channels, side, side) float32 from a map (channels, h, w) and regions (n, 4) in pixels of the
    network's input.

    `scale`: cells a pixel. RoI max pooling (Girshick 2015, section 2.1), or RoIAlign (He et al. 2017) where
    `align`.
    """
    # channels last: they are read together
    last = np.ascontiguousarray(features.transpose(1, 2, 0), np.float32)
    pooling = _align if align else _max_pool
    pooled: np.ndarray = pooling(last, np.ascontiguousarray(regions, np.float32), side, np.float32(scale))
    return np.ascontiguousarray(pooled.transpose(0, 3, 1, 2))


@compile_function
def _max_pool(features: np.ndarray, regions: np.ndarray, side: int, scale: np.float32) -> np.ndarray:
    height, width, channels = features.shape
    pooled = np.zeros((len(regions), side, side, channels), np.float32)
    for number in range(len(regions)):
        left = int(np.floor(regions[number, 0] * scale + np.float32(0.5)))
        top = int(np.floor(regions[number, 1] * scale + np.float32(0.5)))
        right = int(np.floor(regions[number, 2] * scale + np.float32(0.5)))
        bottom = int(np.floor(regions[number, 3] * scale + np.float32(0.5)))
        # Corners belong to the region; one that rounds to nothing is a cell large.
        cell_h = np.float32(max(bottom - top + 1, 1)) / np.float32(side)
        cell_w = np.float32(max(right - left + 1, 1)) / np.float32(side)
        for row in range(side):
            first_y = min(max(int(np.floor(np.float32(row) * cell_h)) + top, 0), height)
            past_y = min(max(int(np.ceil(np.float32(row + 1) * cell_h)) + top, 0), height)
            for column in range(side):
                first_x = min(max(int(np.floor(np.float32(column) * cell_w)) + left, 0), width)
                past_x = min(max(int(np.ceil(np.float32(column + 1) * cell_w)) + left, 0), width)
                if past_y <= first_y or past_x <= first_x:
                    continue
                cell = pooled[number, row, column]
                cell[:] = features[first_y, first_x]
                for y in range(first_y, past_y):
                    for x in range(first_x, past_x):
                        for channel in range(channels):
                            cell[channel] = max(cell[channel], features[y, x, channel])
    return pooled


@compile_function
def _align(features: np.ndarray, regions: np.ndarray, side: int, scale: np.float32) -> np.ndarray:
    height, width, channels = features.shape
    pooled = np.zeros((len(regions), side, side, channels), np.float32)
    for number in range(len(regions)):
        left, top = regions[number, 0] * scale, regions[number, 1] * scale
        across = max(regions[number, 2] * scale - left, np.float32(1))
        down = max(regions[number, 3] * scale - top, np.float32(1))
        rows, columns = int(np.ceil(down / side)), int(np.ceil(across / side))  # of samples in a cell
        for row in range(side):
            for column in range(side):
                cell = pooled[number, row, column]
                for i in range(rows):
                    y = top + (row + (i + np.float32(0.5)) / rows) * down / side
                    for j in range(columns):
                        x = left + (column + (j + np.float32(0.5)) / columns) * across / side
                        _add_sample(cell, features, y, x, height, width)
                for channel in range(channels):
                    cell[channel] /= rows * columns
    return pooled


@compile_function
def _add_sample(cell: np.ndarray, features: np.ndarray, y: float, x: float, height: int, width: int) -> None:
    """Add the bilinear value at (y, x); points more than a cell outside count as zero."""
    if y < -1 or y > height or x < -1 or x > width:
        return
    y, x = max(y, 0.0), max(x, 0.0)
    low_y, low_x = min(int(y), height - 1), min(int(x), width - 1)
    high_y, high_x = min(low_y + 1, height - 1), min(low_x + 1, width - 1)
    part_y = 0.0 if low_y == high_y else y - low_y
    part_x = 0.0 if low_x == high_x else x - low_x
    for channel in range(len(cell)):
        upper = features[low_y, low_x, channel] * (1 - part_x) + features[low_y, high_x, channel] * part_x
        lower = features[high_y, low_x, channel] * (1 - part_x) + features[high_y, high_x, channel] * part_x
        cell[channel] += np.float32(upper * (1 - part_y) + lower * part_y)
