"""Which regions of an image a step learns from, and what it should say of them. Numpy only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from transfer.data.manifests import BoxedImage
from transfer.regions.boxes import areas, encode, iou, mirror, unique
from transfer.spec.fast_rcnn import FastRcnnSpec

# Where a class has too few regions for its own statistics: those of the later releases (config BBOX_NORMALIZE_STDS).
USUAL_STD = (0.1, 0.1, 0.2, 0.2)
ENOUGH = 20  # regions


@dataclass(frozen=True)
class Regions:
    """The regions of one image: proposals and true boxes, each with the truth it overlaps most."""

    image: BoxedImage
    boxes: np.ndarray  # (n, 4) pixels of the upright image
    labels: np.ndarray  # (n,) class of the nearest truth, from 1; 0 is background
    overlaps: np.ndarray  # (n,) IoU with it
    shifts: np.ndarray  # (n, 4) towards it; zero without truth


@dataclass(frozen=True)
class Normal:
    """Mean and standard deviation of the shifts of each class: (classes + 1, 4), background first."""

    mean: np.ndarray
    std: np.ndarray


@dataclass(frozen=True)
class Sample:
    boxes: np.ndarray  # (k, 4)
    labels: np.ndarray  # (k,) 0 is background
    shifts: np.ndarray  # (k, 4) normalised
    moves: np.ndarray  # (k,) bool: whether the shift is learned from


def regions(image: BoxedImage, proposals: np.ndarray, limit: int) -> Regions:
    """Proposals (the first `limit`) and true boxes; difficult objects are neither truth nor region."""
    easy = [box for box in image.boxes if not box.difficult]
    truth = np.array([(box.x0, box.y0, box.x1, box.y1) for box in easy], float).reshape(-1, 4)
    boxes = np.concatenate([truth, proposals[:limit].astype(float)])
    boxes = boxes[areas(boxes) > 0]
    boxes = boxes[unique(boxes)]
    if not len(truth):
        return Regions(
            image, boxes, np.zeros(len(boxes), int), np.zeros(len(boxes)), np.zeros((len(boxes), 4))
        )
    overlaps = iou(boxes, truth)
    nearest = overlaps.argmax(1)
    best = overlaps[np.arange(len(boxes)), nearest]
    labels = np.array([box.label + 1 for box in easy])[nearest]
    return Regions(image, boxes, np.where(best > 0, labels, 0), best, encode(boxes, truth[nearest]))


def normal(all_regions: list[Regions], classes: int, spec: FastRcnnSpec) -> Normal:
    """Statistics of what will be learned, so that each class's targets have mean 0 and deviation 1 (paper, section 2.3)."""
    mean, std = np.zeros((classes + 1, 4)), np.tile(np.array(USUAL_STD), (classes + 1, 1))
    for label in range(1, classes + 1):
        chosen = [r.shifts[(r.labels == label) & (r.overlaps >= spec.box_iou)] for r in all_regions]
        shifts = np.concatenate([np.zeros((0, 4)), *chosen])
        if len(shifts) >= ENOUGH:
            mean[label], std[label] = shifts.mean(0), np.maximum(shifts.std(0), 0.01)
    return Normal(mean, std)


def sample(known: Regions, norms: Normal, spec: FastRcnnSpec, rng: np.random.Generator) -> Sample:
    """At most a quarter foreground, the rest background of IoU [0.1, 0.5), as far as there is any."""
    foreground = np.flatnonzero(known.overlaps >= spec.foreground_iou)
    background = np.flatnonzero(
        (known.overlaps < spec.background_high) & (known.overlaps >= spec.background_low)
    )
    if not len(background):
        # Empty photos ("nothing here") touch no object at all: their regions are the background there is.
        background = np.flatnonzero(known.overlaps < spec.background_high)
    wanted = min(round(spec.foreground_share * spec.rois_per_image), len(foreground))
    chosen = rng.choice(foreground, wanted, replace=False, p=_shares(known.labels[foreground], spec.balance))
    rest = rng.choice(background, min(spec.rois_per_image - wanted, len(background)), replace=False)
    places = np.concatenate([chosen, rest]).astype(int)
    labels = np.where(known.overlaps[places] >= spec.foreground_iou, known.labels[places], 0)
    shifts = (known.shifts[places] - norms.mean[labels]) / norms.std[labels]
    return Sample(
        known.boxes[places], labels, shifts, (labels > 0) & (known.overlaps[places] >= spec.box_iou)
    )


def _shares(labels: np.ndarray, balance: bool) -> np.ndarray | None:
    """How likely each region is drawn: all alike, or each class alike, however many regions lie on it."""
    if not balance or not len(labels):
        return None
    _, place, counts = np.unique(labels, return_inverse=True, return_counts=True)
    return np.asarray(1 / counts[place] / len(counts))


def mirrored(chosen: Sample, norms: Normal, width: float) -> Sample:
    """The same sample of the image flipped left to right: moves to the right become moves to the left."""
    raw = chosen.shifts * norms.std[chosen.labels] + norms.mean[chosen.labels]
    raw[:, 0] *= -1
    shifts = (raw - norms.mean[chosen.labels]) / norms.std[chosen.labels]
    return Sample(mirror(chosen.boxes, width), chosen.labels, shifts, chosen.moves)
