"""Fast R-CNN: one pass of the backbone over the image, each region pooled from its map to a small square, two
sibling outputs.
"""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn
from torchvision.ops import roi_align, roi_pool

from transfer.detection.fast_rcnn.infer import FastRcnnInference
from transfer.detection.fast_rcnn.sampling import ShiftStatistics
from transfer.serving.artifacts import Preprocessing
from transfer.serving.export import ServedNetwork
from transfer.spec.fast_rcnn import FastRcnnSpec
from transfer.zoo.networks.architecture import Architecture
from transfer.zoo.networks.backbone import convolutional_body


class FastRcnn(nn.Module):
    """Normalised images (n, 3, h, w) and regions [(k, 4)] in their pixels -> scores (K, classes + 1), shifts
    (K, classes + 1, 4).

    Class 0 is background. `mean` and `std` undo the normalisation of the shifts; they travel with the
    weights.
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
        # Sources differ a hundredfold in how large their features are; normalised, one learning rate fits
        # them all.
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

    @property
    def device(self) -> torch.device:
        return self.score.weight.device

    def extract_features(self, images: Tensor) -> Tensor:
        """The backbone's feature map: (n, its channels, h / stride, w / stride)."""
        for stage in self.body.values():
            images = stage(images)
        return images

    def roi_pool(self, features: Tensor, regions: list[Tensor]) -> Tensor:
        """(K, channels, pool, pool) of the regions [(k, 4)] of each image, in pixels of its input."""
        pooling = roi_align if self.align else roi_pool
        pooled: Tensor = pooling(features, regions, (self.pool, self.pool), 1 / self.stride)
        return pooled

    def predict(self, pooled: Tensor) -> tuple[Tensor, Tensor]:
        """Scores (K, classes + 1) and normalised shifts (K, classes + 1, 4) of pooled regions."""
        hidden = self.dense(pooled.flatten(1))
        return self.score(hidden), self.box(hidden).unflatten(1, (-1, 4))

    def forward(self, images: Tensor, regions: list[Tensor]) -> tuple[Tensor, Tensor]:
        return self.predict(self.roi_pool(self.reduce(self.extract_features(images)), regions))

    def set_shift_statistics(self, statistics: ShiftStatistics) -> None:
        self.mean.copy_(torch.from_numpy(statistics.mean))
        self.std.copy_(torch.from_numpy(statistics.std))


class FeatureExtractor(nn.Module):
    """uint8 RGB (1, h, w, 3) -> the feature map (1, channels, h / stride, w / stride) that regions are pooled
    from.
    """

    def __init__(self, model: FastRcnn, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.served = ServedNetwork(nn.Sequential(*model.body.values(), model.reduce), preprocessing)

    def forward(self, images: Tensor) -> Tensor:
        features: Tensor = self.served(images)
        return features


class RegionPredictor(nn.Module):
    """Pooled regions (n, channels, pool, pool) -> (n, 5 * classes).

    Probabilities, then shifts as they are applied.
    """

    def __init__(self, model: FastRcnn) -> None:
        super().__init__()
        self.dense, self.score, self.box = model.dense, model.score, model.box
        self.register_buffer('mean', model.mean.flatten())
        self.register_buffer('std', model.std.flatten())

    def forward(self, pooled: Tensor) -> Tensor:
        hidden = self.dense(pooled.flatten(1))
        shifts = self.box(hidden) * self.std + self.mean
        return torch.cat([self.score(hidden).softmax(1)[:, 1:], shifts[:, 4:]], 1)


def torch_inference(model: FastRcnn, preprocessing: Preprocessing, spec: FastRcnnSpec) -> FastRcnnInference:
    """Inference by torch on the model's device, through the modules that the graphs are exported from."""
    extractor, predictor = FeatureExtractor(model, preprocessing), RegionPredictor(model)
    extractor.to(model.device).eval()
    predictor.to(model.device).eval()

    @torch.inference_mode()
    def run(network: nn.Module, values: np.ndarray) -> np.ndarray:
        with torch.autocast('cuda', enabled=model.device.type == 'cuda'):
            outputs = network(torch.from_numpy(values).to(model.device))
        return np.asarray(outputs.float().cpu().numpy())

    return FastRcnnInference(
        partial(run, extractor), partial(run, predictor), model.score.out_features - 1, model.stride, spec
    )


def own_dense(network: Architecture, source: nn.Module, channels: int, pool: int) -> nn.Sequential | None:
    """The source's own hidden dense layers where they fit behind the pooling (VGG at 7, AlexNet at 6), as
    published.
    """
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
