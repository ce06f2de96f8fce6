"""Fast R-CNN's two losses in one (paper, equations 1 to 3)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, smooth_l1_loss


def detection_loss(
    scores: Tensor, shifts: Tensor, labels: Tensor, targets: Tensor, moves: Tensor, weight: float
) -> Tensor:
    """Cross entropy plus `weight` times smooth L1.

    Over (k, classes + 1) scores and (k, classes + 1, 4) shifts.

    Only the shift of the true class learns, and only where `moves` says so; both parts are means over all k
    regions, so that a batch with few objects does not weigh more than others.
    """
    own = shifts[torch.arange(len(labels), device=labels.device), labels]
    box = smooth_l1_loss(own[moves], targets[moves], reduction='sum') / max(1, len(labels))
    return cross_entropy(scores, labels) + weight * box
