"""Which regions of an image a step learns from, and what their targets are. Numpy only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from transfer.detection.matching import MatchedRegions
from transfer.regions.boxes import encode, mirror
from transfer.spec.fast_rcnn import FastRcnnSpec

# Where a class has too few regions for its own statistics: those of the later releases (config
# BBOX_NORMALIZE_STDS).
USUAL_STD = (0.1, 0.1, 0.2, 0.2)
ENOUGH = 20  # regions


@dataclass(frozen=True)
class ShiftStatistics:
    """Mean and standard deviation of the shifts of each class: (classes + 1, 4), background first."""

    mean: np.ndarray
    std: np.ndarray


@dataclass(frozen=True)
class Sample:
    """The regions of one image that one step learns from."""

    boxes: np.ndarray  # (k, 4)
    labels: np.ndarray  # (k,) 0 is background
    shifts: np.ndarray  # (k, 4) normalised
    moves: np.ndarray  # (k,) bool: whether the shift is learned from


def compute_shift_statistics(
    regions: Sequence[MatchedRegions], classes: int, spec: FastRcnnSpec
) -> ShiftStatistics:
    """By which each class's targets get mean 0 and deviation 1 (paper, section 2.3)."""
    mean, std = np.zeros((classes + 1, 4)), np.tile(np.array(USUAL_STD), (classes + 1, 1))
    for label in range(1, classes + 1):
        chosen = [(entry, (entry.labels == label) & (entry.overlaps >= spec.box_iou)) for entry in regions]
        parts = [encode(entry.boxes[rows], entry.nearest[rows]) for entry, rows in chosen]
        shifts = np.concatenate([np.zeros((0, 4)), *parts])
        if len(shifts) >= ENOUGH:
            mean[label], std[label] = shifts.mean(0), np.maximum(shifts.std(0), 0.01)
    return ShiftStatistics(mean, std)


def draw_sample(
    regions: MatchedRegions, statistics: ShiftStatistics, spec: FastRcnnSpec, generator: np.random.Generator
) -> Sample:
    """At most a quarter foreground, the rest background of IoU [0.1, 0.5), as far as there is any."""
    foreground = np.flatnonzero(regions.overlaps >= spec.foreground_iou)
    background = np.flatnonzero(
        (regions.overlaps < spec.background_high) & (regions.overlaps >= spec.background_low)
    )
    if not len(background):
        # Photos marked as empty overlap no object at all: their regions are the background there is.
        background = np.flatnonzero(regions.overlaps < spec.background_high)
    wanted = min(round(spec.foreground_share * spec.rois_per_image), len(foreground))
    weights = _class_weights(regions.labels[foreground], spec.balance)
    objects = generator.choice(foreground, wanted, replace=False, p=weights)
    rest = generator.choice(background, min(spec.rois_per_image - wanted, len(background)), replace=False)
    rows = np.concatenate([objects, rest]).astype(int)
    boxes, overlaps = regions.boxes[rows], regions.overlaps[rows]
    labels = np.where(overlaps >= spec.foreground_iou, regions.labels[rows], 0)
    shifts = (encode(boxes, regions.nearest[rows]) - statistics.mean[labels]) / statistics.std[labels]
    return Sample(boxes, labels, shifts, (labels > 0) & (overlaps >= spec.box_iou))


def _class_weights(labels: np.ndarray, balance: bool) -> np.ndarray | None:
    """The probability with which each region is drawn: equal for all (None), or equal for each class."""
    if not balance or not len(labels):
        return None
    _, place, counts = np.unique(labels, return_inverse=True, return_counts=True)
    return np.asarray(1 / counts[place] / len(counts))


def mirror_sample(sample: Sample, statistics: ShiftStatistics, width: float) -> Sample:
    """The same sample of the image flipped left to right: moves to the right become moves to the left."""
    mean, std = statistics.mean[sample.labels], statistics.std[sample.labels]
    shifts = sample.shifts * std + mean
    shifts[:, 0] *= -1
    return Sample(mirror(sample.boxes, width), sample.labels, (shifts - mean) / std, sample.moves)
