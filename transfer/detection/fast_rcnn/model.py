"""Fast R-CNN: one pass of the body over the image, each region pooled from its map to a small square, two sibling outputs."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn
from torchvision.ops import roi_align, roi_pool

from transfer.detection.fast_rcnn.sampling import Normal
from transfer.spec.fast_rcnn import FastRcnnSpec
from transfer.zoo.networks.architecture import Architecture
from transfer.zoo.networks.backbone import convolutional_body


class FastRcnn(nn.Module):
    """Normalised images (n, 3, h, w) and regions [(k, 4)] in their pixels -> scores (K, classes + 1), shifts (K, classes + 1, 4).

    Class 0 is background. `mean` and `std` undo the normalisation of the shifts; they travel with the weights.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: Architecture, source: nn.Module, classes: int, spec: FastRcnnSpec) -> None:
        super().__init__()
        body = convolutional_body(network, source)
        dense = own_dense(network, source, body.channels, spec.pool)
        self.body = nn.ModuleDict(dict(body.stages))
        self.stride, self.pool, self.align = body.stride, spec.pool, spec.align
        channels = body.channels if dense or not spec.reduce else spec.reduce
        # Sources differ a hundredfold in how large their features are; normalised, one learning rate fits them all.
        narrow = nn.Sequential(
            nn.Conv2d(body.channels, channels, 1), nn.GroupNorm(math.gcd(8, channels), channels), nn.ReLU()
        )
        self.reduce = nn.Identity() if channels == body.channels else narrow
        self.channels = channels  # of the map
        self.dense = dense or new_dense(channels * spec.pool**2, spec.hidden)
        width = [layer.out_features for layer in self.dense if isinstance(layer, nn.Linear)]
        width = width or [channels * spec.pool**2]
        self.score = nn.Linear(width[-1], classes + 1)
        self.box = nn.Linear(width[-1], 4 * (classes + 1))
        nn.init.normal_(self.score.weight, std=spec.class_std)
        nn.init.normal_(self.box.weight, std=spec.box_std)
        nn.init.zeros_(self.score.bias)
        nn.init.zeros_(self.box.bias)
        self.dense_is_new = dense is None
        self.register_buffer('mean', torch.zeros(classes + 1, 4))
        self.register_buffer('std', torch.ones(classes + 1, 4))

    def seen(self, images: Tensor) -> Tensor:
        """What the source's own layers make of the images: (n, body's channels, h / stride, w / stride)."""
        for stage in self.body.values():
            images = stage(images)
        return images

    def pooled(self, features: Tensor, regions: list[Tensor]) -> Tensor:
        """(K, channels, pool, pool) of the regions [(k, 4)] of each image."""
        pooling = roi_align if self.align else roi_pool
        made: Tensor = pooling(features, regions, (self.pool, self.pool), 1 / self.stride)
        return made

    def said(self, pooled: Tensor) -> tuple[Tensor, Tensor]:
        hidden = self.dense(pooled.flatten(1))
        return self.score(hidden), self.box(hidden).unflatten(1, (-1, 4))

    def forward(self, images: Tensor, regions: list[Tensor]) -> tuple[Tensor, Tensor]:
        return self.said(self.pooled(self.reduce(self.seen(images)), regions))

    def keep(self, norms: Normal) -> None:
        self.mean.copy_(torch.from_numpy(norms.mean))
        self.std.copy_(torch.from_numpy(norms.std))

    def raw_shifts(self, shifts: Tensor) -> np.ndarray:
        """(k, classes, 4): normalisation undone, background left out."""
        made: np.ndarray = (shifts.float() * self.std + self.mean)[:, 1:].cpu().numpy()
        return made


def own_dense(network: Architecture, source: nn.Module, channels: int, pool: int) -> nn.Sequential | None:
    """The source's own hidden dense layers where they fit behind the pooling (VGG at 7, AlexNet at 6), as published."""
    layers = [stage for name, stage in network.stages(source) if name.startswith('dense')]
    flat = [module for stage in layers for module in stage.modules() if not isinstance(module, nn.Sequential)]
    first = next((module for module in flat if isinstance(module, nn.Linear)), None)
    return nn.Sequential(*flat) if first is not None and first.in_features == channels * pool**2 else None


def new_dense(width: int, hidden: tuple[int, ...]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for wanted in hidden:
        layer = nn.Linear(width, wanted)
        nn.init.kaiming_normal_(layer.weight, nonlinearity='relu')
        layers += [layer, nn.ReLU()]
        width = wanted
    return nn.Sequential(*layers)
