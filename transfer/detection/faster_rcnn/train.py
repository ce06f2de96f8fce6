"""Training Faster R-CNN: regions and classes are learned together, from labelled boxes alone."""

from __future__ import annotations

import math
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import SGD
from torchvision.models.detection import FasterRCNN

from transfer.data.decode import decode_whole
from transfer.data.manifests import BoxedImage, DetectionManifest
from transfer.detection.faster_rcnn.model import build, shares
from transfer.detection.sgd import parameter_groups, turns
from transfer.regions.boxes import mirror
from transfer.runtime.checkpoints import Checkpoint
from transfer.spec.errors import TrainingError
from transfer.spec.faster_rcnn import FasterRcnnSpec
from transfer.spec.report import Progress, Report
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
    """A detector in eval mode for the manifest's classes, begun from the source's weights.

    On one machine the same arguments give the same detector, also when an interrupted training goes on from its `checkpoint`.
    TrainingError when no image has a box.
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
    _learn(model, manifest.images, spec, report, Checkpoint(checkpoint))
    return model.eval()


def steps_of(images: int, spec: FasterRcnnSpec) -> int:
    return math.ceil(images / spec.images_per_batch) * epochs_of(images, spec)


def epochs_of(images: int, spec: FasterRcnnSpec) -> int:
    """Passes over the images."""
    return spec.epochs or max(
        LEAST_EPOCHS, math.ceil(spec.least_steps / math.ceil(images / spec.images_per_batch))
    )


def rates(model: FasterRCNN, spec: FasterRcnnSpec) -> list[dict[str, object]]:
    """Parameter groups: the source's layers at `rate`, new ones faster, biases twice as fast and without decay."""
    own = set(model.backbone.body.parameters())
    return parameter_groups(model, set(model.parameters()) - own, spec)


def _learn(
    model: FasterRCNN,
    images: tuple[BoxedImage, ...],
    spec: FasterRcnnSpec,
    report: Report,
    checkpoint: Checkpoint,
) -> None:
    optimiser = SGD(rates(model, spec), momentum=spec.momentum)
    first_rates = [group['lr'] for group in optimiser.param_groups]
    begun, mean_loss = checkpoint.resume(model, optimiser)
    steps, started = steps_of(len(images), spec), time.monotonic()
    for step in range(begun, steps):
        warm = min(1.0, 0.1 + 0.9 * step / spec.warm_up) if spec.warm_up else 1.0
        for group, rate in zip(optimiser.param_groups, first_rates, strict=True):
            group['lr'] = rate * warm * (0.1 if step >= spec.step_at * steps else 1.0)
        # Chance comes from (seed, step) alone: torchvision draws its regions from torch's.
        torch.manual_seed(spec.seed * 1_000_003 + step)
        now = _step(
            model, optimiser, _chosen(images, step, spec), spec, np.random.default_rng((spec.seed, step))
        )
        mean_loss = now if step == 0 else 0.95 * mean_loss + 0.05 * now
        if not math.isfinite(mean_loss):
            raise TrainingError('The training went astray: its loss is no number. Try a lower rate.')
        checkpoint.keep(step + 1, mean_loss, model, optimiser, now=step == steps - 1)
        left = (time.monotonic() - started) / (step + 1 - begun) * (steps - step - 1)
        epoch, epochs = (
            math.ceil(count * spec.images_per_batch / len(images)) for count in (step + 1, steps)
        )
        report.progress(
            Progress(
                'finetune', (step + 1) / steps, epoch=epoch, epochs=epochs, loss=mean_loss, seconds_left=left
            )
        )


def _chosen(images: tuple[BoxedImage, ...], step: int, spec: FasterRcnnSpec) -> list[BoxedImage]:
    """Passes over all images, each in an order of its own."""
    return [images[place] for place in turns(step, len(images), spec.images_per_batch, spec.seed)]


def _step(
    model: FasterRCNN,
    optimiser: SGD,
    chosen: list[BoxedImage],
    spec: FasterRcnnSpec,
    rng: np.random.Generator,
) -> float:
    model.train()
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()  # two photos are no sample to take statistics from
    device = next(model.parameters()).device
    given = [_given(image, spec, rng) for image in chosen]
    with torch.autocast('cuda', torch.bfloat16, enabled=device.type == 'cuda'):
        parts: dict[str, Tensor] = model(
            [image.to(device) for image, _ in given],
            [{name: value.to(device) for name, value in target.items()} for _, target in given],
        )
    value = torch.stack([part.float() for part in parts.values()]).sum()
    optimiser.zero_grad(set_to_none=True)
    value.backward()
    nn.utils.clip_grad_norm_(model.parameters(), spec.clip)
    optimiser.step()
    return value.item()


def _given(
    image: BoxedImage, spec: FasterRcnnSpec, rng: np.random.Generator
) -> tuple[Tensor, dict[str, Tensor]]:
    """A photo, perhaps mirrored, with its boxes in the pixels it was decoded to; difficult things are left out."""
    photo = decode_whole(image.path, spec.short_side)
    height, width, _ = photo.pixels.shape
    easy = [box for box in image.boxes if not box.difficult]
    boxes = np.array([(box.x0, box.y0, box.x1, box.y1) for box in easy], float).reshape(-1, 4)
    boxes = boxes * np.array([width / photo.width, height / photo.height] * 2)
    pixels = photo.pixels
    if spec.flip and rng.random() < 0.5:
        pixels, boxes = pixels[:, ::-1], mirror(boxes, width)
    labels = torch.tensor([box.label + 1 for box in easy], dtype=torch.int64)
    return shares(pixels), {'boxes': torch.from_numpy(boxes.astype(np.float32)), 'labels': labels}
