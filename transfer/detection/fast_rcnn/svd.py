"""Truncated SVD of dense layers.

The published way to make detection faster without learning again (paper, section 3.1).
"""

from __future__ import annotations

import torch
from torch import nn


def truncate_svd(layer: nn.Linear, keep: int) -> nn.Sequential:
    """Two layers W = U (S V'): the first of `keep` rows without a bias, the second with the old one.

    They are cheaper when keep < in * out / (in + out). `keep` beyond the rank changes nothing but the cost.
    """
    u, s, v = torch.linalg.svd(layer.weight.detach(), full_matrices=False)
    keep = min(keep, len(s))
    first = nn.Linear(layer.in_features, keep, bias=False)
    second = nn.Linear(keep, layer.out_features, bias=layer.bias is not None)
    with torch.no_grad():
        first.weight.copy_(s[:keep, None] * v[:keep])
        second.weight.copy_(u[:, :keep])
        if layer.bias is not None:
            second.bias.copy_(layer.bias)
    return nn.Sequential(first, second)


def compress(dense: nn.Sequential, keeps: tuple[int, ...]) -> nn.Sequential:
    """The dense layers in order, each by its number (fc6 1,024 and fc7 256 as published); the rest stays."""
    waiting = list(keeps)
    return nn.Sequential(
        *(
            truncate_svd(layer, waiting.pop(0)) if isinstance(layer, nn.Linear) and waiting else layer
            for layer in dense
        )
    )
