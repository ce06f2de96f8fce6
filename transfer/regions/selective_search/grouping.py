"""Hierarchical grouping: the two most alike neighbours join until one region is left (Uijlings et al. 2013,
algorithm 1).
"""

from __future__ import annotations

import heapq

import numpy as np

from transfer.regions.selective_search.compiling import compile_function
from transfer.regions.selective_search.setting import COLOUR, FILL, SIZE, TEXTURE


@compile_function
def intersect_histograms(one: np.ndarray, other: np.ndarray) -> float:
    """What two histograms have in common, 0 to 1."""
    total = np.float32(0)
    for place in range(one.size):
        total += min(one[place], other[place])
    return float(total)


@compile_function
def likeness(
    one: int,
    other: int,
    measures: int,
    pixels: int,
    sizes: np.ndarray,
    boxes: np.ndarray,
    colours: np.ndarray,
    textures: np.ndarray,
) -> float:
    """The mean of the chosen measures, each 0 to 1."""
    total, parts = np.float32(0), 0
    if measures & COLOUR:
        total += intersect_histograms(colours[one], colours[other])
        parts += 1
    if measures & TEXTURE:
        total += intersect_histograms(textures[one], textures[other])
        parts += 1
    both = sizes[one] + sizes[other]
    if measures & SIZE:
        total += np.float32(1) - np.float32(both) / np.float32(pixels)
        parts += 1
    if measures & FILL:
        width = max(boxes[one, 2], boxes[other, 2]) - min(boxes[one, 0], boxes[other, 0])
        height = max(boxes[one, 3], boxes[other, 3]) - min(boxes[one, 1], boxes[other, 1])
        total += np.float32(1) - np.float32(width * height - both) / np.float32(pixels)
        parts += 1
    return float(total / np.float32(parts))


@compile_function
def join(
    one: int,
    other: int,
    new: int,
    sizes: np.ndarray,
    boxes: np.ndarray,
    colours: np.ndarray,
    textures: np.ndarray,
) -> None:
    """Row `new` becomes the union: histograms are averaged by size."""
    sizes[new] = sizes[one] + sizes[other]
    boxes[new, 0], boxes[new, 1] = min(boxes[one, 0], boxes[other, 0]), min(boxes[one, 1], boxes[other, 1])
    boxes[new, 2], boxes[new, 3] = max(boxes[one, 2], boxes[other, 2]), max(boxes[one, 3], boxes[other, 3])
    share = np.float32(sizes[one]) / np.float32(sizes[new])
    rest = np.float32(1) - share
    for place in range(colours.shape[1]):
        colours[new, place] = share * colours[one, place] + rest * colours[other, place]
    for place in range(textures.shape[1]):
        textures[new, place] = share * textures[one, place] + rest * textures[other, place]


@compile_function
def group(
    pairs: np.ndarray,
    measures: int,
    sizes: np.ndarray,
    boxes: np.ndarray,
    colours: np.ndarray,
    textures: np.ndarray,
) -> np.ndarray:
    """Boxes of every region of the hierarchy, (2n - 1, 4) int32.

    The n first ones, then each union in the order it was made.
    """
    count = sizes.size
    nodes = 2 * count - 1
    pixels = sizes.sum()
    sizes, boxes = extend(sizes, nodes), extend_rows(boxes, nodes)
    colours, textures = extend_rows(colours, nodes), extend_rows(textures, nodes)
    alive = np.ones(nodes, np.bool_)
    seen = np.full(nodes, -1, np.int32)
    touching = [np.empty(0, np.int32) for _ in range(0)]
    for region in range(count):
        touching.append(touching_of(region, pairs))
    queue = [(np.float32(-2), np.int32(0), np.int32(0)) for _ in range(0)]
    for index in range(pairs.shape[0]):
        one, other = pairs[index, 0], pairs[index, 1]
        alike = likeness(one, other, measures, pixels, sizes, boxes, colours, textures)
        queue.append((np.float32(-alike), one, other))
    heapq.heapify(queue)
    new = count
    while new < nodes and len(queue) > 0:
        _, one, other = heapq.heappop(queue)
        if not (alive[one] and alive[other]):
            continue
        join(one, other, new, sizes, boxes, colours, textures)
        alive[one] = alive[other] = False
        near = np.empty(touching[one].size + touching[other].size, np.int32)
        found = 0
        for side in (one, other):
            for neighbour in touching[side]:
                if alive[neighbour] and seen[neighbour] != new:
                    seen[neighbour] = new
                    near[found] = neighbour
                    found += 1
        near = near[:found].copy()
        touching.append(near)
        for neighbour in near:
            touching[neighbour] = np.append(touching[neighbour], np.int32(new))
            alike = likeness(neighbour, new, measures, pixels, sizes, boxes, colours, textures)
            heapq.heappush(queue, (np.float32(-alike), np.int32(neighbour), np.int32(new)))
        new += 1
    return boxes[:new]


@compile_function
def touching_of(region: int, pairs: np.ndarray) -> np.ndarray:
    count = 0
    for index in range(pairs.shape[0]):
        count += pairs[index, 0] == region or pairs[index, 1] == region
    near = np.empty(count, np.int32)
    count = 0
    for index in range(pairs.shape[0]):
        if pairs[index, 0] == region or pairs[index, 1] == region:
            near[count] = pairs[index, 1] if pairs[index, 0] == region else pairs[index, 0]
            count += 1
    return near


@compile_function
def extend(values: np.ndarray, rows: int) -> np.ndarray:
    longer = np.zeros(rows, values.dtype)
    longer[: values.size] = values
    return longer


@compile_function
def extend_rows(values: np.ndarray, rows: int) -> np.ndarray:
    longer = np.zeros((rows, values.shape[1]), values.dtype)
    longer[: values.shape[0]] = values
    return longer
