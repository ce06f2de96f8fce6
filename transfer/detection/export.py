"""Write a trained detector as weights and OpenVINO graphs, and compare the graphs with torch.

R-CNN is one graph, from warped regions to margins and shifts. Fast R-CNN is two, from a photo to its feature
map and from pooled regions to probabilities and shifts; what lies around them is each kind's infer.py.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from transfer.regions.postprocess import Detections
from transfer.serving.artifacts import WEIGHTS, ArtifactMeta
from transfer.serving.openvino_import import openvino
from transfer.spec.errors import CorruptArtifactError

CLOSE = 0.02  # largest difference of a score at which a graph counts as the same detector

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class GraphCheck:
    """How far the graphs' detections on some photos are from torch's."""

    largest_difference: float  # of a score
    agreement: float  # share of boxes with all corners within a pixel
    images: int


def write_weights(model: nn.Module, folder: Path) -> None:
    tensors = {name: value.contiguous().clone() for name, value in model.state_dict().items()}
    save_file(tensors, folder / WEIGHTS)


def load_weights(model: nn.Module, folder: Path, meta: ArtifactMeta) -> None:
    """CorruptArtifactError when they do not fit."""
    try:
        model.load_state_dict(load_file(folder / WEIGHTS), strict=True)
    except RuntimeError as error:
        raise CorruptArtifactError(f'the weights of {folder.name} do not fit {meta.architecture}') from error


def write_graph(module: nn.Module, example: Tensor, dynamic_axes: dict[int, str], path: Path) -> None:
    """Write an OpenVINO graph of one input, of which `dynamic_axes` may have any size, and one output."""
    onnx = path.with_suffix('.onnx')
    with warnings.catch_warnings(), torch.no_grad():
        # Tracing warns of every Python number it fixes; the comparison with torch would find a wrong one.
        warnings.simplefilter('ignore')
        torch.onnx.export(
            module.eval(),
            (example,),
            onnx,
            input_names=['images'],
            output_names=['found'],
            dynamic_axes={'images': dynamic_axes},
            dynamo=False,
        )
    openvino.save_model(openvino.Core().read_model(onnx), path, compress_to_fp16=False)
    onnx.unlink()


def try_export(write_graphs: Callable[[], None], folder: Path) -> str:
    """Write the graphs, or leave none of them; returns why there are none, '' when there are."""
    try:
        write_graphs()
    except Exception as error:  # converters raise anything; the weights alone make a model that torch serves
        log.warning('the detector could not be converted', exc_info=True)
        delete_graphs(folder)
        return f'conversion failed: {type(error).__name__}: {str(error)[:300]}'
    return ''


def delete_graphs(folder: Path) -> None:
    for path in folder.iterdir():
        if path.name != WEIGHTS:
            path.unlink()


def compare_detections(by_torch: Sequence[Detections], by_graphs: Sequence[Detections]) -> GraphCheck:
    """Compare the detections of both on the same photos and proposals, best first."""
    largest, same, count = 0.0, 0, 0
    for one, other in zip(by_torch, by_graphs, strict=True):
        shared = min(len(one), len(other))
        if shared:
            largest = max(largest, float(np.abs(one.scores[:shared] - other.scores[:shared]).max()))
            same += int((np.abs(one.boxes[:shared] - other.boxes[:shared]).max(1) < 1.0).sum())
        count += max(len(one), len(other))
    return GraphCheck(largest, same / count if count else 1.0, len(by_torch))
