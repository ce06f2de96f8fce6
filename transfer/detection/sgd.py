"""The training loop that all detectors share.

SGD with momentum, warm-up, one drop of the learning rate, and checkpoints.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import nn
from torch.optim import SGD

from transfer.runtime.checkpoints import Checkpoint
from transfer.spec.errors import TrainingError
from transfer.spec.report import Progress, Report

NEWEST = 0.05  # share of a step's loss in the running mean that is reported
WARM_UP_FROM = 0.1  # share of the learning rate at the first step of a warm-up
DROP = 0.1  # share of the learning rate that is left after the drop


class SgdSpec(Protocol):
    """The options that every detector's spec has."""

    @property
    def rate(self) -> float: ...

    @property
    def new_rate(self) -> float: ...

    @property
    def bias_rate(self) -> float: ...

    @property
    def decay(self) -> float: ...

    @property
    def momentum(self) -> float: ...

    @property
    def clip(self) -> float: ...

    @property
    def warm_up(self) -> int: ...

    @property
    def step_at(self) -> float: ...

    @property
    def seed(self) -> int: ...


class EpochSpec(Protocol):
    """The options of detectors that go over photos in epochs."""

    @property
    def epochs(self) -> int: ...

    @property
    def least_steps(self) -> int: ...

    @property
    def images_per_batch(self) -> int: ...


@dataclass(frozen=True)
class Schedule:
    """How many steps there are, and what a step means to the person who watches."""

    steps: int  # all of them, those of the heads included
    head_steps: int = 0  # of them, from the first, in which new layers learn alone
    images: int = 1  # an epoch is a pass over so many images ...
    images_per_step: int = 1  # ... of which a step takes so many

    def rate_factor(self, step: int, spec: SgdSpec) -> float:
        """What the learning rates of a step are multiplied by.

        They rise over `warm_up` steps when the heads begin and again when the backbone joins them, and fall
        to a tenth after the share `step_at` of the steps of the whole network.
        """
        joined = step - self.head_steps
        since = joined if joined >= 0 else step
        warm = min(1.0, WARM_UP_FROM + (1 - WARM_UP_FROM) * since / spec.warm_up) if spec.warm_up else 1.0
        return warm * (DROP if joined >= spec.step_at * (self.steps - self.head_steps) else 1.0)

    def epoch(self, steps: int) -> int:
        """The epoch, from 1, in which the last of so many steps is."""
        return math.ceil(steps * self.images_per_step / self.images)


def run_sgd(
    model: nn.Module,
    new_parameters: Set[nn.Parameter],
    compute_gradients: Callable[[int, np.random.Generator], float],
    spec: SgdSpec,
    schedule: Schedule,
    fraction: Callable[[int], float],
    report: Report,
    checkpoint: Path | None,
) -> None:
    """Train `model` in place, from its checkpoint if there is one.

    `compute_gradients(step, generator)` does the forward and backward pass of one step and returns the loss.
    All randomness comes from (seed, step), so that an interrupted training ends bit for bit like an
    uninterrupted one. `fraction(steps)`: share of the detector's training that is done after so many steps.
    TrainingError when the loss is NaN or infinite; Cancelled from the report.
    """
    optimizer = SGD(parameter_groups(model, new_parameters, spec), momentum=spec.momentum)
    base_rates = [group['lr'] for group in optimizer.param_groups]
    file = Checkpoint(checkpoint)
    saved = file.load(model, optimizer)
    first = int(saved.progress['step']) if saved else 0
    mean_loss = float(saved.progress['loss']) if saved else 0.0
    started = time.monotonic()
    for step in range(first, schedule.steps):
        for group, rate in zip(optimizer.param_groups, base_rates, strict=True):
            group['lr'] = rate * schedule.rate_factor(step, spec)
        torch.manual_seed(spec.seed * 1_000_003 + step)
        optimizer.zero_grad(set_to_none=True)
        loss = compute_gradients(step, np.random.default_rng((spec.seed, step)))
        nn.utils.clip_grad_norm_(model.parameters(), spec.clip)
        optimizer.step()
        mean_loss = loss if step == 0 else (1 - NEWEST) * mean_loss + NEWEST * loss
        if not math.isfinite(mean_loss):
            raise TrainingError(
                'Training diverged: the loss became NaN or infinite. Try a lower learning rate.'
            )
        done = step + 1
        file.save(model, optimizer, {'step': done, 'loss': mean_loss}, now=done == schedule.steps)
        report.progress(
            Progress(
                'finetune',
                fraction(done),
                epoch=schedule.epoch(done),
                epochs=schedule.epoch(schedule.steps),
                loss=mean_loss,
                seconds_left=(time.monotonic() - started) / (done - first) * (schedule.steps - done),
            )
        )


def parameter_groups(
    model: nn.Module, new_parameters: Set[nn.Parameter], spec: SgdSpec
) -> list[dict[str, object]]:
    """Groups for SGD: the source's layers at `rate`, new ones faster, biases (and norms) faster too and
    without weight decay.
    """
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for parameter in model.parameters():
        if parameter.requires_grad:
            groups.setdefault((parameter in new_parameters, parameter.dim() == 1), []).append(parameter)
    return [
        {
            'params': parameters,
            'lr': spec.rate * (spec.new_rate if is_new else 1) * (spec.bias_rate if is_bias else 1),
            'weight_decay': 0.0 if is_bias else spec.decay,
        }
        for (is_new, is_bias), parameters in groups.items()
    ]


def epochs_for(images: int, spec: EpochSpec, least: int) -> int:
    """Passes over the images: `epochs`, or as many as give `least_steps` and at least `least`."""
    return spec.epochs or max(least, math.ceil(spec.least_steps / math.ceil(images / spec.images_per_batch)))


def images_of_step(step: int, images: int, spec: EpochSpec, seed: int) -> list[int]:
    """Indices of the images that a step learns from.

    Epochs over all of them, each in a random order of its own.
    """
    batch = spec.images_per_batch
    return [
        int(np.random.default_rng((seed, 1, place // images)).permutation(images)[place % images])
        for place in range(step * batch, (step + 1) * batch)
    ]
