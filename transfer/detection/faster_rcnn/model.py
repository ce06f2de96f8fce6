"""torchvision's Faster R-CNN on a network of the zoo.

It proposes its regions itself, from its own feature map.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.ops import MultiScaleRoIAlign

from transfer.detection.faster_rcnn.infer import FasterRcnnInference, Predictions
from transfer.spec.faster_rcnn import FasterRcnnSpec
from transfer.zoo.networks.architecture import Architecture
from transfer.zoo.networks.backbone import convolutional_body


class Backbone(nn.Module):
    """The source's convolutional stages and a 1x1 convolution; its output is normalised, as in Fast R-CNN."""

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
        features: Tensor = self.reduce(images)
        return features


def build(
    network: Architecture,
    source: nn.Module,
    classes: int,
    spec: FasterRcnnSpec,
    mean: tuple[float, ...],
    std: tuple[float, ...],
) -> FasterRCNN:
    """A detector of so many classes on the source's weights.

    It takes RGB photos in 0..1, float (3, h, w), of any size.
    """
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


def torch_inference(model: FasterRCNN) -> FasterRcnnInference:
    """Inference by torch on the model's device; `model` in eval mode."""

    @torch.inference_mode()
    def predict(pixels: np.ndarray) -> Predictions:
        [found] = model([pixels_to_tensor(pixels).to(next(model.parameters()).device)])
        boxes, scores = found['boxes'].float().cpu().numpy(), found['scores'].float().cpu().numpy()
        return boxes, scores, found['labels'].cpu().numpy()

    return FasterRcnnInference(predict)


def pixels_to_tensor(pixels: np.ndarray) -> Tensor:
    """uint8 (h, w, 3) -> float (3, h, w) in 0..1."""
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1))).float().div_(255)
