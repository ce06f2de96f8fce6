"""Estimate the mean feature of a network's own training set, without one of its images.

A batch norm normalises each channel by the statistics of the very images that the network was trained on,
then scales it by its weight and shifts it by its bias: over those images the channel has mean = bias and
deviation = |weight|. Where such a norm and a rectifier are the last layers before the pooling, these two
parameters give the mean of the penultimate feature: a channel that is normal, with mean m and deviation s,
comes out of max(0, x) with the mean m Phi(m / s) + s phi(m / s). That it is normal holds nearly:
EfficientNet-Lite0's signatures of five of the starter zoo's sets, estimated in this way, lie 0.010 to 0.016
nats from the measured ones, while two different sets lie 0.2 to 3 nats apart.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from transfer.zoo.networks.architecture import Architecture, pool

WITHOUT_EFFECT = (nn.AdaptiveAvgPool2d, nn.Flatten, nn.Dropout)  # on the mean of a channel
CEILING = 6.0  # of ReLU6


def estimate_mean_feature(network: Architecture, model: nn.Module) -> np.ndarray:
    """Estimate P2L's feature averaged over the images that the model was trained on: float64 (feature_size,).

    ValueError for a network whose feature is not pooled from a batch norm and a ReLU or ReLU6, with nothing
    in between: ResNet-50 adds a shortcut there.
    """
    body = network.split(model, 'head')[0]
    leaves = [layer for layer in body.modules() if not any(True for _ in layer.children())]
    norm, rectifier = [layer for layer in leaves if not isinstance(layer, WITHOUT_EFFECT)][-2:]
    if not isinstance(norm, nn.BatchNorm2d) or not isinstance(rectifier, nn.ReLU | nn.ReLU6):
        raise ValueError(f'{network.name} does not end in a batch norm and a ReLU')
    if not _feeds_directly(body, network.side, norm, rectifier):
        raise ValueError(f'{network.name} adds something between its last batch norm and its last ReLU')
    mean, deviation = norm.bias.detach().double(), norm.weight.detach().double().abs()
    above = _expect_rectified(mean, deviation)
    if isinstance(rectifier, nn.ReLU6):
        above = above - _expect_rectified(mean - CEILING, deviation)
    return above.clamp(min=0).numpy()  # a difference of nearly equal numbers may fall below


@torch.inference_mode()
def _feeds_directly(body: nn.Module, side: int, norm: nn.Module, rectifier: nn.Module) -> bool:
    """Whether on a random image the rectifier gets what the norm gives, and the feature is its pooled output.

    Watched, not read off the modules: their order in a network says nothing of what its forward adds.
    """
    seen: dict[str, Tensor] = {}
    handles = [
        norm.register_forward_hook(lambda _, __, given: seen.update(norm=given.clone())),
        rectifier.register_forward_pre_hook(lambda _, given: seen.update(before=given[0].clone())),
        rectifier.register_forward_hook(lambda _, __, given: seen.update(after=given.clone())),
    ]
    modes = {layer: layer.training for layer in body.modules()}
    try:
        images = torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(0))
        feature = pool(body.eval()(images))
    finally:
        for layer, was_training in modes.items():
            layer.training = was_training
        for handle in handles:
            handle.remove()
    return torch.equal(seen['norm'], seen['before']) and torch.allclose(pool(seen['after']), feature)


def _expect_rectified(mean: Tensor, deviation: Tensor) -> Tensor:
    """E max(0, x) of normal x, channel by channel."""
    standard = mean / deviation.clamp(min=torch.finfo(torch.float64).tiny)
    density = torch.exp(-(standard**2) / 2) / math.sqrt(2 * math.pi)
    return (mean * torch.special.ndtr(standard) + deviation * density).clamp(min=0)
