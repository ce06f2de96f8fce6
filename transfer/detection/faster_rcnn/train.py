"""Training Faster R-CNN: regions and classes are learned together, from labelled boxes alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torchvision.models.detection import FasterRCNN

from transfer.data.decode import decode_image
from transfer.data.manifests import BoxedImage, DetectionManifest
from transfer.detection.faster_rcnn.model import build, pixels_to_tensor
from transfer.detection.sgd import Schedule, epochs_for, images_of_step, run_sgd
from transfer.regions.boxes import mirror
from transfer.runtime.batch_norm import train_with_frozen_statistics
from transfer.spec.errors import TrainingError
from transfer.spec.faster_rcnn import FasterRcnnSpec
from transfer.spec.report import Report
from transfer.spec.train_spec import SourceModelSpec
from transfer.zoo.loading import load
from transfer.zoo.networks.registry import architecture

LEAST_EPOCHS = 8


def train(
    manifest: DetectionManifest,
    source: SourceModelSpec,
    spec: FasterRcnnSpec,
    report: Report,
    device: str = 'cpu',
    checkpoint: Path | None = None,
) -> FasterRCNN:
    """Train a detector for the manifest's classes from the source's weights; it is returned in eval mode.

    On one machine the same arguments give the same detector, also when an interrupted training goes on from
    its `checkpoint`. TrainingError when no image has a box, or the loss diverges.
    """
    if not any(not box.difficult for image in manifest.images for box in image.boxes):
        raise TrainingError('No image has a box to learn from.')
    torch.manual_seed(spec.seed)
    model = build(
        architecture(source.architecture), load(source), len(manifest.labels), spec, source.mean, source.std
    )
    model = model.to(device).to(memory_format=torch.channels_last)
    for stage in list(model.backbone.body.values())[: spec.frozen_stages]:
        stage.requires_grad_(False)
    images = len(manifest.images)
    schedule = Schedule(steps_for(images, spec), images=images, images_per_step=spec.images_per_batch)
    run_sgd(
        model,
        set(model.parameters()) - set(model.backbone.body.parameters()),
        FasterRcnnSteps(model, manifest.images, spec).compute_gradients,
        spec,
        schedule,
        lambda done: done / schedule.steps,
        report,
        checkpoint,
    )
    return model.eval()


def steps_for(images: int, spec: FasterRcnnSpec) -> int:
    return math.ceil(images / spec.images_per_batch) * epochs_for(images, spec, LEAST_EPOCHS)


@dataclass(frozen=True)
class FasterRcnnSteps:
    """The forward and backward pass of each step."""

    model: FasterRCNN
    images: Sequence[BoxedImage]
    spec: FasterRcnnSpec

    def compute_gradients(self, step: int, generator: np.random.Generator) -> float:
        """Backpropagate the sum of the four losses of a few photos, which is returned.

        torchvision draws its regions by torch's own random state, which the training loop seeds.
        """
        train_with_frozen_statistics(self.model)
        device = next(self.model.parameters()).device
        chosen = images_of_step(step, len(self.images), self.spec, self.spec.seed)
        photos = [self._load_photo(self.images[index], generator) for index in chosen]
        with torch.autocast('cuda', torch.bfloat16, enabled=device.type == 'cuda'):
            losses: dict[str, Tensor] = self.model(
                [pixels.to(device) for pixels, _ in photos],
                [{name: value.to(device) for name, value in target.items()} for _, target in photos],
            )
        loss = torch.stack([part.float() for part in losses.values()]).sum()
        loss.backward()
        return loss.item()

    def _load_photo(
        self, image: BoxedImage, generator: np.random.Generator
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """A photo, mirrored half of the times, and its boxes in the pixels it was decoded to, without
        difficult objects.
        """
        photo = decode_image(image.path, self.spec.short_side)
        height, width, _ = photo.pixels.shape
        easy = [box for box in image.boxes if not box.difficult]
        boxes = np.array([(box.x0, box.y0, box.x1, box.y1) for box in easy], float).reshape(-1, 4)
        boxes = boxes * np.array([width / photo.width, height / photo.height] * 2)
        pixels = photo.pixels
        if self.spec.flip and generator.random() < 0.5:
            pixels, boxes = pixels[:, ::-1], mirror(boxes, width)
        labels = torch.tensor([box.label + 1 for box in easy], dtype=torch.int64)
        return pixels_to_tensor(pixels), {
            'boxes': torch.from_numpy(boxes.astype(np.float32)),
            'labels': labels,
        }
