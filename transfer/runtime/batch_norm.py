"""Batch norms that keep the statistics of the data they were trained on."""

from __future__ import annotations

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


def train_with_frozen_statistics(network: nn.Module) -> None:
    """Training mode for all modules but batch norms, whose running statistics stay as they are.

    A detector's batch is two photos, or regions of which a quarter are objects: neither has the statistics of
    photos.
    """
    network.train()
    for module in network.modules():
        if isinstance(module, _BatchNorm):
            module.eval()
