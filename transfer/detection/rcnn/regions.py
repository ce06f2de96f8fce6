"""The regions of an image and their nearest truth; photos kept decoded while a training goes over them again and again."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import numpy as np

from transfer.data.decode import Upright, decode_whole
from transfer.data.manifests import BoxedImage
from transfer.regions.boxes import areas, iou, unique

LEAST = 600  # pixels of the shorter side that a JPEG keeps at least when decoded reduced
KEPT_BYTES = 512 * 1024 * 1024


@dataclass(frozen=True)
class Regions:
    """True boxes first, then proposals; `overlaps` has a column for each class."""

    image: BoxedImage
    boxes: np.ndarray  # (n, 4) pixels of the upright image
    truths: int  # how many of them, from the first, are true boxes
    labels: np.ndarray  # (n,) class of the nearest truth, from 0; -1 where there is none
    nearest: np.ndarray  # (n, 4) the nearest true box
    overlaps: np.ndarray  # (n, classes) best IoU with a true box of each class


def regions(image: BoxedImage, proposals: np.ndarray, limit: int, classes: int) -> Regions:
    """Difficult objects are neither truth nor region."""
    easy = [box for box in image.boxes if not box.difficult]
    truth = np.array([(box.x0, box.y0, box.x1, box.y1) for box in easy], float).reshape(-1, 4)
    labels = np.array([box.label for box in easy], int)
    boxes = np.concatenate([truth, proposals[:limit].astype(float)])
    boxes = boxes[areas(boxes) > 0]
    boxes = np.concatenate([truth, boxes[len(truth) :][unique(boxes[len(truth) :])]])
    table = iou(boxes, truth)
    overlaps = np.stack([table[:, labels == label].max(1, initial=0.0) for label in range(classes)], 1)
    if not len(truth):
        return Regions(image, boxes, 0, np.full(len(boxes), -1), boxes, overlaps)
    best = table.argmax(1)
    return Regions(image, boxes, len(truth), labels[best], truth[best], overlaps)


class Photos:
    """Decoded photos, the most recently used kept within a bound of bytes."""

    def __init__(self, limit: int = KEPT_BYTES) -> None:
        self._kept: OrderedDict[str, Upright] = OrderedDict()
        self._limit = limit
        self._bytes = 0

    def get(self, path: str) -> Upright:
        if path in self._kept:
            self._kept.move_to_end(path)
            return self._kept[path]
        photo = decode_whole(path, LEAST)
        self._kept[path] = photo
        self._bytes += photo.pixels.nbytes
        while self._bytes > self._limit and len(self._kept) > 1:
            self._bytes -= self._kept.popitem(last=False)[1].pixels.nbytes
        return photo
