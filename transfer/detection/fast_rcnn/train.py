"""Training Fast R-CNN: one network, one loss, straight from labelled boxes and proposals."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch.optim import SGD

from transfer.data.manifests import DetectionManifest
from transfer.detection.fast_rcnn.model import FastRcnn
from transfer.detection.fast_rcnn.sampling import Normal, Regions, normal, regions
from transfer.detection.fast_rcnn.stepping import Learner, Maps
from transfer.detection.fast_rcnn.svd import compress
from transfer.detection.sgd import parameter_groups, turns
from transfer.runtime.checkpoints import Checkpoint
from transfer.spec.errors import TrainingError
from transfer.spec.fast_rcnn import FastRcnnSpec
from transfer.spec.report import Progress, Report
from transfer.spec.train_spec import SourceModelSpec
from transfer.zoo.loading import load
from transfer.zoo.networks.registry import architecture

LEAST_EPOCHS = 16  # 84 photos of 640 pixels then take three minutes of a core, of the 40 that are allowed
HEAD_COST = 10  # steps of the heads alone that take as long as one of the whole network


def train(
    manifest: DetectionManifest,
    proposals: Sequence[np.ndarray],
    source: SourceModelSpec,
    spec: FastRcnnSpec,
    report: Report,
    device: str = 'cpu',
    checkpoint: Path | None = None,
) -> FastRcnn:
    """A detector in eval mode for the manifest's classes, begun from the source's weights; `proposals` in the manifest's order.

    On one machine the same arguments give the same detector, also when an interrupted training goes on from its `checkpoint`.
    TrainingError when no image has a box.
    """
    known = [
        regions(image, found, spec.proposals) for image, found in zip(manifest.images, proposals, strict=True)
    ]
    known = [entry for entry in known if len(entry.boxes)]
    if not any((entry.labels > 0).any() for entry in known):
        raise TrainingError('No image has a box to learn from.')
    torch.manual_seed(spec.seed)
    model = FastRcnn(architecture(source.architecture), load(source), len(manifest.labels), spec)
    model = model.to(device).to(memory_format=torch.channels_last)
    norms = normal(known, len(manifest.labels), spec)
    model.keep(norms)
    freeze(model, spec.frozen_stages)
    _learn(model, known, norms, source, spec, report, Checkpoint(checkpoint))
    model.eval()
    if spec.svd:
        model.dense = compress(model.dense, spec.svd).to(device)
    return model


def steps_of(images: int, spec: FastRcnnSpec) -> int:
    return math.ceil(images / spec.images_per_batch) * epochs_of(images, spec)


def epochs_of(images: int, spec: FastRcnnSpec) -> int:
    """Passes over the images."""
    return spec.epochs or max(
        LEAST_EPOCHS, math.ceil(spec.least_steps / math.ceil(images / spec.images_per_batch))
    )


def freeze(model: FastRcnn, stages: int) -> None:
    """The first stages of the body learn nothing; no batch norm changes its statistics, which two images would spoil."""
    for number, stage in enumerate(model.body.values()):
        if number < stages:
            stage.requires_grad_(False)


def rates(model: FastRcnn, spec: FastRcnnSpec) -> list[dict[str, object]]:
    """Parameter groups: the source's layers at `rate`, new ones faster, biases twice as fast and without decay."""
    new = [model.reduce, model.score, model.box, *([model.dense] if model.dense_is_new else [])]
    fresh = {parameter for module in new for parameter in module.parameters()}
    return parameter_groups(model, fresh, spec)


def _learn(
    model: FastRcnn,
    known: list[Regions],
    norms: Normal,
    source: SourceModelSpec,
    spec: FastRcnnSpec,
    report: Report,
    checkpoint: Checkpoint,
) -> None:
    learner = Learner(model, SGD(rates(model, spec), momentum=spec.momentum), norms, source, spec, Maps())
    first_rates = [group['lr'] for group in learner.optimiser.param_groups]
    begun, mean_loss = checkpoint.resume(model, learner.optimiser)
    steps, started = spec.head_steps + steps_of(len(known), spec), time.monotonic()
    for step in range(begun, steps):
        for group, rate in zip(learner.optimiser.param_groups, first_rates, strict=True):
            group['lr'] = rate * rate_factor(step, steps, spec)
        chosen = [known[index] for index in images_of(step, len(known), spec)]
        # Chance comes from (seed, step) alone, so that a resumed training ends as an undisturbed one.
        torch.manual_seed(spec.seed * 1_000_003 + step)
        now = learner.step(
            chosen, np.random.default_rng((spec.seed, step)), heads_only=step < spec.head_steps
        )
        mean_loss = now if step == 0 else 0.95 * mean_loss + 0.05 * now
        if not math.isfinite(mean_loss):
            raise TrainingError('The training went astray: its loss is no number. Try a lower rate.')
        checkpoint.keep(step + 1, mean_loss, model, learner.optimiser, now=step == steps - 1)
        left = (time.monotonic() - started) / (step + 1 - begun) * (steps - step - 1)
        epoch, epochs = (math.ceil(count * spec.images_per_batch / len(known)) for count in (step + 1, steps))
        done = _done(step + 1, steps, spec)
        report.progress(
            Progress('finetune', done, epoch=epoch, epochs=epochs, loss=mean_loss, seconds_left=left)
        )


def _done(count: int, steps: int, spec: FastRcnnSpec) -> float:
    """The share of the work: a step of the heads alone costs a tenth of one of the whole."""
    heads, whole = min(count, spec.head_steps), max(0, count - spec.head_steps)
    return (heads / HEAD_COST + whole) / (spec.head_steps / HEAD_COST + steps - spec.head_steps)


def images_of(step: int, images: int, spec: FastRcnnSpec) -> list[int]:
    """Which images a step learns from: passes over all of them, each in an order of its own."""
    return turns(step, images, spec.images_per_batch, spec.seed)


def rate_factor(step: int, steps: int, spec: FastRcnnSpec) -> float:
    """Of the first rates: they rise when the heads begin and when the body joins, and fall to a tenth at the end."""
    joined = step - spec.head_steps
    since = joined if joined >= 0 else step
    warm = min(1.0, 0.1 + 0.9 * since / spec.warm_up) if spec.warm_up else 1.0
    return warm * (0.1 if joined >= spec.step_at * (steps - spec.head_steps) else 1.0)
