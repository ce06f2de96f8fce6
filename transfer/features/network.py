"""A loaded source model, what it costs, and the machine that runs it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from transfer.spec.train_spec import SourceModelSpec
from transfer.zoo.networks.architecture import Architecture


@dataclass(frozen=True)
class Network:
    """A loaded source model."""

    source: SourceModelSpec
    architecture: Architecture
    model: nn.Module


@dataclass(frozen=True)
class Machine:
    """The device and precision to compute with, the cache folder, and the receivers of notes and progress."""

    device: torch.device
    precision: str
    cache: Path
    note: Callable[[str], None]
    on_progress: Callable[[float], None]


def count_multiply_adds(network: Network) -> float:
    """Multiply-adds of a forward pass over one image: convolutions and matrix products only."""
    side, device = network.source.side, next(network.model.parameters()).device
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        network.model.eval()(torch.zeros(1, 3, side, side, device=device))
    return counter.get_total_flops() / 2
