"""The regions of a labelled image, each with the ground truth that it overlaps most. Numpy only."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from transfer.data.manifests import BoxedImage
from transfer.regions.boxes import areas, iou, unique


@dataclass(frozen=True)
class MatchedRegions:
    """Ground truth boxes first, then proposals. Difficult objects (Pascal VOC) are neither."""

    image: BoxedImage
    boxes: np.ndarray  # (n, 4) pixels of the upright image
    ground_truths: int  # how many of the boxes, from the first, are ground truth
    labels: np.ndarray  # (n,) class of the nearest ground truth, from 1; 0: no overlap with any (background)
    overlaps: np.ndarray  # (n,) IoU with it
    nearest: np.ndarray  # (n, 4) its box; the region's own where the image has none

    def overlaps_with(self, label: int) -> np.ndarray:
        """(n,) best IoU with a ground truth box of that class, counted from 0 as in the manifest."""
        mine = [box for box in self.image.boxes if box.label == label and not box.difficult]
        truth = np.array([(box.x0, box.y0, box.x1, box.y1) for box in mine], float).reshape(-1, 4)
        return iou(self.boxes, truth).max(1, initial=0.0)

    def without_duplicates(self) -> MatchedRegions:
        """Each box once: a proposal that is a ground truth box goes."""
        rows = unique(self.boxes)
        return dataclasses.replace(
            self,
            boxes=self.boxes[rows],
            ground_truths=int((rows < self.ground_truths).sum()),
            labels=self.labels[rows],
            overlaps=self.overlaps[rows],
            nearest=self.nearest[rows],
        )


def match_regions(image: BoxedImage, proposals: np.ndarray, limit: int) -> MatchedRegions:
    """Match the first `limit` proposals (n, 4), without those that are empty or met before, and the ground
    truth itself.
    """
    easy = [box for box in image.boxes if not box.difficult]
    truth = np.array([(box.x0, box.y0, box.x1, box.y1) for box in easy], float).reshape(-1, 4)
    proposed = proposals[:limit].astype(float).reshape(-1, 4)
    proposed = proposed[areas(proposed) > 0]
    boxes = np.concatenate([truth, proposed[unique(proposed)]])
    if not len(truth):
        return MatchedRegions(image, boxes, 0, np.zeros(len(boxes), int), np.zeros(len(boxes)), boxes)
    table = iou(boxes, truth)
    best = table.argmax(1)
    overlaps = table[np.arange(len(boxes)), best]
    labels = np.where(overlaps > 0, np.array([box.label + 1 for box in easy])[best], 0)
    return MatchedRegions(image, boxes, len(truth), labels, overlaps, truth[best])
