"""What the steps of both gradient-trained detectors share: whose turn an image is, and which parameters learn how fast."""

from __future__ import annotations

from collections.abc import Set
from typing import Protocol

import numpy as np
from torch import nn


class Rates(Protocol):
    @property
    def rate(self) -> float: ...

    @property
    def new_rate(self) -> float: ...

    @property
    def bias_rate(self) -> float: ...

    @property
    def decay(self) -> float: ...


def parameter_groups(model: nn.Module, new: Set[nn.Parameter], spec: Rates) -> list[dict[str, object]]:
    """The source's layers at `rate`, new ones faster, biases twice as fast and without decay."""
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for parameter in model.parameters():
        if parameter.requires_grad:
            groups.setdefault((parameter in new, parameter.dim() == 1), []).append(parameter)
    return [
        {
            'params': parameters,
            'lr': spec.rate * (spec.new_rate if is_new else 1) * (spec.bias_rate if is_bias else 1),
            'weight_decay': 0.0 if is_bias else spec.decay,
        }
        for (is_new, is_bias), parameters in groups.items()
    ]


def turns(step: int, images: int, batch: int, seed: int) -> list[int]:
    """Which images a step learns from: passes over all of them, each in an order of its own."""
    places = range(step * batch, (step + 1) * batch)
    return [
        int(np.random.default_rng((seed, 1, place // images)).permutation(images)[place % images])
        for place in places
    ]
