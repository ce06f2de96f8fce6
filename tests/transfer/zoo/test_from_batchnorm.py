"""What a network's last batch norm tells of the images it learned from."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import entropy
from torch import nn

from p2l.signatures import signature
from transfer.zoo.networks.registry import architecture
from transfer.zoo.signatures.from_batchnorm import estimate_mean_feature


def remembering(name: str, photos: torch.Tensor) -> nn.Module:
    """A network with random weights whose norms remember exactly these photos."""
    torch.manual_seed(0)
    model = architecture(name).build(3).train()
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = None  # the plain mean of all that is seen
            nn.init.normal_(layer.bias)
            nn.init.uniform_(layer.weight, -2, 2)
        if isinstance(layer, nn.Dropout):
            layer.p = 0
    with torch.no_grad():
        model(photos)
    return model


@pytest.mark.parametrize(
    'name',
    [
        'efficientnet_lite0',
        'efficientnet_lite2',
        'mobilenet_v2',
        'densenet121',
        'shufflenet_v2_x0_5',
        'mnasnet0_5',
    ],
)
def test_it_is_the_mean_feature_of_those_images(name):
    photos = torch.rand(24, 3, 64, 64) * torch.rand(24, 3, 1, 1)
    model, network = remembering(name, photos), architecture(name)
    with torch.no_grad():
        # in training mode: with the statistics of these photos
        seen = network.features(model, photos).mean(0).numpy()
    estimate = estimate_mean_feature(network, model)
    assert estimate.shape == (network.feature_size,)
    assert estimate.min() >= 0
    assert estimate.sum() == pytest.approx(seen.sum(), rel=0.05)
    assert entropy(signature(seen), signature(estimate)) < 0.01
    assert np.corrcoef(seen, estimate)[0, 1] > 0.98


@pytest.mark.parametrize('name', ['resnet18', 'vgg11', 'mobilenet_v3_small', 'squeezenet1_1', 'lenet5'])
def test_a_network_without_a_last_norm_gives_no_estimate(name):
    network = architecture(name)
    with pytest.raises(ValueError, match=f'{name} does not end in a batch norm and a ReLU'):
        estimate_mean_feature(network, network.build(3))


@pytest.mark.parametrize('name', ['resnet50', 'resnext50_32x4d', 'regnet_y_400mf'])
def test_a_network_that_adds_a_shortcut_before_its_last_rectifier_tells_nothing(name):
    network = architecture(name)
    with pytest.raises(ValueError, match=f'{name} adds something between'):
        estimate_mean_feature(network, network.build(3))
