"""Batch norms keep their statistics while the rest of the network is in training mode."""

from __future__ import annotations

import pytest

torch = pytest.importorskip('torch')
from torch import nn

from transfer.runtime.batch_norm import train_with_frozen_statistics


def test_batch_norms_keep_their_statistics_and_dropout_is_on():
    network = nn.Sequential(
        nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.SyncBatchNorm(4)
    ).eval()
    train_with_frozen_statistics(network)
    assert [module.training for module in network] == [True, False, True, False]
    network[:3](torch.randn(2, 3, 5, 5))
    assert network[1].running_mean.tolist() == [0, 0, 0, 0] and network[1].num_batches_tracked == 0
    assert network[1].weight.requires_grad
