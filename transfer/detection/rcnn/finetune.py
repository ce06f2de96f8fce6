"""Finetune the source network to classify warped regions, background included (R-CNN, section 2.3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from transfer.detection.matching import MatchedRegions
from transfer.detection.rcnn.embedding import PhotoCache, normalise_crops
from transfer.detection.rcnn.infer import boxes_as_decoded
from transfer.detection.sgd import Schedule, run_sgd
from transfer.regions.warp import warp_region
from transfer.runtime.batch_norm import train_with_frozen_statistics
from transfer.spec.rcnn import RcnnSpec
from transfer.spec.report import Report
from transfer.spec.train_spec import SourceModelSpec
from transfer.zoo.networks.architecture import Architecture

SHARE = 0.5  # of the whole training's time, for the progress shown


def finetune(
    network: Architecture,
    model: nn.Module,
    regions: Sequence[MatchedRegions],
    classes: int,
    source: SourceModelSpec,
    spec: RcnnSpec,
    report: Report,
    checkpoint: Path | None = None,
) -> None:
    """Train `model` in place and leave it in eval mode.

    Its last layer becomes one of classes + 1, background first.
    """
    network.replace_head(model, classes + 1)
    foreground, background = region_table(regions, spec)
    steps = FinetuningSteps(model, regions, foreground, background, source, spec)
    run_sgd(
        model,
        set(dict(network.layer_groups(model))['head']),
        steps.compute_gradients,
        spec,
        Schedule(spec.steps),
        lambda done: SHARE * done / spec.steps,
        report,
        checkpoint,
    )
    model.eval()


def region_table(regions: Sequence[MatchedRegions], spec: RcnnSpec) -> tuple[np.ndarray, np.ndarray]:
    """List all regions, those of the foreground and those of the background.

    Both are (n, 3) int: image, region, class from 1 (0: background).
    """
    tables = [np.zeros((0, 3), int)]
    for number, entry in enumerate(regions):
        count = len(entry.boxes)
        labels = np.where(entry.overlaps >= spec.foreground_iou, entry.labels, 0)
        tables.append(np.stack([np.full(count, number), np.arange(count), labels], 1))
    table = np.concatenate(tables)
    return table[table[:, 2] > 0], table[table[:, 2] == 0]


def draw_batch(
    foreground: np.ndarray, background: np.ndarray, spec: RcnnSpec, generator: np.random.Generator
) -> np.ndarray:
    """Rows of both tables, a quarter of them foreground: objects are rare among regions."""
    wanted = round(spec.batch * spec.foreground_share) if len(background) else spec.batch
    parts = [
        table[generator.integers(0, len(table), count)]
        for table, count in ((foreground, wanted), (background, spec.batch - wanted))
        if len(table)
    ]
    return np.concatenate(parts)


@dataclass(frozen=True)
class FinetuningSteps:
    """The forward and backward pass of each step."""

    model: nn.Module
    regions: Sequence[MatchedRegions]  # of every image
    foreground: np.ndarray  # as region_table gives them
    background: np.ndarray
    source: SourceModelSpec  # how crops are prepared
    spec: RcnnSpec
    photos: PhotoCache = field(default_factory=PhotoCache)

    def compute_gradients(self, step: int, generator: np.random.Generator) -> float:
        """Draw a batch of regions and backpropagate the mean cross entropy, which is returned."""
        train_with_frozen_statistics(self.model)
        batch = draw_batch(self.foreground, self.background, self.spec, generator)
        crops = [self._crop(image, region, generator) for image, region, _ in batch]
        device = next(self.model.parameters()).device
        labels = torch.from_numpy(batch[:, 2]).to(device)
        total = 0.0
        # In parts, for memory. Batch norms use fixed statistics, so the gradient is that of the whole batch.
        for start in range(0, len(crops), self.spec.part):
            part = slice(start, start + self.spec.part)
            images = normalise_crops(np.stack(crops[part]), self.source)
            images = images.to(device, memory_format=torch.channels_last)
            with torch.autocast('cuda', torch.bfloat16, enabled=device.type == 'cuda'):
                scores = self.model(images)
            loss = cross_entropy(scores.float(), labels[part], reduction='sum') / len(crops)
            loss.backward()
            total += loss.item()
        return total

    def _crop(self, image: int, region: int, generator: np.random.Generator) -> np.ndarray:
        """uint8 (side, side, 3) of one region, mirrored half of the times."""
        entry = self.regions[image]
        photo = self.photos.get(entry.image.path)
        [box] = boxes_as_decoded(photo, entry.boxes[[region]])
        crop = warp_region(photo.pixels, box, self.source.side, self.spec.context, self.source.mean)
        return crop[:, ::-1] if self.spec.flip and generator.random() < 0.5 else crop
