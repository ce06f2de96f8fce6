"""Training Fast R-CNN: one network, one loss, straight from labelled boxes and proposals."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from transfer.data.decode import decode_image
from transfer.data.manifests import DetectionManifest
from transfer.detection.fast_rcnn.loss import detection_loss
from transfer.detection.fast_rcnn.model import FastRcnn
from transfer.detection.fast_rcnn.sampling import (
    Sample,
    ShiftStatistics,
    compute_shift_statistics,
    draw_sample,
    mirror_sample,
)
from transfer.detection.fast_rcnn.svd import compress
from transfer.detection.matching import MatchedRegions, match_regions
from transfer.detection.sgd import Schedule, epochs_for, images_of_step, run_sgd
from transfer.regions.resize import resize_photo, resized_size, scale_boxes
from transfer.runtime.batch_norm import train_with_frozen_statistics
from transfer.runtime.lru import LruCache
from transfer.spec.errors import TrainingError
from transfer.spec.fast_rcnn import FastRcnnSpec
from transfer.spec.report import Report
from transfer.spec.train_spec import SourceModelSpec
from transfer.zoo.loading import load
from transfer.zoo.networks.registry import architecture

LEAST_EPOCHS = 16  # 84 photos of 640 pixels then take three minutes of a core, of the 40 that are allowed
HEAD_COST = 10  # steps of the heads alone that take as long as one of the whole network
CACHE_BYTES = 1024 * 1024 * 1024  # of feature maps, while the heads alone learn


def train(
    manifest: DetectionManifest,
    proposals: Sequence[np.ndarray],
    source: SourceModelSpec,
    spec: FastRcnnSpec,
    report: Report,
    device: str = 'cpu',
    checkpoint: Path | None = None,
) -> FastRcnn:
    """Train a detector for the manifest's classes from the source's weights; it is returned in eval mode.

    `proposals`: of each image, in the manifest's order, (n, 4) pixels of the upright image. On one machine
    the same arguments give the same detector, also when an interrupted training goes on from its
    `checkpoint`. TrainingError when no image has a box, or the loss diverges.
    """
    regions = [
        match_regions(image, boxes, spec.proposals).without_duplicates()
        for image, boxes in zip(manifest.images, proposals, strict=True)
    ]
    regions = [entry for entry in regions if len(entry.boxes)]
    if not any((entry.labels > 0).any() for entry in regions):
        raise TrainingError('No image has a box to learn from.')
    torch.manual_seed(spec.seed)
    model = FastRcnn(architecture(source.architecture), load(source), len(manifest.labels), spec)
    model = model.to(device).to(memory_format=torch.channels_last)
    statistics = compute_shift_statistics(regions, len(manifest.labels), spec)
    model.set_shift_statistics(statistics)
    freeze_stages(model, spec.frozen_stages)
    steps = FastRcnnSteps(model, regions, statistics, source, spec)
    schedule = Schedule(
        spec.head_steps + steps_for(len(regions), spec), spec.head_steps, len(regions), spec.images_per_batch
    )
    run_sgd(
        model,
        new_parameters(model),
        steps.compute_gradients,
        spec,
        schedule,
        lambda done: share_done(done, schedule),
        report,
        checkpoint,
    )
    model.eval()
    if spec.svd:
        model.dense = compress(model.dense, spec.svd).to(device)
    return model


def steps_for(images: int, spec: FastRcnnSpec) -> int:
    """Steps of the whole network."""
    return math.ceil(images / spec.images_per_batch) * epochs_for(images, spec, LEAST_EPOCHS)


def freeze_stages(model: FastRcnn, stages: int) -> None:
    """Keep the first stages of the backbone as the source has them."""
    for number, stage in enumerate(model.body.values()):
        if number < stages:
            stage.requires_grad_(False)


def new_parameters(model: FastRcnn) -> set[nn.Parameter]:
    """Those that no source has trained: they get a larger learning rate."""
    new = [model.reduce, model.score, model.box, *([model.dense] if model.dense_is_new else [])]
    return {parameter for module in new for parameter in module.parameters()}


def share_done(done: int, schedule: Schedule) -> float:
    """Share of the work after `done` steps.

    A step of the heads alone costs a tenth of one of the whole network.
    """
    heads, whole = min(done, schedule.head_steps), max(0, done - schedule.head_steps)
    return (heads / HEAD_COST + whole) / (
        schedule.head_steps / HEAD_COST + schedule.steps - schedule.head_steps
    )


class FeatureMaps:
    """The backbone's feature maps of photos and of their mirror images, the most recently used within a bound
    of bytes.

    In half precision, whether a map was held or computed anew: a training must not depend on what fitted into
    memory.
    """

    def __init__(self, limit: int = CACHE_BYTES) -> None:
        self._maps: LruCache[tuple[str, bool], Tensor] = LruCache(limit, lambda features: features.nbytes)

    def get(self, path: str, is_flipped: bool, compute: Callable[[], Tensor]) -> Tensor:
        return self._maps.get_or_make((path, is_flipped), lambda: compute().half()).float()

    def clear(self) -> None:
        self._maps.clear()


@dataclass(frozen=True)
class DrawnSample:
    regions: MatchedRegions
    sample: Sample
    is_flipped: bool


@dataclass(frozen=True)
class FastRcnnSteps:
    """The forward and backward pass of each step.

    Photos go through the backbone one by one, so nothing is padded.
    """

    model: FastRcnn
    regions: Sequence[MatchedRegions]  # of every image
    statistics: ShiftStatistics
    source: SourceModelSpec  # how photos are normalised
    spec: FastRcnnSpec
    feature_maps: FeatureMaps = field(default_factory=FeatureMaps)

    def compute_gradients(self, step: int, generator: np.random.Generator) -> float:
        """Draw regions from a few photos and backpropagate their loss, which is returned."""
        chosen = images_of_step(step, len(self.regions), self.spec, self.spec.seed)
        return self.backpropagate(
            [self.regions[index] for index in chosen], generator, heads_only=step < self.spec.head_steps
        )

    def backpropagate(
        self, chosen: Sequence[MatchedRegions], generator: np.random.Generator, *, heads_only: bool
    ) -> float:
        """`heads_only`: the backbone gets no gradients, and its feature maps are cached."""
        train_with_frozen_statistics(self.model)
        if not heads_only:
            self.feature_maps.clear()
        model, device = self.model, self.model.device
        drawn = [self._draw(entry, generator) for entry in chosen]
        with torch.autocast('cuda', torch.bfloat16, enabled=device.type == 'cuda'):
            pooled = [self._pool(one, heads_only) for one in drawn]
            scores, shifts = model.predict(torch.cat(pooled))
        labels = torch.from_numpy(np.concatenate([one.sample.labels for one in drawn])).to(device)
        targets = np.concatenate([one.sample.shifts for one in drawn]).astype(np.float32)
        moves = torch.from_numpy(np.concatenate([one.sample.moves for one in drawn])).to(device)
        loss = detection_loss(
            scores.float(),
            shifts.float(),
            labels,
            torch.from_numpy(targets).to(device),
            moves,
            self.spec.box_weight,
        )
        loss.backward()
        return loss.item()

    def _draw(self, regions: MatchedRegions, generator: np.random.Generator) -> DrawnSample:
        sample = draw_sample(regions, self.statistics, self.spec, generator)
        is_flipped = self.spec.flip and bool(generator.random() < 0.5)
        if is_flipped:
            sample = mirror_sample(sample, self.statistics, regions.image.width)
        return DrawnSample(regions, sample, is_flipped)

    def _pool(self, drawn: DrawnSample, heads_only: bool) -> Tensor:
        """(k, channels, pool, pool) of the sample's regions."""
        image, model = drawn.regions.image, self.model
        if heads_only:
            with torch.no_grad():
                features = self.feature_maps.get(
                    image.path,
                    drawn.is_flipped,
                    lambda: model.extract_features(self._load_photo(drawn)),
                )
        else:
            features = model.extract_features(self._load_photo(drawn))
        width, height = resized_size(image.width, image.height, self.spec)
        boxes = scale_boxes(drawn.sample.boxes, (width / image.width, height / image.height))
        return model.roi_pool(model.reduce(features), [torch.from_numpy(boxes).to(model.device)])

    def _load_photo(self, drawn: DrawnSample) -> Tensor:
        """(1, 3, h, w) normalised, mirrored where the sample is."""
        photo = decode_image(drawn.regions.image.path, self.spec.short_side)
        pixels, _ = resize_photo(photo, self.spec)
        if drawn.is_flipped:
            pixels = pixels[:, ::-1]
        values = torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1))).float().div_(255)
        mean, std = torch.tensor(self.source.mean), torch.tensor(self.source.std)
        image = (values - mean[:, None, None]) / std[:, None, None]
        return image[None].to(self.model.device, memory_format=torch.channels_last)
