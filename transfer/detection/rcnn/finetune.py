"""The source network learns to tell the classes and background apart on warped regions (R-CNN, section 2.3)."""

from __future__ import annotations

import math
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim import SGD

from transfer.detection.rcnn.embedding import normalised, own_pixels
from transfer.detection.rcnn.regions import Photos, Regions
from transfer.regions.warp import warped
from transfer.runtime.checkpoints import Checkpoint
from transfer.spec.errors import TrainingError
from transfer.spec.rcnn import RcnnSpec
from transfer.spec.report import Progress, Report
from transfer.spec.train_spec import SourceModelSpec
from transfer.zoo.networks.architecture import Architecture

SHARE = 0.5  # of the whole training's time, for the progress shown


def finetune(
    network: Architecture,
    model: nn.Module,
    known: list[Regions],
    classes: int,
    source: SourceModelSpec,
    spec: RcnnSpec,
    report: Report,
    checkpoint: Path | None = None,
) -> None:
    """Changes `model` in place; its last layer becomes one of classes + 1, background first."""
    network.replace_head(model, classes + 1)
    optimiser = SGD(rates(network, model, spec), momentum=spec.momentum)
    first_rates = [group['lr'] for group in optimiser.param_groups]
    foreground, background = windows(known, spec)
    photos, started, kept = Photos(), time.monotonic(), Checkpoint(checkpoint)
    begun, mean_loss = kept.resume(model, optimiser)
    for step in range(begun, spec.steps):
        # Chance comes from (seed, step) alone, so that a resumed training ends as an undisturbed one.
        rng = np.random.default_rng((spec.seed, step))
        torch.manual_seed(spec.seed * 1_000_003 + step)
        for group, rate in zip(optimiser.param_groups, first_rates, strict=True):
            group['lr'] = rate * rate_factor(step, spec)
        chosen = drawn(foreground, background, spec, rng)
        value = _step(model, optimiser, known, chosen, photos, source, spec, rng)
        mean_loss = value if step == 0 else 0.95 * mean_loss + 0.05 * value
        if not math.isfinite(mean_loss):
            raise TrainingError('The training went astray: its loss is no number. Try a lower rate.')
        kept.keep(step + 1, mean_loss, model, optimiser, now=step == spec.steps - 1)
        left = (time.monotonic() - started) / (step + 1 - begun) * (spec.steps - step - 1)
        done = SHARE * (step + 1) / spec.steps
        report.progress(
            Progress('finetune', done, epoch=step + 1, epochs=spec.steps, loss=mean_loss, seconds_left=left)
        )
    model.eval()


def rate_factor(step: int, spec: RcnnSpec) -> float:
    """Of the first rates: they rise at the beginning and fall to a tenth at the end."""
    warm = min(1.0, 0.1 + 0.9 * step / spec.warm_up) if spec.warm_up else 1.0
    return warm * (0.1 if step >= spec.step_at * spec.steps else 1.0)


def windows(known: list[Regions], spec: RcnnSpec) -> tuple[np.ndarray, np.ndarray]:
    """(n, 3) int of foreground and of background: image, region, class from 1 (0: background)."""
    rows = [np.zeros((0, 4), int)]
    for number, entry in enumerate(known):
        best = entry.overlaps.max(1, initial=0.0)
        is_object = best >= spec.foreground_iou
        count = len(entry.boxes)
        rows.append(
            np.stack(
                [
                    np.full(count, number),
                    np.arange(count),
                    np.where(is_object, entry.labels + 1, 0),
                    is_object,
                ],
                1,
            )
        )
    table = np.concatenate(rows)
    return table[table[:, 3] == 1, :3], table[table[:, 3] == 0, :3]


def drawn(
    foreground: np.ndarray, background: np.ndarray, spec: RcnnSpec, rng: np.random.Generator
) -> np.ndarray:
    """A batch, a quarter of it foreground: objects are rare among regions."""
    wanted = round(spec.batch * spec.foreground_share) if len(background) else spec.batch
    parts = [
        table[rng.integers(0, len(table), count)]
        for table, count in ((foreground, wanted), (background, spec.batch - wanted))
        if len(table)
    ]
    return np.concatenate(parts)


def rates(network: Architecture, model: nn.Module, spec: RcnnSpec) -> list[dict[str, object]]:
    """Parameter groups: `rate` for the source's layers, the new last one faster, biases twice as fast and without decay."""
    groups = []
    for name, parameters in network.layer_groups(model):
        base = spec.rate * (spec.new_rate if name == 'head' else 1.0)
        for is_bias in (False, True):
            chosen = [parameter for parameter in parameters if (parameter.dim() == 1) == is_bias]
            rate, decay = (base * spec.bias_rate, 0.0) if is_bias else (base, spec.decay)
            if chosen:
                groups.append({'params': chosen, 'lr': rate, 'weight_decay': decay})
    return groups


def _step(
    model: nn.Module,
    optimiser: SGD,
    known: list[Regions],
    chosen: np.ndarray,
    photos: Photos,
    source: SourceModelSpec,
    spec: RcnnSpec,
    rng: np.random.Generator,
) -> float:
    model.train()
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()  # a quarter objects, three quarters background: not the statistics of photos
    crops = []
    for image, region, _ in chosen:
        entry = known[image]
        photo = photos.get(entry.image.path)
        crop = warped(
            photo.pixels, own_pixels(photo, entry.boxes[[region]])[0], source.side, spec.context, source.mean
        )
        crops.append(crop[:, ::-1] if spec.flip and rng.random() < 0.5 else crop)
    device = next(model.parameters()).device
    labels = torch.from_numpy(chosen[:, 2]).to(device)
    optimiser.zero_grad(set_to_none=True)
    total = 0.0
    for start in range(
        0, len(crops), spec.part
    ):  # batch norms stand still: the gradient is that of the whole batch
        some = slice(start, start + spec.part)
        with torch.autocast('cuda', torch.bfloat16, enabled=device.type == 'cuda'):
            given = normalised(np.stack(crops[some]), source).to(device, memory_format=torch.channels_last)
            scores: Tensor = model(given)
        value = cross_entropy(scores.float(), labels[some], reduction='sum') / len(crops)
        value.backward()
        total += value.item()
    nn.utils.clip_grad_norm_(model.parameters(), spec.clip)
    optimiser.step()
    return total
