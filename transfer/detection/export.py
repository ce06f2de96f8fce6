"""A trained detector becomes graphs that a CPU serves without torch, and is compared with torch on photos of the project.

R-CNN is one graph, from warped regions to margins and shifts. Fast R-CNN is two, from a photo to its map and from pooled
regions to probabilities and shifts; the pooling between them is transfer.regions.roi_pooling.
"""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from transfer.data.decode import Upright
from transfer.detection.fast_rcnn.model import FastRcnn
from transfer.detection.rcnn.detector import Rcnn
from transfer.regions.postprocess import Detections
from transfer.serving.artifacts import GRAPH, WEIGHTS, Preprocessing
from transfer.serving.detector import HEADS, FoundBy
from transfer.serving.export import Served
from transfer.serving.openvino_import import openvino

CLOSE = 0.02  # largest difference of a score at which a graph counts as the same detector

log = logging.getLogger(__name__)


class Mapper(nn.Module):
    """uint8 RGB (1, h, w, 3) -> the map that regions are pooled from."""

    def __init__(self, model: FastRcnn, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.served = Served(nn.Sequential(*model.body.values(), model.reduce), preprocessing)

    def forward(self, images: Tensor) -> Tensor:
        made: Tensor = self.served(images)
        return made


class Heads(nn.Module):
    """Pooled regions (n, channels, side, side) -> (n, 5 * classes): probabilities, then shifts as they are applied."""

    def __init__(self, model: FastRcnn) -> None:
        super().__init__()
        self.dense, self.score, self.box = model.dense, model.score, model.box
        self.register_buffer('mean', model.mean.flatten())
        self.register_buffer('std', model.std.flatten())

    def forward(self, pooled: Tensor) -> Tensor:
        hidden = self.dense(pooled.flatten(1))
        shifts = self.box(hidden) * self.std + self.mean
        return torch.cat([self.score(hidden).softmax(1)[:, 1:], shifts[:, 4:]], 1)


def margins_network(detector: Rcnn) -> nn.Module:
    """The network with SVMs and box regressors as its last layer: both are linear on its features."""
    model = copy.deepcopy(detector.model).cpu().float()
    classes = len(detector.svms)
    head = detector.network.replace_head(model, 5 * classes)
    weight = np.concatenate(
        [svm.weight[None] for svm in detector.svms] + [(r.weight @ r.colour).T for r in detector.regressors]
    )
    bias = [np.array([svm.bias]) for svm in detector.svms] + [
        r.bias @ r.colour + r.mean for r in detector.regressors
    ]
    with torch.no_grad():
        head.weight.copy_(torch.from_numpy(weight * detector.scale))
        head.bias.copy_(torch.from_numpy(np.concatenate(bias)))
    return model.eval()


def write_fast(model: FastRcnn, preprocessing: Preprocessing, folder: Path) -> str:
    """weights.safetensors and the two graphs; returns why there are no graphs, '' when there are."""
    model = copy.deepcopy(model).to('cpu', torch.float32).eval()
    write_weights(model, folder)
    pixels = torch.zeros(1, 128, 160, 3, dtype=torch.uint8)
    pooled = torch.zeros(2, model.channels, model.pool, model.pool)

    def write() -> None:
        _write_graph(
            Mapper(model, preprocessing).eval(), pixels, {'images': {1: 'h', 2: 'w'}}, folder / GRAPH
        )
        _write_graph(Heads(model).eval(), pooled, {'images': {0: 'n'}}, folder / HEADS)

    return _tried(write, folder)


def write_rcnn(detector: Rcnn, preprocessing: Preprocessing, folder: Path) -> str:
    """weights.safetensors and the graph; returns why there is none, '' when there is."""
    model = margins_network(detector)
    write_weights(model, folder)
    crops = torch.zeros(2, preprocessing.side, preprocessing.side, 3, dtype=torch.uint8)
    return _tried(
        lambda: _write_graph(
            Served(model, preprocessing).eval(), crops, {'images': {0: 'n'}}, folder / GRAPH
        ),
        folder,
    )


def without_graphs(folder: Path) -> None:
    for path in folder.iterdir():
        if path.name != WEIGHTS:
            path.unlink()


def compared(truths: Sequence[Detections], served: Sequence[Detections]) -> dict[str, Any]:
    """How far the graphs' answers on some photos are from torch's: `largest_difference` of the scores, `agreement` of boxes."""
    largest, same, count = 0.0, 0, 0
    for truth, found in zip(truths, served, strict=True):
        shared = min(len(truth), len(found))
        if shared:
            largest = max(largest, float(np.abs(truth.scores[:shared] - found.scores[:shared]).max()))
            same += int((np.abs(truth.boxes[:shared] - found.boxes[:shared]).max(1) < 1.0).sum())
        count += max(len(truth), len(found))
    return {'largest_difference': largest, 'agreement': same / count if count else 1.0, 'images': len(truths)}


def check(
    find: FoundBy, photos: Sequence[tuple[Upright, np.ndarray]], truths: Sequence[Detections]
) -> dict[str, Any]:
    """The served detector beside torch's answers on the same photos and proposals."""
    return compared(truths, [find(photo, proposals) for photo, proposals in photos])


def _tried(write: Callable[[], None], folder: Path) -> str:
    try:
        write()
    except (
        Exception
    ) as error:  # converters raise anything; the weights alone still make a model that torch serves
        log.warning('the detector could not be converted', exc_info=True)
        without_graphs(folder)
        return f'conversion failed: {type(error).__name__}: {str(error)[:300]}'
    return ''


def write_weights(model: nn.Module, folder: Path) -> None:
    save_file(
        {name: value.contiguous().clone() for name, value in model.state_dict().items()}, folder / WEIGHTS
    )


def _write_graph(module: nn.Module, example: Tensor, axes: dict[str, dict[int, str]], path: Path) -> None:
    onnx = path.with_suffix('.onnx')
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter(
            'ignore'
        )  # tracing warns of every Python number it fixes; the check would find a wrong one
        torch.onnx.export(
            module,
            (example,),
            onnx,
            input_names=['images'],
            output_names=['found'],
            dynamic_axes=axes,
            dynamo=False,
        )
    openvino.save_model(openvino.Core().read_model(onnx), path, compress_to_fp16=False)
    onnx.unlink()
