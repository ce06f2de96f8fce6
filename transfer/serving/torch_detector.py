"""Torch runs a sealed detector: on a GPU, and on a CPU where its graphs could not be made."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import nn

from transfer.data.decode import Upright
from transfer.detection.fast_rcnn.detector import detect
from transfer.detection.fast_rcnn.model import FastRcnn
from transfer.detection.fast_rcnn.svd import compress
from transfer.detection.faster_rcnn import model as faster
from transfer.regions.postprocess import Detections, as_shares
from transfer.regions.warp import warped
from transfer.serving.artifacts import WEIGHTS, Meta
from transfer.serving.detector import FoundBy, fast_spec, faster_spec, rcnn_spec, settled, usable
from transfer.serving.export import Served
from transfer.spec.errors import CorruptArtifactError, IncompatibleArtifactError, UnusableSourceError
from transfer.spec.train_spec import SourceModelSpec
from transfer.zoo.networks.architecture import Architecture
from transfer.zoo.networks.registry import architecture


def torch_finder(folder: Path, meta: Meta, device: str) -> FoundBy:
    """The detector rebuilt from the registry with the artifact's weights, one photo at a time."""
    try:
        network = architecture(meta.architecture)
    except UnusableSourceError as error:
        raise IncompatibleArtifactError(
            f'the model in {folder.name} needs the architecture {meta.architecture!r}'
        ) from error
    find = {'rcnn': _rcnn, 'fast-rcnn': _fast, 'faster-rcnn': _faster}[meta.detection['kind']](
        folder, meta, network, device
    )
    lock = threading.Lock()

    def one_at_a_time(photo: Upright, proposals: np.ndarray) -> Detections:
        with lock:
            return find(photo, proposals)

    return one_at_a_time


def _fast(folder: Path, meta: Meta, network: Architecture, device: str) -> FoundBy:
    spec, given = fast_spec(meta), meta.preprocessing
    model = FastRcnn(network, network.build(2), len(meta.labels), spec)
    if spec.svd:
        model.dense = compress(model.dense, spec.svd)
    _fill(model, folder, meta)
    model.eval().to(device)
    source = SourceModelSpec('', meta.architecture, '', '', 2, 0, given.side, given.mean, given.std)
    return lambda photo, proposals: detect(model, photo, proposals, spec, source)


def _faster(folder: Path, meta: Meta, network: Architecture, device: str) -> FoundBy:
    given = meta.preprocessing
    model = faster.build(
        network, network.build(2), len(meta.labels), faster_spec(meta), given.mean, given.std
    )
    _fill(model, folder, meta)
    model.eval().to(device)
    return lambda photo, proposals: faster.detect(model, photo)


def _rcnn(folder: Path, meta: Meta, network: Architecture, device: str) -> FoundBy:
    spec, given, classes = rcnn_spec(meta), meta.preprocessing, len(meta.labels)
    plain = network.build(2)
    network.replace_head(plain, 5 * classes)
    _fill(plain, folder, meta)
    model = Served(plain, given).eval().to(device)

    @torch.inference_mode()
    def find(photo: Upright, proposals: np.ndarray) -> Detections:
        boxes = usable(proposals, spec.proposals)
        height, width, _ = photo.pixels.shape
        own = boxes * np.array([width / photo.width, height / photo.height] * 2)
        rows = [np.zeros((0, 5 * classes), np.float32)]
        for start in range(0, len(own), spec.embed_batch):
            part = own[start : start + spec.embed_batch]
            crops = np.stack(
                [warped(photo.pixels, box, given.side, spec.context, given.mean) for box in part]
            )
            rows.append(model(torch.from_numpy(crops).to(device)).float().cpu().numpy())
        return as_shares(settled(boxes, np.concatenate(rows), classes, photo, spec))

    return find


def _fill(model: nn.Module, folder: Path, meta: Meta) -> None:
    try:
        model.load_state_dict(load_file(folder / WEIGHTS), strict=True)
    except RuntimeError as error:
        raise CorruptArtifactError(f'the weights of {folder.name} do not fit {meta.architecture}') from error
