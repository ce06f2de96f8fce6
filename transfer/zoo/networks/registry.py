"""Every network that Graft can build: torchvision's classification networks, EfficientNet-Lite0 and
LeNet-5."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from typing import Any

import torchvision
from torch import nn
from torchvision.models import get_model, get_model_weights

from transfer.spec.errors import UnusableSourceError
from transfer.zoo.networks import efficientnet_lite, lenet, timm_networks, torchvision_families
from transfer.zoo.networks.architecture import Architecture, Layout
from transfer.zoo.weights import LINEAR_HEAD, TIMM_PREFIX

ARCHITECTURES: dict[str, Architecture] = {}

# Name prefix -> how the family is laid out, and what departs from Architecture's defaults. The longest prefix
# counts.
FAMILIES: dict[str, tuple[Layout, dict[str, Any]]] = {
    'alexnet': (torchvision_families.plain, {'min_side': 63}),
    'convnext': (torchvision_families.convnext, {'has_negative_features': True}),
    'densenet': (torchvision_families.densenet, {}),
    'efficientnet': (torchvision_families.inverted_residuals, {'has_negative_features': True}),
    # The published weights of these two rescale their input to mean 0.5, std 0.5 inside the network; ours
    # leave that to the source model's mean and std, as for every other network.
    'googlenet': (torchvision_families.inception, {'mean': (0.5,) * 3, 'std': (0.5,) * 3}),
    'inception': (torchvision_families.inception, {'mean': (0.5,) * 3, 'std': (0.5,) * 3, 'min_side': 75}),
    'maxvit': (
        torchvision_families.maxvit,
        {'has_negative_features': True, 'fixed_side': True, 'min_side': 224},
    ),
    'mnasnet': (torchvision_families.mnasnet, {}),
    'mobilenet_v2': (torchvision_families.inverted_residuals, {}),
    'mobilenet_v3': (torchvision_families.inverted_residuals, {'has_negative_features': True}),
    'regnet': (torchvision_families.regnet, {}),
    'resnet': (torchvision_families.resnet, {}),
    'resnext': (torchvision_families.resnet, {}),
    'shufflenet': (torchvision_families.shufflenet, {}),
    'squeezenet': (torchvision_families.squeezenet, {}),
    'swin': (torchvision_families.swin, {'has_negative_features': True}),
    'vgg': (torchvision_families.plain, {}),
    'vit': (torchvision_families.vit, {'has_negative_features': True, 'fixed_side': True, 'min_side': 224}),
    'wide_resnet': (torchvision_families.resnet, {}),
}

# The auxiliary heads only served to train from scratch; init_weights=False spares minutes of truncated
# normals.
BUILD_OPTIONS: dict[str, dict[str, object]] = {
    'googlenet': {'aux_logits': False, 'init_weights': False},
    'inception': {'aux_logits': False, 'init_weights': False},
}


def register(architecture: Architecture) -> Architecture:
    """Add a network; ValueError if its name is taken."""
    if architecture.name in ARCHITECTURES:
        raise ValueError(f'architecture {architecture.name!r} is registered twice')
    ARCHITECTURES[architecture.name] = architecture
    return architecture


def architecture(name: str) -> Architecture:
    """The network of that name; UnusableSourceError naming it where there is none."""
    if name.startswith(TIMM_PREFIX):
        return timm_networks.architecture(name)
    if name.endswith(LINEAR_HEAD):
        return _with_linear_head(name)
    if name not in ARCHITECTURES:
        raise UnusableSourceError(
            f'there is no architecture {name!r}; `manage.py zoo list --architectures` names them all'
        )
    return ARCHITECTURES[name]


@cache
def _with_linear_head(name: str) -> Architecture:
    """A network as replace_head leaves it, where that is not the form of its family (SqueezeNet): our own
    models as sources."""
    base = architecture(name.removesuffix(LINEAR_HEAD))

    def build(classes: int) -> nn.Module:
        model = base.build(classes)
        base.replace_head(model, classes)
        return model

    return replace(base, name=name, builder=build)


def names() -> tuple[str, ...]:
    return tuple(sorted(ARCHITECTURES))


def _builder(name: str, options: dict[str, object]) -> Callable[[int], nn.Module]:
    return partial(_build, name, options)


def _build(name: str, options: dict[str, object], classes: int) -> nn.Module:
    return get_model(name, weights=None, num_classes=classes, **options)


def _published_side(name: str) -> int:
    """The input side of the weights that torchvision first published; 224 for ViT-H, whose only ones are of
    other sides."""
    weights = get_model_weights(name)
    return (
        int(weights['IMAGENET1K_V1'].transforms.keywords['crop_size'])
        if 'IMAGENET1K_V1' in weights.__members__
        else 224
    )


def _register_all() -> None:
    for name in torchvision.models.list_models(module=torchvision.models):
        family = max((prefix for prefix in FAMILIES if name.startswith(prefix)), key=len)
        layout, departures = FAMILIES[family]
        build = _builder(name, BUILD_OPTIONS.get(family, {}))
        register(Architecture(name, build, layout, side=_published_side(name), **departures))
    mean, std = ((value,) * 3 for value in efficientnet_lite.NORMALISATION)
    for name in efficientnet_lite.SCALES:
        register(
            Architecture(
                name,
                partial(efficientnet_lite.build, name),
                torchvision_families.inverted_residuals,
                side=efficientnet_lite.SIDE,
                mean=mean,
                std=std,
            )
        )
    register(
        Architecture(
            'lenet5',
            lenet.LeNet5,
            torchvision_families.lenet,
            side=lenet.SIDE,
            min_side=lenet.SIDE,
            fixed_side=True,
        )
    )


_register_all()
