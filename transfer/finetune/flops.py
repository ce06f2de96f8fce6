"""What one image costs a network."""

from __future__ import annotations

import torch
from torch.utils.flop_counter import FlopCounterMode

from transfer.features.network import Network


def count_multiply_adds(network: Network) -> float:
    """Multiply-adds of a forward pass over one image of the source's side, convolutions and matrix products only."""
    side, device = network.source.side, next(network.model.parameters()).device
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        network.model.eval()(torch.zeros(1, 3, side, side, device=device))
    return counter.get_total_flops() / 2
