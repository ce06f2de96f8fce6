"""Fast R-CNN at work: one photo and its proposals become detections (published test.py)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from transfer.data.decode import Upright
from transfer.detection.fast_rcnn.inputs import batched, prepared, scaled
from transfer.detection.fast_rcnn.model import FastRcnn
from transfer.regions.boxes import areas, decode
from transfer.regions.postprocess import Detections, settle
from transfer.spec.fast_rcnn import FastRcnnSpec
from transfer.spec.train_spec import SourceModelSpec


@torch.inference_mode()
def detect(
    model: FastRcnn, photo: Upright, proposals: np.ndarray, spec: FastRcnnSpec, source: SourceModelSpec
) -> Detections:
    """`model` in eval mode; `proposals` (n, 4) in pixels of the photo. No proposals give no detections."""
    proposals = proposals[: spec.proposals].astype(float)
    proposals = proposals[areas(proposals) > 0]
    classes = model.score.out_features - 1
    if not len(proposals):
        return settle(np.zeros((0, classes, 4)), np.zeros((0, classes)), photo.width, photo.height)
    device = model.score.weight.device
    given = prepared(photo, spec, source.mean, source.std)
    first, back = distinct(scaled(proposals, given.scale), model.stride)
    regions = scaled(proposals[first], given.scale).to(device)
    with torch.autocast('cuda', enabled=device.type == 'cuda'):
        scores, shifts = model(batched([given]).to(device), [regions])
    sure = scores.float().softmax(1)[:, 1:].cpu().numpy()[back]
    moved = model.raw_shifts(shifts)[back]
    flat = decode(np.repeat(proposals, classes, 0), moved.reshape(-1, 4))
    boxes = flat.reshape(len(proposals), classes, 4)
    return settle(
        boxes,
        sure,
        photo.width,
        photo.height,
        min_score=spec.min_score,
        per_class=spec.per_class,
        nms_iou=spec.nms_iou,
    )


def distinct(regions: Tensor, stride: int) -> tuple[np.ndarray, np.ndarray]:
    """Regions that round to the same cells are pooled alike: (indices of the first of each, for every region its place there)."""
    cells = (regions / stride).round().numpy()
    _, first, back = np.unique(cells, axis=0, return_index=True, return_inverse=True)
    return first, back.reshape(-1)
