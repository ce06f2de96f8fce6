"""A loaded source model, and the machine that runs it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

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
    """What computes: the device, the wanted precision, where outcomes are kept, and who hears of notes and progress."""

    device: torch.device
    precision: str
    cache: Path
    note: Callable[[str], None]
    beat: Callable[[float], None]
