"""Training Fast R-CNN: one network, one loss, straight from labelled boxes and proposals."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import SGD

from transfer.checkpoints import Checkpoint
from transfer.data.decode import decode_whole
from transfer.data.detection_manifest import BoxedImage, DetectionManifest
from transfer.fast_rcnn.inputs import Input, batched, prepared, scaled
from transfer.fast_rcnn.loss import loss
from transfer.fast_rcnn.model import FastRcnn
from transfer.fast_rcnn.sampling import Normal, Regions, Sample, mirrored, normal, regions, sample
from transfer.fast_rcnn.spec import FastRcnnSpec
from transfer.fast_rcnn.svd import compress
from transfer.spec import Progress, Report, SourceCard, TrainingError
from transfer.zoo.loading import load
from transfer.zoo.registry import architecture

LEAST_EPOCHS = 8


def train(
    manifest: DetectionManifest,
    proposals: Sequence[np.ndarray],
    card: SourceCard,
    spec: FastRcnnSpec,
    report: Report,
    device: str = 'cpu',
    checkpoint: Path | None = None,
) -> FastRcnn:
    """A detector in eval mode for the manifest's classes, begun from the card's weights; `proposals` in the manifest's order.

    On one machine the same arguments give the same detector, also when an interrupted training goes on from its `checkpoint`.
    TrainingError when no image has a box.
    """
    known = [regions(image, found, spec.proposals) for image, found in zip(manifest.images, proposals, strict=True)]
    known = [entry for entry in known if len(entry.boxes)]
    if not any((entry.labels > 0).any() for entry in known):
        raise TrainingError('No image has a box to learn from.')
    torch.manual_seed(spec.seed)
    model = FastRcnn(architecture(card.architecture), load(card), len(manifest.labels), spec).to(
        device, memory_format=torch.channels_last
    )
    norms = normal(known, len(manifest.labels), spec)
    model.keep(norms)
    freeze(model, spec.frozen_stages)
    _learn(model, known, norms, card, spec, report, Checkpoint(checkpoint))
    model.eval()
    if spec.svd:
        model.dense = compress(model.dense, spec.svd).to(device)
    return model


def steps_of(images: int, spec: FastRcnnSpec) -> int:
    a_pass = math.ceil(images / spec.images_per_batch)
    return a_pass * (spec.epochs or max(LEAST_EPOCHS, math.ceil(spec.least_steps / a_pass)))


def freeze(model: FastRcnn, stages: int) -> None:
    """The first stages of the body learn nothing; no batch norm changes its statistics, which two images would spoil."""
    for number, stage in enumerate(model.body.values()):
        if number < stages:
            stage.requires_grad_(False)


def rates(model: FastRcnn, spec: FastRcnnSpec) -> list[dict[str, object]]:
    """Parameter groups: the source's layers at `rate`, new ones faster, biases twice as fast and without decay."""
    new = [model.reduce, model.score, model.box, *([model.dense] if model.dense_is_new else [])]
    fresh = {parameter for module in new for parameter in module.parameters()}
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for parameter in model.parameters():
        if parameter.requires_grad:
            groups.setdefault((parameter in fresh, parameter.dim() == 1), []).append(parameter)
    return [
        {
            'params': parameters,
            'lr': spec.rate * (spec.new_rate if is_new else 1) * (spec.bias_rate if is_bias else 1),
            'weight_decay': 0.0 if is_bias else spec.decay,
        }
        for (is_new, is_bias), parameters in groups.items()
    ]


def _learn(
    model: FastRcnn,
    known: list[Regions],
    norms: Normal,
    card: SourceCard,
    spec: FastRcnnSpec,
    report: Report,
    checkpoint: Checkpoint,
) -> None:
    optimiser = SGD(rates(model, spec), momentum=spec.momentum)
    first_rates = [group['lr'] for group in optimiser.param_groups]
    begun, mean_loss = checkpoint.resume(model, optimiser)
    steps, started = steps_of(len(known), spec), time.monotonic()
    for step in range(begun, steps):
        factor = rate_factor(step, steps, spec)
        for group, rate in zip(optimiser.param_groups, first_rates, strict=True):
            group['lr'] = rate * factor
        chosen = [known[index] for index in images_of(step, len(known), spec)]
        # Chance comes from (seed, step) alone, so that a resumed training ends as an undisturbed one.
        torch.manual_seed(spec.seed * 1_000_003 + step)
        now = _step(model, optimiser, chosen, norms, card, spec, np.random.default_rng((spec.seed, step)))
        mean_loss = now if step == 0 else 0.95 * mean_loss + 0.05 * now
        if not math.isfinite(mean_loss):
            raise TrainingError('The training went astray: its loss is no number. Try a lower rate.')
        checkpoint.keep(step + 1, mean_loss, model, optimiser, now=step == steps - 1)
        left = (time.monotonic() - started) / (step + 1 - begun) * (steps - step - 1)
        epoch, epochs = (math.ceil(count * spec.images_per_batch / len(known)) for count in (step + 1, steps))
        report.progress(Progress('finetune', (step + 1) / steps, epoch=epoch, epochs=epochs, loss=mean_loss, seconds_left=left))


def images_of(step: int, images: int, spec: FastRcnnSpec) -> list[int]:
    """Which images a step learns from: passes over all of them, each in an order of its own."""
    places = range(step * spec.images_per_batch, (step + 1) * spec.images_per_batch)
    return [int(np.random.default_rng((spec.seed, 1, place // images)).permutation(images)[place % images]) for place in places]


def rate_factor(step: int, steps: int, spec: FastRcnnSpec) -> float:
    warm = min(1.0, 0.1 + 0.9 * step / spec.warm_up) if spec.warm_up else 1.0
    return warm * (0.1 if step >= spec.step_at * steps else 1.0)


def _step(
    model: FastRcnn,
    optimiser: SGD,
    chosen: list[Regions],
    norms: Normal,
    card: SourceCard,
    spec: FastRcnnSpec,
    rng: np.random.Generator,
) -> float:
    model.train()
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()
    device = model.score.weight.device
    drawn = [_drawn(entry, norms, card, spec, rng) for entry in chosen]
    boxes = [scaled(part.boxes, given.scale).to(device) for given, part in drawn]
    labels = torch.from_numpy(np.concatenate([part.labels for _, part in drawn])).to(device)
    targets = torch.from_numpy(np.concatenate([part.shifts for _, part in drawn]).astype(np.float32)).to(device)
    moves = torch.from_numpy(np.concatenate([part.moves for _, part in drawn])).to(device)
    with torch.autocast('cuda', torch.bfloat16, enabled=device.type == 'cuda'):
        images = batched([given for given, _ in drawn]).to(device, memory_format=torch.channels_last)
        scores, shifts = model(images, boxes)
    value: Tensor = loss(scores.float(), shifts.float(), labels, targets, moves, spec.box_weight)
    optimiser.zero_grad(set_to_none=True)
    value.backward()
    nn.utils.clip_grad_norm_(model.parameters(), spec.clip)
    optimiser.step()
    return value.item()


def _drawn(entry: Regions, norms: Normal, card: SourceCard, spec: FastRcnnSpec, rng: np.random.Generator) -> tuple[Input, Sample]:
    part, flip = sample(entry, norms, spec, rng), spec.flip and rng.random() < 0.5
    image: BoxedImage = entry.image
    given = prepared(decode_whole(image.path, spec.short_side), spec, card.mean, card.std, flip)
    return given, mirrored(part, norms, image.width) if flip else part
