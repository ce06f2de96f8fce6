"""Boxes: the one convention, and the arithmetic on it.

A box is four floats x0, y0, x1, y1 in pixels of the upright image, end-exclusive: its width is x1 - x0, the
whole image is (0, 0, width, height). Arrays of boxes are (n, 4). Conventions of files and other services (VOC
counts from one and includes the last pixel, COCO stores sizes, YOLO shares) exist only where such files are
read and written. No torch: serving needs this.
"""

from __future__ import annotations

import numpy as np

# A predicted size change is bounded to the image scale's extremes: exp of an untrained output must not
# overflow.
LARGEST_LOG_SCALE = float(np.log(1000 / 16))


def areas(boxes: np.ndarray) -> np.ndarray:
    """(n,) areas in square pixels; a box turned inside out has none."""
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 0)
    return sides[:, 0] * sides[:, 1]


def iou(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(n, m) intersection over union; two boxes without area have 0."""
    overlap = intersections(boxes, others)
    union = areas(boxes)[:, None] + areas(others)[None, :] - overlap
    return np.divide(overlap, union, out=np.zeros_like(overlap), where=union > 0)


def intersections(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(n, m) areas of what each pair shares, in float64."""
    boxes, others = boxes.astype(np.float64), others.astype(np.float64)
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    sides = np.maximum(high - low, 0)
    return sides[..., 0] * sides[..., 1]


def encode(boxes: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """(n, 4) shifts that turn `boxes` into `targets`.

    Centre moves in box sizes, then the logarithms of the size ratios.

    R-CNN, appendix C: tx = (Gx - Px) / Pw, ty, tw = log(Gw / Pw), th. Boxes need an area; ValueError
    otherwise.
    """
    if not (areas(boxes) > 0).all() or not (areas(targets) > 0).all():
        raise ValueError('a box without area has no shift')
    x, y, w, h = _split_boxes(boxes)
    gx, gy, gw, gh = _split_boxes(targets)
    return np.stack([(gx - x) / w, (gy - y) / h, np.log(gw / w), np.log(gh / h)], 1)


def decode(boxes: np.ndarray, shifts: np.ndarray) -> np.ndarray:
    """(n, 4) boxes moved by `shifts`: the inverse of `encode`."""
    x, y, w, h = _split_boxes(boxes)
    x, y = x + shifts[:, 0] * w, y + shifts[:, 1] * h
    w = w * np.exp(np.minimum(shifts[:, 2], LARGEST_LOG_SCALE))
    h = h * np.exp(np.minimum(shifts[:, 3], LARGEST_LOG_SCALE))
    return np.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2], 1)


def clip(boxes: np.ndarray, width: float, height: float) -> np.ndarray:
    """(n, 4) boxes with every corner inside the image; one wholly outside keeps no area."""
    return np.stack(
        [
            boxes[:, 0].clip(0, width),
            boxes[:, 1].clip(0, height),
            boxes[:, 2].clip(0, width),
            boxes[:, 3].clip(0, height),
        ],
        1,
    )


def mirror(boxes: np.ndarray, width: float) -> np.ndarray:
    """(n, 4) boxes of the image flipped left to right."""
    return np.stack([width - boxes[:, 2], boxes[:, 1], width - boxes[:, 0], boxes[:, 3]], 1)


def nms(boxes: np.ndarray, scores: np.ndarray, threshold: float) -> np.ndarray:
    """Indices of the boxes that stay, best first.

    Greedily, a box goes when it overlaps a better one by more than `threshold`.

    Equal scores keep their order in the input.
    """
    order = np.argsort(-scores, kind='stable')
    boxes = boxes[order].astype(np.float64)
    sizes = areas(boxes)
    alive = np.ones(len(order), bool)
    kept = []
    for index in range(len(order)):
        if not alive[index]:
            continue
        kept.append(index)
        low = np.maximum(boxes[index, :2], boxes[index + 1 :, :2])
        high = np.minimum(boxes[index, 2:], boxes[index + 1 :, 2:])
        sides = np.maximum(high - low, 0)
        overlap = sides[:, 0] * sides[:, 1]
        # Multiplied out, so that boxes without area need no case of their own.
        alive[index + 1 :] &= overlap <= threshold * (sizes[index] + sizes[index + 1 :] - overlap)
    return order[kept]


def unique(boxes: np.ndarray) -> np.ndarray:
    """Indices of the first of each distinct box, in the order of the input."""
    _, first = np.unique(boxes, axis=0, return_index=True)
    return np.sort(first)


def _split_boxes(boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    boxes = boxes.astype(np.float64)
    width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    return boxes[:, 0] + width / 2, boxes[:, 1] + height / 2, width, height
