"""The families of torchvision's networks: where each one's stages begin.

Each function takes a network and gives (stages of its body, modules behind the body). Run in a row they are
the network's forward pass in eval mode; a test holds every registered network to that. A network's parts are
known by their names only, hence the type Any.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

Parts = tuple[list[list[nn.Module]], list[nn.Module]]


def resnet(model: Any) -> Parts:
    stem = [model.conv1, model.bn1, model.relu, model.maxpool]
    return [stem, [model.layer1], [model.layer2], [model.layer3], [model.layer4]], [
        model.avgpool,
        nn.Flatten(),
        model.fc,
    ]


def regnet(model: Any) -> Parts:
    blocks = [[block] for block in model.trunk_output.children()]
    return [[model.stem], *blocks], [model.avgpool, nn.Flatten(), model.fc]


def densenet(model: Any) -> Parts:
    parts = dict(model.features.named_children())
    stem = [parts[name] for name in ('conv0', 'norm0', 'relu0', 'pool0')]
    blocks = [[parts[f'denseblock{n}'], parts[f'transition{n}']] for n in (1, 2, 3)]
    last = [parts['denseblock4'], parts['norm5'], nn.ReLU()]
    return [stem, *blocks, last], [nn.AdaptiveAvgPool2d(1), nn.Flatten(), model.classifier]


def plain(model: Any) -> Parts:
    """AlexNet, VGG: a flat row of convolutions, then dense layers."""
    return at_halvings(model.features), [model.avgpool, nn.Flatten(), *model.classifier]


def lenet(model: Any) -> Parts:
    return at_halvings(model.features), list(model.classifier)


def squeezenet(model: Any) -> Parts:
    return at_halvings(model.features), [*model.classifier, nn.Flatten()]


def inception(model: Any) -> Parts:
    """GoogLeNet and Inception v3: their modules are registered in the order of the forward pass."""
    last = ('avgpool', 'dropout', 'fc')
    body = [module for name, module in model.named_children() if name not in last]
    return at_halvings(body), [model.avgpool, nn.Flatten(), model.dropout, model.fc]


def shufflenet(model: Any) -> Parts:
    body = [[model.conv1, model.maxpool], [model.stage2], [model.stage3], [model.stage4], [model.conv5]]
    return body, [nn.AdaptiveAvgPool2d(1), nn.Flatten(), model.fc]


def mnasnet(model: Any) -> Parts:
    layers = list(model.layers)
    body = [*at_halvings(layers[:-3]), layers[-3:]]  # the last three: convolution, norm, ReLU
    return body, [nn.AdaptiveAvgPool2d(1), nn.Flatten(), *model.classifier]


def inverted_residuals(model: Any) -> Parts:
    """MobileNet v2 and v3, EfficientNet v1 and v2: the widening convolution at the end is a stage of its
    own."""
    features = list(model.features)
    body = [*at_halvings(features[:-1]), features[-1:]]
    return body, [nn.AdaptiveAvgPool2d(1), nn.Flatten(), *model.classifier]


def convnext(model: Any) -> Parts:
    return at_halvings(model.features), [model.avgpool, *model.classifier]


def swin(model: Any) -> Parts:
    return at_halvings(model.features), [model.norm, model.permute, model.avgpool, model.flatten, model.head]


def maxvit(model: Any) -> Parts:
    return [[model.stem], *([block] for block in model.blocks)], list(model.classifier)


def vit(model: Any) -> Parts:
    """The encoder's blocks in four stages of (nearly) equal length."""
    blocks = list(model.encoder.layers)
    quarters = [blocks[len(blocks) * part // 4 : len(blocks) * (part + 1) // 4] for part in range(4)]
    return [[Tokens(model)], *quarters], [model.encoder.ln, ClassToken(), *model.heads]


class Tokens(nn.Module):
    """The head of a ViT's forward pass: images to position-coded tokens, with the class token first."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.projection = model.conv_proj
        self.class_token = model.class_token
        self.positions = model.encoder.pos_embedding
        self.dropout = model.encoder.dropout

    def forward(self, images: Tensor) -> Tensor:
        patches = self.projection(images).flatten(2).transpose(1, 2)
        first = self.class_token.expand(len(patches), -1, -1)
        tokens: Tensor = self.dropout(torch.cat([first, patches], 1) + self.positions)
        return tokens


class ClassToken(nn.Module):
    def forward(self, tokens: Tensor) -> Tensor:
        return tokens[:, 0]


def at_halvings(modules: Iterable[nn.Module]) -> list[list[nn.Module]]:
    """A row of modules cut ahead of every strided one and behind every max pooling, where what is cached is
    smallest."""
    groups: list[list[nn.Module]] = [[]]
    for module in modules:
        if _halves(module):
            groups.append([])
        groups[-1].append(module)
        if isinstance(module, nn.MaxPool2d):
            groups.append([])
    return [group for group in groups if group]


def _halves(module: nn.Module) -> bool:
    if type(module).__name__.startswith('PatchMerging'):  # Swin's, which strides by slicing
        return True
    return any(isinstance(part, nn.Conv2d) and part.stride[0] > 1 for part in module.modules())
