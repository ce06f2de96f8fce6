"""What is known of each region of a segmentation: size, box, colour and texture histograms, neighbours.

Compiled.
"""

from __future__ import annotations

import cv2
import numpy as np

from transfer.regions.selective_search.compiling import compile_function

COLOUR_BINS = 25  # per channel (Uijlings et al., section 3.2)
TEXTURE_BINS = 10  # per channel and orientation
ORIENTATIONS = 8
TEXTURE_SIGMA = 1.0  # of the Gaussian derivatives


def colour_bins(image: np.ndarray) -> np.ndarray:
    """(h, w, 3) uint8: the histogram bin of each channel of a uint8 image."""
    return (image.astype(np.uint16) * COLOUR_BINS // 256).astype(np.uint8)


def texture_bins(image: np.ndarray) -> np.ndarray:
    """(h, w, 3, 4) int8: the bin of the Gaussian derivative along 0, 45, 90 and 135 degrees of each channel.

    Its sign tells the orientation from its opposite; 0 is the lowest bin of both. Bins are shares of the
    largest response.
    """
    soft = cv2.GaussianBlur(image.astype(np.float32), (0, 0), TEXTURE_SIGMA)
    across, down = cv2.Scharr(soft, cv2.CV_32F, 1, 0), cv2.Scharr(soft, cv2.CV_32F, 0, 1)
    return oriented_bins(across, down)


@compile_function
def oriented_bins(across: np.ndarray, down: np.ndarray) -> np.ndarray:
    height, width, channels = across.shape
    diagonal = np.float32(0.5**0.5)
    largest = np.zeros((channels, 4), np.float32)
    for y in range(height):
        for x in range(width):
            for channel in range(channels):
                dx, dy = across[y, x, channel], down[y, x, channel]
                largest[channel, 0] = max(largest[channel, 0], abs(dx))
                largest[channel, 1] = max(largest[channel, 1], abs((dx + dy) * diagonal))
                largest[channel, 2] = max(largest[channel, 2], abs(dy))
                largest[channel, 3] = max(largest[channel, 3], abs((dy - dx) * diagonal))
    factors = np.float32(TEXTURE_BINS) / np.maximum(largest, np.float32(1e-6))
    bins = np.empty((height, width, channels, 4), np.int8)
    top = np.float32(TEXTURE_BINS - 1)
    for y in range(height):
        for x in range(width):
            for channel in range(channels):
                dx, dy = across[y, x, channel], down[y, x, channel]
                bins[y, x, channel, 0] = np.int8(max(min(dx * factors[channel, 0], top), -top))
                bins[y, x, channel, 1] = np.int8(
                    max(min((dx + dy) * diagonal * factors[channel, 1], top), -top)
                )
                bins[y, x, channel, 2] = np.int8(max(min(dy * factors[channel, 2], top), -top))
                bins[y, x, channel, 3] = np.int8(
                    max(min((dy - dx) * diagonal * factors[channel, 3], top), -top)
                )
    return bins


@compile_function
def measure(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sizes in pixels (n,) and boxes (n, 4) int32, end-exclusive."""
    height, width = labels.shape
    count = labels.max() + 1
    sizes = np.zeros(count, np.int32)
    boxes = np.zeros((count, 4), np.int32)
    boxes[:, 0], boxes[:, 1] = width, height
    for y in range(height):
        for x in range(width):
            label = labels[y, x]
            sizes[label] += 1
            boxes[label, 0] = min(boxes[label, 0], x)
            boxes[label, 1] = min(boxes[label, 1], y)
            boxes[label, 2] = max(boxes[label, 2], x + 1)
            boxes[label, 3] = y + 1
    return sizes, boxes


@compile_function
def colour_histograms(labels: np.ndarray, bins: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """(n, channels * 25) float32, each row summing to 1."""
    height, width, channels = bins.shape
    counts = np.zeros((sizes.size, channels * COLOUR_BINS), np.int32)
    for y in range(height):
        for x in range(width):
            row = counts[labels[y, x]]
            for channel in range(channels):
                row[channel * COLOUR_BINS + bins[y, x, channel]] += 1
    return shares(counts, sizes, channels)


@compile_function
def texture_histograms(labels: np.ndarray, bins: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """(n, channels * 8 * 10) float32, each row summing to 1.

    The lowest bin is what the others leave of the region.
    """
    height, width, channels, axes = bins.shape
    counts = np.zeros((sizes.size, channels * ORIENTATIONS * TEXTURE_BINS), np.int32)
    for y in range(height):
        for x in range(width):
            row = counts[labels[y, x]]
            for channel in range(channels):
                for axis in range(axes):
                    signed = bins[y, x, channel, axis]
                    if signed != 0:
                        orientation = channel * ORIENTATIONS + axis * 2 + (signed < 0)
                        row[orientation * TEXTURE_BINS + abs(signed)] += 1
    for region in range(sizes.size):
        for orientation in range(channels * ORIENTATIONS):
            start = orientation * TEXTURE_BINS
            counts[region, start] = sizes[region] - counts[region, start : start + TEXTURE_BINS].sum()
    return shares(counts, sizes, channels * ORIENTATIONS)


@compile_function
def shares(counts: np.ndarray, sizes: np.ndarray, histograms: int) -> np.ndarray:
    normal = np.empty(counts.shape, np.float32)
    for region in range(sizes.size):
        factor = np.float32(1.0) / np.float32(sizes[region] * histograms)
        for place in range(counts.shape[1]):
            normal[region, place] = counts[region, place] * factor
    return normal


@compile_function
def neighbours(labels: np.ndarray) -> np.ndarray:
    """(m, 2) int32 pairs of regions that touch along a side or a corner, the smaller label first, sorted,
    each once.
    """
    height, width = labels.shape
    count = labels.max() + 1
    touching = set()
    last = np.int64(-1)
    for y in range(height):
        for x in range(width):
            one = labels[y, x]
            for direction in range(4):
                ny = y + (direction > 0)
                nx = x + (direction != 1) - 2 * (direction == 3)
                if ny < height and 0 <= nx < width and labels[ny, nx] != one:
                    other = labels[ny, nx]
                    key = np.int64(min(one, other)) * count + max(one, other)
                    if key != last:
                        touching.add(key)
                        last = key
    pairs = np.empty((len(touching), 2), np.int32)
    for index, key in enumerate(sorted(touching)):
        pairs[index, 0], pairs[index, 1] = key // count, key % count
    return pairs
