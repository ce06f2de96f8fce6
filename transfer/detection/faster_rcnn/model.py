"""torchvision's Faster R-CNN on a network of the zoo: it proposes its regions itself, from the map that it reads them from."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.ops import MultiScaleRoIAlign

from transfer.data.decode import Upright
from transfer.regions.postprocess import Detections
from transfer.spec.faster_rcnn import FasterRcnnSpec
from transfer.zoo.networks.architecture import Architecture
from transfer.zoo.networks.backbone import convolutional_body


class Backbone(nn.Module):
    """The source's body, and a 1x1 convolution behind it; what it makes is normalised, as in Fast R-CNN."""

    def __init__(self, network: Architecture, source: nn.Module, channels: int) -> None:
        super().__init__()
        body = convolutional_body(network, source)
        self.body = nn.ModuleDict(dict(body.stages))
        groups = nn.GroupNorm(math.gcd(8, channels), channels)
        self.reduce = nn.Sequential(nn.Conv2d(body.channels, channels, 1), groups, nn.ReLU())
        self.out_channels = channels

    def forward(self, images: Tensor) -> Tensor:
        for stage in self.body.values():
            images = stage(images)
        made: Tensor = self.reduce(images)
        return made


def build(
    network: Architecture,
    source: nn.Module,
    classes: int,
    spec: FasterRcnnSpec,
    mean: tuple[float, ...],
    std: tuple[float, ...],
) -> FasterRCNN:
    """A detector of so many classes, begun from the source; photos go in as RGB shares (3, h, w) of any size."""
    width = spec.reduce * spec.pool**2
    return FasterRCNN(
        Backbone(network, source, spec.reduce),
        min_size=spec.short_side,
        max_size=spec.long_side,
        image_mean=list(mean),
        image_std=list(std),
        rpn_anchor_generator=AnchorGenerator((spec.anchors,), (spec.ratios,)),
        rpn_post_nms_top_n_train=spec.proposals_train,
        rpn_post_nms_top_n_test=spec.proposals,
        box_roi_pool=MultiScaleRoIAlign(['0'], spec.pool, 2),
        box_head=TwoMLPHead(width, spec.hidden),
        box_predictor=FastRCNNPredictor(spec.hidden, classes + 1),
        box_score_thresh=spec.min_score,
        box_nms_thresh=spec.nms_iou,
        box_detections_per_img=spec.per_image,
        box_batch_size_per_image=spec.rois_per_image,
        box_positive_fraction=spec.foreground_share,
    )


@torch.inference_mode()
def detect(model: FasterRCNN, photo: Upright) -> Detections:
    """`model` in eval mode."""
    device = next(model.parameters()).device
    (found,) = model([shares(photo.pixels).to(device)])
    height, width, _ = photo.pixels.shape
    back = np.array([photo.width / width, photo.height / height] * 2)
    return Detections(
        found['boxes'].float().cpu().numpy().astype(float) * back,
        found['scores'].float().cpu().numpy().astype(float),
        found['labels'].cpu().numpy() - 1,
    )


def shares(pixels: np.ndarray) -> Tensor:
    """uint8 (h, w, 3) -> float (3, h, w) in 0..1."""
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1))).float().div_(255)
