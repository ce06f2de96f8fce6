"""Segmentation of an image by its graph of neighbouring pixels (Felzenszwalb and Huttenlocher, IJCV 2004),
compiled.

The edges are sorted once per image and serve every scale k: sorting is by counting, on weights in steps of
1/16 grey level.
"""

from __future__ import annotations

import cv2
import numpy as np

from transfer.regions.selective_search.compiling import compile_function

STEPS = 16  # of a weight, per grey level
LARGEST = int(STEPS * 255 * 3**0.5) + 1  # black to white in three channels
# Right, down, down-right, down-left: each of the eight neighbourships once.
DIRECTIONS = 4


def smooth(image: np.ndarray, sigma: float) -> np.ndarray:
    """(h, w, 3) float32, blurred by a Gaussian of `sigma` pixels."""
    return cv2.GaussianBlur(image.astype(np.float32), (0, 0), sigma)


@compile_function
def edge_weights(image: np.ndarray) -> np.ndarray:
    """(h * w * 4,) uint16: the distance in colour to each neighbour, in steps.

    LARGEST + 1 where there is no neighbour.
    """
    height, width, _ = image.shape
    weights = np.full(height * width * DIRECTIONS, LARGEST + 1, np.uint16)
    for y in range(height):
        for x in range(width):
            a, b, c = image[y, x, 0], image[y, x, 1], image[y, x, 2]
            for direction in range(DIRECTIONS):
                ny = y + (direction > 0)
                nx = x + (direction != 1) - 2 * (direction == 3)
                if ny < height and 0 <= nx < width:
                    da, db, dc = image[ny, nx, 0] - a, image[ny, nx, 1] - b, image[ny, nx, 2] - c
                    distance = np.sqrt(da * da + db * db + dc * dc)
                    weights[(y * width + x) * DIRECTIONS + direction] = np.uint16(
                        distance * STEPS + np.float32(0.5)
                    )
    return weights


@compile_function
def sorted_edges(weights: np.ndarray) -> np.ndarray:
    """Indices of the edges that exist, lightest first, in scan order among equals."""
    starts = np.zeros(LARGEST + 3, np.int64)
    for weight in weights:
        starts[weight + 1] += 1
    starts = np.cumsum(starts)
    order = np.empty(starts[LARGEST + 1], np.int32)
    for edge in range(weights.size):
        weight = weights[edge]
        if weight <= LARGEST:
            order[starts[weight]] = edge
            starts[weight] += 1
    return order


@compile_function
def root(parents: np.ndarray, pixel: int) -> int:
    while parents[pixel] != pixel:
        parents[pixel] = parents[parents[pixel]]
        pixel = parents[pixel]
    return pixel


@compile_function
def segment(weights: np.ndarray, order: np.ndarray, height: int, width: int, scale: float) -> np.ndarray:
    """(h, w) int32 labels from 0 in scan order.

    Two regions join over an edge no heavier than what each holds together by (its heaviest inner edge + scale
    / size); then those of fewer than `scale` pixels join a neighbour, lightest edge first.
    """
    count = height * width
    parents = np.arange(count).astype(np.int32)
    sizes = np.ones(count, np.int32)
    limits = np.full(count, np.float32(scale))
    offsets = np.array([1, width, width + 1, width - 1], np.int32)
    for edge in order:
        pixel = edge // DIRECTIONS
        one, other = root(parents, pixel), root(parents, pixel + offsets[edge % DIRECTIONS])
        weight = np.float32(weights[edge]) / np.float32(STEPS)
        if one != other and weight <= limits[one] and weight <= limits[other]:
            if sizes[one] < sizes[other]:
                one, other = other, one
            parents[other] = one
            sizes[one] += sizes[other]
            limits[one] = weight + np.float32(scale) / sizes[one]
    labels = number_trees(parents)
    return absorb_small(labels, order, offsets, scale)[labels].reshape(height, width)


@compile_function
def absorb_small(labels: np.ndarray, order: np.ndarray, offsets: np.ndarray, smallest: float) -> np.ndarray:
    """(regions,) int32: the number each region goes by once those of fewer than `smallest` pixels have joined
    a neighbour.
    """
    count = labels.max() + 1
    parents = np.arange(count).astype(np.int32)
    sizes = np.zeros(count, np.int32)
    for label in labels:
        sizes[label] += 1
    for edge in order:
        pixel = edge // DIRECTIONS
        near, far = labels[pixel], labels[pixel + offsets[edge % DIRECTIONS]]
        if near == far:
            continue
        one, other = root(parents, near), root(parents, far)
        if one != other and (sizes[one] < smallest or sizes[other] < smallest):
            if sizes[one] < sizes[other]:
                one, other = other, one
            parents[other] = one
            sizes[one] += sizes[other]
    return number_trees(parents)


@compile_function
def number_trees(parents: np.ndarray) -> np.ndarray:
    """(n,) int32: for each element the number of its tree, from 0 in the order of their first elements."""
    numbers = np.full(parents.size, -1, np.int32)
    labels = np.empty(parents.size, np.int32)
    following = 0
    for element in range(parents.size):
        top = root(parents, element)
        if numbers[top] < 0:
            numbers[top] = following
            following += 1
        labels[element] = numbers[top]
    return labels
